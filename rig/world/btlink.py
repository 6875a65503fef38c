"""One Bluetooth link between a central and the car's module, at `model` fidelity.

Counts round trips as a real stack makes them (one ATT request a connection event) and meets what can befall a link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.kernel import Channel, ChannelClosed, Event, Timeout

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

    Connection events follow its first one, each `CONNECTION_EVENT_US` after the last; what there is to say waits for
    the next.

    Attributes:
        handle: of the module's slot; -1 before it has one.
        radio: which of the driver's phone's it has; -1: none of them.
        up: the central believes that it stands.
        over: set when it does not any more.
        deaf: nothing passes any more, whatever either side believes.
        subscribed: the module sends it notifications.
    """

    def __init__(self, air: Air, *, drivers: bool) -> None:
        self._air = air
        self.handle = self.radio = -1
        self._address = air.address_turn()
        self._anchor_us = 0
        self.up = True
        self.over: Event[None] = Event(air.world.kernel, "end of a Bluetooth link")
        self.deaf = False
        self.subscribed = False
        self.inbox: Channel[bytes] = Channel(air.world.kernel, "bluetooth.notifications")
        self._drivers = drivers
        self._mtu = MTU
        self._per_event = 1
        self._event_us = self._exchange_us = -1
        """The last event, and when what was said in it gets through."""
        self._sends_us = 0
        """The last event for which the module has packets, and how many."""
        self._packets = 0
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

    async def rest(self, us: int) -> None:
        """Waits, but no longer than the central believes that the link stands."""
        try:
            await self.over.wait(us / 1e6)
        except Timeout:
            pass

    def indicated(self) -> None:
        """The central has asked the module for it, now."""
        self._anchor_us = self._air.world.kernel.now
        self._address = self._air.address_turn()

    async def begin(self) -> None:
        """The first connection event, now: controllers exchange features, before phones' hosts tell their apps.

        Raises:
            LinkError: the answer never came.
        """
        await self._through(self._air.world.kernel.now)
        await self.answered(host=False)

    async def ask(self) -> None:
        """One request of the central's and the module's answer: a connection event.

        Raises:
            LinkError: the answer never came.
        """
        await self.event()
        await self.answered()

    async def answered(self, *, host: bool = True) -> None:
        """In a connection event that has brought the module a request: its answer, unless it is cut off.

        Args:
            host: the module's host answers, and not its controller alone.

        Raises:
            LinkError: the answer never came.
        """
        if not self.deaf and not (host and self._air.module.stuck):
            await self.rest(ANSWERS_AFTER_US)
            if not self.deaf:
                return
        await self.over.wait()
        raise LinkError("no acknowledgement" if self.subscribed else "lost while connecting")

    async def event(self) -> None:
        """Waits for the next connection event, and until the central's packet gets through."""
        next_us = self._next_us()
        await self.rest(next_us - self._air.world.kernel.now)
        if self.up:
            await self._through(next_us)

    async def _through(self, event_us: int) -> None:
        """Until the packets of an event that begins now get through."""
        kernel = self._air.world.kernel
        through_us = self._through_us(event_us)
        if through_us > kernel.now:
            await self.rest(through_us - kernel.now)

    def _next_us(self) -> int:
        """When what is said now can be on the air; an event that begins now has its packets already."""
        now = self._air.world.kernel.now
        if self._exchange_us > now:
            return self._exchange_us
        return now + CONNECTION_EVENT_US - (now - self._anchor_us) % CONNECTION_EVENT_US

    def _through_us(self, event_us: int) -> int:
        """When the packets of an event that begins now get through."""
        if event_us not in (self._event_us, self._exchange_us):
            self._event_us = event_us
            self._exchange_us = event_us + self.late_us()
        return self._exchange_us

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
        acknowledged = self._per_event == 1
        for place, start in enumerate(range(0, len(framed), size)):
            if of_command:
                air.world.step("bluetooth.command_chunk")
                self._check("during")
            late_ms = air.chunk_late.value if self._drivers else 0
            if late_ms:
                await air.world.kernel.sleep(late_ms / 1e3)
                self._check("during")
            if late_ms or place % self._per_event == 0:
                await self.event()
                self._check("during")
            if not self.deaf:
                self._pass_chunk(framed[start : start + size])
            if acknowledged:
                await self.answered()
                self._check("after")
        if self.deaf:
            await self.over.wait()
            raise LinkError("link lost after the write")
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

    def _pass_chunk(self, chunk: bytes) -> None:
        air = self._air
        copies = air.copies() if self._drivers and air.chunks_disturbed else 1
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
        """Delivers one message in the next connection events, so many chunks in each as fit in one."""
        if not self.up or self.deaf or not self.subscribed or self._air.module.stuck:
            return
        kernel = self._air.world.kernel
        # What has come through and is not answered yet takes answers along.
        open_yet = self._exchange_us <= kernel.now < self._exchange_us + ANSWERS_AFTER_US
        next_us = self._exchange_us if open_yet else self._next_us()
        if next_us > self._sends_us:
            self._sends_us, self._packets = next_us, 0
        chunks = -(-(len(message) + 2) // (self._mtu - 3))
        full, packets = divmod(self._packets + chunks - 1, PACKETS_PER_EVENT)
        self._sends_us += full * CONNECTION_EVENT_US
        self._packets = packets + 1
        if self._sends_us > kernel.now and self._drivers and self._air.radio.bad:
            kernel.at(self._sends_us, self._send, self._sends_us, message)
        else:
            kernel.at(self._sends_us + ANSWERS_AFTER_US, self._deliver, message)

    def _send(self, event_us: int, message: bytes) -> None:
        """In a connection event of a bad signal."""
        if not self.deaf:
            at_us = self._through_us(event_us) + ANSWERS_AFTER_US
            self._air.world.kernel.at(at_us, self._deliver, message)

    def _deliver(self, message: bytes) -> None:
        if self.up and not self.deaf:
            self.inbox.put(message)

    def down(self) -> None:
        """The central knows that the link is gone."""
        if self.up:
            self.up = False
            self.deaf = True
            self.inbox.close()
            self.over.set()
            self._air.forget(self)

    def fade(self) -> None:
        """The module has lost it; the central notices after its supervision time-out."""
        self.deaf = True
        self._air.world.kernel.after(SUPERVISION_US, self.down)

    def close(self) -> None:
        """The central disconnects; the module learns of it at the next connection event, or when it misses it."""
        if self.up:
            air, kernel = self._air, self._air.world.kernel
            next_us, cut = self._next_us(), self.deaf
            self.down()
            if self.handle < 0:
                return
            if cut:
                kernel.after(SUPERVISION_US, air.missed, self)
            else:
                kernel.at(next_us, self._leave, next_us)

    def _leave(self, event_us: int) -> None:
        """In a connection event: the module hears, when that gets through, that the central has ended it."""
        self._air.world.kernel.at(self._through_us(event_us), self._air.missed, self)
