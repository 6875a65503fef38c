"""Security: SEC-1 to SEC-5 and SEC-10, by matching every movement to open to a distinct authorisation."""

from __future__ import annotations

from dataclasses import dataclass

from rig.judge.facts import FAR_US, Facts, Hand, Movement, Signed
from rig.judge.oracle import CLOCK_EDGE_US
from rig.judge.verdicts import Outcome, Verdict

TAP_US = 2_000_000
"""A card that answered a challenge authorises for this long (AVL-4 gives it 1.0 s)."""
BOOT_US = 2_500_000
"""Movements this soon after the supply came back (ready takes up to 1.0 s) are laid at the reset's door."""
SHORTEST_LIFE_S = 33
"""SEC-3: requests valid for longer than this must be refused."""
STEADY_US = 100_000
"""SEC-5: feedback that said unlocked for longer than this forbids an opening pulse."""
HANDED_EARLY_US = 500_000
"""A command may be on its way while the movement before it begins."""
LOW_MV = 8800
LOW_SINCE_US = 20_000
RELOCK_LOW_US, RELOCK_HIGH_US = 28_500_000, 33_000_000
"""30 s after an unlock, ready or return to 9.3 V, with what ready, retries and the bench may add."""
CAUSE_US = 3_000_000
"""A message this long before a movement may be its cause."""
PULSE_US = 200_000
"""A drive of 150 ms and its feedback (vehicle.md section 5)."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is known of a command at the time of a movement."""

    epoch_current: bool
    surely_expired: bool
    near_expiry: bool
    lives_too_long: bool

    @property
    def authorises(self) -> bool:
        """Whether the movement may rest on it."""
        return self.epoch_current and not self.surely_expired and not self.lives_too_long


