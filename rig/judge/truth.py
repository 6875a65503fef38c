"""Truth: AVL-10, and the second half of AVL-13: what the driver was told against what the vehicle did."""

from __future__ import annotations

from rig.judge.driving import Authority
from rig.judge.facts import DOORS, Facts
from rig.judge.security import Security
from rig.judge.verdicts import Outcome, Verdict

TOLD_BY_US = 10_000_000
KEYOPS = ("revoke", "disable", "demote", "enrol")
"""Wishes on the key list, which move nothing."""
PULSE_US = 200_000
"""A drive of 150 ms and its feedback (vehicle.md section 5)."""
LATE_TOLD_US = 50_000
"""What the phone needs to show a result after its deadline."""


class Truth:
    """Judges what the driver was told against what the locks did."""

    def __init__(self, facts: Facts, security: Security, authority: Authority, u_us: int) -> None:
        self._f = facts
        self._authority = authority
        locked = {index for index, start in security.locked_by.items() if self._came_to_something(start)}
        self._moved = (security.used.keys() | locked) - security.shared
        self._u = u_us

    def _came_to_something(self, start_us: int) -> bool:
        """Whether a movement to lock brought every latch there that it drove; else nobody need call it done."""
        movement = next(m for m in self._f.movements if m.start_us == start_us)
        after = movement.pulses[-1][0] + PULSE_US
        return all(self._f.latch_at(door, after) == "L" for door in movement.doors)

    def verdicts(self) -> list[Verdict]:
        """One AVL-10 verdict for every wish of which the driver was told something."""
        return [v for wish in self._f.wishes if (v := self._judge(wish.index)) is not None]

    def _judge(self, index: int) -> Verdict | None:
        f = self._f
        wish = f.wishes[index]
        if wish.intent.want in KEYOPS:
            return None
        if wish.told is None:
            if wish.intent.via == "card" or not f.ended:
                return None
            return Verdict(
                "AVL-10", Outcome.FAIL, f"intent {index}: the driver was never told", None, None, wish.at_us
            )
        at, what, detail = wish.told
        sent = [s for s in f.signed.values() if s.index == index and s.key == wish.phone]
        said = f"intent {index}: told {what!r} {detail}".rstrip()
        if at - wish.at_us > TOLD_BY_US + LATE_TOLD_US + self._u:
            return Verdict(
                "AVL-10", Outcome.FAIL, f"{said} after {(at - wish.at_us) / 1e6:.3f} s", None, None, at
            )
        if what in ("opened", "locked"):
            first = min((s.at_us for s in sent), default=at)
            spans = f.spans("unlock" if what == "opened" else "lock")
            true = any(s.start_us <= at + self._u and s.end_us >= first - self._u for s in spans)
            if what == "locked" and not true:
                true = self._shut_but_ajar(first - self._u, at + self._u)
            requirement = "AVL-10" if what == "opened" else "AVL-13"
            if not true and self._misled(first, at):
                return None
            if not true:
                return Verdict(requirement, Outcome.FAIL, f"{said}, but the doors never were", None, None, at)
        elif what == "driving":
            first = min((s.at_us for s in sent), default=at)
            if self._authority.surely_not(first, at):
                return Verdict("AVL-10", Outcome.FAIL, f"{said}, but nobody was authorised to drive", None, None, at)
        elif what == "refused":
            # What the attacker sends under a command's own return address is answered there too.
            forged = any(h.origin in ("forge", "malformed", "replay") for h in f.hands)
            if index in self._moved and not forged:
                return Verdict(
                    "AVL-10", Outcome.FAIL, f"{said}, but the command moved the locks", None, None, at
                )
        elif what == "unknown" and any(
            fault == 0 and t <= at and self._mine(digest, index) for t, _c, digest, fault in f.answers
        ):
            return Verdict("AVL-10", Outcome.FAIL, f"{said}, but the answer had arrived", None, None, at)
        return Verdict("AVL-10", Outcome.PASS, said, None, None, at)

    def _misled(self, start_us: int, end_us: int) -> bool:
        """Whether at some instant of an interval the feedback of a door was not what its latch was."""
        f = self._f
        return any(
            f.feedback_at(door, at) in ("L", "U") and f.feedback_at(door, at) != f.latch_at(door, at)
            for door in DOORS
            for at in (start_us, end_us, *(t for t, _ in f.latches[door] if start_us < t < end_us))
        )

    def _shut_but_ajar(self, start_us: int, end_us: int) -> bool:
        """Whether at some instant of an interval all doors were locked but those that stood open."""
        f = self._f
        moments = {start_us, *(at for at, _, _ in f.ajars)}
        moments.update(at for door in DOORS for at, _ in f.latches[door])
        for at in moments:
            if start_us <= at <= end_us:
                ajar = f.ajar_at(at)
                if ajar and all(door in ajar or f.latch_at(door, at) == "L" for door in DOORS):
                    return True
        return False

    def _mine(self, digest: str, index: int) -> bool:
        signed = self._f.signed.get(digest)
        return signed is not None and signed.index == index
