"""Key card and reader: taps, refusals, a reader that fails, other lines that fail."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from rig.protocol import pn532
from rig.protocol.keycard import CardKey, Refusal
from rig.sim.card import Card


def stranger() -> Card:
    return Card(CardKey.from_seed(b"another card"))


async def test_every_phase_of_the_poll_is_fast_enough(make_car: Any, car: Any) -> None:
    await car.boot()
    worst = 0
    for phase in range(20):
        one = make_car()

        async def story(one: Any = one, phase: int = phase) -> int:
            await one.boot()
            await one.run(0.0125 * phase)
            start: int = one.kernel.now
            await one.tap(0.9)
            assert one.latches == "UUUU"
            return max(at for at, kind, _ in one.events if kind == "latch") - start

        worst = max(worst, one.kernel.run(story(), until=10))
    assert worst < 700_000


async def test_a_resting_card_acts_once(car: Any) -> None:
    await car.boot()
    car.reader.place(car.card)
    await car.run(25)
    assert car.latches == "UUUU"
    assert len(car.said("card accepted")) == 1


async def test_a_card_at_ready_is_no_tap_until_it_was_away(car: Any) -> None:
    car.reader.place(car.card)
    await car.boot()
    await car.run(3)
    assert car.latches == "LLLL"
    car.reader.remove(car.card)
    await car.run(0.75)
    await car.tap()
    assert car.latches == "UUUU"


async def test_a_tap_soon_after_ready_counts(car: Any) -> None:
    car.plant.set_supply(12_600)
    while not car.ecu.ready:
        await car.run(0.01)
    await car.run(0.06)
    await car.tap(0.9)
    assert car.latches == "UUUU"


async def test_locks_only_10_s_after_the_last_unlock(car: Any) -> None:
    await car.boot()
    await car.tap(0.8)
    await car.run(1)
    await car.tap(0.8)  # soon: authorises, moves nothing
    assert car.latches == "UUUU"
    await car.run(10)
    car.restbus("InteriorSwitch", Request=0)
    await car.tap(0.8)
    assert car.latches == "LLLL"
    assert car.status()["LastSource"] == 3
    await car.run(1)
    await car.tap(0.8)
    assert car.latches == "UUUU"


async def test_after_a_boot_the_last_unlock_counts_as_at_ready(car: Any) -> None:
    await car.boot("U")
    await car.run(1)
    await car.tap(0.8)
    assert car.latches == "UUUU"
    await car.run(9)
    await car.tap(0.8)
    assert car.latches == "LLLL"


async def test_a_tap_unlocks_mixed_and_faulty_doors(car: Any) -> None:
    await car.boot("U")
    await car.run(12)
    car.plant.set_latches("L", ("RR",))
    await car.tap()
    assert car.latches == "UUUU"
    assert [door for _, door, _ in car.pulses()] == ["RR"]


async def test_card_drive_authority_lapses(car: Any) -> None:
    await car.boot()
    await car.tap()
    assert car.status()["DriveAuthorised"] == 1
    await car.run(121)
    assert car.status()["DriveAuthorised"] == 0


@pytest.mark.parametrize("kind", ["unknown", "wrong answer", "torn", "two", "no applet"])
async def test_refused_and_the_next_good_tap_works(car: Any, kind: str) -> None:
    await car.boot()
    if kind == "unknown":
        await car.tap(0.8, stranger())
        expected = Refusal.CARD_UNKNOWN
    elif kind == "wrong answer":

        class Copy(Card):
            """Shows the enrolled card's public key, but does not have the private one."""

            def respond(self, apdu: bytes, rng: random.Random) -> bytes:
                return bytes(16) + b"\x90\x00" if apdu[1] == 0x11 else car.card.respond(apdu, rng)

        await car.tap(0.8, Copy(CardKey.from_seed(b"another card")))
        expected = Refusal.CARD_WRONG_ANSWER
    elif kind == "torn":
        car.reader.place(car.card)
        while not car.ecu._core.card_auth.active:
            await car.run(0.001)
        await car.run(0.045)
        car.reader.remove(car.card)
        await car.run(1)
        expected = Refusal.CARD_TORN
    elif kind == "two":
        other = stranger()
        car.reader.place(other)
        car.reader.place(car.card)
        await car.run(0.8)
        car.reader.remove(other)
        car.reader.remove(car.card)
        expected = Refusal.CARD_COLLISION
    else:

        class Transit(Card):
            def respond(self, apdu: bytes, rng: random.Random) -> bytes:
                return b"\x6a\x82"

        await car.tap(0.8, Transit(CardKey.from_seed(b"another card")))
        expected = Refusal.CARD_NO_APPLET
    await car.run(0.2)
    assert car.latches == "LLLL"
    assert car.pulses() == []
    assert car.status()["LastRefusal"] == expected
    assert car.status()["DriveAuthorised"] == 0
    await car.run(0.6)
    await car.tap()
    assert car.latches == "UUUU"


