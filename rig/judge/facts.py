"""Facts: one pass over a trace, sorted for the judge's questions.

Takes the trace as it is; decides nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import cast

from rig.judge.vehicle import RESTBUS, Vehicle
from rig.scenario import Intent, Scenario, Via, Want
from rig.trace import Event, Trace, number, octets, word

LOCK_STATUS = 0x1A0
BLUETOOTH_REQUEST = 0x2B0
CONSECUTIVE = 0x20
"""Frames with which an ISO-TP message begins have a lower first byte (ISO 15765-2)."""
DOORS = ("FL", "FR", "RL", "RR")
FAR_US = 1 << 62
PULSE_GROUP_US = 450_000
"""Pulses of one movement: at most 3, 200 ms apart (vehicle.md section 5); a longer gap begins another movement."""


@dataclass(slots=True)
class Signed:
    """A command that a client with an enrolled key signed."""

    at_us: int
    digest: str
    index: int
    key: str
    channel: str
    command: str
    epoch: bytes
    counter: int
    expires_at: int
    flaw: str = ""
    """What is wrong with it on purpose; empty for an honest command."""


@dataclass(slots=True)
class KeyOp:
    """An owner's operation on the key list that was answered."""

    at_us: int
    index: int
    subject: str
    what: str
    fault: int


@dataclass(slots=True)
class Hand:
    """A payload that a carrier began to send to the DUT.

    `delivers`: it may bring a genuine command. A copy does if it comes, on the command's own channel, before
    the original: the original then is the one that replays.
    """

    at_us: int
    channel: str
    digest: str
    origin: str
    delivers: bool


@dataclass(slots=True)
class Movement:
    """Motor pulses in one direction that belong together; `start_us` is the first one's start."""

    start_us: int
    direction: str
    doors: set[str] = field(default_factory=set)
    pulses: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Wish:
    """What became of one intent."""

    index: int
    intent: Intent
    at_us: int
    acts: list[tuple[str, int]] = field(default_factory=list)
    warm: bool = False
    first_link: bool = False
    """Its phone has a session, but has not been connected over Bluetooth yet."""
    told: tuple[int, str, str] | None = None
    handle_open_us: int | None = None
    last_us: int = 0
    closing: bool = False
    """Made by the closing phase, when all is healed."""

    @property
    def phone(self) -> str:
        """The name of the phone that pursues it, as in `sign` events."""
        return "phone" if self.intent.who == "driver" else "guest"


@dataclass(frozen=True, slots=True)
class Span:
    """Between two instants all latches were in one state."""

    start_us: int
    end_us: int


