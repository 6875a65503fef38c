"""The outer links of a bench in real time: what its file says of them, opened for one run.

A link that the file does not speak of stays the world's own model. Imports a stack only if it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from hardware.bench import Bench, BluetoothSpec
from hardware.wire import LaneError
from rig.kernel import Kernel
from rig.scenario import Scenario
from rig.world.links import MODELS, Links


async def _nothing() -> None:
    """There is nothing to open."""


@dataclass(frozen=True, slots=True)
class WireLinks:
    """Links for one run.

    Attributes:
        links: makes them.
        start: to be awaited when the world is built.
        lost: done when one of them is gone, with the cause; None: none can go.
    """

    links: Links
    lost: asyncio.Future[str] | None = None
    start: Callable[[], Awaitable[None]] = _nothing


@asynccontextmanager
async def wire_links(bench: Bench, scenario: Scenario, kernel: Kernel) -> AsyncIterator[WireLinks]:
    """Opens the links of a bench for a run on a kernel.

    Raises:
        Unsupported: the bench's links cannot make a fault of the scenario.
        LaneError: a radio cannot be opened.
    """
    async with AsyncExitStack() as stack:
        opened = WireLinks(MODELS)
        if bench.bluetooth is not None:
            opened = await stack.enter_async_context(_bluetooth(bench.bluetooth, scenario))
        if bench.https:
            from hardware.cloud.wire import WireCloud  # noqa: PLC0415  # an optional dependency

            cloud = WireCloud(kernel)
            stack.push_async_callback(cloud.close)
            links = replace(opened.links, internet=cloud.internet, tcu=cloud.tcu)
            opened = WireLinks(links, opened.lost, cloud.start)
        yield opened


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
