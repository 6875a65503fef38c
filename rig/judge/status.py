"""STA-1: LockStatus tells the truth about the latches; its cycle, alive counter and CRC hold.

Decodes by the bus description given to it and checks the CRC with code of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rig.judge.e2e import COUNTERS, crc8
from rig.judge.facts import DOORS, LOCK_STATUS, Facts
from rig.judge.oracle import Oracle
from rig.judge.verdicts import Outcome, Verdict
from rig.trace import Event, number, octets

CYCLE_LOW_US = 90_000
CYCLE_HIGH_US = 110_000
CHANGE_US = 20_000
TRANSIT_US = 2_000
"""What a frame may wait for the bus, and a line of feedback for its wire: judged edges lie 20 ms apart."""
ASLEEP_US = 59_000_000
"""A vehicle that nobody asked anything for this long may be asleep (60 s, vehicle.md section 5)."""
WAKING_US = 1_000_000
"""What waking may take (as long as a boot)."""
MOVING = 2
FAULT = 3

Decode = Callable[[bytes], Mapping[str, int]]


@dataclass(slots=True)
class _Last:
    at_us: int
    counter: int
    on_cycle: bool
    """Whether it surely was the cycle's frame: the first after a silence may be an extra one, which comes any time."""


class Status:
    """Judges the DUT's own frames."""

    def __init__(self, facts: Facts, oracle: Oracle, decode: Decode, u_us: int) -> None:
        self._f = facts
        self._o = oracle
        self._decode = decode
        self._u = u_us
        self._valid: dict[bytes, bool] = {}

    def verdicts(self) -> list[Verdict]:
        """One verdict for the run: the first failure, or a pass if enough was seen."""
        failure = self._cycle() or self._truth() or self._changes()
        if failure is not None:
            return [failure]
        count = sum(1 for e in self._f.frames if e[1] == "can")
        if count < 3:
            return []
        return [Verdict("STA-1", Outcome.PASS, f"{count} LockStatus frames hold")]

    def _fail(self, at_us: int, text: str) -> Verdict:
        return Verdict("STA-1", Outcome.FAIL, f"LockStatus {text}", None, None, at_us)

    def _excused(self, start_us: int, end_us: int) -> bool:
        """Not judged: unpowered or booting, off the bus, flooded, or possibly asleep."""
        for at, _mv in self._f.supplies:
            if start_us - 1_000_000 - self._u <= at <= end_us:
                return True
        if self._f.supply_at(start_us) < 9300:
            return True
        for spell in self._o.spells:
            if spell.mode.domain == "can" and spell.start_us <= end_us and spell.end_us + 200_000 >= start_us:
                return True
        return self._asleep(start_us, end_us)

    def _asleep(self, start_us: int, end_us: int) -> bool:
        """Possibly asleep from the beginning of an interval to its end, but for the time that waking takes."""
        activities = sorted(
            [h.at_us for h in self._f.hands] + self._f.auths + [m.start_us for m in self._f.movements]
        )
        before = max((t for t in activities if t <= start_us), default=0)
        if start_us + CYCLE_HIGH_US + self._u < before + ASLEEP_US:
            return False
        waking = next((t for t in activities if start_us < t <= end_us), end_us)
        return end_us - waking <= WAKING_US

    def _cycle(self) -> Verdict | None:
        last: _Last | None = None
        longest = CYCLE_HIGH_US + self._u
        silent_us = self._f.origin_us
        for event in self._f.frames:
            at = event[0]
            if event[1] == "skip":
                if last is None and at - silent_us <= longest:
                    silent_us = at + number(event, 2)
                # Of a DUT that was silent already, no frames were skipped.
                if last is not None and at - last.at_us <= longest:
                    skipped = number(event, 2)
                    counter = (last.counter + skipped // 100_000) % COUNTERS
                    last = _Last(last.at_us + skipped, counter, last.on_cycle)
                continue
            data = octets(event, 3)
            valid = self._valid.get(data)
            if valid is None:
                valid = self._valid[data] = len(data) == 8 and crc8(LOCK_STATUS, data) == data[0]
            if not valid:
                return self._fail(at, f"has a wrong CRC: {data.hex()}")
            counter = data[1] & 0x0F
            if last is None:
                if at - silent_us > longest and not self._excused(silent_us, at):
                    return self._fail(at, f"came for the first time after {(at - silent_us) / 1e3:.0f} ms")
                last = _Last(at, counter, False)
                continue
            if counter == last.counter:
                continue
            gap = at - last.at_us
            in_step = counter == (last.counter + 1) % COUNTERS
            in_time = gap <= longest and (gap >= CYCLE_LOW_US - self._u or not last.on_cycle)
            if not (in_step and in_time) and not self._excused(last.at_us, at):
                if not in_step:
                    return self._fail(at, f"alive counter went from {last.counter} to {counter}")
                return self._fail(at, f"came after {gap / 1e3:.1f} ms, cycle is 90 to 110 ms")
            last = _Last(at, counter, in_step and in_time)
        if self._f.ended:
            since = silent_us if last is None else last.at_us
            gap = self._f.end_us - since
            if gap > longest and not self._excused(since, self._f.end_us):
                return self._fail(self._f.end_us, f"stopped {gap / 1e3:.0f} ms before the end")
        return None

    def _truth(self) -> Verdict | None:
        """Every frame says of each door what its latch said at some instant of the last 20 ms."""
        slack = CHANGE_US + TRANSIT_US + self._u
        changes = sorted((at, door, state) for door in DOORS for at, state in self._f.feedback[door])
        told: dict[bytes, tuple[int, ...]] = {}
        states = dict.fromkeys(DOORS, "")
        place, count = 0, len(changes)
        last_us = -slack
        steady: set[bytes] = set()
        for event in self._f.frames:
            if event[1] == "skip":
                continue
            at, data = event[0], octets(event, 3)
            while place < count and changes[place][0] <= at:
                last_us, door, states[door] = changes[place]
                place += 1
                steady.clear()
            tail = data[2:]
            if tail in steady:
                # Nothing has changed since a frame that said the same was found true.
                continue
            doors = told.get(tail)
            if doors is None:
                values = self._decode(data)
                doors = told[tail] = tuple(values[f"Door_{d}"] for d in DOORS)
            for door, said in zip(DOORS, doors, strict=True):
                if not self._could(door, said, at - slack, at) and not self._excused(at - slack, at):
                    return self._fail(
                        at,
                        f"says {_WORDS[said]} of door {door}, its feedback is {self._f.feedback_at(door, at)}",
                    )
            if at - slack > last_us:
                steady.add(tail)
        return None

    def _could(self, door: str, said: int, start_us: int, end_us: int) -> bool:
        if said == FAULT:
            return True
        wanted = {0: "L", 1: "U", MOVING: "X"}[said]
        changes = self._f.feedback[door]
        if self._f.feedback_at(door, start_us) == wanted:
            return True
        if any(start_us <= at <= end_us and state == wanted for at, state in changes):
            return True
        # A driven door may be called moving before its latch has left its place.
        return said == MOVING and any(
            door in m.doors and any(start_us - 200_000 <= at <= end_us for at, d in m.pulses if d == door)
            for m in self._f.movements
        )

    def _changes(self) -> Verdict | None:
        """After feedback changed for good, a frame says so within 20 ms."""
        limit = CHANGE_US + TRANSIT_US + self._u
        frames: list[Event] = [e for e in self._f.frames if e[1] == "can"]
        times = [e[0] for e in frames]
        for door in DOORS:
            changes = self._f.feedback[door]
            for place, (at, state) in enumerate(changes):
                if place == 0 or state == "X" or at + limit > self._f.end_us:
                    continue
                if place + 1 < len(changes) and changes[place + 1][0] <= at + limit:
                    continue
                if self._excused(at, at + limit):
                    continue
                wanted = 1 if state == "U" else 0
                soon = frames[bisect_left(times, at) : bisect_right(times, at + limit)]
                if not any(self._decode(octets(e, 3))[f"Door_{door}"] == wanted for e in soon):
                    return self._fail(at, f"did not tell of door {door} within 20 ms of its feedback")
        return None


_WORDS = {0: "locked", 1: "unlocked", 2: "moving", 3: "fault"}
