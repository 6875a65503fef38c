"""The rule by which fidelities agree is narrow: what is late, lossy or deaf by more than it says is found out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from hardware.cloud.stack import StackCloud
from hardware.stack import emulated_stack
from hardware.vehicle import emulated_model
from rig.agreement import JITTER_US, TIE_US, Referee, judged, late_model
from rig.model import Model
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.search.table import table
from rig.trace import Trace
from rig.world.links import Links
from rig.world.world import Watch

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
    referee = Referee(shifted(model, None), bluetooth=False)
    assert "told" in referee.disagreement(stack, scenario)
    assert not referee.disagreement(stack, Scenario(1, timeline=(TOLD,)))
    assert not referee.excused


def test_a_tie_is_excused_and_counted_and_no_more_than_a_tie(model: Model) -> None:
    edge_us = the_edge_us(model)
    scenario, referee = just_before(edge_us - 10_000), Referee(model)
    late = shifted(model, 10_000)
    assert judged(model, scenario) != judged(late, scenario)
    assert not referee.disagreement(late, scenario) and referee.excused == 1
    far = just_before(edge_us - 10_000 - 5 * TIE_US)
    assert referee.disagreement(shifted(model, 10 * TIE_US), far) and referee.excused == 1


def test_a_tie_excuses_nothing_where_server_and_network_are_models(model: Model) -> None:
    scenario = just_before(the_edge_us(model) - 10_000)
    assert Referee(model, cloud=False).disagreement(shifted(model, 10_000), scenario)


def test_in_virtual_time_no_edge_moves_but_those_of_server_and_network(model: Model) -> None:
    """The supply fails just before a tap is answered, or just after: that is a difference, on any outer link."""

    def cut(at_us: int) -> Scenario:
        return Scenario(1, timeline=(Intent("unlock", 100_000, "card"), Fault("power.reset", at_us, at_us + 5_000_000)))

    late = shifted(model, 10_000)
    scenarios = (cut(us) for us in range(100_000, 1_500_000, 10_000))
    scenario = next(one for one in scenarios if judged(model, one) != judged(late, one))
    assert Referee(model).disagreement(late, scenario)
    assert not Referee(model, late_us=200_000).departs(scenario, judged(late, scenario))


def test_a_bluetooth_that_is_later_than_jitter_is_found_out(model: Model) -> None:
    rows = [row for row in table() if any(fault.mode == "bluetooth.mtu_23" for fault in row.faults)]
    late, within = late_model(model, late_us=3_000_000), late_model(model, late_us=JITTER_US)
    assert [row for row in rows if Referee(model).disagreement(late, row)]
    assert not [row for row in rows if Referee(model).disagreement(within, row)]


def test_a_bluetooth_that_loses_commands_is_found_out(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bumble", reason="needs the extra bluetooth")
    from hardware.bluetooth.air import bumble_air  # an optional dependency
    from hardware.bluetooth.module import BumbleModule

    monkeypatch.setattr(BumbleModule, "_wrote", lambda *_: None)
    broken = emulated_stack(lambda loop: Links(air=bumble_air(loop)))
    scenario = Scenario(timeline=(Intent("unlock", 0, "bluetooth"),))
    assert "told" in Referee(model).disagreement(broken, scenario)


@pytest.mark.parametrize("contended", [True, False])
def test_another_number_of_movements_is_excused_only_where_wishes_contend(model: Model, contended: bool) -> None:
    """Each write is reported as failed, so that both wishes are tried again and again, and undo each other."""
    fails = Fault("bluetooth.write_failed_executed", 0)
    wishes = (Intent("unlock", 7_004_000, "bluetooth"), Intent("lock", 10_872_000, "bluetooth"))
    scenario = Scenario(3, Carry(session="warm"), timeline=(fails, *wishes[: 2 if contended else 1]))
    came = judged(model, scenario)
    more = replace(came, moves=tuple((door, "UL" * 40 + states) for door, states in came.moves))
    assert bool(Referee(model).departs(scenario, more)) is not contended
    elsewhere = replace(more, moves=tuple((door, states + "X") for door, states in more.moves))
    assert Referee(model).departs(scenario, elsewhere), "it does not end alike"
    assert Referee(model, bluetooth=False).departs(scenario, more), "nothing jitters there"