async def test_a_slow_card_is_healthy(car: Any) -> None:
    await car.boot()
    slow = Card(CardKey.from_seed(b"card"), answer_delay_us=200_000)
    await car.tap(2, slow)
    assert car.latches == "UUUU"


async def test_every_challenge_is_fresh(car: Any) -> None:
    seen: list[bytes] = []

    class Spy(Card):
        def respond(self, apdu: bytes, rng: random.Random) -> bytes:
            if apdu[1] == 0x11:
                seen.append(apdu[-17:-1])
            return super().respond(apdu, rng)

    await car.boot()
    for _ in range(4):
        await car.tap(0.8, Spy(CardKey.from_seed(b"card")))
        await car.run(0.8)
    assert len(set(seen)) == len(seen) == 4


async def test_the_card_needs_no_bus(car: Any) -> None:
    await car.boot()
    car.edges.bus.set_dut_bus_off(True)
    await car.tap()
    assert car.latches == "UUUU"


async def test_a_mute_reader_is_set_up_again(car: Any) -> None:
    await car.boot()
    for tampered in (car.edges._uart.a, car.edges._uart.b):
        tampered.tamper = lambda data: b""
        await car.run(3)
        tampered.tamper = None
        await car.run(0.6)
        assert car.ecu._core.reader.working
    assert len(car.said("reader fault")) == 2
    car.reader.reset()
    await car.tap(1.5)
    assert car.latches == "UUUU"


async def test_garbled_nack_and_error_frames_are_survived(car: Any) -> None:
    await car.boot()
    rng = random.Random(7)
    for answer in (pn532.NACK, pn532.ERROR, pn532.ACK, None):
        car.edges._uart.a.tamper = lambda data, answer=answer: (
            answer if answer is not None else rng.randbytes(len(data))
        )
        await car.run(2)
        car.edges._uart.a.tamper = None
        await car.run(1)
    assert car.pulses() == []
    await car.tap()
    assert car.latches == "UUUU"


async def test_polls_on_a_grid_asleep_too(car: Any) -> None:
    times: list[int] = []

    def spy(data: bytes) -> bytes:
        if pn532.frame(pn532.HOST_TO_READER, b"\x4a\x02\x00") in data:
            times.append(car.kernel.now)
        return data

    car.edges._uart.b.tamper = spy
    await car.boot()
    await car.run(80)
    assert car.said("asleep")
    gaps = {b - a for a, b in pairwise(times[2:])}
    assert max(gaps) <= 300_000
    assert len(gaps) <= 3


async def test_a_tap_wakes(car: Any) -> None:
    await car.boot()
    await car.run(70)
    assert car.said("asleep")
    start = car.kernel.now
    await car.tap(0.9)
    assert car.latches == "UUUU"
    assert max(at for at, kind, _ in car.events if kind == "latch") - start < 1_000_000
