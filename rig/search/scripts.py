"""Scripts: what people want of a car in one run, and when; the plot that failures and attackers are added to.

Written on whole numbers and choices alone, so that a random generator and Hypothesis can both write one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rig.generate import Source, time
from rig.scenario import Carry, Doors, Intent, Session, Via, Want, Who

S = 1_000_000
PHONE_US = 10 * S
LADDER_US = 30 * S
ASLEEP_US = 62 * S
"""Longer than the DUT stays awake when nobody asks anything (60 s, vehicle.md section 5)."""
DAY_US = 24 * 3600 * S
VIAS: tuple[Via, ...] = ("bluetooth", "card", "cloud", "ladder")
PHONE_VIAS: tuple[Via, ...] = ("bluetooth", "cloud")


@dataclass(frozen=True, slots=True)
class Script:
    """What happens of people's own will.

    Attributes:
        carry: what the driver has.
        doors: how the plant starts.
        phase_us: shift against the idle cycles.
        seed: of the run's own chance.
        intents: the wishes, in order.
        plot: its kind, for those who count.
    """

    carry: Carry
    doors: Doors
    phase_us: int
    seed: int
    intents: tuple[Intent, ...]
    plot: str

    @property
    def last_us(self) -> int:
        """When the last wish is uttered."""
        return max((i.at_us for i in self.intents), default=0)


def script(source: Source) -> Script:
    """One script of any plot."""
    plot = source.choice(OFTEN)
    session: Session = source.choice(("cold", "warm"))
    doors: Doors = "unlocked" if plot != "nobody" and source.integer(0, 9) == 9 else "locked"
    start_us = time(source, 500_000, 4 * S)
    intents = PLOTS[plot](source, start_us, doors == "unlocked")
    return Script(
        Carry(session=session), doors, source.integer(0, 999_999), source.integer(0, 1 << 32), tuple(intents), plot
    )


def _one(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """A single wish."""
    return [Intent("lock" if unlocked else "unlock", at_us, source.choice(VIAS))]


def _two_vias(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """There and back: the second wish comes soon, or after the relock."""
    first, second = source.choice(VIAS), source.choice(VIAS)
    wants: tuple[Want, Want] = ("lock", "unlock") if unlocked else ("unlock", "lock")
    gap = _gap(source, first)
    return [Intent(wants[0], at_us, first), Intent(wants[1], at_us + gap, second)]


def _again(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """The same wish twice: the second finds it done, or the first half-done."""
    want: Want = "lock" if unlocked else "unlock"
    first, second = source.choice(VIAS), source.choice(VIAS)
    gap = source.choice((time(source, 11 * S, 28 * S), time(source, 1 * S, 10 * S)))
    return [Intent(want, at_us, first), Intent(want, at_us + gap, second)]


def _quick(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """Phone wishes within seconds of each other."""
    count = source.integer(2, 5)
    out: list[Intent] = []
    for number in range(count):
        want: Want = "unlock" if (number % 2 == 0) != unlocked else "lock"
        out.append(Intent(want, at_us, source.choice(PHONE_VIAS)))
        at_us += time(source, 1_200_000, 4 * S)
    return out


def _drive(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """Gets in and drives, or only drives; sometimes it is looked at again after two minutes."""
    via = source.choice(PHONE_VIAS)
    out = [Intent("drive", at_us, via)]
    if not unlocked and source.integer(0, 1):
        out = [Intent("unlock", at_us, source.choice(VIAS[:3])), Intent("drive", at_us + 6 * S, via)]
    if source.integer(0, 1):
        out.append(Intent("lock", out[-1].at_us + time(source, 3 * S, 130 * S), source.choice(PHONE_VIAS)))
    return out


def _rested(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """A wish of a vehicle that sleeps."""
    first = time(source, ASLEEP_US, ASLEEP_US + 30 * S)
    return [*_one(source, at_us + first, unlocked)]


def _guest(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """The guest comes, the owner changes the guest's key, the guest comes again."""
    change: Want = source.choice(("revoke", "disable", "demote"))
    vias: tuple[Via, ...] = ("bluetooth", "cloud")
    out: list[Intent] = []
    if source.integer(0, 1):
        out.append(Intent("unlock", at_us, source.choice(vias), "guest"))
        at_us += time(source, 3 * S, 12 * S)
    out.append(Intent(change, at_us, source.choice(vias)))
    at_us += time(source, 2 * S, 15 * S)
    out.append(Intent("unlock", at_us, source.choice(vias), "guest"))
    if source.integer(0, 2) == 2:
        at_us += time(source, 11 * S, 14 * S)
        out.append(Intent("enrol", at_us, source.choice(vias)))
        out.append(Intent("unlock", at_us + time(source, 3 * S, 12 * S), source.choice(vias), "guest"))
    return out


def _both(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """Driver and guest at about the same time."""
    want: Want = "lock" if unlocked else "unlock"
    who: Who = "guest"
    other: Want = source.choice((want, "unlock", "lock"))
    return [
        Intent(want, at_us, source.choice(VIAS)),
        Intent(other, at_us + time(source, 0, 3 * S), source.choice(PHONE_VIAS), who),
    ]


def _life(source: Source, at_us: int, unlocked: bool) -> list[Intent]:
    """A longer life: several wishes with pauses between seconds and days."""
    out: list[Intent] = []
    for number in range(source.integer(3, 4)):
        want: Want = "unlock" if (number % 2 == 0) != unlocked else "lock"
        via = source.choice(VIAS)
        out.append(Intent(want, at_us, via))
        at_us += _gap(source, via) + source.choice((0, 0, ASLEEP_US, DAY_US, 30 * DAY_US // 6))
    return out


def _nobody(_source: Source, _at_us: int, _unlocked: bool) -> list[Intent]:
    """Nobody wants anything."""
    return []


def _gap(source: Source, via: Via) -> int:
    kind = source.choice(("done", "soon", "late"))
    if kind == "soon":
        return time(source, 1_500_000, 8 * S)
    done = LADDER_US if via == "ladder" else PHONE_US
    return done + time(source, 500_000, 6 * S) + (25 * S if kind == "late" else 0)


Plot = Callable[[Source, int, bool], list[Intent]]
PLOTS: dict[str, Plot] = {
    "one": _one,
    "there and back": _two_vias,
    "again": _again,
    "quick": _quick,
    "drive": _drive,
    "rested": _rested,
    "guest": _guest,
    "both": _both,
    "life": _life,
    "nobody": _nobody,
}
OFTEN = (
    "one", "one", "one", "one", "one", "there and back", "there and back", "there and back", "quick", "quick", "again",
    "again", "drive", "rested", "guest", "both", "life", "nobody",
)  # fmt: skip
"""Plain ones are cheap, and find most."""