@dataclass(slots=True)
class Facts:
    """Everything the judge asks of a run."""

    scenario: Scenario
    origin_us: int
    end_us: int
    ended: bool
    wishes: list[Wish]
    signed: dict[str, Signed]
    hands: list[Hand]
    answers: list[tuple[int, str, str, int]]
    auths: list[int]
    clocks: list[tuple[int, str, bytes, int, int]]
    movements: list[Movement]
    latches: dict[str, list[tuple[int, str]]]
    feedback: dict[str, list[tuple[int, str]]]
    supplies: list[tuple[int, int]]
    frames: list[Event]
    lost: str
    stalls: list[tuple[int, str, int]]
    unlocked: list[Span]
    locked: list[Span]
    fault_edges: dict[int, tuple[int, int]] = field(default_factory=dict)
    """When each fault really began and ended (FAR_US: not): those placed at steps begin when the step comes."""
    healed_us: int = FAR_US
    """When the closing phase ended every failure that was left."""
    keyops: list[KeyOp] = field(default_factory=list)
    doubts: list[tuple[int, str, int]] = field(default_factory=list)
    boots: list[int] = field(default_factory=list)
    """When the DUT's console showed a boot banner."""
    taps: list[tuple[int, int, str]] = field(default_factory=list)
    """Cards held to the reader: time, number of the intent (below 0: the attacker's), name of the card."""
    moves: list[tuple[int, int, str, str]] = field(default_factory=list)
    """What the attacker's moves came to: time, number, kind, effect."""
    restbus: list[Event] = field(default_factory=list)
    """VehicleState and InteriorSwitch frames on the bus, and skipped time."""
    vehicle: Vehicle = field(default_factory=Vehicle)
    """What the restbus frames said (`rig.judge.vehicle.conditions`)."""
    links: list[Event] = field(default_factory=list)
    """Frames on the Bluetooth channel to the DUT with which a message begins, or a connection opens or closes."""
    ajars: list[tuple[int, str, bool]] = field(default_factory=list)
    """Doors opened (True) and shut: time, door, open."""

    def latch_at(self, door: str, at_us: int) -> str:
        """A latch's state at an instant."""
        return _at(self.latches[door], at_us)

    def feedback_at(self, door: str, at_us: int) -> str:
        """What the plant last reported of a latch at an instant; X: on its way."""
        return _at(self.feedback[door], at_us)

    def supply_at(self, at_us: int) -> int:
        """Supply in mV at an instant."""
        place = bisect_right(self.supplies, at_us, key=lambda c: c[0])
        return self.supplies[place - 1][1] if place else 0

    def session_us(self, key: str, at_us: int) -> int:
        """When the session info was asked for by which a key's session stood at an instant; 0: it had none."""
        # A DUT that dies just after it has answered makes no session: asked, not received.
        return max((asked for t, whose, _, _, asked in self.clocks if whose == key and t <= at_us), default=0)

    def spans(self, want: str) -> list[Span]:
        """When all latches were as a wish wants them."""
        return self.unlocked if want == "unlock" else self.locked

    def ajar_at(self, at_us: int) -> set[str]:
        """The doors that stand open at an instant."""
        state: dict[str, bool] = {}
        for at, door, is_open in self.ajars:
            if at <= at_us:
                state[door] = is_open
        return {door for door, is_open in state.items() if is_open}

    def first_shut(self, from_us: int) -> int | None:
        """The first instant from `from_us` on when all latches of doors that are not ajar then were locked."""
        if not self.ajars:
            return self.first_in("lock", from_us)
        moments = {from_us, *(at for at, _, _ in self.ajars)}
        moments.update(at for changes in self.latches.values() for at, _ in changes)
        for at in sorted(m for m in moments if m >= from_us):
            ajar = self.ajar_at(at)
            if all(door in ajar or self.latch_at(door, at) == "L" for door in DOORS):
                return at
        return None

    def first_in(self, want: str, from_us: int) -> int | None:
        """The first instant from `from_us` on when all latches were as wanted."""
        for span in self.spans(want):
            if span.end_us > from_us:
                return max(span.start_us, from_us)
        return None


def _at(changes: list[tuple[int, str]], at_us: int) -> str:
    place = bisect_right(changes, at_us, key=lambda c: c[0])
    return changes[place - 1][1] if place else changes[0][1]


def collect(scenario: Scenario, trace: Trace) -> Facts:
    """Reads a trace once."""
    origin = trace.origin_us
    facts = Facts(
        scenario, origin, trace.end_us, False,
        [Wish(i, intent, origin + intent.at_us) for i, intent in enumerate(scenario.intents)],
        {}, [], [], [], [], [], {d: [] for d in DOORS}, {d: [] for d in DOORS}, [], [], "", [], [], [],
    )  # fmt: skip
    wishes = facts.wishes
    frames = facts.frames
    restbus = facts.restbus
    motors: list[Event] = []
    for event in trace.events:
        kind = event[1]
        if kind == "can":
            # Before the origin world and DUT come up; nothing of that is judged. Most events are frames: no call.
            can_id = event[2]  # type: ignore[misc]  # every frame has one
            if can_id == LOCK_STATUS:
                if event[0] >= origin:
                    frames.append(event)
            elif can_id in RESTBUS:
                restbus.append(event)
            elif can_id == BLUETOOTH_REQUEST and len(octets(event, 3)) > 2 and octets(event, 3)[0] < CONSECUTIVE:
                facts.links.append(event)
        elif kind == "skip":
            restbus.append(event)
            if event[0] >= origin:
                frames.append(event)
        elif kind in _TAKERS:
            _TAKERS[kind](facts, event)
        elif kind == "motor":
            motors.append(event)
        elif kind in ("tap", "untap"):
            if kind == "tap":
                _tap(facts, event)
            if number(event, 2) >= 0:
                wishes[number(event, 2)].last_us = event[0]
    facts.movements = _movements(motors)
    _state_spans(facts)
    return facts


