"""The car's Bluetooth module: three slots, ISO-TP 0x2B0/0x2B8, BluetoothState once a second, and what befalls it.

Carries messages between connections and body CAN and knows nothing of what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.protocol import vcp
from rig.protocol.e2e import Sender
from rig.world.btlink import CONNECTION_EVENT_US
from rig.world.gates import Gate
from rig.world.isotpport import IsoTpPort
from rig.world.slowcycle import SlowCycle

if TYPE_CHECKING:
    from rig.world.btlink import Connection
    from rig.world.world import World

SLOTS = 3
UNKNOWN = -2
"""Handle of a connection that the module's host knows nothing of."""
STATE_US = 1_000_000
GAP_US = 1_000_000
"""A partial message older than this is dropped (vehicle.md section 2)."""
OPENED, CLOSED = 0x80, 0xC0


class Module:
    """The module and its gates, one for each thing that can be wrong with it.

    Attributes:
        links: connections of the rig's own centrals, by handle; others' slots have none.
        radio_off: it neither advertises nor holds connections; its host goes on.
        resetting: its controller is away; the host learns which connections are gone when it is back.
        stuck: its controller accepts everything and does nothing; ends with a reset by its watchdog.
        dead: nothing of it works; when it is back it starts anew.
        slots_taken: a foreign central takes every slot that it can get.
        pushes: held with the number of status pushes that come before each answer.
    """

    REQUEST_ID = 0x2B0
    RESPONSE_ID = 0x2B8
    ALL = 0xFF

    def __init__(self, world: World) -> None:
        self._world = world
        self.links: dict[int, Connection] = {}
        self.radio_off: Gate = Gate()
        self.resetting: Gate = Gate()
        self.stuck: Gate = Gate()
        self.dead: Gate = Gate()
        self.slots_taken: Gate = Gate()
        self.pushes: Gate = Gate()
        self._unseen = False
        self._approached_us = -1
        self._open: set[int] = set()
        self._foreign: dict[int, int] = {}
        """Handles of the foreign central's connections, with when they were opened."""
        self._told: set[int] = set()
        """Handles that the DUT was told are open."""
        self._partial: dict[int, tuple[int, bytes]] = {}
        self._port = IsoTpPort(
            world.kernel, world.can, "module", self.REQUEST_ID, self.RESPONSE_ID, self._payload
        )
        self._codec = world.codecs["BluetoothState"]
        self._sender = Sender(self._codec.can_id)
        self._slow = SlowCycle(world.kernel, STATE_US, self._cycle, self._sender)
        self.radio_off.watch(self._radio_changed)
        self.resetting.watch(self._reset_changed)
        self.stuck.watch(self._stuck_changed)
        self.dead.watch(self._dead_changed)
        self.slots_taken.watch(self._taken_changed)

    def start(self) -> None:
        """Begins the cyclic BluetoothState."""
        self._slow.start()

    def skip(self, delta_us: int) -> None:
        """Goes on as if the cycle had run through a gap that begins now; the caller has moved all cyclic events."""
        self._slow.skip(delta_us)

    def _cycle(self) -> None:
        if self.dead:
            return
        payload = self._codec.encode({"Connections": len(self._open)})
        self._port.node.send(self._codec.can_id, self._sender.protect(payload))

    # -- connections -------------------------------------------------------------------------------

    @property
    def on_air(self) -> bool:
        """Whether it advertises and answers."""
        return not (self.radio_off or self.resetting or self.dead)

    @property
    def advertises(self) -> bool:
        """Whether it can be found: by nobody else with the advertisement that a central has answered."""
        return self.on_air and not self._unseen and self._approached_us != self._world.kernel.now

    def approached(self) -> None:
        """A central answers an advertisement that is sent now."""
        self._approached_us = self._world.kernel.now
        self._unsee()

    def _unsee(self) -> None:
        """A connection ends advertising; a host that is cut off does not begin it anew."""
        if self.stuck:
            self._unseen = True

    def opened(self) -> int | None:
        """Takes a slot for a new connection; None if all are taken or it is not on the air.

        A host that is cut off from its controller does not hear of it, and gives it none.
        """
        self._unsee()
        if self.stuck and self.on_air:
            return UNKNOWN
        free = [h for h in range(SLOTS) if h not in self._open]
        if not free or not self.on_air:
            return None
        handle = free[0]
        self._open.add(handle)
        self._partial.pop(handle, None)
        self._tell(OPENED, handle)
        return handle

    def closed(self, handle: int, link: Connection | None = None) -> None:
        """A connection is gone: frees its slot and tells the DUT.

        `link` is whose it was; None: a central's that is none of the rig's. Nothing happens if the slot is another's
        by now. A host that is cut off does not hear of it.
        """
        if self.stuck:
            return
        if handle not in self._open or self.links.get(handle) is not link:
            return
        self._free(handle)
        self._tell(CLOSED, handle)
        self._hog()

    def _free(self, handle: int) -> None:
        self._open.discard(handle)
        self._foreign.pop(handle, None)
        self.links.pop(handle, None)
        self._partial.pop(handle, None)

    def _tell(self, what: int, handle: int) -> None:
        if self.stuck:
            return
        if what == OPENED:
            self._told.add(handle)
        else:
            self._told.discard(handle)
        self._port.send(bytes((what | handle,)))

    # -- messages ----------------------------------------------------------------------------------

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
            if size <= vcp.MOST_BYTES:
                self.hand(handle, buffer[2 : 2 + size], "genuine")
            buffer = buffer[2 + size :]
        self._partial[handle] = (now, buffer)

    def hand(self, handle: int, message: bytes, origin: str) -> None:
        """Sends one message to the DUT under a connection's handle."""
        if self.stuck or self.dead:
            return
        if origin == "genuine" and self._world.attacker.takes("bluetooth", handle, message):
            return
        self._world.handed("bluetooth", message, origin)
        self._port.send(bytes((handle,)) + message)

    def _payload(self, payload: bytes) -> None:
        if len(payload) < 2 or self.stuck:
            return
        handle, message = payload[0], payload[1:]
        if handle == self.ALL:
            for link in list(self.links.values()):
                link.push(message)
        elif handle in self.links:
            link = self.links[handle]
            if self.pushes:
                for _ in range(self.pushes.value):
                    link.push(self._status())
            link.answer(message)

    def _status(self) -> bytes:
        """A status push of the locks as they are."""
        latches = self._world.plant.latches.values()
        return vcp.build_push(vcp.status_payload(vcp.VehicleStatus(vcp.lock_state(latches))))

    # -- what befalls it ---------------------------------------------------------------------------

    def _lose_all(self) -> None:
        """Every connection is gone; centrals notice only after their supervision time-out."""
        # A controller that starts anew is told to advertise, if it can be told.
        self._unseen = bool(self.stuck)
        for link in list(self.links.values()):
            link.fade()
        self.links.clear()
        for handle in sorted(self._open):
            self._free(handle)

    def _tell_all_closed(self) -> None:
        for handle in sorted(self._told - self._open):
            self._tell(CLOSED, handle)

    def _radio_changed(self, off: bool) -> None:
        if off:
            self._lose_all()
            self._tell_all_closed()
        self._hog()

    def _reset_changed(self, away: bool) -> None:
        if away:
            self._lose_all()
        else:
            self._tell_all_closed()
        self._hog()

    def _stuck_changed(self, stuck: bool) -> None:
        if not stuck:
            self._lose_all()
            self._tell_all_closed()
        self._hog()

    def _dead_changed(self, dead: bool) -> None:
        # Else a cycle that is left out would count as one that came.
        self._world.unsettled()
        if dead:
            self._lose_all()
            self._port.mute(True)
            return
        self._port.mute(False)
        # It does not know what was before it started, and says that nothing is open.
        for handle in range(SLOTS):
            self._tell(CLOSED, handle)
        self._hog()

    def _taken_changed(self, taken: bool) -> None:
        if taken:
            self._hog()
            return
        kernel = self._world.kernel
        for handle, since_us in self._foreign.items():
            # Each connection ends with its next event.
            wait_us = CONNECTION_EVENT_US - (kernel.now - since_us) % CONNECTION_EVENT_US
            kernel.after(wait_us, self._left, handle, since_us)

    def _left(self, handle: int, since_us: int) -> None:
        if self._foreign.get(handle) == since_us:
            self.closed(handle)

    def _hog(self) -> None:
        """The foreign central takes what is free."""
        if self.stuck and self.slots_taken and len(self._open) < SLOTS:
            self._unsee()
        while self.slots_taken and not self.stuck:
            handle = self.opened()
            if handle is None:
                return
            self._foreign[handle] = self._world.kernel.now
