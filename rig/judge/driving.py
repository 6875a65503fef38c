"""Driving: DRV-1 and DRV-2, the authority to drive as LockStatus tells of it, against who could have given it."""

from __future__ import annotations

from dataclasses import dataclass

from rig.judge.facts import FAR_US, Facts
from rig.judge.oracle import PULSE_COST_US, Oracle
from rig.judge.status import Decode
from rig.judge.verdicts import Outcome, Verdict, within
from rig.trace import number, octets

GRANTED_US = 1_000_000
LAPSES_US = 120_000_000
CLOSED_US = 2_000_000
TOLD_US = 130_000
"""What LockStatus may add: a cycle of at most 110 ms, and its way across the bus."""
CLOCK_EDGE_US = 1_000_000
"""Within this of a clock's edge nothing is judged (requirements: edges)."""
TAP_US = 2_000_000
"""A tap that locks has moved the locks, or begun to, by then."""
ON_LINE_US = 1_000_000
"""A message that is handed over begins to cross the bus by then."""
OPENED, CLOSED = 0x80, 0xC0
FIRST_FRAME, SINGLE_SIGNAL = 0x10, 0x01
REVOKING = ("revoke", "disable", "demote")
OFF_MV, BOOT_MV = 6500, 9300


@dataclass(frozen=True, slots=True)
class Grant:
    """Something after which somebody may have been authorised.

    Attributes:
        at_us: when it reached the DUT at the earliest.
        key: whose it was.
        until_us: when it has surely lapsed, but for what LockStatus needs to tell.
        path: "card", "cloud" or "bluetooth".
    """

    at_us: int
    key: str
    until_us: int
    path: str


class Authority:
    """What LockStatus said of the authority to drive, and what it may have rested on."""

    def __init__(self, facts: Facts, oracle: Oracle, decode: Decode) -> None:
        self._f = facts
        # What silences a DUT; frames that were skipped meanwhile were none.
        mutes = [s for s in oracle.spells if s.mode.domain in ("can", "power", "common")]
        self.gaps: list[tuple[int, int]] = []
        """When it was not there to see: from the last frame before to the first after."""
        self.said: list[tuple[int, bool]] = []
        """When LockStatus began to say so; before the first: not authorised."""
        told: dict[bytes, bool] = {}
        last = False
        seen_us = skipped_us = facts.origin_us
        for event in facts.frames:
            at = event[0]
            blind = at - skipped_us > 2 * TOLD_US
            if event[1] != "can":
                # In skipped time what was said before it went on being said, if it is said after it, too.
                if not blind and not any(s.start_us <= at < s.end_us for s in mutes):
                    skipped_us = at + number(event, 2)
                continue
            data = octets(event, 3)
            if blind:
                self.gaps.append((seen_us, at))
            seen_us = skipped_us = at
            now = told.get(data)
            if now is None:
                now = told[data] = len(data) == 8 and decode(data).get("DriveAuthorised", 0) != 0
            if now != last:
                self.said.append((at, now))
                last = now
        if facts.end_us - skipped_us > 2 * TOLD_US:
            self.gaps.append((seen_us, FAR_US))

    @property
    def ever(self) -> bool:
        """Whether anybody was authorised at all."""
        return bool(self.said)

    def first_from(self, at_us: int) -> int | None:
        """The first instant from `at_us` on at which LockStatus said that somebody may drive."""
        for place, (start, on) in enumerate(self.said):
            end = self.said[place + 1][0] if place + 1 < len(self.said) else FAR_US
            if on and end > at_us:
                return max(start, at_us)
        return None

    def surely_not(self, start_us: int, end_us: int) -> bool:
        """Whether LockStatus was there to see throughout an interval, and never said that somebody may drive."""
        until = end_us + TOLD_US
        if any(gone <= until and back >= start_us for gone, back in self.gaps):
            return False
        found = self.first_from(start_us)
        return found is None or found > until


