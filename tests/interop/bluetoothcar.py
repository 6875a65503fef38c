"""A whole vehicle in virtual time with a radio for a client that others wrote, and somebody who cuts its links.

The client runs as a task of the loop, unmodified; its Bluetooth is a Bleak backend on the rig's air, and its wall
clock is the run's.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import bleak
import pytest
from tesla_fleet_api.tesla.bluetooth import TeslaBluetooth
from tesla_fleet_api.tesla.vehicle.bluetooth import VehicleBluetooth

from hardware.bluetooth.air import BumbleAir, bumble_air
from hardware.bluetooth.bleakbackend import bleak_backends
from hardware.bridge import Bridge
from hardware.model import model_edges
from hardware.vehicle import body_codecs, rig_keys, rig_provision
from hardware.virtualloop import VirtualLoop
from rig.faults import CATALOGUE
from rig.kernel import Kernel
from rig.protocol.vcp import Identity
from rig.scenario import Fault, Intent, Scenario, Via, Want
from rig.trace import Trace
from rig.world.links import Links
from rig.world.world import World

EPOCH_S = 1_790_000_000
"""Some wall-clock time."""
UNTIL_S = 600.0
READY_S = 3.0
WISH_US = 10_000_000

Story = Callable[["Car"], Awaitable[None]]


@dataclass
class Car:
    """The vehicle, and what a test may do to it from the loop.

    Attributes:
        world: all of the rig's side.
        bridge: to the kernel.
        wall_clock_s: what the client's clock is ahead of the run's.
    """

    world: World
    bridge: Bridge
    wall_clock_s: float = EPOCH_S
    _held: dict[str, Callable[[], None]] = field(default_factory=dict)

    @property
    def air(self) -> BumbleAir:
        """Its Bluetooth links."""
        air = self.world.air
        assert isinstance(air, BumbleAir)
        return air

    @property
    def open(self) -> bool:
        """Whether every door is unlocked, at the plant."""
        return set(self.world.plant.latches.values()) == {"U"}

    @property
    def motions(self) -> list[str]:
        """What the front left latch came to, in order."""
        return [str(e[3]) for e in self.world.trace.of("latch") if e[2] == "FL"]

    def client(self, identity: Identity | None = None) -> VehicleBluetooth[Any]:
        """The client library, with a key; it has not looked for the vehicle yet."""
        key = (identity or rig_keys().phone).private
        return VehicleBluetooth(TeslaBluetooth(), self.world.vin, key)

    async def begin(self, mode: str, *params: tuple[str, int]) -> None:
        """A failure begins."""
        self._held[mode] = await self._inside(
            lambda: CATALOGUE[mode].begin(self.world, Fault(mode, 0, None, tuple(params)))
        )

    async def end(self, mode: str) -> None:
        """It is over."""
        await self._inside(self._held.pop(mode))

    async def wish(self, want: Want, via: Via = "cloud") -> None:
        """The owner wishes something of the rig's own phone; returns when that has told what came of it."""
        kernel, phone = self.world.kernel, self.world.phone
        now = kernel.now
        await self.bridge.actor(phone.pursue(0, Intent(want, 0, via), now, now + WISH_US), "wish")

    async def _inside(self, do: Callable[[], Any]) -> Any:
        async def act() -> Any:
            return do()

        return await self.bridge.actor(act(), "test")


def drive(story: Story, *, bonded: bool = True, seed: int = 0, defect: str | None = None) -> Car:
    """Plays a client's story against a vehicle that has been on for some seconds; the car as it was left."""
    kernel, trace, scenario = Kernel(), Trace(), Scenario(seed=seed)
    edges = model_edges(kernel, defect=defect, seed=seed, identities=rig_provision())
    patch = pytest.MonkeyPatch()
    with VirtualLoop(kernel) as loop:
        world = World(
            kernel, edges, scenario, rig_keys(), body_codecs(), trace, links=Links(air=bumble_air(loop))
        )
        car = Car(world, Bridge(kernel, loop))

        async def main() -> None:
            world.plant.set_latches("L")
            world.gateway.start()
            world.tcu.start()
            world.air.module.start()
            world.apply_supply()
            await kernel.sleep(READY_S)
            radio = car.air.own_phone(bonded=bonded)
            client, scanner = bleak_backends(radio)
            patch.setattr(time, "time", lambda: car.wall_clock_s + kernel.now / 1e6)
            patch.setattr(bleak, "get_platform_client_backend_type", lambda: (client, "bumble"))
            patch.setattr(bleak, "get_platform_scanner_backend_type", lambda: (scanner, "bumble"))
            await car.bridge.task(_as_coroutine(story, car), "client")

        try:
            loop.play(main(), until=UNTIL_S)
        finally:
            patch.undo()
    assert kernel.notes == []
    return car


async def _as_coroutine(story: Story, car: Car) -> None:
    await story(car)
