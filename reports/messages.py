"""The messages of a run: who told whom what, read from the trace, with what belongs together drawn together.

Decides nothing and draws nothing; repeats become one line with a count, so that a run of minutes can be looked over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rig.protocol.vcp import Fault as Answer
from rig.scenario import Scenario
from rig.trace import Event, Trace, number, octets, word

DRIVER, PHONE, SERVER, TCU, MODULE = "driver", "phone", "server", "TCU", "module"
ATTACKER, GATEWAY, CAN, READER, ECU, MOTOR = "attacker", "gateway", "CAN", "card reader", "ECU", "motors"
TOGETHER_US = 60_000
"""What four doors do within this is one message."""
LOCK_STATUS, INTERIOR_SWITCH = 0x1A0, 0x1E0
LONGEST_CYCLE = 6
"""Messages that repeat together, such as ask, answer, ask, answer."""
FEWEST_REPEATS = 3
MOST = 80
"""Messages of a picture that can still be looked over."""
AROUND = 50
"""How many of too many are kept before the verdict's instant."""


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a sequence picture.

    Attributes:
        t_us: when, on the trace's clock.
        source: the lane it comes from.
        target: the lane it goes to; "" for something that happens on a lane by itself.
        text: what is said.
        via: lanes that carry it.
        reply: it answers (drawn dashed).
        lost: it does not arrive.
        tone: "plain", "good", "bad" or "hostile".
        times: how often in a row.
        until_us: when the last of the repeats was.
    """

    t_us: int
    source: str
    target: str
    text: str
    via: tuple[str, ...] = ()
    reply: bool = False
    lost: bool = False
    tone: str = "plain"
    times: int = 1
    until_us: int = 0

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for messages that differ in numbers only."""
        text = re.sub(r"\d+(\.\d+)?", "0", self.text)
        return (self.source, self.target, text, self.via, self.reply, self.lost, self.tone)


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across all lanes: something that concerns everybody."""

    t_us: int
    text: str
    verdict: bool = False


Entry = Message | Rule


def messages(scenario: Scenario, trace: Trace, marks: Sequence[tuple[int, str]] = (), most: int = MOST) -> list[Entry]:
    """What was said, in order of time, repeats merged.

    Args:
        scenario: what was played.
        trace: what came of it.
        marks: instants to look at, such as a verdict's, with a text each.
        most: how many entries at most; the ones around the first mark are kept.
    """
    reader = _Reader(scenario, trace, {at for at, _text in marks})
    found: list[Entry] = reader.read()
    last_us = max((at for at, _text in marks), default=trace.end_us)
    if reader.healed_us is not None and last_us < reader.healed_us:
        # The closing phase is the same in every run; it is shown only if the failure lies there.
        found = [e for e in found if e.t_us < reader.healed_us or (isinstance(e, Rule) and e.t_us == reader.healed_us)]
    found += [Rule(min(at, trace.end_us), text, verdict=True) for at, text in marks]
    found.sort(key=lambda e: e.t_us)
    return _bounded(_merged(found), most)


class _Reader:
    def __init__(self, scenario: Scenario, trace: Trace, instants: set[int]) -> None:
        self.scenario = scenario
        self.trace = trace
        self.instants = instants
        self.out: list[Message | Rule] = []
        self.healed_us: int | None = None
        self.signed: dict[str, tuple[str, str]] = {}
        """Of each command: its name and whose phone made it."""
        self.handed = {word(e, 3) for e in trace.of("hand") if word(e, 4) != "replay"}
        self.answered = {word(e, 3) for e in trace.of("answer")}
        self.numbers: dict[str, int] = {}
        self.wants: dict[int, str] = {}

    def read(self) -> list[Entry]:
        # What is before the origin is told only if that is where to look.
        start_us = min(self.trace.origin_us, *self.instants) if self.instants else self.trace.origin_us
        for event in self.trace.events:
            if event[0] < start_us:
                if event[1] == "sign":
                    self._name(event)
                continue
            if event[1] == "can":
                if number(event, 2) in (LOCK_STATUS, INTERIOR_SWITCH):
                    self.can(event)
                continue
            taker = _TAKERS.get(event[1])
            if taker is not None:
                taker(self, event)
            elif event[1] not in _SILENT:
                self.say(event, ECU, "", " ".join(str(f) for f in event[1:] if not isinstance(f, bytes)))
        return list(self.out)

    def say(self, event: Event, source: str, target: str, text: str, *via: str, tone: str = "plain",
            reply: bool = False, lost: bool = False) -> None:  # fmt: skip
        self.out.append(Message(event[0], source, target, text, via, reply, lost, tone))

    def phone(self, key: str) -> str:
        """The lane of a key's phone."""
        return {"phone": PHONE, "guest": "guest's phone"}.get(key, f"{key}'s phone")

    def person(self, index: int) -> tuple[str, str]:
        """Who utters an intent, and their phone."""
        intents = self.scenario.intents
        if 0 <= index < len(intents) and intents[index].who != "driver":
            who = intents[index].who
            return who, self.phone(who)
        return DRIVER, PHONE

    def intent(self, e: Event) -> None:
        who, phone = self.person(number(e, 2))
        via = word(e, 4)
        self.wants[number(e, 2)] = word(e, 3)
        how = {"ladder": "any way", "card": "card"}.get(via, via)
        self.say(e, who, "" if via == "card" else phone, f"wants: {word(e, 3)} ({how})")

    def act(self, e: Event) -> None:
        if word(e, 3) != "card":
            session = [s for s in self.trace.of("session") if s[0] == e[0] and number(s, 2) == number(e, 2)]
            kind = f" ({word(session[0], 3)} session)" if session and word(e, 3) == "bluetooth" else ""
            self.say(e, self.person(number(e, 2))[1], "", f"tries {word(e, 3)}{kind}")

    def _name(self, e: Event) -> str:
        key, command = word(e, 4), word(e, 6)
        self.numbers[key] = self.numbers.get(key, 0) + 1
        flaw = f", wrong: {word(e, 10)}" if len(e) > 10 and word(e, 10) else ""
        name = f"{command} #{number(e, 8)}{flaw}"
        self.signed[word(e, 2)] = (name, self.phone(key))
        return name

    def sign(self, e: Event) -> None:
        name = self._name(e)
        lost = word(e, 2) not in self.handed
        _name, phone = self.signed[word(e, 2)]
        carrier = SERVER if word(e, 5) == "cloud" else MODULE
        self.say(e, phone, carrier, name + (" does not reach the ECU" if lost else ""), lost=lost)

    def hand(self, e: Event) -> None:
        channel, digest, origin = word(e, 2), word(e, 3), word(e, 4)
        name, phone = self.signed.get(digest, ("asks for a session" if origin == "genuine" else "command", PHONE))
        carrier = TCU if channel == "cloud" else MODULE
        if origin == "genuine":
            self.say(e, carrier, ECU, name, CAN)
        else:
            words = {"replay": f"{name} once more", "forge": "forged command", "late": f"{name}, held back till now"}
            said = f"{words.get(origin, f'{name} ({origin})')}, by {channel}"
            self.say(e, ATTACKER, ECU, said, carrier, CAN, tone="hostile")
            return
        if digest in self.signed and digest not in self.answered:
            via = (CAN, TCU, SERVER) if channel == "cloud" else (CAN, MODULE)
            self.say(e, ECU, phone, f"no answer to {name} arrives", *via, reply=True, lost=True, tone="bad")

    def clock(self, e: Event) -> None:
        self.say(e, ECU, self.phone(word(e, 2)), f"session info, clock {number(e, 4)} s", CAN, reply=True)

    def answer(self, e: Event) -> None:
        name, phone = self.signed.get(word(e, 3), ("command", PHONE))
        fault = number(e, 4)
        via = (CAN, TCU, SERVER) if word(e, 2) == "cloud" else (CAN, MODULE)
        said = f"{name}: {'done' if not fault else _fault(fault)}"
        self.say(e, ECU, phone, said, *via, reply=True, tone="bad" if fault else "good")

    def told(self, e: Event) -> None:
        who, phone = self.person(number(e, 2))
        detail = f": {word(e, 4)}" if len(e) > 4 and word(e, 4) else ""
        tone = "bad" if word(e, 3) in ("refused", "unknown") else "good"
        self.say(e, phone, who, f"“{word(e, 3)}”{detail}", reply=True, tone=tone)

    def keyop(self, e: Event) -> None:
        done = number(e, 5) == 0
        what = f"{word(e, 4)} {word(e, 3)}: {'done' if done else _fault(number(e, 5))}"
        self.say(e, ECU, self.person(number(e, 2))[1], what, CAN, reply=True, tone="good" if done else "bad")

    def handle(self, e: Event) -> None:
        is_open = bool(number(e, 3))
        wanted = (self.wants.get(number(e, 2)) == "lock") != is_open
        text = "pulls the handle: it opens" if is_open else "pulls the handle: shut"
        self.say(e, self.person(number(e, 2))[0], "", text, tone="good" if wanted else "bad")

    def tap(self, e: Event) -> None:
        who = word(e, 3)
        if who in (DRIVER, "guest"):
            self.say(e, who, READER, "card to the reader")
        else:
            self.say(e, ATTACKER, READER, f"{who} card to the reader", tone="hostile")

    def auth(self, e: Event) -> None:
        self.say(e, READER, ECU, "card proves itself", tone="good")

    def attack(self, e: Event) -> None:
        self.say(e, ATTACKER, "", f"{word(e, 3)}: {word(e, 4)}", tone="hostile")

    def motor(self, e: Event) -> None:
        if number(e, 4):
            self._doors(e, ECU, MOTOR, "drives to unlock" if word(e, 3) == "U" else "drives to lock")

    def stuck(self, e: Event) -> None:
        self._doors(e, MOTOR, "", "pulse without effect", tone="bad")

    def latch(self, e: Event) -> None:
        states = {"U": "unlocked", "L": "locked"}
        if word(e, 3) in states:
            self._doors(e, MOTOR, "", states[word(e, 3)], tone="good")

    def feedback(self, e: Event) -> None:
        """Told only when it comes by itself: as a rule it is that of a latch, which has just been told."""
        state = {"U": "unlocked", "L": "locked"}.get(word(e, 3))
        if state is None:
            return
        for place in range(len(self.out) - 1, -1, -1):
            before = self.out[place]
            if e[0] - before.t_us > TOGETHER_US:
                break
            if isinstance(before, Message) and before.source == MOTOR and before.text.endswith(f": {state}"):
                self.out[place] = replace(before, target=ECU)
                return
        self._doors(e, MOTOR, ECU, f"feedback {state}")

    def _doors(self, e: Event, source: str, target: str, what: str, tone: str = "plain") -> None:
        """Doors that do the same at the same time are told of once."""
        door = word(e, 2)
        for place in range(len(self.out) - 1, -1, -1):
            before = self.out[place]
            if e[0] - before.t_us > TOGETHER_US:
                break
            if isinstance(before, Message) and before.source == source and before.text.endswith(f": {what}"):
                doors = before.text.partition(":")[0].split()
                if door not in doors and doors != ["all"]:
                    doors = ["all doors"] if len(doors) == 3 else [*doors, door]
                    self.out[place] = replace(before, text=f"{' '.join(doors)}: {what}")
                    return
        self.say(e, source, target, f"{door}: {what}", tone=tone)

    def ajar(self, e: Event) -> None:
        self.say(e, DRIVER, "", f"door {word(e, 2)} {'opened' if number(e, 3) else 'shut'}")

    def supply(self, e: Event) -> None:
        mv = number(e, 2)
        self.say(e, ECU, "", f"supply {mv / 1000:g} V", tone="plain" if mv >= 9300 else "bad")

    def boot(self, e: Event) -> None:
        self.say(e, ECU, "", f"boots (number {number(e, 2)})" if len(e) > 2 else "boots")

    def speed(self, e: Event) -> None:
        self.say(e, GATEWAY, ECU, f"speed {number(e, 2) / 10:g} km/h", CAN)

    def crash(self, e: Event) -> None:
        self.say(e, GATEWAY, ECU, "crash" if number(e, 2) else "no more crash", CAN)

    def interior(self, e: Event) -> None:
        self.say(e, GATEWAY, ECU, f"inside switch: {word(e, 2)}", CAN)

    def doubt(self, e: Event) -> None:
        self.say(e, self.phone(word(e, 2)), "", "session info that does not check: left aside", tone="bad")

    def healed(self, e: Event) -> None:
        self.healed_us = e[0]
        self.out.append(Rule(e[0], "all failures are healed; every way in is asked once more"))

    def broke(self, e: Event) -> None:
        self.say(e, ECU, "", f"bench: {' '.join(str(f) for f in e[1:])}", tone="bad")

    def can(self, e: Event) -> None:
        if number(e, 2) == INTERIOR_SWITCH and word(e, 4) == "attacker":
            # The gateway's own are told of once, by `interior`.
            self.say(e, ATTACKER, ECU, f"inside switch frame {octets(e, 3).hex(' ')}", CAN, tone="hostile")
        elif e[0] in self.instants:
            self.say(e, ECU, CAN, f"LockStatus {octets(e, 3).hex(' ')}", tone="bad")


