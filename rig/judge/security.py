"""Security: SEC-1 to SEC-13, from movements that nothing authorised, and from what the DUT said it had done."""

from __future__ import annotations

from itertools import pairwise

from rig.judge.facts import Facts, Hand, Movement, Signed
from rig.judge.keys import ACTIONS, OPERATIONS, Keys
from rig.judge.matching import Candidate, Matching
from rig.judge.oracle import Oracle
from rig.judge.verdicts import Outcome, Verdict
from rig.trace import number

BOOT_US = 2_500_000
"""Movements this soon after the supply came back (ready takes up to 1.0 s) are laid at the reset's door."""
STEADY_US = 100_000
"""SEC-5: feedback that said unlocked for longer than this forbids an opening pulse."""
LOW_MV = 8800
LOW_SINCE_US = 20_000
OFF_MV = 6500
CAUSE_US = 3_000_000
"""A message or card this long before a movement may be its cause."""
CARRIERS = frozenset({"server", "network phone", "network car", "tcu", "bluetooth", "module", "can"})
"""What carries session info."""
RANDOM_US = 100_000
"""A command or answer that is under way when the random source fails has had its randomness."""
_COMMAND = {"U": "unlock", "L": "lock"}
BAD_CARDS = ("tap_unknown", "tap_foreign", "tap_replay", "tap_torn")
GARBAGE = ("flood", "garbage")
HANG_US = 1_000_000
"""SEC-12: no hang over 1 s."""
AWAKE_US = 55_000_000
"""It sleeps 60 s after the last message at the earliest (vehicle.md section 5)."""
WORK_US = 2_000_000
"""Garbage this long before a silence may be its cause."""


