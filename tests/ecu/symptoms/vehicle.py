"""Scenes for defects at the motors, towards the vehicle, and of what is told."""

from __future__ import annotations

from typing import Any

from rig.protocol import vcp
from tests.ecu.symptoms.scenes import power_cycle, ready_phone


async def unlocked(car: Any) -> Any:
    """The driver's phone has unlocked."""
    phone = await ready_phone(car)
    await phone.send(vcp.UNLOCK)
    return phone


async def no_motor_retry(car: Any) -> bool:
    tried: list[str] = []

    def first_sticks(door: str, _way: str) -> bool:
        tried.append(door)
        return tried.count(door) == 1

    car.stuck = first_sticks
    await unlocked(car)
    return bool(car.latches == "UUUU")


async def opens_some_doors(car: Any) -> bool:
    await unlocked(car)
    return bool(car.latches == "UUUU")


async def double_actuation(car: Any) -> bool:
    phone = await ready_phone(car, latches="U")
    await phone.send(vcp.UNLOCK)
    return not car.pulses()


async def relock_timer_stays(car: Any) -> bool:
    phone = await unlocked(car)
    await car.run(20)
    await phone.send(vcp.UNLOCK)
    await car.run(14)
    return bool(car.latches == "UUUU")


async def early_relock(car: Any) -> bool:
    await unlocked(car)
    await car.run(27)
    return bool(car.latches == "UUUU")


async def late_relock(car: Any) -> bool:
    await unlocked(car)
    await car.run(33)
    return bool(car.latches == "LLLL")


async def half_relock(car: Any) -> bool:
    return await late_relock(car)


async def reset_opens(car: Any) -> bool:
    car.plant.set_supply(12_600)
    await car.run(3)
    return bool(car.latches == "LLLL")


async def locks_after_reset(car: Any) -> bool:
    await car.boot("U")
    await power_cycle(car)
    return bool(car.latches == "UUUU")


async def reopens_after_lock(car: Any) -> bool:
    phone = await ready_phone(car, latches="U")
    await phone.send(vcp.LOCK)
    await car.run(7)
    return bool(car.latches == "LLLL")


async def drives_low(car: Any) -> bool:
    phone = await ready_phone(car)
    car.power(7_600)
    await car.run(0.1)
    await phone.send(vcp.UNLOCK)
    return not car.pulses()


async def unlocks_at_speed(car: Any) -> bool:
    phone = await ready_phone(car)
    for _ in range(3):
        car.restbus("VehicleState", PowerMode=1, Speed=300)
        await car.run(0.1)
    await phone.send(vcp.UNLOCK)
    return bool(car.latches == "LLLL")


async def crash(car: Any, frames: int) -> None:
    """So many consecutive frames with the crash flag."""
    await car.boot()
    for place in range(frames + 3):
        car.restbus("VehicleState", PowerMode=1, Crash=int(0 < place <= frames))
        await car.run(0.1)
    await car.run(0.5)


async def no_crash_unlock(car: Any) -> bool:
    await crash(car, 2)
    return bool(car.latches == "UUUU")


async def crash_on_one_frame(car: Any) -> bool:
    await crash(car, 1)
    return bool(car.latches == "LLLL")


async def crash_relocks(car: Any) -> bool:
    await crash(car, 2)
    await car.run(35)
    return bool(car.latches == "UUUU")


def may_drive(car: Any) -> bool:
    """What LockStatus said last."""
    return bool(car.status()["DriveAuthorised"])


async def drives_on(car: Any) -> bool:
    await car.boot()
    await car.tap()
    await car.run(0.2)
    assert may_drive(car)
    await car.run(125)
    return not may_drive(car)


async def drive_after_close(car: Any) -> bool:
    phone = await ready_phone(car)
    await phone.send(vcp.REMOTE_DRIVE)
    assert may_drive(car)
    car.port("bluetooth").send(b"\xc0")
    await car.run(3)
    return not may_drive(car)


async def drive_survives_revocation(car: Any) -> bool:
    phone = await ready_phone(car)
    await phone.send(vcp.REMOTE_DRIVE)
    assert may_drive(car)
    owner = car.phone("owner")
    await owner.handshake(handle=1)
    payload = vcp.whitelist_payload(vcp.WhitelistChange("remove", phone.key.public))
    await owner.send(None, payload=payload, handle=1)
    await car.run(1)
    return not may_drive(car)


def told(car: Any, signal: str) -> list[int]:
    """What all LockStatus frames so far said."""
    return [car.codecs["LockStatus"].decode(d)[signal] for _, i, d, _ in car.frames if i == 0x1A0]


def counters(car: Any) -> list[int]:
    """The alive counters of all LockStatus frames so far."""
    return [data[1] & 0x0F for _, can_id, data, _ in car.frames if can_id == 0x1A0]


async def lying_status(car: Any) -> bool:
    car.stuck = lambda _door, _way: True
    await unlocked(car)
    return 1 not in told(car, "Door_FL")


async def status_of_front_left(car: Any) -> bool:
    await car.boot()
    car.plant.set_latches("U", ("RR",))
    await car.run(0.3)
    return bool(car.status()["Door_RR"] == 1)


async def fault_shown(car: Any) -> bool:
    await car.boot()
    return 3 not in told(car, "Door_FR")


async def stuck_alive_counter(car: Any) -> bool:
    await car.boot()
    return len(set(counters(car))) > 1


async def counter_starts_at_7(car: Any) -> bool:
    await car.boot()
    return counters(car)[0] == 0


async def silent_after_bus_off(car: Any) -> bool:
    await car.boot()
    car.edges.bus.set_dut_bus_off(True)
    await car.run(1)
    car.edges.bus.set_dut_bus_off(False)
    before = len(counters(car))
    await car.run(1)
    return len(counters(car)) > before + 5


async def early_answer(car: Any) -> bool:
    car.stuck = lambda _door, _way: True
    phone = await ready_phone(car)
    reply = await phone.send(vcp.UNLOCK, wait_s=3)
    return reply is not None and reply.fault != 0


async def relock_forgotten_after_reset(car: Any) -> bool:
    await unlocked(car)
    await power_cycle(car)
    await car.run(32)
    return bool(car.latches == "LLLL")


async def card_refused_at_speed(car: Any) -> bool:
    await car.boot()
    for _ in range(15):
        car.restbus("VehicleState", PowerMode=1, Speed=300)
        await car.run(0.05)
    await car.tap()
    return bool(car.latches == "UUUU")


async def crash_ignored_asleep(car: Any) -> bool:
    await car.boot()
    await car.run(70)
    assert car.said("asleep")
    for _ in range(5):
        car.restbus("VehicleState", Crash=1)
        await car.run(0.1)
    await car.run(0.5)
    return bool(car.latches == "UUUU")


async def drive_needs_server(car: Any) -> bool:
    phone = await ready_phone(car)
    car.restbus("TelematicsState", Online=0)
    await car.run(0.1)
    await phone.send(vcp.REMOTE_DRIVE)
    return may_drive(car)
