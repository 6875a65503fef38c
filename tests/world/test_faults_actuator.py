"""The looks at motors, latches and their feedback; and what a single look does not tell."""

from __future__ import annotations

import pytest

from rig.scenario import Fault, Intent, Scenario
from rig.trace import number, word
from tests.world.look import Look
from tests.world.stage import Stage

ORIGIN_US = 3_000_000
PULSE_S, PAUSE_S, PULSES = 0.155, 0.08, 5
DOOR = "FL"


async def motion(stage: Stage) -> tuple[int, str, int]:
    """Drives a latch: after how many pulses it moves (0: never), whether its feedback is true, and ms until it is."""
    plant, kernel = stage.world.plant, stage.kernel
    began, before = kernel.now, plant.latches[DOOR]
    direction = "L" if before == "U" else "U"
    pulses = 0
    while plant.latches[DOOR] == before and pulses < PULSES:
        pulses += 1
        plant._line(f"M {DOOR} {direction} 1")
        await kernel.sleep(PULSE_S)
        plant._line(f"M {DOOR} {direction} 0")
        await kernel.sleep(PAUSE_S)
    latch = plant.latches[DOOR]
    told = [(e[0], word(e, 3)) for e in stage.of("feedback", began) if word(e, 2) == DOOR]
    # The next look finds all as it was.
    plant.set_latches(before, (DOOR,))
    if latch == before:
        return 0, "true" if not told or told[-1][1] == latch else "untrue", 0
    flipped = next(e[0] for e in stage.of("latch", began) if word(e, 2) == DOOR)
    if not told or told[-1][1] != latch:
        return pulses, "untrue", 0
    return pulses, "true", (told[-1][0] - flipped) // 1000


async def handles(stage: Stage) -> bool:
    """Whether a handle's wire speaks."""
    plant = stage.world.plant
    line, said = plant._io, []

    class Spy:
        def write(self, text: str) -> None:
            said.append(text)
            line.write(text)

        def on_line(self, receive: object) -> None: ...

    plant._io = Spy()
    await stage.kernel.sleep(0.6)
    plant._io = line
    return any(text.startswith("H ") for text in said)


def look(pulses: int, feedback: str = "true", ms: int = 0) -> Look:
    # What chattered or moved last may still be under way.
    return Look(motion, (1, "true", 0), (pulses, feedback, ms), takes_s=PULSES * (PULSE_S + PAUSE_S) + 0.05, lag_s=0.1)


LOOKS: dict[str, Look] = {
    "actuator.pulses_stuck": look(2),
    "actuator.motor_stuck": look(4),
    "actuator.slow": look(2),
    "actuator.door_frozen": look(0),
    "actuator.feedback_lost": look(1, "untrue"),
    "actuator.feedback_late": look(1, "true", 60),
    "actuator.feedback_stuck": look(1, "untrue"),
    "actuator.feedback_stale": look(1, "untrue"),
    "actuator.handle_chatter": Look(handles, False, True, takes_s=0.7, lag_s=0.1),
}


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def played(*timeline: Fault | Intent, until_s: float = 8.0) -> Stage:
    stage = Stage(Scenario(timeline=timeline))

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_US / 1e6 + until_s)

    stage.play(act, story=True)
    return stage


@pytest.mark.parametrize("pulses", [1, 2])
@pytest.mark.parametrize("door", [0, 1, 2, 3, 4])
def test_each_stuck_pulse_costs_a_fifth_of_a_second(pulses: int, door: int) -> None:
    params = (("door", door), ("pulses", pulses))
    wish = Intent("unlock", us(1), "card")
    times = [
        played(*faults, wish).of("latch", ORIGIN_US)[-1][0]
        for faults in ((), (Fault("actuator.pulses_stuck", 0, None, params),))
    ]
    assert 190_000 * pulses < times[1] - times[0] < 250_000 * pulses


def test_the_trace_says_which_pulses_stuck() -> None:
    fault = Fault("actuator.pulses_stuck", 0, None, (("door", 3), ("pulses", 2)))
    stage = played(fault, Intent("unlock", us(1), "card"))
    assert [e[2:] for e in stage.of("stuck")] == [("RL", "U"), ("RL", "U")]
    assert [e[2:] for e in stage.of("motor", ORIGIN_US) if word(e, 2) == "RL" and number(e, 4)] == [("RL", "U", 1)] * 3


def test_two_spells_that_overlap_do_not_add_up() -> None:
    faults = [Fault("actuator.pulses_stuck", 0, None, (("pulses", 2),)) for _ in range(2)]
    stage = played(*faults, Intent("unlock", us(1), "card"))
    assert set(stage.world.plant.latches.values()) == {"U"}
    assert len(stage.of("stuck")) == 8


@pytest.mark.parametrize("mode", ["feedback_lost", "feedback_stuck", "feedback_stale", "feedback_late"])
def test_whole_feedback_says_at_once_what_is_so(mode: str) -> None:
    stage = played(Fault(f"actuator.{mode}", 0, us(5)), Intent("unlock", us(1), "card"), until_s=5.1)
    last = {word(e, 2): word(e, 3) for e in stage.of("feedback")}
    assert last == stage.world.plant.latches


def test_a_slow_latch_goes_on_where_it_was() -> None:
    stage = played(Fault("actuator.slow", 0, None, (("door", 1), ("ms", 250))), Intent("unlock", us(1), "card"))
    drives = [e[0] for e in stage.of("motor", ORIGIN_US) if word(e, 2) == "FL" and number(e, 4)]
    assert len(drives) == 3
    flipped = next(e[0] for e in stage.of("latch", ORIGIN_US) if word(e, 2) == "FL")
    assert flipped - drives[2] == 100_000
