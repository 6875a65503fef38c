"""Skipping idle cycles whole tenths of a second at once leaves everything as if they had run."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from rig.protocol import vcp
from rig.protocol.e2e import Sender
from rig.world.slowcycle import SlowCycle

PERIOD_US = 100_000


class Restbus:
    """Cyclic senders that skip with the ECU when asked to."""

    def __init__(self, car: Any, skipping: bool) -> None:
        self.car = car
        self.skipping = skipping
        self.skipped_us = 0
        kernel = car.kernel
        self.slow: list[SlowCycle] = []
        for name, signals in (("TelematicsState", {"Online": 1}), ("BluetoothState", {"Connections": 0})):
            sender = car.senders[name] = Sender(car.codecs[name].can_id)
            turn = partial(car.restbus, name, **signals)
            self.slow.append(SlowCycle(kernel, 1_000_000, turn, sender))

    def start(self) -> None:
        self.car.kernel.cyclic(self.car.kernel.now + PERIOD_US, self.cycle)
        for each in self.slow:
            each.start()

    def cycle(self) -> None:
        car, kernel = self.car, self.car.kernel
        # What is new is told before anything is skipped.
        delta = self.skippable_us() if self.skipping and "VehicleState" in car.senders else 0
        if delta:
            kernel.shift_cyclic(delta)
            car.edges.dut_skip(delta)
            car.senders["VehicleState"].skip(delta // PERIOD_US)
            for each in self.slow:
                each.skip(delta)
            self.skipped_us += delta
            kernel.cyclic(kernel.now + delta, self.cycle)
            return
        car.restbus("VehicleState", Supply_mV=12_600, Speed=12)
        kernel.cyclic(kernel.now + PERIOD_US, self.cycle)

    def skippable_us(self) -> int:
        kernel, edges = self.car.kernel, self.car.edges
        work, quiet = kernel.next_work(), edges.dut_quiet_until()
        if work is None or quiet is None or not edges.bus.quiet or not self.car.reader.idle_field:
            return 0
        periods = max(0, (min(work, quiet) - kernel.now) // PERIOD_US)
        while periods and not edges.dut_idle_at(kernel.now + periods * PERIOD_US):
            periods -= 1
        return int(periods) * PERIOD_US


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


async def test_only_whole_tenths_of_a_second(car: Any) -> None:
    await car.boot()
    with pytest.raises(ValueError, match="whole tenths of a second"):
        car.ecu.skip(car.kernel.now, 250_000)


async def test_no_gap_ends_in_the_middle_of_a_poll(car: Any) -> None:
    await car.boot()
    while car.edges.dut_quiet_until() is not None:
        await car.run(0.001)
    poll_us = car.kernel.now  # within 1 ms of its begin
    while car.edges.dut_quiet_until() is None:
        await car.run(0.001)
    quiet_us = car.kernel.now
    assert 0 < quiet_us - poll_us < 20_000
    for polls in (1, 2, 40):
        later = poll_us + polls * 250_000
        assert not car.edges.dut_idle_at(later)
        assert not car.edges.dut_idle_at(later + quiet_us - poll_us)
        assert car.edges.dut_idle_at(later - 2_000)
        assert car.edges.dut_idle_at(later + quiet_us - poll_us + 12_000)
