"""Traces for the requirements on keys, epochs, session info, garbage and bad cards: good ones, bad ones, idle ones."""

from __future__ import annotations

from collections.abc import Callable

from rig.judge.verdicts import Verdict
from rig.scenario import Attack, Fault, Intent
from tests.judge.tape import EPOCH, Tape, us

S = 1_000_000
Case = Callable[[], Verdict]
OTHER = bytes(range(16))


def idle() -> Tape:
    """A wish by Bluetooth that comes true, and nothing else."""
    tape = Tape(Intent("unlock", 0, "bluetooth")).knows_the_clock(-0.1)
    return tape.acts(0, "bluetooth", warm=True).sends(0.1, "u").moves(0.3, "U")


def revoked(
    at_s: float, *, moved: bool = False, done: bool = False, what: str = "revoke", enrolled: bool = False
) -> Tape:
    """The owner's operation is answered at 1 s; the guest's command comes at `at_s`."""
    tape = Tape(Intent("revoke", 0, "bluetooth"), Intent("unlock", round(at_s * S), "bluetooth", "guest"))
    tape.knows_the_clock(0.1).sends(0.8, "r", command=what).add(1.0, "keyop", 0, "guest", what, 0)
    if enrolled:
        tape.sends(2.0, "e", command="enrol")
    tape.knows_the_clock(0.2, key="guest").sends(at_s, "g", index=1, key="guest")
    if done:
        tape.answers(at_s + 0.4, "g")
    return tape.moves(at_s + 0.2, "U") if moved else tape


def flawed(flaw: str, *, moved: bool = False, done: bool = False, key: str = "valet", command: str = "unlock") -> Tape:
    """A command with something wrong on purpose."""
    tape = Tape(Fault("credential.other_car", 0)).knows_the_clock(1.0, key=key, seconds=3)
    tape.sends(1.1, "v", index=-1001, key=key, flaw=flaw, command=command)
    if done:
        tape.answers(1.5, "v")
    return tape.moves(1.3, "U" if command == "unlock" else "L") if moved else tape


def listed(fault: int, flaw: str = "role") -> Tape:
    """An operation on the key list that a key without the right to it asked for."""
    return flawed(flaw, command="enrol").add(1.4, "keyop", -1001, "spare", "enrol", fault)


def booted(first: bytes, second: bytes) -> Tape:
    """Session info before a reset and after it."""
    tape = Tape(Fault("power.reset", 2 * S, 3 * S)).add(1.0, "clock", "phone", first, 3, us(0.9))
    return tape.add(5.0, "clock", "phone", second, 0, us(4.9))


def doubted(*attacks: Attack) -> Tape:
    return Tape(*attacks).knows_the_clock(1.0).add(1.0, "doubt", "phone", us(0.9))


def replayed_after_resync(moved: bool) -> Tape:
    """A replay after a reset and new session info."""
    tape = Tape(
        Intent("unlock", 0, "bluetooth"), Fault("power.reset", 3 * S, 4 * S), Attack("replay_bluetooth", 7 * S)
    )
    tape.knows_the_clock(0.0).sends(0.1, "u").moves(0.3, "U").answers(0.6, "u").turned_by_hand(2.0, "L")
    tape.add(6.0, "clock", "phone", OTHER, 1, us(5.9)).add(7.0, "attack", 0, "replay_bluetooth", "sent")
    tape.hands(7.0, "u", origin="replay")
    return tape.moves(7.2, "U") if moved else tape


def garbage(kind: str, *, moved: bool = False, booted_s: float | None = None) -> Tape:
    tape = Tape(Attack(kind, S)).add(1.0, "attack", 0, kind, "sent")
    if kind.startswith("flood"):
        tape.hands(1.0, "x", origin="malformed")
    if booted_s is not None:
        tape.add(booted_s, "boot", 2)
    return tape.moves(1.5, "U") if moved else tape


def bad_card(kind: str, moved: bool) -> Tape:
    tape = Tape(Attack(f"tap_{kind}", S)).add(1.0, "tap", -1, kind).add(1.0, "attack", 0, f"tap_{kind}", "held")
    tape.add(1.7, "untap", -1, kind)
    return tape.moves(1.5, "U") if moved else tape


def good_card(opens_s: float | None) -> Tape:
    """The driver's tap 4 s after a bad one."""
    tape = Tape(Attack("tap_unknown", S), Intent("unlock", 5 * S, "card")).add(1.0, "tap", -1, "unknown")
    tape.add(1.0, "attack", 0, "tap_unknown", "held").add(1.7, "untap", -1, "unknown").taps(5.0)
    return tape if opens_s is None else tape.moves(5.0 + opens_s - 0.15, "U")


