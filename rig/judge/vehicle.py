"""What the DUT was validly told of the vehicle: speed, crash, and the inside switch, from the frames on the bus.

Every answer has two sides: what a DUT may have taken for valid, and what it surely had to. Decides no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rig.faults import CATALOGUE
from rig.judge.e2e import COUNTERS, intact
from rig.trace import Event, Field, number, octets

if TYPE_CHECKING:
    from rig.judge.facts import Facts

VEHICLE_STATE = 0x1B0
INTERIOR_SWITCH = 0x1E0
RESTBUS = frozenset({VEHICLE_STATE, INTERIOR_SWITCH})
WALKING = 50
"""5 km/h in 0.1 km/h: above it cloud and bluetooth do not unlock (vehicle.md section 5)."""
FRESH_US = 500_000
"""After this long without a valid frame any counter is valid; a speed counts this long."""
REMEMBERED_US = 60_000_000
"""With no valid frame the last one's speed counts this long."""
EDGE_US = 20_000
"""Within this of an edge nothing is judged (requirements: edges)."""
LARGEST_STEP = 3
LENGTH = 8
CYCLE_US = 100_000
TOGETHER_US = 350_000
"""Crash frames this close surely follow each other: up to two in between may be lost."""
ACTS_US = 1_000_000
"""A press or a crash moves the locks by then, with all pulses that may be needed."""
SAME_PRESS_US = 150_000
"""A press is three frames, 20 ms apart."""
FAR_US = 1 << 62
OFF_MV, BOOT_MV = 6500, 9300
READY_US = 1_000_000
"""From the supply's return to ready, at the longest (vehicle.md section 5)."""
AGREED_US = FRESH_US + 100_000
"""After the DUT was off the bus, until it takes any counter again."""
REQUESTS = {1: "lock", 2: "unlock"}

Decode = Callable[[bytes], Mapping[str, int]]
Deaf = Sequence[tuple[int, int]]
"""Spans (µs) in which the DUT may have missed frames: off the bus or not running, until its counters agree again."""


