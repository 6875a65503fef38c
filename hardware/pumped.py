"""Scenarios in real time on one process: the outer links at `wire`, the DUT and its lines simulated but in real time.

For what is asked of the outer links alone: many runs overlap on one loop. The DUT's own lines at `wire` are
`hardware.wirerun`'s business.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from hardware.cloud.wire import WireCloud
from hardware.ownphone import MakeClient, OwnPhone, own_phone
from rig.faults import check_faults
from rig.kernel import Kernel
from rig.model import Model
from rig.pump import Pump
from rig.scenario import Scenario
from rig.trace import Trace
from rig.world.attacker import check_attacks
from rig.world.world import Watch, World

LONGEST_S = 3600.0
MOST_LATE_S = 0.2
"""Runs overlap on one core: nothing in these scenarios is decided within so little time but by a tie."""


@dataclass(slots=True)
class Pumped:
    """Real-time runs of one kind of DUT.

    Attributes:
        model: whose DUT, keys and codecs it is.
        client: a phone client in the place of somebody's phone; None: the rig's own phones.
        who: in whose place: "phone" is the driver's, "guest" the guest's.
        bluetooth: the Bluetooth link is Bumble's on simulated air; False: a model.
        stalls: how often a run was late by more than `MOST_LATE_S`.
    """

    model: Model
    client: MakeClient | None = None
    who: str = "phone"
    bluetooth: bool = False
    stalls: int = field(default=0, init=False)

    async def run(self, scenario: Scenario, watch: Watch) -> Trace:
        """Plays one scenario; several may run at once."""
        check_faults(scenario)
        check_attacks(scenario)
        kernel = Kernel()
        kernel.edges += 1
        trace = Trace(fidelity="wire")
        events = trace.events

        def frame(at_us: int, can_id: int, data: bytes, sender: str) -> None:
            events.append((at_us, "can", can_id, data, sender))

        model = self.model
        edges = model.edges(kernel, scenario, frame)
        cloud = WireCloud(kernel)
        links = cloud.links()
        if self.bluetooth:
            from hardware.bluetooth.air import bumble_air  # noqa: PLC0415  # an optional dependency

            links = replace(links, air=bumble_air(asyncio.get_running_loop()))
        if self.client is not None:
            phone = own_phone(cloud.bridge, cloud.trust.client, self.client, self.who)
            links = replace(links, phone=phone)
        world = World(kernel, edges, scenario, model.keys, model.codecs, trace, watch, links)
        await cloud.start()
        pump = Pump(kernel, max_late=MOST_LATE_S)
        try:
            await pump.drive(world.story(), until=LONGEST_S)
        finally:
            for person in (world.phone, world.guest):
                if isinstance(person, OwnPhone):
                    await person.close()
            world.air.close()
            await cloud.close()
        self.stalls += len(pump.stalls)
        return trace

    async def run_all(self, scenarios: list[Scenario], watch: Watch, at_once: int) -> list[Trace]:
        """Plays scenarios, so many at once; traces in the order of the scenarios."""
        turn = asyncio.Semaphore(at_once)

        async def one(scenario: Scenario) -> Trace:
            async with turn:
                return await self.run(scenario, watch)

        return list(await asyncio.gather(*(one(scenario) for scenario in scenarios)))
