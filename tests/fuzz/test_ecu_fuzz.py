"""The emulated ECU under any bytes on any line, in every state: no crash, no hang, no movement, and it recovers.

Hypothesis draws and shrinks; `target` leads it to trains that make the console say more different things.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given, target

from rig.kernel import ActorError
from rig.protocol import vcp
from rig.protocol.keycard import CardKey
from rig.sim.card import Card
from tests.ecu.conftest import Car
from tests.fuzz.bytesfuzz import TRAINS, Frame, Input, Line, Noise, Payload, Serial, effort

HANG_S = 1.0
CYCLE_GAP_US = 300_000
"""LockStatus comes every 100 ms; what is heard on the bus may delay one, never stop it."""
CARD_US = 1_000_000
"""AVL-4: the card alone, from the tap."""
LOCK_STATUS = 0x1A0
Train = list[tuple[Input, int]]
State = Callable[[Noise], Awaitable[None]]


async def cold(_: Noise) -> None:
    """No supply."""


async def booting(noise: Noise) -> None:
    """Not ready yet."""
    noise.car.power()
    await noise.car.run(0.02)


async def ready(noise: Noise) -> None:
    """Nothing under way."""
    await noise.car.boot()


async def session(noise: Noise) -> None:
    """Two phones have a session."""
    await noise.car.boot()
    await noise.monitor.handshake()
    await noise.owner.handshake("cloud")


async def transfer(noise: Noise) -> None:
    """Receiving on both channels."""
    await session(noise)
    for channel in ("bluetooth", "cloud"):
        noise.car.port(channel).send(bytes(900))
    await noise.car.run(0.01)


async def answering(noise: Noise) -> None:
    """Sending: its first frame is out, and nobody has taken it yet."""
    await session(noise)
    car = noise.car
    car.port("bluetooth").send(b"\x00" + noise.monitor.build(vcp.UNLOCK).message)
    while not any(can_id == 0x2B8 for _, can_id, _, _ in car.frames[-3:]):
        await car.run(0.0005)


async def tap(noise: Noise) -> None:
    """A foreign card is being asked."""
    await noise.car.boot()
    noise.car.reader.place(Card(CardKey.from_seed(b"foreign")))
    await noise.car.run(0.2)


async def moving(noise: Noise) -> None:
    """The motors lock."""
    await noise.car.boot("U")
    await noise.owner.handshake()
    noise.car.port("bluetooth").send(b"\x00" + noise.owner.build(vcp.LOCK).message)
    while not noise.car.pulses():
        await noise.car.run(0.005)


async def low(noise: Noise) -> None:
    """The supply is too low to move anything."""
    await session(noise)
    noise.car.power(7_500)


async def bus_off(noise: Noise) -> None:
    """Its CAN controller is off the bus."""
    await session(noise)
    noise.car.edges.bus.set_dut_bus_off(True)


async def asleep(noise: Noise) -> None:
    """Nothing happened for a minute."""
    await session(noise)
    await noise.car.run(62)


STATES: dict[State, int] = {
    cold: 6, booting: 10, ready: 25, session: 60, transfer: 40, answering: 30, tap: 40, moving: 40, low: 15,
    bus_off: 15, asleep: 6,
}  # fmt: skip


AWAKE = frozenset((ready, session, transfer, answering, tap, moving, low))
"""States in which LockStatus runs."""
UP = AWAKE | {bus_off, asleep}
"""States in which the ECU has booted."""


async def _endure(noise: Noise, state: State, train: Train) -> None:
    car = noise.car
    await state(noise)
    begun = car.kernel.now
    cpu = time.process_time()
    for one, gap_us in train:
        one.send(noise)
        if gap_us:
            await car.run(gap_us / 1e6)
    await car.run(2)
    assert time.process_time() - cpu < HANG_S, "it hangs"
    moved = car.pulses(begun)
    if state is moving:
        moved = [pulse for pulse in moved if pulse[2] != "L"]
    assert moved == [], "nobody may open this car"
    if state in UP:
        assert not [line for at, line in car.console if at >= begun and line.startswith("boot ")], (
            "it starts anew"
        )
    if state in AWAKE:
        told = [begun, *(f[0] for f in car.frames if f[0] >= begun and f[1] == LOCK_STATUS), car.kernel.now]
        assert max(b - a for a, b in pairwise(told)) <= CYCLE_GAP_US, "LockStatus pauses"


async def _recover(noise: Noise) -> None:
    """All that ailed is gone: its cycle runs, and the enrolled card opens in time."""
    car = noise.car
    for card in car.reader.field:
        car.reader.remove(card)
    car.power()
    car.edges.bus.set_dut_bus_off(False)
    await car.run(2.5)
    assert car.ecu.ready
    before = len(car.frames)
    car.reader.place(car.card)
    placed = car.kernel.now
    await car.run_until(placed + CARD_US)
    assert car.latches == "UUUU", "the enrolled card opens no more"
    await car.run(0.5)
    since = len(car.frames)
    await car.run(1)
    cycle = [f for f in car.frames[since:] if f[1] == LOCK_STATUS]
    assert len(car.frames) > before
    assert len(cycle) >= 9, "LockStatus lost its cycle"


def _live(state: State, train: Train, defect: str | None = None) -> Car:
    car = Car(defect)
    car.plant.set_latches("L")
    noise = Noise(car, car.phone("monitor"), car.phone("owner"))

    async def story() -> None:
        await _endure(noise, state, train)
        await _recover(noise)

    car.kernel.run(story(), until=1000)
    assert car.kernel.notes == []
    return car


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_any_bytes_in_any_state(state: State) -> None:
    """SEC-12."""

    @effort(STATES[state])
    @given(TRAINS)
    def lives(train: Train) -> None:
        car = _live(state, train)
        target(float(len({line for _, line in car.console})))

    lives()


FOUND = {
    "parse_error_opens": "nobody may open",
    "crash_reboots_on_garbage": "starts anew",
    "hangs_on_garbage": "LockStatus pauses",
}


@pytest.mark.parametrize("defect", FOUND)
def test_planted_defects_are_found(defect: str) -> None:
    """One of each; so the checks above do see something."""
    with pytest.raises(ActorError, match=FOUND[defect]):
        _live(ready, [(Payload("bluetooth", b"\x00\xff\xff\xff"), 0)] * 2, defect)


def test_memory_stays_bounded() -> None:
    """Half-said things of every kind for an hour leave nothing behind."""
    car = Car()
    noise = Noise(car, car.phone("monitor"), car.phone("owner"))
    pieces: list[Input] = [
        Frame(0x2B0, b"\x14\x01\x00\x08\x01\x02\x03\x04"),
        Frame(0x2A0, b"\x1f\xff\x00\x08\x01\x02\x03\x04"),
        Frame(0x2B0, b"\x21abcdefg"),
        Frame(0x1B0, b"\x00" * 7),
        Frame(0x7DF, b"\x02\x10\x03"),
        Serial(b"\x00\x00\xff\xff\xff\x01\x00\xff" + b"\x00" * 20),
        Serial(b"\x55" * 20),
        Line("F FL", console=False),
        Line("x" * 200, console=False),
        Line("x" * 200, console=True),
    ]
    sizes: list[int] = []

    async def story() -> None:
        await car.boot()
        for round_ in range(3):
            for number in range(400):
                pieces[number % len(pieces)].send(noise)
                await car.run(0.02)
            for list_ in (car.frames, car.console, car.events):
                list_.clear()
            if not round_:
                tracemalloc.start()
            sizes.append(tracemalloc.get_traced_memory()[0])
        await car.run(2)

    try:
        car.kernel.run(story(), until=1000)
    finally:
        tracemalloc.stop()
    assert sizes[-1] - sizes[1] < 50_000
