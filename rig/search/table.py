"""The table: every mode and every kind of attack, each in the plain scripts where it matters most.

Small and always the same; what is rare among random scenarios is sure here. The rows that tell most come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rig.faults import CATALOGUE, NEEDS, Mode
from rig.faults.classes import CLASSES, members
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, Session, Via, Want, Who
from rig.world.attacker import KINDS

S = 1_000_000
WISH_US = 3 * S
HELD_US = 17 * S
"""Longer than anything the phone sends may live (10 s), so that what runs late runs too late."""
MONTH_US = 30 * 24 * 3600 * S
PATHS: tuple[Via, ...] = ("bluetooth", "cloud", "card")
PHONE: tuple[Via, ...] = ("bluetooth", "cloud")
RESET = Fault("power.reset", 5 * S, 5_200_000)
HARSH = ("power", "vehicle", "random")
"""Domains whose modes touch all paths."""
CHANGES: tuple[Want, ...] = ("revoke", "disable", "demote")


def table() -> list[Scenario]:
    """All rows, each once, those of `telling` first."""
    out = dict.fromkeys(row for part in telling() for row in part)
    for mode in CATALOGUE.values():
        out.update(dict.fromkeys(_plain(mode)))
    for number, mode in enumerate(_kinds_of_failure(1)):
        out.update(dict.fromkeys(_further(mode, "warm" if number % 2 else "cold")))
    for kind in KINDS:
        out.update(dict.fromkeys(_more_of(kind)))
    return list(out)


def telling() -> tuple[list[Scenario], ...]:
    """The rows that ask most in the least time: lives and attacks; harsh modes; one mode of every other kind."""
    parts: tuple[dict[Scenario, None], ...] = ({}, {}, {})
    lives, harsh, others = parts
    lives.update(dict.fromkeys(_lives()))
    for kind in KINDS:
        lives.update(dict.fromkeys(_attack(kind)))
    for number, mode in enumerate(_kinds_of_failure(0)):
        session: Session = "warm" if number % 2 else "cold"
        harsh[_hardest(mode, session)] = None
        (harsh if mode.domain in HARSH else others).update(dict.fromkeys(_first_of(mode, session)))
    seen: set[Scenario] = set()
    out = []
    for part in parts:
        out.append([row for row in part if row not in seen])
        seen.update(part)
    return tuple(out)


def _hardest(mode: Mode, session: Session) -> Scenario:
    """If a mode has one row only, this."""
    if mode.domain == "credential" and not mode.state:
        return _held(mode, session)[0]
    if mode.domain == "can":
        return _asleep(mode, session)
    return _plain(mode)[PATHS.index("card")]


def _kinds_of_failure(turn: int) -> Iterator[Mode]:
    """Every mode, but of those that fail alike one alone: the class's member whose turn it is."""
    alike = {}
    for domain, classes in CLASSES.items():
        for name in classes:
            some = members(domain, name)
            alike.update(dict.fromkeys(some, some[turn % len(some)]))
    for name, mode in CATALOGUE.items():
        if alike.get(name, name) == name:
            yield mode


def _scenario(session: Session, *entries: Entry) -> Scenario:
    return Scenario(carry=Carry(session=session), timeline=entries)


def _other_path(mode: Mode) -> Via:
    """The path of the phone that the mode does not touch, if there is one."""
    return "cloud" if mode.breaks & NEEDS["bluetooth"] else "bluetooth"


def _plain(mode: Mode) -> list[Scenario]:
    """A mode through a wish on each path, then one more."""
    lasting = Fault(mode.name, 0, None)
    other = _other_path(mode)
    return [
        _scenario("warm", lasting, Intent("unlock", WISH_US, via), Intent("lock", WISH_US + 4 * S, other))
        for via in PATHS
    ]


def _held(mode: Mode, session: Session) -> list[Scenario]:
    """A wish on each path while the mode holds, and until everything that was sent has expired."""
    held = Fault(mode.name, 0, HELD_US)
    return [_scenario(session, held, Intent("unlock", WISH_US, via)) for via in PATHS]


def _at_work(mode: Mode, session: Session) -> list[Scenario]:
    """It begins in the middle of a movement."""
    at_work = Fault(mode.name, 0, HELD_US, (), "motor.on")
    later = Intent("lock", WISH_US + 25 * S, _other_path(mode))
    return [_scenario(session, at_work, Intent("unlock", WISH_US, via), later) for via in PHONE]


