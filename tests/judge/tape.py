"""Writes traces by hand, so that a test says exactly what a run looked like and nothing else happened in it.

Times are seconds from the scenario's origin. LockStatus frames are added at the end, true to the feedback.
"""

from __future__ import annotations

from collections.abc import Callable

from hardware.vehicle import body_codecs
from rig.judge import judge
from rig.judge.judge import Judgement, Rules
from rig.judge.verdicts import Verdict
from rig.protocol.e2e import protect
from rig.scenario import Carry, Doors, Entry, Scenario
from rig.trace import Event, Field, Trace, number, octets, word

ORIGIN_US = 3_000_000
LOCK_STATUS = 0x1A0
DOORS = ("FL", "FR", "RL", "RR")
EPOCH = bytes(16)
CLOCK_S = 2
"""What session info said at the origin: the clock's zero lies from 3 s to 2 s before it."""
SAID = {"L": 0, "U": 1, "X": 2}


def us(seconds: float) -> int:
    """Seconds from the origin on the trace's clock."""
    return ORIGIN_US + round(seconds * 1_000_000)


class Tape:
    """A trace in the making, of a scenario with these entries."""

    def __init__(self, *timeline: Entry, doors: Doors = "locked", card: bool = True) -> None:
        self.scenario = Scenario(timeline=timeline, doors=doors, carry=Carry(card=card))
        self.events: list[Event] = [(50_000, "supply", 12_600), (ORIGIN_US, "origin")]
        self.cycle = True
        """Whether LockStatus is added."""
        self.silent: list[tuple[float, float]] = []
        """When it is left out all the same (seconds)."""
        self.driving: list[tuple[float, float]] = []
        """When LockStatus says that somebody may drive (seconds)."""
        for index, intent in enumerate(self.scenario.intents):
            self.add(intent.at_us / 1e6, "intent", index, intent.want, intent.via)
        for fault in self.scenario.faults:
            if fault.mode.startswith("power."):
                self.add(fault.start_us / 1e6, "supply", fault.param("mv", 0))
                if fault.end_us is not None:
                    self.add(fault.end_us / 1e6, "supply", 12_600)

    def add(self, at_s: float, kind: str, *fields: Field) -> Tape:
        """One event."""
        self.events.append((us(at_s), kind, *fields))
        return self

    # -- who does what -----------------------------------------------------------------------------

    def acts(self, at_s: float, path: str, *, index: int = 0, warm: bool | None = None, first: bool = False) -> Tape:
        """The first act of an intent on a path; on Bluetooth, with or without a session, or never connected before."""
        if warm is not None:
            self.add(at_s, "session", index, "warm" if warm else "cold", *(("first",) if first else ()))
        return self.add(at_s, "act", index, path)

    def knows_the_clock(self, at_s: float = 0.0, *, key: str = "phone", seconds: int = CLOCK_S) -> Tape:
        """A client gets session info, at once."""
        return self.add(at_s, "clock", key, EPOCH, seconds, us(at_s))

    def sends(
        self,
        at_s: float,
        name: str,
        *,
        index: int = 0,
        channel: str = "bluetooth",
        command: str = "unlock",
        key: str = "phone",
        expires: int = CLOCK_S + 9,
        handed: bool = True,
        flaw: str = "",
    ) -> Tape:
        """A command is signed, and handed to the DUT at once."""
        self.add(at_s, "sign", name, index, key, channel, command, EPOCH, len(self.events), expires, flaw)
        return self.hands(at_s, name, channel=channel) if handed else self

    def hands(self, at_s: float, name: str, *, channel: str = "bluetooth", origin: str = "genuine") -> Tape:
        """A carrier hands the DUT something."""
        return self.add(at_s, "hand", channel, name, origin)

    def answers(self, at_s: float, name: str, *, channel: str = "bluetooth", fault: int = 0) -> Tape:
        """The answer reaches the client."""
        return self.add(at_s, "answer", channel, name, fault)

    def told(self, at_s: float, what: str, detail: str = "", *, index: int = 0) -> Tape:
        """The driver is told."""
        return self.add(at_s, "told", index, what, detail)

    def taps(self, at_s: float, *, index: int = 0, authentic: bool = True) -> Tape:
        """The card on the reader for a second; it answers its challenge after 100 ms."""
        self.add(at_s, "tap", index, "driver").acts(at_s, "card", index=index)
        if authentic:
            self.add(at_s + 0.1, "auth", "driver")
        return self.add(at_s + 1.0, "untap", index, "driver")

    def moves(
        self, at_s: float, direction: str, *, doors: tuple[str, ...] = DOORS, flips: bool = True
    ) -> Tape:
        """Motors drive from `at_s` on; latches flip 150 ms later."""
        for door in doors:
            self.add(at_s, "motor", door, direction, 1)
            if flips:
                self.add(at_s + 0.02, "feedback", door, "X")
                self.add(at_s + 0.15, "latch", door, direction)
                self.add(at_s + 0.15, "feedback", door, direction)
            self.add(at_s + 0.16, "motor", door, direction, 0)
        return self

    def turned_by_hand(self, at_s: float, state: str) -> Tape:
        """The mechanical key."""
        for door in DOORS:
            self.add(at_s, "latch", door, state).add(at_s, "feedback", door, state)
        return self

    # -- the whole ---------------------------------------------------------------------------------

    def trace(self, end_s: float, *, end: bool = True) -> Trace:
        """The trace, up to an instant."""
        events = sorted(self.events, key=lambda e: e[0])
        if self.cycle:
            events = sorted(events + self._frames(events, us(end_s)), key=lambda e: e[0])
        if end:
            events.append((us(end_s), "end"))
        return Trace(events, ORIGIN_US)

    def _frames(self, events: list[Event], end_us: int) -> list[Event]:
        first = "L" if self.scenario.doors == "locked" else "U"
        state = dict.fromkeys(DOORS, first)
        changes = [(e[0], word(e, 2), word(e, 3)) for e in events if e[1] == "feedback"]
        moments = [(at, True) for at in range(ORIGIN_US - 200_000, end_us, 100_000)]
        moments += [(at + 5_000, False) for at in sorted({at for at, _, _ in changes})]
        out: list[Event] = []
        counter, source = -1, 0
        sources = [(e[0], _source(events, e)) for e in events if e[1] == "motor" and number(e, 4)]
        moments = [m for m in moments if not any(us(start) <= m[0] < us(end) for start, end in self.silent)]
        for at, cyclic in sorted(moments):
            while changes and changes[0][0] < at:
                _, door, new = changes.pop(0)
                state[door] = new
            counter += cyclic
            while sources and sources[0][0] <= at:
                source = sources.pop(0)[1]
            drive = any(us(start) <= at < us(end) for start, end in self.driving)
            out.append((at, "can", LOCK_STATUS, status(state, counter % 15, drive, source), "ecu"))
        return out

    def judged(self, end_s: float, **rules: object) -> Judgement:
        """The judge's word on it."""
        return judged(self.scenario, self.trace(end_s), **rules)

    def verdict(self, requirement: str, end_s: float, **rules: object) -> Verdict:
        """The judge's word on one requirement."""
        return self.judged(end_s, **rules).verdicts[requirement]


