"""A time axis on which long quiet stretches are cut out, so that milliseconds and half minutes fit one picture.

Pure arithmetic: times in µs in, horizontal positions out; knows nothing of what is drawn.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

AROUND_US = 300_000
"""This much is shown before and after every instant that matters."""
QUIET_US = 2_000_000
"""A stretch without anything is cut out if it is longer than this."""
MOST_CUTS = 10
CUT_WIDTH = 30.0
"""Width of a cut, in pixels."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the axis: drawn to scale, or cut out."""

    start_us: int
    end_us: int
    x: float
    width: float
    cut: bool

    @property
    def span_us(self) -> int:
        """How much time it stands for."""
        return self.end_us - self.start_us


class Axis:
    """Maps times to positions.

    Args:
        instants_us: times at which something happens that must be seen.
        left: position of the first instant, in pixels.
        width: width of the whole axis, in pixels.
    """

    def __init__(self, instants_us: Iterable[int], left: float, width: float) -> None:
        shown = _shown(sorted(set(instants_us)) or [0])
        cuts = len(shown) - 1
        drawn_us = sum(end - start for start, end in shown)
        self.per_us = (width - cuts * CUT_WIDTH) / drawn_us
        self.left = left
        self.width = width
        self.stretches: list[Stretch] = []
        x = left
        for place, (start, end) in enumerate(shown):
            if place:
                before = shown[place - 1][1]
                self.stretches.append(Stretch(before, start, x, CUT_WIDTH, cut=True))
                x += CUT_WIDTH
            self.stretches.append(Stretch(start, end, x, (end - start) * self.per_us, cut=False))
            x += (end - start) * self.per_us
        self._starts = [s.start_us for s in self.stretches]

    @property
    def start_us(self) -> int:
        """The first time shown."""
        return self.stretches[0].start_us

    @property
    def end_us(self) -> int:
        """The last time shown."""
        return self.stretches[-1].end_us

    def x(self, t_us: int) -> float:
        """Position of a time; times outside the axis lie on its ends."""
        t_us = min(max(t_us, self.start_us), self.end_us)
        stretch = self.stretches[bisect_right(self._starts, t_us) - 1]
        return stretch.x + (t_us - stretch.start_us) / stretch.span_us * stretch.width

    def ticks(self, origin_us: int, apart: float = 70.0) -> list[int]:
        """Round times, seen from `origin_us`, at least `apart` pixels from each other."""
        step = next((s for s in _STEPS_US if s * self.per_us >= apart), _STEPS_US[-1])
        out: list[int] = []
        for stretch in self.stretches:
            if stretch.cut:
                continue
            first = -((origin_us - stretch.start_us) // step) * step
            t = origin_us + first
            while t <= stretch.end_us:
                if t >= stretch.start_us and (not out or self.x(t) - self.x(out[-1]) >= apart * 0.8):
                    out.append(t)
                t += step
        return out


_STEPS_US = tuple(m * 10**e for e in range(3, 11) for m in (1, 2, 5))


def _shown(instants: list[int]) -> list[tuple[int, int]]:
    """Stretches to draw: everything but the longest quiet ones."""
    windows: list[tuple[int, int]] = []
    for t in instants:
        start, end = t - AROUND_US, t + AROUND_US
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    gaps = sorted(
        ((b[0] - a[1], place) for place, (a, b) in enumerate(pairwise(windows)))
    )
    cut = {place for length, place in gaps[-MOST_CUTS:] if length > QUIET_US}
    out = [windows[0]]
    for place, window in enumerate(windows[1:]):
        if place in cut:
            out.append(window)
        else:
            out[-1] = (out[-1][0], window[1])
    return out
