"""The telematics unit as an aiohttp client: one long-lived WebSocket over TLS to the maker's server, and both its ends.

What is carried when, and what the unit does on the bus, is the model's; the bytes between the two are real.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import WSMsgType, web
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from hardware.bridge import Bridge
from hardware.cloud.certs import HOST
from hardware.cloud.connection import Connection
from hardware.cloud.phone import Dialer
from rig.kernel import Event, Timeout
from rig.protocol.vcp import return_address
from rig.world.internet import CAR_ONE_WAY_US
from rig.world.tcu import KEEPALIVE_US, Tcu

if TYPE_CHECKING:
    from rig.world.world import World

REQUEST, ANSWER, REPORT, TAKEN = b"Q", b"A", b"R", b"T"
"""First byte of a message on the line: server to car, car to server, car to server, server to car."""
ORIGINS = ("genuine", "late", "replay")
"""What the rig notes of a delivery; the unit treats all alike."""
NUMBER = 4
DIAL_S = 10.0
CAR_SIDE_ADDRESS = "192.0.2.20"
"""Where the server takes calls of cars (RFC 5737); no port of the phones' side."""


class CarLeg:
    """Server to car, as `connection.Leg`."""

    resets = False

    def __init__(self, world: World) -> None:
        self._world = world

    def flight_us(self) -> int:
        """See `connection.Leg`."""
        return CAR_ONE_WAY_US

    def transfer_us(self, size: int) -> int:
        """The cellular link is fast enough for all that is sent."""
        return 0

    def swallows(self, down: bool, payload: bool) -> bool:
        """See `connection.Leg`."""
        return bool(self._world.internet.car_offline)


