"""Matches every movement of the locks to a distinct authorisation: a command that arrived unchanged, or a card.

Finds what no authorisation explains; which requirement that breaks is named by `rig.judge.security`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rig.judge.facts import FAR_US, Facts, Hand, Movement, Signed
from rig.judge.keys import Keys
from rig.judge.oracle import CLOCK_EDGE_US, Oracle
from rig.world.attacker import KINDS

TAP_US = 2_000_000
"""A card that answered a challenge authorises for this long (AVL-4 gives it 1.0 s)."""
SHORTEST_LIFE_S = 33
"""SEC-3: requests valid for longer than this must be refused."""
HANDED_EARLY_US = 500_000
"""A command may be on its way while the movement before it begins."""
PULSE_US = 200_000
"""A drive of 150 ms and its feedback (vehicle.md section 5)."""
RELOCK_LOW_US, RELOCK_HIGH_US = 28_500_000, 33_000_000
"""30 s after an unlock, ready or return to 9.3 V, with what ready, retries and the bench may add."""
ARRIVES_US = 500_000
"""A message is across the bus by then, one with repeated flow control and a full bus too."""
WAKES_US = 1_500_000
"""Until the DUT takes messages again after a broken line or a reset."""
LINES = frozenset({"can", "power", "module", "tcu"})
"""What a message needs to come from its carrier to the DUT."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is known of a command at the time of a movement."""

    epoch_current: bool
    surely_expired: bool
    lives_too_long: bool
    wrong: str
    """The requirement by which it must be refused for what it is; "" for none."""

    @property
    def authorises(self) -> bool:
        """Whether the movement may rest on it."""
        return self.epoch_current and not (self.surely_expired or self.lives_too_long or self.wrong)


Candidate = tuple[Hand, Signed, Freshness]


