"""What the rest of the bus tells the ECU, sleep, and what LockStatus tells the bus."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import e2e
import pytest

from rig.protocol import vcp
from rig.protocol.e2e import check_crc


async def told(car: Any, seconds: float, **signals: int) -> None:
    """VehicleState every 100 ms for a while."""
    for _ in range(round(seconds * 10)):
        car.restbus("VehicleState", **signals)
        await car.run(0.1)


# Speed


async def test_cloud_and_bluetooth_do_not_unlock_at_speed(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await told(car, 0.5, Speed=51)
    for channel in ("bluetooth", "cloud"):
        reply = await phone.send(vcp.UNLOCK, channel, wait_s=0.3)
        assert reply.fault == vcp.Fault.INSUFFICIENT_PRIVILEGES
        await told(car, 0.2, Speed=51)
    assert car.latches == "LLLL"
    reply = await phone.send(vcp.LOCK)
    assert reply.fault == 0
    await told(car, 0.5, Speed=51)
    await car.tap(0.8)  # the card ignores speed
    assert car.latches == "UUUU"


async def test_exactly_5_kmh_is_standing(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await told(car, 0.5, Speed=50)
    assert (await phone.send(vcp.UNLOCK)).fault == 0


async def test_the_highest_of_500_ms_counts_then_the_last_for_60_s_then_none(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await told(car, 0.3, Speed=200)
    await told(car, 0.3, Speed=0)
    assert (await phone.send(vcp.UNLOCK, wait_s=0.1)).fault == vcp.Fault.INSUFFICIENT_PRIVILEGES
    await car.run(0.6)  # only the last counts now
    assert (await phone.send(vcp.UNLOCK)).fault == 0
    assert (await phone.send(vcp.LOCK)).fault == 0
    await told(car, 0.3, Speed=200)
    await car.run(55)
    assert (await phone.send(vcp.UNLOCK, wait_s=0.1)).fault == vcp.Fault.INSUFFICIENT_PRIVILEGES
    await car.run(6)
    assert (await phone.send(vcp.UNLOCK)).fault == 0


async def test_invalid_frames_tell_no_speed(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    frame = bytearray(car.codecs["VehicleState"].encode({"Speed": 500}))
    for number in range(10):
        frame[1] = frame[1] & 0xF0 | number
        car.raw(0x1B0, bytes(frame))  # no CRC
        await car.run(0.05)
    assert (await phone.send(vcp.UNLOCK)).fault == 0


# Crash


async def test_two_valid_crash_frames_unlock(car: Any) -> None:
    await car.boot()
    await told(car, 0.1, Crash=1)
    await told(car, 0.3, Crash=0)
    await told(car, 0.1, Crash=1)
    assert car.latches == "LLLL"
    second = car.kernel.now
    await told(car, 0.5, Crash=1)
    assert car.latches == "UUUU"
    assert max(at for at, kind, _ in car.events if kind == "latch") - second < 500_000
    assert len(car.pulses()) == 4
    assert car.status()["LastSource"] == 5


async def test_crash_wakes(car: Any) -> None:
    await car.boot()
    await car.run(70)
    assert car.said("asleep")
    await told(car, 0.6, Crash=1)
    assert car.latches == "UUUU"


# Inside switch


async def press(car: Any, request: int) -> None:
    for _ in range(3):
        car.restbus("InteriorSwitch", Request=request)
        await car.run(0.02)


async def test_the_inside_switch_acts_once_a_press(car: Any) -> None:
    await car.boot()
    await told(car, 0.3, Speed=1000)  # ignores speed
    await press(car, 2)
    await car.run(0.4)
    assert car.latches == "UUUU"
    assert len(car.pulses()) == 4
    assert car.status()["LastSource"] == 4
    await press(car, 1)
    await car.run(0.4)
    assert car.latches == "LLLL"
    await press(car, 2)
    await car.run(0.3)
    assert car.latches == "UUUU"
    assert len(car.pulses()) == 12


async def test_a_frame_that_fails_e2e_opens_nothing(car: Any) -> None:
    await car.boot()
    payload = car.codecs["InteriorSwitch"].encode({"Request": 2})
    for number in range(30):
        car.raw(0x1E0, bytes((number * 7 & 0xFF, number % 16)) + payload[2:])
        await car.run(0.1)
    car.raw(0x1E0, payload[:4])  # short
    await car.run(0.5)
    assert car.pulses() == []


# Sleep


async def test_sleeps_after_60_s_and_lockstatus_pauses(car: Any) -> None:
    await car.boot()
    await told(car, 58, Speed=0)
    assert not car.said("asleep")
    await told(car, 4, Speed=0)  # the restbus keeps nobody awake
    (fell,) = car.said("asleep")
    assert 59_000_000 < fell - 450_000 < 61_500_000
    assert not [f for f in car.frames if f[1] == 0x1A0 and f[0] > fell + 1000]


async def test_power_mode_keeps_awake_and_wakes(car: Any) -> None:
    await car.boot()
    await told(car, 70, PowerMode=1)
    assert not car.said("asleep")
    await told(car, 62, PowerMode=0)
    assert len(car.said("asleep")) == 1
    await told(car, 0.1, PowerMode=1)
    assert len(car.said("awake")) == 1
    assert car.frames[-1][1] == 0x1A0 or any(f[1] == 0x1A0 for f in car.frames[-3:])


async def test_other_frames_do_not_wake(car: Any) -> None:
    await car.boot()
    await car.run(65)
    assert car.said("asleep")
    car.restbus("TelematicsState", Online=1)
    car.restbus("BluetoothState", Connections=1)
    await told(car, 1, Speed=0)
    assert not car.said("awake")


async def test_a_command_wakes_and_is_done(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await car.run(70)
    assert car.said("asleep")
    assert (await phone.send(vcp.UNLOCK)).fault == 0
    assert car.latches == "UUUU"
    assert car.status()["Door_FL"] == 1


# LockStatus


async def test_cycle_counter_and_crc(car: Any) -> None:
    await car.boot()
    await car.run(5)
    frames = [(at, data) for at, can_id, data, _ in car.frames if can_id == 0x1A0]
    assert len(frames) >= 50
    assert frames[0][1][1] & 0x0F == 0
    for (t0, a), (t1, b) in pairwise(frames):
        assert 99_000 <= t1 - t0 <= 101_000
        assert (b[1] - a[1]) & 0x0F in (1, 2)
        assert (b[1] & 0x0F) == ((a[1] & 0x0F) + 1) % 15
        assert check_crc(0x1A0, b)
        assert e2e.p01.e2e_p01_check(bytearray(b), 0x1A0)


async def test_extra_frame_within_20_ms_of_feedback(car: Any) -> None:
    await car.boot()
    await car.run(0.03)
    await car.tap()
    frames = [(at, data) for at, can_id, data, _ in car.frames if can_id == 0x1A0]
    for at, kind, rest in car.events:
        if kind == "feedback" and at > 1_000_000:
            door, state = rest
            want = {"L": 0, "U": 1, "X": 2}[state]
            told_at = next(
                t
                for t, data in frames
                if t >= at and car.codecs["LockStatus"].decode(data)[f"Door_{door}"] == want
            )
            assert told_at - at <= 20_000
    # Extra frames repeat the counter and do not shift the cycle.
    last: tuple[int, bytes] | None = None
    cycle_start = frames[0][0]
    for at, data in frames:
        if last is not None and (data[1] & 0xF) != (last[1][1] & 0xF):
            assert 98_000 <= at - cycle_start <= 102_000
        if last is None or (data[1] & 0xF) != (last[1][1] & 0xF):
            cycle_start = at
        last = (at, data)
    assert len(frames) > (frames[-1][0] - frames[0][0]) // 100_000 + 1


@pytest.mark.parametrize("off_s", [0.25, 3.0])
async def test_bus_off_and_back(car: Any, off_s: float) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    car.edges.bus.set_dut_bus_off(True)
    await car.run(off_s)
    car.edges.bus.set_dut_bus_off(False)
    await car.run(0.2)
    counters = [d[1] & 0x0F for _, i, d, _ in car.frames if i == 0x1A0]
    assert all((b - a) % 15 == 1 for a, b in pairwise(counters))
    assert (await phone.send(vcp.UNLOCK)).fault == 0
