"""Model and real HTTPS on loopback agree: every mode of server and network in three stories, overlapped."""

from __future__ import annotations

import asyncio

from hardware.pumped import MOST_LATE_S, Pumped
from hardware.vehicle import emulated_model
from rig.agreement import Outcome, Referee, seen_in
from rig.faults import modes
from rig.model import Model
from rig.pump import realtime_loop
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.world.world import Watch

MODES = (*modes("server"), *modes("network"))
BRIEF = Watch(relock_us=0, opened_us=0)
AT_ONCE = 51
"""A run has about 16 sockets open, and the loop's `select` takes descriptors below 1024."""
LATE_US = int(MOST_LATE_S * 1e6)
"""In real time a tie reaches as far as a run may be late."""
APART_US = 5_600_000
"""When a failure ends far from most retries of the phone, so that a busy machine decides few rows."""


def seen(model: Model, scenario: Scenario) -> Outcome:
    """What is compared: in real time nothing is judged."""
    return seen_in(model.run(scenario, BRIEF))


def rows(mode: str) -> list[Scenario]:
    """Before the wish and through it; in the middle, on a connection that stands; and at the step of the command."""
    wish = Intent("unlock", 1_200_000, "cloud")
    return [
        Scenario(1, Carry(session="warm"), timeline=(Fault(mode, 300_000, 4_000_000), wish)),
        Scenario(
            2,
            Carry(session="cold"),
            timeline=(
                Intent("unlock", 0, "cloud"),
                Fault(mode, 2_000_000, 5_000_000),
                Intent("lock", 2_400_000, "cloud"),
            ),
        ),
        Scenario(
            3,
            Carry(session="cold"),
            timeline=(Fault(mode, 0, APART_US, (), "cloud.request", 2), Intent("unlock", 500_000, "cloud")),
        ),
    ]


def test_every_mode_comes_to_the_same_in_real_time() -> None:
    referee = Referee(emulated_model(), bluetooth=False, late_us=LATE_US)
    pumped = Pumped(emulated_model(collapse=False))
    table = [row for mode in MODES for row in rows(mode)]
    assert len(table) >= 150
    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        wrong = runner.run(
            pumped.departures(table, BRIEF, AT_ONCE, lambda one, trace: referee.departs(one, seen_in(trace), seen))
        )
    assert not wrong, "\n".join(f"{one.faults[0].mode}, story {one.seed}: {what}" for one, what in wrong)