def _brief(mode: Mode, session: Session) -> list[Scenario]:
    """It is over before a wish."""
    other = _other_path(mode)
    brief = Fault(mode.name, 0, 1_500_000)
    return [
        _scenario(session, brief, Intent("unlock", WISH_US, "card"), Intent("drive", WISH_US + 12 * S, other)),
        _scenario(session, brief, Intent("unlock", 4 * S, other)),
        Scenario(carry=Carry(session=session), doors="unlocked", timeline=(brief, Intent("lock", 4 * S, other))),
    ]


def _asleep(mode: Mode, session: Session) -> Scenario:
    """It comes while the vehicle sleeps, and then somebody."""
    return _scenario(session, Fault(mode.name, 65 * S, 85 * S), Intent("unlock", 70 * S, "card"))


def _first_of(mode: Mode, session: Session) -> list[Scenario]:
    plain = _plain(mode)
    if mode.state:
        return plain
    if mode.domain == "credential":
        return [*plain[:2], *_held(mode, session)[:2]]
    rows = [plain[PATHS.index("card")], plain[PATHS.index(_other_path(mode))], _brief(mode, session)[0]]
    if mode.domain in CLASSES:
        return rows
    return [*rows, _held(mode, session)[0], _at_work(mode, session)[0], _asleep(mode, session)]


def _further(mode: Mode, session: Session) -> list[Scenario]:
    if mode.state:
        return []
    other = _other_path(mode)
    out = _held(mode, session) + _at_work(mode, session) + _brief(mode, session) + [_asleep(mode, session)]
    for param in mode.params:
        for value in sorted({param.low, param.high} - {param.default}):
            extreme = Fault(mode.name, 0, HELD_US, ((param.name, value),))
            out.append(_scenario(session, extreme, Intent("unlock", WISH_US, other)))
            out.append(_scenario("warm", extreme, Intent("unlock", WISH_US, "card")))
    return out


def _channel(kind: str) -> Via:
    return "cloud" if KINDS[kind].channel == "cloud" else "bluetooth"


def _there_and_back(via: Via) -> Sequence[Intent]:
    return Intent("unlock", 500_000, via), Intent("lock", 3 * S, via)


def _attack(kind: str) -> list[Scenario]:
    """A kind of attack where it hurts most: around wishes on its own channel, and many times before another."""
    via = _channel(kind)
    gap_us = max(400_000, KINDS[kind].lasts_us(Attack(kind, 0)) + 1_200_000)
    attacks = [Attack(kind, gap_us * number) for number in range(6)]
    other: Via = "card" if KINDS[kind].channel == "bluetooth" else "bluetooth"
    out = [
        _scenario("warm", Attack(kind, 0), Intent("unlock", S, via), Intent("unlock", 40 * S, via)),
        _scenario("warm", *attacks, Intent("unlock", 6 * gap_us + 3 * S, other)),
        _scenario("cold", Attack(kind, S)),
    ]
    if not KINDS[kind].waits:
        out.append(_scenario("warm", *_there_and_back(via), Attack(kind, 6 * S)))
        out.append(_scenario("cold", *_there_and_back(via), RESET, Attack(kind, 7_500_000)))
    if KINDS[kind].channel not in PHONE:
        out.append(_scenario("warm", Intent("unlock", 500_000, "card"), Attack(kind, 36 * S)))
    return out


def _more_of(kind: str) -> list[Scenario]:
    """After an unlock and a lock, the same across a reset, after a relock, and before a wish; over both channels."""
    out: list[Scenario] = []
    for number, via in enumerate(PHONE):
        out.append(_scenario("warm", *_there_and_back(via), Attack(kind, 6 * S)))
        out.append(_scenario("cold", *_there_and_back(via), RESET, Attack(kind, 7_500_000)))
        out.append(_scenario("warm", Attack(kind, 0), Intent("unlock", S, via), Intent("unlock", 40 * S, via)))
        locked = Intent("lock", S, via)
        unlocks = Intent("unlock", 4 * S, "card")
        if number == 0:
            out.append(_scenario("warm", Intent("unlock", 500_000, via), Attack(kind, 36 * S)))
        else:
            out.append(Scenario(doors="unlocked", timeline=(Attack(kind, 0), locked, unlocks, Attack(kind, 7 * S))))
    out.append(_scenario("warm", Intent("unlock", 500_000, "card"), Attack(kind, 36 * S)))
    return out


