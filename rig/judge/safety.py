"""Safety and truth: SAF-3 (relock) and AVL-10, AVL-13's second half (what the driver was told)."""

from __future__ import annotations

from rig.judge.facts import FAR_US, Facts, Movement
from rig.judge.security import Security
from rig.judge.verdicts import Outcome, Verdict

RELOCK_US = 30_000_000
TOLERANCE_US = 1_000_000
READY_US = 1_000_000
ASKED_US = 3_000_000
"""A lock movement this soon after a lock command or a tap was asked for."""
TOLD_BY_US = 10_000_000
KEYOPS = ("revoke", "disable", "demote", "enrol")
"""Wishes on the key list, which move nothing."""
LATE_TOLD_US = 50_000
"""What the phone needs to show a result after its deadline."""


class Safety:
    """Judges the relock."""

    def __init__(self, facts: Facts, security: Security, u_us: int) -> None:
        self._f = facts
        self._by_credential = security.by_credential
        self._u = u_us

    def verdicts(self) -> list[Verdict]:
        """One SAF-3 verdict for every time the doors were opened by a credential."""
        out: list[Verdict] = []
        opens = [m for m in self._f.movements if m.direction == "U"]
        locks = [m for m in self._f.movements if m.direction == "L"]
        for place, opened in enumerate(opens):
            next_open = opens[place + 1].start_us if place + 1 < len(opens) else FAR_US
            relock = next((m for m in locks if m.start_us > opened.start_us), None)
            verdict = self._judge(opened, relock, next_open)
            if verdict is not None:
                out.append(verdict)
        return out

    def _judge(self, opened: Movement, relock: Movement | None, next_open_us: int) -> Verdict | None:
        f = self._f
        if opened.start_us not in self._by_credential:
            return None
        if not any(s.start_us >= opened.start_us for s in f.unlocked):
            return None
        until = min(relock.start_us if relock else FAR_US, f.end_us)
        if relock is not None and (relock.start_us > next_open_us or self._asked_to_lock(relock.start_us)):
            return None
        sure, possible = self._bases(opened.start_us, until)
        if any(opened.start_us < s.at_us <= until and s.command == "lock" and not s.flaw for s in f.signed.values()):
            # Whether a lock command was done, and undone by the next unlock, the trace does not tell for sure.
            return None
        earliest = max(sure) + RELOCK_US - TOLERANCE_US
        latest = max(possible) + RELOCK_US + TOLERANCE_US
        if relock is None:
            if f.supply_at(f.end_us) < 9300 or f.end_us < latest + self._u:
                return None
            return Verdict("SAF-3", Outcome.FAIL, "no relock", None, RELOCK_US, opened.start_us)
        at = relock.start_us
        if earliest <= at <= latest:
            shut = f.first_in("lock", at)
            whole = shut is not None and shut - at <= TOLERANCE_US
            steady = (
                not any(at <= t <= at + TOLERANCE_US for t, _ in f.supplies)
                and next_open_us > at + TOLERANCE_US
            )
            if steady and not whole and f.end_us > at + TOLERANCE_US:
                return Verdict("SAF-3", Outcome.FAIL, "the relock left a door unlocked", None, RELOCK_US, at)
            near = min((abs(at - b - RELOCK_US), b) for b in possible)
            value = at - near[1]
            if not any(at - TOLERANCE_US - RELOCK_US <= b + self._u for b in possible):
                return Verdict("SAF-3", Outcome.FAIL, f"relock {value / 1e6:.3f} s after the last unlock", value,
                               RELOCK_US + TOLERANCE_US, at)  # fmt: skip
            sure_pass = earliest + self._u <= at <= latest - self._u
            outcome = Outcome.PASS if sure_pass or not self._u else Outcome.CONDITIONAL_PASS
            return Verdict("SAF-3", outcome, f"relock after {value / 1e6:.3f} s", value,
                           RELOCK_US + TOLERANCE_US, at)  # fmt: skip
        outcome = Outcome.FAIL
        if earliest - self._u <= at <= latest + self._u:
            outcome = Outcome.CONDITIONAL_FAIL
        return Verdict("SAF-3", outcome, f"relock {(at - opened.start_us) / 1e6:.3f} s after the doors opened",
                       at - opened.start_us, RELOCK_US + TOLERANCE_US, at)  # fmt: skip

    def _asked_to_lock(self, at_us: int) -> bool:
        f = self._f
        return any(
            s.command == "lock" and not s.flaw and at_us - ASKED_US <= s.at_us <= at_us for s in f.signed.values()
        ) or any(at_us - ASKED_US <= t <= at_us for t in f.auths)

    def _bases(self, start_us: int, until_us: int) -> tuple[list[int], list[int]]:
        """Instants from which the 30 s surely count, and all from which they may count."""
        f = self._f
        sure, possible = [start_us], [start_us]
        accepted = {digest: at for at, _channel, digest, fault in f.answers if fault == 0}
        for hand in f.hands:
            signed = f.signed.get(hand.digest)
            if (
                signed is None
                or signed.command != "unlock"
                or not hand.delivers
                or not start_us <= hand.at_us <= until_us
            ):
                continue
            possible += [hand.at_us, hand.at_us + 500_000]
            # A command with a bad lifetime must be refused; a DUT that takes it may well count from it.
            if not signed.flaw and accepted.get(hand.digest, 0) >= hand.at_us > start_us:
                sure.append(hand.at_us)
        possible += [t for t in f.auths if start_us <= t <= until_us]
        for at, mv in f.supplies:
            if start_us <= at <= until_us and mv >= 9300:
                sure.append(at)
                possible += [at, at + READY_US]
        return sure, possible


class Truth:
    """Judges what the driver was told against what the locks did."""

    def __init__(self, facts: Facts, security: Security, u_us: int) -> None:
        self._f = facts
        self._moved = security.used.keys() | security.locked_by.keys()
        self._u = u_us

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
            spans = f.spans("unlock" if what == "opened" else "lock")
            first = min((s.at_us for s in sent), default=at)
            true = any(s.start_us <= at + self._u and s.end_us >= first - self._u for s in spans)
            requirement = "AVL-10" if what == "opened" else "AVL-13"
            if not true:
                return Verdict(requirement, Outcome.FAIL, f"{said}, but the doors never were", None, None, at)
        elif what == "refused":
            forged = any(h.origin == "forge" for h in f.hands)
            if index in self._moved and not forged:
                return Verdict(
                    "AVL-10", Outcome.FAIL, f"{said}, but the command moved the locks", None, None, at
                )
        elif what == "unknown" and any(
            fault == 0 and t <= at and self._mine(digest, index) for t, _c, digest, fault in f.answers
        ):
            return Verdict("AVL-10", Outcome.FAIL, f"{said}, but the answer had arrived", None, None, at)
        return Verdict("AVL-10", Outcome.PASS, said, None, None, at)

    def _mine(self, digest: str, index: int) -> bool:
        signed = self._f.signed.get(digest)
        return signed is not None and signed.index == index
