"""The internet between phone and server, and the cellular link between server and car, at `model` fidelity.

Counts the round trips that DNS, TCP, TLS 1.3 and HTTP make; carries calls, not bytes. Knows nothing of what is asked.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rig.kernel import Event
from rig.world.gates import Gate

if TYPE_CHECKING:
    from rig.world.world import World

PHONE_ONE_WAY_US = 25_000
"""Phone to server one way, a usual value of LTE plus internet."""
CAR_ONE_WAY_US = 40_000
"""Server to car one way over its long-lived cellular connection."""
HELLO_BYTES, CERTIFICATE_BYTES, FINISHED_BYTES = 517, 746, 80
"""What a TLS 1.3 handshake sends up, down and up again, as measured at `stack`; what a limited rate has to carry."""
REQUEST_BYTES, ANSWER_BYTES = 239, 180
"""An HTTP request and an answer but for path, token and fields, in a TLS record each; measured likewise."""
RETRANSMIT_US = 300_000
"""A lost TCP segment comes again after this long, and after twice as long each time (RFC 6298: 1 s at first, and
200 ms at least in usual systems)."""
MOST_RETRANSMITS = 5
KEEP_ALIVE_US = 3_600_000_000
"""How long phone and server keep a connection on which nothing is asked (usual servers: minutes to an hour)."""
TRICKLES = 8
"""In how many pieces a trickling body comes."""


BAD_CERTIFICATES = ("expired", "foreign", "wrong_host")
"""What can be wrong with the server's certificate: out of date, of an unknown issuer, for another name."""


class NoNetwork(Exception):
    """No connection could be made, or it broke: no network, no name, refused, reset, or not trusted."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer: status, JSON body, and the Retry-After seconds if it has any."""

    status: int
    body: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: int = 0
    cut: bool = False
    """The connection broke before the body was complete: whoever reads it gets nothing."""
    trickle_ms: int = 0
    """Over how long a time its bytes leave the server."""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return ANSWER_BYTES + sum(len(name) + len(value) for name, value in self.body.items())


@dataclass(slots=True, eq=False)
class _Connection:
    """One that stands, between phone and server; it carries a request at a time."""

    chance: random.Random
    forgotten: bool = False
    """A middlebox has dropped it, and the phone does not know."""
    idle_us: int = 0
    """Since when nothing is asked on it."""


