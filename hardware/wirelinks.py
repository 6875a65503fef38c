"""The outer links of a bench in real time: what its file says of them, opened for one run.

A link that the file does not speak of stays the world's own model. Imports a stack only if it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hardware.bench import Bench, BluetoothSpec
from hardware.wire import LaneError
from rig.scenario import Scenario
from rig.world.links import MODELS, Links


@dataclass(frozen=True, slots=True)
class WireLinks:
    """Links for one run.

    Attributes:
        links: makes them.
        lost: done when one of them is gone, with the cause; None: none can go.
    """

    links: Links
    lost: asyncio.Future[str] | None = None


@asynccontextmanager
async def wire_links(bench: Bench, scenario: Scenario) -> AsyncIterator[WireLinks]:
    """Opens the links of a bench.

    Raises:
        Unsupported: the bench's links cannot make a fault of the scenario.
        LaneError: a radio cannot be opened.
    """
    if bench.bluetooth is None:
        yield WireLinks(MODELS)
        return
    async with _bluetooth(bench.bluetooth, scenario) as links:
        yield links


@asynccontextmanager
async def _bluetooth(spec: BluetoothSpec, scenario: Scenario) -> AsyncIterator[WireLinks]:
    from hardware.bluetooth.air import bumble_air  # noqa: PLC0415  # an optional dependency
    from hardware.bluetooth.radios import RadioError, Radios, require_radios  # noqa: PLC0415  # as above

    loop = asyncio.get_running_loop()
    if spec.simulated:
        yield WireLinks(Links(air=bumble_air(loop)))
        return
    require_radios([fault.mode for fault in scenario.faults])
    radios = Radios(spec.module, spec.phone)
    try:
        await radios.open()
    except RadioError as error:
        raise LaneError(str(error)) from error
    lost = loop.create_task(radios.wait_lost())
    try:
        yield WireLinks(Links(air=bumble_air(loop, radios=radios)), lost)
    finally:
        lost.cancel()
        await radios.close()
