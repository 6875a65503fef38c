"""One link between a phone and the module on a real Bluetooth stack, with the interface of `rig.world.btlink`.

Lives in the kernel; what it asks of the stack runs on the loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bumble.device import Connection as BumbleConnection

from hardware.bluetooth import profile
from hardware.bluetooth.peripheral import Peripheral
from rig.protocol import vcp
from rig.world.btlink import PACKETS_PER_EVENT, SMALL_MTU, Connection, LinkError, Step

if TYPE_CHECKING:
    from hardware.bluetooth.air import BumbleAir
    from hardware.bluetooth.phone import PhoneRadio

ACKNOWLEDGEMENT = "bluetooth.acknowledgement"


class BumbleLink(Connection):
    """A link as its central sees it, and what the module needs to answer on it.

    Attributes:
        phone: whose it is; None: nobody's of the rig.
        connection: the central's side of Bumble's connection.
        style: how messages are written.
    """

    def __init__(self, air: BumbleAir, phone: PhoneRadio | None, *, drivers: bool) -> None:
        super().__init__(air, drivers=drivers)
        self._bumble = air
        self.phone = phone
        self.connection: BumbleConnection | None = None
        self.style = air.style
        self._peripheral: Peripheral | None = None
        self._at_module: BumbleConnection | None = None

    @property
    def address(self) -> str:
        """The private address under which the module was found."""
        one = self.connection
        return str(one.peer_resolvable_address or one.peer_address) if one is not None else ""

    @property
    def of_driver(self) -> bool:
        """Whether it is of the phone that faults befall."""
        return self._drivers

    @property
    def of_own_phone(self) -> bool:
        """Whether the user's own phone is at its other end: the rig sees only what the module does of it."""
        return self.phone is not None and self.phone.own

    @property
    def wrote(self) -> str:
        """The protocol step of the last message written."""
        return self._wrote

    @property
    def acknowledged(self) -> bool:
        """Whether its writes are answered; of the user's own phone nobody knows."""
        return self.of_own_phone or self._acknowledged

    def saw(self, message: bytes) -> None:
        """The module has a whole message of the user's own phone; which step that was is read from it."""
        try:
            handshake = vcp.handshake_key(vcp.parse(message)) is not None
        except vcp.VcpError:
            handshake = False
        self._wrote = Step.HANDSHAKE if handshake else Step.COMMAND

    def served(self, peripheral: Peripheral, connection: BumbleConnection, handle: int) -> None:
        """The module has given it a slot."""
        self._peripheral, self._at_module, self.handle = peripheral, connection, handle

    def agreed(self, mtu: int) -> None:
        """The MTU exchange came to this."""
        self._mtu = mtu
        if mtu == SMALL_MTU and self.style is profile.Style.CHUNKS:
            self._per_event = PACKETS_PER_EVENT

    async def write(self, message: bytes, step: str) -> None:
        """Writes one message, length first, in the chunks of its style.

        Raises:
            LinkError: the link was lost before the last acknowledgement, or the module reported an error.
        """
        if not self.up:
            raise LinkError("link is down")
        air = self._bumble
        of_command = step == Step.COMMAND and self._drivers
        self._wrote = step
        if self._drivers:
            air.world.step(step)
            self._check("before")
            if of_command and air.lost_before_write:
                await air.lose(self)
                raise LinkError("link lost before the write")
        for chunk in profile.pieces(profile.framed(message), self._chunk_bytes):
            if of_command:
                air.world.step("bluetooth.command_chunk")
                self._check("during")
            if self._drivers and air.chunk_late:
                await air.world.kernel.sleep(air.chunk_late.value / 1e3)
                self._check("during")
            try:
                await self._put(chunk)
            except LinkError:
                if of_command and self._stands:
                    # An error is an answer too.
                    air.world.step(ACKNOWLEDGEMENT)
                raise
        if not self._acknowledged:
            await self._drain()
        if of_command:
            air.world.step(ACKNOWLEDGEMENT)
            self._check("after")
            if air.lost_after_write:
                await air.lose(self)
                raise LinkError("link lost after the write")
            if air.write_failed:
                raise LinkError("write failed")

    @property
    def _stands(self) -> bool:
        """Whether the phone's host has it still."""
        return self.phone is not None and self.connection is not None and self.phone.central.lives(self.connection)

    @property
    def _acknowledged(self) -> bool:
        return self.style is not profile.Style.SHORT and self._per_event == 1

    @property
    def _chunk_bytes(self) -> int:
        if self.style is profile.Style.LONG:
            return 512
        most = self._mtu - profile.ATT_OVERHEAD
        return min(profile.SHORT_CHUNK, most) if self.style is profile.Style.SHORT else most

    async def _put(self, chunk: bytes) -> None:
        assert self.phone is not None and self.connection is not None
        await self._bumble.ask(
            self.phone.central.write(self.connection, chunk, acknowledged=self._acknowledged), "write"
        )

    async def _drain(self) -> None:
        assert self.phone is not None and self.connection is not None
        await self._bumble.ask(self.phone.central.drained(self.connection), "drain")

    def notify(self, message: bytes) -> None:
        """The module sends one message."""
        if self._peripheral is not None and self._at_module is not None:
            self._bumble.spawn(self._peripheral.send(self._at_module, message), "module notifies")

    def arrived(self, message: bytes) -> None:
        """One message has come."""
        if self.up:
            self.inbox.put(message)

    def fade(self) -> None:
        """The module has lost it; the central's controller notices by itself."""

    def close(self) -> None:
        """The central disconnects."""
        if not self.up:
            return
        self.down()
        if self.phone is not None and self.connection is not None:
            self._bumble.spawn(self.phone.central.disconnect(self.connection), "phone disconnects")
