"""Connections at `wire` that are given up at an awkward instant leave the loop whole and no descriptor behind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="needs the extra links")

from hardware.cloud.certs import HOST, rig_trust
from hardware.cloud.proxy import LOOPBACK
from hardware.cloud.wire import SocketDialer
from rig.pump import realtime_loop


class GivesUp(asyncio.Protocol):
    """Cancels whoever waits for the connection at the very end of its handshake."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        self._task.cancel()


def open_sockets() -> int:
    """Of this process."""
    return sum("socket:" in str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_a_handshake_that_ends_when_it_is_given_up_does_not_break_the_loop() -> None:
    async def story() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, LOOPBACK, 0, ssl=rig_trust().server)
        before = open_sockets()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, server.sockets[0].getsockname())
        knocked: Any = (sock, None)
        made: list[GivesUp] = []

        def factory() -> GivesUp:
            made.append(GivesUp(attempt))
            return made[0]

        attempt = loop.create_task(SocketDialer(loop).connect(knocked, factory, rig_trust().client, HOST))
        await asyncio.wait({attempt})
        assert attempt.cancelled() and made
        for _ in range(50):
            # The loop still selects, and both ends say goodbye.
            await asyncio.sleep(0.01)
        after = open_sockets()
        server.close()
        return before, after

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        before, after = runner.run(story())
    assert before == after

