"""Motors, retries, feedback, relock, supply and what a reset does not do."""

from __future__ import annotations

from typing import Any

import pytest

from rig.protocol import vcp


async def test_two_stuck_pulses_still_open(car: Any) -> None:
    tries: dict[str, int] = {}

    def stuck(door: str, way: str) -> bool:
        tries[door] = tries.get(door, 0) + 1
        return door == "RL" and tries[door] <= 2

    car.stuck = stuck
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert reply.fault == 0
    assert car.latches == "UUUU"
    assert [door for _, door, _ in car.pulses()].count("RL") == 3
    assert len(car.pulses()) == 6


async def test_three_stuck_pulses_are_a_fault_and_no_success(car: Any) -> None:
    car.stuck = lambda door, way: door == "RL"
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert reply.fault == vcp.Fault.BUSY
    assert car.latches == "UULU"
    assert car.status()["Door_RL"] == 3
    assert len(car.pulses()) == 6
    car.stuck = lambda door, way: False
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert reply.fault == 0
    assert car.latches == "UUUU"
    assert car.status()["Door_RL"] == 1


async def test_unlock_while_unlocked_gives_no_pulse(car: Any) -> None:
    await car.boot("U")
    phone = car.phone("driver")
    await phone.handshake()
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert (reply.fault, reply.payload) == (0, b"")
    assert car.pulses() == []


async def test_a_pulse_lasts_150_ms_or_a_little_more(car: Any) -> None:
    await car.boot()
    await car.tap()
    for door in ("FL", "FR", "RL", "RR"):
        on, off = (at for at, kind, rest in car.events if kind == "motor" and rest[0] == door)
        assert 150_000 <= off - on <= 160_000


async def test_lock_leaves_doors_that_are_ajar(car: Any) -> None:
    await car.boot("U")
    car.plant.set_ajar("FR", True)
    phone = car.phone("driver")
    await phone.handshake()
    reply = await phone.send(vcp.LOCK)
    assert reply is not None
    assert reply.fault == 0
    assert car.latches == "LULL"


async def test_unlock_during_lock_wins_and_the_lock_is_not_claimed(car: Any) -> None:
    await car.boot("U")
    phone = car.phone("driver")
    other = car.phone("owner")
    await phone.handshake()
    await other.handshake(handle=1)
    lock, unlock = phone.build(vcp.LOCK), other.build(vcp.UNLOCK)
    port = car.port("bluetooth")
    port.send(b"\x00" + lock.message)
    await car.run(0.06)
    assert len(car.pulses(direction="L")) == 4
    port.send(b"\x01" + unlock.message)
    await car.run(1.0)
    assert car.latches == "UUUU"
    faults = {p[0]: vcp.parse(p[1:]).signedMessageStatus.signed_message_fault for _, p in port.received}
    assert faults[0] == vcp.Fault.BUSY
    assert faults[1] == 0
    # No drive was ever on both ways.
    on: dict[str, str] = {}
    for _, kind, rest in car.events:
        if kind == "motor" and rest[2] == 1:
            assert rest[0] not in on
            on[rest[0]] = rest[1]
        elif kind == "motor":
            del on[rest[0]]


# Relock


@pytest.mark.parametrize("way", ["card", "bluetooth"])
async def test_relocks_after_30_s(car: Any, way: str) -> None:
    await car.boot()
    if way == "card":
        await car.tap()
    else:
        phone = car.phone("driver")
        await phone.handshake()
        await phone.send(vcp.UNLOCK)
    opened = max(at for at, kind, rest in car.events if kind == "latch")
    assert car.latches == "UUUU"
    await car.run(35)
    assert car.latches == "LLLL"
    relocked = car.pulses(direction="L")[0][0]
    assert abs(relocked - opened - 30_000_000) < 200_000
    assert car.status()["LastSource"] == 6


async def test_an_opened_door_ends_the_relock(car: Any) -> None:
    await car.boot()
    await car.tap()
    car.plant.set_ajar("FL", True)
    await car.run(1)
    car.plant.set_ajar("FL", False)
    await car.run(60)
    assert car.latches == "UUUU"


async def test_a_second_unlock_restarts_the_relock(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.UNLOCK)
    await car.run(20)
    again = car.kernel.now
    await phone.send(vcp.UNLOCK)
    await car.run(27)
    assert car.latches == "UUUU"
    await car.run(5)
    assert car.latches == "LLLL"
    assert abs(car.pulses(direction="L")[0][0] - again - 30_000_000) < 300_000


async def test_relock_counts_from_ready_after_a_reset(car: Any) -> None:
    await car.boot()
    await car.tap()
    await car.run(10)
    car.power(0)
    await car.run(1)
    on = car.kernel.now
    car.power(12_600)
    await car.run(29)
    assert car.latches == "UUUU"
    await car.run(3)
    assert car.latches == "LLLL"
    assert abs(car.pulses(direction="L")[0][0] - on - 30_400_000) < 100_000


