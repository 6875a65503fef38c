"""Skipping idle cycles whole half seconds at once leaves everything as if they had run."""

from __future__ import annotations

from typing import Any

import pytest

from rig.protocol import vcp

HYPERPERIOD_US = 1_000_000


class Restbus:
    """Cyclic senders that skip with the ECU when asked to."""

    def __init__(self, car: Any, skipping: bool) -> None:
        self.car = car
        self.skipping = skipping
        self.skipped_us = 0
        self.frames: list[tuple[int, str, dict[str, int], int]] = [
            (100_000, "VehicleState", {"Supply_mV": 12_600, "Speed": 12}, 0),
            (1_000_000, "TelematicsState", {"Online": 1}, 0),
            (1_000_000, "BluetoothState", {"Connections": 0}, 0),
        ]

    def start(self) -> None:
        kernel = self.car.kernel
        for index, (period, _, _, _) in enumerate(self.frames):
            kernel.cyclic(kernel.now + period, self.cycle, index)

    def cycle(self, index: int) -> None:
        car, kernel = self.car, self.car.kernel
        period, name, signals, _ = self.frames[index]
        if index == 0 and self.skipping:
            delta = self.skippable_us()
            if delta:
                kernel.shift_cyclic(delta)
                car.edges.dut_skip(delta)
                for each, other, _, _ in self.frames:
                    if other in car.senders:
                        car.senders[other].skip(delta // each)
                self.skipped_us += delta
                kernel.cyclic(kernel.now + delta, self.cycle, index)
                return
        car.restbus(name, **signals)
        kernel.cyclic(kernel.now + period, self.cycle, index)

    def skippable_us(self) -> int:
        kernel, edges = self.car.kernel, self.car.edges
        work, quiet = kernel.next_work(), edges.dut_quiet_until()
        if work is None or quiet is None or not edges.bus.quiet:
            return 0
        return max(0, (min(work, quiet) - kernel.now) // HYPERPERIOD_US) * HYPERPERIOD_US


def outcome(make_car: Any, skipping: bool, phase_us: int, name: str) -> tuple[list[Any], list[Any], int]:
    """What happened at the plant and which frames the bus had in the last seconds."""
    car = make_car()
    bus = Restbus(car, skipping)

    async def story() -> None:
        bus.start()
        await car.boot()
        await car.run(7.3 + phase_us / 1e6)
        if name == "card":
            await car.tap(0.8)
            await car.run(45)  # relocks meanwhile
        elif name == "bluetooth":
            phone = car.phone("driver")
            await phone.handshake()
            await car.run(21.5)
            reply = await phone.send(vcp.UNLOCK)
            assert reply is not None
            assert reply.fault == 0
            await car.run(35)
        else:
            await car.run(130)  # falls asleep, and a tap wakes it
            await car.tap(0.8)
        bus.skipping = False  # frames are compared from here on
        await car.run(2.5 - (phase_us % 100_000) / 1e6)

    car.kernel.run(story(), until=1000)
    end = car.kernel.now
    plant = [e for e in car.events if e[1] in ("motor", "latch")]
    late = [f for f in car.frames if f[0] > end - 2_000_000]
    return plant, late, bus.skipped_us


@pytest.mark.parametrize("name", ["card", "bluetooth", "asleep"])
@pytest.mark.parametrize("phase_us", [0, 13_337, 61_000, 249_999, 430_001])
def test_the_same_with_and_without(make_car: Any, name: str, phase_us: int) -> None:
    plant, late, none = outcome(make_car, False, phase_us, name)
    plant_skipped, late_skipped, skipped_us = outcome(make_car, True, phase_us, name)
    assert none == 0
    assert skipped_us >= 20_000_000
    assert plant_skipped == plant
    assert late_skipped == late
    assert any(f[1] == 0x1A0 for f in late)


async def test_not_quiet_while_something_is_under_way(car: Any) -> None:
    assert car.edges.dut_quiet_until() is not None  # off: quiet for ever
    await car.boot()
    exchanging = quiet = 0
    for _ in range(250):
        await car.run(0.001)
        if car.edges.dut_quiet_until() is None:
            exchanging += 1
        else:
            quiet += 1
    assert exchanging > 10  # one poll of an empty field
    assert quiet > 150
    phone = car.phone("driver")
    await phone.handshake()
    car.port("bluetooth").send(b"\x00" + phone.build(vcp.UNLOCK).message)
    await car.run(0.1)
    assert car.edges.dut_quiet_until() is None  # motors are on


async def test_only_whole_half_seconds(car: Any) -> None:
    await car.boot()
    with pytest.raises(ValueError, match="whole half seconds"):
        car.ecu.skip(250_000)