@dataclass(frozen=True, slots=True)
class Press:
    """The inside switch was pressed: frames from `at_us` to `last_us`; `sure`: one of them had to be taken."""

    at_us: int
    last_us: int
    request: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Crash:
    """Crash frames that follow each other.

    Attributes:
        first_us: the first.
        second_us: from here on two may have been taken: a movement to open is authorised.
        last_us: the last.
        sure_us: when the second, and the third, of those surely taken in a row came; FAR_US: never.
    """

    first_us: int
    second_us: int
    last_us: int
    sure_us: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A VehicleState frame that may have been taken, and how long others like it followed in skipped time."""

    at_us: int
    until_us: int
    speed: int
    crash: bool
    sure: bool


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What the frames of a run said. Empty: the vehicle stood still and nothing happened to it."""

    presses: tuple[Press, ...] = ()
    crashes: tuple[Crash, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    fast: tuple[Spoken, ...] = field(default=())
    """Those of `spoken` that show over 5 km/h."""

    def pressed(self, request: str, start_us: int, end_us: int) -> bool:
        """Whether a press for `request` ("lock", "unlock") may have been taken in an interval."""
        return any(p.request == request and p.at_us <= end_us and p.last_us >= start_us for p in self.presses)

    def crashed(self, start_us: int, end_us: int) -> bool:
        """Whether crash frames that may have been taken as a crash touch an interval."""
        return any(c.second_us <= end_us and c.last_us >= start_us for c in self.crashes)

    def opening(self, at_us: int) -> int | None:
        """When the vehicle's latest act (inside switch, crash) came that a movement to open may rest on; None: none."""
        acts = [p.at_us for p in self.presses if p.request == "unlock" and p.at_us <= at_us <= p.last_us + ACTS_US]
        acts += [c.second_us for c in self.crashes if c.second_us <= at_us <= c.last_us + ACTS_US]
        return max(acts, default=None)

    def locking(self, at_us: int) -> int | None:
        """When the inside switch was last pressed so that a movement to lock may rest on it; None: it was not."""
        acts = [p.at_us for p in self.presses if p.request == "lock" and p.at_us <= at_us <= p.last_us + ACTS_US]
        return max(acts, default=None)

    def acts(self, start_us: int, end_us: int) -> bool:
        """Whether anybody or anything may move the locks by the vehicle's own means in an interval."""
        return any(p.at_us <= end_us and p.last_us + ACTS_US >= start_us for p in self.presses) or any(
            c.first_us <= end_us and c.last_us + ACTS_US >= start_us for c in self.crashes
        )

    def surely_fast(self, at_us: int) -> bool:
        """Whether a frame that surely was taken, and is not older than 500 ms, shows over 5 km/h."""
        oldest = at_us - FRESH_US + EDGE_US
        return any(s.sure and s.at_us <= at_us - EDGE_US and s.until_us >= oldest for s in self.fast)

    def surely_standing(self, start_us: int, end_us: int) -> bool:
        """Whether the vehicle stands, as far as any DUT could know, throughout an interval."""
        if not self.fast:
            return True
        before = [s for s in self.fast if s.at_us <= end_us]
        if not before:
            return True
        last_us = max(s.until_us for s in before)
        if last_us >= start_us - FRESH_US - EDGE_US:
            return False
        if last_us < start_us - REMEMBERED_US - FRESH_US:
            return True
        return any(
            s.sure and s.speed <= WALKING and s.at_us > last_us and s.at_us <= start_us - EDGE_US for s in self.spoken
        )


class _Ear:
    """Follows one identifier's counters as the DUT must (vehicle.md section 1)."""

    def __init__(self, can_id: int, deaf: Deaf) -> None:
        self._id = can_id
        self._deaf = deaf
        self._counter = 0
        self._last_us = -FAR_US

    def hears(self, at_us: int, data: bytes) -> tuple[bool, bool]:
        """Whether a frame may be taken for valid, and whether it surely is."""
        if not intact(self._id, data):
            return False, False
        counter = data[1] & 0x0F
        age = at_us - self._last_us
        in_step = 1 <= (counter - self._counter) % COUNTERS <= LARGEST_STEP
        unsure = any(start <= at_us <= end for start, end in self._deaf)
        accepted = in_step or age >= FRESH_US
        if accepted:
            self._counter, self._last_us = counter, at_us
        may = accepted or unsure or age >= FRESH_US - EDGE_US
        surely = accepted and not unsure and (in_step or age >= FRESH_US + EDGE_US)
        return may, surely

    def skip(self, at_us: int, delta_us: int) -> bool:
        """Skipped time: a sender that was alive went on. Whether it was."""
        if at_us - self._last_us >= 2 * CYCLE_US:
            return False
        self._counter = (self._counter + delta_us // CYCLE_US) % COUNTERS
        self._last_us += delta_us
        return True


def deaf(facts: Facts) -> Deaf:
    """When the DUT may have missed what was on the bus: not running, or its line to the bus broken."""
    out: list[tuple[int, int]] = []
    since = 0
    off = True
    for at, mv in facts.supplies:
        if mv < OFF_MV and not off:
            since, off = at, True
        elif mv >= BOOT_MV and off:
            out.append((since, at + READY_US))
            off = False
    if off:
        out.append((since, FAR_US))
    for index, fault in enumerate(facts.scenario.faults):
        mode = CATALOGUE[fault.mode]
        if mode.domain != "can" or "can" not in mode.breaks:
            continue
        start, end = facts.origin_us + fault.start_us, FAR_US
        if fault.end_us is not None:
            end = facts.origin_us + fault.end_us
        if fault.step:
            start, end = facts.fault_edges.get(index, (FAR_US, FAR_US))
        out.append((start, min(end, max(start, facts.healed_us)) + AGREED_US))
    return out


def conditions(
    restbus: Sequence[Event], deaf: Deaf, decode_vehicle: Decode | None, decode_interior: Decode | None
) -> Vehicle:
    """Reads the restbus frames of a run (and its `skip` events), in order."""
    if decode_vehicle is None or decode_interior is None:
        return Vehicle()
    # Nearly always nothing matters: each content is looked at once.
    said = {e[2:4] for e in restbus if e[1] == "can"}  # type: ignore[misc]  # every frame has both
    if not _matter(said, decode_vehicle):
        return Vehicle()
    spoken: list[Spoken] = []
    switch: list[tuple[int, str, bool]] = []
    state, interior = _Ear(VEHICLE_STATE, deaf), _Ear(INTERIOR_SWITCH, deaf)
    for event in restbus:
        at = event[0]
        if event[1] == "skip":
            delta = number(event, 2)
            if state.skip(at, delta) and spoken:
                one = spoken[-1]
                spoken[-1] = Spoken(one.at_us, one.until_us + delta, one.speed, one.crash, one.sure)
            continue
        data = octets(event, 3)
        if number(event, 2) == INTERIOR_SWITCH:
            may, sure = interior.hears(at, data)
            request = REQUESTS.get(decode_interior(data)["Request"]) if may else None
            if request is not None:
                switch.append((at, request, sure))
            continue
        may, sure = state.hears(at, data)
        if may:
            values = decode_vehicle(data)
            spoken.append(Spoken(at, at, values["Speed"], values["Crash"] != 0, sure))
    fast = tuple(s for s in spoken if s.speed > WALKING)
    return Vehicle(tuple(_presses(switch)), tuple(_crashes(spoken)), tuple(spoken), fast)


def _matter(said: Iterable[tuple[Field, ...]], decode_vehicle: Decode) -> bool:
    """Whether any frame says anything but that the vehicle stands still, unharmed."""
    dull: set[tuple[int, bytes]] = set()
    for can_id, data in said:
        if not isinstance(data, bytes) or len(data) != LENGTH:
            continue
        if can_id == INTERIOR_SWITCH:
            return True
        # All but CRC and counter.
        content = data[1] & 0xF0, data[2:]
        if content in dull:
            continue
        values = decode_vehicle(data)
        if values["Speed"] > WALKING or values["Crash"]:
            return True
        dull.add(content)
    return False


def _presses(switch: Iterable[tuple[int, str, bool]]) -> list[Press]:
    out: list[Press] = []
    for at, request, sure in switch:
        if out and out[-1].request == request and at - out[-1].last_us < SAME_PRESS_US:
            out[-1] = Press(out[-1].at_us, at, request, out[-1].sure or sure)
        else:
            out.append(Press(at, at, request, sure))
    return out


def _crashes(spoken: Iterable[Spoken]) -> list[Crash]:
    out: list[Crash] = []
    run: list[Spoken] = []
    for one in spoken:
        if one.crash:
            run.append(one)
        elif one.sure and run:
            out += _crash(run)
            run = []
    return out + _crash(run)


def _crash(run: Sequence[Spoken]) -> list[Crash]:
    if len(run) < 2:
        return []
    row: list[int] = []
    sure = (FAR_US, FAR_US)
    for one in run:
        if not one.sure:
            row = []
        elif row and one.at_us - row[-1] > TOGETHER_US:
            row = [one.at_us]
        else:
            row.append(one.at_us)
        if len(row) == 2 and sure[0] == FAR_US:
            sure = (row[1], FAR_US)
        elif len(row) == 3 and sure[1] == FAR_US and row[1] == sure[0]:
            sure = (sure[0], row[2])
    return [Crash(run[0].at_us, run[1].at_us, run[-1].until_us, sure)]
