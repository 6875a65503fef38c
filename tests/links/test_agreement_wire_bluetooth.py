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
"""A run has about a dozen sockets open, and the loop's `select` takes descriptors below 1024."""
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
    referee = Referee(emulated_model(), late_us=LATE_US)
    pumped = Pumped(emulated_model(collapse=False), bluetooth=True)
    table = [row for mode in MODES for row in rows(mode)]
    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        wrong = runner.run(
            pumped.departures(table, BRIEF, AT_ONCE, lambda one, trace: referee.departs(one, seen_in(trace), seen))
        )
    assert not wrong, "\n".join(f"{one.faults[0].mode}, story {one.seed}: {what}" for one, what in wrong)
    assert len(table) >= 80 and not {row.faults[0].mode for row in table} - set(MODES)
    assert set(BY_CHANCE) <= set(MODES)