class Driving:
    """Judges who is told to be allowed to drive."""

    def __init__(self, facts: Facts, oracle: Oracle, authority: Authority, u_us: int) -> None:
        self._f = facts
        self._o = oracle
        self._a = authority
        self._u = u_us
        self._dark: list[tuple[int, int]] = []
        """When the DUT is without supply or boots, and says nothing."""
        off = FAR_US
        for at, mv in facts.supplies:
            if mv < OFF_MV:
                off = min(off, at)
            elif mv >= BOOT_MV and off < FAR_US:
                self._dark.append((off, at + GRANTED_US))
                off = FAR_US
        if off < FAR_US:
            self._dark.append((off, FAR_US))

    def verdicts(self) -> list[Verdict]:
        """DRV-1 for every tap that does not lock and every command in a session; DRV-2 for every lapse."""
        f = self._f
        if not (f.auths or self._a.ever or any(s.command == "drive" for s in f.signed.values())):
            return []
        out = self._taps() + self._commands()
        if self._a.ever:
            grants = self._grants()
            out += self._unfounded(grants)
            out += self._lapses(grants)
        return out

    # -- DRV-1 -------------------------------------------------------------------------------------

    def _taps(self) -> list[Verdict]:
        f, o = self._f, self._o
        out: list[Verdict] = []
        for at, index, card in f.taps:
            if index < 0 or card not in ("driver", "guest"):
                continue
            if not any(at <= t <= at + GRANTED_US for t in f.auths):
                continue
            end = at + GRANTED_US
            locks = any(m.direction == "L" and at <= m.start_us <= at + TAP_US for m in f.movements)
            unlocks = any(m.direction == "U" and at <= m.start_us <= at + TAP_US for m in f.movements)
            # A tap on locked doors never locks; one on doors that have just opened may not have had to move them.
            if locks or not unlocks or not self._visible(at, end) or not o.viable("card", at, end):
                continue
            if any(at - TAP_US <= t < at for t in f.auths) or f.end_us < end + TOLD_US:
                continue
            out.append(self._granted(at, end, "a tap that does not lock"))
        return out

    def _commands(self) -> list[Verdict]:
        f, o = self._f, self._o
        out: list[Verdict] = []
        barred = any(op.what in REVOKING for op in f.keyops)
        for wish in f.wishes:
            if wish.intent.want != "drive" or not wish.warm or (wish.intent.who == "guest" and barred):
                continue
            own = [
                s for s in f.signed.values()
                if s.index == wish.index and s.key == wish.phone and s.command == "drive" and s.channel == "bluetooth"
            ]  # fmt: skip
            if not own:
                continue
            at = min(s.at_us for s in own)
            end = at + GRANTED_US
            reset = o.reset_between(f.session_us(wish.phone, at), end)
            if reset or not self._visible(at, end) or f.end_us < end + TOLD_US:
                continue
            if o.viable("bluetooth", at - GRANTED_US, end) and not o.clumsy(at):
                out.append(self._granted(at, end, "the command in a session"))
        return out

    def _visible(self, start_us: int, end_us: int) -> bool:
        """Whether the bus carries LockStatus, and the DUT is up."""
        return not any(
            ("can" in s.mode.breaks or "power" in s.mode.breaks or s.mode.name == "can.log_flood")
            and s.start_us <= end_us + TOLD_US
            and s.end_us + 2 * GRANTED_US >= start_us
            for s in self._o.spells
        )

    def _granted(self, at_us: int, end_us: int, what: str) -> Verdict:
        limit = GRANTED_US + PULSE_COST_US * self._o.stuck_pulses(at_us, end_us)
        found = self._a.first_from(at_us)
        if found is None:
            return Verdict("DRV-1", Outcome.FAIL, f"driving never authorised after {what}", None, limit, at_us)
        return within("DRV-1", found - at_us, limit, self._u, at_us, f"driving authorised after {what}")

    # -- DRV-2 -------------------------------------------------------------------------------------

    def _grants(self) -> list[Grant]:
        f = self._f
        out = [Grant(t, "card", t + GRANTED_US + LAPSES_US, "card") for t in f.auths]
        for hand in f.hands:
            signed = f.signed.get(hand.digest)
            if signed is None or signed.command != "drive" or signed.flaw or signed.channel != hand.channel:
                continue
            gone = min(
                (o.at_us for o in f.keyops
                 if o.subject == signed.key and o.what in REVOKING and o.fault == 0 and o.at_us >= hand.at_us),
                default=FAR_US,
            )  # fmt: skip
            if hand.channel == "cloud":
                lapsed = hand.at_us + 2 * ON_LINE_US + LAPSES_US
            else:
                lapsed = self._closed(hand.at_us)
            out.append(Grant(hand.at_us, signed.key, min(gone, lapsed), hand.channel))
        return out

    def _closed(self, at_us: int) -> int:
        """By when what was authorised over the connection of a message handed over then has lapsed."""
        f = self._f
        handles = {
            octets(e, 3)[2] for e in f.links
            if at_us <= e[0] <= at_us + ON_LINE_US and octets(e, 3)[0] & 0xF0 == FIRST_FRAME
        }  # fmt: skip
        last = 0
        for handle in handles:
            ends = [
                e[0] for e in f.links
                if e[0] > at_us and octets(e, 3)[0] == SINGLE_SIGNAL
                and octets(e, 3)[1] in (OPENED | handle, CLOSED | handle)
            ]  # fmt: skip
            heard = [t for t in ends if not self._deaf(t)]
            last = max(last, min(heard, default=FAR_US) + CLOSED_US)
        reset = min((t for t, mv in f.supplies if mv < OFF_MV and t >= at_us), default=FAR_US)
        return min(last or FAR_US, reset)

    def _deaf(self, at_us: int) -> bool:
        return not self._visible(at_us, at_us)

    def _unfounded(self, grants: list[Grant]) -> list[Verdict]:
        """Nobody is told to be authorised for longer than what it rests on."""
        out: list[Verdict] = []
        f = self._f
        for place, (start, on) in enumerate(self._a.said):
            if not on:
                continue
            end = self._a.said[place + 1][0] if place + 1 < len(self._a.said) else self._last_frame()
            at = start
            while True:
                dark = max((back for off, back in self._dark if off - TOLD_US <= at <= back), default=at)
                dark = max((back for gone, back in self._a.gaps if gone <= at <= back), default=dark)
                if dark > at:
                    if dark >= end:
                        break
                    at = dark
                    continue
                founded = [g for g in grants if g.at_us <= at and g.until_us + self._slack(g) >= at]
                if not founded:
                    out.append(Verdict("DRV-2", Outcome.FAIL,
                                       "LockStatus says that somebody may drive, and nothing authorises it any more",
                                       None, None, at))  # fmt: skip
                    return out
                reach = max(g.until_us + self._slack(g) for g in founded)
                if reach >= end:
                    break
                at = reach + 1
            if place + 1 < len(self._a.said) and f.supply_at(end) >= OFF_MV:
                out.append(Verdict("DRV-2", Outcome.PASS, f"authority to drive lapsed {(end - start) / 1e6:.3f} s "
                                   "after it was given", None, None, end))  # fmt: skip
        return out

    def _slack(self, grant: Grant) -> int:
        return TOLD_US + self._u + (0 if grant.path == "bluetooth" else CLOCK_EDGE_US)

    def _last_frame(self) -> int:
        cans = [e[0] for e in self._f.frames if e[1] == "can"]
        return cans[-1] if cans else 0

    def _lapses(self, grants: list[Grant]) -> list[Verdict]:
        """What was given for 120 s lasts so long, but for a revocation, a reset, or a locking of the doors."""
        f = self._f
        for at, on in self._a.said:
            if on or not self._visible(at - 2 * GRANTED_US, at):
                continue
            reset = any(at - 3 * GRANTED_US <= t <= at and mv < OFF_MV for t, mv in f.supplies)
            due = any(
                g.at_us + LAPSES_US - CLOCK_EDGE_US <= at if g.path != "bluetooth"
                else g.until_us - CLOSED_US - TOLD_US <= at
                for g in grants
            )  # fmt: skip
            revoked = any(s.command in REVOKING for s in f.signed.values() if s.at_us <= at)
            locked = any(m.direction == "L" and at - GRANTED_US <= m.start_us <= at for m in f.movements)
            signal = any(
                at - CLOSED_US - TOLD_US <= e[0] <= at and octets(e, 3)[0] == SINGLE_SIGNAL for e in f.links
            )
            if not (reset or due or revoked or locked or signal):
                return [Verdict("DRV-2", Outcome.FAIL, "authority to drive lapsed early", None, None, at)]
        return []
