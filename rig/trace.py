"""The trace: what a run leaves behind, as time-stamped events from every port, actor, motor and fault edge.

Events are plain tuples `(t_us, kind, *fields)`, times in µs of the run's clock, in the order they happened.
The judge reads nothing else of a run; the hash of the trace identifies it.

| kind | fields | when |
|---|---|---|
| `origin` | – | the scenario's origin: world up and healthy; timeline times count from here |
| `can` | id, data, sender | a frame was complete on the body CAN |
| `skip` | delta_us | that much of idle cycles was skipped after this instant |
| `fault` | index, mode, on (1, 0) | edge of the scenario's fault number index |
| `healed` | – | every failure but the lasting states is over; 10 s later each way in is asked once more |
| `boot` | count | the DUT said on its console that it is ready, for the count-th time |
| `step` | name | a protocol step was reached (only when they are noted) |
| `intent` | index, want, via | the driver wishes something |
| `act` | index, path | first act of an intent on a path (for the card: the tap) |
| `session` | index, "warm" or "cold" | what the phone believed when its Bluetooth attempt of that intent began |
| | "first" | only if warm, and the phone has not been connected to the module yet: it must discover its services |
| `told` | index, what, detail | what they were told: opened, locked, driving, done, refused, unknown |
| `sign` | digest, index, key, channel, command, epoch, counter, expires_at, flaw | signed; flaw: wrong on purpose |
| `keyop` | index, subject, what, fault | answer to an operation on the key list: revoke … enrol, 0 for done |
| `doubt` | key, asked_us | session info that answers that client's handshake does not authenticate |
| `clock` | key, epoch, clock_s, asked_us | a client got authentic session info, asked for at asked_us |
| `hand` | channel, digest, origin | a carrier began to send it; origin genuine, replay, late, forge, malformed |
| `answer` | channel, digest, fault | an answer to that command reached the client |
| `http` | side, what, which, hash | real HTTP: request, response, failed; line: the telematics unit's, up or down |
| `attack` | index, kind, effect | what the attacker's move number index came to |
| `tap` / `untap` | index, card | a card enters or leaves the reader's field |
| `auth` | card | that card answered a challenge correctly |
| `handle` | index, open (1, 0) | the driver pulled the handle; 1: the door opened |
| `motor` | door, direction (U, L), on (1, 0) | a lock motor's drive |
| `latch` | door, state (L, U, X) | a latch at the plant |
| `stuck` | door, direction | a drive began that moves nothing |
| `feedback` | door, state | the plant reported that latch to the DUT |
| `ajar` | door, open (1, 0) | a door was opened or shut |
| `speed` | tenths | what the gateway says of the speed changed, in 0.1 km/h |
| `crash` | on (1, 0) | the gateway begins or ceases to say that the vehicle crashed |
| `interior` | request | the inside switch was pressed: unlock, lock |
| `supply` | mv | supply at the DUT's pin |
| `lost` | cause | the bench broke: port or DUT process gone |
| `stall` | side, ms | rig or DUT host was late by that much |
| `pdus` | count, sha256 | just before the end, where Bluetooth is a real stack: of every PDU on the simulated air |
| `end` | – | the run ended as planned |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

Field = int | str | bytes
Event = tuple[int, str, *tuple[Field, ...]]


@dataclass(slots=True)
class Trace:
    """Events of one run, and how the run was made."""

    events: list[Event] = field(default_factory=list)
    origin_us: int = 0
    fidelity: str = "model"

    def of(self, kind: str) -> Iterator[Event]:
        """The events of one kind, in order."""
        return (e for e in self.events if e[1] == kind)

    @property
    def end_us(self) -> int:
        """The time of the last event."""
        return self.events[-1][0] if self.events else 0

    def text(self) -> str:
        """One line an event; equal runs give equal text."""
        events = cast("list[tuple[Any, ...]]", self.events)
        # Most events are frames, and every run of a search is hashed: the f-string halves the time.
        return "".join(
            [
                f"{e[0]} can {e[2]} {e[3].hex()} {e[4]}\n"
                if e[1] == "can"
                else " ".join([f.hex() if isinstance(f, bytes) else str(f) for f in e]) + "\n"
                for e in events
            ]
        )

    def hash(self) -> str:
        """SHA-256 of `text`, in hex: equal for equal runs."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def number(event: Event, place: int) -> int:
    """The whole number at a place of an event (0: its time)."""
    value = event[place]
    assert isinstance(value, int), f"{event[1]} has no number at {place}"
    return value


def word(event: Event, place: int) -> str:
    """The text at a place of an event."""
    value = event[place]
    assert isinstance(value, str), f"{event[1]} has no text at {place}"
    return value


def octets(event: Event, place: int) -> bytes:
    """The bytes at a place of an event."""
    value = event[place]
    assert isinstance(value, bytes), f"{event[1]} has no bytes at {place}"
    return value