def _source(events: list[Event], motor: Event) -> int:
    """Who moved the locks, as LockStatus names it: the last that asked for it; nobody else than the relock."""
    names = {"card": 3, "cloud": 1, "bluetooth": 2}
    for event in reversed([e for e in events if motor[0] - 10_000_000 <= e[0] <= motor[0]]):
        if event[1] == "auth":
            return 3
        if event[1] == "hand":
            return names[word(event, 2)]
        if event[1] != "can":
            continue
        if number(event, 2) == 0x1E0:
            return 4
        if number(event, 2) == 0x1B0 and body_codecs()["VehicleState"].decode(octets(event, 3))["Crash"]:
            return 5
    return 6


def status(state: dict[str, str], counter: int, drive: bool = False, source: int = 0) -> bytes:
    """A valid LockStatus."""
    values = {f"Door_{d}": SAID[s] for d, s in state.items()} | {"DriveAuthorised": int(drive), "LastSource": source}
    payload = body_codecs()["LockStatus"].encode(values)
    return protect(LOCK_STATUS, payload, counter)


def judged(scenario: Scenario, trace: Trace, **rules: object) -> Judgement:
    """Judges a trace by rules, the defaults being those of virtual time."""
    codecs = body_codecs()
    rules.setdefault("decode_vehicle", codecs["VehicleState"].decode)
    rules.setdefault("decode_interior", codecs["InteriorSwitch"].decode)
    return judge(scenario, trace, Rules(codecs["LockStatus"].decode, **rules))  # type: ignore[arg-type]  # the tests name the fields


def edited(trace: Trace, change: Callable[[Event], Event | None]) -> Trace:
    """The trace with each event changed, or left out."""
    events = [new for event in trace.events if (new := change(event)) is not None]
    return Trace(events, trace.origin_us, trace.fidelity)


def is_status(event: Event) -> bool:
    """Whether an event is a LockStatus frame after the origin."""
    return event[1] == "can" and number(event, 2) == LOCK_STATUS and event[0] > ORIGIN_US
