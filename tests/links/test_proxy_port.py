"""The fault proxy's port: closed, it refuses, and nobody else gets it until it is open again."""

from __future__ import annotations

import asyncio
import socket

import pytest

pytest.importorskip("aiohttp", reason="needs the extra links")

from hardware.cloud.proxy import LOOPBACK, FaultProxy


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])
def test_a_port_that_refuses_is_taken_by_nobody_and_opens_where_it_was(host: str) -> None:
    async def main() -> None:
        proxy = FaultProxy(asyncio.get_running_loop(), 1, Free)
        await proxy.start(host=host)
        try:
            assert await _connects(proxy.port)
            proxy.refuse(True)
            await asyncio.sleep(0)
            assert not await _connects(proxy.port)
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind((LOOPBACK, proxy.port))
            proxy.refuse(False)
            async with asyncio.timeout(5):
                while not await _connects(proxy.port):  # noqa: ASYNC110  (a port tells nobody that it is open)
                    await asyncio.sleep(0.01)
            assert proxy._server is not None
            assert proxy._server.sockets[0].getsockname() == (host, proxy.port)
        finally:
            await proxy.close()
        with socket.socket() as other:
            # Connections that were open a moment ago linger; the port itself is free again.
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((LOOPBACK, proxy.port))

    asyncio.run(main())


async def _connects(port: int) -> bool:
    try:
        _reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


class Free:
    """A network that does nothing."""

    resets = False

    def flight_us(self) -> int:
        return 0

    def transfer_us(self, size: int) -> int:
        return 0

    def swallows(self, down: bool, payload: bool) -> bool:
        return False