def _fault(fault: int) -> str:
    try:
        return Answer(fault).name.replace("_", " ").lower()
    except ValueError:
        return f"fault {fault}"


_TAKERS: dict[str, Callable[[_Reader, Event], None]] = {
    "intent": _Reader.intent, "act": _Reader.act, "sign": _Reader.sign, "hand": _Reader.hand,
    "clock": _Reader.clock, "answer": _Reader.answer, "told": _Reader.told, "keyop": _Reader.keyop,
    "handle": _Reader.handle, "tap": _Reader.tap, "auth": _Reader.auth, "attack": _Reader.attack,
    "motor": _Reader.motor, "stuck": _Reader.stuck,
    "latch": _Reader.latch, "feedback": _Reader.feedback, "ajar": _Reader.ajar,
    "supply": _Reader.supply, "boot": _Reader.boot, "speed": _Reader.speed, "crash": _Reader.crash,
    "interior": _Reader.interior, "doubt": _Reader.doubt, "healed": _Reader.healed, "lost": _Reader.broke,
    "stall": _Reader.broke,
}  # fmt: skip
_SILENT = frozenset({"skip", "end", "origin", "fault", "step", "session", "untap"})
"""Shown otherwise (faults are bars, a session stands beside the attempt), or of no use to a reader."""