async def test_relock_counts_from_the_return_of_the_supply(car: Any) -> None:
    await car.boot()
    await car.tap()
    car.power(8_400)
    await car.run(60)
    assert car.latches == "UUUU"
    back = car.kernel.now
    car.power(12_600)
    await car.run(31)
    assert car.latches == "LLLL"
    assert abs(car.pulses(direction="L")[0][0] - back - 30_000_000) < 100_000


async def test_no_relock_for_the_inside_switch(car: Any) -> None:
    await car.boot()
    for _ in range(3):
        car.restbus("InteriorSwitch", Request=2)
        await car.run(0.02)
    await car.run(50)
    assert car.latches == "UUUU"
    assert len(car.pulses()) == 4


async def test_who_opens_from_inside_while_the_doors_relock_is_not_locked_in_again(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.UNLOCK)
    while not car.pulses(direction="L"):
        await car.run(0.01)
    for _ in range(3):
        car.restbus("InteriorSwitch", Request=2)
        await car.run(0.02)
    await car.run(50)
    assert car.latches == "UUUU"
    assert len(car.pulses(direction="L")) == 4


async def test_no_relock_after_a_crash_until_the_next_lock(car: Any) -> None:
    await car.boot()
    await car.tap()
    for _ in range(3):
        car.restbus("VehicleState", Crash=1)
        await car.run(0.1)
    car.power(0)
    await car.run(1)
    car.power(12_600)
    await car.run(60)
    assert car.latches == "UUUU"
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.LOCK)
    await phone.send(vcp.UNLOCK)
    assert car.latches == "UUUU"
    await car.run(32)
    assert car.latches == "LLLL"


# Supply


async def test_low_supply_refuses_and_acts_again(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    car.power(8_400)
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert reply.fault == vcp.Fault.INTERNAL
    await car.tap()
    assert car.status()["LastRefusal"] == 0x84
    car.power(9_200)  # hysteresis
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert reply.fault == vcp.Fault.INTERNAL
    assert car.pulses() == []
    car.power(9_300)
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert reply.fault == 0
    assert len(car.pulses()) == 4


async def test_nothing_refused_at_low_supply_happens_later(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    car.power(8_400)
    await phone.send(vcp.UNLOCK)
    car.power(12_600)
    await car.run(60)
    assert car.latches == "LLLL"


async def test_no_retry_below_9_v(car: Any) -> None:
    car.stuck = lambda door, way: True
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    car.port("bluetooth").send(b"\x00" + phone.build(vcp.UNLOCK).message)
    await car.run(0.1)
    assert len(car.pulses()) == 4
    car.power(8_400)
    await car.run(2)
    assert len(car.pulses()) == 4


@pytest.mark.parametrize("latches", ["L", "U"])
@pytest.mark.parametrize("off_s", [0.001, 0.2, 3.0])
async def test_a_reset_never_moves_a_lock(car: Any, latches: str, off_s: float) -> None:
    await car.boot(latches)
    for _ in range(3):
        car.power(0)
        await car.run(off_s)
        car.power(12_600)
        await car.run(1.5)
    assert car.latches == latches * 4
    assert car.pulses() == []
    assert len(car.said("boot")) == 4


async def test_ready_within_a_second_of_9_3_v(car: Any) -> None:
    car.plant.set_supply(6_600)
    await car.run(1)
    assert not car.ecu.powered
    car.plant.set_supply(9_300)
    await car.run(1)
    assert car.ecu.ready


async def test_crash_acts_down_to_6_5_v(car: Any) -> None:
    await car.boot()
    car.power(6_600)
    await car.run(0.1)
    for _ in range(2):
        car.restbus("VehicleState", Crash=1)
        await car.run(0.1)
    await car.run(0.3)
    assert car.latches == "UUUU"
    assert car.status()["LastSource"] == 5


async def test_crash_goes_on_where_a_low_supply_stopped_an_unlock(car: Any) -> None:
    car.stuck = lambda door, way: car.kernel.now < 2_000_000
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await car.run_until(1_900_000)
    car.port("bluetooth").send(b"\x00" + phone.build(vcp.UNLOCK).message)
    await car.run(0.1)
    assert len(car.pulses()) == 4
    for _ in range(2):
        car.restbus("VehicleState", Crash=1)
        await car.run(0.02)
    car.power(7_000)
    await car.run(1)
    assert car.latches == "UUUU"


async def test_a_pulled_handle_is_recorded_only(car: Any) -> None:
    await car.boot()
    car.plant.pull_handle("FL", True)
    car.plant.pull_handle("FL", False)
    await car.run(0.1)
    assert len(car.said("handle FL pulled")) == 1
    assert car.pulses() == []
