"""Availability: AVL-1 to AVL-5, AVL-8 and AVL-13, each attempt on each path against its limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rig.judge.facts import FAR_US, Facts, Wish
from rig.judge.oracle import CLOCK_EDGE_US, CLUMSY_US, PULSE_COST_US, READY_US, Oracle
from rig.judge.verdicts import Cell, Outcome, Verdict, within

LADDER_US = 30_000_000
PHONE_US = 10_000_000
WARM_US = 3_000_000
COLD_US = 5_000_000
CARD_US = 1_000_000
HANDLE_US = 10_500_000
CARD_LOCKS_US = 2_200_000
"""A card rests for 1.5 s, and what it asks in its last moment takes up to three pulses."""
SLOWER_US = 200_000
"""AVL-5: what a foreign failure may add."""
TAP_AGE_US = 10_000_000
"""A tap locks only if the last unlock is older than this (vehicle.md section 3)."""
RELOCKS_US = 29_000_000
"""Doors that opened stay so at least this long, if nobody wants them locked (SAF-3)."""
ECU_READY_EARLIEST_US = 0
CLUMSY_SLOWER_US = 2_000_000
"""AVL-11: what hostile attempts may add on the same path."""
OF_PATH = {"bluetooth": "AVL-2", "cloud": "AVL-3", "card": "AVL-4"}
EDGE_US = 20_000
"""Within this of an edge nothing is judged (requirements: edges)."""
AFTER_POWER_US = 30_000_000
"""AVL-8 looks at attempts up to this long after the supply is back."""

Baseline = Callable[[str, str, bool], int]
"""The largest healthy latency in µs of (path, want, warm) over 8 phases of the reader poll."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one intent on one path."""

    wish: Wish
    path: str
    at_us: int
    limit_us: int
    warm: bool

    @property
    def deadline_us(self) -> int:
        """When the door must be as wanted."""
        return self.at_us + self.limit_us