def _merged(entries: list[Entry]) -> list[Entry]:
    """Replaces what repeats, alone or in a cycle, by its first turn with a count."""
    for length in range(1, LONGEST_CYCLE + 1):
        out: list[Entry] = []
        place = 0
        while place < len(entries):
            turns = _turns(entries, place, length)
            if turns < FEWEST_REPEATS:
                out.append(entries[place])
                place += 1
                continue
            for offset in range(length):
                first, last = entries[place + offset], entries[place + offset + (turns - 1) * length]
                assert isinstance(first, Message)
                assert isinstance(last, Message)
                until = last.until_us or last.t_us
                out.append(replace(first, times=first.times * turns, until_us=until))
            place += turns * length
        entries = out
    return entries


def _turns(entries: Sequence[Entry], place: int, length: int) -> int:
    """How often the next `length` messages come in a row."""
    first = _keys(entries[place : place + length])
    if len(first) < length or None in first:
        return 1
    turns = 1
    while _keys(entries[place + turns * length : place + (turns + 1) * length]) == first:
        turns += 1
    return turns


def _keys(entries: Iterable[Entry]) -> list[object]:
    return [(e.key, e.times) if isinstance(e, Message) else None for e in entries]


def _bounded(entries: list[Entry], most: int) -> list[Entry]:
    """At most `most` entries: those around the first mark, or from the start; what is left out is said."""
    if len(entries) <= most:
        return entries
    marked = next((p for p, e in enumerate(entries) if isinstance(e, Rule) and e.verdict), 0)
    start = max(0, min(marked - AROUND * most // MOST, len(entries) - most))
    kept = entries[start : start + most]
    if start:
        kept = [Rule(kept[0].t_us, f"{start} messages before this are left out"), *kept]
    left = len(entries) - start - most
    if left:
        kept = [*kept, Rule(kept[-1].t_us, f"{left} messages after this are left out")]
    return kept
