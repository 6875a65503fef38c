"""Model and the Bluetooth stack in real time agree: every mode of Bluetooth and phone in three stories, overlapped."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")
pytest.importorskip("aiohttp", reason="needs the extra links")

from hardware.pumped import MOST_LATE_S, Pumped
from hardware.vehicle import emulated_model
from rig.agreement import BY_CHANCE, Outcome, Referee, seen_in
from rig.faults import modes
from rig.model import Model
from rig.pump import realtime_loop
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.world.world import Watch

MODES = (*modes("bluetooth"), *modes("phone"))
BRIEF = Watch(relock_us=0, opened_us=0)
AT_ONCE = 42
LATE_US = int(MOST_LATE_S * 1e6)
"""In real time a tie reaches as far as a run may be late."""


def seen(model: Model, scenario: Scenario) -> Outcome:
    """What is compared: in real time nothing is judged."""
    return seen_in(model.run(scenario, BRIEF))


def rows(mode: str) -> list[Scenario]:
    """Through a wish over Bluetooth; on the ladder, with a session; and at the step of the command's write."""
    return [
        Scenario(1, timeline=(Fault(mode, 0, 6_000_000), Intent("unlock", 500_000, "bluetooth"))),
        Scenario(2, Carry(session="warm"), timeline=(Fault(mode, 300_000, 5_000_000), Intent("unlock", 900_000))),
        Scenario(
            3,
            Carry(session="warm"),
            timeline=(
                Fault(mode, 0, 4_000_000, (), "bluetooth.command_write"),
                Intent("unlock", 500_000, "bluetooth"),
            ),
        ),
    ]


def test_every_mode_comes_to_the_same_in_real_time() -> None:
    referee = Referee(emulated_model(), cloud=False, late_us=LATE_US)
    pumped = Pumped(emulated_model(collapse=False), bluetooth=True)
    table = [row for mode in MODES for row in rows(mode)]
    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        traces = runner.run(pumped.run_all(table, BRIEF, AT_ONCE))
    wrong = []
    for scenario, trace in zip(table, traces, strict=True):
        differs = referee.departs(scenario, seen_in(trace), seen)
        if differs:
            wrong.append(f"{scenario.faults[0].mode}, story {scenario.seed}: {differs}")
    if wrong and pumped.stalls:
        pytest.fail(f"{len(wrong)} rows differ, and the machine was late {pumped.stalls} times: {wrong}")
    assert not wrong, "\n".join(wrong)
    assert len(table) >= 80 and not {row.faults[0].mode for row in table} - set(MODES)
    assert set(BY_CHANCE) <= set(MODES)