class Availability:
    """Judges whether who may get in got in, in time."""

    def __init__(
        self, facts: Facts, oracle: Oracle, u_us: int, opened_us: int, baseline: Baseline | None
    ) -> None:
        self._f = facts
        self._o = oracle
        self._u = u_us
        self._opened_us = opened_us
        self._baseline = baseline
        self.cells: list[Cell] = []

    def verdicts(self) -> list[Verdict]:
        """All verdicts, several per requirement where there were several attempts."""
        out: list[Verdict] = []
        for wish in self._f.wishes:
            if wish.intent.want not in ("unlock", "lock") or self._may_be_barred(wish):
                continue
            if wish.intent.want == "unlock" and wish.intent.via == "ladder":
                self._ladder(wish, out)
            for attempt in self._attempts(wish):
                self._attempt(attempt, out)
        return out

    def _may_be_barred(self, wish: Wish) -> bool:
        """Whether an owner may have taken this person's key off the list, or given it back, meanwhile."""
        return wish.intent.who == "guest" and any(
            w.intent.want not in ("unlock", "lock", "drive") for w in self._f.wishes
        )

    # -- when the wish came true -------------------------------------------------------------------

    def achieved(self, wish: Wish, from_us: int) -> int | None:
        """The first instant from which the doors were as wanted, and stayed so as long as they should."""
        if wish.intent.want == "lock":
            return self._f.first_shut(from_us)
        best = wish.handle_open_us
        for span in self._f.unlocked:
            start = max(span.start_us, from_us)
            if span.end_us <= start:
                continue
            if span.end_us - start >= self._opened_us or self._locked_on_request(span.end_us):
                return start if best is None else min(start, best)
        return best

    def _locked_on_request(self, at_us: int) -> bool:
        """Whether somebody entitled asked to lock shortly before."""
        return any(
            s.command == "lock" and not s.flaw and s.at_us <= at_us <= s.at_us + PHONE_US
            for s in self._f.signed.values()
        ) or self._f.vehicle.locking(at_us) is not None or any(
            w.intent.want == "lock"
            and any(p == "card" and at_us - CARD_LOCKS_US <= t <= at_us for p, t in w.acts)
            for w in self._f.wishes
        )

    # -- attempts ----------------------------------------------------------------------------------

    def _attempts(self, wish: Wish) -> list[Attempt]:
        out: list[Attempt] = []
        tapped = False
        for path, at_us in wish.acts:
            if path == "bluetooth":
                warm = wish.warm and not self._o.reset_between(self._f.session_us(wish.phone, at_us), at_us)
                out.append(Attempt(wish, path, at_us, WARM_US if warm else COLD_US, warm))
            elif path == "cloud":
                known_off = wish.intent.via == "cloud" or self._o.radio_known_off(
                    wish.at_us, wish.at_us + PHONE_US
                )
                if known_off:
                    out.append(Attempt(wish, path, at_us, PHONE_US - (at_us - wish.at_us), False))
            elif not tapped:
                out.append(Attempt(wish, path, at_us, CARD_US, False))
                tapped = True
        return out

    def _asked(self, a: Attempt) -> bool:
        """Whether the attempt asked something of the DUT that it must do."""
        facts = self._f
        if not self._o.undisturbed(a.wish.index, a.at_us, a.deadline_us):
            return False
        if a.wish.intent.want == "lock" and any(a.at_us - EDGE_US <= t <= a.deadline_us for t, _, _ in facts.ajars):
            return False
        if a.wish.intent.want == "lock" and a.path == "card":
            unlocked = [s for s in facts.unlocked if s.start_us <= a.at_us < s.end_us]
            if not unlocked:
                return False
            if self._failed_to_lock(a.at_us):
                # A door whose last drive came to nothing is faulty: a tap then unlocks (vehicle.md section 3).
                return False
            ready = max((t for t, mv in facts.supplies if mv >= 9300 and t <= a.at_us), default=0) + READY_US
            freshest = max(
                [unlocked[0].start_us, ready]
                + [h.at_us for h in facts.hands if h.at_us <= a.at_us]
                + [t for t in facts.auths if t <= a.at_us]
                + [p.last_us for p in facts.vehicle.presses if p.at_us <= a.at_us]
                + [c.last_us for c in facts.vehicle.crashes if c.first_us <= a.at_us]
            )
            if a.at_us - freshest < TAP_AGE_US + CLOCK_EDGE_US:
                return False
        if a.wish.intent.want == "unlock" and a.path == "card":
            # With all doors unlocked a tap may lock: the driver would not tap then, but soon after they opened.
            return all(self._soon_after(s.start_us, a) for s in facts.unlocked if s.start_us <= a.at_us < s.end_us)
        return True

    def _soon_after(self, opened_us: int, a: Attempt) -> bool:
        """Whether the DUT read a card so soon after the doors opened that it must leave them as they are."""
        latest = min(RELOCKS_US - self._opened_us, TAP_AGE_US - CLOCK_EDGE_US - CARD_US)
        return a.at_us - opened_us <= latest and any(a.at_us <= t <= a.deadline_us for t in self._f.auths)

    def _failed_to_lock(self, at_us: int) -> bool:
        last = max((m for m in self._f.movements if m.start_us < at_us), key=lambda m: m.start_us, default=None)
        return last is not None and last.direction == "L" and any(self._f.latch_at(d, at_us) != "L" for d in last.doors)

    def _attempt(self, a: Attempt, out: list[Verdict]) -> None:
        o = self._o
        returned = o.power_returned(a.at_us)
        after_power = (
            returned is not None
            and returned + READY_US <= a.at_us <= returned + AFTER_POWER_US
            and o.viable(a.path, a.at_us, a.deadline_us, power_recovery_us=READY_US)
        )
        viable = o.viable(a.path, a.at_us, a.deadline_us)
        if not (viable or after_power) or not self._asked(a):
            return
        done = self.achieved(a.wish, a.at_us)
        what = f"{a.path} {a.wish.intent.want} of intent {a.wish.index}"
        if a.wish.closing:
            what = f"{a.path} {a.wish.intent.want} after all was healed"
        names = self._names(a) if viable else []
        if after_power:
            names.append("AVL-8")
        limit_us = a.limit_us + PULSE_COST_US * o.stuck_pulses(a.at_us, a.deadline_us)
        for name in names:
            if done is None or done == FAR_US:
                if not self._f.ended and self._f.end_us < a.deadline_us:
                    out.append(Verdict(name, Outcome.INCONCLUSIVE, f"{what}: the run ended before the limit"))
                else:
                    out.append(
                        Verdict(name, Outcome.FAIL, f"{what}: never, limit {limit_us / 1e6:.3f} s",
                                None, limit_us, a.at_us)
                    )  # fmt: skip
                continue
            slower = CLUMSY_SLOWER_US if name == "AVL-11" else 0
            verdict = within(name, done - a.at_us, limit_us + slower, self._u, a.at_us, what)
            out.append(verdict)
            if verdict.outcome.good:
                self.cells += [Cell(*c) for c in o.cells_after(a.path, a.at_us)]
                if viable:
                    self.cells += [Cell(*c) for c in o.cells_while(a.path, a.at_us, done)]
        if viable:
            self._independence(a, a.deadline_us if done is None else done, done is None, out)

    def _names(self, a: Attempt) -> list[str]:
        """The requirements that a viable attempt is evidence for."""
        o, end_us = self._o, a.deadline_us
        if a.wish.closing:
            names = ["AVL-6"]
        else:
            names = ["AVL-13" if a.wish.intent.want == "lock" else OF_PATH[a.path]]
            if o.recovered(a.path, a.at_us):
                names.append("AVL-6")
        if o.restbus_disturbed(a.path, a.at_us, end_us):
            names.append("AVL-7")
        if a.path != "cloud" and o.without_server(a.at_us):
            names.append("AVL-9")
        if o.clumsy(a.at_us):
            names.append("AVL-11")
        if a.path == "card" and any(i < 0 and a.at_us - CLUMSY_US <= t <= a.at_us for t, i, _ in self._f.taps):
            names.append("SEC-13")
        if self._left_half_way(a):
            names.append("AVL-12")
        if o.stuck_pulses(a.at_us, end_us):
            names.append("ACT-1")
        return names

    def _left_half_way(self, a: Attempt) -> bool:
        """Whether an earlier command of the same phone got no answer, or an earlier tap no proof."""
        f = self._f
        if a.path == "card":
            earlier = [t for w in f.wishes for p, t in w.acts if p == "card" and t < a.at_us]
            return any(not any(t <= auth <= t + CARD_US for auth in f.auths) for t in earlier)
        answered = {digest for _t, _channel, digest, _fault in f.answers}
        return any(
            s.key == a.wish.phone and s.at_us < a.at_us and s.index != a.wish.index and s.digest not in answered
            for s in f.signed.values()
        )

    def _independence(self, a: Attempt, done: int, never: bool, out: list[Verdict]) -> None:
        """AVL-5: what failed elsewhere did not slow this path down."""
        foreign = {s.mode.name for s in self._o.foreign(a.path, a.at_us, done)}
        hostile = any(path != a.path for path in self._o.clumsy(a.at_us))
        if not (foreign or hostile) or self._baseline is None or done <= a.at_us:
            return
        if a.wish.handle_open_us is not None and done == a.wish.handle_open_us:
            return
        if not self._o.undisturbed(a.wish.index, a.at_us - 200_000, done):
            return
        stale = self._o.reset_between(self._f.session_us(a.wish.phone, a.at_us), a.at_us)
        if a.path == "cloud" and stale:
            # Its first command only tells the client of the new epoch; healthy runs have no such round.
            return
        # With a session that came over the server the first connection must still discover the module's services, as
        # healthy runs do that begin with no session.
        known = a.warm and not a.wish.first_link
        healthy = self._baseline(a.path, a.wish.intent.want, known)
        if not healthy:
            # A path that does not work when all is healthy fails elsewhere; it is not slowed by anything.
            return
        limit = healthy + SLOWER_US + PULSE_COST_US * self._o.stuck_pulses(a.at_us, done)
        what = f"{a.path} {a.wish.intent.want} during {', '.join(sorted(foreign)) or 'an attack'}"
        if never:
            out.append(
                Verdict(
                    "AVL-5",
                    Outcome.FAIL,
                    f"{what}: never, healthy {healthy / 1e6:.3f} s",
                    None,
                    limit,
                    a.at_us,
                )
            )
            return
        out.append(within("AVL-5", done - a.at_us, limit, self._u, a.at_us, what))

    def _ladder(self, wish: Wish, out: list[Verdict]) -> None:
        """AVL-1: with phone and card, the driver is in within 30 s whatever fails between phone and car."""
        if not self._f.scenario.carry.card:
            return
        start = wish.at_us
        taps = start + HANDLE_US
        if not self._o.viable("card", taps, start + LADDER_US, power_recovery_us=READY_US + 500_000):
            return
        if not self._o.undisturbed(wish.index, start, start + LADDER_US):
            return
        done = self.achieved(wish, start)
        if done is None:
            if not self._f.ended and self._f.end_us < start + LADDER_US:
                out.append(Verdict("AVL-1", Outcome.INCONCLUSIVE, "the run ended before the limit"))
            else:
                out.append(Verdict("AVL-1", Outcome.FAIL, f"intent {wish.index}: the driver never got in",
                                   None, LADDER_US, start))  # fmt: skip
            return
        out.append(within("AVL-1", done - start, LADDER_US, self._u, start, f"intent {wish.index}: in"))
