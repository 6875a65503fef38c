"""Who may do what, when: the keys that came with the vehicle, and what its owners changed since.

A right is surely gone once the vehicle was heard to say so, and may be back as soon as an owner signed for it.
"""

from __future__ import annotations

from bisect import bisect_right

from rig.judge.facts import Facts, Signed

OPERATIONS = ("revoke", "disable", "demote", "enrol")
ACTIONS = frozenset({"unlock", "lock", "drive"})
_EVERYWHERE = {"bluetooth": ACTIONS, "cloud": ACTIONS}
RIGHTS: dict[str, dict[str, frozenset[str]]] = {
    "service": {"cloud": frozenset({"unlock", "lock"})},
    "fm": {"cloud": ACTIONS},
    "monitor": {},
    "disabled": {},
    "spare": {},
}
"""By key and channel (vehicle.md section 2); keys that are not named here have a driver's or owner's rights."""
UNDER_WAY_US = 31_000_000
"""A message may come so long after it was signed."""
OWNERS = frozenset({"phone", "keeper"})
FLAWS = {
    "vin": "SEC-7",
    "domain": "SEC-7",
    "role": "SEC-6",
    "disabled": "SEC-6",
    "unknown": "SEC-11",
    "counter": "SEC-2",
    "epoch": "SEC-2",
}
"""What is wrong with a command on purpose, and the requirement it then must be refused by. Lifetimes are judged by the
clock, not by their name."""


class Keys:
    """Rights over time."""

    def __init__(self, facts: Facts) -> None:
        self._changes: dict[str, list[tuple[int, bool]]] = {}
        subjects = {op.index: op.subject for op in facts.keyops}
        subjects |= {w.index: "guest" for w in facts.wishes if w.intent.want in OPERATIONS}
        operations = [s for s in facts.signed.values() if s.key in OWNERS and not s.flaw and s.command in OPERATIONS]
        enrolments: dict[str, list[Signed]] = {}
        for signed in operations:
            if signed.command == "enrol":
                # One of the second owner's that was never answered may be for any of its subjects.
                subject = subjects.get(signed.index)
                for name in (subject,) if subject is not None else ("valet", "spare"):
                    enrolments.setdefault(name, []).append(signed)
                    self._changes.setdefault(name, []).append((signed.at_us, True))
        for op in facts.keyops:
            if op.fault == 0 and op.what != "enrol":
                messages = [s for s in operations if s.index == op.index and s.command == op.what]
                under_way = [e for e in enrolments.get(op.subject, []) if e.at_us <= op.at_us]
                if not any(_may_follow(e, m) for e in under_way for m in messages):
                    self._changes.setdefault(op.subject, []).append((op.at_us, False))
        for changes in self._changes.values():
            changes.sort()

    def lost(self, key: str, at_us: int) -> bool:
        """Whether an owner has surely taken a key's rights by then, and asked for no others since."""
        changes = self._changes.get(key)
        if not changes:
            return False
        place = bisect_right(changes, at_us, key=lambda c: c[0])
        return place > 0 and not changes[place - 1][1]

    def _given(self, key: str, at_us: int) -> bool:
        changes = self._changes.get(key, [])
        place = bisect_right(changes, at_us, key=lambda c: c[0])
        return place > 0 and changes[place - 1][1]

    def wrong(self, signed: Signed, at_us: int) -> str:
        """The requirement by which a command that arrives then must be refused for what it is; "" for none."""
        if signed.flaw in FLAWS:
            if signed.flaw == "role" and signed.command in OPERATIONS:
                return "SEC-11"
            return FLAWS[signed.flaw]
        if self.lost(signed.key, at_us):
            return "SEC-6"
        rights = RIGHTS.get(signed.key)
        if rights is None or self._given(signed.key, at_us):
            return ""
        return "" if signed.command in rights.get(signed.channel, ()) else "SEC-6"


def _may_follow(enrolment: Signed, other: Signed) -> bool:
    """Whether a vehicle may carry out the one after the other, which was answered later than the one was signed."""
    if (enrolment.key, enrolment.epoch) == (other.key, other.epoch):
        return enrolment.counter > other.counter
    return enrolment.at_us > other.at_us - UNDER_WAY_US
