"""Commands: freshness, faults, roles, key list, sealed answers, connections, push and report."""

from __future__ import annotations

from typing import Any

import pytest

from rig.protocol import vcp
from rig.protocol.vcp import Fault, Identity, WhitelistChange


async def refused(car: Any, phone: Any, fault: Fault, **more: Any) -> Any:
    """The command is refused with `fault`, and nothing moves."""
    since = car.kernel.now
    reply = await phone.send(vcp.UNLOCK, **more)
    assert reply is not None
    assert reply.fault == fault
    assert car.pulses(since) == []
    return reply


# Freshness


@pytest.mark.parametrize("channel", ["bluetooth", "cloud"])
async def test_lifetimes(car: Any, channel: str) -> None:
    await car.boot()
    phone = car.phone("driver")
    info = await phone.handshake(channel)
    await car.run(5)
    clock = info.clock_s + 5
    for expires_at, fault in (
        (0, Fault.TIME_EXPIRED),
        (clock - 2, Fault.TIME_EXPIRED),
        (clock + 34, Fault.TIME_TO_LIVE_TOO_LONG),
        (0xFFFF_FFFF, Fault.TIME_TO_LIVE_TOO_LONG),
    ):
        reply = await refused(car, phone, fault, channel=channel, expires_at=expires_at)
        assert reply.info is not None  # tagged over the request's uuid: read_session_info checked it
        assert reply.info.epoch == info.epoch
        assert reply.info.counter == phone.session.counter
    reply = await phone.send(vcp.UNLOCK, channel, expires_at=clock + 33)
    assert reply.fault == 0


