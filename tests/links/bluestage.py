"""A vehicle with its Bluetooth on Bumble in virtual time; a test's own story runs as an actor beside it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from hardware.bluetooth.air import BumbleAir, bumble_air
from hardware.bluetooth.link import BumbleLink
from hardware.bluetooth.profile import Style
from hardware.model import model_edges
from hardware.vehicle import body_codecs, rig_keys, rig_provision
from hardware.virtualloop import VirtualLoop
from rig.kernel import Kernel
from rig.scenario import Scenario
from rig.trace import Trace
from rig.world.client import Client
from rig.world.links import Links
from rig.world.world import World

UNTIL_S = 600.0
Story = Callable[["BlueStage"], Coroutine[object, Any, None]]


class BlueStage:
    """One world; `play` runs a test's story in it."""

    def __init__(self, *, seed: int = 0, style: Style = Style.CHUNKS, mtu: int = 185) -> None:
        self.kernel = Kernel()
        self.trace = Trace()
        self.seed = seed
        self.style = style
        self.mtu = mtu
        self.world: World
        self.air: BumbleAir

    def play(self, story: Story) -> BlueStage:
        """Runs it, 3 s after everything was switched on."""
        edges = model_edges(self.kernel, defect=None, seed=self.seed, identities=rig_provision())
        with VirtualLoop(self.kernel) as loop:
            links = Links(air=bumble_air(loop, self.style, mtu=self.mtu))
            scenario = Scenario(seed=self.seed)
            self.world = World(
                self.kernel, edges, scenario, rig_keys(), body_codecs(), self.trace, links=links
            )
            air = self.world.air
            assert isinstance(air, BumbleAir)
            self.air = air
            air.ether.trace.lines = []

            async def main() -> None:
                self.world.plant.set_latches("L")
                self.world.gateway.start()
                self.world.tcu.start()
                self.world.air.module.start()
                self.world.apply_supply()
                await self.kernel.sleep(3.0)
                await story(self)

            loop.play(main(), until=UNTIL_S)
        assert self.kernel.notes == []
        return self

    async def connect(self, *, cached: bool = False, always: bool = False) -> BumbleLink:
        """A link of the driver's phone, or of another."""
        link = await self.air.connect(cached, always)
        assert isinstance(link, BumbleLink)
        return link

    async def talk(self, link: BumbleLink) -> bool:
        """Whether the vehicle answers a request for session info on a link."""
        client = Client(rig_keys().phone, self.world.vin, self.world.rng("talk"))
        request = client.handshake(self.kernel.now)
        await link.write(request.message, "bluetooth.handshake_request")
        answer = await link.receive(2.0)
        return len(answer) > 100

    def pdus(self, *codes: int) -> list[str]:
        """Of all L2CAP packets on the ATT channel, those with these op codes, in hex from the op code on."""
        wanted = tuple(f"{code:02x}" for code in codes)
        found = [line.split()[3] for line in self.air.ether.trace.lines or [] if " acl " in line]
        return [pdu[8:] for pdu in found if pdu[4:8] == "0400" and pdu[8:10] in wanted]