class Security:
    """Judges that nobody else got in."""

    def __init__(self, facts: Facts, u_us: int) -> None:
        self._f = facts
        self._u = u_us
        self.used: dict[int, int] = {}
        """Intent number to the start of the movement that it authorised."""
        self.locked_by: dict[int, int] = {}
        """Intent number to the start of the movement to lock that it authorised."""
        self.by_credential: set[int] = set()
        """Starts of the movements that a command or a card authorised."""
        self._failures: dict[str, Verdict] = {}
        self._executed: dict[int, int] = {}
        """Intent number to when the DUT was heard to say that it had been done, with a movement or without."""
        for at, _channel, name, fault in facts.answers:
            if fault == 0 and name in facts.signed:
                self._executed.setdefault(facts.signed[name].index, at)
        self._clock_bounds: dict[bytes, tuple[int, int]] = {}
        for received, _key, epoch, seconds, asked in facts.clocks:
            low, high = self._clock_bounds.get(epoch, (0, FAR_US))
            self._clock_bounds[epoch] = (
                max(low, asked - (seconds + 1) * 1_000_000),
                min(high, received - seconds * 1_000_000),
            )

    def verdicts(self) -> list[Verdict]:
        """One verdict per requirement that was asked, and every failure."""
        self._pulses()
        self._low_supply()
        self._match()
        self._match_locks()
        out = list(self._failures.values())
        for requirement, asked in self._asked().items():
            if requirement not in self._failures and asked:
                out.append(Verdict(requirement, Outcome.PASS, asked))
        return out

    def _asked(self) -> dict[str, str]:
        """What the run put to each requirement; empty text: nothing."""
        f = self._f
        replayed = any(h.origin == "replay" and not h.delivers for h in f.hands)
        origins = {h.origin for h in f.hands}
        kinds = {a.kind for a in f.scenario.attacks}
        opened = any(m.direction == "U" for m in f.movements)
        bad = [h for h in f.hands if h.digest in f.signed and f.signed[h.digest].key == "valet"]
        power = any(x.mode.startswith("power.") for x in f.scenario.faults)
        return {
            "SEC-1": "forged messages moved nothing"
            if "forge" in origins or "plain_interior" in kinds
            else "",
            "SEC-2": "replayed messages moved nothing" if replayed else "",
            "SEC-3": "requests with bad lifetimes moved nothing" if bad else "",
            "SEC-4": "late requests moved nothing" if any(map(self._too_late, f.hands)) else "",
            "SEC-5": "every intent moved the locks at most once" if opened else "",
            "SEC-10": "no reset or dip moved a lock" if power else "",
        }

    def _too_late(self, hand: Hand) -> bool:
        """Whether an unlock command was delivered so late that it surely authorised nothing any more."""
        signed = self._f.signed.get(hand.digest)
        if hand.origin != "late" or signed is None or signed.command != "unlock":
            return False
        return not self._freshness(signed, hand.at_us, hand.at_us).authorises

    def _fail(self, requirement: str, movement: Movement, text: str) -> None:
        if requirement not in self._failures:
            self._failures[requirement] = Verdict(
                requirement, Outcome.FAIL, text, None, None, movement.start_us
            )

    def _pulses(self) -> None:
        """SEC-5: no opening pulse on a door whose feedback steadily said unlocked."""
        for movement in self._f.movements:
            if movement.direction != "U":
                continue
            for at, door in movement.pulses:
                changes = self._f.latches[door]
                last = max((c for c in changes if c[0] < at), default=changes[0])
                if (
                    last[1] == "U"
                    and at - last[0] > STEADY_US + self._u
                    and self._supplied(at - STEADY_US, at)
                ):
                    self._fail(
                        "SEC-5",
                        movement,
                        f"opening pulse on door {door}, unlocked since {(at - last[0]) / 1e6:.3f} s",
                    )

    def _low_supply(self) -> None:
        """SEC-10: below 9.0 V the lock stays as it is (judged below 8.8 V; a drive that had begun may end)."""
        for movement in self._f.movements:
            start = movement.start_us
            if 0 < self._f.supply_at(start) < LOW_MV and self._f.supply_at(start - LOW_SINCE_US) < LOW_MV:
                self._fail(
                    "SEC-10", movement, f"the locks were driven at {self._f.supply_at(start) / 1000:.1f} V"
                )

    def _supplied(self, start_us: int, end_us: int) -> bool:
        """Whether the feedback line could speak all the time."""
        return self._f.supply_at(start_us) >= 6500 and not any(
            start_us <= at <= end_us for at, _ in self._f.supplies
        )

    def _opens(self, movement: Movement) -> bool:
        """Whether at least one door was not unlocked when the movement began."""
        return any(self._f.latch_at(door, movement.start_us - 1) != "U" for door in movement.doors)

    def _match(self) -> None:
        used_taps: set[int] = set()
        for movement in self._f.movements:
            if movement.direction != "U" or not self._opens(movement):
                continue
            start = movement.start_us
            tap = next(
                (t for t in reversed(self._f.auths) if start - TAP_US <= t <= start and t not in used_taps),
                None,
            )
            candidates = self._candidates(start)
            # What the DUT has said to be done is spent, also if no door had to move for it.
            fresh = [
                (h, s)
                for h, s, state in candidates
                if state.authorises
                and self._unspent(h, s, start)
                and self._executed.get(self._token(s), FAR_US) >= start
            ]
            # The latest authorisation first, so that an old unused one does not excuse a new movement.
            opened = self._transition(movement)
            if fresh or tap is not None:
                self.by_credential.add(start)
            if fresh and (tap is None or fresh[-1][0].at_us > tap):
                if opened:
                    self.used[self._token(fresh[-1][1])] = start
            elif tap is not None:
                if opened:
                    used_taps.add(tap)
            else:
                self._unmatched(movement, candidates)

    def _unspent(self, hand: Hand, signed: Signed, start_us: int) -> bool:
        """Not used yet; or it came after somebody locked again, and so may open again."""
        since = self.used.get(self._token(signed))
        if since is None:
            return True
        locks = [
            m.start_us for m in self._f.movements if m.direction == "L" and since < m.start_us < start_us
        ]
        return bool(locks) and hand.at_us > max(since, locks[-1] - HANDED_EARLY_US)

    def _match_locks(self) -> None:
        """Movements to lock: by a command, a tap or the relock; replays and late ones are no more allowed to lock."""
        for movement in self._f.movements:
            start = movement.start_us
            if movement.direction != "L" or all(
                self._f.latch_at(d, start - 1) == "L" for d in movement.doors
            ):
                continue
            candidates = self._candidates(start, "lock")
            fresh = [
                (h, s) for h, s, state in candidates if state.authorises and s.index not in self.locked_by
            ]
            if fresh:
                self.locked_by[fresh[-1][1].index] = start
                continue
            # A later message of the same wish may lock again what somebody opened in between.
            again = [
                s for h, s, state in candidates if state.authorises and h.at_us > self.locked_by[s.index]
            ]
            if again or any(start - TAP_US <= t <= start for t in self._f.auths) or self._relock_due(start):
                continue
            recent = [h for h in self._f.hands if start - CAUSE_US <= h.at_us <= start]
            if any(h.origin == "replay" for h in recent):
                self._fail(
                    "SEC-2",
                    movement,
                    "the doors were locked after a replayed message, and nothing else did it",
                )
            elif any(not state.authorises and start - h.at_us <= CAUSE_US for h, _s, state in candidates):
                self._fail("SEC-4", movement, "the doors were locked by a late request that had expired")
            elif any(start - BOOT_US <= t <= start for t, mv in self._f.supplies if mv >= 6500):
                self._fail(
                    "SEC-10",
                    movement,
                    "the doors were locked after the supply came back, and nothing asked for it",
                )

    def _relock_due(self, at_us: int) -> bool:
        """Whether 30 s have passed since anything that a relock may be counted from."""
        since = [m.start_us for m in self._f.movements if m.direction == "U"]
        since += [h.at_us for h in self._f.hands] + self._f.auths
        since += [t for t, mv in self._f.supplies if mv >= 9300]
        return any(RELOCK_LOW_US <= at_us - t <= RELOCK_HIGH_US for t in since)

    def _transition(self, movement: Movement) -> bool:
        """Whether a door went to unlocked by this movement, which a broken drive does not do."""
        last = movement.pulses[-1][0] + PULSE_US
        return any(
            movement.start_us <= at <= last and state == "U"
            for door in movement.doors
            for at, state in self._f.latches[door]
        )

    def _token(self, signed: Signed) -> int:
        """Messages of one intent share one movement."""
        return signed.index

    def _candidates(self, start_us: int, command: str = "unlock") -> list[tuple[Hand, Signed, Freshness]]:
        """Genuine commands that arrived unchanged before an instant, oldest first."""
        out: list[tuple[Hand, Signed, Freshness]] = []
        for hand in self._f.hands:
            if hand.at_us > start_us or not hand.delivers:
                continue
            signed = self._f.signed.get(hand.digest)
            if signed is not None and signed.command == command and signed.channel == hand.channel:
                out.append((hand, signed, self._freshness(signed, hand.at_us, start_us)))
        return out

    def _freshness(self, signed: Signed, handed_us: int, at_us: int) -> Freshness:
        current = not any(signed.at_us <= t <= at_us and mv < 6500 for t, mv in self._f.supplies)
        low, high = self._clock_bounds.get(signed.epoch, (0, FAR_US))
        ends_us = (signed.expires_at + 1) * 1_000_000
        earliest_clock = at_us - high if high < FAR_US else 0
        latest_clock = at_us - low
        return Freshness(
            epoch_current=current,
            surely_expired=earliest_clock >= ends_us + CLOCK_EDGE_US,
            near_expiry=latest_clock >= ends_us - CLOCK_EDGE_US,
            lives_too_long=signed.expires_at * 1_000_000 > handed_us - low + SHORTEST_LIFE_S * 1_000_000,
        )

    def _unmatched(self, movement: Movement, candidates: list[tuple[Hand, Signed, Freshness]]) -> None:
        """A movement that nothing authorised: names the requirement it breaks."""
        start = movement.start_us
        recent = [h for h in self._f.hands if start - CAUSE_US <= h.at_us <= start]
        spent = [c for c in candidates if c[2].authorises and start - c[0].at_us <= CAUSE_US]
        stale = [c for c in candidates if not c[2].authorises and start - c[0].at_us <= CAUSE_US]
        if any(h.origin == "replay" for h in recent):
            self._fail(
                "SEC-2", movement, "the locks opened after a replayed message, and nothing else allowed it"
            )
        elif stale:
            hand, signed, state = stale[-1]
            why = "lived too long" if state.lives_too_long else "had expired or was of an old epoch"
            if signed.key == "valet" or state.lives_too_long:
                self._fail("SEC-3", movement, f"the locks opened on a request that {why}")
            if hand.origin == "late" or signed.key != "valet":
                self._fail("SEC-4", movement, f"the locks opened on a late request that {why}")
        elif spent:
            token = self._token(spent[-1][1])
            self._fail("SEC-5", movement, f"intent {token} moved the locks twice")
        elif any(start - BOOT_US <= t <= start for t, mv in self._f.supplies if mv >= 6500):
            self._fail(
                "SEC-10", movement, "the locks opened after the supply came back, and nothing allowed it"
            )
        else:
            self._fail("SEC-1", movement, "the locks opened, and nothing allowed it")
