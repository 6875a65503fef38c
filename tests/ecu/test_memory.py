"""Memory: images, two slots, and a power cut at every instant."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from hardware.ecu.memory import (
    FileMemory,
    Image,
    KeyRecord,
    PowerCut,
    RamMemory,
    Store,
    decode_image,
    encode_image,
)
from rig.protocol import vcp
from rig.protocol.vcp import Fault, WhitelistChange


def image(counter: int = 0) -> Image:
    keys = [KeyRecord(bytes([4]) + bytes([n]) * 64, 3, n != 2, counter + n) for n in range(1, 5)]
    return Image(7, keys, [bytes([4]) * 65], 9, True, False, b"later")


def test_image_round_trip() -> None:
    assert decode_image(encode_image(image(), 12)) == (12, image())
    assert decode_image(encode_image(image(), 12).ljust(4096, b"\xff")) == (12, image())


def test_any_damage_is_noticed() -> None:
    data = encode_image(image(), 12)
    rng = random.Random(3)
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << rng.randrange(8)
        assert decode_image(bytes(broken)) is None
    for length in range(len(data)):
        assert decode_image(data[:length]) is None


def test_a_cut_at_every_byte_leaves_the_old_or_the_new() -> None:
    old, new = image(0), image(100)
    start = encode_image(old, 1)
    total = 2 * len(encode_image(new, 2))
    for cut in range(total + 1):
        memory = RamMemory(start, cut_after=cut)
        store = Store(memory)
        store.image = image(100)
        try:
            store.commit()
            done = True
        except PowerCut:
            done = False
        memory.cut_after = None
        after = Store(memory)
        assert not after.damaged
        assert after.image == new if done else after.image in (old, new)
        assert done == (cut == total)
        # And the next commit mends it.
        after.image.boot_count += 1
        after.commit()
        assert memory.slots[0] == memory.slots[1]


def test_a_slot_that_rots_later_brings_nothing_back() -> None:
    memory = RamMemory(encode_image(image(), 1))
    store = Store(memory)
    del store.image.keys[0]
    store.commit()
    for slot in (0, 1):
        rotten = RamMemory()
        rotten.slots = list(memory.slots)
        rotten.slots[slot] = bytes(100)
        again = Store(rotten)
        assert again.repaired
        assert len(again.image.keys) == 3


def test_both_slots_damaged_means_no_keys_and_no_overwriting() -> None:
    memory = RamMemory(b"\x00" * 200)
    store = Store(memory)
    assert store.damaged
    assert store.image.keys == []
    store.commit()
    assert memory.slots == [b"\x00" * 200] * 2


def test_file_memory(tmp_path: Path) -> None:
    path = tmp_path / "ecu.bin"
    first = FileMemory(path, encode_image(image(), 1))
    store = Store(first)
    assert store.image == image()
    store.image.boot_count = 99
    store.commit()
    again = FileMemory(path, encode_image(image(), 1))
    assert Store(again).image.boot_count == 99
    with pytest.raises(ValueError, match="slot"):
        again.write(0, bytes(5000))


async def cycle(car: Any) -> None:
    """Off and on again; once more if the cut came in this very boot."""
    for _ in range(2):
        car.power(0)
        await car.run(0.3)
        car.power(12_600)
        await car.run(0.7)
        if car.ecu.ready:
            return


def cuts(total: int, slot: int) -> list[int]:
    """At every write boundary, one byte around it, and here and there between."""
    edges = {n * slot + d for n in range(total // slot + 1) for d in (-1, 0, 1)}
    return sorted(c for c in edges | set(range(0, total, 211)) if 0 <= c < total)


def test_a_cut_anywhere_in_boot_unlock_and_revocation(make_car: Any, car: Any) -> None:
    """Never opens by itself, never forgets an acknowledged revocation, never takes a counter twice."""
    start = car.provision.memory_image()
    slot = len(start)

    def play(cut: int | None) -> tuple[int, bool]:
        memory = RamMemory(start, cut_after=cut)
        one = make_car(memory=memory)
        written: list[int] = []

        async def story() -> bool:
            one.plant.set_latches("L")
            one.power(12_600)
            await one.run(0.7)
            if not one.ecu.powered:  # cut while it booted
                assert one.pulses() == []
                await cycle(one)
            assert one.ecu.ready
            owner, driver = one.phone("owner"), one.phone("driver")
            acknowledged = done = False
            try:
                await owner.handshake()
                await driver.handshake()
            except AssertionError:
                await cycle(one)
                await owner.handshake()
                await driver.handshake()
            unlock = driver.build(vcp.UNLOCK)
            reply = await driver.deliver(unlock)
            done = reply is not None and reply.fault == 0
            assert done == (one.latches == "UUUU") or not one.ecu.powered
            pulses = len(one.pulses())
            if not one.ecu.powered:
                await cycle(one)
                again = await driver.deliver(unlock)
                assert again is not None
                assert again.fault == Fault.INCORRECT_EPOCH
                await owner.handshake()
                await driver.handshake()
                assert len(one.pulses()) == pulses
            payload = vcp.whitelist_payload(WhitelistChange("remove", driver.key.public))
            revoked = await owner.send(None, payload=payload)
            acknowledged = revoked is not None and revoked.fault == 0
            await cycle(one)
            info = await driver.handshake()
            if acknowledged:
                assert info.status == vcp.STATUS_NOT_ENROLLED
            else:
                assert info.counter in (0, 1, 2)
            memory.cut_after = None
            written.append(memory.written)
            # The others still work.
            await owner.handshake()
            assert (await owner.send(vcp.LOCK)).fault == 0
            assert one.latches == "LLLL"
            return acknowledged

        ok = one.kernel.run(story(), until=60)
        return written[-1], ok

    total, ok = play(None)
    assert ok
    outcomes = [play(cut)[1] for cut in cuts(total, slot)]
    assert outcomes.count(False) > 0
    assert outcomes.count(True) > 10


async def test_damaged_memory_never_opens(make_car: Any, car: Any) -> None:
    one = make_car(memory=RamMemory(b"\xa5" * 300))

    async def story() -> None:
        await one.boot()
        phone = one.phone("owner")
        await phone.handshake()
        assert (await phone.send(vcp.UNLOCK)).fault == Fault.UNKNOWN_KEY_ID
        await one.tap()
        assert one.latches == "LLLL"
        assert one.said("memory damaged")

    one.kernel.run(story(), until=60)
    await car.boot()
