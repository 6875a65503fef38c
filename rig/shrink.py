"""Shrinks a failing scenario: fewer entries, then plainer ones at rounder times, as long as it still fails alike.

Deterministic and bounded; needs nothing but a question to ask of a scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

from rig.judge.judge import Judgement
from rig.judge.verdicts import Outcome
from rig.ports import Unsupported
from rig.scenario import LONGEST_US, Attack, Carry, Entry, Fault, Intent, Scenario, ScenarioError, start_of

StillFails = Callable[[Scenario], bool]
Judge = Callable[[Scenario], Judgement]
GRAINS_US = (10_000_000, 5_000_000, 1_000_000, 500_000, 100_000, 10_000, 1_000)
"""Times that people read easily, the easiest first; whole seconds before all others."""
MOST_RUNS = 400
MOST_FOR_PAIRS = 8
"""In longer timelines there are too many pairs to try them all."""


def same_failure(judge: Judge, requirement: str, reference: Judge | None = None) -> StillFails:
    """The question whether a scenario fails the same requirement, and does so for the DUT's own fault.

    Args:
        judge: plays and judges a scenario on the DUT that fails.
        requirement: which it must fail, such as "AVL-4".
        reference: the same on a DUT known to be good, which must not fail it; None: not asked.
    """

    def fails(judged: Judge, scenario: Scenario) -> bool:
        try:
            verdict = judged(scenario).verdicts.get(requirement)
        except (ScenarioError, Unsupported):
            # A simplification that leaves no scenario at all, such as a parameter out of its range.
            return False
        return verdict is not None and verdict.outcome is Outcome.FAIL

    return lambda scenario: fails(judge, scenario) and (reference is None or not fails(reference, scenario))


def shrink(scenario: Scenario, still_fails: StillFails, most_runs: int = MOST_RUNS) -> Scenario:
    """The smallest scenario found that still fails.

    Args:
        scenario: fails.
        still_fails: runs a scenario and says whether it fails in the same way.
        most_runs: bound on how often it is asked; never twice of the same scenario.
    """
    best = scenario
    asked = {scenario}
    progress = True
    while progress:
        progress = False
        for candidate in _smaller(best):
            if candidate in asked:
                continue
            if len(asked) > most_runs:
                return best
            asked.add(candidate)
            if still_fails(candidate):
                best = candidate
                progress = True
                break
    return best


def _smaller(s: Scenario) -> Iterator[Scenario]:
    """Simpler neighbours, the most promising first; each is simpler by itself, so that this comes to an end."""
    entries = s.timeline
    size = len(entries)
    for width in dict.fromkeys((size // 2, size // 3, size // 4, size // 8)):
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
    yield from _plainer_world(s)
    earliest = min((start_of(e) for e in entries), default=0)
    if earliest:
        yield replace(s, timeline=tuple(_moved(e, -earliest) for e in entries))
    for place, entry in enumerate(entries):
        for plainer in _plainer(entry):
            yield replace(s, timeline=(*entries[:place], plainer, *entries[place + 1 :]))
    for place in range(1, size):
        # All that follows keeps its distances.
        for start in _rounder(start_of(entries[place])):
            by = start - start_of(entries[place])
            if start >= start_of(entries[place - 1]):
                yield replace(s, timeline=entries[:place] + tuple(_moved(e, by) for e in entries[place:]))
    for place, entry in enumerate(entries):
        for rounder in _rounder_times(entry):
            yield replace(s, timeline=(*entries[:place], rounder, *entries[place + 1 :]))


def _plainer_world(s: Scenario) -> Iterator[Scenario]:
    if s.phase_us:
        yield replace(s, phase_us=0)
    if s.seed:
        yield replace(s, seed=0)
    if s.carry != Carry():
        yield replace(s, carry=Carry())
        if s.carry.session != Carry().session:
            yield replace(s, carry=replace(s.carry, session=Carry().session))
        if s.carry.card != Carry().card:
            yield replace(s, carry=replace(s.carry, card=Carry().card))
    if s.doors != Scenario().doors:
        yield replace(s, doors=Scenario().doors)


def _moved(entry: Entry, by_us: int) -> Entry:
    if isinstance(entry, Fault):
        end = None if entry.end_us is None else max(0, entry.end_us + by_us)
        return replace(entry, start_us=max(0, entry.start_us + by_us), end_us=end)
    return replace(entry, at_us=max(0, entry.at_us + by_us))


def _plainer(entry: Entry) -> Iterator[Entry]:
    """The same entry with less to say."""
    if isinstance(entry, Intent):
        if entry.who != "driver":
            yield replace(entry, who="driver")
        if entry.via == "ladder":
            for via in ("card", "bluetooth", "cloud"):
                yield replace(entry, via=via)
        return
    if isinstance(entry, Fault):
        if entry.step:
            yield replace(entry, step="", nth=1)
        if entry.nth > 1:
            yield replace(entry, nth=1)
            yield replace(entry, nth=entry.nth - 1)
        if entry.end_us is not None and not entry.mode.startswith("power."):
            yield replace(entry, end_us=None)
    if entry.params:
        yield replace(entry, params=())
    for place, (name, value) in enumerate(entry.params):
        before, after = entry.params[:place], entry.params[place + 1 :]
        if len(entry.params) > 1:
            yield replace(entry, params=(*before, *after))
        for grain in (10_000, 1_000, 100, 10):
            if 0 < grain < value and value % grain:
                yield replace(entry, params=(*before, (name, value // grain * grain), *after))


def _rounder_times(entry: Entry) -> Iterator[Entry]:
    if not isinstance(entry, Fault):
        assert isinstance(entry, (Intent, Attack))
        for at in _rounder(entry.at_us):
            yield replace(entry, at_us=at)
        return
    for start in _rounder(entry.start_us):
        if entry.end_us is None or start <= entry.end_us:
            yield replace(entry, start_us=start)
    if entry.end_us is not None:
        for end in _rounder(entry.end_us):
            if end >= entry.start_us:
                yield replace(entry, end_us=end)


def _rounder(us: int) -> Iterator[int]:
    """Rounder times, the roundest first, below and above."""
    if us:
        yield 0
    for grain in GRAINS_US:
        if us % grain == 0:
            return
        yield us // grain * grain
        if us // grain * grain + grain <= LONGEST_US:
            yield us // grain * grain + grain
