"""Server and network at `stack` fidelity: all of it in memory and in virtual time, fresh for each run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hardware.bridge import Bridge
from hardware.cloud.app import CloudApp
from hardware.cloud.car import CAR_SIDE_ADDRESS, CloudTcu
from hardware.cloud.certs import BAD, PORTAL, STRANGER, rig_trust
from hardware.cloud.memory import MemoryNet
from hardware.cloud.phone import PORTAL_ADDRESS, SERVER_ADDRESS, STRANGER_ADDRESS, CloudInternet
from hardware.virtualloop import VirtualLoop
from rig.world.links import Links

if TYPE_CHECKING:
    import ssl

    from rig.world.world import World


class StackCloud:
    """Makes internet and telematics unit for one world on one loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._bridge = Bridge(loop.kernel, loop)
        self._net = MemoryNet(loop)
        self._loop = loop
        self._trust = rig_trust()
        loop.at_end(self._net.close)

    def links(self) -> Links:
        """For `hardware.stack`."""
        return Links(internet=self.internet, tcu=self.tcu)

    def internet(self, world: World) -> CloudInternet:
        """The phone's side."""
        internet = CloudInternet(world, self._bridge, self._net, self._trust.client)
        self._loop.at_end(internet.close)
        return internet

    def tcu(self, world: World) -> CloudTcu:
        """The car's side, and the server that both call."""
        tcu = CloudTcu(world, self._bridge, self._net, self._trust.client)
        app = CloudApp(world, self._bridge, tcu)
        server = self._loop.run_until_complete(app.start())
        self._loop.at_end(tcu.close)
        self._loop.at_end(app.stop)

        def certificate() -> ssl.SSLContext:
            for name in BAD:
                if world.internet.bad_certificates[name]:
                    return self._trust.bad[name]
            return self._trust.server

        self._net.listen(SERVER_ADDRESS, server, certificate, lambda: bool(world.internet.refused))
        self._net.listen(CAR_SIDE_ADDRESS, server, lambda: self._trust.server)
        # Whoever else answers is not asked anything: the certificate gives it away.
        self._net.listen(STRANGER_ADDRESS, asyncio.Protocol, lambda: self._trust.others[STRANGER])
        self._net.listen(PORTAL_ADDRESS, asyncio.Protocol, lambda: self._trust.others[PORTAL])
        return tcu
