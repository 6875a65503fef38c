"""The fault proxy: stands between clients and a server on loopback, and lets the network happen to what passes.

Knows nothing of what passes: bytes come late, slowly, never, or end in a reset, as `connection` decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass

from hardware.cloud.connection import Connection, Leg

LOOPBACK = "127.0.0.1"
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN."""


class _Side(asyncio.Protocol):
    """One socket of a connection through the proxy (implements `connection.Outlet`)."""

    def __init__(self, connection: Connection, down: bool, open_sides: dict[_Side, None]) -> None:
        self._open_sides = open_sides
        self._connection = connection
        self._down = down
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._lost = False
        self._end: OSError | bool | None = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open: what came for it meanwhile is passed on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_sides[self] = None
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for data in self._waiting:
            transport.write(data)
        self._waiting.clear()
        if self._end is None:
            transport.close()
        elif self._end is not False:
            self._reset()

    def data_received(self, data: bytes) -> None:
        """From the socket into the network."""
        self._connection.send(self._down, data)

    def eof_received(self) -> bool:
        """The peer has said all; TLS is never half closed, but what is under way still arrives."""
        self._connection.finish(self._down)
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        """The socket is gone."""
        self._lost = True
        self._open_sides.pop(self, None)
        self._connection.abandon(self._down)

    def arrived(self, data: bytes) -> None:
        """Out of the network to the socket."""
        if self._transport is None:
            self._waiting.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def ended(self) -> None:
        """The other side has closed."""
        self._end = None
        if self._transport is not None:
            self._transport.close()

    def broken(self, error: OSError | None) -> None:
        """The connection is gone: the peer gets a reset."""
        self._end = error or ConnectionResetError("connection reset by peer")
        if self._transport is not None and not self._lost:
            self._reset()

    def _reset(self) -> None:
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self._transport.abort()


@dataclass(slots=True)
class _Expected:
    """What a client of the rig's own has arranged for its connection."""

    leg: Leg
    made: asyncio.Future[Connection]


class FaultProxy:
    """Listens on loopback and passes every connection on to one server.

    Args:
        loop: the loop that all runs on.
        upstream: port of the server on loopback.
        leg: makes the network of a connection of a client that nobody has announced.
        on_connection: told of each connection.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        upstream: int,
        leg: Callable[[], Leg],
        on_connection: Callable[[Connection], None] = lambda _connection: None,
    ) -> None:
        self._loop = loop
        self._upstream = upstream
        self._leg = leg
        self._on_connection = on_connection
        self._server: asyncio.Server | None = None
        # Bound and not listening: while the port is closed, the system gives it to nobody else.
        self._holder: socket.socket | None = None
        self._host = LOOPBACK
        self._expected: dict[int, _Expected] = {}
        # Not connections: one that is over for one side may still be open for the other.
        self._sides: dict[_Side, None] = {}
        self._dialling: dict[asyncio.Task[None], None] = {}
        self._closed = False
        self.port = 0

    async def start(self, port: int = 0, host: str = LOOPBACK) -> None:
        """Begins to listen; on a free port by default.

        Raises:
            OSError: the port is taken.
        """
        sock = _bound(host, port)
        self._host, self.port = host, sock.getsockname()[1]
        self._let_go()
        self._server = await self._loop.create_server(self._accept, sock=sock)

    def refuse(self, on: bool) -> None:
        """Closes the port, so that the system refuses connections, or opens it again; what stands goes on."""
        server = self._server
        if on and server is not None:
            self._server = None
            server.close()
            self._holder = _bound(self._host, self.port)
        elif not on and server is None and not self._closed:
            self._run(self.start(self.port, self._host))

    async def close(self) -> None:
        """Ends every connection and the port."""
        self._closed = True
        if self._server is not None:
            self._server.close()
            self._server = None
        self._let_go()
        for task in list(self._dialling):
            task.cancel()
        for side in list(self._sides):
            side.broken(None)
        await asyncio.sleep(0)

    def _let_go(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    async def dial(self, leg: Leg) -> tuple[socket.socket, Connection]:
        """For a client in this process: a socket that is connected to the proxy, and what becomes of it on the way.

        Raises:
            ConnectionRefusedError: the port is closed.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.bind((LOOPBACK, 0))
            port = sock.getsockname()[1]
            expected = self._expected[port] = _Expected(leg, self._loop.create_future())
            try:
                await self._loop.sock_connect(sock, (LOOPBACK, self.port))
                return sock, await expected.made
            finally:
                self._expected.pop(port, None)
        except BaseException:
            sock.close()
            raise

    def _accept(self) -> asyncio.Protocol:
        return _Accepted(self)

    def accepted(self, transport: asyncio.Transport) -> _Side:
        """A client has connected: the network begins here."""
        port = transport.get_extra_info("peername")[1]
        expected = self._expected.get(port)
        connection = Connection(expected.leg if expected else self._leg(), self._loop)
        client, server = _Side(connection, False, self._sides), _Side(connection, True, self._sides)
        connection.client, connection.server = client, server
        self._on_connection(connection)
        self._run(self._dial(connection, server))
        if expected is not None and not expected.made.done():
            expected.made.set_result(connection)
        return client

    async def _dial(self, connection: Connection, side: _Side) -> None:
        try:
            await self._loop.create_connection(lambda: side, LOOPBACK, self._upstream)
        except OSError as error:
            connection.reset(error, server=False)

    def _run(self, work: object) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work, name="fault proxy")  # type: ignore[arg-type]
        self._dialling[task] = None
        task.add_done_callback(lambda done: self._dialling.pop(done, None))


def _bound(host: str, port: int) -> socket.socket:
    """A socket on a port that another of ours may have too, as long as only one of them listens.

    Raises:
        OSError: the port is taken.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not sys.platform.startswith("linux"):
            # BSD's rule for two sockets on one port; Linux would let foreign ones in too.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


class _Accepted(asyncio.Protocol):
    """A client's socket before it is known who it is."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hands the socket to its connection."""
        assert isinstance(transport, asyncio.Transport)
        side = self._proxy.accepted(transport)
        transport.set_protocol(side)
        side.connection_made(transport)
