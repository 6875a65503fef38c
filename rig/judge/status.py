"""STA-1: LockStatus tells the truth about the latches; its cycle, alive counter and CRC hold.

Decodes by the bus description given to it and checks the CRC with code of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rig.judge.e2e import COUNTERS, crc8
from rig.judge.facts import DOORS, LOCK_STATUS, Facts, Movement
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
OFF_THE_BUS = ("can.bus_off", "can.babbling")
"""Modes in which no frame of the DUT comes through at all."""
WAKING_US = 1_000_000
"""What waking may take (as long as a boot)."""
BUS_BACK_US = 200_000
"""After a fault of the bus is over, until the DUT is heard again."""
OFF_MV, BOOT_MV = 6500, 9300
PULSES = 3
PULSE_US = 200_000
"""A pulse of 150 ms, and 50 ms until the next (vehicle.md section 5)."""
RELOCK_US = 28_000_000
"""No relock comes sooner after an unlock."""
LIVES_US = 33_000_000
TAP_US = 2_000_000
SOURCE_SEEN_US = 2_000_000
SOURCES = {"cloud": 1, "bluetooth": 2, "card": 3, "interior": 4, "crash": 5, "relock": 6}
"""LockStatus' numbers of who moved the locks (vehicle.md section 1)."""
MOVING = 2
FAULT = 3

Decode = Callable[[bytes], Mapping[str, int]]


@dataclass(slots=True)
class _Last:
    at_us: int
    counter: int
    on_cycle: bool
    """Whether it surely was the cycle's frame: the first after a silence may be an extra one, which comes any time."""


def remembered(decode: Decode) -> Decode:
    """The same, but for CRC and counter, without decoding twice what frames say again and again."""
    by_data: dict[bytes, Mapping[str, int]] = {}
    by_content: dict[tuple[bytes, int, bytes], Mapping[str, int]] = {}

    def decoded(data: bytes) -> Mapping[str, int]:
        values = by_data.get(data)
        if values is None:
            content = (b"", data[1] & 0xF0, data[2:]) if len(data) > 1 else (data, 0, b"")
            values = by_content.get(content)
            if values is None:
                values = by_content[content] = decode(data)
            by_data[data] = values
        return values

    return decoded


