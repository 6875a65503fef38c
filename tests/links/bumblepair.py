"""Two Bumble devices that hear each other, in virtual time: on Bumble's own emulation, or on the rig's."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from bumble import controller as stock
from bumble import hci, link
from bumble.core import AdvertisingData
from bumble.device import Connection, Device

from hardware.bluetooth.bonds import Bonds, static_address
from hardware.bluetooth.controller import RigController
from hardware.bluetooth.device import make_device
from hardware.bluetooth.ether import Ether
from hardware.virtualloop import VirtualLoop
from rig.kernel import Kernel

T = TypeVar("T")
Kind = Literal["stock", "ours"]
INTERVAL_MS = 100.0
NAME = "a name"


@dataclass
class Pair:
    """A central and a peripheral, powered on.

    Attributes:
        kind: whose emulation.
        link: what is between their controllers.
        loop: virtual time.
    """

    kind: Kind
    loop: VirtualLoop
    link: Any
    near: Any
    far: Any
    central: Device
    peripheral: Device

    def vanish(self) -> None:
        """Nothing passes between them any more, and nobody says so."""
        if self.kind == "stock":
            self.link.remove_controller(self.far)
        else:
            next(iter(self.near.le_connections.values())).channel.vanish()

    async def advertise(self) -> None:
        """The peripheral can be found; its name is in the scan response."""
        device = self.peripheral
        device.advertising_interval_min = device.advertising_interval_max = INTERVAL_MS
        device.advertising_data = bytes(AdvertisingData([(AdvertisingData.FLAGS, b"\x06")]))
        device.scan_response_data = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, NAME.encode())]))
        await device.start_advertising()

    async def connect(self) -> tuple[Connection, Connection]:
        """Both ends of a new connection."""
        came: list[Connection] = []
        self.peripheral.once(Device.EVENT_CONNECTION, came.append)
        await self.advertise()
        connection = await self.central.connect(self.peripheral.random_address)
        while not came:
            await self.sleep(0.01)
        return connection, came[0]

    async def sleep(self, seconds: float) -> None:
        """Simulated time passes."""
        future = self.loop.create_future()
        self.loop.call_later(seconds, future.set_result, None)
        await future


def play(kind: Kind, story: Callable[[Pair], Awaitable[T]], seed: int = 0) -> T:
    """Tells a story with a pair of devices."""
    rng = random.Random(seed)
    with VirtualLoop(Kernel()) as loop:

        async def main() -> T:
            addresses = [static_address(rng) for _ in range(2)]
            between: Any = link.LocalLink() if kind == "stock" else Ether(loop)
            ends: list[Any] = []
            for name, address in zip(("near", "far"), addresses, strict=True):
                if kind == "stock":
                    # Without extended advertising, as ours: else its reports are of another kind.
                    one = type("Legacy", (stock.Controller,), {"le_features": RigController.le_features})
                    ends.append(one(name, link=between, public_address=address))
                else:
                    ends.append(RigController(name, between, address, rng))
            devices = [
                make_device(end.name, address, rng.randbytes(16), Bonds(), end, end)
                for end, address in zip(ends, addresses, strict=True)
            ]
            for device in devices:
                await device.power_on()
            return await story(Pair(kind, loop, between, *ends, *devices))

        return loop.run_until_complete(main())


__all__ = ["INTERVAL_MS", "NAME", "Kind", "Pair", "hci", "play"]
