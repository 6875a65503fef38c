"""Properties over scripts, instants and combinations: timings are drawn once, and many combinations run with each.

A failing example shrinks to a scenario of few entries; the report has it with its replay command. Hypothesis climbs
towards the tightest margin.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings, target
from hypothesis import strategies as st

from fixtures.prover import Prover
from rig import generate
from rig.faults import CATALOGUE
from rig.model import Result
from rig.scenario import Entry, Scenario
from rig.search.anchors import Anchors
from rig.search.placing import Slot, attack, fault_in, slot
from rig.search.scripts import Script, script
from rig.search.space import class_product, pairs

COMBINATIONS = class_product()
PAIRS = pairs()
COMBINATIONS_AN_EXAMPLE = 8
STRIDE = 37
"""Prime: all combinations come up evenly."""

AnchorsOf = Callable[[Script], Anchors]
unhurried = settings(
    deadline=None, report_multiple_bugs=False, phases=(Phase.explicit, Phase.generate, Phase.target)
)
"""How long an example takes is the host's affair: a busy one must not fail the DUT.

One failure is enough, and not shrunk here: the rig shrinks scenarios itself, as a whole and for one requirement.
"""


@st.composite
def sources(draw: st.DrawFn) -> generate.DrawnSource:
    """A source of choices that Hypothesis shrinks."""
    return generate.DrawnSource(lambda low, high: draw(st.integers(low, high)))


def play(prove: Prover, plot: Script, entries: list[Entry]) -> Result:
    """Runs a script with entries added."""
    timeline = (*plot.intents, *entries)
    return prove(Scenario(plot.seed, plot.carry, plot.doors, plot.phase_us, timeline))


def tightest(results: list[Result]) -> float:
    """The smallest share of a limit that was left in any run, 1 if none was measured."""
    shares = [
        verdict.margin_us / verdict.limit_us
        for result in results
        for verdict in result.judgement.verdicts.values()
        if verdict.margin_us is not None and verdict.limit_us and verdict.outcome.good
    ]
    return min(shares, default=1.0)


@pytest.mark.requirement("AVL-1")
@pytest.mark.requirement("AVL-2", "AVL-3", "AVL-6", "AVL-10", coverage="partial")
@unhurried
@given(source=sources())
def test_driver_gets_in_whenever_things_fail(prove: Prover, anchors: AnchorsOf, source: generate.DrawnSource) -> None:
    """Combinations of server, network and Bluetooth modes in slots that are drawn once."""
    plot = script(source)
    instants = anchors(plot)
    slots = [slot(source, instants, plot.last_us) for _ in range(3)]
    first = source.integer(0, len(COMBINATIONS) - 1)
    results = []
    for step in range(COMBINATIONS_AN_EXAMPLE):
        combination = COMBINATIONS[(first + STRIDE * step) % len(COMBINATIONS)]
        results.append(play(prove, plot, _placed(combination, slots, plot)))
    target(-tightest(results), label="share of the limit that was used")


@pytest.mark.requirement("AVL-4", "AVL-5", "AVL-6", "AVL-8", "AVL-13", "SEC-5", "SEC-10", "STA-1", coverage="partial")
@unhurried
@given(source=sources())
def test_whatever_fails_elsewhere(prove: Prover, anchors: AnchorsOf, source: generate.DrawnSource) -> None:
    """Pairs of modes of any two domains in slots that are drawn once."""
    plot = script(source)
    instants = anchors(plot)
    slots = [slot(source, instants, plot.last_us) for _ in range(2)]
    first = source.integer(0, len(PAIRS) - 1)
    results = []
    for step in range(COMBINATIONS_AN_EXAMPLE):
        combination = PAIRS[(first + STRIDE * step) % len(PAIRS)]
        results.append(play(prove, plot, _placed(combination, slots, plot)))
    target(-tightest(results), label="share of the limit that was used")


@pytest.mark.requirement("SEC-1", "SEC-2", "SEC-3", "SEC-4", "SEC-5", coverage="partial")
@unhurried
@given(source=sources())
def test_attackers_gain_nothing(prove: Prover, anchors: AnchorsOf, source: generate.DrawnSource) -> None:
    """An attacker's moves drawn once, with failures that change from run to run."""
    plot = script(source)
    instants = anchors(plot)
    attacks: list[Entry] = [attack(source, instants, plot.last_us) for _ in range(source.integer(1, 3))]
    slots = [slot(source, instants, plot.last_us)]
    names = list(CATALOGUE)
    first = source.integer(0, len(names) - 1)
    play(prove, plot, attacks)
    for step in range(COMBINATIONS_AN_EXAMPLE - 1):
        name = names[(first + STRIDE * step) % len(names)]
        play(prove, plot, [*attacks, *_placed((name,), slots, plot)])


def _placed(combination: tuple[str, ...], slots: list[Slot], plot: Script) -> list[Entry]:
    return [fault_in(place, name, (), plot.last_us) for name, place in zip(combination, slots, strict=False)]
