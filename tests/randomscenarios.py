"""Random scenarios of every kind the suite makes, from a plain seed; for tests that want many."""

from __future__ import annotations

from rig import generate as g
from rig.scenario import Fault, Intent, Scenario

KINDS = 6


def scenario(seed: int) -> Scenario:
    """The scenario number `seed`; kinds take turns."""
    source = g.RandomSource(seed)
    phase_us = source.integer(0, 999_999)
    driver = g.carry(source)
    horizon_us = 45_000_000
    kind = seed % KINDS
    if kind == 0:
        spells = [g.fault_spell(source, 0, horizon_us) for _ in range(3)]
        at_us = g.time(source, 0, g.FIRST_INTENT_US)
        return g.ladder(source.choice(g.class_combinations()), spells, driver, at_us, phase_us)
    if kind == 1:
        faults = g.outer_faults(source, source.integer(1, 5), horizon_us)
        timeline = (*faults, Intent("unlock", g.time(source, 0, g.FIRST_INTENT_US)))
    elif kind == 2:
        some = [g.any_fault(source, horizon_us) for _ in range(source.integer(1, 2))]
        timeline = (*some, *g.wishes(source, source.integer(1, 3)))
    elif kind == 3:
        timeline = (g.any_fault(source, g.FIRST_INTENT_US), *g.quick_wishes(source))
    elif kind == 4:
        power = g.power_faults(source, g.FIRST_INTENT_US)
        last = max(f.end_us or 0 for f in power if isinstance(f, Fault))
        timeline = (*power, Intent("unlock", last + 1_000_000 + g.time(source, 0, 3_000_000), "card"))
    else:
        wishes = g.wishes(source, source.integer(1, 2))
        attacks = [g.attack(source, g.time(source, 0, horizon_us)) for _ in range(source.integer(1, 3))]
        timeline = (*wishes, *attacks, *g.power_faults(source, horizon_us // 2))
    return Scenario(seed=seed, carry=driver, phase_us=phase_us, timeline=timeline)
