"""The Bluetooth stack against the model: every mode in every script, every step; same outcome."""

from __future__ import annotations

from typing import Literal

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")

from hardware.bluetooth.air import bumble_air
from hardware.stack import Stack, emulated_stack
from hardware.vehicle import emulated_model
from rig.agreement import Referee
from rig.faults import CATALOGUE
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.search.table import table
from rig.suite import test_bluetooth_steps
from rig.trace import Event, Trace, number, word
from rig.world.btlink import SUPERVISION_US
from rig.world.btmodule import Module
from rig.world.links import Links
from tests.randomscenarios import scenario as random_scenario
from tests.suitescenarios import scenarios_of

PARTS = 10
FOUND = (1395, 1923, 6884, 9182, 9447)
"""Cancellations that were swallowed, or met an answer or another scan; wishes that undo each other packet by packet."""
AT_THE_SAME_US = 0.95
"""Of so many scenarios at least. The rest cancel a connection in the very instant of an advertisement."""
MODES = [name for name in CATALOGUE if name.partition(".")[0] in ("bluetooth", "phone")]


@pytest.fixture(scope="module")
def stack() -> Stack:
    return emulated_stack(lambda loop: Links(air=bumble_air(loop)))


@pytest.fixture(scope="module")
def referee() -> Referee:
    return Referee(emulated_model())


def _agree(referee: Referee, stack: Stack, scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        difference = referee.disagreement(stack, scenario)
        assert not difference, f"{difference}\n{scenario.to_json()}"


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_in_each_script_comes_to_the_same(referee: Referee, stack: Stack, mode: str) -> None:
    rows = [row for row in table() if any(fault.mode == mode for fault in row.faults)]
    assert len(rows) >= 3
    _agree(referee, stack, rows)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_step_met_by_each_loss_comes_to_the_same(referee: Referee, stack: Stack, part: int) -> None:
    rows = scenarios_of(test_bluetooth_steps)
    assert len(rows) > 400
    _agree(referee, stack, rows[part::PARTS])


def of_bluetooth(trace: Trace) -> list[Event]:
    """What module, DUT and phone say to each other, and when."""
    frames = (Module.REQUEST_ID, Module.RESPONSE_ID)
    kinds = ("sign", "hand", "answer", "told", "latch")
    return [e for e in trace.events if e[1] in kinds or (e[1] == "can" and e[2] in frames)]


def test_both_act_in_the_same_microsecond(stack: Stack) -> None:
    """Every frame between module and DUT, every command signed, answered and told, whatever happens to the links."""
    model = emulated_model()
    rows = [row for row in table() if any(fault.mode in MODES for fault in row.faults)]
    rows += scenarios_of(test_bluetooth_steps)[::3]
    same = [row for row in rows if of_bluetooth(model.run(row)) == of_bluetooth(stack.run(row))]
    assert len(same) >= AT_THE_SAME_US * len(rows) > 250


@pytest.mark.parametrize("seed", FOUND)
def test_what_larger_runs_have_found(referee: Referee, stack: Stack, seed: int) -> None:
    assert not referee.disagreement(stack, random_scenario(seed))


@pytest.mark.parametrize("session", ["warm", "cold"])
@pytest.mark.parametrize("mode", ["radio_off", "car_radio_off", "out_of_range", "controller_reset", "module_dead"])
def test_what_a_new_link_sets_off_itself_meets_it(
    referee: Referee, stack: Stack, mode: str, session: Literal["warm", "cold"]
) -> None:
    """The DUT is told of a connection in the very instant in which it is made."""
    fault = Fault(f"bluetooth.{mode}", 0, 20_000_000, step="can.request_first")
    wishes = Intent("unlock", 1_000_000, "bluetooth"), Intent("lock", 26_000_000, "bluetooth")
    assert not referee.disagreement(stack, Scenario(5, Carry(session), timeline=(fault, *wishes)))


def test_a_second_phone_finds_nobody_while_the_controller_is_stuck(referee: Referee, stack: Stack) -> None:
    """The first one's connection has ended advertising; the second waits for the watchdog, and not for a lost link."""
    scenario = Scenario(
        timeline=(
            Fault("bluetooth.stack_stuck", 0, 11_368_000), Intent("unlock", 3_125_000, "bluetooth"),
            Intent("unlock", 4_753_000, "bluetooth", "guest"),
        ),
    )  # fmt: skip
    assert not referee.disagreement(stack, scenario)
    soon = (11_368_000, 11_368_000 + SUPERVISION_US)
    for model in (referee.model, stack):
        trace = model.run(scenario)
        # The first's was connected, and must miss its link before it tries again.
        guests = [at - trace.origin_us for at, _, who, *_ in trace.of("clock") if who == "guest"]
        assert guests and soon[0] < guests[0] < soon[1]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("bluetooth.weak_signal", 0, None, (("floor_dbm", -96), ("ramp_ms", 0))),
        Fault("bluetooth.interference", 0, None, (("ms", 1200),)),
    ],
)
def test_a_bad_signal_is_as_bad_at_both(referee: Referee, stack: Stack, fault: Fault) -> None:
    """Packet by packet each has luck of its own, so only how often a wish comes true can be compared."""
    came: dict[str, int] = {}
    for model in (referee.model, stack):
        for seed in range(80):
            trace = model.run(Scenario(seed, timeline=(fault, Intent("unlock", 3_000_000, "bluetooth"))))
            told = {number(event, 2): word(event, 3) for event in trace.of("told")}
            came[model.fidelity] = came.get(model.fidelity, 0) + (told[0] == "opened")
    assert 5 < came["model"] < 75
    assert abs(came["model"] - came["stack"]) <= 12, came