CASES: dict[str, dict[str, list[Case]]] = {
    "SEC-6": {
        "pass": [
            lambda: revoked(2.0).verdict("SEC-6", 5),
            lambda: revoked(2.0, what="disable").verdict("SEC-6", 5),
            lambda: flawed("role", key="monitor").verdict("SEC-6", 5),
            lambda: flawed("disabled", key="disabled").verdict("SEC-6", 5),
        ],
        "fail": [
            lambda: revoked(2.0, moved=True).verdict("SEC-6", 5),
            lambda: revoked(2.0, moved=True, what="demote").verdict("SEC-6", 5),
            # Also when no door had to move, and for the authority to drive.
            lambda: revoked(2.0, done=True).verdict("SEC-6", 5),
            lambda: flawed("role", done=True, key="service", command="drive").verdict("SEC-6", 5),
            lambda: flawed("disabled", moved=True, key="disabled").verdict("SEC-6", 5),
            lambda: flawed("", moved=True, key="monitor").verdict("SEC-6", 5),
        ],
        "vacuous": [
            lambda: idle().verdict("SEC-6", 35),
            # Before the answer, and after the key is enrolled again, it may open.
            lambda: revoked(0.9, moved=True).verdict("SEC-6", 5),
            lambda: revoked(2.5, moved=True, enrolled=True).verdict("SEC-6", 5),
        ],
    },
    "SEC-7": {
        "pass": [lambda: flawed("vin").verdict("SEC-7", 5), lambda: flawed("domain").verdict("SEC-7", 5)],
        "fail": [
            lambda: flawed("vin", moved=True).verdict("SEC-7", 5),
            lambda: flawed("domain", done=True).verdict("SEC-7", 5),
            lambda: flawed("domain", done=True, command="drive").verdict("SEC-7", 5),
        ],
        "vacuous": [lambda: idle().verdict("SEC-7", 35)],
    },
    "SEC-8": {
        "pass": [lambda: booted(EPOCH, OTHER).verdict("SEC-8", 8)],
        "fail": [lambda: booted(EPOCH, EPOCH).verdict("SEC-8", 8)],
        "vacuous": [lambda: idle().verdict("SEC-8", 35)],
    },
    "SEC-9": {
        "pass": [
            lambda: idle().knows_the_clock(1.0).verdict("SEC-9", 35),
            lambda: replayed_after_resync(False).verdict("SEC-9", 10),
            # Where an attacker writes, a wrong tag may be his.
            lambda: doubted(Attack("forge_tag_cloud", 0)).verdict("SEC-9", 5),
        ],
        "fail": [
            lambda: doubted().verdict("SEC-9", 5),
            lambda: replayed_after_resync(True).verdict("SEC-9", 10),
        ],
        "vacuous": [lambda: Tape().verdict("SEC-9", 5)],
    },
    "SEC-11": {
        "pass": [lambda: listed(7).verdict("SEC-11", 5), lambda: flawed("unknown", key="spare").verdict("SEC-11", 5)],
        "fail": [
            lambda: listed(0).verdict("SEC-11", 5),
            lambda: flawed("unknown", key="spare", moved=True).verdict("SEC-11", 5),
        ],
        "vacuous": [lambda: idle().verdict("SEC-11", 35), lambda: revoked(2.0).verdict("SEC-11", 5)],
    },
    "SEC-12": {
        "pass": [
            lambda: garbage("flood_bluetooth").verdict("SEC-12", 5),
            lambda: garbage("garbage_serial").verdict("SEC-12", 5),
        ],
        "fail": [
            lambda: garbage("flood_bluetooth", moved=True).verdict("SEC-12", 5),
            lambda: garbage("garbage_cloud", moved=True).verdict("SEC-12", 5),
            lambda: garbage("garbage_serial", booted_s=2.0).verdict("SEC-12", 5),
            lambda: silent(1.2).verdict("SEC-12", 5),
        ],
        "vacuous": [lambda: idle().verdict("SEC-12", 35)],
    },
    "SEC-13": {
        "pass": [
            lambda: bad_card("unknown", False).verdict("SEC-13", 5),
            lambda: bad_card("foreign", False).verdict("SEC-13", 5),
            lambda: bad_card("torn", False).verdict("SEC-13", 5),
            lambda: good_card(0.5).verdict("SEC-13", 40),
        ],
        "fail": [
            lambda: bad_card("unknown", True).verdict("SEC-13", 5),
            lambda: bad_card("replay", True).verdict("SEC-13", 5),
            lambda: good_card(None).verdict("SEC-13", 40),
        ],
        "vacuous": [lambda: idle().verdict("SEC-13", 35)],
    },
}


def silent(for_s: float) -> Tape:
    """LockStatus stops for a while after garbage."""
    tape = garbage("flood_bluetooth").sends(0.5, "u").answers(0.7, "u")
    tape.cycle = False
    at = 0.0
    while at < 5.0:
        if not 1.2 < at < 1.2 + for_s:
            tape.add(at, "can", 0x1A0, bytes(8), "ecu")
        at += 0.1
    return tape
