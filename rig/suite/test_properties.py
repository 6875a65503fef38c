"""Properties over onsets, ends and orders: timings are drawn, and many mode combinations run with each.

A failing example shrinks to a scenario of few entries; the report has it with its replay command.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.prover import Prover
from rig import generate
from rig.scenario import Fault, Intent, Scenario, Via

COMBINATIONS = generate.class_combinations()
COMBINATIONS_AN_EXAMPLE = 8
HORIZON_US = 45_000_000

unhurried = settings(deadline=None)
"""How long an example takes is the host's affair: a busy one must not fail the DUT."""


@st.composite
def sources(draw: st.DrawFn) -> generate.DrawnSource:
    """A source of choices that Hypothesis shrinks."""
    return generate.DrawnSource(lambda low, high: draw(st.integers(low, high)))


def phase(source: generate.Source) -> int:
    """A phase of the idle cycles, in µs."""
    return source.integer(0, 999_999)


@pytest.mark.requirement("AVL-1", "AVL-2", "AVL-3", "AVL-10")
@unhurried
@given(data=st.data())
def test_driver_gets_in_whenever_things_fail(prove: Prover, data: st.DataObject) -> None:
    """Modes of the three classes begin and end at any instant around the ladder."""
    source = generate.DrawnSource(lambda low, high: data.draw(st.integers(low, high)))
    driver = generate.carry(source)
    spells = [generate.fault_spell(source, 0, HORIZON_US) for _ in range(3)]
    at_us = generate.time(source, 0, generate.FIRST_INTENT_US)
    phase_us = phase(source)
    first = source.integer(0, len(COMBINATIONS) - 1)
    for step in range(COMBINATIONS_AN_EXAMPLE):
        # 37 is prime to 150: all combinations come up evenly.
        combination = COMBINATIONS[(first + 37 * step) % len(COMBINATIONS)]
        prove(generate.ladder(combination, spells, driver, at_us, phase_us))


@pytest.mark.requirement("AVL-1", "AVL-10", "SEC-5")
@unhurried
@given(source=sources())
def test_driver_gets_in_while_things_flap(prove: Prover, source: generate.DrawnSource) -> None:
    """Several overlapping spells of outer modes, the same mode more than once."""
    driver = generate.carry(source)
    faults = generate.outer_faults(source, source.integer(1, 5), HORIZON_US)
    at_us = generate.time(source, 0, generate.FIRST_INTENT_US)
    phase_us = phase(source)
    prove(Scenario(carry=driver, phase_us=phase_us, timeline=(*faults, Intent("unlock", at_us))))


@pytest.mark.requirement("AVL-2", "AVL-3", "AVL-4", "AVL-5", "AVL-13")
@unhurried
@given(source=sources())
def test_wishes_come_true_whatever_fails_elsewhere(prove: Prover, source: generate.DrawnSource) -> None:
    """One or two faults of any domain and up to three wishes, one after the other."""
    driver = generate.carry(source)
    faults = [generate.any_fault(source, HORIZON_US) for _ in range(source.integer(1, 2))]
    wishes = generate.wishes(source, source.integer(1, 3))
    prove(Scenario(carry=driver, phase_us=phase(source), timeline=(*faults, *wishes)))


@pytest.mark.requirement("AVL-5", "AVL-13")
@unhurried
@given(source=sources())
def test_quick_wishes_do_not_wait_for_each_other(prove: Prover, source: generate.DrawnSource) -> None:
    """Unlock and lock within seconds, while something fails elsewhere."""
    driver = generate.carry(source)
    fault = generate.any_fault(source, generate.FIRST_INTENT_US)
    prove(Scenario(carry=driver, phase_us=phase(source), timeline=(fault, *generate.quick_wishes(source))))


@pytest.mark.requirement("AVL-8", "SEC-10", "SAF-3", "STA-1")
@unhurried
@given(source=sources())
def test_supply_failures_at_any_instant(prove: Prover, source: generate.DrawnSource) -> None:
    """Resets and dips before, during and after an attempt, and in the middle of a motor pulse."""
    driver = generate.carry(source)
    first = generate.FIRST_INTENT_US
    via: Via = source.choice(("card", "bluetooth", "cloud"))
    power = generate.power_faults(source, first)
    last = max(f.end_us or 0 for f in power if isinstance(f, Fault))
    again_us = last + 1_000_000 + generate.time(source, 0, 3_000_000)
    entries = [*power, Intent("unlock", again_us, "card")]
    if again_us > first + 8_000_000 or source.choice((True, False)):
        entries = [*power, Intent("unlock", first, via)]
    prove(Scenario(carry=driver, phase_us=phase(source), timeline=tuple(entries)))


@pytest.mark.requirement("SEC-1", "SEC-2", "SEC-3", "SEC-4", "SEC-5")
@unhurried
@given(source=sources())
def test_attackers_gain_nothing(prove: Prover, source: generate.DrawnSource) -> None:
    """Wishes, faults and the attacker's moves in any order."""
    driver = generate.carry(source)
    wishes = generate.wishes(source, source.integer(1, 2))
    attacks = [
        generate.attack(source, generate.time(source, 0, HORIZON_US)) for _ in range(source.integer(1, 3))
    ]
    faults = [generate.any_fault(source, HORIZON_US) for _ in range(source.integer(0, 2))]
    if source.choice((False, True)):
        faults += [f for f in generate.power_faults(source, HORIZON_US // 2) if isinstance(f, Fault)]
    prove(Scenario(carry=driver, phase_us=phase(source), timeline=(*wishes, *attacks, *faults)))
