"""One Bluetooth link between a central and the car's module, at `model` fidelity.

Counts round trips as a real stack makes them (one ATT request a connection event) and meets what can befall a link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.kernel import Channel, ChannelClosed

if TYPE_CHECKING:
    from rig.world.bluetooth import Air

CONNECTION_EVENT_US = 30_000
"""Connection interval that phones grant (Core allows 7.5 ms .. 4 s): one ATT round trip takes one."""
ANSWERS_AFTER_US = 2_500
"""The peripheral's packets of an event follow the central's: 4 packets of 251 bytes at 1 Mbit/s each way."""
MTU = 185
"""The ATT MTU that iOS asks for; a write carries MTU - 3 bytes."""
SMALL_MTU = 23
"""The smallest ATT MTU (Core, vol 3 part G 5.2.1); clients then write without response."""
PACKETS_PER_EVENT = 4
"""So many unacknowledged packets phones send, and take, in one connection event."""
SUPERVISION_US = 720_000
"""Link supervision time-out: both sides notice a vanished link only then (Core: 100 ms .. 32 s)."""


class LinkError(Exception):
    """The Bluetooth link could not be made, or was lost."""


class Step:
    """What a central writes, by the protocol step that faults can be placed at."""

    HANDSHAKE = "bluetooth.handshake_request"
    COMMAND = "bluetooth.command_write"


class Connection:
    """One Bluetooth connection as its central sees it; `inbox` closes when the link is gone.

    Attributes:
        handle: of the module's slot.
        up: the central believes that it stands.
        deaf: nothing passes any more, whatever either side believes.
    """

    def __init__(self, air: Air, handle: int, *, drivers: bool) -> None:
        self._air = air
        self.handle = handle
        self._address = air.address_turn()
        self.up = True
        self.deaf = False
        self.inbox: Channel[bytes] = Channel(air.world.kernel, "bluetooth.notifications")
        self._drivers = drivers
        self._mtu = MTU
        self._per_event = 1
        self._free_us = 0
        self._wrote = ""

    @property
    def address(self) -> str:
        """The private address under which the module advertised; who is bonded can resolve it."""
        return self._air.world.rng(f"address {self._address}").randbytes(6).hex(":")

    def shrink(self) -> None:
        """The MTU exchange came to no more than the smallest."""
        self._mtu, self._per_event = SMALL_MTU, PACKETS_PER_EVENT

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

    async def gone(self) -> None:
        """Waits until the central notices that the link has vanished."""
        while self.up:
            try:
                await self.inbox.recv()
            except ChannelClosed:
                return

    async def answered(self) -> None:
        """At the end of a connection event: the module's host answers a request, unless it is cut off.

        Raises:
            LinkError: it never did.
        """
        if self._air.module.stuck:
            await self.gone()
            raise LinkError("no answer")

    async def write(self, message: bytes, step: str) -> None:
        """Writes one message, length first, in chunks of MTU - 3.

        Raises:
            LinkError: the link was lost before the last acknowledgement.
        """
        if not self.up:
            raise LinkError("link is down")
        air = self._air
        of_command = step == Step.COMMAND and self._drivers
        if self._drivers:
            self._wrote = step
            air.world.step(step)
            self._check("before")
            if of_command and air.lost_before_write:
                await air.lose(self)
                raise LinkError("link lost before the write")
        framed = len(message).to_bytes(2, "big") + message
        size = self._mtu - 3
        for place, start in enumerate(range(0, len(framed), size)):
            if place % self._per_event == 0:
                await air.world.kernel.sleep((CONNECTION_EVENT_US + self.late_us()) / 1e6)
                self._check("during")
                if self._per_event == 1:
                    await self.answered()
            if of_command:
                air.world.step("bluetooth.command_chunk")
                self._check("during")
            if not self.deaf:
                await self._pass_chunk(framed[start : start + size])
        if not self.deaf and self._per_event == 1:
            # The module's host answers a write request in the same connection event.
            await air.world.kernel.sleep(ANSWERS_AFTER_US / 1e6)
            self._check("after")
        if self.deaf:
            await self.gone()
            raise LinkError("no acknowledgement")
        if of_command:
            air.world.step("bluetooth.acknowledgement")
            self._check("after")
            if air.lost_after_write:
                await air.lose(self)
                raise LinkError("link lost after the write")
            if air.write_failed:
                raise LinkError("write failed")

    def _check(self, when: str) -> None:
        if not self.up:
            raise LinkError(f"link lost {when} the write")

    async def _pass_chunk(self, chunk: bytes) -> None:
        air = self._air
        copies = 1
        if self._drivers and air.chunks_disturbed:
            if air.chunk_late:
                await air.world.kernel.sleep(air.chunk_late.value / 1e3)
                self._check("during")
            copies = air.copies()
        for _ in range(copies):
            if not self.deaf:
                air.module.written(self.handle, chunk)

    def late_us(self) -> int:
        """What a bad signal adds to a packet; a link that does not get through vanishes."""
        air = self._air
        if not (self._drivers and air.radio.bad):
            return 0
        late = air.radio.late_us(air.world.kernel.now, CONNECTION_EVENT_US)
        if late is None:
            air.vanish(self)
            return 0
        return late

    def answer(self, message: bytes) -> None:
        """From the module: an answer to what this central asked."""
        if self._drivers:
            air = self._air
            to_command = self._wrote == Step.COMMAND
            air.world.step("bluetooth.command_answer" if to_command else "bluetooth.handshake_answer")
            if to_command and air.answer_lost:
                return
        self.notify(message)

    def push(self, message: bytes) -> None:
        """From the module: something for all."""
        if self._drivers:
            self._air.world.step("bluetooth.status_push")
        self.notify(message)

    def notify(self, message: bytes) -> None:
        """Delivers one message, a connection event for so many chunks as fit in one."""
        if not self.up or self.deaf or self._air.module.stuck:
            return
        kernel = self._air.world.kernel
        chunks = -(-(len(message) + 2) // (self._mtu - 3))
        start = max(kernel.now, self._free_us)
        self._free_us = start + -(-chunks // self._per_event) * CONNECTION_EVENT_US + self.late_us()
        kernel.at(self._free_us, self._deliver, message)

    def _deliver(self, message: bytes) -> None:
        if self.up and not self.deaf:
            self.inbox.put(message)

    def down(self) -> None:
        """The central knows that the link is gone."""
        if self.up:
            self.up = False
            self.deaf = True
            self.inbox.close()
            self._air.forget(self)

    def fade(self) -> None:
        """The module has lost it; the central notices after its supervision time-out."""
        self.deaf = True
        self._air.world.kernel.after(SUPERVISION_US, self.down)

    def close(self) -> None:
        """The central disconnects; the module learns of it at the next connection event, or when it misses it."""
        if self.up:
            wait_us = SUPERVISION_US if self.deaf else CONNECTION_EVENT_US
            self.down()
            self._air.world.kernel.after(wait_us, self._air.module.closed, self.handle, self)
