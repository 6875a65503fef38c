"""Safety: SAF-1 (speed), SAF-2 (crash) and SAF-3 (relock), measured at the locks."""

from __future__ import annotations

from rig.judge.facts import DOORS, FAR_US, Facts, Movement
from rig.judge.oracle import PULSE_COST_US, Oracle
from rig.judge.security import Security
from rig.judge.vehicle import EDGE_US, FRESH_US
from rig.judge.verdicts import Outcome, Verdict, within

RELOCK_US = 30_000_000
TOLERANCE_US = 1_000_000
NOTICED_MV = 8_800
LINGERS_US = 5_000_000
READY_US = 1_000_000
ASKED_US = 3_000_000
"""A lock movement this soon after a lock command or a tap was asked for."""
LOCK_LIVES_US = 12_000_000
"""A lock command may be done so long after it was signed: it lives for 10 s at most, in whole seconds."""
UNDER_WAY_US = 500_000
"""A message is across the bus, and looked at, by then."""
CRASH_US = 500_000
SWITCH_US = 1_000_000
"""What the inside switch may take, as a card may (SAF-1)."""
TAP_US = 2_000_000
CRASH_MV = 6500
ASLEEP_US = 59_000_000
"""A vehicle that nobody asked anything for this long may be asleep (60 s, vehicle.md section 5)."""
WAKING_US = 1_000_000


