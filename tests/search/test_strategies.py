"""Strategies make the scenarios they promise: valid, from the seed alone, anchored on what happens."""

from __future__ import annotations

from itertools import islice

import pytest

from hardware.vehicle import emulated_model
from rig.faults import CATALOGUE, STEPS, check_faults
from rig.generate import RandomSource
from rig.scenario import Scenario
from rig.search.anchors import NOTHING, Anchors, anchors_of
from rig.search.placing import BUSY_US, PATIENT, fault_in, parameters, slot
from rig.search.scripts import OFTEN, PLOTS, script
from rig.search.strategies import SCRIPTS_SHARE, STRATEGIES, Maker
from rig.search.swarm import Worker
from rig.search.table import table
from rig.world.attacker import KINDS, check_attacks

SOME = Anchors((1_000_000, 1_250_000, 2_000_000), (("motor.on", 4), ("cloud.dns", 1)))


@pytest.mark.parametrize("name", STRATEGIES)
def test_scenarios_are_valid_and_come_from_the_seed(name: str) -> None:
    strategy = STRATEGIES[name]

    def some(seed: int) -> list[Scenario]:
        maker = Maker(strategy, seed, lambda _plot: SOME)
        return [maker.make(n, row) for n, row in enumerate(islice(strategy.rows(f"{seed}/{name}"), 120))]

    made = some(1)
    for scenario in made:
        check_faults(scenario)
        check_attacks(scenario)
        assert Scenario.from_json(scenario.to_json()) == scenario
    assert made == some(1)
    assert made != some(2)


def test_a_scenario_depends_on_its_number_and_row_alone() -> None:
    strategy = STRATEGIES["random"]
    rows = list(islice(strategy.rows("1/random"), 40))
    in_order = Maker(strategy, 1, lambda _plot: SOME)
    made = [in_order.make(n, row) for n, row in enumerate(rows)]
    backwards = Maker(strategy, 1, lambda _plot: SOME)
    assert [backwards.make(n, rows[n]) for n in reversed(range(40))] == made[::-1]


def test_every_row_of_a_combination_has_its_modes() -> None:
    strategy = STRATEGIES["pairs"]
    maker = Maker(strategy, 3, lambda _plot: SOME)
    for number, row in enumerate(islice(strategy.rows("3/pairs"), 200)):
        assert isinstance(row, tuple)
        assert {f.mode for f in maker.make(number, row).faults} == set(row)


def test_the_default_strategy_meets_every_mode_and_every_kind_of_attack() -> None:
    modes = {f.mode for s in table() for f in s.faults}
    kinds = {a.kind for s in table() for a in s.attacks}
    assert (modes, kinds) == (set(CATALOGUE), set(KINDS))


def test_rows_of_the_table_are_all_different() -> None:
    assert len(set(table())) == len(table())


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_write_wishes_in_order_from_either_state(plot: str) -> None:
    assert plot in OFTEN
    for seed in range(40):
        for unlocked in (False, True):
            intents = PLOTS[plot](RandomSource(seed), 1_000_000, unlocked)
            assert [i.at_us for i in intents] == sorted(i.at_us for i in intents)


def test_slots_are_near_what_happens() -> None:
    near = placed = at_steps = 0
    for seed in range(400):
        place = slot(RandomSource(seed), SOME, 2_000_000)
        assert place.end_us is None or place.end_us >= place.start_us
        if place.step:
            assert place.step in STEPS and 1 <= place.nth <= 4
            at_steps += 1
        elif place.start_us:
            placed += 1
            near += any(abs(place.start_us - at) <= 20_000 for at in SOME.times_us)
    assert near > placed // 2
    assert at_steps > 50


def test_nothing_keeps_lines_busy_for_days() -> None:
    days = 20 * 24 * 3_600_000_000
    for name, mode in CATALOGUE.items():
        for seed in range(20):
            source = RandomSource(f"{name}/{seed}")
            fault = fault_in(slot(source, NOTHING, days), name, parameters(source, mode), days)
            if mode.state or name.startswith(PATIENT):
                continue
            assert fault.end_us is not None
            assert fault.end_us - fault.start_us <= BUSY_US


def test_anchors_are_the_instants_and_steps_of_the_healthy_run() -> None:
    model = emulated_model()
    plot = script(RandomSource(5))
    anchors = Worker(model, model).anchors(plot)
    assert anchors.times_us == tuple(sorted(anchors.times_us)) and anchors.times_us[0] >= 0
    assert all(step in STEPS and count > 0 for step, count in anchors.steps)
    again = Worker(model, model).anchors(plot)
    assert again == anchors


def test_a_trace_without_anything_has_no_anchors() -> None:
    from rig.trace import Trace

    assert anchors_of(Trace([(5, "origin"), (6, "end")], 5), 1_000) == NOTHING


def test_scripts_are_shared_by_consecutive_scenarios() -> None:
    asked = []
    maker = Maker(STRATEGIES["random"], 1, lambda plot: asked.append(plot) or NOTHING)  # type: ignore[func-returns-value]
    for number in range(3 * SCRIPTS_SHARE):
        maker.make(number, ())
    assert len(asked) == 3
