"""Scenes for defects that keep a driver out, show late, or are brought out by bad input."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any

from rig.protocol import vcp
from rig.protocol.isotp import PADDING, Endpoint
from rig.protocol.keycard import CardKey
from rig.sim.card import Card
from tests.ecu.symptoms.scenes import GARBAGE, change, days, power_cycle, ready_phone, unanswered


async def opens(car: Any, seconds: float = 1.5) -> bool:
    """A tap of the enrolled card opens."""
    await car.tap(seconds)
    return bool(car.latches == "UUUU")


async def online_check(car: Any) -> bool:
    await car.boot()
    for _ in range(3):
        car.restbus("TelematicsState", Online=0)
        await car.run(1)
    return await opens(car)


async def bus_off_blocks_card(car: Any) -> bool:
    await car.boot()
    car.edges.bus.set_dut_bus_off(True)
    return await opens(car)


async def blocking_report(car: Any) -> bool:
    await car.boot()
    car.port("cloud")  # takes frames, but the server never takes a report
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.UNLOCK)
    return await phone.send(vcp.LOCK, wait_s=1.5) is not None


async def strict_next_counter(car: Any) -> bool:
    phone = await ready_phone(car)
    phone.build(vcp.UNLOCK)  # lost
    reply = await phone.send(vcp.UNLOCK)
    return reply is not None and reply.fault == 0


async def lockout_all(car: Any) -> bool:
    phone = await ready_phone(car)
    for _ in range(5):
        await phone.send(vcp.UNLOCK, tag=bytes(16))
    return await opens(car)


async def undervoltage_latches(car: Any) -> bool:
    await car.boot()
    car.power(8_400)
    await car.run(1)
    car.power()
    await car.run(1)
    return await opens(car)


async def opened_soon(car: Any, limit_s: float) -> bool:
    """A tap opens within a limit."""
    start = car.kernel.now
    opened = await opens(car)
    return opened and max(at for at, kind, _ in car.events if kind == "latch") - start < limit_s * 1e6


async def flood_starves(car: Any) -> bool:
    await car.boot()
    car.edges.bus.set_flood(True)
    await car.run(1)
    return await opened_soon(car, 1.0)


async def slow_after_flood(car: Any) -> bool:
    await car.boot()
    car.edges.bus.set_flood(True)
    await car.run(1)
    car.edges.bus.set_flood(False)
    await car.run(3)
    return await opened_soon(car, 0.8)


async def half_open_session(car: Any) -> bool:
    await car.boot()
    port = car.port("bluetooth")
    for _ in range(3):
        port.send(b"\x80")
        await car.run(0.1)
        port.send(b"\xc0")
        await car.run(0.1)
    port.send(b"\x80")
    await car.run(0.1)
    return not await unanswered(car.phone("driver"))


async def slow_boot(car: Any) -> bool:
    car.plant.set_supply(12_600)
    await car.run(1)
    return bool(car.ecu.ready)


async def refuses_after_two_resets(car: Any) -> bool:
    await car.boot()
    for _ in range(2):
        await power_cycle(car)
    return await opens(car)


async def busy_forever(car: Any) -> bool:
    await car.boot()
    # A client that asks, and has gone when the answer comes: nobody sends a flow control.
    phone = car.phone("driver")
    client = Endpoint(0x2B0, 0x2B8)
    client.send(car.kernel.now, b"\x00" + vcp.build_handshake(phone.key, routing=bytes(16), uuid=bytes(16)))
    car.raw(0x2B0, client.out.pop())
    await car.run(0.05)
    client.receive(car.kernel.now, b"\x30\x00\x00" + PADDING * 5)
    for frame in client.out:
        car.raw(0x2B0, frame)
    await car.run(3)
    await phone.handshake()
    reply = await phone.send(vcp.UNLOCK)
    return reply is not None and reply.fault == 0


async def stale_speed(car: Any) -> bool:
    await car.boot()
    for _ in range(3):
        car.restbus("VehicleState", PowerMode=1, Speed=300)
        await car.run(0.1)
    await car.run(61)
    phone = car.phone("driver")
    await phone.handshake()
    reply = await phone.send(vcp.UNLOCK)
    return reply is not None and reply.fault == 0


async def lock_ignored(car: Any) -> bool:
    phone = await ready_phone(car, latches="U")
    reply = await phone.send(vcp.LOCK)
    return reply is not None and reply.fault == 0 and car.latches == "LLLL"


async def needs_bus_to_card_after_sleep(car: Any) -> bool:
    await car.boot()
    await car.run(70)
    assert car.said("asleep")
    return await opens(car)


async def ignores_card_after_30_days(car: Any) -> bool:
    await car.boot()
    await days(car, 26)
    return await opens(car)


async def server_grace(car: Any) -> bool:
    await car.boot()
    car.restbus("TelematicsState", Online=0)
    await days(car, 8)
    return await opens(car)


async def forgets_key_list(car: Any) -> bool:
    owner = await ready_phone(car, "owner")
    memory = car.ecu._memory
    # The first two writes keep the command's counter; the power goes before the third, the fourth, the fifth.
    for place, key in enumerate(car.provision.keys[3:6], start=2):
        memory.told = partial(lambda writes, place: next(writes) == place, count(), place)
        await change(owner, "remove", key)
        memory.told = None
        await power_cycle(car)
        await owner.handshake()
    return await opens(car)


async def open_on_plain_frame(car: Any) -> bool:
    await car.boot()
    car.raw(0x1E0, car.codecs["InteriorSwitch"].encode({"Request": 2}))
    await car.run(1)
    return bool(car.latches == "LLLL")


async def parse_error_opens(car: Any) -> bool:
    await car.boot()
    car.port("bluetooth").send(GARBAGE)
    await car.run(1)
    return bool(car.latches == "LLLL")


async def crash_reboots_on_garbage(car: Any) -> bool:
    await car.boot()
    car.port("bluetooth").send(GARBAGE)
    await car.run(2)
    return len(car.said("boot ")) == 1


async def hangs_on_garbage(car: Any) -> bool:
    await car.boot()
    car.port("bluetooth").send(GARBAGE)
    await car.run(0.1)
    return not await unanswered(car.phone("driver"))


async def torn_card_sticks(car: Any) -> bool:
    await car.boot()
    car.reader.place(car.card)
    while not car.ecu._core.card_auth.active:
        await car.run(0.001)
    await car.run(0.045)
    car.reader.remove(car.card)
    await car.run(1)
    assert car.said("CARD_TORN")
    return await opens(car)


async def unknown_card_sticks(car: Any) -> bool:
    await car.boot()
    await car.tap(0.8, Card(CardKey.from_seed(b"another card")))
    await car.run(1)
    assert car.said("CARD_UNKNOWN")
    return await opens(car)


async def mute_when_unlocked(car: Any) -> bool:
    phone = await ready_phone(car, latches="U")
    return await phone.send(vcp.UNLOCK) is not None


async def one_connection(car: Any) -> bool:
    await car.boot()
    port = car.port("bluetooth")
    port.send(b"\x80")
    await car.run(0.1)
    port.send(b"\x81")
    await car.run(0.1)
    return not await unanswered(car.phone("driver"), handle=1)


async def deaf_after_bus_off(car: Any) -> bool:
    await car.boot()
    car.edges.bus.set_dut_bus_off(True)
    await car.run(1)
    car.edges.bus.set_dut_bus_off(False)
    await car.run(1)
    return not await unanswered(car.phone("driver"))


async def gives_reader_up(car: Any) -> bool:
    await car.boot()
    reader = car.ecu._core.reader
    reader.received = lambda _data: None  # the line is cut for a second
    await car.run(1)
    del reader.received
    assert car.said("reader fault")
    await car.run(1)
    return await opens(car)


async def tap_locks_at_once(car: Any) -> bool:
    phone = await ready_phone(car)
    await phone.send(vcp.UNLOCK)
    await car.run(1)
    return await opens(car)