class Safety:
    """Judges what speed forbids, what a crash demands, and the relock."""

    def __init__(self, facts: Facts, oracle: Oracle, security: Security, u_us: int) -> None:
        self._f = facts
        self._o = oracle
        self._by_credential = security.by_credential
        self._delivering = security.delivering
        self._u = u_us

    def verdicts(self) -> list[Verdict]:
        """SAF-1 and SAF-2 for all that asked for them, SAF-3 for every time that a credential opened the doors."""
        out = self._relocks() + self._by_itself()
        if self._f.vehicle.fast:
            out += self._speed()
        for crash in self._f.vehicle.crashes:
            verdict = self._crash(crash.sure_us, crash.first_us)
            if verdict is not None:
                out.append(verdict)
        return out

    def _healthy(self, need: str, start_us: int, end_us: int) -> bool:
        """Whether no fault of the scenario breaks a need in an interval."""
        return not any(
            need in s.mode.breaks and s.start_us <= end_us and s.end_us + WAKING_US >= start_us for s in self._o.spells
        )

    # -- SAF-1 -------------------------------------------------------------------------------------

    def _speed(self) -> list[Verdict]:
        """While it drives, no command opens; the inside switch and the card do."""
        f, vehicle = self._f, self._f.vehicle
        out: list[Verdict] = []
        for movement in f.movements:
            start = movement.start_us
            if movement.direction != "U" or not vehicle.surely_fast(start):
                continue
            if vehicle.opening(start) is not None or any(start - TAP_US <= t <= start for t in f.auths):
                continue
            slower = not all(vehicle.surely_fast(t) for t in (start - EDGE_US, start + EDGE_US))
            if slower or all(f.latch_at(d, start - 1) == "U" for d in movement.doors):
                continue
            out.append(Verdict("SAF-1", Outcome.FAIL, "the locks opened while the vehicle drove", None, None, start))
        for hand in f.hands:
            signed = f.signed.get(hand.digest)
            if signed is None or signed.command != "unlock" or not hand.delivers:
                continue
            if all(vehicle.surely_fast(hand.at_us + t) for t in range(0, FRESH_US, FRESH_US // 5)):
                out.append(Verdict("SAF-1", Outcome.PASS, "a command while it drove moved nothing", None, None,
                                   hand.at_us))  # fmt: skip
        out += [self._opens(p.last_us, p.at_us, "the inside switch") for p in vehicle.presses
                if p.sure and p.request == "unlock" and self._free(p.at_us, p.last_us + SWITCH_US)]  # fmt: skip
        return out

    def _free(self, start_us: int, end_us: int) -> bool:
        """Whether in an interval the vehicle drove, all that a press needs was healthy, and nobody wanted to lock."""
        f, vehicle = self._f, self._f.vehicle
        return (
            vehicle.surely_fast(start_us)
            and all(self._healthy(need, start_us, end_us) for need in ("can", "power", "actuator", "random"))
            and not any(m.direction == "L" and start_us - SWITCH_US <= m.start_us <= end_us for m in f.movements)
            and not any(p.request == "lock" and start_us - SWITCH_US <= p.at_us <= end_us for p in vehicle.presses)
            and not self._lock_asked(start_us, end_us)
            and end_us + 2 * SWITCH_US < f.end_us
        )

    def _lock_asked(self, start_us: int, end_us: int) -> bool:
        """Whether a lock command, or a tap, may want the doors shut in an interval."""
        f = self._f
        return any(
            s.command == "lock" and s.at_us <= end_us and s.at_us + LOCK_LIVES_US >= start_us for s in f.signed.values()
        ) or any(start_us - TAP_US <= t <= end_us for t in f.auths)

    def _opens(self, by_us: int, at_us: int, what: str) -> Verdict:
        limit = SWITCH_US + PULSE_COST_US * self._o.stuck_pulses(at_us, by_us + SWITCH_US)
        done = self._f.first_in("unlock", at_us)
        if done is None:
            return Verdict("SAF-1", Outcome.FAIL, f"{what} did not unlock while the vehicle drove", None, limit, at_us)
        return within("SAF-1", max(0, done - by_us), limit, self._u, at_us, f"{what} unlocked")

    # -- SAF-2 -------------------------------------------------------------------------------------

    def _crash(self, sure_us: tuple[int, int], first_us: int) -> Verdict | None:
        """All doors open 500 ms after the second consecutive frame; the third's, if the first may have had to wake."""
        f = self._f
        at = sure_us[1] if self._may_sleep(first_us) else sure_us[0]
        limit = CRASH_US + PULSE_COST_US * self._o.stuck_pulses(at, at + CRASH_US)
        if at == FAR_US or at + limit + self._u > f.end_us:
            return None
        supplied = f.supply_at(at - EDGE_US) >= CRASH_MV and not any(
            at - EDGE_US <= t <= at + limit and mv < CRASH_MV for t, mv in f.supplies
        )
        if not supplied or not self._healthy("actuator", at - WAKING_US, at + limit):
            return None
        if self._lock_asked(first_us, at + limit) or f.vehicle.pressed("lock", first_us - SWITCH_US, at + limit):
            return None
        if all(f.latch_at(d, t) == "U" for d in DOORS for t in (first_us, at)):
            return None
        done = f.first_in("unlock", first_us)
        if done is None:
            return Verdict("SAF-2", Outcome.FAIL, "a crash did not unlock all doors", None, limit, at)
        return within("SAF-2", max(0, done - at), limit, self._u, at, "unlocked after a crash")

    def _may_sleep(self, at_us: int) -> bool:
        """Whether nothing happened for so long that the DUT may be asleep."""
        f = self._f
        last = max(
            [t for t, mv in f.supplies if mv >= 9300 and t <= at_us]
            + [h.at_us for h in f.hands if h.at_us <= at_us]
            + [t for t in f.auths if t <= at_us]
            + [m.start_us for m in f.movements if m.start_us <= at_us],
            default=0,
        )
        return at_us - last >= ASLEEP_US

    # -- SAF-3 -------------------------------------------------------------------------------------

    def _relocks(self) -> list[Verdict]:
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

    def _by_itself(self) -> list[Verdict]:
        """Movements to lock that nobody asked for, where no relock may be: after a crash, or with a door ajar."""
        f = self._f
        out: list[Verdict] = []
        locks = [m.start_us for m in f.movements if m.direction == "L"]
        for movement in f.movements:
            at = movement.start_us
            if movement.direction != "L" or all(f.latch_at(d, at - 1) == "L" for d in movement.doors):
                continue
            if self._lock_asked(at - TAP_US, at) or f.vehicle.locking(at) is not None:
                continue
            crash = max((c.sure_us[0] for c in f.vehicle.crashes if c.sure_us[0] < at - EDGE_US), default=None)
            if crash is not None and not (
                any(crash < t < at for t in locks)
                or self._lock_asked(crash, at)
                or any(crash <= p.last_us <= at and p.request == "lock" for p in f.vehicle.presses)
            ):
                out.append(Verdict("SAF-3", Outcome.FAIL, "locked by itself after a crash", None, None, at))
            if not self._credential_since(at) and self._healthy("actuator", 0, at):
                text = "locked by itself, and no credential had unlocked"
                out.append(Verdict("SAF-3", Outcome.FAIL, text, None, None, at))
            ajar = f.ajar_at(at - EDGE_US) & f.ajar_at(at)
            if ajar:
                text = f"locked by itself while door {min(ajar)} stood open"
                out.append(Verdict("SAF-3", Outcome.FAIL, text, None, None, at))
        return out

    def _credential_since(self, at_us: int) -> bool:
        """Whether since all doors were last locked a command or a card may have unlocked, moving them or not."""
        f = self._f
        since = max((s.end_us for s in f.locked if s.end_us <= at_us), default=0) - LOCK_LIVES_US
        return any(since <= t <= at_us for t in f.auths) or any(
            since <= h.at_us <= at_us and f.signed[h.digest].command == "unlock" for h in self._delivering
        )

    def _judge(self, opened: Movement, relock: Movement | None, next_open_us: int) -> Verdict | None:
        f = self._f
        if opened.start_us not in self._by_credential:
            return None
        if not any(s.start_us >= opened.start_us for s in f.unlocked):
            return None
        overdue = self._overdue(opened, min(relock.start_us if relock else FAR_US, next_open_us, f.end_us))
        if overdue is not None:
            return overdue
        until = min(relock.start_us if relock else FAR_US, f.end_us)
        if relock is not None and (relock.start_us > next_open_us or self._asked_to_lock(relock.start_us)):
            return None
        ajar = f.ajar_at(opened.start_us) or any(opened.start_us - EDGE_US <= t <= until for t, _, _ in f.ajars)
        crashed = f.vehicle.crashed(0, until)
        if relock is None and (ajar or crashed):
            return None
        if self._unclear(opened, until):
            return None
        sure, possible = self._bases(opened.start_us, until)
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
                and self._healthy("actuator", at, at + TOLERANCE_US)
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

    def _unclear(self, opened: Movement, until_us: int) -> bool:
        """Whether the trace does not tell for sure from when the 30 s count, or that they do."""
        f = self._f
        if f.vehicle.opening(opened.start_us) is not None or not self._healthy("actuator", opened.start_us, until_us):
            # Who opened the doors, and which of them.
            return True
        since = opened.start_us - LINGERS_US
        lossy = [s for s in self._o.spells if s.mode.degrades and "can" in s.mode.breaks]
        if any(s.start_us <= until_us and s.end_us >= since for s in lossy):
            # A command may be on the bus for seconds, and count from when it is done.
            return True
        # Whether a lock command was done, and undone by the next unlock.
        locks = [s.at_us for s in f.signed.values() if s.command == "lock" and not s.flaw]
        return any(opened.start_us < t <= until_us for t in locks)

    def _overdue(self, opened: Movement, until_us: int) -> Verdict | None:
        """A failure if the doors stood unlocked past the latest time of a relock, whatever locked them after that."""
        f, start = self._f, opened.start_us
        latest = start + RELOCK_US + TOLERANCE_US
        for base in sorted(self._bases(start, until_us)[1]):
            if base > latest:
                break
            latest = max(latest, base + RELOCK_US + TOLERANCE_US)
        if latest + UNDER_WAY_US + self._u >= until_us or f.supply_at(latest) < 9300:
            return None
        if f.ajar_at(start) or any(start - EDGE_US <= t <= latest for t, _, _ in f.ajars):
            return None
        if f.vehicle.crashed(0, latest) or self._unclear(opened, latest):
            return None
        if any(f.latch_at(d, latest) != "U" for d in DOORS):
            return None
        return Verdict("SAF-3", Outcome.FAIL, "no relock", None, RELOCK_US, start)

    def _asked_to_lock(self, at_us: int) -> bool:
        f = self._f
        if f.vehicle.locking(at_us) is not None:
            return True
        if any(at_us - ASKED_US <= t <= at_us for t in f.auths):
            return True
        locks = {s.digest: s.at_us for s in f.signed.values() if s.command == "lock" and not s.flaw}
        # A command may come long after it was signed.
        moments = [*locks.values(), *(h.at_us for h in f.hands if h.digest in locks)]
        return any(at_us - ASKED_US <= t <= at_us for t in moments)

    def _bases(self, start_us: int, until_us: int) -> tuple[list[int], list[int]]:
        """Instants from which the 30 s surely count, and all from which they may count."""
        f = self._f
        sure, possible = [start_us], [start_us]
        accepted = {digest: at for at, _channel, digest, fault in f.answers if fault == 0}
        for hand in self._delivering:
            signed = f.signed[hand.digest]
            if signed.command != "unlock" or not start_us <= hand.at_us <= until_us:
                continue
            possible += [hand.at_us, hand.at_us + 500_000]
            # A command with a bad lifetime must be refused; a DUT that takes it may well count from it.
            # One that was under way when the relock began is done after it: its answer comes after it, too.
            in_time = start_us < hand.at_us <= accepted.get(hand.digest, 0) <= until_us
            if in_time and hand.delivers and not signed.flaw:
                sure.append(hand.at_us)
        # An unlock whose pulses stuck is done with the last of them.
        possible += [m.pulses[-1][0] for m in f.movements if m.direction == "U" and start_us <= m.start_us <= until_us]
        possible += [p.last_us for p in f.vehicle.presses if start_us <= p.at_us <= until_us]
        possible += [t for t in f.auths if start_us <= t <= until_us]
        for at, mv in f.supplies:
            if start_us <= at <= until_us and mv >= 9300:
                # Down to 9.0 V nothing need be noticed, and that is not judged from 8.8 V on.
                if f.supply_at(at - 1) < NOTICED_MV:
                    sure.append(at)
                possible += [at, at + READY_US]
        return sure, possible
