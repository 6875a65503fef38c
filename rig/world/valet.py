"""A second enrolled key whose client gives its commands bad lifetimes: 0, in the past, or far too long.

Talks to the vehicle over a Bluetooth link of its own that no fault of the driver's phone touches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.kernel import Task, Timeout
from rig.protocol import vcp
from rig.world.bluetooth import LinkError, Step
from rig.world.client import Client

if TYPE_CHECKING:
    from rig.world.world import World

AGAIN_S = 4.0
"""How often the bad client tries while its fault lasts."""
PATIENCE_S = 2.0
PAST_S = 10
LONG_S = 60
NO_INTENT = -1000
"""Its wishes are nobody's intents: numbered downwards from here in the trace."""


class Valet:
    """The bad client."""

    def __init__(self, world: World, identity: vcp.Identity) -> None:
        self._world = world
        self._client = Client(identity, world.vin, world.rng("valet"))
        self._wishes = 0

    def misbehave(self, how: str) -> Callable[[], None]:
        """Begins to send; the function returned ends it."""
        task: Task[None] = self._world.kernel.spawn(self._insist(how), name=f"valet {how}", keep=True)
        return task.cancel

    async def _insist(self, how: str) -> None:
        kernel = self._world.kernel
        while True:
            try:
                with kernel.timeout(PATIENCE_S):
                    await self._once(how)
            except (Timeout, LinkError):
                pass
            await kernel.sleep(AGAIN_S)

    async def _once(self, how: str) -> None:
        world, client = self._world, self._client
        link = await world.air.connect(cached=True, always=True)
        try:
            # A fresh session each time: this client's fault is its lifetimes and nothing else.
            client.session = None
            request = client.handshake(world.kernel.now)
            await link.write(request.message, Step.HANDSHAKE)
            while client.session is None:
                message = _parsed(await link.receive(PATIENCE_S))
                if message is not None and client.take_session_info(message, world.kernel.now):
                    break
            session = client.session
            assert session is not None, "the loop above ends with a session"
            world.log("clock", "valet", session.epoch, session.clock_s, request.asked_us)
            clock = int(session.clock_at(world.kernel.now))
            expires = {"zero": 0, "past": max(1, clock - PAST_S), "long": clock + LONG_S}[how]
            self._wishes += 1
            sent = client.command(vcp.UNLOCK, "bluetooth", expires, world.kernel.now)
            sent.log(world, NO_INTENT - self._wishes, "valet")
            await link.write(sent.message, Step.HANDSHAKE)
            await link.receive(PATIENCE_S)
        finally:
            link.close()


def _parsed(raw: bytes) -> vcp.RoutableMessage | None:
    try:
        return vcp.parse(raw)
    except vcp.VcpError:
        return None
