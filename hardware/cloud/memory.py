"""TCP and TLS in memory: transports whose bytes an emulated network carries, and who listens at which address.

For the `stack` fidelity: no socket is opened, and time is the loop's. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from collections import deque
from collections.abc import Callable
from typing import Any

from hardware.cloud.connection import Connection, Leg

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Tls(sslproto.SSLProtocol):
    """asyncio's TLS with buffers of a size that fits: its own 256 KiB cost more to make than all that comes in."""

    max_size = 32 * 1024


class MemoryTransport(asyncio.Transport):
    """One end of a connection (implements `connection.Outlet` too)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: Connection,
        down: bool,
        protocol: asyncio.BaseProtocol,
        standing: dict[MemoryTransport, None],
    ) -> None:
        super().__init__({"peername": ("192.0.2.1", 0), "sockname": ("192.0.2.2", 0)})
        self._standing = standing
        standing[self] = None
        self._loop = loop
        self._connection = connection
        self._down = down
        self._protocol = protocol
        self._closing = False
        self._lost = False
        self._paused = False
        self._waiting: deque[bytes] = deque()

    # -- for the protocol --------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hands bytes to the network."""
        if not self._lost:
            self._connection.send(self._down, bytes(data))

    def close(self) -> None:
        """Says that nothing more comes."""
        if not self._closing:
            self._closing = True
            self._connection.finish(self._down)
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Is gone at once."""
        if not self._lost:
            self._closing = True
            self._connection.abandon(self._down)
            self._loop.call_soon(self._lose, None)

    def _force_close(self, error: Exception | None) -> None:
        """For asyncio's TLS, when a handshake fails."""
        if not self._lost:
            self._closing = True
            self._connection.abandon(self._down)
            self._loop.call_soon(self._lose, error)

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing

    def can_write_eof(self) -> bool:
        """No: TLS cannot be half closed."""
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Puts another protocol on top, such as TLS."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol on top."""
        return self._protocol

    def is_reading(self) -> bool:
        """Whether what arrives is handed on."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Keeps what arrives."""
        self._paused = True

    def resume_reading(self) -> None:
        """Hands on what was kept, and what comes."""
        self._paused = False
        while self._waiting and not self._paused:
            self._feed(self._waiting.popleft())

    def get_write_buffer_size(self) -> int:
        """Nothing is kept back on this side."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Has no effect: see above."""

    # -- for the network ---------------------------------------------------------------------------

    def arrived(self, data: bytes) -> None:
        """Bytes came through."""
        if self._paused:
            self._waiting.append(data)
        elif not self._lost:
            self._feed(data)

    def ended(self) -> None:
        """The other side has closed."""
        if self._lost:
            return
        protocol = self._protocol
        keep = protocol.eof_received() if isinstance(protocol, (asyncio.Protocol, asyncio.BufferedProtocol)) else None
        if not keep:
            self.close()

    def broken(self, error: OSError | None) -> None:
        """The connection is gone."""
        self._closing = True
        self._loop.call_soon(self._lose, error)

    def _feed(self, data: bytes) -> None:
        protocol: Any = self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            view = memoryview(data)
            while view and not self._lost:
                buffer = memoryview(protocol.get_buffer(len(view)))
                size = min(len(buffer), len(view))
                buffer[:size] = view[:size]
                protocol.buffer_updated(size)
                view = view[size:]
        else:
            protocol.data_received(data)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._standing.pop(self, None)
            self._protocol.connection_lost(error)


class TlsListener(asyncio.Protocol):
    """A server's side before the first byte: then it is decided with which certificate TLS begins."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, factory: ProtocolFactory, context: Callable[[], ssl.SSLContext]
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._context = context
        self._transport: MemoryTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the client's hello."""
        assert isinstance(transport, MemoryTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The hello: from here on TLS has the connection."""
        transport = self._transport
        assert transport is not None
        tls = Tls(
            self._loop,
            self._factory(),
            self._context(),
            None,  # type: ignore[arg-type]  # nobody waits on the server's side
            server_side=True,
        )
        transport.set_protocol(tls)
        tls.connection_made(transport)
        transport.arrived(data)


class MemoryNet:
    """Who listens at which address."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._standing: dict[MemoryTransport, None] = {}
        self._listeners: dict[str, tuple[Callable[[], asyncio.BaseProtocol], Callable[[], bool]]] = {}

    def listen(
        self,
        address: str,
        factory: ProtocolFactory,
        context: Callable[[], ssl.SSLContext],
        refused: Callable[[], bool] = lambda: False,
    ) -> None:
        """Has every connection to an address begin TLS, with the context given at that time; or be refused."""
        self._listeners[address] = (lambda: TlsListener(self._loop, factory, context), refused)

    async def close(self) -> None:
        """Ends what still stands, on either side; nobody is left to be told by the network."""
        for transport in list(self._standing):
            transport.broken(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def knock(self, leg: Leg, address: str) -> tuple[Leg, str]:
        """See `phone.Dialer`."""
        if self._listeners[address][1]():
            raise ConnectionRefusedError("Connection refused")
        return leg, address

    async def connect(
        self, knocked: tuple[Leg, str], factory: ProtocolFactory, context: ssl.SSLContext, name: str
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol, Connection]:
        """See `phone.Dialer`."""
        leg, address = knocked
        loop = self._loop
        connection = Connection(leg, loop)
        waiter: asyncio.Future[None] = loop.create_future()
        protocol = factory()
        tls = Tls(loop, protocol, context, waiter, server_side=False, server_hostname=name)
        listener = self._listeners[address][0]()
        ours = MemoryTransport(loop, connection, False, tls, self._standing)
        theirs = MemoryTransport(loop, connection, True, listener, self._standing)
        connection.client, connection.server = ours, theirs
        listener.connection_made(theirs)
        tls.connection_made(ours)
        try:
            await waiter
        except BaseException:
            ours.abort()
            raise
        return tls._app_transport, protocol, connection
