"""The three ways in, end to end through simulated lines, with hand-made messages."""

from __future__ import annotations

from typing import Any

from rig.protocol import vcp


async def test_card_opens_the_door(car: Any) -> None:
    await car.boot()
    since = car.kernel.now
    await car.tap()
    assert car.latches == "UUUU"
    opened = max(at for at, kind, rest in car.events if kind == "latch" and rest[1] == "U")
    assert opened - since < 1_000_000  # AVL-4
    assert car.status()["LastSource"] == 3
    assert car.status()["DriveAuthorised"] == 1


async def test_bluetooth_unlocks_after_handshake(car: Any) -> None:
    await car.boot()
    phone = car.phone("driver")
    info = await phone.handshake()
    assert info.status == vcp.STATUS_OK
    assert len(info.epoch) == 16
    reply = await phone.send(vcp.UNLOCK)
    assert reply is not None
    assert (reply.fault, reply.payload, reply.sealed) == (0, b"", True)
    assert car.latches == "UUUU"
    flipped = max(at for at, kind, _ in car.events if kind == "latch")
    assert reply.at_us > flipped  # after the feedback, not after the command


async def test_cloud_unlocks_after_handshake(car: Any) -> None:
    await car.boot()
    phone = car.phone("fm")
    await phone.handshake("cloud")
    reply = await phone.send(vcp.UNLOCK, "cloud")
    assert reply is not None
    assert (reply.fault, reply.payload, reply.sealed) == (0, b"", True)
    assert car.latches == "UUUU"
    assert car.status()["LastSource"] == 1
