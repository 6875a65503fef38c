"""Bluetooth between phone and car at `model` fidelity, and the car's Bluetooth module.

The air counts round trips as a real stack makes them (one ATT request a connection event); it has no radio
physics, no pairing and no controller of its own. The module carries messages between connections and body
CAN and knows nothing of what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.kernel import Channel, ChannelClosed
from rig.protocol.e2e import Sender
from rig.protocol.vcp import MOST_BYTES
from rig.world.gates import Gate
from rig.world.isotpport import IsoTpPort
from rig.world.slowcycle import SlowCycle

if TYPE_CHECKING:
    from rig.world.world import World

ADVERTISING_US = 100_000
"""Advertising interval of the module (Bluetooth Core, vol 6 part B 4.4.2.2 allows 20 ms .. 10 s)."""
CONNECTION_EVENT_US = 30_000
"""Connection interval that phones grant (Core allows 7.5 ms .. 4 s): one ATT round trip takes one."""
CONNECT_EVENTS = 3
"""Connection indication, feature and version exchange until the first ATT request."""
DISCOVERY_EVENTS = 5
"""Service (2), characteristics (2), descriptor (1); skipped with a cached database."""
SETUP_EVENTS = 2
"""MTU exchange and subscription."""
MTU = 185
"""The ATT MTU that iOS asks for; a write carries MTU - 3 bytes."""
SUPERVISION_US = 720_000
"""Link supervision time-out: both sides notice a vanished link only then (Core: 100 ms .. 32 s)."""
SLOTS = 3
STATE_US = 1_000_000
GAP_US = 1_000_000
"""A partial message older than this is dropped (vehicle.md section 2)."""


class LinkError(Exception):
    """The Bluetooth link could not be made, or was lost."""


@dataclass(frozen=True, slots=True)
class Step:
    """Names of the writes that faults can be placed at."""

    HANDSHAKE = "handshake"
    COMMAND = "command"


class Connection:
    """One Bluetooth connection as its central sees it; `inbox` closes when the link is gone."""

    def __init__(self, air: Air, handle: int) -> None:
        self._air = air
        self.handle = handle
        self.up = True
        self.deaf = False
        self.inbox: Channel[bytes] = Channel(air.world.kernel, "bluetooth.notifications")
        self._free_us = 0

    async def receive(self, timeout_s: float) -> bytes:
        """The next message from the vehicle.

        Raises:
            LinkError: the link is gone.
            Timeout: nothing came in time.
        """
        try:
            return await self.inbox.recv(timeout_s)
        except ChannelClosed:
            raise LinkError("link lost while waiting") from None

    async def write(self, message: bytes, step: str) -> None:
        """Writes one message, length first, in chunks of MTU - 3, each acknowledged.

        Raises:
            LinkError: the link was lost before the last acknowledgement.
        """
        air = self._air
        if not self.up:
            raise LinkError("link is down")
        if air.lost_before_write and step == Step.COMMAND:
            await air.lose(self)
            raise LinkError("link lost before the write")
        framed = len(message).to_bytes(2, "big") + message
        size = MTU - 3
        for start in range(0, len(framed), size):
            await air.world.kernel.sleep(CONNECTION_EVENT_US / 1e6)
            if not self.up:
                raise LinkError("link lost during the write")
            if not self.deaf:
                air.module.written(self.handle, framed[start : start + size])
        if air.lost_after_write and step == Step.COMMAND:
            await air.lose(self)
            raise LinkError("link lost after the write")

    def notify(self, message: bytes) -> None:
        """From the module: delivers one message, a connection event a chunk."""
        if not self.up or self.deaf:
            return
        kernel = self._air.world.kernel
        chunks = -(-(len(message) + 2) // (MTU - 3))
        start = max(kernel.now, self._free_us)
        self._free_us = start + chunks * CONNECTION_EVENT_US
        kernel.at(self._free_us, self._deliver, message)

    def _deliver(self, message: bytes) -> None:
        if self.up and not self.deaf:
            self.inbox.put(message)

    def close(self) -> None:
        """The central disconnects; the module learns of it at the next connection event."""
        if self.up:
            self.up = False
            self.inbox.close()
            self._air.forget(self)
            kernel = self._air.world.kernel
            kernel.after(CONNECTION_EVENT_US, self._air.module.closed, self.handle)


class Air:
    """The Bluetooth link between the driver's phone and the module, and what can happen to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.module = Module(world)
        self.radio_off: Gate = Gate()
        self.out_of_range: Gate = Gate()
        self.lost_before_write: Gate = Gate()
        self.lost_after_write: Gate = Gate()
        self._links: list[Connection] = []
        self.radio_off.watch(self._radio)
        self.out_of_range.watch(self._range)

    async def connect(self, cached: bool, always: bool = False) -> Connection:
        """Scans, connects, discovers (unless `cached`) and subscribes.

        Args:
            cached: the central knows the attribute database from an earlier connection.
            always: for centrals that are not the driver's phone: its faults do not touch them.

        Raises:
            LinkError: radio off, or lost while connecting, or no slot free.
        """
        kernel = self.world.kernel
        if self.radio_off and not always:
            raise LinkError("radio is off")
        if not always:
            await self.out_of_range.cleared(kernel)
        # The scanner hears the next advertisement; the module's clock is not the phone's.
        await kernel.sleep((ADVERTISING_US - kernel.now % ADVERTISING_US) / 1e6)
        events = CONNECT_EVENTS + SETUP_EVENTS + (0 if cached else DISCOVERY_EVENTS)
        await kernel.sleep(events * CONNECTION_EVENT_US / 1e6)
        if (self.radio_off or self.out_of_range) and not always:
            raise LinkError("lost while connecting")
        handle = self.module.opened()
        if handle is None:
            raise LinkError("no connection slot is free")
        link = Connection(self, handle)
        self.module.links[handle] = link
        if not always:
            self._links.append(link)
        return link

    async def lose(self, link: Connection) -> None:
        """The link vanishes: nothing passes from now on, and both sides notice after the supervision time-out."""
        link.deaf = True
        self._expire(link, SUPERVISION_US)
        await self.world.kernel.sleep(SUPERVISION_US / 1e6)

    def forget(self, link: Connection) -> None:
        """The central is done with a link."""
        if link in self._links:
            self._links.remove(link)

    def _expire(self, link: Connection, after_us: int) -> None:
        def gone() -> None:
            if link.up:
                link.up = False
                link.inbox.close()
                self.forget(link)
                self.module.closed(link.handle)

        self.world.kernel.after(after_us, gone)

    def _radio(self, off: bool) -> None:
        if off:
            for link in list(self._links):
                link.deaf = True
                link.up = False
                link.inbox.close()
                self.forget(link)
                self.world.kernel.after(SUPERVISION_US, self.module.closed, link.handle)

    def _range(self, out: bool) -> None:
        if out:
            for link in list(self._links):
                link.deaf = True
                self._expire(link, SUPERVISION_US)


