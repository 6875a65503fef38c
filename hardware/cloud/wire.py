"""Server and network at `wire` fidelity: HTTPS on loopback through fault proxies, in real time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

from hardware.bridge import Bridge
from hardware.cloud.app import CloudApp
from hardware.cloud.car import CAR_SIDE_ADDRESS, CarLeg, CloudTcu
from hardware.cloud.certs import BAD, PORTAL, STRANGER, Trust, rig_trust, server_context
from hardware.cloud.connection import Connection, Leg
from hardware.cloud.phone import PORTAL_ADDRESS, SERVER_ADDRESS, STRANGER_ADDRESS, CloudInternet, PhoneLeg
from hardware.cloud.proxy import LOOPBACK, FaultProxy
from rig.kernel import Kernel
from rig.world.links import Links

if TYPE_CHECKING:
    from rig.world.world import World

PORTAL_PAGE = b"<html><body><form>Please sign in to use this network</form></body></html>"


class SocketDialer:
    """Opens connections by sockets (implements `phone.Dialer`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.proxies: dict[str, FaultProxy] = {}

    async def knock(self, leg: Leg, address: str) -> tuple[socket.socket, Connection]:
        """See `phone.Dialer`."""
        return await self.proxies[address].dial(leg)

    async def connect(
        self, knocked: tuple[socket.socket, Connection], factory: Any, context: ssl.SSLContext, name: str
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol, Connection]:
        """See `phone.Dialer`."""
        sock, connection = knocked
        owned = False

        def make() -> asyncio.BaseProtocol:
            nonlocal owned
            owned = True
            return factory()  # type: ignore[no-any-return]  # aiohttp's, untyped

        try:
            transport, protocol = await self._loop.create_connection(
                make, sock=sock, ssl=context, server_hostname=name
            )
        except BaseException:
            # With the protocol comes the transport, which closes the socket when it is through with it; closed
            # beneath it, a handshake that ends at the instant at which it is given up would break the whole loop.
            if not owned:
                sock.close()
            raise
        return transport, protocol, connection


class WireCloud:
    """Makes internet, telematics unit and server for one world in real time.

        cloud = WireCloud(kernel)
        world = World(..., links=cloud.links())
        await cloud.start()
        try: ...                    # a Pump drives the kernel
        finally: await cloud.close()

    Attributes:
        bridge: to the world's kernel.
        trust: everybody's certificates.
        phones: where phones connect to, through the network's faults.
    """

    def __init__(self, kernel: Kernel, trust: Trust | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.bridge = Bridge(kernel, self._loop)
        self.trust = trust or rig_trust()
        self._dialer = SocketDialer(self._loop)
        self._world: World | None = None
        self._internet: CloudInternet | None = None
        self._tcu: CloudTcu | None = None
        self._app: CloudApp | None = None
        self._servers: list[asyncio.Server] = []

    def links(self) -> Links:
        """For the world."""
        return Links(internet=self.internet, tcu=self.tcu)

    def internet(self, world: World) -> CloudInternet:
        """The phone's side."""
        self._world = world
        self._internet = CloudInternet(world, self.bridge, self._dialer, self.trust.client)
        return self._internet

    def tcu(self, world: World) -> CloudTcu:
        """The car's side, and the server that both call."""
        self._tcu = CloudTcu(world, self.bridge, self._dialer, self.trust.client)
        self._app = CloudApp(world, self.bridge, self._tcu)
        return self._tcu

    @property
    def phones(self) -> FaultProxy:
        return self._dialer.proxies[SERVER_ADDRESS]

    async def start(self, port: int = 0, host: str = LOOPBACK) -> None:
        """Opens all ports; `port` and `host` are where phones connect to.

        Raises:
            OSError: the port is taken.
        """
        internet, app = self._internet, self._app
        assert internet is not None and app is not None and self._world is not None, "build the world first"
        handler = await app.start()
        server = await self._listen(handler, self._server_context(internet))
        phones = FaultProxy(self._loop, server, lambda: PhoneLeg(internet), internet.watch_over)
        cars = FaultProxy(self._loop, server, lambda: CarLeg(internet.world))
        self._dialer.proxies = {SERVER_ADDRESS: phones, CAR_SIDE_ADDRESS: cars}
        await phones.start(port, host)
        await cars.start()
        for address, name in ((STRANGER_ADDRESS, STRANGER), (PORTAL_ADDRESS, PORTAL)):
            other = await self._listen(_Page, self.trust.others[name])
            proxy = self._dialer.proxies[address] = FaultProxy(self._loop, other, lambda: PhoneLeg(internet))
            await proxy.start()
        internet.refused.watch(phones.refuse)

    async def close(self) -> None:
        """Ends every task, socket and port."""
        for end in (self._internet, self._tcu):
            if end is not None:
                await end.close()
        for proxy in self._dialer.proxies.values():
            await proxy.close()
        if self._app is not None:
            await self._app.stop()
        for server in self._servers:
            server.close()
        # What was aborted is closed in the loop's next turns.
        for _ in range(3):
            await asyncio.sleep(0)

    async def _listen(self, factory: Any, context: ssl.SSLContext) -> int:
        server = await self._loop.create_server(factory, LOOPBACK, 0, ssl=context)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _server_context(self, internet: CloudInternet) -> ssl.SSLContext:
        """The server's, which shows the certificate that is in force when a client says hello."""
        context = server_context(self.trust.good)

        def choose(tls: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            for name in BAD:
                if internet.bad_certificates[name]:
                    tls.context = self.trust.bad[name]

        context.sni_callback = choose
        return context


class _Page(asyncio.Protocol):
    """Whoever else answers: for a client that checks no certificate, a page that asks for a login."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS stands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        """Whatever is asked."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PORTAL_PAGE)}\r\n\r\n"
        self._transport.write(head.encode() + PORTAL_PAGE)
