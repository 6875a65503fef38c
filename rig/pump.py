"""The real-time host: pumps a kernel from an asyncio loop, so that the same actors run on the wall clock.

Kernel time is real monotonic µs since the start. Knows the kernel and asyncio, and nothing of edges: they
post what arrives.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys
import time
from collections import deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from heapq import heappush
from typing import Any, TypeVar

from rig.kernel import Kernel
from rig.kernel_errors import ActorError, Finished, Outside

T = TypeVar("T")

_YIELD_AFTER_US = 5_000
"""A pump that is always behind still lets the loop read its inputs this often."""


if sys.platform == "linux":

    class _Selector(selectors.EpollSelector):
        """Waits with `select`, which has µs, for `epoll`, which takes descriptors of any number and has whole ms."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """What is ready, as soon as something is or the time-out in seconds is over."""
            if timeout is None or timeout > 0:
                select.select((self.fileno(),), (), (), timeout)
            return super().select(0)

else:
    _Selector = selectors.SelectSelector


def realtime_loop() -> asyncio.SelectorEventLoop:
    """An event loop with timers of µs resolution (asyncio's own on Linux and uvloop have whole ms)."""
    return asyncio.SelectorEventLoop(_Selector())


class Pump:
    """Drives one kernel in real time; several pumps may share a loop.

    Attributes:
        stalls: (kernel time in µs, how late in µs) of each time this process did not keep up; a verdict on
            timing over a stall is inconclusive.
        lateness: how late in µs the first event of a tick was, of the last 10,000 ticks.
    """

    def __init__(self, kernel: Kernel, max_late: float = 0.02, grace: float = 0.005) -> None:
        """Prepares a pump.

        Args:
            kernel: the kernel; not yet run.
            max_late: lateness in seconds above which input is let in before anything that is overdue.
            grace: for how many seconds the kernel's clock is then held.
        """
        self.kernel = kernel
        self.stalls: list[tuple[int, int]] = []
        self.lateness: deque[int] = deque(maxlen=10_000)
        self._max_late_us = int(max_late * 1e6 + 0.5)
        self._grace = grace
        self._zero_ns = time.monotonic_ns()
        self._inbox: list[list[Any]] = []
        self._waiter: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._forgiven_us = -1

    def clock_us(self) -> int:
        """Real time on the kernel's scale; may run ahead of `kernel.now`, which is that of its last event."""
        return (time.monotonic_ns() - self._zero_ns) // 1000

    def run(self, coro: Coroutine[object, Any, T], until: float = 3600.0) -> T:
        """`drive` in a loop of its own (`realtime_loop`)."""
        with asyncio.Runner(loop_factory=realtime_loop) as runner:
            return runner.run(self.drive(coro, until))

    async def drive(self, coro: Coroutine[object, Any, T], until: float = 3600.0) -> T:
        """Runs the main actor in real time to its end, then closes the kernel, also when cancelled.

        Args:
            coro: the main actor.
            until: bound on the kernel's time in seconds.

        Raises:
            Deadlock: nothing is left to do, somebody waits, and no edge is open (`kernel.edges`).
            Horizon, Livelock, ActorError: as `Kernel.run`.
            Outside: somebody touched the kernel from outside by another door than `post`.
        """
        kernel = self.kernel
        root = kernel._begin(coro)
        kernel._host = self
        self._zero_ns = time.monotonic_ns() - kernel.now * 1000
        try:
            with _alarm(self):
                await self._pump(until)
            raise AssertionError("the pump stopped without a reason")
        except Finished:
            return root.outcome()
        finally:
            kernel._current = None  # an interrupt may have come between two steps
            kernel.close()
            self._inbox.clear()

    # The kernel's Host

    def arrive(self, entry: list[Any]) -> None:
        """Stamps what was posted and wakes the pump."""
        entry[0] = self.clock_us()
        self._inbox.append(entry)
        self.wake()

    def wake(self) -> None:
        """Ends the pump's wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Fails the run, for something that went wrong in the loop outside the kernel."""
        self._failure = self._failure or error
        self.wake()

    # The pump

    async def _pump(self, until: float) -> None:
        kernel = self.kernel
        until_us = int(until * 1e6 + 0.5)
        expected = yielded = self.clock_us()
        ticked = False
        kernel._outside = True
        while True:
            if kernel._misuse is not None:
                raise kernel._misuse
            if self._failure is not None:
                raise ActorError("a callback of the loop", kernel.now, self._failure) from self._failure
            clock = self.clock_us()
            due = kernel.next_event()
            stalled = clock - expected > self._max_late_us
            if stalled:
                self.stalls.append((expected, clock - expected))
            if due and clock - due > self._max_late_us and due > self._forgiven_us:
                # What arrived in time may still lie in the operating system: no time-out before it is in.
                if not stalled:
                    self.stalls.append((due, clock - due))
                await self._hold(due)
                expected = yielded = self.clock_us()
                continue
            if self._inbox:
                self._accept()
                due = kernel.next_event()
            if due is None and kernel.edges <= 0:
                raise kernel._stuck(until_us, until)
            if due is None or due > until_us:
                if clock >= until_us:
                    raise kernel._stuck_at(until_us, until)
                due = until_us
            if due > clock:
                # Never longer than max_late, so that a stall is seen even if no timer is due in it.
                expected = min(due, clock + self._max_late_us)
                await self._wait(expected - clock)
                yielded = self.clock_us()
                ticked = True
                continue
            if ticked and due:
                self.lateness.append(clock - due)
            ticked = False
            kernel._outside = False
            try:
                kernel._loop(max(due, kernel.now))
            finally:
                kernel._outside = True
            expected = clock
            if clock - yielded > _YIELD_AFTER_US:
                await asyncio.sleep(0)
                yielded = clock

    def _accept(self) -> None:
        """Puts what was posted among the deadlines, at the time it arrived."""
        kernel = self.kernel
        for entry in self._inbox:
            kernel._seq = entry[1] = kernel._seq + 1
            entry[0] = max(entry[0], kernel.now)
            heappush(kernel._heap, entry)
        self._inbox.clear()

    async def _hold(self, due: int) -> None:
        """Holds the kernel's clock at the overdue deadline; what comes in meanwhile goes before it."""
        kernel = self.kernel
        kernel.now = max(kernel.now, due)
        await asyncio.sleep(self._grace)
        await asyncio.sleep(0)
        kernel._jobs.extend(self._inbox)
        self._inbox.clear()
        # Deadlines up to here are of the same stall: holding for each would only make it longer.
        self._forgiven_us = self.clock_us()

    async def _wait(self, us: int) -> None:
        """Lets the loop run until woken, at most `us`."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_at(loop.time() + us / 1e6, self.wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None


class _Alarm:
    """A loop's exception handler that fails the pumped runs: a dead adapter must not look like silence."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.pumps: list[Pump] = []

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, Outside):
            for pump in self.pumps:
                pump.fail(error)
        if self.before is not None:
            self.before(loop, context)
        else:
            loop.default_exception_handler(context)


@contextmanager
def _alarm(pump: Pump) -> Iterator[None]:
    """Joins the alarm of the running loop; the first pump installs it, the last takes it away."""
    loop = asyncio.get_running_loop()
    alarm = loop.get_exception_handler()
    if not isinstance(alarm, _Alarm):
        alarm = _Alarm(alarm)
        loop.set_exception_handler(alarm)
    alarm.pumps.append(pump)
    try:
        yield
    finally:
        alarm.pumps.remove(pump)
        if not alarm.pumps and loop.get_exception_handler() is alarm:
            loop.set_exception_handler(alarm.before)
