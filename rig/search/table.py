"""The table: every mode and every kind of attack, each in the plain scripts where it matters most.

Small and always the same; what is rare among random scenarios is sure here.
"""

from __future__ import annotations

from dataclasses import replace

from rig.faults import CATALOGUE, NEEDS, Mode
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, Session, Via, Want
from rig.world.attacker import KINDS

S = 1_000_000
WISH_US = 3 * S
HELD_US = 17 * S
"""Longer than anything the phone sends may live (10 s), so that what runs late runs too late."""
MONTH_US = 30 * 24 * 3600 * S
PATHS: tuple[Via, ...] = ("bluetooth", "cloud", "card")
PHONE: tuple[Via, ...] = ("bluetooth", "cloud")
RESET = Fault("power.reset", 5 * S, 5_200_000)
CHANGES: tuple[Want, ...] = ("revoke", "disable", "demote")


def table() -> list[Scenario]:
    """All rows."""
    out: list[Scenario] = []
    for number, mode in enumerate(CATALOGUE.values()):
        out += _mode(mode, "warm" if number % 2 else "cold")
    for kind in KINDS:
        out += _attack(kind)
    return out + _lives()


def _scenario(session: Session, *entries: Entry) -> Scenario:
    return Scenario(carry=Carry(session=session), timeline=entries)


def _mode(mode: Mode, session: Session) -> list[Scenario]:
    """A mode through a wish on each path, during two quick ones, in the middle of a movement, and before one."""
    other: Via = "cloud" if mode.breaks & NEEDS["bluetooth"] else "bluetooth"
    lasting = Fault(mode.name, 0, None)
    out = [
        _scenario("warm", lasting, Intent("unlock", WISH_US, via), Intent("lock", WISH_US + 4 * S, other))
        for via in PATHS
    ]
    if mode.state:
        return out
    held = Fault(mode.name, 0, HELD_US)
    out += [_scenario(session, held, Intent("unlock", WISH_US, via)) for via in PATHS]
    for param in mode.params:
        for value in {param.low, param.high} - {param.default}:
            extreme = replace(held, params=((param.name, value),))
            out.append(_scenario(session, extreme, Intent("unlock", WISH_US, other)))
            out.append(_scenario("warm", extreme, Intent("unlock", WISH_US, "card")))
    at_work = Fault(mode.name, 0, HELD_US, (), "motor.on")
    for via in PHONE:
        out.append(_scenario(session, at_work, Intent("unlock", WISH_US, via), Intent("lock", WISH_US + 25 * S, other)))
    brief = Fault(mode.name, 0, 1_500_000)
    out.append(_scenario(session, brief, Intent("unlock", WISH_US, "card"), Intent("drive", WISH_US + 12 * S, other)))
    out.append(_scenario(session, brief, Intent("unlock", 4 * S, other)))
    out.append(Scenario(carry=Carry(session=session), doors="unlocked", timeline=(brief, Intent("lock", 4 * S, other))))
    asleep = Fault(mode.name, 65 * S, 85 * S)
    out.append(_scenario(session, asleep, Intent("unlock", 70 * S, "card")))
    return out


def _attack(kind: str) -> list[Scenario]:
    """A kind of attack after an unlock and a lock, the same across a reset, after a relock, and before a wish."""
    out: list[Scenario] = []
    for number, via in enumerate(PHONE):
        there_and_back = (Intent("unlock", 500_000, via), Intent("lock", 3 * S, via))
        out.append(_scenario("warm", *there_and_back, Attack(kind, 6 * S)))
        out.append(_scenario("cold", *there_and_back, RESET, Attack(kind, 7_500_000)))
        out.append(_scenario("warm", Attack(kind, 0), Intent("unlock", S, via), Intent("unlock", 40 * S, via)))
        locked = Intent("lock", S, via)
        unlocks = Intent("unlock", 4 * S, "card")
        if number == 0:
            out.append(_scenario("warm", Intent("unlock", 500_000, via), Attack(kind, 36 * S)))
        else:
            out.append(Scenario(doors="unlocked", timeline=(Attack(kind, 0), locked, unlocks, Attack(kind, 7 * S))))
    out.append(_scenario("warm", Intent("unlock", 500_000, "card"), Attack(kind, 36 * S)))
    gap_us = max(400_000, KINDS[kind].lasts_us(Attack(kind, 0)) + 1_200_000)
    attacks = [Attack(kind, gap_us * number) for number in range(6)]
    via = "card" if KINDS[kind].channel == "bluetooth" else "bluetooth"
    out.append(_scenario("warm", *attacks, Intent("unlock", 6 * gap_us + 3 * S, via)))
    out.append(_scenario("cold", Attack(kind, S)))
    return out


def _lives() -> list[Scenario]:
    """Second unlocks, sleep, months, connections, resets, guests and their revocation, drives."""
    out: list[Scenario] = []
    for via in PATHS:
        for again in PHONE:
            out.append(_scenario("warm", Intent("unlock", 0, via), Intent("unlock", 15 * S, again)))
            out.append(_scenario("warm", Intent("unlock", 0, again), Intent("drive", 4 * S, again)))
        out.append(_scenario("warm", Intent("unlock", 75 * S, via)))
        out.append(_scenario("cold", Fault("server.500", 0), Intent("unlock", MONTH_US + S, via)))
        out.append(_scenario("cold", Fault("network.car_offline", 0), Intent("unlock", MONTH_US + S, via)))
        resets = (Fault("power.reset", S, 1_200_000), Fault("power.reset", 3 * S, 3_200_000))
        out.append(_scenario("cold", *resets, Intent("unlock", 4_600_000, via)))
        out.append(_scenario("cold", Intent("unlock", S, via), Fault("power.reset", 10 * S, 10_300_000)))
        late_reset = Fault("power.reset", 34 * S, 34_300_000)
        out.append(_scenario("warm", Intent("unlock", S, via), Intent("lock", 9 * S, "bluetooth"), late_reset))
        out.append(_scenario("warm", Fault("vehicle.speed_then_silent", 0, 90 * S), Intent("unlock", 70 * S, via)))
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
    for via in PHONE:
        out.append(_scenario("warm", Intent("drive", S, via), Intent("lock", 40 * S, via)))
        out.append(_scenario("warm", Intent("drive", S, via), Intent("lock", 130 * S, via)))
        out.append(_scenario("warm", Intent("drive", S, via), Intent("unlock", 3 * S, "bluetooth", "guest")))
        out.append(_scenario("warm", Intent("unlock", S, "card"), Intent("lock", 131 * S, via)))
        wishes = [Intent("unlock" if n % 2 == 0 else "lock", 2_500_000 * n, via) for n in range(6)]
        out.append(_scenario("warm", *wishes))
    return out
