"""Placing failures and attackers in a script: at steps, near instants that matter, or anywhere.

Knows the catalogue only by its declarations.
"""

from __future__ import annotations

from dataclasses import dataclass

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
NOISY = ("brute", "flood", "half", "restbus", "garbage")
"""Families that send so much that they cost as much as ten others."""
WAITS_US = 3_000_000
MOST_DELAY = 40_000
BUSY_LIMITS_US = {"credential": 9_000_000, "can": 60_000_000, "serial": 60_000_000, "vehicle": 90_000_000}
PATIENT = ("server.", "network.", "phone.")
"""Modes that may last for days."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a failure of any mode.

    Attributes:
        start_us: from when on.
        end_us: until when; None: to the end.
        step: the protocol step it begins at, or "".
        nth: which time the step is reached.
    """

    start_us: int
    end_us: int | None
    step: str = ""
    nth: int = 1


def slot(source: Source, anchors: Anchors, last_us: int) -> Slot:
    """A place somewhere in a script whose last wish comes at `last_us`."""
    how = source.integer(0, 9)
    if how >= 7 and anchors.steps:
        step, count = source.choice(anchors.steps)
        nth = source.integer(1, min(count, MOST_NTH))
        end = None if source.integer(0, 2) == 2 else last_us + AFTER_US + time(source, 0, LONG_US)
        return Slot(0, end, step, nth)
    # Often from before anything happens.
    start = 0 if how <= 1 else anchors.instant(source, 0, last_us + AFTER_US)
    length = source.choice(("long", "short", "for ever", "to an instant"))
    if length == "for ever":
        return Slot(start, None)
    if length == "to an instant":
        end = anchors.instant(source, start, last_us + AFTER_US)
        if end > start:
            return Slot(start, end)
    return Slot(start, start + time(source, 10_000, LONG_US if length == "long" else SHORT_US))


def fault_in(place: Slot, name: str, params: tuple[tuple[str, int], ...], last_us: int) -> Fault:
    """A failure of one mode in a slot: states hold from the beginning, and nothing keeps lines busy for days."""
    mode = CATALOGUE[name]
    if mode.state:
        return Fault(name, 0, None, params)
    end = place.end_us
    if end is None and mode.condition:
        end = place.start_us + LONG_US
    limit = place.start_us + BUSY_LIMITS_US.get(mode.domain, BUSY_US)
    if (last_us + 2 * LONG_US if end is None else end) > limit and not name.startswith(PATIENT):
        end = limit
    return Fault(name, place.start_us, end, params, place.step, place.nth)


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
    if family in NOISY and source.integer(0, 3):
        family = FAMILIES[0]
    name = source.choice([kind for kind in KINDS if kind.startswith(family)])
    if source.integer(0, 2) == 0:
        at_us = last_us + AFTER_US + time(source, 0, LONG_US)
    else:
        at_us = anchors.instant(source, 0, last_us + AFTER_US)
    kind = KINDS[name]
    if kind.waits:
        # Whoever waits for a message must be there before it.
        at_us = max(0, at_us - WAITS_US)
    params = []
    for param in kind.params:
        if param.name == "count":
            params.append((param.name, max(param.low, source.choice((6, 6, 12, 40)))))
        elif source.integer(0, 1):
            params.append((param.name, source.integer(param.low, min(param.high, MOST_DELAY))))
    return Attack(name, at_us, tuple(params))