async def test_counters(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    phone.session.counter += 100  # gaps are fine
    command = phone.build(vcp.LOCK)
    assert (await phone.deliver(command)).fault == 0
    again = await phone.deliver(command)
    assert again.fault == Fault.INVALID_TOKEN_OR_COUNTER
    assert again.info.counter == phone.session.counter
    await refused(car, phone, Fault.INVALID_TOKEN_OR_COUNTER, counter=0)
    await refused(car, phone, Fault.INVALID_TOKEN_OR_COUNTER, counter=phone.session.counter - 1)
    # One counter for both channels.
    await refused(
        car, phone, Fault.INVALID_TOKEN_OR_COUNTER, channel="cloud", counter=phone.session.counter - 5
    )


async def test_a_lifetime_refused_as_too_long_is_never_taken_later(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    info = await phone.handshake()
    command = phone.build(vcp.UNLOCK, expires_at=info.clock_s + 60)
    assert (await phone.deliver(command)).fault == Fault.TIME_TO_LIVE_TOO_LONG
    await car.run(40)
    assert (await phone.deliver(command)).fault == Fault.INVALID_TOKEN_OR_COUNTER
    assert car.latches == "LLLL"


async def test_wrong_epoch_and_old_epoch(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    reply = await refused(car, phone, Fault.INCORRECT_EPOCH, epoch=bytes(16))
    assert reply.info is not None
    held_back = phone.build(vcp.UNLOCK)
    car.power(0)
    await car.run(1)
    car.power(12_600)
    await car.run(1)
    again = await phone.deliver(held_back)
    assert again.fault == Fault.INCORRECT_EPOCH
    assert again.info.epoch != held_back
    assert car.latches == "LLLL"


async def test_expiry_is_judged_again_at_the_first_pulse(car: Any) -> None:
    """A command that has to wait for a drive to end must not start after its time."""
    await car.boot("U")
    phone, other = car.phone("driver"), car.phone("owner")
    await phone.handshake()
    await other.handshake(handle=1)
    # The clock turns while a lock pulse is on; all doors wait for its end.
    clock = car.ecu._core.freshness.clock_s
    turn = car.ecu._core.boot_us + (clock + 2) * 1_000_000
    lock = other.build(vcp.LOCK)
    unlock = phone.build(vcp.UNLOCK, expires_at=clock + 1)
    await car.run_until(turn - 60_000)
    car.port("bluetooth").send(b"\x01" + lock.message)
    await car.run_until(turn - 30_000)
    assert len(car.pulses(direction="L")) == 4
    reply = await phone.deliver(unlock)
    assert reply.fault == Fault.TIME_EXPIRED
    assert reply.info is not None
    assert car.pulses(direction="U") == []


# Authentication


async def test_damaged_macs(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    for length, channel in ((16, "bluetooth"), (32, "cloud")):
        for tag in (bytes(length), b"", b"\x00", bytes(length - 1)):
            reply = await refused(car, phone, Fault.INVALID_SIGNATURE, channel=channel, tag=tag)
            assert reply.info is not None
        command = phone.build(vcp.UNLOCK, channel)
        message = vcp.parse(command.message)
        data = message.signature_data
        part = data.AES_GCM_Personalized_data if channel == "bluetooth" else data.HMAC_Personalized_data
        for byte in (0, length - 1):
            kept = bytearray(length)
            kept[byte] = part.tag[byte]
            tag = bytes(kept)
            await refused(car, phone, Fault.INVALID_SIGNATURE, channel=channel, tag=tag)
    assert car.latches == "LLLL"


async def test_another_vin(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await refused(car, phone, Fault.INVALID_SIGNATURE, vin="URIG0000000000002")
    await refused(car, phone, Fault.INVALID_SIGNATURE, vin="URIG0000000000002", channel="cloud")


async def test_another_domain(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    message = vcp.parse(phone.build(vcp.UNLOCK).message)
    message.to_destination.domain = 3
    port = car.port("bluetooth")
    port.send(b"\x00" + message.SerializeToString())
    await car.run(1)
    answer = vcp.parse(port.received[-1][1][1:])
    assert answer.signedMessageStatus.signed_message_fault == Fault.INVALID_DOMAINS
    assert car.latches == "LLLL"


async def test_unsigned_and_stranger_and_disabled(car: Any) -> None:
    await car.boot()
    port = car.port("bluetooth")
    port.send(b"\x00" + vcp.unsigned_command(vcp.UNLOCK, b"r" * 16, b"u" * 16))
    await car.run(0.5)
    assert (
        vcp.parse(port.received[-1][1][1:]).signedMessageStatus.signed_message_fault == Fault.UNKNOWN_KEY_ID
    )
    stranger = car.phone("stranger")
    info = await stranger.handshake()
    assert info.status == vcp.STATUS_NOT_ENROLLED
    await refused(car, stranger, Fault.UNKNOWN_KEY_ID)
    disabled = car.phone("disabled")
    await disabled.handshake()
    await refused(car, disabled, Fault.INACTIVE_KEY)
    assert car.latches == "LLLL"


async def test_each_channel_has_its_own_signature(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    gcm = phone.build(vcp.UNLOCK, "bluetooth")
    reply = await phone.deliver(gcm, "cloud")
    assert reply.fault == Fault.BAD_PARAMETER
    hmac = phone.build(vcp.UNLOCK, "cloud")
    reply = await phone.deliver(hmac, "bluetooth")
    assert reply.fault == Fault.BAD_PARAMETER
    assert car.latches == "LLLL"


# Roles

_ALL, _NONE = {vcp.UNLOCK, vcp.LOCK, vcp.REMOTE_DRIVE}, set[int]()


@pytest.mark.parametrize(
    ("name", "bluetooth", "cloud"),
    [
        ("owner", _ALL, _ALL),
        ("driver", _ALL, _ALL),
        ("guest", _ALL, _ALL),
        ("fm", _NONE, _ALL),
        ("service", _NONE, {vcp.UNLOCK, vcp.LOCK}),
        ("monitor", _NONE, _NONE),
    ],
)
async def test_roles(car: Any, name: str, bluetooth: set[int], cloud: set[int]) -> None:
    await car.boot()
    phone = car.phone(name)
    await phone.handshake()
    for channel, allowed in (("bluetooth", bluetooth), ("cloud", cloud)):
        for action in (vcp.UNLOCK, vcp.LOCK, vcp.REMOTE_DRIVE):
            reply = await phone.send(action, channel)
            assert reply.sealed
            assert reply.fault == (0 if action in allowed else Fault.INSUFFICIENT_PRIVILEGES)


async def test_unknown_actions_do_nothing(car: Any) -> None:
    await car.boot()
    phone = car.phone("owner")
    await phone.handshake()
    for payload, fault in (
        (b"", Fault.INVALID_COMMAND),
        (b"\x10\x07", Fault.INVALID_COMMAND),
        (b"\xff\xff", Fault.DECODING),
    ):
        reply = await phone.send(None, payload=payload)
        assert (reply.fault, reply.sealed) == (fault, True)
    assert car.pulses() == []


# Key list


async def change(phone: Any, kind: Any, key: Identity, role: int = 0, channel: str = "bluetooth") -> int:
    """Sends a key operation; gives its information, or minus the fault."""
    reply = await phone.send(
        None, channel, payload=vcp.whitelist_payload(WhitelistChange(kind, key.public, role))
    )
    if reply.fault:
        return -int(reply.fault)
    status = vcp.parse_from_vcsec(reply.payload).commandStatus
    assert (status.operationStatus == 0) == (status.whitelistOperationStatus.operationStatus == 0)
    return int(status.whitelistOperationStatus.whitelistOperationInformation)


@pytest.mark.parametrize("channel", ["bluetooth", "cloud"])
async def test_add_change_remove(car: Any, channel: str) -> None:
    await car.boot()
    owner, new = car.phone("owner"), car.phone("stranger")
    await owner.handshake(channel)
    assert await change(owner, "add", new.key, 3, channel) == 0
    await new.handshake()
    assert (await new.send(vcp.UNLOCK)).fault == 0
    assert (await new.send(vcp.REMOTE_DRIVE)).fault == 0
    await car.run(0.2)
    assert car.status()["DriveAuthorised"] == 1
    held_back = new.build(vcp.LOCK)
    assert await change(owner, "change", new.key, 5, channel) == 0
    assert (await new.send(vcp.UNLOCK)).fault == Fault.INSUFFICIENT_PRIVILEGES
    await car.run(0.2)
    assert car.status()["DriveAuthorised"] == 0
    assert await change(owner, "change", new.key, 0, channel) == 0
    assert (await new.send(vcp.UNLOCK)).fault == Fault.INACTIVE_KEY
    assert await change(owner, "remove", new.key, 0, channel) == 0
    assert (await new.send(vcp.UNLOCK)).fault == Fault.UNKNOWN_KEY_ID
    # Back again, in the same epoch: what was signed before stays used up.
    assert await change(owner, "add", new.key, 3, channel) == 0
    assert (await new.deliver(held_back)).fault == Fault.INVALID_TOKEN_OR_COUNTER
    info = await new.handshake()
    assert info.counter >= held_back_counter(held_back)
    assert (await new.send(vcp.UNLOCK)).fault == 0


def held_back_counter(command: vcp.Command) -> int:
    return vcp.parse(command.message).signature_data.AES_GCM_Personalized_data.counter


async def test_revocation_survives_a_reset(car: Any) -> None:
    await car.boot()
    owner, driver = car.phone("owner"), car.phone("driver")
    await owner.handshake()
    await driver.handshake()
    assert await change(owner, "remove", driver.key) == 0
    car.power(0)
    await car.run(1)
    car.power(12_600)
    await car.run(1)
    await driver.handshake()
    await refused(car, driver, Fault.UNKNOWN_KEY_ID)


async def test_only_owners_change_the_list_and_never_themselves(car: Any) -> None:
    await car.boot()
    owner = car.phone("owner")
    await owner.handshake()
    new = Identity.from_seed(b"new")
    for name in ("driver", "guest"):
        phone = car.phone(name)
        await phone.handshake()
        assert await change(phone, "add", new, 2) == -Fault.INSUFFICIENT_PRIVILEGES
        assert await change(phone, "remove", owner.key) == -Fault.INSUFFICIENT_PRIVILEGES
    for name in ("fm", "service"):
        phone = car.phone(name)
        await phone.handshake("cloud")
        assert await change(phone, "add", new, 2, "cloud") == -Fault.INSUFFICIENT_PRIVILEGES
    assert await change(owner, "remove", owner.key) == 2
    assert await change(owner, "change", owner.key, 3) == 11
    assert await change(owner, "add", owner.key, 3) == 13
    assert await change(owner, "remove", new) == 12
    assert await change(owner, "add", new, 0) == 19
    for number in range(12):
        assert await change(owner, "add", Identity.from_seed(b"extra %d" % number), 3) == 0
    assert await change(owner, "add", new, 3) == 4  # 19 keys are on it
    no_point = vcp.whitelist_payload(WhitelistChange("add", b"\x04" + bytes(64), 3))
    assert await change(owner, "remove", Identity.from_seed(b"extra 0")) == 0
    reply = await owner.send(None, payload=no_point)
    status = vcp.parse_from_vcsec(reply.payload).commandStatus
    assert status.whitelistOperationStatus.whitelistOperationInformation == 6


# Answers, connections, push, report


async def test_plain_answers_if_not_asked_to_seal(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    reply = await phone.send(vcp.UNLOCK, flags=0)
    assert (reply.fault, reply.payload, reply.sealed) == (0, b"", False)


async def test_push_and_report_at_every_change(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    cloud, bluetooth = car.port("cloud"), car.port("bluetooth")
    await phone.send(vcp.UNLOCK)
    pushes = [p for _, p in bluetooth.received if p[0] == 0xFF]
    reports = [p for _, p in cloud.received if p[0] == 0xFE]
    assert len(pushes) == len(reports) == 1
    message = vcp.parse(pushes[0][1:])
    assert vcp.is_push(message)
    assert vcp.parse_status(message.protobuf_message_as_bytes).lock == vcp.UNLOCKED
    assert reports[0][1:] == pushes[0][1:]
    car.plant.set_latches("L", ("RL",))
    await car.run(0.5)
    last = vcp.parse(bluetooth.received[-1][1][1:])
    assert vcp.parse_status(last.protobuf_message_as_bytes).lock == vcp.SELECTIVE_UNLOCKED
    car.plant.set_ajar("FL", True)
    await car.run(0.5)
    last = vcp.parse(bluetooth.received[-1][1][1:])
    assert vcp.parse_status(last.protobuf_message_as_bytes).ajar == (True, False, False, False)


async def test_a_mute_tcu_delays_nobody_else(car: Any) -> None:
    """The report's first frame is never answered; Bluetooth and card do not notice."""
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    first = await phone.send(vcp.UNLOCK)
    second = await phone.send(vcp.LOCK)
    assert first.fault == second.fault == 0
    assert "cloud" not in car._ports


async def test_remote_drive_lasts_as_long_as_the_connection(car: Any) -> None:
    await car.boot()
    port = car.port("bluetooth")
    port.send(b"\x80")
    phone = car.phone("driver")
    await phone.handshake()
    assert (await phone.send(vcp.REMOTE_DRIVE)).fault == 0
    await car.run(300)
    assert car.status()["DriveAuthorised"] == 1
    closed = car.kernel.now
    port.send(b"\xc0")
    await car.run(2)
    assert car.status()["DriveAuthorised"] == 0
    lapsed = next(f[0] for f in car.frames if f[0] > closed and f[1] == 0x1A0 and not f[2][1] & 0x10)
    assert lapsed - closed < 200_000


async def test_remote_drive_by_cloud_lasts_120_s(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake("cloud")
    await phone.send(vcp.REMOTE_DRIVE, "cloud")
    await car.run(118)
    assert car.status()["DriveAuthorised"] == 1
    await car.run(2)
    assert car.status()["DriveAuthorised"] == 0


async def test_connections_are_forgotten(car: Any) -> None:
    await car.boot()
    port = car.port("bluetooth")
    for handle in range(3):
        port.send(bytes([0x80 | handle]))
    await car.run(31)
    assert len(car.said("forgotten")) == 3
    phone = car.phone("driver")
    await phone.handshake(handle=2)  # opens it anew
    assert (await phone.send(vcp.UNLOCK, handle=2)).fault == 0
    await car.run(40)
    assert len(car.said("forgotten")) == 3  # proven by a valid command


async def test_no_answer_to_a_connection_that_was_replaced(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    port = car.port("bluetooth")
    port.send(b"\x00" + phone.build(vcp.UNLOCK).message)
    await car.run(0.05)
    seen = len(port.received)
    port.send(b"\x80")
    await car.run(1)
    assert car.latches == "UUUU"
    assert all(payload[0] == 0xFF for _, payload in port.received[seen:])


async def test_too_long_and_broken_messages(car: Any) -> None:
    await car.boot()
    port = car.port("bluetooth")
    for payload in (
        b"\x00" + bytes(1024),
        b"\x00" + bytes(1500),
        b"\x00\xff\xff",
        b"\x07abc",
        b"\x40",
        b"\xff\x01",
    ):
        port.send(payload)
        await car.run(0.7)
    cloud = car.port("cloud")
    for payload in (b"\x06", b"\x01abc", b"\x00\x01", b"\xfe" + bytes(30)):
        cloud.send(payload)
        await car.run(0.5)
    assert car.pulses() == []
    assert car.ecu.ready
    phone = car.phone("driver")
    await phone.handshake()
    assert (await phone.send(vcp.UNLOCK)).fault == 0


async def test_console_never_tells_secrets(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    await phone.handshake()
    await phone.send(vcp.UNLOCK)
    await car.tap()
    text = "\n".join(line for _, line in car.console)
    shared = vcp.shared_key(phone.key, car.provision.identity.public)
    assert shared.hex() not in text
    assert text.startswith("boot 1 ready epoch=")
    assert "bluetooth 0 unlock done" in text
    assert "card accepted" in text