def _lives() -> list[Scenario]:
    """Second unlocks, sleep, months, connections, resets, guests and their revocation, drives."""
    out: list[Scenario] = []
    first: Who
    second: Who
    for via in PATHS:
        for again in PHONE:
            out.append(_scenario("warm", Intent("unlock", 0, via), Intent("unlock", 15 * S, again)))
            out.append(_scenario("warm", Intent("unlock", 0, again), Intent("drive", 4 * S, again)))
        out.append(_scenario("warm", Intent("unlock", S, via), Intent("unlock", 4 * S, "card")))
        out.append(_scenario("warm", Intent("drive", 2 * S, via), Intent("lock", 140 * S, "bluetooth")))
        for away in ("network.car_offline", "common.tcu_dead"):
            out.append(_scenario("warm", Fault(away, 0), Intent("drive", WISH_US, via)))
        out.append(_scenario("warm", Intent("unlock", 75 * S, via)))
        out.append(_scenario("cold", Fault("server.500", 0), Intent("unlock", MONTH_US + S, via)))
        out.append(_scenario("cold", Fault("network.car_offline", 0), Intent("unlock", MONTH_US + S, via)))
        resets = (Fault("power.reset", S, 1_200_000), Fault("power.reset", 3 * S, 3_200_000))
        out.append(_scenario("cold", *resets, Intent("unlock", 4_600_000, via)))
        out.append(_scenario("cold", Intent("unlock", S, via), Fault("power.reset", 10 * S, 10_300_000)))
        late_reset = Fault("power.reset", 34 * S, 34_300_000)
        out.append(_scenario("warm", Intent("unlock", S, via), Intent("lock", 9 * S, "bluetooth"), late_reset))
        out.append(_scenario("warm", Fault("vehicle.speed_then_silent", 0, 90 * S), Intent("unlock", 70 * S, via)))
    for half_way, via in (("bluetooth.answer_lost", "bluetooth"), ("server.answer_lost", "cloud")):
        lost = Fault(half_way, 0, 8 * S)
        for again in PHONE:
            out.append(_scenario("warm", lost, Intent("unlock", S, via), Intent("unlock", 16 * S, again)))
    for change in CHANGES:
        for via in PHONE:
            for guest in PHONE:
                before = Intent("unlock", 0, guest, "guest")
                after = Intent("unlock", 20 * S, guest, "guest")
                out.append(_scenario("warm", before, Intent("lock", 4 * S, via), Intent(change, 12 * S, via), after))
                reset = Fault("power.reset", 15 * S, 15_200_000)
                out.append(_scenario("warm", Intent(change, 4 * S, via), reset, after))
                drives = Intent("drive", 0, guest, "guest")
                out.append(_scenario("warm", drives, Intent(change, 6 * S, via), after))
        for nth in range(1, 9):
            cut = Fault("power.cut_in_write", 3_500_000, 12 * S, (), "memory.write", nth)
            out.append(_scenario("warm", Intent(change, 4 * S, "bluetooth"), cut, Intent("unlock", 25 * S, "cloud")))
    for first, second in (("driver", "guest"), ("guest", "driver")):
        near = Intent("unlock", S, "bluetooth", first)
        out.append(_scenario("warm", near, Intent("lock", 2 * S, "bluetooth", second)))
        out.append(_scenario("cold", near, Intent("unlock", 3 * S, "bluetooth", second)))
    for via in PHONE:
        out.append(_scenario("warm", Intent("drive", S, via), Intent("lock", 40 * S, via)))
        out.append(_scenario("warm", Intent("drive", S, via), Intent("lock", 130 * S, via)))
        out.append(_scenario("warm", Intent("drive", S, via), Intent("unlock", 3 * S, "bluetooth", "guest")))
        out.append(_scenario("warm", Intent("unlock", S, "card"), Intent("lock", 131 * S, via)))
        wishes = [Intent("unlock" if n % 2 == 0 else "lock", 2_500_000 * n, via) for n in range(6)]
        out.append(_scenario("warm", *wishes))
    return out
