"""The Bluetooth stack against the model: every mode in every script, every step; same outcome."""

from __future__ import annotations

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")

from hardware.bluetooth.air import bumble_air
from hardware.bluetooth.module import BumbleModule
from hardware.stack import emulated_stack
from hardware.vehicle import emulated_model
from rig.agreement import JITTER_US, Referee, late
from rig.faults import CATALOGUE
from rig.model import Model
from rig.scenario import Intent, Scenario
from rig.search.table import table
from rig.suite import test_bluetooth_steps
from rig.world.links import Links
from tests.randomscenarios import scenario as random_scenario
from tests.suitescenarios import scenarios_of

PARTS = 10
FOUND = (1395, 1923, 6884, 9182, 9447)
"""Cancellations that were swallowed, or met an answer or another scan; wishes that undo each other packet by packet."""
EXCUSED_SHARE = 0.01
"""More than this excused would say that the two differ in more than their jitter."""
MODES = [name for name in CATALOGUE if name.partition(".")[0] in ("bluetooth", "phone")]


@pytest.fixture(scope="module")
def stack() -> Model:
    return emulated_stack(lambda loop: Links(air=bumble_air(loop)))


def _agree(stack: Model, scenarios: list[Scenario]) -> None:
    referee = Referee(emulated_model())
    for scenario in scenarios:
        difference = referee.against(stack, scenario)
        assert not difference, f"{difference}\n{scenario.to_json()}"
    assert referee.excused <= max(1, EXCUSED_SHARE * len(scenarios))


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_in_each_script_comes_to_the_same(stack: Model, mode: str) -> None:
    rows = [row for row in table() if any(fault.mode == mode for fault in row.faults)]
    assert len(rows) >= 3
    _agree(stack, rows)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_step_met_by_each_loss_comes_to_the_same(stack: Model, part: int) -> None:
    rows = scenarios_of(test_bluetooth_steps)
    assert len(rows) > 400
    _agree(stack, rows[part::PARTS])


@pytest.mark.parametrize("seed", FOUND)
def test_what_larger_runs_have_found(stack: Model, seed: int) -> None:
    assert not Referee(emulated_model()).against(stack, random_scenario(seed))


def test_the_rule_is_narrow() -> None:
    """Another fidelity that connects 3 s later, or not at all while it should, is not excused."""
    known = emulated_model()
    rows = [row for row in table() if any(fault.mode == "bluetooth.mtu_23" for fault in row.faults)]
    assert [row for row in rows if Referee(known).against(late(known, 3_000_000), row)]
    assert not [row for row in rows if Referee(known).against(late(known, JITTER_US), row)]


def test_a_stack_that_loses_commands_is_found_out(monkeypatch: pytest.MonkeyPatch, stack: Model) -> None:
    monkeypatch.setattr(BumbleModule, "_wrote", lambda *_: None)
    scenario = Scenario(timeline=(Intent("unlock", 0, "bluetooth"),))
    assert "told" in Referee(emulated_model()).against(stack, scenario)