class Module:
    """The Bluetooth module: three slots, ISO-TP 0x2B0/0x2B8, BluetoothState once a second."""

    REQUEST_ID = 0x2B0
    RESPONSE_ID = 0x2B8
    ALL = 0xFF

    def __init__(self, world: World) -> None:
        self._world = world
        self.links: dict[int, Connection] = {}
        self._open: set[int] = set()
        self._partial: dict[int, tuple[int, bytes]] = {}
        self._port = IsoTpPort(
            world.kernel, world.edges.bus, "module", self.REQUEST_ID, self.RESPONSE_ID, self._payload
        )
        self._codec = world.codecs["BluetoothState"]
        self._sender = Sender(self._codec.can_id)
        self._slow = SlowCycle(world.kernel, STATE_US, self._cycle, self._sender)

    def start(self) -> None:
        """Begins the cyclic BluetoothState."""
        self._slow.start()

    def skip(self, delta_us: int) -> None:
        """Goes on as if the cycle had run through a gap that begins now; the caller has moved all cyclic events."""
        self._slow.skip(delta_us)

    def _cycle(self) -> None:
        payload = self._codec.encode({"Connections": len(self._open)})
        self._port.node.send(self._codec.can_id, self._sender.protect(payload))

    def opened(self) -> int | None:
        """Takes a slot for a new connection; None if all are taken."""
        free = [h for h in range(SLOTS) if h not in self._open]
        if not free:
            return None
        handle = free[0]
        self._open.add(handle)
        self._partial.pop(handle, None)
        self._port.send(bytes((0x80 | handle,)))
        return handle

    def closed(self, handle: int) -> None:
        """A connection is gone: frees its slot and tells the DUT."""
        if handle in self._open:
            self._open.discard(handle)
            self.links.pop(handle, None)
            self._partial.pop(handle, None)
            self._port.send(bytes((0xC0 | handle,)))

    def written(self, handle: int, chunk: bytes) -> None:
        """Bytes from a central: collects them by the length in front and hands on whole messages.

        What is longer than any message of the protocol is not carried: one ISO-TP transfer could not hold it.
        """
        now = self._world.kernel.now
        since, buffer = self._partial.get(handle, (now, b""))
        if buffer and now - since > GAP_US:
            buffer = b""
        buffer += chunk
        while len(buffer) >= 2:
            size = int.from_bytes(buffer[:2], "big")
            if len(buffer) < 2 + size:
                break
            if size <= MOST_BYTES:
                self.hand(handle, buffer[2 : 2 + size], "genuine")
            buffer = buffer[2 + size :]
        self._partial[handle] = (now, buffer)

    def hand(self, handle: int, message: bytes, origin: str) -> None:
        """Sends one message to the DUT under a connection's handle."""
        if origin == "genuine" and self._world.attacker.takes("bluetooth", handle, message):
            return
        self._world.handed("bluetooth", message, origin)
        self._port.send(bytes((handle,)) + message)

    def _payload(self, payload: bytes) -> None:
        if len(payload) < 2:
            return
        handle, message = payload[0], payload[1:]
        if handle == self.ALL:
            for link in list(self.links.values()):
                link.notify(message)
        elif handle in self.links:
            self.links[handle].notify(message)
