"""Any bytes on any interface, and a random source that fails: no crash, no movement."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from hardware.ecu.memory import RamMemory
from hardware.ecu.registry import build_ecu
from rig.protocol import vcp
from rig.protocol.keycard import Refusal


@pytest.mark.parametrize("seed", range(8))
def test_any_bytes_on_any_interface(car: Any, seed: int) -> None:
    """SEC-12: frames (valid 0x1B0 and 0x1E0 excepted), bursts and lines at random."""
    rng = random.Random(seed)
    provision = car.provision
    ecu = build_ecu(provision.config(), RamMemory(provision.memory_image()), rng.randbytes, None)
    for door in ("FL", "FR", "RL", "RR"):
        ecu.io_rx(0, f"F {door} L")
    ecu.io_rx(0, "V 12600")
    now = 0
    moved: list[Any] = []
    ids = (0x1C0, 0x1D0, 0x2A0, 0x2B0, 0x500, 0x7A0, 0x7DF, 0x1B0, 0x1E0)
    for _ in range(6000):
        now += rng.choice((1, 50, 300, 5000, 100_000))
        while ecu.deadline is not None and ecu.deadline <= now:
            ecu.tick(ecu.deadline)
        kind = rng.randrange(8)
        if kind < 4:
            can_id = rng.choice(ids)
            data = rng.randbytes(rng.randrange(9))
            if can_id in (0x2A0, 0x2B0) and data:
                data = bytes((rng.choice((0x02, 0x07, 0x10, 0x21, 0x22, 0x30, 0x31)),)) + data[1:]
            if can_id in (0x1B0, 0x1E0):
                data = data[:7]  # never valid
            ecu.can_rx(now, can_id, data)
        elif kind < 6:
            ecu.uart_rx(
                now, rng.choice((b"\x00\x00\xff", b"\xd5\x4b\x01", b"")) + rng.randbytes(rng.randrange(20))
            )
        elif kind == 6:
            ecu.io_rx(
                now,
                rng.choice(("F", "F FL Q", "V", "V -3", "V 9e9", "A XX 1", "H FL 1", "", "M FL U 1", "V ²")),
            )
        else:
            ecu.flood(now, rng.choice((None, 222, 270)))
            ecu.can_state(now, rng.random() < 0.3)
        moved += [o for o in ecu.out if o[0] == "io"]
        ecu.out.clear()
    assert moved == []
    assert ecu.ready


@pytest.mark.parametrize("seed", range(4))
def test_any_messages_on_the_channels(car: Any, seed: int) -> None:
    """Genuine messages with damage anywhere: authenticated nowhere."""
    rng = random.Random(seed)

    async def story() -> None:
        await car.boot()
        phone = car.phone("owner")
        await phone.handshake()
        for _ in range(60):
            channel = rng.choice(("bluetooth", "cloud"))
            data = bytearray(phone.build(vcp.UNLOCK, channel).message)
            how = rng.randrange(3)
            if how == 0:
                # Only what is authenticated: the uuid and the addresses are not.
                command = vcp.parse(bytes(data))
                part = command.signature_data
                body = (
                    part.AES_GCM_Personalized_data if channel == "bluetooth" else part.HMAC_Personalized_data
                )
                tag = bytearray(body.tag)
                tag[rng.randrange(len(tag))] ^= 1 << rng.randrange(8)
                body.tag = bytes(tag)
                data = bytearray(command.SerializeToString())
            elif how == 1:
                data = data[: rng.randrange(len(data) - 20)]
            else:
                data = bytearray(rng.randbytes(rng.randrange(1, 400)))
            car.port(channel).send(b"\x00" + bytes(data))
            await car.run(0.1)
        assert car.pulses() == []
        assert (await phone.send(vcp.UNLOCK)).fault == 0

    car.kernel.run(story(), until=100)


class Broken:
    """A random source that fails from its n-th draw on, and perhaps works again."""

    def __init__(self, fails_at: int, works_at: int, how: str) -> None:
        self.draws = 0
        self._fails_at, self._works_at, self._how = fails_at, works_at, how
        self._rng = random.Random(5)

    def mend(self) -> None:
        """Works from now on."""
        self._works_at = self.draws

    def __call__(self, count: int) -> bytes:
        self.draws += 1
        if self._fails_at <= self.draws < self._works_at:
            return {"zero": bytes(count), "same": b"\x11\x22" * (count // 2), "short": b""}[self._how]
        return self._rng.randbytes(count)


@pytest.mark.parametrize("how", ["zero", "same", "short"])
def test_without_randomness_remote_requests_are_refused(make_car: Any, how: str, car: Any) -> None:
    broken: Callable[[int], bytes] = Broken(1, 10**9, how)
    car.ecu._random = broken

    async def story() -> None:
        await car.boot()
        phone = car.phone("driver")
        with pytest.raises(AssertionError):  # refused: no session info
            await phone.handshake()
        await car.tap()
        assert car.latches == "LLLL"
        assert car.status()["LastRefusal"] == Refusal.CARD_NO_CHALLENGE
        assert car.said("random source failed")

    car.kernel.run(story(), until=60)


def test_a_source_that_failed_at_boot_and_works_again_is_used_again(car: Any) -> None:
    car.ecu._random = Broken(1, 2, "zero")

    async def story() -> None:
        await car.boot()
        assert car.said("random source failed")
        await car.tap()  # a fresh challenge can be had
        assert car.latches == "UUUU"
        info = await car.phone("driver").handshake()
        assert len(info.epoch) == vcp.EPOCH_BYTES
        assert car.said("random source works again")

    car.kernel.run(story(), until=60)


def test_a_source_that_fails_in_use_refuses_remote_requests_until_it_works_again(car: Any) -> None:
    source = car.ecu._random = Broken(3, 10**9, "zero")

    async def story() -> None:
        await car.boot()
        phone = car.phone("driver")
        await phone.handshake()
        await phone.send(vcp.LOCK)  # its answer finds the failure
        since = car.kernel.now
        refused = phone.build(vcp.UNLOCK)
        assert (await phone.deliver(refused)).fault == vcp.Fault.INTERNAL
        assert car.pulses(since) == []
        source.mend()
        # What was refused once is never taken later.
        assert (await phone.deliver(refused)).fault == vcp.Fault.INVALID_TOKEN_OR_COUNTER
        assert car.pulses(since) == []
        reply = await phone.send(vcp.UNLOCK)
        assert reply.fault == 0
        assert car.latches == "UUUU"

    car.kernel.run(story(), until=60)


def test_every_boot_has_a_fresh_epoch(car: Any) -> None:
    epochs: list[bytes] = []

    async def story() -> None:
        await car.boot()
        for _ in range(5):
            epochs.append((await car.phone("driver").handshake()).epoch)
            car.power(0)
            await car.run(0.1)
            car.power(12_600)
            await car.run(1)

    car.kernel.run(story(), until=60)
    assert len(set(epochs)) == 5
