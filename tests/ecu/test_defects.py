"""Every planted defect is wrong in the way its text says, and only by one part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

import pytest

from hardware.ecu.core import Parts
from hardware.ecu.defects import DEFECTS
from rig.protocol import vcp

Symptom = Callable[[Any], Awaitable[bool]]
"""Plays a short scene on a car; True if the car behaved as a healthy one must."""


async def online_check(car: Any) -> bool:
    await car.boot()
    for _ in range(3):
        car.restbus("TelematicsState", Online=0)
        await car.run(1)
    await car.tap()
    return bool(car.latches == "UUUU")


async def bus_off_blocks_card(car: Any) -> bool:
    await car.boot()
    car.edges.bus.set_dut_bus_off(True)
    await car.tap()
    return bool(car.latches == "UUUU")


async def blocking_report(car: Any) -> bool:
    await car.boot()
    car.port("cloud")  # takes frames, but the server never takes a report
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.UNLOCK)
    return await phone.send(vcp.LOCK, wait_s=1.5) is not None


async def flood_starves(car: Any) -> bool:
    await car.boot()
    car.edges.bus.set_flood(True)
    await car.run(1)
    start = car.kernel.now
    await car.tap(1.5)
    return car.latches == "UUUU" and max(at for at, k, _ in car.events if k == "latch") - start < 1_000_000


async def slow_boot(car: Any) -> bool:
    car.plant.set_supply(12_600)
    await car.run(1)
    return bool(car.ecu.ready)


async def lock_ignored(car: Any) -> bool:
    await car.boot("U")
    phone = car.phone("driver")
    await phone.handshake()
    reply = await phone.send(vcp.LOCK)
    return reply is not None and reply.fault == 0 and car.latches == "LLLL"


async def reset_opens(car: Any) -> bool:
    car.plant.set_supply(12_600)
    await car.run(3)
    return bool(car.latches == "LLLL")


async def open_on_plain_frame(car: Any) -> bool:
    await car.boot()
    car.raw(0x1E0, car.codecs["InteriorSwitch"].encode({"Request": 2}))
    await car.run(1)
    return bool(car.latches == "LLLL")


async def no_counter(car: Any) -> bool:
    await car.boot("U")
    phone = car.phone("driver")
    await phone.handshake()
    unlock = phone.build(vcp.UNLOCK)
    await phone.deliver(unlock)
    await phone.send(vcp.LOCK)
    await phone.deliver(unlock)
    return bool(car.latches == "LLLL")


async def no_expiry(car: Any) -> bool:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    unlock = phone.build(vcp.UNLOCK)
    await car.run(40)
    await phone.deliver(unlock)
    return bool(car.latches == "LLLL")


async def double_actuation(car: Any) -> bool:
    await car.boot("U")
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.UNLOCK)
    return not car.pulses()


async def lying_status(car: Any) -> bool:
    car.stuck = lambda door, way: True
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.UNLOCK)
    told = [car.codecs["LockStatus"].decode(d)["Door_FL"] for _, i, d, _ in car.frames if i == 0x1A0]
    return 1 not in told


SYMPTOMS: dict[str, Symptom] = {
    f.__name__: f
    for f in (
        online_check,
        bus_off_blocks_card,
        blocking_report,
        flood_starves,
        slow_boot,
        lock_ignored,
        reset_opens,
        open_on_plain_frame,
        no_counter,
        no_expiry,
        double_actuation,
        lying_status,
    )
}


@pytest.mark.parametrize("name", sorted(SYMPTOMS))
def test_the_healthy_ecu_passes_and_the_defect_shows(make_car: Any, name: str) -> None:
    healthy, defective = make_car(), make_car(defect=name)
    assert healthy.kernel.run(SYMPTOMS[name](healthy), until=200)
    assert not defective.kernel.run(SYMPTOMS[name](defective), until=200)


@pytest.mark.parametrize("name", sorted(set(SYMPTOMS) - {"slow_boot", "reset_opens"}))
def test_every_defect_leaves_the_card_working(make_car: Any, name: str) -> None:
    car = make_car(defect=name)

    async def story() -> None:
        await car.boot()
        await car.tap()
        assert car.latches == "UUUU"

    car.kernel.run(story(), until=20)


def test_one_part_each_with_text_and_requirement() -> None:
    healthy = Parts()
    for name, defect in DEFECTS.items():
        parts = defect.build(healthy)
        changed = [f.name for f in fields(Parts) if getattr(parts, f.name) != getattr(healthy, f.name)]
        assert len(changed) == 1, name
        assert defect.name == name
        assert defect.text
        assert defect.requirements
