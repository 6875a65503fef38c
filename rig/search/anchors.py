"""Instants of a fault-free run that are worth breaking something at: frames, protocol steps, motors.

Knows nothing of which faults will be placed there.
"""

from __future__ import annotations

from dataclasses import dataclass

from rig.generate import GRID_US, Source
from rig.trace import Trace, number, word

WORTH = frozenset({"hand", "auth", "tap", "motor", "latch", "feedback", "told", "answer", "sign", "act"})
CHANNELS = frozenset({0x2A0, 0x2A8, 0x2B0, 0x2B8})
OFFSETS_US = (0, 1, -1, 1_000, -1_000, -20_000)
"""Just at, before and after; and 20 ms before: what a time-out or a debounce may be longer than."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Times in µs from the origin, and how often each step was reached."""

    times_us: tuple[int, ...]
    steps: tuple[tuple[str, int], ...]

    def instant(self, source: Source, low_us: int, high_us: int) -> int:
        """A time near something that happens, or any time if nothing does."""
        if not self.times_us or source.integer(0, 3) == 3:
            return source.integer(low_us // GRID_US, max(low_us, high_us) // GRID_US) * GRID_US
        return max(0, source.choice(self.times_us) + source.choice(OFFSETS_US))


NOTHING = Anchors((), ())


def anchors_of(trace: Trace, last_us: int) -> Anchors:
    """The instants of a healthy run, until `last_us` after its origin."""
    times: set[int] = set()
    steps: dict[str, int] = {}
    origin = trace.origin_us
    for event in trace.events:
        at_us = event[0] - origin
        if at_us < 0:
            continue
        if at_us > last_us or event[1] == "healed":
            break
        kind = event[1]
        if kind in WORTH or (kind == "can" and number(event, 2) in CHANNELS):
            times.add(at_us)
        elif kind == "step":
            times.add(at_us)
            steps[word(event, 2)] = steps.get(word(event, 2), 0) + 1
    return Anchors(tuple(sorted(times)), tuple(sorted(steps.items())))
