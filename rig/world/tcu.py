"""The telematics unit: one long-lived connection to the server, ISO-TP 0x2A0/0x2A8, TelematicsState once a second.

Carries messages, knows nothing of what they say but their return address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.kernel import Channel, Event, Timeout
from rig.protocol.e2e import Sender
from rig.protocol.vcp import VcpError, return_address
from rig.world.gates import Gate
from rig.world.internet import CAR_ONE_WAY_US
from rig.world.isotpport import IsoTpPort
from rig.world.slowcycle import SlowCycle

if TYPE_CHECKING:
    from rig.world.world import World

PERIOD_US = 1_000_000
TWICE_US = 200_000
"""How long after a message its copy comes."""
KEEPALIVE_US = 3_000_000
"""The server notices a vanished car this long after."""
LONGEST_BACK_OFF_S = 5.0
UTC_AT_START = 1_767_225_600
"""2026-01-01T00:00:00Z: the scenario's calendar; used for nothing but TelematicsState."""


class Tcu:
    """Between cellular network and body CAN."""

    REQUEST_ID = 0x2A0
    RESPONSE_ID = 0x2A8
    REPORT = 0xFE
    REPORT_TAKEN = b"\x06"

    def __init__(self, world: World) -> None:
        self._world = world
        self._port = IsoTpPort(
            world.kernel, world.can, "tcu", self.REQUEST_ID, self.RESPONSE_ID, self._payload
        )
        self._codec = world.codecs["TelematicsState"]
        self._sender = Sender(self._codec.can_id)
        self._slow = SlowCycle(world.kernel, PERIOD_US, self._cycle, self._sender)
        self._waiting: dict[bytes, Event[bytes]] = {}
        self._carried = 0
        self._held: list[tuple[bytes, str]] = []
        self._reports: Channel[bytes] = Channel(world.kernel, "tcu.reports")
        self._lost: Channel[bool] = Channel(world.kernel, "tcu.link")
        self.reachable = True
        """The long-lived connection stands."""
        self.known_online = True
        """What the server believes of it."""
        self.off: Gate = Gate()
        """It has no power, or starts; its connection is another thing (`Internet.car_offline`)."""
        self.hung: Gate = Gate()
        """It carries nothing and sends nothing; its connection stands."""
        self.clock_stopped: Gate = Gate()
        """Held with the UTC seconds at which its wall clock stands."""
        self.clock_wrong: Gate = Gate()
        """Held with the seconds by which its wall clock is wrong."""
        self.clock_jumps: Gate = Gate()
        """Held with the seconds by which its wall clock jumps to and fro, every second."""
        world.internet.car_offline.watch(self._link)
        self.off.watch(self._silence)
        self.hung.watch(self._silence)

    def start(self) -> None:
        """Begins the cyclic TelematicsState and the tasks that keep the connection and pass on reports."""
        kernel = self._world.kernel
        self._slow.start()
        kernel.spawn(self._pass_reports(), name="tcu reports", keep=True)
        kernel.spawn(self._reconnect(), name="tcu link", keep=True)

    def skip(self, delta_us: int) -> None:
        """Goes on as if the cycle had run through a gap that begins now; the caller has moved all cyclic events."""
        self._slow.skip(delta_us)

    @property
    def utc_s(self) -> int:
        """What its wall clock says."""
        now_s = UTC_AT_START + self._world.kernel.now // 1_000_000
        seconds = self.clock_stopped.value if self.clock_stopped else now_s
        seconds += self.clock_wrong.value + self.clock_jumps.value * (now_s % 2)
        return min(max(seconds, 0), 0xFFFF_FFFF)

    def _silence(self, _on: bool) -> None:
        self._port.mute(bool(self.off or self.hung))
        self._world.unsettled()

    def _cycle(self) -> None:
        if self.off or self.hung:
            return
        payload = self._codec.encode(
            {
                "Online": int(self.reachable),
                "Signal": 4 if self.reachable else 0,
                "UtcSeconds": self.utc_s,
            }
        )
        self._port.node.send(self._codec.can_id, self._sender.protect(payload))

    def _link(self, offline: bool) -> None:
        if offline:
            self.reachable = False
            self._lost.put(True)
            self._world.kernel.after(KEEPALIVE_US, self._server_notices)

    def _server_notices(self) -> None:
        if not self.reachable:
            self.known_online = False

    async def _reconnect(self) -> None:
        kernel = self._world.kernel
        while True:
            await self._lost.recv()
            back_off_s = 1.0
            while not self.reachable:
                await kernel.sleep(back_off_s)
                back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)
                if self._world.internet.car_offline and back_off_s == LONGEST_BACK_OFF_S:
                    # For days without a network every attempt fails: only the first one after it comes next.
                    since = kernel.now
                    await self._world.internet.car_offline.cleared(kernel)
                    await kernel.sleep(-(kernel.now - since) % round(LONGEST_BACK_OFF_S * 1e6) / 1e6)
                if not self._world.internet.car_offline and await self._dial():
                    self.reachable = True
                    self._called_in()

    def _called_in(self) -> None:
        """The server has the car back: it gets what was kept for it."""
        self.known_online = True
        held, self._held = self._held, []
        for message, origin in held:
            self._arrives(message, origin)

    async def _dial(self) -> bool:
        """Makes the connection: a round trip each for TCP, TLS and HTTP; whether it stands then."""
        await self._world.kernel.sleep(3 * 2 * CAR_ONE_WAY_US / 1e6)
        return not self._world.internet.car_offline

    async def ask(self, message: bytes, timeout_s: float) -> bytes | None:
        """From the server: carries a request to the DUT and its answer back; None after `timeout_s`."""
        try:
            with self._world.kernel.timeout(timeout_s):
                self._world.step("cloud.car_request")
                return await self._ask(message, self._deliveries())
        except Timeout:
            return None

    def _deliveries(self) -> list[tuple[int, str]]:
        """When, in µs from now, queue and network pass a request on, and as what: at once, late, twice, overtaken."""
        world = self._world
        late_ms = world.server.queue_late.value
        self._carried += 1
        if self._carried % 2:
            late_ms += world.server.queue_reordered.value + world.internet.reorder.value
        copies = [(late_ms * 1000, "late" if late_ms else "genuine")]
        if world.server.queue_twice or world.internet.duplicate:
            copies.append((late_ms * 1000 + TWICE_US, "replay"))
        for after_us, _ in copies:
            if after_us:
                # Nobody takes it out of the queue again, whether somebody still waits for it or not.
                world.outlast(after_us + 1_000_000)
        return copies

    async def _ask(self, message: bytes, copies: list[tuple[int, str]]) -> bytes:
        """Over the connection and back; waits without limit for an answer to the return address."""
        kernel, internet = self._world.kernel, self._world.internet
        for after_us, origin in copies:
            if after_us:
                kernel.after(after_us, self._push_late, message, origin)
            else:
                kernel.after(CAR_ONE_WAY_US, self._arrives, message, origin)
        answer = await self._answer_to(message)
        self._world.step("cloud.car_answer")
        await kernel.sleep(CAR_ONE_WAY_US / 1e6)
        if not self.reachable or internet.car_answer_lost:
            await Event[bytes](kernel, "an answer that is lost").wait()
        return answer

    async def exchange(self, message: bytes) -> bytes:
        """Sends a request to the DUT as one that has arrived; waits, without limit, for the answer to it."""
        for after_us, origin in self._deliveries():
            if after_us:
                self._world.kernel.after(after_us, self.hand, message, origin)
            else:
                self.hand(message, origin)
        return await self._answer_to(message)

    async def _answer_to(self, message: bytes) -> bytes:
        """The DUT's answer to the return address of a message."""
        address = return_address(message, of_answer=False)
        answered: Event[bytes] = Event(self._world.kernel, "tcu.answer")
        self._waiting[address] = answered
        try:
            return await answered.wait()
        finally:
            if self._waiting.get(address) is answered:
                del self._waiting[address]

    def _push_late(self, message: bytes, origin: str) -> None:
        """From the queue, when its time has come: to a car that the server knows to be away, when it is back."""
        if self.known_online:
            self._world.kernel.after(CAR_ONE_WAY_US, self._arrives, message, origin)
        else:
            self._held.append((message, origin))

    def _arrives(self, message: bytes, origin: str) -> None:
        """A request has come over the network, unless that lost it."""
        if self.reachable and not self._world.internet.car_request_lost:
            self.hand(message, origin)

    def hand(self, message: bytes, origin: str) -> None:
        """Sends one request to the DUT."""
        if self.off or self.hung:
            return
        if origin == "genuine" and self._world.attacker.takes("cloud", 0, message):
            return
        self._world.handed("cloud", message, origin)
        self._port.send(b"\x00" + message)

    def _payload(self, payload: bytes) -> None:
        if len(payload) < 2:
            return
        if payload[0] == self.REPORT:
            self._reports.put(payload[1:])
            return
        try:
            address = return_address(payload[1:], of_answer=True)
        except VcpError:
            return
        self._answered(address, payload[1:])

    def _answered(self, address: bytes, answer: bytes) -> None:
        """The DUT has answered; whoever waits for it gets it, and copies are dropped."""
        waiting = self._waiting.get(address)
        if waiting is not None and not waiting.is_set:
            waiting.set(answer)

    async def _pass_reports(self) -> None:
        while True:
            report = await self._reports.recv()
            if not self.reachable:
                continue
            if await self._report(report) and self.reachable:
                self._port.send(self.REPORT_TAKEN)

    async def _report(self, report: bytes) -> bool:
        """Sends a report to the server; whether the server says that it took it."""
        kernel = self._world.kernel
        await kernel.sleep(CAR_ONE_WAY_US / 1e6)
        taken = await self._world.server.report(report)
        await kernel.sleep(CAR_ONE_WAY_US / 1e6)
        return taken