def _intent(facts: Facts, e: Event) -> None:
    index = number(e, 2)
    if index == len(facts.wishes):
        # Beyond the scenario's own: the closing phase asks every path once more.
        intent = Intent(cast(Want, word(e, 3)), e[0] - facts.origin_us, cast(Via, word(e, 4)))
        facts.wishes.append(Wish(index, intent, e[0], closing=True))
    wish = facts.wishes[index]
    wish.at_us = wish.last_us = e[0]


def _act(facts: Facts, e: Event) -> None:
    wish = facts.wishes[number(e, 2)]
    wish.acts.append((word(e, 3), e[0]))
    wish.last_us = e[0]


def _session(facts: Facts, e: Event) -> None:
    if number(e, 2) >= 0:
        wish = facts.wishes[number(e, 2)]
        wish.warm, wish.first_link = word(e, 3) == "warm", "first" in e


def _told(facts: Facts, e: Event) -> None:
    wish = facts.wishes[number(e, 2)]
    wish.told = (e[0], word(e, 3), word(e, 4))
    wish.last_us = e[0]


def _handle(facts: Facts, e: Event) -> None:
    wish = facts.wishes[number(e, 2)]
    if number(e, 3) and wish.handle_open_us is None:
        wish.handle_open_us = e[0]
    wish.last_us = e[0]


def _sign(facts: Facts, e: Event) -> None:
    digest = word(e, 2)
    facts.signed[digest] = Signed(
        e[0],
        digest,
        number(e, 3),
        word(e, 4),
        word(e, 5),
        word(e, 6),
        octets(e, 7),
        number(e, 8),
        number(e, 9),
        word(e, 10) if len(e) > 10 else "",
    )


def _keyop(facts: Facts, e: Event) -> None:
    facts.keyops.append(KeyOp(e[0], number(e, 2), word(e, 3), word(e, 4), number(e, 5)))


def _doubt(facts: Facts, e: Event) -> None:
    facts.doubts.append((e[0], word(e, 2), number(e, 3)))


def _boot(facts: Facts, e: Event) -> None:
    facts.boots.append(e[0])


def _tap(facts: Facts, e: Event) -> None:
    facts.taps.append((e[0], number(e, 2), word(e, 3)))


def _attack(facts: Facts, e: Event) -> None:
    facts.moves.append((e[0], number(e, 2), word(e, 3), word(e, 4)))


def _hand(facts: Facts, e: Event) -> None:
    channel, digest, origin = word(e, 2), word(e, 3), word(e, 4)
    delivers = origin in ("genuine", "late")
    if origin == "replay" and digest in facts.signed and facts.signed[digest].channel == channel:
        delivers = not any(h.digest == digest and h.channel == channel for h in facts.hands)
    facts.hands.append(Hand(e[0], channel, digest, origin, delivers))


def _answer(facts: Facts, e: Event) -> None:
    facts.answers.append((e[0], word(e, 2), word(e, 3), number(e, 4)))


def _auth(facts: Facts, e: Event) -> None:
    facts.auths.append(e[0])


