"""Shrinks a failing scenario: fewer entries, then rounder times, as long as it still fails in the same way.

Deterministic; needs nothing but a question to ask of a scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, start_of

StillFails = Callable[[Scenario], bool]
GRAINS_US = (10_000_000, 5_000_000, 1_000_000, 500_000, 100_000, 10_000, 1_000)
MOST_RUNS = 400
MOST_FOR_PAIRS = 8
"""In longer timelines there are too many pairs to try them all."""


def shrink(scenario: Scenario, still_fails: StillFails, most_runs: int = MOST_RUNS) -> Scenario:
    """The smallest scenario found that still fails.

    Args:
        scenario: fails.
        still_fails: runs a scenario and says whether it fails in the same way.
        most_runs: bound on how often it is asked.
    """
    left = most_runs
    best = scenario
    progress = True
    while progress and left > 0:
        progress = False
        for candidate in _smaller(best):
            if left <= 0:
                break
            left -= 1
            if still_fails(candidate):
                best = candidate
                progress = True
                break
    return best


def _smaller(s: Scenario) -> Iterator[Scenario]:
    """Simpler neighbours, the most promising first."""
    entries = s.timeline
    size = len(entries)
    for width in (size // 2, size // 3):
        if width > 1:
            for start in range(0, size, width):
                yield replace(s, timeline=entries[:start] + entries[start + width :])
    if size > 1:
        for place in range(size):
            yield replace(s, timeline=entries[:place] + entries[place + 1 :])
    if 2 < size <= MOST_FOR_PAIRS:
        # Two that undo each other, such as an unlock and a lock, go only together.
        for one, two in combinations(range(size), 2):
            yield replace(s, timeline=tuple(e for p, e in enumerate(entries) if p not in (one, two)))
    if s.phase_us:
        yield replace(s, phase_us=0)
    if s.seed:
        yield replace(s, seed=0)
    if s.carry != Carry():
        yield replace(s, carry=Carry())
    earliest = min((start_of(e) for e in entries), default=0)
    if earliest:
        yield replace(s, timeline=tuple(_moved(e, -earliest) for e in entries))
    for place, entry in enumerate(entries):
        for simpler in _simpler(entry):
            yield replace(s, timeline=(*entries[:place], simpler, *entries[place + 1 :]))


def _moved(entry: Entry, by_us: int) -> Entry:
    if isinstance(entry, Fault):
        end = None if entry.end_us is None else max(0, entry.end_us + by_us)
        return replace(entry, start_us=max(0, entry.start_us + by_us), end_us=end)
    return replace(entry, at_us=max(0, entry.at_us + by_us))


def _simpler(entry: Entry) -> Iterator[Entry]:
    if isinstance(entry, Fault):
        if entry.params:
            yield replace(entry, params=())
        if entry.end_us is not None and not entry.mode.startswith("power."):
            yield replace(entry, end_us=None)
        for start in _rounder(entry.start_us):
            if entry.end_us is None or start <= entry.end_us:
                yield replace(entry, start_us=start)
        if entry.end_us is not None:
            for end in _rounder(entry.end_us):
                if end >= entry.start_us:
                    yield replace(entry, end_us=end)
        return
    if isinstance(entry, Intent):
        if entry.via == "ladder":
            for via in ("card", "bluetooth", "cloud"):
                yield replace(entry, via=via)
        for at in _rounder(entry.at_us):
            yield replace(entry, at_us=at)
        return
    assert isinstance(entry, Attack)
    for at in _rounder(entry.at_us):
        yield replace(entry, at_us=at)


def _rounder(us: int) -> Iterator[int]:
    """Rounder and not later times, the roundest first."""
    if us:
        yield 0
    for grain in GRAINS_US:
        if us % grain == 0:
            return
        yield us // grain * grain
