"""Controllers on the simulated air for hosts outside: HCI over TCP, as Bumble's tcp-client transport speaks it.

    python -m hardware.bluetooth.hciport 127.0.0.1:9001 127.0.0.1:9002

Each port is one controller; whoever connects is its host. Knows nothing of the world.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys

from bumble.transport.common import PacketParser

from hardware.bluetooth.bonds import static_address
from hardware.bluetooth.controller import RigController
from hardware.bluetooth.ether import Ether


class HciPort(asyncio.Protocol):
    """One connection of an outside host; its controller lives as long as it."""

    def __init__(self, ether: Ether, rng: random.Random) -> None:
        self._ether = ether
        self._rng = rng
        self._parser = PacketParser(self)
        self._transport: asyncio.Transport | None = None
        self.controller: RigController | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A host has come: it gets a controller."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.controller = RigController("outside", self._ether, static_address(self._rng), self._rng)
        self.controller.outside = True
        self.controller.set_packet_sink(_Down(transport))

    def data_received(self, data: bytes) -> None:
        """From the host."""
        self._parser.feed_data(data)

    def on_packet(self, packet: bytes) -> None:
        """A whole packet from the host."""
        if self.controller is not None:
            self.controller.on_packet(packet)

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """The host is gone, and its controller with it, as a dongle that is pulled."""
        if self.controller is not None:
            self.controller.power_off()
            self.controller = None


class _Down:
    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def on_packet(self, packet: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(packet)


class HciServer:
    """A port that is listened on; every host that connects is given a controller of its own.

    Attributes:
        spec: the transport's text, with which Bumble hosts reach it.
    """

    def __init__(self, ether: Ether, rng: random.Random) -> None:
        self._ether = ether
        self._rng = rng
        self._ports: list[HciPort] = []
        self._server: asyncio.Server | None = None
        self.spec = ""

    async def listen(self, host: str, port: int) -> None:
        """Begins to listen; port 0: any that is free.

        Raises:
            OSError: the port cannot be had.
        """
        self._server = await asyncio.get_running_loop().create_server(self._port, host, port)
        self.spec = "tcp-client:{}:{}".format(*self._server.sockets[0].getsockname()[:2])

    def _port(self) -> HciPort:
        port = HciPort(self._ether, self._rng)
        self._ports.append(port)
        return port

    def pull(self) -> None:
        """Ends every host's connection, as if its dongle were pulled."""
        for port in self._ports:
            port.close()
        self._ports.clear()

    def close(self) -> None:
        """Listens no more, and ends every host's connection."""
        if self._server is not None:
            self._server.close()
        self.pull()


async def serve(ether: Ether, host: str, port: int, rng: random.Random) -> HciServer:
    """Listens for hosts; each that connects is given a controller on the simulated air.

    Raises:
        OSError: the port cannot be had.
    """
    server = HciServer(ether, rng)
    await server.listen(host, port)
    return server


async def _main(addresses: list[str]) -> None:
    ether = Ether(asyncio.get_running_loop())
    rng = random.Random(secrets.token_bytes(16))
    servers = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        servers.append(await serve(ether, host or "127.0.0.1", int(port), rng))
    print("controllers", *(server.spec for server in servers), flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    if len(sys.argv) < 2 or not all(one.rpartition(":")[2].isdecimal() for one in sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    try:
        asyncio.run(_main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(0) from None
