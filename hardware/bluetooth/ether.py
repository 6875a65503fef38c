"""The simulated air: advertising events, connection events and supervision of all links, on an asyncio loop's clock.

A link layer never loses data on a living link: what is not heard comes later, or the link is gone. Knows controllers
and no hosts. Payloads are not enciphered; who has the wrong key is found out as in reality, when encryption starts.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bumble import hci, link, ll

from rig.world.btlink import ANSWERS_AFTER_US, CONNECTION_EVENT_US, PACKETS_PER_EVENT, SUPERVISION_US

if TYPE_CHECKING:
    from hardware.bluetooth.controller import RigConnection, RigController

FAIL_EVENTS = 6
"""A connection that is not answered for so many events has failed to be established (Core, vol 6 part B 4.5.2)."""
SCAN_RESPONSE_US = 1_000
HEARD_DBM = -60


class Weather(Protocol):
    """What a world does to the air; asked at each event."""

    def hears(self, central: RigController) -> bool:
        """Whether a central hears an advertisement sent now."""

    def answers(self, central: RigController) -> bool:
        """Whether the peripheral answers a connection indication of this central."""

    def late_us(self, central: RigController) -> int | None:
        """How much later than usual a connection event gets through; None: the link is given up."""


class Fair:
    """Perfect conditions."""

    def hears(self, central: RigController) -> bool:
        """Always."""
        return True

    def answers(self, central: RigController) -> bool:
        """Always."""
        return True

    def late_us(self, central: RigController) -> int | None:
        """Never late."""
        return 0


@dataclass(slots=True)
class PduTrace:
    """Every PDU that was on the air, as one running hash, and as a list if wanted.

    Attributes:
        count: how many there were.
        lines: "µs direction kind hex", if they are kept.
    """

    count: int = 0
    lines: list[str] | None = None
    _hash: Any = field(default_factory=hashlib.sha256)

    def add(self, at_us: int, direction: str, kind: str, data: bytes) -> None:
        """Notes one PDU when it has arrived."""
        self.count += 1
        line = f"{at_us} {direction} {kind} {data.hex()}"
        self._hash.update(line.encode() + b"\n")
        if self.lines is not None:
            self.lines.append(line)

    @property
    def sha256(self) -> str:
        """Of all lines so far."""
        return str(self._hash.hexdigest())


class Channel:
    """One link-layer connection: both ends, their queues, and its connection events.

    Only events in which there is something to carry take place; empty ones would say nothing.

    Attributes:
        central, peripheral: the two ends.
        cut: nothing passes any more, whatever either side believes.
        over: both ends know that it is gone.
    """

    def __init__(self, ether: Ether, central: RigConnection, peripheral: RigConnection, anchor_us: int) -> None:
        self.ether = ether
        self.central = central
        self.peripheral = peripheral
        self.cut = False
        self._anchor_us = anchor_us
        self._begun = False
        self._queues: tuple[deque[tuple[str, Any]], deque[tuple[str, Any]]] = (deque(), deque())
        self._timer: asyncio.TimerHandle | None = None

    def send(self, sender: RigConnection, kind: str, pdu: Any) -> None:
        """Queues a PDU ("acl": bytes, "ll": a control PDU) for the next event."""
        self._queues[sender is not self.central].append((kind, pdu))
        if self._begun and self._timer is None and not self.cut:
            self._await_event()

    def begin(self) -> None:
        """The first event: what the central has queued meanwhile goes in it."""
        self._begun = True
        if any(self._queues) and not self.cut:
            self._event()

    def _await_event(self) -> None:
        now = self.ether.now_us()
        # An event that begins now has its central's packets queued already.
        events = (now - self._anchor_us) // CONNECTION_EVENT_US + 1
        self._timer = self.ether.at(self._anchor_us + events * CONNECTION_EVENT_US, self._event)

    def _event(self) -> None:
        late = self.ether.weather.late_us(self.central.rig)
        if late is None:
            self._timer = None
            self.vanish()
        elif late:
            self._timer = self.ether.at(self.ether.now_us() + late, self._exchange)
        else:
            self._exchange()

    def _exchange(self) -> None:
        self._carry(0, self.peripheral, "->")
        if not self.cut:
            self._timer = self.ether.at(self.ether.now_us() + ANSWERS_AFTER_US, self._answers)

    def _answers(self) -> None:
        self._timer = None
        self._carry(1, self.central, "<-")
        if not self.cut and any(self._queues):
            self._await_event()

    def _carry(self, place: int, to: RigConnection, direction: str) -> None:
        queue, ether = self._queues[place], self.ether
        sender = self.peripheral if place else self.central
        for _ in range(min(PACKETS_PER_EVENT, len(queue))):
            if self.cut:
                return
            kind, pdu = queue.popleft()
            if kind == "acl":
                ether.trace.add(ether.now_us(), direction, kind, pdu)
                to.on_air_data(pdu)
                sender.sent()
            else:
                ether.trace.add(ether.now_us(), direction, type(pdu).__name__, _octets(pdu))
                to.on_air_control(pdu)

    def vanish(self) -> None:
        """Nothing passes from now on, and both sides notice after the supervision time-out."""
        if not self.cut:
            self.drop(None)

    def drop(self, who: RigConnection | None) -> None:
        """One end forgets the link without a word; the other notices after the supervision time-out."""
        self.cut = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for end in (self.central, self.peripheral):
            if end is not who:
                self.ether.at(self.ether.now_us() + SUPERVISION_US, end.lost, TIMED_OUT)


TIMED_OUT = int(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
NOT_ESTABLISHED = int(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)


class Ether(link.LocalLink):
    """All controllers within earshot.

    Attributes:
        controllers: in the order in which they came, or began to listen: who has waited longest is heard first.
        weather: what the world does to it.
        trace: of every PDU.
        channels: connections that at least one end knows of.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, weather: Weather | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Bumble's has no annotations
        self.loop = loop
        self.weather: Weather = weather or Fair()
        self.trace = PduTrace()
        # A list: the base's set is iterated in the order of memory addresses, another one each run.
        self.controllers: list[RigController] = []  # type: ignore[assignment]
        self._advertising: dict[RigController, asyncio.TimerHandle] = {}

    def now_us(self) -> int:
        """The loop's time."""
        return round(self.loop.time() * 1e6)

    def at(self, us: int, fn: Any, *args: Any) -> asyncio.TimerHandle:
        """Calls back at a time of the loop's."""
        return self.loop.call_at(us / 1e6, fn, *args)

    def add_controller(self, controller: Any) -> None:
        """A controller comes within earshot."""
        self.controllers.append(controller)

    def remove_controller(self, controller: Any) -> None:
        """A controller is gone, without a word."""
        self.controllers.remove(controller)
        timer = self._advertising.pop(controller, None)
        if timer is not None:
            timer.cancel()

    # -- advertising -------------------------------------------------------------------------------

    def turned(self, who: RigController) -> None:
        """A controller began to listen for something, or ended that."""
        if who.listening and who in self.controllers:
            self.controllers.remove(who)
            self.controllers.append(who)
        self.look()

    def look(self) -> None:
        """Somebody began to listen, or to advertise: advertising events take place while both do."""
        if any(c.listening for c in self.controllers):
            for one in self.controllers:
                if one.advertises and one not in self._advertising:
                    self._await_advertising(one)

    def _await_advertising(self, who: RigController) -> None:
        # The specification's random delay of up to 10 ms is left out, so that the fidelities meet.
        interval = who.advertising_interval_us
        next_us = (self.now_us() // interval + 1) * interval
        self._advertising[who] = self.at(next_us, self._advertise, who)

    def _advertise(self, who: RigController) -> None:
        del self._advertising[who]
        if not who.advertises:
            return
        advertisement = who.advertisement()
        for one in list(self.controllers):
            if one is who or not one.listening or not self.weather.hears(one):
                continue
            self.trace.add(self.now_us(), "<-", "ADV_IND", bytes(advertisement.address) + advertisement.data)
            one.heard(advertisement)
            if not who.advertises:
                return
        if any(c.listening for c in self.controllers):
            self._await_advertising(who)

    # -- connections -------------------------------------------------------------------------------

    def connect(self, central: RigController, to: hci.Address, request: Any) -> None:
        """A central answers an advertisement, now, with a connection indication."""
        peripheral = next(c for c in self.controllers if c.advertises and c.own_address == to)
        own = central.begin(to, request)
        now = self.now_us()
        anchor_us = now + CONNECTION_EVENT_US
        self.trace.add(now, "->", "CONNECT_IND", bytes(own.self_address) + bytes(to))
        if not self.weather.answers(central):
            self.at(now + FAIL_EVENTS * CONNECTION_EVENT_US, own.lost, NOT_ESTABLISHED)
            return
        peripheral.stop_advertising()
        other = peripheral.prepare(own.self_address, to)
        channel = Channel(self, own, other, anchor_us)
        own.channel = other.channel = channel
        self.at(anchor_us, self._first_event, channel)

    def seize(self, central: RigController, peripheral: RigController) -> RigConnection:
        """A connection that stands at once, without advertisement or indication."""
        own = central.born(hci.Role.CENTRAL, central.random_address, peripheral.own_address)
        other = peripheral.prepare(own.self_address, own.peer_address)
        channel = Channel(self, own, other, self.now_us())
        own.channel = other.channel = channel
        self.trace.add(self.now_us(), "->", "CONNECT_IND", bytes(own.self_address) + bytes(own.peer_address))
        peripheral.stop_advertising()
        peripheral.accept(other)
        channel.begin()
        return own

    def _first_event(self, channel: Channel, number: int = 1) -> None:
        """Both ends have a connection from here on; one of whose first packets none is heard has failed."""
        central, peripheral = channel.central, channel.peripheral
        there = peripheral.rig in self.controllers
        if there and number == 1:
            peripheral.rig.accept(peripheral)
        if channel.cut:
            return
        if there and self.weather.hears(central.rig):
            channel.begin()
        elif number < FAIL_EVENTS:
            self.at(self.now_us() + CONNECTION_EVENT_US, self._first_event, channel, number + 1)
        else:
            channel.cut = True
            for end in (central, peripheral):
                end.lost(NOT_ESTABLISHED)


def _octets(pdu: ll.ControlPdu) -> bytes:
    """What distinguishes a control PDU; keys, which the emulation carries in it, are left out."""
    if isinstance(pdu, ll.EncReq):
        return bytes(pdu.rand) + int(pdu.ediv).to_bytes(2, "little")
    if isinstance(pdu, ll.TerminateInd):
        return bytes((int(pdu.error_code),))
    if isinstance(pdu, ll.RejectExtInd):
        return bytes((int(pdu.reject_opcode), int(pdu.error_code)))
    return b""
