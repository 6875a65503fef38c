"""Generates scenarios, from one generator with two sources of choices: a random generator, and Hypothesis.

Written on whole numbers and choices alone, so that Hypothesis can shrink what it draws.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from rig.faults import CATALOGUE, modes
from rig.faults.classes import CLASSES as BY_CLASS
from rig.faults.classes import members
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, Session, Via
from rig.world.attacker import KINDS

T = TypeVar("T")

GRID_US = 1_000
"""Times are drawn in whole ms; shifts of single µs come from `phase_us`."""
LADDER_US = 30_000_000
FIRST_INTENT_US = 12_000_000
"""Late enough that a fault may have begun and healed (10 s) before."""


class Source(Protocol):
    """Where choices come from."""

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included; low is the simplest."""

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""


class RandomSource:
    """Choices from `random.Random`."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        """Uniform."""
        return self._random.randint(low, high)

    def choice(self, options: Sequence[T]) -> T:
        """Uniform."""
        return options[self._random.randrange(len(options))]


class DrawnSource:
    """Choices that Hypothesis draws; give it a function that draws an integer between two bounds."""

    def __init__(self, draw_integer: Callable[[int, int], int]) -> None:
        self._draw = draw_integer

    def integer(self, low: int, high: int) -> int:
        """Shrinks towards `low`."""
        return self._draw(low, high)

    def choice(self, options: Sequence[T]) -> T:
        """Shrinks towards the first."""
        return options[self._draw(0, len(options) - 1)]


def carry(source: Source) -> Carry:
    """What the driver has; always a card here."""
    session: Session = source.choice(("cold", "warm"))
    return Carry(session=session)


def time(source: Source, low_us: int, high_us: int) -> int:
    """A time on the grid, in µs."""
    return source.integer(low_us // GRID_US, high_us // GRID_US) * GRID_US


def fault_spell(source: Source, low_us: int, high_us: int) -> tuple[int, int | None]:
    """Onset and end of a fault: sometimes short, sometimes long, sometimes for ever."""
    start = time(source, low_us, high_us)
    kind = source.choice(("for ever", "short", "long"))
    if kind == "for ever":
        return start, None
    longest = 2_000_000 if kind == "short" else high_us - low_us
    return start, start + time(source, 10_000, longest)


CLASSES = ("server", "network", "bluetooth")


def class_combinations() -> list[tuple[str | None, str | None, str | None]]:
    """The full product of the classes of modes of server, network and Bluetooth, none included.

    The modes of a class take turns, so that all of them come up, each in many combinations.
    """
    options = [(None, *(members(domain, name) for name in BY_CLASS[domain])) for domain in CLASSES]
    out: list[tuple[str | None, str | None, str | None]] = []
    turns: Counter[tuple[str, ...]] = Counter()

    def next_of(some: tuple[str, ...] | None) -> str | None:
        if some is None:
            return None
        turns[some] += 1
        return some[turns[some] % len(some)]

    for s in options[0]:
        for n in options[1]:
            out += [(next_of(s), next_of(n), next_of(b)) for b in options[2]]
    return out


def ladder(
    combination: Sequence[str | None],
    spells: Sequence[tuple[int, int | None]],
    driver: Carry,
    at_us: int,
    phase_us: int,
) -> Scenario:
    """A driver who goes up the ladder while the modes of a combination hold for their spells."""
    entries: list[Entry] = [
        Fault(mode, *spell) for mode, spell in zip(combination, spells, strict=True) if mode is not None
    ]
    entries.append(Intent("unlock", at_us))
    return Scenario(carry=driver, phase_us=phase_us, timeline=tuple(entries))


def outer_faults(source: Source, count: int, high_us: int) -> list[Entry]:
    """Faults of server, network, Bluetooth and phone, overlapping and flapping."""
    names = [n for domain in (*CLASSES, "phone") for n in modes(domain)]
    return [_fault(source, source.choice(names), high_us) for _ in range(count)]


def _fault(source: Source, name: str, high_us: int) -> Fault:
    if CATALOGUE[name].state:
        return Fault(name, 0, None)
    return Fault(name, *fault_spell(source, 0, high_us))


def wishes(source: Source, count: int) -> list[Entry]:
    """Intents one after the other, far enough apart that each can come to its end."""
    out: list[Entry] = []
    at_us = time(source, 0, FIRST_INTENT_US)
    via: Via
    for number in range(count):
        via = source.choice(("card", "bluetooth", "cloud", "ladder"))
        out.append(Intent("unlock" if number % 2 == 0 else "lock", at_us, via))
        at_us += (LADDER_US if via == "ladder" else 10_500_000) + time(source, 0, 4_000_000)
    return out


def quick_wishes(source: Source) -> list[Entry]:
    """Unlock and lock soon after each other, which shows what still runs from the first."""
    via: Via = source.choice(("bluetooth", "cloud"))
    second: Via = source.choice(("bluetooth", "cloud"))
    first_us = FIRST_INTENT_US
    gap = time(source, 1_500_000, 5_000_000)
    return [Intent("unlock", first_us, via), Intent("lock", first_us + gap, second)]


def any_fault(source: Source, high_us: int) -> Fault:
    """One fault of any mode of the catalogue."""
    return _fault(source, source.choice(tuple(CATALOGUE)), high_us)


def power_faults(source: Source, around_us: int) -> list[Entry]:
    """One or two supply faults around an instant."""
    out: list[Entry] = []
    at_us = max(0, around_us + time(source, 0, 4_000_000) - 2_000_000)
    for _ in range(source.integer(1, 2)):
        length = time(source, 1_000, 3_000_000)
        if source.choice(("reset", "dip")) == "reset":
            out.append(Fault("power.reset", at_us, at_us + length))
        else:
            mv = source.choice((8000, 7000, 6000, 3000))
            out.append(Fault("power.dip", at_us, at_us + length, (("mv", mv),)))
        at_us += length + time(source, 1_000, 2_000_000)
    return out


def attack(source: Source, at_us: int) -> Attack:
    """One move of the attacker."""
    kind = source.choice(tuple(KINDS))
    if kind.startswith("hold"):
        return Attack(kind, at_us, (("delay_ms", source.integer(1_000, 40_000)),))
    return Attack(kind, at_us)