class Matching:
    """One pass over the movements."""

    def __init__(self, facts: Facts, oracle: Oracle, keys: Keys) -> None:
        self._f = facts
        self._o = oracle
        self._keys = keys
        self.used: dict[int, int] = {}
        """Intent number to the start of the movement that it authorised."""
        self.shared: set[int] = set()
        """Those of them that moved at a time when another intent's command may have done it."""
        self.locked_by: dict[int, int] = {}
        """Intent number to the start of the movement to lock that it authorised."""
        self.by_credential: set[int] = set()
        """Starts of the movements that a command or a card authorised."""
        self._executed: dict[int, int] = {}
        """Intent number to when the DUT was heard to say that it had been done, with a movement or without."""
        self._sent: dict[int, int] = {}
        """Intent number to when what was said to be done had come."""
        self._refused: dict[str, int] = {}
        for at, _channel, name, fault in facts.answers:
            if name not in facts.signed:
                continue
            if fault == 0:
                index = facts.signed[name].index
                if index not in self._executed:
                    self._executed[index] = at
                    self._sent[index] = min((h.at_us for h in facts.hands if h.digest == name), default=at)
            else:
                self._refused.setdefault(name, at)
        self._clock_bounds: dict[bytes, tuple[int, int]] = {}
        for received, _key, epoch, seconds, asked in facts.clocks:
            low, high = self._clock_bounds.get(epoch, (0, FAR_US))
            self._clock_bounds[epoch] = (
                max(low, asked - (seconds + 1) * 1_000_000),
                min(high, received - seconds * 1_000_000),
            )
        self._noise = [h.at_us for h in facts.hands if h.origin != "genuine"]
        for attack in facts.scenario.attacks:
            # Frames of its own between those of a message can make the DUT drop it.
            if attack.kind.startswith("garbage"):
                at, length = facts.origin_us + attack.at_us, KINDS[attack.kind].lasts_us(attack)
                self._noise += range(at, at + length + ARRIVES_US, ARRIVES_US)
        self.delivering: list[Hand] = [h for h in facts.hands if h.digest in facts.signed and self._delivers(h)]

    # -- to open -----------------------------------------------------------------------------------

    def unmatched(self) -> list[tuple[Movement, list[Candidate]]]:
        """Movements to open that nothing authorised, with the commands that came before them."""
        out: list[tuple[Movement, list[Candidate]]] = []
        used_taps: set[int] = set()
        for movement in self._f.movements:
            if movement.direction != "U" or not self._opens(movement):
                continue
            start = movement.start_us
            tap = next(
                (t for t in reversed(self._f.auths) if start - TAP_US <= t <= start and t not in used_taps), None
            )
            candidates = self.candidates(start)
            # What the DUT has said to be done is spent, also if no door had to move for it.
            fresh = [
                (h, s)
                for h, s, state in candidates
                if state.authorises
                and self._unspent(h, s, start)
                and (self._executed.get(s.index, FAR_US) >= start or self._after_a_lock(h, s, start))
                and not self._refused_and_copied(h, start)
            ]
            opened = self._transition(movement)
            if fresh or tap is not None:
                self.by_credential.add(start)
            act = self._f.vehicle.opening(start)
            if act is not None and act >= max([h.at_us for h, _ in fresh[-1:]] + [tap or 0]):
                continue  # the inside switch, or a crash
            # The latest authorisation first, so that an old unused one does not excuse a new movement.
            if fresh and (tap is None or fresh[-1][0].at_us > tap):
                if opened:
                    self.used[fresh[-1][1].index] = start
                    self._share(fresh, start)
            elif tap is not None:
                if opened:
                    used_taps.add(tap)
            else:
                out.append((movement, candidates))
        return out

    def _share(self, fresh: list[tuple[Hand, Signed]], start_us: int) -> None:
        """Notes whether a movement may as well be another intent's than the latest one's."""
        if len({s.index for h, s in fresh if start_us - h.at_us <= TAP_US}) > 1:
            self.shared.add(fresh[-1][1].index)

    def _opens(self, movement: Movement) -> bool:
        """Whether at least one door was not unlocked when the movement began."""
        return any(self._f.latch_at(door, movement.start_us - 1) != "U" for door in movement.doors)

    def _refused_and_copied(self, hand: Hand, start_us: int) -> bool:
        """Whether the DUT had refused what this brought, and only a copy that came later can be meant."""
        refused = self._refused.get(hand.digest, FAR_US)
        return hand.at_us <= refused < start_us and any(
            h.digest == hand.digest and refused < h.at_us <= start_us for h in self._f.hands
        )

    def _unspent(self, hand: Hand, signed: Signed, start_us: int) -> bool:
        """Not used yet; or it came after somebody locked again, and so may open again."""
        since = self.used.get(signed.index)
        if since is None or self._left_over(since, start_us):
            return True
        return self._after_a_lock(hand, signed, start_us)

    def _after_a_lock(self, hand: Hand, signed: Signed, start_us: int) -> bool:
        """Whether somebody locked again after the intent had opened, or found it open, and this came after that."""
        since = self.used.get(signed.index, self._sent.get(signed.index))
        if since is None:
            return False
        locks = [m.start_us for m in self._f.movements if m.direction == "L" and since < m.start_us < start_us]
        # On a line that holds frames back it may have been on its way for as long as it counts.
        early_us = FAR_US if self._may_be_lost(hand) else HANDED_EARLY_US
        return bool(locks) and hand.at_us > max(since, locks[-1] - early_us)

    def _left_over(self, since_us: int, start_us: int) -> bool:
        """Whether a movement drives only doors that an earlier one of the same wish drove in vain, or that say so."""
        doors = next(m.doors for m in self._f.movements if m.start_us == start_us and m.direction == "U")
        f, before = self._f, start_us - 1
        # Of a door whose feedback errs nobody can say that it was opened.
        told = [d for d in doors if f.latch_at(d, before) == "L" or f.feedback_at(d, before) == "U"]
        return all(f.latch_at(d, before) == "L" for d in told) and not any(
            since_us <= at < start_us for d in told for at, _ in f.latches[d]
        )

    def _transition(self, movement: Movement) -> bool:
        """Whether a door went to unlocked by this movement, which a broken drive does not do."""
        last = movement.pulses[-1][0] + PULSE_US
        return any(
            movement.start_us <= at <= last and state == "U"
            for door in movement.doors
            for at, state in self._f.latches[door]
        )

    # -- to lock -----------------------------------------------------------------------------------

    def unmatched_locks(self) -> list[tuple[Movement, list[Candidate]]]:
        """Movements to lock that no command, tap or relock explains."""
        out: list[tuple[Movement, list[Candidate]]] = []
        for movement in self._f.movements:
            start = movement.start_us
            if movement.direction != "L" or all(self._f.latch_at(d, start - 1) == "L" for d in movement.doors):
                continue
            if self._f.vehicle.locking(start) is not None:
                continue
            candidates = self.candidates(start, "lock")
            tap = next((t for t in reversed(self._f.auths) if start - TAP_US <= t <= start), None)
            otherwise = tap is not None or self.relock_due(start)
            fresh = [
                (h, s)
                for h, s, state in candidates
                if state.authorises
                and s.index not in self.locked_by
                # What was refused did not do it, if a card or the relock did.
                and not (otherwise and self._refused.get(s.digest, FAR_US) < start)
            ]
            if fresh:
                if tap is None or fresh[-1][0].at_us > tap:
                    self.locked_by[fresh[-1][1].index] = start
                    self._share(fresh, start)
                continue
            # A later message of the same wish may lock again what somebody opened in between.
            again = any(
                state.authorises and s.index in self.locked_by and h.at_us > self.locked_by[s.index]
                for h, s, state in candidates
            )
            if not (again or otherwise):
                out.append((movement, candidates))
        return out

    def relock_due(self, at_us: int) -> bool:
        """Whether 30 s have passed since anything that a relock may be counted from."""
        f = self._f
        since = [m.start_us for m in f.movements if m.direction == "U"]
        since += [h.at_us for h in self.delivering if f.signed[h.digest].command == "unlock"] + f.auths
        since += [p.at_us for p in f.vehicle.presses]
        since += [t for t, mv in f.supplies if mv >= 9300]
        # A relock that left a door unlocked may be tried again.
        since += [m.start_us for m in f.movements if m.direction == "L" and self._in_vain(m)]
        return any(RELOCK_LOW_US <= at_us - t <= RELOCK_HIGH_US for t in since)

    def _in_vain(self, movement: Movement) -> bool:
        """Whether a door that was to be locked was not, when its last pulse was over."""
        last = movement.pulses[-1][0] + PULSE_US
        return any(self._f.latch_at(door, last) != "L" for door in movement.doors)

    # -- both --------------------------------------------------------------------------------------

    def candidates(self, start_us: int, command: str = "unlock") -> list[Candidate]:
        """Commands of enrolled keys that arrived unchanged before an instant, oldest first."""
        out: list[Candidate] = []
        for hand in self.delivering:
            if hand.at_us > start_us:
                break
            signed = self._f.signed[hand.digest]
            if signed.command == command and signed.channel == hand.channel:
                out.append((hand, signed, self.freshness(signed, hand.at_us, start_us)))
        return out

    def _delivers(self, hand: Hand) -> bool:
        """Whether this may be the first time that a genuine command reached the DUT."""
        if hand.delivers:
            return True
        if hand.origin != "replay" or self._f.signed[hand.digest].channel != hand.channel:
            return False
        signed = self._f.signed[hand.digest]
        if signed.index in self._executed:
            return False
        earlier = [h for h in self._f.hands if h.digest == hand.digest and h.at_us < hand.at_us]
        if any(self._keys.lost(signed.key, h.at_us) for h in earlier):
            # To a key that is not on its list a DUT owes no memory of counters: put back, the key may use them.
            return True
        if hand.digest in self._refused:
            return False
        return all(h.channel != hand.channel or self._may_be_lost(h) for h in earlier)

    def _may_be_lost(self, hand: Hand) -> bool:
        """Whether something could have kept a message from the DUT on its last way."""
        start, end = hand.at_us - ARRIVES_US, hand.at_us + ARRIVES_US
        broken = any(
            s.mode.breaks & LINES and s.start_us <= end and s.end_us + WAKES_US >= start for s in self._o.spells
        )
        return broken or any(start <= at <= end for at in self._noise)

    def freshness(self, signed: Signed, handed_us: int, at_us: int) -> Freshness:
        """What is known of a command that was handed over at one instant, at another."""
        # A supply that goes with the movement's own beginning came too late for it.
        current = not any(signed.at_us <= t < at_us and mv < 6500 for t, mv in self._f.supplies)
        low, high = self._clock_bounds.get(signed.epoch, (0, FAR_US))
        ends_us = (signed.expires_at + 1) * 1_000_000
        earliest_clock = at_us - high if high < FAR_US else 0
        return Freshness(
            epoch_current=current,
            surely_expired=earliest_clock >= ends_us + CLOCK_EDGE_US,
            lives_too_long=signed.expires_at * 1_000_000 > handed_us - low + SHORTEST_LIFE_S * 1_000_000,
            wrong=self._keys.wrong(signed, handed_us),
        )
