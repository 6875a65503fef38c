"""Placing failures and attackers in a script: at steps, near instants that matter, or anywhere.

Knows the catalogue only by its declarations.
"""

from __future__ import annotations

from dataclasses import replace

from rig.faults import CATALOGUE, Mode
from rig.generate import Source, time
from rig.scenario import Attack, Fault
from rig.search.anchors import Anchors
from rig.world.attacker import KINDS

SHORT_US = 2_000_000
LONG_US = 45_000_000
AFTER_US = 15_000_000
"""Failures may begin this long after the last wish was uttered: while it is pursued."""
MOST_NTH = 40
BUSY_US = 300_000_000
FAMILIES = tuple(dict.fromkeys(kind.partition("_")[0] for kind in KINDS))
PATIENT = ("server.", "network.", "phone.")
"""Modes that may last for days."""


def place(source: Source, name: str, anchors: Anchors, last_us: int) -> Fault:
    """A failure of one mode somewhere in a script whose last wish comes at `last_us`."""
    fault = _placed(source, CATALOGUE[name], anchors, last_us)
    end_us = last_us + 2 * LONG_US if fault.end_us is None else fault.end_us
    if end_us - fault.start_us > BUSY_US and not fault.mode.startswith(PATIENT):
        # What keeps lines busy for days takes as long to simulate and shows no more.
        return replace(fault, end_us=fault.start_us + BUSY_US)
    return fault


def _placed(source: Source, mode: Mode, anchors: Anchors, last_us: int) -> Fault:
    name = mode.name
    params = parameters(source, mode)
    if mode.state:
        return Fault(name, 0, None, params)
    how = source.integer(0, 9)
    if how >= 7 and anchors.steps:
        step, count = source.choice(anchors.steps)
        nth = source.integer(1, min(count, MOST_NTH))
        end = None if source.integer(0, 2) == 2 else last_us + AFTER_US + time(source, 0, LONG_US)
        return Fault(name, 0, end, params, step, nth)
    if how <= 1:
        start = 0  # from before anything happens
    else:
        start = anchors.instant(source, 0, last_us + AFTER_US)
    length = source.choice(("long", "short", "for ever", "to an instant"))
    if length == "for ever" and not mode.condition:
        return Fault(name, start, None, params)
    if length == "to an instant":
        end = anchors.instant(source, start, last_us + AFTER_US)
        if end > start:
            return Fault(name, start, end, params)
    longest = LONG_US if length == "long" else SHORT_US
    return Fault(name, start, start + time(source, 10_000, longest), params)


def parameters(source: Source, mode: Mode) -> tuple[tuple[str, int], ...]:
    """Its parameters: mostly as they are, else anything in their ranges, ends first."""
    out = []
    for param in mode.params:
        how = source.integer(0, 5)
        if how == 3:
            out.append((param.name, param.low))
        elif how == 4:
            out.append((param.name, param.high))
        elif how == 5:
            out.append((param.name, source.integer(param.low, param.high)))
    return tuple(sorted(out))


def attack(source: Source, anchors: Anchors, last_us: int) -> Attack:
    """One move of the attacker: near something that happens, or when all is over."""
    # Families first: many kinds of forgery must not crowd out the replays.
    family = source.choice(FAMILIES)
    name = source.choice([kind for kind in KINDS if kind.startswith(family)])
    if source.integer(0, 2) == 0:
        at_us = last_us + AFTER_US + time(source, 0, LONG_US)
    else:
        at_us = anchors.instant(source, 0, last_us + AFTER_US)
    if name.startswith("hold"):
        return Attack(name, max(0, at_us - 3_000_000), (("delay_ms", source.integer(1_000, 40_000)),))
    return Attack(name, at_us)