class _CarConnector(aiohttp.TCPConnector):
    """aiohttp's connector on the cellular network; the server's address is known to the unit."""

    def __init__(self, tcu: CloudTcu, context: ssl.SSLContext) -> None:
        super().__init__(ssl=context, force_close=True)
        self._tcu = tcu

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
        return [{"hostname": host, "host": CAR_SIDE_ADDRESS, "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def _wrap_create_connection(
        self, *args: Any, req: Any, client_error: type[Exception] = aiohttp.ClientConnectorError, **kwargs: Any
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        try:
            transport, protocol = await self._tcu.open(args[0], kwargs["ssl"], kwargs["server_hostname"])
        except OSError as error:
            raise client_error(req.connection_key, error) from error
        assert isinstance(protocol, ResponseHandler)
        return transport, protocol


class CloudTcu(Tcu):
    """The telematics unit and the server's end of its line (implements `app.CarLine`)."""

    def __init__(self, world: World, bridge: Bridge, dialer: Dialer, context: ssl.SSLContext) -> None:
        super().__init__(world)
        self._bridge = bridge
        self._dialer = dialer
        self._context = context
        self._leg = CarLeg(world)
        self._connection: Connection | None = None
        self._session: aiohttp.ClientSession | None = None
        self._line: aiohttp.ClientWebSocketResponse | None = None
        self._server_line: web.WebSocketResponse | None = None
        self._numbers: dict[bytes, int] = {}
        self._asked: dict[int, Event[bytes]] = {}
        self._last = 0
        self._kept: list[bytes] = []
        self._taken: Event[bool] | None = None
        self.reachable = self.known_online = False

    def start(self) -> None:
        """As the model; the line is dialled at once."""
        super().start()
        self._world.kernel.spawn(self._first_call(), name="tcu dials", keep=True)

    async def _first_call(self) -> None:
        if await self._dial():
            self.reachable = True
        else:
            self._lost.put(True)

    # -- the line itself ---------------------------------------------------------------------------

    def _link(self, offline: bool) -> None:
        """The modem tells that the network is gone; the server is told by nobody, and finds out."""
        if not offline:
            return
        self.reachable = False
        self._lost.put(True)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.reset(OSError("network is down"), server=False)
            self._world.kernel.after(KEEPALIVE_US, self._times_out, connection)

    def _times_out(self, connection: Connection) -> None:
        """TCP's keep-alive of the server's side was not answered."""
        connection.reset(TimeoutError("connection timed out"), client=False)

    async def _dial(self) -> bool:
        try:
            with self._world.kernel.timeout(DIAL_S):
                await self._bridge.task(self._call_in(), "tcu dials")
        except (aiohttp.ClientError, OSError, Timeout):
            return False
        return not self._world.internet.car_offline

    async def _call_in(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_CarConnector(self, self._context), timeout=aiohttp.ClientTimeout(total=None)
            )
        url = URL.build(scheme="wss", host=HOST, path=f"/tcu/{self._world.vin}")
        line = await self._session.ws_connect(url, autoping=True, timeout=aiohttp.ClientWSTimeout(ws_close=1.0))
        self._line = line
        self._bridge.start(self._read(line), "tcu line")

    async def open(
        self, factory: Any, context: ssl.SSLContext, name: str
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """TCP's round trip over the cellular network, then TLS."""
        for _ in range(2):
            await asyncio.sleep(CAR_ONE_WAY_US / 1e6)
            if self._leg.swallows(False, False):
                await self._bridge.loop.create_future()
        knocked = await self._dialer.knock(self._leg, CAR_SIDE_ADDRESS)
        transport, protocol, self._connection = await self._dialer.connect(knocked, factory, context, name)
        return transport, protocol

    async def _read(self, line: aiohttp.ClientWebSocketResponse) -> None:
        async for message in line:
            if message.type is WSMsgType.BINARY:
                self._bridge.kernel.post(self._from_server, bytes(message.data))

    async def close(self) -> None:
        """Ends the unit's HTTP."""
        if self._session is not None:
            await self._session.close()

    # -- the server's end --------------------------------------------------------------------------

    def connected(self, line: web.WebSocketResponse) -> None:
        """See `app.CarLine`."""
        self._server_line = line
        self.known_online = True
        kept, self._kept = self._kept, []
        for data in kept:
            self._to_car(data)

    def disconnected(self, line: web.WebSocketResponse) -> None:
        """See `app.CarLine`."""
        if line is self._server_line:
            self._server_line = None
            self.known_online = False

    def from_car(self, data: bytes) -> None:
        """See `app.CarLine`."""
        self._bridge.kernel.post(self._at_server, data)

    def _to_car(self, data: bytes) -> None:
        line = self._server_line
        if line is not None:
            self._bridge.start(_send(line, data), "to car")

    def _at_server(self, data: bytes) -> None:
        """Something the unit said has come to the server."""
        if self._world.internet.car_answer_lost and data[:1] == ANSWER:
            return
        if data[:1] == REPORT:
            self._world.kernel.spawn(self._take_report(data[1:]), name="report", keep=True)
        elif data[:1] == ANSWER:
            asked = self._asked.get(int.from_bytes(data[1 : 1 + NUMBER], "big"))
            if asked is not None and not asked.is_set:
                asked.set(data[1 + NUMBER :])

    async def _take_report(self, report: bytes) -> None:
        if await self._world.server.report(report):
            self._to_car(TAKEN)

    async def _ask(self, message: bytes, copies: list[tuple[int, str]]) -> bytes:
        self._last += 1
        number = self._last
        asked = self._asked[number] = Event(self._world.kernel, "tcu.answer")
        try:
            for after_us, origin in copies:
                head = REQUEST + number.to_bytes(NUMBER, "big") + bytes((ORIGINS.index(origin),))
                if after_us:
                    self._world.kernel.after(after_us, self._pass_on, head + message)
                else:
                    self._to_car(head + message)
            return await asked.wait()
        finally:
            del self._asked[number]

    def _called_in(self) -> None:
        """The server's end has noticed by itself."""

    def _pass_on(self, data: bytes) -> None:
        """From the queue, when its time has come: to a car that is away, as soon as it is back."""
        if self._server_line is None:
            self._kept.append(data)
        else:
            self._to_car(data)

    # -- the unit's end ----------------------------------------------------------------------------

    def _from_server(self, data: bytes) -> None:
        """Something has come over the line."""
        if data[:1] == TAKEN:
            if self._taken is not None and not self._taken.is_set:
                self._taken.set(True)
            return
        if self._world.internet.car_request_lost:
            return
        number = int.from_bytes(data[1 : 1 + NUMBER], "big")
        message = data[2 + NUMBER :]
        self._numbers[return_address(message, of_answer=False)] = number
        self.hand(message, ORIGINS[data[1 + NUMBER]])

    def _answered(self, address: bytes, answer: bytes) -> None:
        super()._answered(address, answer)
        number = self._numbers.pop(address, None)
        if number is not None:
            self._world.step("cloud.car_answer")
            self._to_server(ANSWER + number.to_bytes(NUMBER, "big") + answer)

    def _to_server(self, data: bytes) -> None:
        if self._line is not None and self.reachable:
            self._bridge.start(_send(self._line, data), "to server")

    async def _report(self, report: bytes) -> bool:
        self._taken = Event(self._world.kernel, "report taken")
        self._to_server(REPORT + report)
        try:
            await self._taken.wait(KEEPALIVE_US / 1e6)
        except Timeout:
            return False
        return True


async def _send(line: aiohttp.ClientWebSocketResponse | web.WebSocketResponse, data: bytes) -> None:
    """Sends, unless the line is gone: then it is lost, and nobody is told."""
    try:
        await line.send_bytes(data)
    except (ConnectionError, aiohttp.ClientError, RuntimeError):
        return