class Status:
    """Judges the DUT's own frames."""

    def __init__(self, facts: Facts, oracle: Oracle, decode: Decode, u_us: int) -> None:
        self._f = facts
        self._o = oracle
        self._decode = decode
        self._u = u_us
        self._valid: dict[bytes, bool] = {}
        self._awake: list[tuple[int, int]] | None = None

    def verdicts(self) -> list[Verdict]:
        """One verdict for the run: the first failure, or a pass if enough was seen."""
        failure = self._cycle() or self._truth() or self._changes() or self._ajar() or self._sources()
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

    def _broken(self, need: str, start_us: int, end_us: int) -> bool:
        """Whether a need does not hold at some instant of an interval."""
        return any(need in s.mode.breaks and s.start_us <= end_us and s.end_us >= start_us for s in self._o.spells)

    def _activities(self) -> list[tuple[int, int]]:
        """When, at the earliest and at the latest, something surely happened that keeps a DUT awake, in order.

        It did what it was asked, or moved. What it refused, or never got whole, need neither wake it nor keep it awake.
        """
        if self._awake is None:
            f = self._f
            handed: dict[str, int] = {}
            for h in f.hands:
                handed.setdefault(h.digest, h.at_us)
            # Answers may come late, held up by others.
            done = [(handed.get(name, at), at) for at, _channel, name, fault in f.answers if not fault]
            done += [(asked, received) for received, _key, _epoch, _seconds, asked in f.clocks]
            self._awake = sorted(done + [(t, t) for t in (*f.auths, *(m.start_us for m in f.movements))])
        return self._awake

    def _dozes(self, start_us: int, end_us: int) -> bool:
        """Whether it may fall asleep, or be asleep, in an interval in which nothing happens."""
        activities = self._activities()
        before = max((early for early, late in activities if late <= start_us), default=0)
        return end_us + CYCLE_HIGH_US + self._u >= before + ASLEEP_US

    def _asleep(self, start_us: int, end_us: int) -> bool:
        """Possibly asleep from the beginning of an interval to its end, but for the time that waking takes."""
        activities = self._activities()
        before = max((early for early, late in activities if late <= start_us), default=0)
        if start_us + CYCLE_HIGH_US + self._u < before + ASLEEP_US:
            return False
        waking = min((late for _, late in activities if start_us < late <= end_us), default=end_us)
        return end_us - waking <= WAKING_US

    def _silent_after(self, start_us: int, end_us: int) -> int:
        """How long a silence that something excuses went on after all of that was over."""
        reach = start_us
        for at, mv in self._f.supplies:
            if start_us - WAKING_US - self._u <= at <= end_us and mv >= BOOT_MV:
                reach = max(reach, at + WAKING_US)
        if self._f.supply_at(end_us) < BOOT_MV:
            return 0
        for spell in self._o.spells:
            if spell.mode.domain == "can" and spell.start_us <= end_us:
                reach = max(reach, spell.end_us + BUS_BACK_US)
        if any(b.start_us <= end_us and b.end_us >= start_us for b in self._o.breaches):
            return 0
        # It may have fallen asleep meanwhile, too.
        if self._asleep(start_us, end_us) or self._asleep(min(reach, end_us), end_us):
            return 0
        return end_us - reach

    def _cycle(self) -> Verdict | None:
        last: _Last | None = None
        longest = CYCLE_HIGH_US + self._u
        silent_us = self._f.origin_us
        for event in self._f.frames:
            at = event[0]
            if event[1] == "skip":
                if last is None and at - silent_us <= longest:
                    silent_us = at + number(event, 2)
                # Of a DUT that was silent already, no frames were skipped; of one that fell asleep, some.
                if last is not None and self._dozes(at, at + number(event, 2)):
                    silent_us, last = at + number(event, 2), None
                elif last is not None and at - last.at_us <= longest and not self._mute(at):
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
                if at - silent_us > longest and (
                    not self._excused(silent_us, at) or self._silent_after(silent_us, at) > longest
                ):
                    return self._fail(at, f"came for the first time after {(at - silent_us) / 1e3:.0f} ms")
                last = _Last(at, counter, False)
                continue
            gap = at - last.at_us
            if gap > longest:
                if self._silent_after(last.at_us, at) > longest:
                    return self._fail(at, f"came after {gap / 1e6:.3f} s, long after what had silenced it was over")
                if self._reset_between(last.at_us, at):
                    if counter:
                        return self._fail(at, f"began with alive counter {counter} after a reset")
                    last = _Last(at, counter, False)
                    continue
            if counter == last.counter and gap <= longest:
                continue
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
            if gap > longest and (
                not self._excused(since, self._f.end_us) or self._silent_after(since, self._f.end_us) > longest
            ):
                return self._fail(self._f.end_us, f"stopped {gap / 1e3:.0f} ms before the end")
        return None

    def _mute(self, at_us: int) -> bool:
        """Whether the DUT is off the bus, or without supply, at an instant."""
        return self._f.supply_at(at_us) < OFF_MV or any(
            s.mode.name in OFF_THE_BUS and s.start_us <= at_us < s.end_us for s in self._o.spells
        )

    def _reset_between(self, start_us: int, end_us: int) -> bool:
        """Whether the DUT surely began a life between two frames, and its first could be heard."""
        f = self._f
        cut = [t for t, mv in f.supplies if start_us < t < end_us and mv < OFF_MV]
        if not cut or f.supply_at(end_us) < BOOT_MV:
            return False
        back = max(t for t, mv in f.supplies if t < end_us and mv >= BOOT_MV)
        return back > max(cut) and not any(
            s.mode.domain == "can" and s.start_us <= end_us and s.end_us + BUS_BACK_US >= back for s in self._o.spells
        )

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
            return self._tried(door, start_us, end_us) or self._broken("actuator", 0, end_us)
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

    def _tried(self, door: str, start_us: int, end_us: int) -> bool:
        """Whether a door may be called faulty: three pulses did not bring its latch there, and nothing since."""
        changes = self._f.feedback[door]
        for direction in ("U", "L"):
            pulses = [t for m in self._f.movements if m.direction == direction for t, d in m.pulses
                      if d == door and t <= end_us]  # fmt: skip
            if len(pulses) < PULSES or pulses[-1] - pulses[-PULSES] > PULSES * PULSE_US:
                continue
            if not any(t > pulses[-1] and t < start_us and state != "X" for t, state in changes):
                return True
        return False

    def _ajar(self) -> Verdict | None:
        """Every frame says of each door what was so at some instant of the last cycle."""
        if not self._f.ajars:
            return None
        slack = CYCLE_HIGH_US + TRANSIT_US + self._u
        for event in self._f.frames:
            if event[1] != "can":
                continue
            at = event[0]
            values = self._decode(octets(event, 3))
            for door in DOORS:
                said = values.get(f"Ajar_{door}", 0) != 0
                states = {door in self._f.ajar_at(at - slack)}
                states.update(is_open for t, d, is_open in self._f.ajars if d == door and at - slack <= t <= at)
                if said not in states and not self._excused(at - slack, at):
                    return self._fail(at, f"says that door {door} {'stands open' if said else 'is shut'}")
        return None

    def _sources(self) -> Verdict | None:
        """After a movement that only one thing can have caused, frames name that."""
        f = self._f
        moved = [m for m in f.movements if any(
            m.start_us <= t <= m.pulses[-1][0] + 2 * PULSE_US for d in m.doors for t, s in f.feedback[d] if s != "X"
        )]  # fmt: skip
        times = [e[0] for e in f.frames]
        for movement in moved:
            causes = self._causes(movement)
            if len(causes) != 1 or self._broken("actuator", 0, movement.pulses[-1][0] + SOURCE_SEEN_US):
                continue
            start = movement.pulses[-1][0] + 2 * PULSE_US + CYCLE_HIGH_US
            end = min((m.start_us for m in f.movements if m.start_us > movement.start_us), default=f.end_us)
            end = min([end, start + SOURCE_SEEN_US] + [t for t, _ in f.supplies if t > movement.start_us - PULSE_US])
            (cause,) = causes
            for event in f.frames[bisect_left(times, start) : bisect_left(times, end)]:
                if event[1] != "can":
                    continue
                said = self._decode(octets(event, 3)).get("LastSource", cause)
                if said != cause and not self._excused(start, event[0]):
                    return self._fail(
                        event[0], f"names source {said} of the last movement, where it can only be {cause}"
                    )
        return None

    def _causes(self, movement: Movement) -> set[int]:
        """Which sources (by LockStatus' numbers) may have caused a movement, or taken it over before its last pulse."""
        f, at_us, direction = self._f, movement.start_us, movement.direction
        last_us = movement.pulses[-1][0]
        command = "unlock" if direction == "U" else "lock"
        out = {
            SOURCES[h.channel] for h in f.hands
            if at_us - LIVES_US <= h.at_us <= last_us
            and (h.digest not in f.signed or f.signed[h.digest].command == command)
        }  # fmt: skip
        if any(at_us - TAP_US <= t <= last_us for t in f.auths):
            out.add(SOURCES["card"])
        if f.vehicle.pressed(command, at_us - TAP_US, last_us):
            out.add(SOURCES["interior"])
        if direction == "U" and f.vehicle.crashed(at_us - TAP_US, last_us):
            out.add(SOURCES["crash"])
        # What found the doors open already moved nothing, and is counted from all the same.
        opened = [m.start_us for m in f.movements if m.direction == "U"] + [h.at_us for h in f.hands] + f.auths
        if direction == "L" and any(t < at_us - RELOCK_US for t in opened):
            out.add(SOURCES["relock"])
        return out

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
