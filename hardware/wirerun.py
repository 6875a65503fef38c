"""Plays one scenario in real time on one lane of a bench.

The same world as at `model`, on a kernel that a pump drives; adds to the trace what broke on the bench.
"""

from __future__ import annotations

import asyncio

from hardware.vehicle import body_codecs, rig_keys
from hardware.wire import WireLane
from hardware.wirelinks import wire_links
from rig.faults import CATALOGUE, check_faults
from rig.kernel import Kernel
from rig.ports import Unsupported
from rig.pump import Pump
from rig.scenario import Scenario
from rig.trace import Trace
from rig.world.attacker import check_attacks
from rig.world.world import Watch, World

LONGEST_S = 3600.0


def require(scenario: Scenario, capabilities: frozenset[str], bench: str) -> None:
    """Checks that a bench can make every fault of a scenario.

    Raises:
        Unsupported: naming bench, fault and what is missing.
    """
    for fault in scenario.faults:
        needed = CATALOGUE[fault.mode].capability
        if needed and needed not in capabilities:
            raise Unsupported(f"bench {bench} cannot make {fault.mode}: it lacks {needed}")


async def play(lane: WireLane, scenario: Scenario, watch: Watch) -> Trace:
    """Plays a scenario on a lane and returns its trace, whatever became of the bench meanwhile.

    Raises:
        ScenarioError: an unknown fault or attack.
        Unsupported: a fault that the lane cannot make.
        LaneError: the DUT could not be brought to the start.
    """
    check_faults(scenario)
    check_attacks(scenario)
    kernel = Kernel()
    trace = Trace(fidelity="wire")
    events = trace.events

    def frame(at_us: int, can_id: int, data: bytes, sender: str) -> None:
        events.append((at_us, "can", can_id, data, sender))

    edges = await lane.fresh(kernel, frame)
    require(scenario, edges.capabilities, lane.bench.name)
    pump = Pump(kernel, max_late=lane.bench.stall_ms / 1000)
    gone = ""
    async with wire_links(lane.bench, scenario, kernel) as outer:
        world = World(kernel, edges, scenario, rig_keys(), body_codecs(), trace, watch, outer.links)
        await outer.start()
        story = asyncio.ensure_future(pump.drive(world.story(), until=LONGEST_S))
        lost = asyncio.ensure_future(lane.wait_lost())
        watched = {story, lost} | ({outer.lost} if outer.lost is not None else set())
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if outer.lost is not None and outer.lost.done():
                gone = outer.lost.result()
        finally:
            for task in (story, lost):
                if not task.done():
                    task.cancel()
            results = await asyncio.gather(story, lost, return_exceptions=True)
            world.air.close()
    if lane.lost is not None:
        events.append((kernel.now, "lost", lane.lost))
    elif gone:
        events.append((kernel.now, "lost", gone))
    elif isinstance(results[0], BaseException):
        raise results[0]
    events.extend((at_us, "stall", "rig", late_us // 1000) for at_us, late_us in pump.stalls)
    events.extend((stall.at_us, "stall", "ECU process", stall.late_us // 1000) for stall in lane.stalls)
    # Stalls are known only afterwards; a trace is in the order in which things happened.
    events.sort(key=lambda event: event[0])
    return trace
