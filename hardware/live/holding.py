"""Holds a live vehicle up: opens everything that it is made of, in order, and closes it again, whatever happens.

The one place that knows all of its parts; what they do when they are there is in the files beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from hardware.bytestream import open_pty
from hardware.cloud.certs import HOST, make_trust
from hardware.cloud.proxy import LOOPBACK
from hardware.cloud.wire import WireCloud
from hardware.live.vehicle import LiveOptions, LiveVehicle, Places, Tail
from hardware.model import model_edges
from hardware.serialport import SerialPort
from hardware.vehicle import body_codecs, rig_keys, rig_provision
from hardware.wire import LaneError, WireLane
from rig.kernel import Event, Kernel
from rig.ports import Edges
from rig.pump import Pump
from rig.scenario import Scenario
from rig.sim.card import Card
from rig.sim.reader import Pn532Reader
from rig.trace import Event as TraceEvent
from rig.trace import Trace
from rig.world.links import Links
from rig.world.world import Watch, World

FOREVER_S = 10 * 365 * 24 * 3600.0
MOST_LATE_S = 0.05


@contextlib.asynccontextmanager
async def live(
    options: LiveOptions,
    told: Callable[[TraceEvent], None] = lambda _event: None,
    console: Callable[[str], None] = lambda _line: None,
) -> AsyncIterator[LiveVehicle]:
    """Holds a vehicle up.

    Args:
        options: what is held up.
        told: of every event of its trace.
        console: of every line of the ECU's console.

    Raises:
        LaneError: the bench's DUT cannot be brought up.
        OSError: a port is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        kernel = Kernel()
        kernel.edges += 1
        seed = options.seed if options.seed is not None else secrets.randbits(32)
        scenario = Scenario(seed=seed)
        tail = Tail(told)
        trace = Trace(events=tail, fidelity="wire")
        places = Places()
        lost: asyncio.Task[str] | None = None
        if options.bench is not None and options.bench.fidelity == "wire":
            lane = await stack.enter_async_context(WireLane(options.bench, defect=options.defect, seed=options.seed))
            edges: Edges = await lane.fresh(kernel)
            places.dut = f"bench {options.bench.name}"
            lost = loop.create_task(lane.wait_lost())
            stack.callback(lost.cancel)
        else:
            edges = model_edges(
                kernel, defect=options.defect, seed=seed, identities=rig_provision(), collapse=False
            )
        trust = make_trust(("localhost", LOOPBACK, HOST, *options.names), classic=True)
        cloud = WireCloud(kernel, trust)
        links = cloud.links()
        radios = _radios_of(options)
        gone: list[asyncio.Task[str]] = [] if lost is None else [lost]
        if radios is not None:
            links = await _with_radios(stack, links, loop, radios, gone)
        elif options.bluetooth or options.hci_ports or (options.bench is not None and options.bench.bluetooth):
            links = _with_bluetooth(links, loop)
        world = World(kernel, edges, scenario, rig_keys(), body_codecs(), trace, Watch(), links)
        stack.callback(world.air.close)
        edges.console.on_line(lambda line: _both(world, console, line))
        vehicle = LiveVehicle(world, cloud.bridge, trust, tail, places)
        vehicle.stopping = Event(kernel, "stop")
        vehicle.real_radios = radios is not None
        await cloud.start(options.https_port, options.host)
        stack.push_async_callback(cloud.close)
        places.server = f"https://localhost:{cloud.phones.port}"
        places.hci = await _hci(stack, world, options)
        if options.reader:
            places.reader = _second_reader(stack, loop, kernel, random.Random(seed))
        pump = Pump(kernel, max_late=MOST_LATE_S)
        over = loop.create_task(pump.drive(vehicle.life(), until=FOREVER_S))
        vehicle.over = over
        for task in gone:
            task.add_done_callback(lambda done: None if done.cancelled() else vehicle.stop(done.result()))
        try:
            yield vehicle
        finally:
            vehicle.stop()
            await asyncio.gather(over, return_exceptions=True)


def _both(world: World, console: Callable[[str], None], line: str) -> None:
    world.hear_console(line)
    console(line)


def _with_bluetooth(links: Links, loop: asyncio.AbstractEventLoop) -> Links:
    from hardware.bluetooth.air import bumble_air  # noqa: PLC0415  # an optional dependency

    return replace(links, air=bumble_air(loop))


def _radios_of(options: LiveOptions) -> tuple[str, str] | None:
    """Real radios: those asked for, or the bench's."""
    spec = options.bench.bluetooth if options.bench is not None else None
    if options.radios is None and spec is not None and not spec.simulated:
        return spec.module, spec.phone
    return options.radios


async def _with_radios(
    stack: contextlib.AsyncExitStack,
    links: Links,
    loop: asyncio.AbstractEventLoop,
    specs: tuple[str, str],
    gone: list[asyncio.Task[str]],
) -> Links:
    from hardware.bluetooth.air import bumble_air  # noqa: PLC0415  # an optional dependency
    from hardware.bluetooth.radios import RadioError, Radios  # noqa: PLC0415  # as above

    radios = Radios(*specs)
    try:
        await radios.open()
    except RadioError as error:
        raise LaneError(str(error)) from error
    stack.push_async_callback(radios.close)
    lost = loop.create_task(radios.wait_lost())
    stack.callback(lost.cancel)
    gone.append(lost)
    return replace(links, air=bumble_air(loop, radios=radios))


async def _hci(stack: contextlib.AsyncExitStack, world: World, options: LiveOptions) -> tuple[str, ...]:
    """Opens TCP ports where Bluetooth hosts outside get a controller on the vehicle's air."""
    if not options.hci_ports:
        return ()
    from hardware.bluetooth.air import BumbleAir  # noqa: PLC0415  # an optional dependency
    from hardware.bluetooth.hciport import serve  # noqa: PLC0415  # as above

    air = world.air
    assert isinstance(air, BumbleAir)
    found = []
    for port in options.hci_ports:
        server = await serve(air.ether, options.host, port, world.rng(f"hci {port}"))
        stack.callback(server.close)
        found.append(server.spec)
    return tuple(found)


def _second_reader(
    stack: contextlib.AsyncExitStack, loop: asyncio.AbstractEventLoop, kernel: Kernel, rng: random.Random
) -> str:
    """A PN532 with the driver's card in its field, for a host outside."""
    stream, path = open_pty(loop, "reader")
    stack.callback(stream.close)
    reader = Pn532Reader(kernel, SerialPort(kernel, stream), rng)
    reader.place(Card(rig_keys().card))
    return path
