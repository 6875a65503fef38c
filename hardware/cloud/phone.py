"""The phone's HTTPS: aiohttp with a resolver and a connector of its own, behind the small interface of the model.

Faults of names, connections and bytes are met here and in `connection`, not decided by what the phone asks.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from hardware.bridge import Bridge
from hardware.cloud.app import read_fields
from hardware.cloud.certs import HOST
from hardware.cloud.connection import Connection, Leg
from rig.world.internet import KEEP_ALIVE_US, Internet, NoNetwork, Response

if TYPE_CHECKING:
    from rig.world.world import World

SERVER_ADDRESS, STRANGER_ADDRESS, PORTAL_ADDRESS = "192.0.2.10", "192.0.2.66", "192.0.2.99"
"""Of a net kept for examples (RFC 5737); what a name server gives, not what is connected to at `wire`."""
PORT = 443
KEEP_ALIVE_S = KEEP_ALIVE_US / 1e6


class Dialer(Protocol):
    """Opens connections, in memory or by sockets."""

    async def knock(self, leg: Leg, address: str) -> Any:
        """The end of TCP's handshake, once the time it takes has passed; returns what `connect` goes on with.

        Raises:
            ConnectionRefusedError: nobody listens there.
        """

    async def connect(
        self, knocked: Any, factory: Any, context: ssl.SSLContext, name: str
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol, Connection]:
        """TLS's handshake, and what follows it.

        Raises:
            ssl.SSLError: whoever answers is not to be trusted.
            OSError: the connection broke.
        """


class PhoneLeg:
    """Phone to server for one connection, as `connection.Leg`; what the gates of the internet make of it."""

    def __init__(self, internet: Internet) -> None:
        self._internet = internet
        self._chance = internet.chance("connection")

    def flight_us(self) -> int:
        """See `connection.Leg`."""
        return self._internet.flight_us(self._chance)

    def transfer_us(self, size: int) -> int:
        """See `connection.Leg`."""
        return self._internet.transfer_us(size)

    def swallows(self, down: bool, payload: bool) -> bool:
        """See `connection.Leg`."""
        return self._internet.swallows(down, payload)

    @property
    def resets(self) -> bool:
        """See `connection.Leg`."""
        return bool(self._internet.reset)


class Resolver(AbstractResolver):
    """The phone's name server, a round trip away."""

    def __init__(self, internet: CloudInternet) -> None:
        self._internet = internet

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The server's address, or what is wrong with the name service.

        Raises:
            socket.gaierror: the name is not known.
        """
        internet = self._internet
        await internet.reach("cloud.dns")
        if internet.dns_none:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if internet.dns_hang:
            await internet.never()
        await internet.round_trip("name")
        address = STRANGER_ADDRESS if internet.dns_wrong else SERVER_ADDRESS
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector on an emulated network."""

    def __init__(self, internet: CloudInternet, context: ssl.SSLContext) -> None:
        super().__init__(
            resolver=Resolver(internet), ssl=context, use_dns_cache=False, keepalive_timeout=KEEP_ALIVE_S
        )
        self._internet = internet

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """A connection to send a request on: a kept one, or a new one.

        Raises:
            aiohttp.ClientConnectorError: the phone has no network.
        """
        if self._internet.phone_offline:
            raise aiohttp.ClientConnectorError(req.connection_key, OSError(errno.ENETUNREACH, "Network is unreachable"))
        connection = await super().connect(req, traces, timeout)
        await self._internet.reach("cloud.request")
        return connection

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[Any],
        req: Any,
        timeout: aiohttp.ClientTimeout,
        client_error: type[Exception] = aiohttp.ClientConnectorError,
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """TCP's round trip and the TLS handshake, over the emulated network."""
        try:
            transport, protocol = await self._internet.open(
                addr_infos[0][4][0], args[0], kwargs["ssl"], kwargs["server_hostname"]
            )
        except ssl.CertificateError as error:
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            raise client_error(req.connection_key, error) from error
        assert isinstance(protocol, ResponseHandler)
        return transport, protocol

    def drop_idle(self) -> None:
        """Forgets the connections that nobody is using."""
        for idle in self._conns.values():
            for protocol, _ in idle:
                protocol.abort()