class Internet:
    """Both legs, and what can happen to them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counts: dict[str, int] = {}
        self.phone_offline: Gate = Gate()
        self.car_offline: Gate = Gate()
        self.partition: Gate = Gate()
        self.request_lost: Gate = Gate()
        self.car_request_lost: Gate = Gate()
        self.car_answer_lost: Gate = Gate()
        self.latency: Gate = Gate()
        """Held with the milliseconds added to a round trip."""
        self.jitter: Gate = Gate()
        """Held with the milliseconds of which up to all are added to each way, by chance."""
        self.rate: Gate = Gate()
        """Held with the bytes a second that the phone's link carries."""
        self.loss: Gate = Gate()
        """Held with the percentage of segments that are lost and sent again."""
        self.duplicate: Gate = Gate()
        self.reorder: Gate = Gate()
        """Held with the milliseconds by which every other message to the car is overtaken."""
        self.dns_none: Gate = Gate()
        self.dns_hang: Gate = Gate()
        self.dns_wrong: Gate = Gate()
        self.captive: Gate = Gate()
        self.refused: Gate = Gate()
        """The server's port is closed."""
        self.region_down: Gate = Gate()
        """Nothing of the maker's answers at all."""
        self.bad_certificates: dict[str, Gate] = {name: Gate() for name in BAD_CERTIFICATES}
        self.reset: Gate = Gate()
        self.half_open: Gate = Gate()
        self._standing: list[_Connection] = []
        self._idle: deque[_Connection] = deque()
        for gate in (self.phone_offline, self.partition, self.request_lost, self.region_down):
            gate.watch(self._broken)
        self.half_open.watch(self._half_open)

    def _broken(self, _on: bool) -> None:
        self.drop_connection()

    def _half_open(self, on: bool) -> None:
        """A middlebox has forgotten the connection that stands; the phone does not know."""
        for connection in self._standing:
            connection.forgotten = on

    async def _never(self) -> None:
        """Only the caller's time-out ends this."""
        while True:
            await self._world.kernel.sleep(60.0)

    def chance(self, what: str) -> random.Random:
        """The chances of the next name, handshake or connection of that kind: apart, so that none shifts another's."""
        self._counts[what] = number = self._counts.get(what, 0) + 1
        return self._world.rng(f"internet {what} {number}")

    def flight_us(self, chance: random.Random) -> int:
        """How long what is sent now takes one way, but for its size: latency, jitter, retransmissions."""
        delay_us = PHONE_ONE_WAY_US + self.latency.value * 500
        if self.jitter:
            delay_us += chance.randrange(self.jitter.value * 1000 + 1)
        if self.loss:
            wait_us = RETRANSMIT_US
            for _ in range(MOST_RETRANSMITS):
                if chance.randrange(100) >= self.loss.value:
                    break
                delay_us += wait_us
                wait_us *= 2
        return delay_us

    def transfer_us(self, size: int) -> int:
        """How long so many bytes keep the phone's link busy."""
        return size * 1_000_000 // self.rate.value if self.rate else 0

    def swallows(self, down: bool, payload: bool) -> bool:
        """Whether what arrives now is lost for good; a partition lets connections be made and loses what they carry."""
        if self.phone_offline or self.region_down:
            return True
        return payload and bool(self.partition if down else self.request_lost)

    async def _way(
        self, chance: random.Random, down: bool, size: int = 0, payload: bool = False
    ) -> None:
        """One way between phone and server; never returns if the message gets lost."""
        await self._world.kernel.sleep((self.flight_us(chance) + self.transfer_us(size)) / 1e6)
        if self.swallows(down, payload):
            await self._never()

    async def _round_trip(self, what: str) -> None:
        chance = self.chance(what)
        await self._way(chance, down=False)
        await self._way(chance, down=True)

    async def _connect(self) -> _Connection:
        """DNS, TCP and TLS 1.3: a round trip each (RFC 8446 section 2)."""
        step = self._world.step
        step("cloud.dns")
        if self.dns_none:
            raise NoNetwork("the server's name is not known")
        if self.dns_hang:
            await self._never()
        await self._round_trip("name")
        stranger = bool(self.dns_wrong)
        step("cloud.tcp")
        await self._round_trip("port")
        stranger = stranger or bool(self.captive)
        if self.refused and not stranger:
            raise NoNetwork("connection refused")
        step("cloud.tls")
        connection = _Connection(self.chance("connection"))
        await self._way(connection.chance, down=False, size=HELLO_BYTES)
        untrusted = stranger or any(self.bad_certificates.values())
        await self._way(connection.chance, down=True, size=CERTIFICATE_BYTES)
        if untrusted:
            raise NoNetwork("whoever answers has no certificate of the server's")
        self._standing.append(connection)
        return connection

    async def call(self, path: str, token: str, body: Mapping[str, str]) -> Response:
        """Sends one HTTPS request from the phone and waits for the answer, without a limit of its own.

        What has been sent reaches the server and is done there to its end, whether the phone still waits or not.

        Raises:
            NoNetwork: the phone is offline, no trusted connection can be made, or it is reset.
        """
        if self.phone_offline:
            raise NoNetwork("the phone has no network")
        self._close_idle()
        kept = bool(self._idle)
        connection = self._idle.popleft() if kept else await self._connect()
        try:
            answer = await self._over(connection, kept, path, token, body)
        except BaseException:
            self._standing.remove(connection)
            raise
        connection.idle_us = self._world.kernel.now
        self._idle.append(connection)
        self._world.step("cloud.after_body")
        return answer

    async def _over(
        self, connection: _Connection, kept: bool, path: str, token: str, body: Mapping[str, str]
    ) -> Response:
        """One request on a connection; whoever gives up, or fails, has spoilt it."""
        self._world.step("cloud.request")
        if self.reset:
            raise NoNetwork("connection reset")
        if connection.forgotten:
            await self._never()
        size = REQUEST_BYTES + len(path) + len(token) + sum(len(name) + len(value) for name, value in body.items())
        flight_us = self.flight_us(connection.chance) + self.transfer_us(size if kept else size + FINISHED_BYTES)
        answered: Event[Response] = Event(self._world.kernel, "server's answer")
        request = self._request(flight_us, path, token, body, answered)
        self._world.kernel.spawn(request, name="server request", keep=True)
        answer = await answered.wait()
        await self._leaves(connection, answer)
        await self._way(connection.chance, down=True, size=answer.size, payload=True)
        if answer.cut:
            raise NoNetwork("the connection broke in the middle of the answer")
        return answer

    async def _leaves(self, connection: _Connection, answer: Response) -> None:
        """An answer leaves the server, at once or in pieces: whichever of them is lost, the answer is."""
        pieces = TRICKLES if answer.trickle_ms and not answer.cut else 1
        for piece in range(pieces):
            await self._world.kernel.sleep(answer.trickle_ms / pieces / 1e3)
            if self.reset:
                raise NoNetwork("connection reset")
            if connection.forgotten or (piece < pieces - 1 and self.swallows(down=True, payload=True)):
                await self._never()

    async def _request(
        self, flight_us: int, path: str, token: str, body: Mapping[str, str], answered: Event[Response]
    ) -> None:
        """A request is on its way and then at the server, though the phone may have given it up."""
        await self._world.kernel.sleep(flight_us / 1e6)
        if not self.swallows(down=False, payload=True):
            server = self._world.server
            answered.set(server.damaged(await server.answer(path, token, body)))

    def _close_idle(self) -> None:
        """Those on which nothing was asked for too long are closed at both ends: the longest idle comes first."""
        while self._idle and self._world.kernel.now - self._idle[0].idle_us >= KEEP_ALIVE_US:
            self._standing.remove(self._idle.popleft())

    def drop_connection(self) -> None:
        """The phone gave a request up: the connections that it keeps are of no more use."""
        for connection in self._idle:
            self._standing.remove(connection)
        self._idle.clear()
