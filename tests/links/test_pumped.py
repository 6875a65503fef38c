"""Runs that overlap in real time: one in which the machine was late is played again, one that was in time is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hardware.pumped import FEWER, TURNS, Play, Played, Pumped, in_time, overlapped
from hardware.vehicle import emulated_model
from rig.scenario import Scenario
from rig.trace import Trace
from rig.world.world import Watch


@dataclass
class Machine:
    """Runs that are late by a plan, and how many there were at once."""

    late: list[int]
    most: list[int] = field(default_factory=list)
    now: int = 0

    def play(self) -> Play:
        """One run: late as often as the plan says."""
        turns = iter(self.late)

        async def play() -> Played:
            self.now += 1
            self.most.append(self.now)
            await asyncio.sleep(0)
            self.now -= 1
            return Played(Trace(), next(turns))

        return play


def test_no_more_run_at_once_than_may() -> None:
    machine = Machine([0])
    played = asyncio.run(overlapped([machine.play() for _ in range(9)], 3))
    assert len(played) == 9 and max(machine.most) == 3


def test_a_late_run_is_played_again_with_fewer_beside_it() -> None:
    machine = Machine([2, 1, 0, 9])
    played = asyncio.run(in_time([machine.play() for _ in range(9)], 9))
    assert [one.stalls for one in played] == [0] * 9
    assert [max(machine.most[n : n + 9]) for n in (0, 9, 18)] == [9, 9 // FEWER, 1]


def test_a_machine_that_never_keeps_up_is_not_asked_for_ever() -> None:
    machine = Machine([1] * TURNS)
    (played,) = asyncio.run(in_time([machine.play()], 1))
    assert played.stalls == 1 and len(machine.most) == TURNS


def departures(stalls: list[int], differs: list[str]) -> tuple[list[str], int]:
    """What is found of one scenario whose runs are as given, and how often it was played."""
    runs = iter(stalls)

    class Planned(Pumped):
        async def play(self, scenario: Scenario, watch: Watch) -> Played:
            return Played(Trace(), next(runs))

    words = iter(differs)
    pumped = Planned(emulated_model())
    found = asyncio.run(pumped.departures([Scenario(1)], Watch(), 1, lambda _scenario, _trace: next(words)))
    return [what for _, what in found], len(stalls) - len(list(runs))


def test_what_differs_in_time_is_found_at_once() -> None:
    assert departures([0, 0], ["doors", ""]) == (["doors"], 1)


def test_what_differs_only_when_late_is_the_machine() -> None:
    assert departures([3, 0, 0], ["doors", "", ""]) == ([], 2)


def test_what_differs_late_and_in_time_is_found() -> None:
    assert departures([3, 0, 0], ["doors", "told", ""]) == (["told"], 2)


def test_what_always_differs_is_found_though_always_late() -> None:
    assert departures([2] * TURNS, ["doors"] * TURNS) == (["doors (late 2 times)"], TURNS)
