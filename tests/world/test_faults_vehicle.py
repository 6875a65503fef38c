"""The looks at states of the vehicle and at legitimate acts, and what a single look does not tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from rig.protocol.e2e import Receiver
from rig.scenario import Entry, Fault, Intent, Scenario
from rig.trace import number, word
from tests.world.look import Look
from tests.world.stage import Frame, Stage

ORIGIN_S = 3.0
S = 1_000_000
VEHICLE_STATE = 0x1B0
INTERIOR_SWITCH = 0x1E0


def told(stage: Stage, since: int) -> list[tuple[int, int, int]]:
    """Power mode, speed and crash flag of every valid frame."""
    codec = stage.world.codecs["VehicleState"]
    values = [codec.decode(f.data) for f in stage.frames(since, VEHICLE_STATE)]
    return [(v["PowerMode"], v["Speed"], v["Crash"]) for v in values]


async def says(stage: Stage) -> object:
    """What the gateway says next: nothing, or power mode, speed and crash flag; "both" if its frames contradict."""
    since = stage.kernel.now
    for _ in range(3):
        # In small steps: an idle world skips tenths of a second of cyclic frames.
        await stage.kernel.sleep(0.12)
    found = set(told(stage, since + 110_000))
    return found.pop() if len(found) == 1 else "both" if found else "nothing"


async def stands(stage: Stage) -> bool:
    """Whether the gateway says that the vehicle stands."""
    return await says(stage) == (0, 0, 0)


async def pressed(stage: Stage) -> list[int]:
    """What the inside switch asks for."""
    since = stage.kernel.now
    await stage.kernel.sleep(0.05)
    codec = stage.world.codecs["InteriorSwitch"]
    return [codec.decode(f.data)["Request"] for f in stage.frames(since, INTERIOR_SWITCH)]


async def ajar(stage: Stage) -> set[str]:
    """Which doors stand open."""
    last = {word(e, 2): number(e, 3) for e in stage.of("ajar")}
    return {door for door, is_open in last.items() if is_open}


PARKED = (0, 0, 0)
LOOKS: dict[str, Look] = {
    "vehicle.driving": Look(says, PARKED, (1, 500, 0), lag_s=0.1),
    "vehicle.speed_then_silent": Look(stands, True, False, lag_s=0.1),
    "vehicle.contradictory": Look(says, PARKED, "both", lag_s=0.1),
    "vehicle.power_on": Look(says, PARKED, (1, 0, 0), lag_s=0.1),
    "vehicle.crash": Look(says, PARKED, (0, 0, 1), lag_s=0.1, momentary=True),
    "vehicle.interior_unlock": Look(pressed, [], [2, 2, 2], takes_s=0.05, momentary=True),
    "vehicle.interior_lock": Look(pressed, [], [1, 1, 1], takes_s=0.05, momentary=True),
    "vehicle.door_ajar": Look(ajar, set(), {"FL"}),
}


def played(
    *timeline: Entry, until_s: float = 10.0, act: Callable[[Stage], Awaitable[None]] | None = None
) -> Stage:
    """Plays a story; times count from its origin."""
    # Something that touches nothing looked at keeps the story going.
    stage = Stage(Scenario(timeline=(*timeline, Intent("lock", 400 * S, "card"))), collapse=False)

    async def main() -> None:
        if act is not None:
            await act(stage)
        await stage.kernel.sleep(ORIGIN_S + until_s - stage.kernel.now / 1e6)

    stage.play(main, story=True)
    return stage


def valid(frames: list[Frame], can_id: int) -> bool:
    """Whether a receiver takes every one of these frames."""
    receiver = Receiver(can_id)
    return bool(frames) and all(receiver.accept(f.at_us, f.data) for f in frames)


def flags(stage: Stage) -> list[int]:
    """The crash flag of every frame."""
    return [crash for _, _, crash in told(stage, 0)]


@pytest.mark.parametrize("kmh", [6, 50, 250])
def test_speed_as_asked_for(kmh: int) -> None:
    stage = played(Fault("vehicle.driving", 0, S, (("speed_kmh", kmh),)), until_s=3.0)
    assert {speed for _, speed, _ in told(stage, 0)} == {0, 10 * kmh}
    assert [number(e, 2) for e in stage.of("speed")] == [10 * kmh, 0]


@pytest.mark.parametrize("mode", sorted(LOOKS))
def test_all_that_the_gateway_says_is_valid(mode: str) -> None:
    stage = played(Fault(mode, S, 4 * S), Fault(mode, 6 * S, 7 * S))
    assert valid(stage.frames(0, VEHICLE_STATE), VEHICLE_STATE)


@pytest.mark.parametrize("frames", [1, 2, 3, 10])
def test_as_many_crash_frames_in_a_row_as_asked_for(frames: int) -> None:
    stage = played(Fault("vehicle.crash", S, None, (("frames", frames),)))
    said = flags(stage)
    first = said.index(1)
    assert said[first : first + frames] == [1] * frames
    assert sum(said) == frames
    assert [number(e, 2) for e in stage.of("crash")] == [1, 0]


@pytest.mark.parametrize(("frames", "opens"), [(1, False), (2, True)])
def test_a_crash_is_two_frames(frames: int, opens: bool) -> None:
    stage = played(Fault("vehicle.crash", S, None, (("frames", frames),)))
    assert bool(stage.of("motor")) is opens


@pytest.mark.parametrize(("request_", "doors"), [("unlock", "U"), ("lock", "L")])
def test_a_press_is_three_valid_frames_20_ms_apart_acted_on_once(request_: str, doors: str) -> None:
    first = Fault("vehicle.interior_unlock", 0, None)
    stage = played(first, Fault(f"vehicle.interior_{request_}", 5 * S, None), until_s=9.0)
    frames = stage.frames(0, INTERIOR_SWITCH)
    assert valid(frames, INTERIOR_SWITCH)
    assert len(frames) == 6
    assert all(19_000 <= b.at_us - a.at_us <= 21_000 for a, b in pairwise(frames[3:]))
    assert [word(e, 2) for e in stage.of("interior")] == ["unlock", request_]
    drives = [e for e in stage.of("motor") if number(e, 4)]
    assert len(drives) == (4 if request_ == "unlock" else 8)
    assert word(drives[-1], 3) == doors


def test_what_was_said_last_before_the_silence() -> None:
    stage = played(Fault("vehicle.speed_then_silent", S, 5 * S, (("drive_ms", 1000),)))
    gap = [f.at_us for f in stage.frames(0, VEHICLE_STATE)]
    pauses = [(a, b) for a, b in pairwise(gap) if b - a > 200_000]
    assert len(pauses) == 1
    silent, again = pauses[0]
    assert 2.9e6 < again - silent < 3.2e6
    assert told(stage, again)[0] == PARKED


@pytest.mark.parametrize("door", [0, 1, 2, 3])
def test_the_door_that_is_asked_for(door: int) -> None:
    stage = played(Fault("vehicle.door_ajar", S, 2 * S, (("door", door),)))
    name = ("FL", "FR", "RL", "RR")[door]
    assert [(word(e, 2), number(e, 3)) for e in stage.of("ajar")] == [(name, 1), (name, 0)]


def test_a_door_that_two_hold_open_is_shut_by_the_later() -> None:
    stage = played(Fault("vehicle.door_ajar", S, 3 * S), Fault("vehicle.door_ajar", 2 * S, 4 * S))
    assert [(e[0] // 100_000, number(e, 3)) for e in stage.of("ajar")] == [(40, 1), (70, 0)]


def status_seen(stage: Stage, start_s: float, end_s: float) -> bool:
    """Whether the ECU's cycle was heard in an interval from the origin."""
    return any(
        f.sender == "ecu" and start_s <= f.at_us / 1e6 - ORIGIN_S < end_s for f in stage.frames(0, 0x1A0)
    )


@pytest.mark.parametrize(
    ("mode", "awake"),
    [("vehicle.power_on", True), ("vehicle.driving", True), ("vehicle.contradictory", False), ("", False)],
)
def test_after_a_quiet_minute_it_sleeps_but_for_the_power_mode(mode: str, awake: bool) -> None:
    faults = [Fault(mode, 0, 100 * S)] if mode else []
    stage = played(*faults, until_s=99.0)
    assert status_seen(stage, 10, 11)
    assert status_seen(stage, 97, 99) is awake
