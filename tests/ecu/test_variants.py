"""Every correct variant does what its text says, keeps what every ECU must keep, and skips idle cycles exactly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from hardware.ecu.core import Parts
from hardware.ecu.defects import DEFECTS
from hardware.ecu.variants import VARIANTS
from rig.protocol import vcp
from tests.ecu.symptoms.scenes import ready_phone
from tests.ecu.test_skip import outcome

NAMES = sorted(VARIANTS)
MS = 1000
Story = Callable[[Any], Awaitable[Any]]


def play(car: Any, story: Story) -> Any:
    """What a story on a car gives."""
    return car.kernel.run(story(car), until=1000)


def test_they_are_many_and_no_defects() -> None:
    assert len(VARIANTS) >= 10
    assert not set(VARIANTS) & set(DEFECTS)
    for name, variant in VARIANTS.items():
        assert (variant.name, variant.kind, variant.requirements) == (name, "variant", ())
        assert variant.text
        assert variant.build(Parts()) != Parts()


# What every ECU must keep


@pytest.mark.parametrize("name", NAMES)
def test_a_tap_opens_within_a_second_whenever_it_comes(make_car: Any, name: str) -> None:
    for phase_ms in range(0, 300, 43):
        car = make_car(defect=name)

        async def story(car: Any, phase_ms: int = phase_ms) -> int:
            await car.boot()
            await car.run(2 + phase_ms / 1000)
            start = int(car.kernel.now)
            car.card.answer_delay_us = 200 * MS
            await car.tap(1)
            assert car.latches == "UUUU"
            return max(at for at, kind, _ in car.events if kind == "latch") - start

        assert play(car, story) <= 1000 * MS


@pytest.mark.parametrize("name", NAMES)
def test_half_a_second_without_a_card_makes_the_next_one_a_tap(make_car: Any, name: str) -> None:
    for phase_ms in range(0, 300, 31):
        car = make_car(defect=name)

        async def story(car: Any, phase_ms: int = phase_ms) -> None:
            await car.boot()
            await car.tap(1)
            await car.run(11)  # longer ago than 10 s: the next tap locks
            await car.tap(1)
            assert car.latches == "LLLL"
            await car.run(0.001 * phase_ms)
            car.reader.place(car.card)
            await car.run(3)  # rests: acts once
            assert len(car.said("card accepted")) in (2, 3)
            car.reader.remove(car.card)
            taps = len(car.said("card accepted"))
            await car.run(0.52)
            await car.tap(1.2)
            assert len(car.said("card accepted")) == taps + 1

        play(car, story)


@pytest.mark.parametrize("name", NAMES)
def test_unlock_lock_and_relock(make_car: Any, name: str) -> None:
    async def story(car: Any) -> None:
        phone = await ready_phone(car)
        assert (await phone.send(vcp.UNLOCK)).fault == 0
        assert car.latches == "UUUU"
        assert (await phone.send(vcp.LOCK)).fault == 0
        assert car.latches == "LLLL"
        reply = await phone.send(vcp.UNLOCK)
        assert reply.sealed
        opened = car.pulses(0, "U")[-1][0]
        await car.run(32)
        relock = next(at for at, _, _ in car.pulses(opened, "L"))
        assert 29_000 * MS <= relock - opened <= 31_000 * MS

    play(make_car(defect=name), story)


@pytest.mark.parametrize("name", NAMES)
def test_two_stuck_pulses_are_overcome(make_car: Any, name: str) -> None:
    car = make_car(defect=name)
    tried: list[str] = []

    def sticks(door: str, _way: str) -> bool:
        tried.append(door)
        return tried.count(door) <= 2

    async def story(car: Any) -> None:
        car.stuck = sticks
        phone = await ready_phone(car)
        start = car.kernel.now
        await phone.send(vcp.UNLOCK, wait_s=2)
        assert car.latches == "UUUU"
        for door in ("FL", "FR", "RL", "RR"):
            starts = [at for at, d, _ in car.pulses(start) if d == door]
            assert len(starts) == 3
            assert max(b - a for a, b in pairwise(starts)) <= 251 * MS

    play(car, story)


@pytest.mark.parametrize("name", NAMES)
def test_lock_status_keeps_its_cycle_and_tells_changes_in_time(make_car: Any, name: str) -> None:
    async def story(car: Any) -> None:
        phone = await ready_phone(car)
        await phone.send(vcp.UNLOCK)
        frames = [(at, data) for at, can_id, data, _ in car.frames if can_id == 0x1A0]
        cycle = [
            frame for i, frame in enumerate(frames) if i == 0 or frame[1][1] & 15 != frames[i - 1][1][1] & 15
        ]
        for before, after in pairwise(cycle):
            assert 90 * MS <= after[0] - before[0] <= 110 * MS
            assert (after[1][1] & 15) == ((before[1][1] & 15) + 1) % 15
        last = max(at for at, kind, _ in car.events if kind == "latch")
        decode = car.codecs["LockStatus"].decode
        assert any(last <= at <= last + 20 * MS and decode(d)["Door_RR"] == 1 for at, d in frames)

    play(make_car(defect=name), story)


@pytest.mark.parametrize("name", sorted(n for n, v in VARIANTS.items() if v.build(Parts()).idle_skip))
@pytest.mark.parametrize("scene", ["card", "bluetooth", "asleep"])
def test_the_same_with_and_without_skipping(make_car: Any, name: str, scene: str) -> None:
    plant, late, none = outcome(partial(make_car, defect=name), False, 61_000, scene)
    skipped = outcome(partial(make_car, defect=name), True, 61_000, scene)
    assert none == 0
    assert skipped[2] >= 20_000_000
    assert skipped[:2] == (plant, late)


def test_an_ecu_whose_cycle_does_not_fit_offers_no_skipping(make_car: Any) -> None:
    for name in NAMES:
        parts = VARIANTS[name].build(Parts())
        fits = 100 * MS % getattr(parts.status, "CYCLE_US") == 0  # noqa: B009 (a factory in general)
        assert parts.idle_skip == fits
        assert ("idle.skip" in make_car(defect=name).edges.capabilities) == fits


# What each does otherwise


async def poll_period(car: Any) -> int:
    """Time between polls of an empty field, in µs."""
    await car.boot()
    starts, was = [], False
    for _ in range(3000):
        await car.run(0.0005)
        now = car.ecu._core.reader.exchanging
        if now and not was:
            starts.append(car.kernel.now)
        was = now
    return int(min(b - a for a, b in pairwise(starts[2:])))


async def boot_time(car: Any) -> int:
    """From the supply to the banner."""
    await car.boot()
    return int(car.said("boot ")[0])


async def cycle(car: Any) -> int:
    """Between the last two LockStatus."""
    await car.boot()
    await car.run(1)
    times = [at for at, can_id, _, _ in car.frames if can_id == 0x1A0]
    return int(times[-1] - times[-2])


async def extra(car: Any) -> int:
    """From a change to the extra LockStatus, at most."""
    await car.boot()
    await car.run(0.05)
    start = car.kernel.now
    car.plant.set_latches("U", ("FL",))
    await car.run(0.03)
    return int(next(at for at, can_id, _, _ in car.frames if can_id == 0x1A0 and at > start) - start)


async def answer(car: Any) -> int:
    """From the last latch to the answer."""
    phone = await ready_phone(car)
    reply = await phone.send(vcp.UNLOCK)
    return int(reply.at_us - max(at for at, kind, _ in car.events if kind == "latch"))


async def push(car: Any) -> int:
    """From the last latch to the push."""
    car.port("bluetooth")
    phone = await ready_phone(car)
    await phone.send(vcp.UNLOCK)
    at = next(at for at, payload in car.port("bluetooth").received if payload[0] == 0xFF)
    return int(at - max(at for at, kind, _ in car.events if kind == "latch"))


async def pulse(car: Any) -> int:
    """How long a drive is on."""
    await answer(car)
    times = [at for at, kind, rest in car.events if kind == "motor" and rest[0] == "FL"]
    return int(times[1] - times[0])


async def spread(car: Any) -> int:
    """From the front left motor's start to the rear right one's."""
    await answer(car)
    starts = {door: at for at, door, _ in car.pulses()}
    return int(starts["RR"] - starts["FL"])


async def relock(car: Any) -> int:
    """From the unlock's first pulse to the relock's."""
    await answer(car)
    await car.run(32)
    return int(car.pulses(0, "L")[0][0] - car.pulses(0, "U")[0][0])


async def retry(car: Any) -> int:
    """From a pulse to the next of a stuck latch."""
    car.stuck = lambda _door, _way: True
    phone = await ready_phone(car)
    await phone.send(vcp.UNLOCK)
    starts = [at for at, door, _ in car.pulses() if door == "FL"]
    return int(starts[1] - starts[0])


async def answer_numbers(car: Any) -> int:
    """Between the numbers of two sealed answers."""
    phone = await ready_phone(car)
    numbers = []
    for _ in range(2):
        await phone.send(vcp.UNLOCK)
        answers = [vcp.parse(payload[1:]) for _, payload in car.port("bluetooth").received]
        numbers.append(
            [m.signature_data.AES_GCM_Response_data.counter for m in answers if not vcp.is_push(m)][-1]
        )
    return int(numbers[1] - numbers[0])


async def handshake(car: Any) -> int:
    """From a request to its session info, both on the bus."""
    await car.boot()
    await car.phone("driver").handshake()
    request = max(at for at, can_id, data, _ in car.frames if can_id == 0x2B0 and data[0] >> 4 == 2)
    return int(next(at for at, can_id, _, _ in car.frames if can_id == 0x2B8 and at > request) - request)


DIFFERENCES: dict[str, tuple[Callable[[Any], Awaitable[int]], int, int]] = {
    "poll_50ms": (poll_period, 49_000, 51_000),
    "poll_120ms": (poll_period, 119_000, 121_000),
    "poll_300ms": (poll_period, 299_000, 301_000),
    "boot_50ms": (boot_time, 50_000, 51_000),
    "boot_950ms": (boot_time, 950_000, 951_000),
    "status_93ms": (cycle, 92_900, 93_100),
    "status_107ms": (cycle, 106_900, 107_100),
    "extra_at_once": (extra, 0, 1_500),
    "extra_after_17ms": (extra, 17_000, 19_000),
    "crypto_3ms": (handshake, 3_000, 4_000),
    "answers_100ms_later": (answer, 100_000, 120_000),
    "answers_300ms_later": (answer, 300_000, 320_000),
    "report_80ms_later": (push, 80_000, 90_000),
    "answer_counter_gaps": (answer_numbers, 17, 17),
    "pulse_152ms": (pulse, 152_000, 152_500),
    "pulse_200ms": (pulse, 200_000, 200_500),
    "retry_65ms": (retry, 219_000, 222_000),
    "staggered": (spread, 120_000, 121_000),
    "rear_first": (spread, -121_000, -120_000),
    "relock_29_3s": (relock, 29_300_000, 29_600_000),
    "relock_30_7s": (relock, 30_700_000, 31_000_000),
}


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_it_does_what_its_text_says_and_the_healthy_one_does_not(make_car: Any, name: str) -> None:
    measure, least, most = DIFFERENCES[name]
    assert least <= play(make_car(defect=name), measure) <= most
    assert not least <= play(make_car(), measure) <= most


async def report_before_answer(car: Any) -> bool:
    """Whether the push came first."""
    phone = await ready_phone(car)
    reply = await phone.send(vcp.UNLOCK)
    at = next(at for at, payload in car.port("bluetooth").received if payload[0] == 0xFF)
    return bool(at < reply.at_us)


def test_the_push_may_come_first(make_car: Any) -> None:
    assert play(make_car(defect="report_first"), report_before_answer)
    assert not play(make_car(), report_before_answer)


def test_a_reader_that_misses_a_command_is_not_asked_again(make_car: Any) -> None:
    """But set up again at the next turn; a tap works all the same."""

    async def story(car: Any) -> tuple[bool, bool]:
        await car.boot()
        reader = car.ecu._core.reader
        while not reader.exchanging:
            await car.run(0.0001)
        reader.received = lambda _data: None  # what the reader says is lost
        await car.run(0.03)
        del reader.received
        failed = bool(car.said("reader fault"))
        await car.run(1)
        await car.tap()
        return failed, car.latches == "UUUU"

    assert play(make_car(defect="reader_not_repeated"), story) == (True, True)
    assert play(make_car(), story) == (False, True)
