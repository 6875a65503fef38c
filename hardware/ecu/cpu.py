"""The processor: work costs time, one piece at a time, fairly between CAN, serial line, wires and timers.

A piece is worked out when it starts; its outputs leave when its time is over. So a frame that causes no
output costs no event of the host. Knows nothing of what the work is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hardware.ecu.timers import Timers

CAN, UART, WIRE = 0, 1, 2
_TIMERS = 3
_SOURCES = 4

Output = tuple[str, str] | tuple[str, bytes] | tuple[str, int, bytes]
Item = tuple[int, bytes] | bytes | str | None
"""A CAN frame, a serial burst, a wire message, or None: a log frame of a collapsed flood."""

FAR_US = 1 << 62
"""A time that never comes."""
QUEUE_LIMIT = 64
"""As deep as the receive buffers of a usual controller; what does not fit is lost."""


class Cpu:
    """Round robin over the sources.

    Attributes:
        now: when the results of the piece in work appear.
        free_at: when the next piece can start.
        alarm_is_cyclic: at the last `alarm`, only idle cycles were due next.
    """

    FRAME_US = (40, 40, 40)
    """Cost of a frame, a serial burst and a wire message (vehicle.md section 5)."""
    SIGNATURE_US = 1000

    __slots__ = (
        "_cost", "_flood_next", "_flood_us", "_handlers", "_out", "_pending", "_queued", "_queues",
        "_timers", "_turn", "_wall", "alarm_is_cyclic", "free_at", "now",
    )  # fmt: skip

    def __init__(self, now_us: int, timers: Timers, out: list[Output]) -> None:
        self.now = self.free_at = self._wall = now_us
        self._timers = timers
        self._out = out
        self._pending: list[Output] = []
        self._queues: tuple[deque[Item], deque[Item], deque[Item]] = (deque(), deque(), deque())
        self._queued = 0
        self._turn = 0
        self._cost = self.FRAME_US
        self._handlers: list[Callable[[Item], None]] = [_nothing, _nothing, _nothing]
        self._flood_us = 0
        self._flood_next = 0
        self.alarm_is_cyclic = False

    def connect(self, source: int, handler: Callable[[Item], None]) -> Callable[[Item], None]:
        """Sets who works on the items of `source`; returns who did before."""
        before = self._handlers[source]
        self._handlers[source] = handler
        return before

    def emit(self, output: Output) -> None:
        """Gives out a result, when the piece in work is over."""
        if self.now > self._wall:
            self._pending.append(output)
        else:
            self._out.append(output)

    def charge(self, us: int) -> None:
        """The piece in work takes that much longer."""
        self.now += us

    @property
    def idle(self) -> bool:
        """Nothing waits, and no result is still to appear."""
        return not self._queued and not self._pending

    def alarm(self) -> int:
        """When to call `tick` next, in µs; FAR_US: when something comes in. Sets `alarm_is_cyclic`."""
        free_at = self.free_at
        if self._pending or self._queued:
            self.alarm_is_cyclic = False
            return free_at
        top = self._timers.top()
        if top is None:
            self.alarm_is_cyclic = False
            return FAR_US
        self.alarm_is_cyclic = top.cyclic
        at = top.at
        assert at is not None
        return at if at > free_at else free_at

    def input(self, source: int, now_us: int, item: Item) -> None:
        """Something came in on a source."""
        self._wall = now_us
        if self._pending and self.free_at <= now_us:
            self._release()
        if self._flood_us:
            self._catch_up(now_us)
        if self.free_at <= now_us and not self._queued:
            self.now = now_us + self._cost[source]
            self._handlers[source](item)
            self.free_at = self.now
        elif len(self._queues[source]) < QUEUE_LIMIT:
            self._queues[source].append(item)
            self._queued += 1

    def tick(self, now_us: int) -> None:
        """Does what is due."""
        self._wall = now_us
        if self._pending and self.free_at <= now_us:
            self._release()
        if self._flood_us:
            self._catch_up(now_us)
        while self.free_at <= now_us and self._run_next(now_us):
            pass

    def flood(self, now_us: int, period_us: int | None) -> None:
        """Log frames fill the bus from now on, one every `period_us`, or no longer (None)."""
        if self._flood_us:
            self._wall = now_us
            if self._pending and self.free_at <= now_us:
                self._release()
            self._catch_up(now_us)
        self._flood_us = period_us or 0
        self._flood_next = now_us + self._flood_us

    def skip(self, delta_us: int) -> None:
        """That much time of idle cycles is left out."""
        self._flood_next += delta_us

    def _release(self) -> None:
        self._out.extend(self._pending)
        self._pending.clear()

    def _run_next(self, now_us: int) -> bool:
        top = self._timers.top()
        timer_due = top is not None and top.at is not None and top.at <= now_us
        if not self._queued:
            if timer_due:
                self._run_timer(now_us)
            return timer_due
        source = self._choose(timer_due)
        if source == _TIMERS:
            self._run_timer(now_us)
        else:
            item = self._queues[source].popleft()
            self._queued -= 1
            self.now = now_us + self._cost[source]
            if item is not None:
                self._handlers[source](item)
            self.free_at = self.now
        return True

    def _choose(self, timer_due: bool) -> int:
        """The next source in turn that has work."""
        turn = self._turn
        while True:
            turn = (turn + 1) % _SOURCES
            if timer_due if turn == _TIMERS else self._queues[turn]:
                self._turn = turn
                return turn

    def _run_timer(self, now_us: int) -> None:
        # A timer starts what it does in its interrupt; the time it takes counts for those that follow.
        self.now = now_us
        before = len(self._out)
        self._timers.pop().fire()
        if len(self._out) != before:
            self.now += self._cost[CAN]
        self.free_at = self.now

    def _catch_up(self, now_us: int) -> None:
        """Accounts for the log frames that came since the last call, without an event for each."""
        cost, period = self._cost[CAN], self._flood_us
        while self._flood_next <= now_us:
            if not self._queued:
                if self.free_at <= self._flood_next and cost < period:
                    last = self._flood_next + (now_us - self._flood_next) // period * period
                    self.free_at = last + cost
                    self._flood_next = last + period
                    return
                if max(self.free_at, self._flood_next) <= now_us:
                    if self.free_at > self._flood_next:
                        self._turn = CAN  # It had to wait its turn.
                    self.free_at = max(self.free_at, self._flood_next) + cost
                    self._flood_next += period
                    continue
            if len(self._queues[CAN]) < QUEUE_LIMIT:
                self._queues[CAN].append(None)
                self._queued += 1
            self._flood_next += period


def _nothing(_: Item) -> None:
    """Before ready nobody listens."""