def _clock(facts: Facts, e: Event) -> None:
    facts.clocks.append((e[0], word(e, 2), octets(e, 3), number(e, 4), number(e, 5)))


def _latch(facts: Facts, e: Event) -> None:
    facts.latches[word(e, 2)].append((e[0], word(e, 3)))


def _feedback(facts: Facts, e: Event) -> None:
    changes = facts.feedback[word(e, 2)]
    state = word(e, 3)
    # Repeated reports, as after a boot, change nothing.
    if not changes or changes[-1][1] != state:
        changes.append((e[0], state))


def _supply(facts: Facts, e: Event) -> None:
    facts.supplies.append((e[0], number(e, 2)))


def _ajar(facts: Facts, e: Event) -> None:
    facts.ajars.append((e[0], word(e, 2), number(e, 3) != 0))


def _lost(facts: Facts, e: Event) -> None:
    facts.lost = facts.lost or word(e, 2)


def _stall(facts: Facts, e: Event) -> None:
    if e[0] >= facts.origin_us:
        facts.stalls.append((e[0], word(e, 2), number(e, 3)))


def _fault(facts: Facts, e: Event) -> None:
    index = number(e, 2)
    if number(e, 4):
        facts.fault_edges[index] = (e[0], FAR_US)
    elif index in facts.fault_edges:
        facts.fault_edges[index] = (facts.fault_edges[index][0], e[0])


def _healed(facts: Facts, e: Event) -> None:
    facts.healed_us = e[0]


def _end(facts: Facts, _e: Event) -> None:
    facts.ended = True


_TAKERS = {
    "intent": _intent, "act": _act, "session": _session, "told": _told, "handle": _handle, "sign": _sign,
    "hand": _hand, "answer": _answer, "auth": _auth, "clock": _clock, "latch": _latch, "feedback": _feedback,
    "supply": _supply, "lost": _lost, "stall": _stall, "end": _end,
    "fault": _fault, "healed": _healed, "keyop": _keyop, "doubt": _doubt, "boot": _boot, "attack": _attack,
    "ajar": _ajar,
}  # fmt: skip


def _movements(motors: list[Event]) -> list[Movement]:
    """Groups motor drives into movements, by direction and gaps."""
    out: list[Movement] = []
    latest: dict[str, tuple[Movement, int]] = {}
    for event in motors:
        if not number(event, 4):
            continue
        at_us, door, direction = event[0], word(event, 2), word(event, 3)
        known = latest.get(direction)
        if known is None or at_us - known[1] > PULSE_GROUP_US:
            movement = Movement(at_us, direction)
            out.append(movement)
        else:
            movement = known[0]
        # A pulse the other way ends a movement.
        latest = {direction: (movement, at_us)}
        movement.doors.add(door)
        movement.pulses.append((at_us, door))
    return out


def _state_spans(facts: Facts) -> None:
    """When all doors were unlocked, and when all were locked."""
    first = "L" if facts.scenario.doors == "locked" else "U"
    state = dict.fromkeys(DOORS, first)
    changes = sorted((at, door, s) for door, list_ in facts.latches.items() for at, s in list_)
    for door in DOORS:
        facts.latches[door].insert(0, (0, first))
        facts.feedback[door].insert(0, (0, first))
    since = {"U": 0 if first == "U" else None, "L": 0 if first == "L" else None}
    out: dict[str, list[Span]] = {"U": [], "L": []}
    for at, door, new in changes:
        state[door] = new
        for which in ("U", "L"):
            holds = all(s == which for s in state.values())
            began = since[which]
            if holds and began is None:
                since[which] = at
            elif not holds and began is not None:
                if at > began:
                    out[which].append(Span(began, at))
                since[which] = None
    for which in ("U", "L"):
        began = since[which]
        if began is not None:
            out[which].append(Span(began, FAR_US))
    facts.unlocked, facts.locked = out["U"], out["L"]
