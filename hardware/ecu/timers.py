"""The ECU's timers: one heap, deadlines in O(1).

Knows nothing of what the timers are for.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Timer:
    """One alarm; made by `Timers.timer`.

    Attributes:
        at: when it is due, in µs; None: not set.
        due: when it was due, the last time it fired.
        period_us: it only drives an idle cycle of this period, whose turns may be skipped; 0: it does not.
        cyclic: it drives an idle cycle.
    """

    __slots__ = ("at", "cyclic", "due", "fire", "period_us", "seq")

    def __init__(self, fire: Callable[[], None], period_us: int) -> None:
        self.fire = fire
        self.period_us = period_us
        self.cyclic = period_us > 0
        self.at: int | None = None
        self.due = 0
        self.seq = 0


class Timers:
    """All alarms of one running ECU; equal times fire in the order they were set."""

    __slots__ = ("_all", "_heap", "_seq")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._all: list[Timer] = []
        self._seq = 0

    def timer(self, fire: Callable[[], None], period_us: int = 0) -> Timer:
        """A new alarm that calls `fire`; not set yet."""
        timer = Timer(fire, period_us)
        self._all.append(timer)
        return timer

    def set(self, timer: Timer, at_us: int) -> None:
        """Sets the alarm, instead of what it was set to."""
        self._seq = seq = self._seq + 1
        timer.at = at_us
        timer.seq = seq
        heappush(self._heap, (at_us, seq, timer))

    def again(self, timer: Timer, now_us: int) -> None:
        """Sets a cyclic alarm that has fired for the next time on its own grid, however late it was."""
        period_us = timer.period_us
        late_us = (now_us - timer.due) // period_us * period_us
        self.set(timer, timer.due + late_us + period_us)

    def cancel(self, timer: Timer) -> None:
        """Unsets the alarm."""
        timer.at = None
        timer.seq = 0

    def top(self) -> Timer | None:
        """The alarm that is due first."""
        heap = self._heap
        while heap:
            _, seq, timer = heap[0]
            if timer.seq == seq:
                return timer
            heappop(heap)
        return None

    def pop(self) -> Timer:
        """Takes the alarm that is due first; `top` must have found one."""
        due, _, timer = heappop(self._heap)
        timer.due = due
        timer.at = None
        timer.seq = 0
        return timer

    def earliest_work(self) -> int | None:
        """When the first alarm that is not cyclic is due."""
        earliest: int | None = None
        for timer in self._all:
            at = timer.at
            if at is not None and not timer.period_us and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def pass_cyclic(self, end_us: int) -> None:
        """Lets cyclic alarms pass that are due before `end_us`: each is set to its first turn from then on.

        Among equal times they come in the order in which their last turns in the gap would have set them.
        """
        moved: list[tuple[int, int, int, Timer]] = []
        for timer in self._all:
            at, period_us = timer.at, timer.period_us
            if period_us and at is not None:
                if at < end_us:
                    at += -(-(end_us - at) // period_us) * period_us
                moved.append((at - period_us, timer.seq, at, timer))
        if len(moved) > 1:
            moved.sort()
        for _, _, at, timer in moved:
            self.set(timer, at)
