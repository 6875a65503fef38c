"""Scenes for defects of lifetimes, counters, keys and proofs."""

from __future__ import annotations

from typing import Any

from rig.protocol import vcp
from rig.protocol.vcp import Command, Identity
from rig.sim.card import Card
from tests.ecu.symptoms.scenes import change, damaged, forgery, power_cycle, ready_phone

CHANNELS = ("bluetooth", "cloud")
STRANGER = Identity.from_seed(b"stranger")
DRIVER_ROLE = 3
INFOTAINMENT = 3
"""DOMAIN_INFOTAINMENT of the published universal_message.proto."""


def shut(car: Any) -> bool:
    """Nothing has opened."""
    return bool(car.latches == "LLLL")


async def no_counter(car: Any) -> bool:
    phone = await ready_phone(car, latches="U")
    unlock = phone.build(vcp.UNLOCK)
    await phone.deliver(unlock)
    await phone.send(vcp.LOCK)
    await phone.deliver(unlock)
    return shut(car)


async def late_by(car: Any, seconds: float) -> bool:
    """An unlock that arrives so late after it was built (it lives 10 s) moves nothing."""
    phone = await ready_phone(car)
    unlock = phone.build(vcp.UNLOCK)
    await car.run(seconds)
    await phone.deliver(unlock)
    return shut(car)


async def no_expiry(car: Any) -> bool:
    return await late_by(car, 40)


async def executes_late(car: Any) -> bool:
    return await late_by(car, 20)


async def long_lifetimes(car: Any) -> bool:
    phone = await ready_phone(car)
    await phone.send(vcp.UNLOCK, expires_at=phone.session.clock_s + 40)
    return shut(car)


async def takes_expired_lock(car: Any) -> bool:
    phone = await ready_phone(car, latches="U")
    lock = phone.build(vcp.LOCK)
    await car.run(20)
    await phone.deliver(lock)
    return bool(car.latches == "UUUU")


async def late_queue(car: Any) -> bool:
    phone = await ready_phone(car)
    car.power(8_400)
    await car.run(0.1)
    assert (await phone.send(vcp.UNLOCK)).fault != 0
    await car.run(20)
    car.power()
    await car.run(2)
    return shut(car)


async def replay_after_lock(car: Any) -> bool:
    return await no_counter(car)


async def resync_rewinds(car: Any) -> bool:
    phone = await ready_phone(car)
    unlock = phone.build(vcp.UNLOCK)
    await phone.deliver(unlock)
    await phone.send(vcp.LOCK)
    for _ in range(2):
        await phone.deliver(unlock)
    return shut(car)


async def constant_challenge(car: Any) -> bool:
    challenges: list[bytes] = []
    card = Card(car.card.key, on_auth=lambda _reader, challenge: challenges.append(challenge))
    await car.boot()
    for _ in range(2):
        await car.tap(card=card)
        await car.run(2)
    assert len(challenges) == 2
    return challenges[0] != challenges[1]


async def epoch_survives_reset(car: Any) -> bool:
    phone = await ready_phone(car)
    unlock = phone.build(vcp.UNLOCK)
    await phone.deliver(unlock)
    await phone.send(vcp.LOCK)
    await power_cycle(car)
    await phone.deliver(unlock)
    return shut(car)


async def fixed_epoch(car: Any) -> bool:
    phone = await ready_phone(car)
    before = phone.session.epoch
    await power_cycle(car)
    return bool((await phone.handshake()).epoch != before)


async def short_mac(car: Any) -> bool:
    await car.boot()
    for channel in CHANNELS:
        phone = car.phone("driver")
        await phone.handshake(channel)
        with forgery():  # the answer is bound to the tag as it should have been
            await phone.deliver(damaged(phone.build(vcp.UNLOCK, channel), channel), channel)
        if not shut(car):
            return False
    return True


async def wrong_vin_taken(car: Any) -> bool:
    await car.boot()
    for channel in CHANNELS:
        phone = car.phone("driver")
        await phone.handshake(channel)
        await phone.send(vcp.UNLOCK, channel, vin=car.provision.vin[:-1] + "2")
        if not shut(car):
            return False
    return True


async def wrong_domain_taken(car: Any) -> bool:
    phone = await ready_phone(car)
    command = phone.build(vcp.UNLOCK)
    message = vcp.parse(command.message)
    message.to_destination.domain = INFOTAINMENT
    signature = message.signature_data.AES_GCM_Personalized_data
    message.protobuf_message_as_bytes, signature.tag = vcp.sign_gcm(
        command.shared,
        vin=car.provision.vin,
        epoch=signature.epoch,
        expires_at=signature.expires_at,
        counter=signature.counter,
        flags=message.flags,
        plaintext=vcp.action_payload(vcp.UNLOCK),
        nonce=signature.nonce,
        domain=INFOTAINMENT,
    )
    resigned = Command(message.SerializeToString(), command.request_hash, command.shared)
    with forgery():  # its answer is bound to another hash: of no interest here
        await phone.deliver(resigned)
    return shut(car)


async def weak_session_tag(car: Any) -> bool:
    await car.boot()
    with forgery() as found:
        await car.phone("driver").handshake()
    return not found


async def revocation_in_ram(car: Any) -> bool:
    owner = await ready_phone(car, "owner")
    driver = car.phone("driver")
    assert (await change(owner, "remove", driver.key)).fault == 0
    await power_cycle(car)
    await driver.handshake()
    await driver.send(vcp.UNLOCK)
    return shut(car)


async def monitor_may_open(car: Any) -> bool:
    phone = await ready_phone(car, "monitor")
    await phone.send(vcp.UNLOCK)
    return shut(car)


async def driver_may_enrol(car: Any) -> bool:
    phone = await ready_phone(car)
    reply = await change(phone, "add", STRANGER, DRIVER_ROLE)
    return bool(reply.fault != 0)


async def ignores_bad_randomness(car: Any) -> bool:
    car.ecu._random = bytes  # zeros
    await car.boot()
    with forgery():
        try:
            phone = car.phone("driver")
            await phone.handshake()
            await phone.send(vcp.UNLOCK)
        except AssertionError:
            pass  # refused: there is no session info
    return shut(car)


async def trusts_wall_clock(car: Any) -> bool:
    await car.boot()
    car.restbus("TelematicsState", Online=1, UtcSeconds=1_700_000_000)
    await car.run(0.1)
    phone = car.phone("driver")
    await phone.handshake()
    unlock = phone.build(vcp.UNLOCK)
    await car.run(40)  # and the TCU's clock stands still
    await phone.deliver(unlock)
    return shut(car)
