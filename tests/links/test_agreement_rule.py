"""The rule by which fidelities agree is narrow: what is late, lossy or deaf by more than it says is found out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from hardware.cloud.stack import StackCloud
from hardware.stack import emulated_stack
from hardware.vehicle import emulated_model
from rig.agreement import JITTER_US, Referee, judged, late_model
from rig.model import Model
from rig.scenario import Fault, Intent, Scenario
from rig.search.table import table
from rig.trace import Trace
from rig.world.links import Links
from rig.world.world import Watch

LATE_US = 200_000
TOLD = Intent("unlock", 100_000, "cloud")


@dataclass(slots=True)
class Shifted(Model):
    """A model that takes every failure for later than it is, or for none."""

    by_us: int | None = 0

    def run(self, scenario: Scenario, watch: Watch | None = None) -> Trace:
        """With its failures elsewhere."""
        by_us = self.by_us
        faults = () if by_us is None else tuple(_later(fault, by_us) for fault in scenario.faults)
        return Model.run(self, replace(scenario, timeline=(*faults, *scenario.intents)), watch)


def _later(fault: Fault, by_us: int) -> Fault:
    return replace(fault, start_us=fault.start_us + by_us)


def shifted(known: Model, by_us: int | None) -> Shifted:
    """Such a model of the same DUT."""
    return Shifted(known.keys, known.codecs, known.edges, by_us=by_us)


@pytest.fixture(scope="module")
def model() -> Model:
    return emulated_model()


def just_before(request_us: int) -> Scenario:
    """The server refuses from that time on; a wish comes earlier."""
    return Scenario(1, timeline=(Fault("server.403", request_us), TOLD))


def the_edge_us(model: Model) -> int:
    """When it is too late to refuse: the command has come to the server."""
    times = range(200_000, 900_000, 10_000)
    return next(us for us in times if judged(model, just_before(us)).told[0][1] == "opened")


def test_an_outcome_that_differs_is_told(model: Model) -> None:
    """The comparison itself: real HTTP against a model that leaves the failure out."""
    stack = emulated_stack(lambda loop: StackCloud(loop).links())
    scenario = Scenario(1, timeline=(Fault("server.500", 0, 20_000_000), TOLD))
    referee = Referee(shifted(model, None))
    assert "told" in referee.disagreement(stack, scenario)
    assert not referee.disagreement(stack, Scenario(1, timeline=(TOLD,)))
    assert not referee.excused


def test_lateness_is_excused_and_counted_in_real_time_and_no_more_than_that(model: Model) -> None:
    edge_us = the_edge_us(model)
    scenario, referee = just_before(edge_us - 10_000), Referee(model, late_us=LATE_US)
    late = shifted(model, 10_000)
    assert judged(model, scenario) != judged(late, scenario)
    assert not referee.disagreement(late, scenario) and referee.excused == 1
    far = just_before(edge_us - 3 * LATE_US // 2)
    assert referee.disagreement(shifted(model, 2 * LATE_US), far) and referee.excused == 1


def test_in_virtual_time_no_difference_is_excused(model: Model) -> None:
    """The server refuses from 10 ms later on; the supply fails 10 ms later; a phone connects 10 ms later."""
    scenario, late = just_before(the_edge_us(model) - 10_000), shifted(model, 10_000)
    assert Referee(model).disagreement(late, scenario)

    def cut(at_us: int) -> Scenario:
        return Scenario(1, timeline=(Intent("unlock", 100_000, "card"), Fault("power.reset", at_us, at_us + 5_000_000)))

    scenarios = (cut(us) for us in range(100_000, 1_500_000, 10_000))
    scenario = next(one for one in scenarios if judged(model, one) != judged(late, one))
    assert Referee(model).disagreement(late, scenario)
    assert not Referee(model, late_us=LATE_US).departs(scenario, judged(late, scenario))

    def lost(at_us: int) -> Scenario:
        return Scenario(1, timeline=(Intent("unlock", 100_000, "bluetooth"), Fault("bluetooth.link_lost", at_us)))

    slow = late_model(model, late_us=10_000)
    scenarios = (lost(us) for us in range(100_000, 2_000_000, 10_000))
    scenario = next(one for one in scenarios if judged(model, one) != judged(slow, one))
    assert Referee(model).disagreement(slow, scenario)
    assert not Referee(model, late_us=LATE_US).departs(scenario, judged(slow, scenario))


def test_jitter_excuses_nothing_where_bluetooth_is_a_model(model: Model) -> None:
    slow = late_model(model, late_us=JITTER_US)
    scenarios = (
        Scenario(1, timeline=(Intent("unlock", 100_000, "bluetooth"), Fault("power.reset", us, us + 5_000_000)))
        for us in range(100_000, 2_000_000, 10_000)
    )
    scenario = next(one for one in scenarios if judged(model, one) != judged(slow, one))
    theirs = judged(slow, scenario)
    assert Referee(model, bluetooth=False, late_us=1_000).departs(scenario, theirs)
    assert not Referee(model, late_us=1_000).departs(scenario, theirs)


def test_a_bluetooth_that_is_later_than_jitter_is_found_out(model: Model) -> None:
    rows = [row for row in table() if any(fault.mode == "bluetooth.mtu_23" for fault in row.faults)]
    late, within = late_model(model, late_us=3_000_000), late_model(model, late_us=JITTER_US)
    referee = Referee(model, late_us=LATE_US)
    assert [row for row in rows if referee.disagreement(late, row)]
    assert not [row for row in rows if referee.disagreement(within, row)]


def test_a_bluetooth_that_loses_commands_is_found_out(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bumble", reason="needs the extra bluetooth")
    from hardware.bluetooth.air import bumble_air  # an optional dependency
    from hardware.bluetooth.module import BumbleModule

    monkeypatch.setattr(BumbleModule, "_wrote", lambda *_: None)
    broken = emulated_stack(lambda loop: Links(air=bumble_air(loop)))
    scenario = Scenario(timeline=(Intent("unlock", 0, "bluetooth"),))
    assert "told" in Referee(model).disagreement(broken, scenario)