class Security:
    """Judges that nobody else got in."""

    def __init__(self, facts: Facts, oracle: Oracle, u_us: int) -> None:
        self._f = facts
        self._u = u_us
        self._oracle = oracle
        self.keys = Keys(facts)
        self._matching = Matching(facts, oracle, self.keys)
        self.used = self._matching.used
        self.shared = self._matching.shared
        self.delivering = self._matching.delivering
        self.locked_by = self._matching.locked_by
        self.by_credential = self._matching.by_credential
        self._failures: dict[str, Verdict] = {}

    def verdicts(self) -> list[Verdict]:
        """One verdict per requirement that was asked, and every failure."""
        self._pulses()
        self._low_supply()
        for movement, candidates in self._matching.unmatched():
            self._opened(movement, candidates)
        for movement, candidates in self._matching.unmatched_locks():
            self._locked(movement, candidates)
        self._said_done()
        self._key_list()
        self._epochs()
        self._randomness()
        self._doubts()
        self._boots()
        self._silence()
        out = list(self._failures.values())
        for requirement, asked in self._asked().items():
            if requirement not in self._failures and asked:
                out.append(Verdict(requirement, Outcome.PASS, asked))
        return out

    # -- what was asked ----------------------------------------------------------------------------

    def _asked(self) -> dict[str, str]:
        """What the run put to each requirement; empty text: nothing."""
        f = self._f
        replayed = any(h.origin == "replay" and not h.delivers for h in f.hands)
        origins = {h.origin for h in f.hands}
        kinds = {a.kind for a in f.scenario.attacks}
        sent = [(f.signed[h.digest], h) for h in f.hands if h.digest in f.signed]
        wrong = {self.keys.wrong(s, h.at_us) for s, h in sent}
        flaws = {s.flaw for s, _ in sent}
        opened = any(m.direction == "U" for m in f.movements)
        power = any(x.mode.startswith("power.") for x in f.scenario.faults)
        tapped = {f"tap_{name}" for _at, index, name in f.taps if index < 0}
        return {
            "SEC-1": "forged messages moved nothing" if "forge" in origins or _any(kinds, ("plain",)) else "",
            "SEC-2": "replayed messages moved nothing" if replayed or "SEC-2" in wrong else "",
            "SEC-3": "requests with bad lifetimes moved nothing" if "lifetime" in flaws else "",
            "SEC-4": "late requests moved nothing" if any(map(self._too_late, f.hands)) else "",
            "SEC-5": "every intent moved the locks at most once" if opened else "",
            "SEC-6": "keys without the right were refused" if "SEC-6" in wrong else "",
            "SEC-7": "requests for another car or domain were refused" if "SEC-7" in wrong else "",
            "SEC-8": "every boot had an epoch of its own"
            if len(self._epochs_by_boot()) > 1
            else "nothing remote was done without randomness"
            if self._asked_without_randomness()
            else "",
            "SEC-9": "session info answered its challenge" if any(c[0] >= f.origin_us for c in f.clocks) else "",
            "SEC-10": "no reset or dip moved a lock" if power else "",
            "SEC-11": "nobody but an owner changed the key list"
            if "SEC-11" in wrong or _any(kinds, ("forge_op",))
            else "",
            "SEC-12": "garbage moved nothing and stopped nothing"
            if "malformed" in origins or _any(kinds, GARBAGE)
            else "",
            "SEC-13": "bad cards were refused" if tapped & set(BAD_CARDS) else "",
        }  # fmt: skip

    def _too_late(self, hand: Hand) -> bool:
        """Whether an unlock command was delivered so late that it surely authorised nothing any more."""
        signed = self._f.signed.get(hand.digest)
        if hand.origin != "late" or signed is None or signed.command != "unlock":
            return False
        state = self._matching.freshness(signed, hand.at_us, hand.at_us)
        return not state.authorises and not state.wrong

    def _fail(self, requirement: str, at_us: int, text: str) -> None:
        if requirement not in self._failures:
            self._failures[requirement] = Verdict(requirement, Outcome.FAIL, text, None, None, at_us)

    # -- drives ------------------------------------------------------------------------------------

    def _pulses(self) -> None:
        """SEC-5: no opening pulse on a door whose feedback steadily said unlocked."""
        for movement in self._f.movements:
            if movement.direction != "U":
                continue
            for at, door in movement.pulses:
                changes = self._f.feedback[door]
                last = max((c for c in changes if c[0] < at), default=changes[0])
                if last[1] == "U" and at - last[0] > STEADY_US + self._u and self._supplied(at - STEADY_US, at):
                    self._fail(
                        "SEC-5",
                        movement.start_us,
                        f"opening pulse on door {door}, unlocked since {(at - last[0]) / 1e6:.3f} s",
                    )

    def _low_supply(self) -> None:
        """SEC-10: below 9.0 V the lock stays as it is (judged below 8.8 V; a drive that had begun may end)."""
        for movement in self._f.movements:
            start = movement.start_us
            if movement.direction == "U" and self._f.vehicle.crashed(start - CAUSE_US, start):
                continue  # A crash acts down to 6.5 V.
            if 0 < self._f.supply_at(start) < LOW_MV and self._f.supply_at(start - LOW_SINCE_US) < LOW_MV:
                self._fail("SEC-10", start, f"the locks were driven at {self._f.supply_at(start) / 1000:.1f} V")

    def _supplied(self, start_us: int, end_us: int) -> bool:
        """Whether the feedback line could speak all the time."""
        return self._f.supply_at(start_us) >= OFF_MV and not any(
            start_us <= at <= end_us for at, _ in self._f.supplies
        )

    # -- movements that nothing authorised ---------------------------------------------------------

    def _opened(self, movement: Movement, candidates: list[Candidate]) -> None:
        """A movement to open: names the requirement it breaks."""
        start = movement.start_us
        if self._by_wrong(start, candidates, "opened") or self._by_attack(start, "opened"):
            return
        recent = [c for c in candidates if start - c[0].at_us <= CAUSE_US]
        spent = [c for c in recent if c[2].authorises]
        stale = [c for c in recent if not c[2].authorises]
        if stale:
            hand, signed, state = stale[-1]
            why = "lived too long" if state.lives_too_long else "had expired or was of an old epoch"
            if signed.flaw == "lifetime" or state.lives_too_long:
                self._fail("SEC-3", start, f"the locks opened on a request that {why}")
            if hand.origin == "late" or signed.flaw != "lifetime":
                self._fail("SEC-4", start, f"the locks opened on a late request that {why}")
        elif spent:
            self._fail("SEC-5", start, f"intent {spent[-1][1].index} moved the locks twice")
        elif self._late_ghost(start, candidates):
            return
        elif self._booted(start):
            self._fail("SEC-10", start, "the locks opened after the supply came back, and nothing allowed it")
        else:
            self._fail("SEC-1", start, "the locks opened, and nothing allowed it")

    def _locked(self, movement: Movement, candidates: list[Candidate]) -> None:
        """A movement to lock that nothing explains: blamed only on what is seen to have come before it."""
        start = movement.start_us
        if self._by_wrong(start, candidates, "locked"):
            return
        f = self._f
        recent = [h for h in f.hands if start - CAUSE_US <= h.at_us <= start]
        replays = [f.signed[h.digest].command for h in recent if h.origin == "replay" and h.digest in f.signed]
        if "lock" in replays:
            self._fail("SEC-2", start, "the doors were locked after a replayed message, and nothing else did it")
        elif any(not state.authorises and start - h.at_us <= CAUSE_US for h, _s, state in candidates):
            lifetime = any(s.flaw == "lifetime" for h, s, _ in candidates if start - h.at_us <= CAUSE_US)
            self._fail(
                "SEC-3" if lifetime else "SEC-4", start, "the doors were locked by a late request that had expired"
            )
        elif self._booted(start):
            self._fail("SEC-10", start, "the doors were locked after the supply came back, and nothing asked for it")
        elif any(h.origin in ("forge", "malformed") for h in recent):
            self._by_attack(start, "locked")

    def _by_wrong(self, start_us: int, candidates: list[Candidate], done: str) -> bool:
        """Whether a command came shortly before that had to be refused for what it is."""
        wrong = [(s, state.wrong) for h, s, state in candidates if state.wrong and start_us - h.at_us <= CAUSE_US]
        if wrong:
            signed, requirement = wrong[-1]
            self._fail(requirement, start_us, f"the locks were {done} by a command {self._why(signed)}")
        return bool(wrong)

    def _why(self, signed: Signed) -> str:
        what = f"of the key {signed.key!r} over {signed.channel}"
        return f"{what} whose flaw is its {signed.flaw}" if signed.flaw else f"{what}, which had no right to it"

    def _by_attack(self, start_us: int, done: str) -> bool:
        """Whether the attacker had just done something: names what it breaks."""
        f = self._f
        recent = {h.origin for h in f.hands if start_us - CAUSE_US <= h.at_us <= start_us}
        moves = {kind for at, _index, kind, _effect in f.moves if start_us - CAUSE_US <= at <= start_us}
        if "replay" in recent:
            self._fail(
                "SEC-2", start_us, f"the locks {done} after a replayed message, and nothing else allowed it"
            )
            resynchronised = [c for c in f.clocks if f.origin_us <= c[0] <= start_us]
            if len({c[2] for c in resynchronised}) > 1:
                self._fail("SEC-9", start_us, "an old request was valid again after clients had resynchronised")
        elif _any(moves, BAD_CARDS):
            self._fail("SEC-13", start_us, f"the locks {done} after a bad card, and nothing else allowed it")
        elif "malformed" in recent or _any(moves, GARBAGE):
            self._fail("SEC-12", start_us, f"the locks {done} after garbage, and nothing else allowed it")
        elif "forge" in recent or _any(moves, ("plain",)):
            self._fail("SEC-1", start_us, f"the locks {done} after a forged message, and nothing else allowed it")
            if _any(moves, ("forge_op",)):
                self._fail("SEC-11", start_us, f"the locks {done} after a forged operation on the key list")
        else:
            return False
        return True

    def _late_ghost(self, start_us: int, candidates: list[Candidate]) -> bool:
        """SEC-4: whether a command that had expired, and had not been done, is the only thing that could be meant."""
        if not candidates:
            return False
        hand, signed, state = candidates[-1]
        expired = state.surely_expired and state.epoch_current and not state.wrong
        if not expired or signed.index in self._matching.used:
            return False
        age = (start_us - hand.at_us) / 1e6
        self._fail("SEC-4", start_us, f"the locks opened {age:.1f} s after the last request came, which had expired")
        return True

    def _booted(self, at_us: int) -> bool:
        return any(at_us - BOOT_US <= t <= at_us for t, mv in self._f.supplies if mv >= OFF_MV)

    # -- what the DUT said -------------------------------------------------------------------------

    def _said_done(self) -> None:
        """A command that had to be refused was answered as done: also to drive, or when no door had to move."""
        f = self._f
        handed: dict[str, int] = {}
        for hand in f.hands:
            handed.setdefault(hand.digest, hand.at_us)
        for at, _channel, name, fault in f.answers:
            signed = f.signed.get(name)
            if fault or signed is None or name not in handed or signed.command not in ACTIONS:
                continue
            state = self._matching.freshness(signed, handed[name], handed[name])
            if state.wrong:
                self._fail(state.wrong, at, f"answered {signed.command!r} as done to a command {self._why(signed)}")
            elif state.lives_too_long or (signed.flaw == "lifetime" and state.surely_expired):
                self._fail("SEC-3", at, f"answered {signed.command!r} as done to a request with a bad lifetime")

    def _key_list(self) -> None:
        """SEC-11: the key list changes only by an owner's operation."""
        by_index = {s.index: s for s in self._f.signed.values() if s.command in OPERATIONS}
        for op in self._f.keyops:
            signed = by_index.get(op.index)
            if op.fault == 0 and signed is not None and signed.flaw:
                self._fail("SEC-11", op.at_us, f"{op.what} of {op.subject!r} was done for the key {signed.key!r}")

    def _epochs_by_boot(self) -> dict[int, set[bytes]]:
        """The epochs that clients were told, by how often the supply had been gone before they asked."""
        downs = [t for t, mv in self._f.supplies if mv < OFF_MV]
        out: dict[int, set[bytes]] = {}
        for received, _key, epoch, _seconds, asked in self._f.clocks:
            boots = sum(t < asked for t in downs)
            if boots == sum(t < received for t in downs):
                out.setdefault(boots, set()).add(epoch)
        return out

    def _epochs(self) -> None:
        """SEC-8: every boot has an epoch of its own."""
        seen: set[bytes] = set()
        for _boot, epochs in sorted(self._epochs_by_boot().items()):
            if seen & epochs:
                at = next(c[0] for c in reversed(self._f.clocks) if c[2] in seen & epochs)
                self._fail("SEC-8", at, "a boot had an epoch that there had been before")
            seen |= epochs

    def _randomness(self) -> None:
        """SEC-8: while its random source fails, a DUT seals no answer and carries out nothing that was asked remotely.

        It may notice at use: the command whose answer it cannot seal may have been carried out. After a boot in that
        time it has noticed.
        """
        f = self._f
        for spell in (s for s in self._oracle.spells if "random" in s.mode.breaks):
            begin = spell.start_us + RANDOM_US + self._u
            for at, channel, name, fault in f.answers:
                handed = min((h.at_us for h in f.hands if h.digest == name), default=0)
                if name in f.signed and not fault and begin <= handed and at < spell.end_us:
                    self._fail("SEC-8", at, f"a command over {channel} was answered as done without randomness")
            booted = [
                t for (_, before), (t, mv) in pairwise(f.supplies) if before < OFF_MV <= mv and begin <= t
            ]
            for movement in f.movements:
                if booted and booted[0] <= movement.start_us < spell.end_us:
                    recent = [c for c in self._matching.candidates(movement.start_us, _COMMAND[movement.direction])
                              if movement.start_us - c[0].at_us <= CAUSE_US]  # fmt: skip
                    by_hand = any(movement.start_us - CAUSE_US <= t <= movement.start_us for t in f.auths)
                    if recent and not by_hand and not self._by_vehicle(movement):
                        self._fail("SEC-8", movement.start_us, "the locks moved on a remote request without randomness")

    def _by_vehicle(self, movement: Movement) -> bool:
        """Whether the inside switch or a crash may have caused a movement."""
        vehicle = self._f.vehicle
        acted = vehicle.opening if movement.direction == "U" else vehicle.locking
        return acted(movement.start_us) is not None

    def _asked_without_randomness(self) -> bool:
        """Whether a genuine command came while the random source failed."""
        f = self._f
        return any(
            s.start_us + RANDOM_US <= h.at_us < s.end_us - RANDOM_US
            for s in self._oracle.spells
            if "random" in s.mode.breaks
            for h in f.hands
            if h.digest in f.signed and h.origin == "genuine"
        )

    def _doubts(self) -> None:
        """SEC-9: session info that answers a handshake authenticates against its challenge."""
        if self._f.scenario.attacks:
            # Somebody else may have written it.
            return
        for at, key, asked in self._f.doubts:
            if any(s.mode.breaks & CARRIERS and s.start_us <= at and s.end_us >= asked for s in self._oracle.spells):
                # A carrier that errs may have spoilt it.
                continue
            self._fail("SEC-9", at, f"session info for {key!r} did not authenticate")

    def _silence(self) -> None:
        """SEC-12: garbage does not stop the DUT for more than 1 s, as its cycle tells on a healthy bus and supply."""
        f = self._f
        noise = [h.at_us for h in f.hands if h.origin == "malformed"]
        noise += [at for at, _index, kind, _effect in f.moves if kind.startswith(GARBAGE)]
        booted = any(at > f.origin_us for at in f.boots) or any(at > f.origin_us for at, _ in f.supplies)
        if not noise or booted or self._bus_disturbed():
            return
        done = {name for _at, _channel, name, fault in f.answers if not fault}
        signs = [h.at_us for h in f.hands if h.digest in done] + f.auths + [m.start_us for m in f.movements]
        for before, after in pairwise(f.frames):
            quiet = before[0] + (number(before, 2) if before[1] == "skip" else 0)
            if after[0] - quiet <= HANG_US + self._u or not any(quiet - WORK_US <= at <= after[0] for at in noise):
                continue
            # A vehicle that has done nothing for long may be asleep; garbage need not wake it.
            if any(after[0] - AWAKE_US <= at <= quiet for at in signs):
                self._fail("SEC-12", quiet, f"the DUT was silent for {(after[0] - quiet) / 1e6:.3f} s after garbage")

    def _bus_disturbed(self) -> bool:
        return any(s.mode.breaks & {"can", "power"} or s.mode.restbus for s in self._oracle.spells)

    def _boots(self) -> None:
        """SEC-12: no boot without a cause at the supply."""
        ups = [t for t, mv in self._f.supplies if mv >= OFF_MV]
        for at in self._f.boots:
            if at >= self._f.origin_us and not any(at - BOOT_US <= t <= at for t in ups):
                self._fail("SEC-12", at, "the DUT booted, and its supply had not been gone")


def _any(names: set[str], starts: tuple[str, ...]) -> bool:
    return any(name.startswith(starts) for name in names)
