"""The Bluetooth stack against the model: every mode in every script, every step, random scenarios; same outcome."""

from __future__ import annotations

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")

from hardware.bluetooth.air import bumble_air
from hardware.bluetooth.module import BumbleModule
from hardware.stack import emulated_stack
from hardware.vehicle import emulated_model
from rig.faults import CATALOGUE
from rig.scenario import Intent, Scenario
from rig.search.table import table
from rig.suite import test_bluetooth_steps
from rig.world.links import Links
from tests.links.agreement import JITTER_US, LateModel, Referee
from tests.randomscenarios import scenario as random_scenario
from tests.suitescenarios import scenarios_of

RANDOM = 500
PARTS = 10
FOUND = (1395, 1923, 6884, 9182, 9447)
"""Cancellations that were swallowed, or met an answer or another scan; wishes that undo each other packet by packet."""
EXCUSED_SHARE = 0.01
"""More than this excused would say that the two differ in more than their jitter."""
MODES = [name for name in CATALOGUE if name.partition(".")[0] in ("bluetooth", "phone")]


@pytest.fixture(scope="module")
def referee() -> Referee:
    return Referee(emulated_stack(lambda loop: Links(air=bumble_air(loop))))


def _agree(referee: Referee, scenarios: list[Scenario]) -> None:
    before = referee.excused
    for scenario in scenarios:
        difference = referee.disagreement(scenario)
        assert not difference, f"{difference}\n{scenario.to_json()}"
    assert referee.excused - before <= max(1, EXCUSED_SHARE * len(scenarios))


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_in_each_script_comes_to_the_same(referee: Referee, mode: str) -> None:
    rows = [row for row in table() if any(fault.mode == mode for fault in row.faults)]
    assert len(rows) >= 3
    _agree(referee, rows)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_step_met_by_each_loss_comes_to_the_same(referee: Referee, part: int) -> None:
    rows = scenarios_of(test_bluetooth_steps)
    assert len(rows) > 400
    _agree(referee, rows[part::PARTS])


@pytest.mark.parametrize("part", range(PARTS))
def test_random_scenarios_come_to_the_same(referee: Referee, part: int) -> None:
    _agree(referee, [random_scenario(seed) for seed in range(part, RANDOM, PARTS)])


@pytest.mark.parametrize("seed", FOUND)
def test_what_larger_runs_have_found(referee: Referee, seed: int) -> None:
    assert not referee.disagreement(random_scenario(seed))


def test_the_rule_is_narrow() -> None:
    """Another fidelity that connects 3 s later, or not at all while it should, is not excused."""
    known = emulated_model()
    rows = [row for row in table() if any(fault.mode == "bluetooth.mtu_23" for fault in row.faults)]
    late = LateModel(known.keys, known.codecs, known.edges, late_us=3_000_000)
    assert [row for row in rows if Referee(late).disagreement(row)]
    within = LateModel(known.keys, known.codecs, known.edges, late_us=JITTER_US)
    assert not [row for row in rows if Referee(within).disagreement(row)]


def test_a_stack_that_loses_commands_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BumbleModule, "_wrote", lambda *_: None)
    broken = Referee(emulated_stack(lambda loop: Links(air=bumble_air(loop))))
    assert "told" in broken.disagreement(Scenario(timeline=(Intent("unlock", 0, "bluetooth"),)))