class CloudInternet(Internet):
    """Phone to server with real HTTP and TLS; the gates are the model's."""

    def __init__(self, world: World, bridge: Bridge, dialer: Dialer, context: ssl.SSLContext) -> None:
        self._connector: Connector | None = None
        self._open_connections: list[Connection] = []
        super().__init__(world)
        self._bridge = bridge
        self._dialer = dialer
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    @property
    def world(self) -> World:
        """Whose internet it is."""
        return self._world

    # -- what the world asks -----------------------------------------------------------------------

    async def call(self, path: str, token: str, body: Mapping[str, str]) -> Response:
        """Sends one HTTPS request from the phone and waits for the answer, without a limit of its own.

        Raises:
            NoNetwork: the phone is offline, no trusted connection can be made, or it broke.
        """
        return await self._bridge.task(self._post(path, token, body), "phone request")

    def drop_connection(self) -> None:
        """The phone gave a request up: its idle connections are of no more use."""
        if self._connector is not None:
            self._connector.drop_idle()

    def _broken(self, _on: bool) -> None:
        self.drop_connection()

    def _half_open(self, on: bool) -> None:
        """A middlebox forgets the connections that stand, and the phone does not know."""
        for connection in self._open_connections:
            connection.forgotten = on and connection.standing

    # -- as tasks ----------------------------------------------------------------------------------

    async def _post(self, path: str, token: str, body: Mapping[str, str]) -> Response:
        session = self._session or self._start()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._note("request", path, json.dumps(dict(body), sort_keys=True))
        try:
            async with session.post(
                URL.build(scheme="https", host=HOST, path=path), json=dict(body), headers=headers
            ) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, OSError) as error:
            self._note("failed", type(error).__name__, "")
            raise NoNetwork(f"{type(error).__name__}: {error}") from error
        self._note("response", str(answer.status), text)
        await self.reach("cloud.after_body")
        waits = answer.headers.get("Retry-After", "0")
        return Response(answer.status, read_fields(text), int(waits) if waits.isdecimal() else 0)

    def _start(self) -> aiohttp.ClientSession:
        self._connector = Connector(self, self._context)
        self._session = aiohttp.ClientSession(
            connector=self._connector, timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
        )
        return self._session

    async def close(self) -> None:
        """Ends the phone's HTTP."""
        if self._session is not None:
            await self._session.close()

    async def open(
        self, address: str, factory: Any, context: ssl.SSLContext, name: str
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """TCP's round trip, then TLS with whoever answers.

        Raises:
            OSError: refused or broken.
            ssl.SSLError: whoever answers is not to be trusted.
        """
        await self.reach("cloud.tcp")
        await self.round_trip("port")
        knocked = await self._dialer.knock(PhoneLeg(self), PORTAL_ADDRESS if self.captive else address)
        await self.reach("cloud.tls")
        transport, protocol, connection = await self._dialer.connect(knocked, factory, context, name)
        self.watch_over(connection)
        return transport, protocol

    def watch_over(self, connection: Connection) -> None:
        """A connection that a middlebox may forget from now on."""
        self._open_connections = [one for one in self._open_connections if not one.over]
        self._open_connections.append(connection)

    async def round_trip(self, what: str) -> None:
        """A small packet to the other side and back; never returns if one gets lost."""
        chance = self.chance(what)
        for down in (False, True):
            await asyncio.sleep(self.flight_us(chance) / 1e6)
            if self.swallows(down, payload=False):
                await self.never()

    async def never(self) -> None:
        """Only who gives up ends this."""
        await self._bridge.loop.create_future()

    async def reach(self, step: str) -> None:
        """A protocol step is about to be made: faults placed there begin now."""
        if self._world.awaits(step):
            reached = self._bridge.loop.create_future()
            self._bridge.kernel.post(self._reached, step, reached)
            await reached

    def _reached(self, step: str, reached: asyncio.Future[None]) -> None:
        self._world.step(step)
        if not reached.done():
            reached.set_result(None)

    def _note(self, what: str, which: str, body: str) -> None:
        """One HTTP event, for the trace."""
        if not self._bridge.over:
            self._world.log("http", "phone", what, which, hashlib.sha256(body.encode()).hexdigest()[:16])
