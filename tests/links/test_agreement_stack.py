"""Model and `stack` agree with every outer link real at once: the product of the modes, and random scenarios.

UNLOCK_RIG_WHOLE_PRODUCT=1 takes the whole product; by default a share of it.
"""

from __future__ import annotations

import os
from itertools import islice

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")
pytest.importorskip("aiohttp", reason="needs the extra links")

from hardware.fullstack import full_stack
from hardware.vehicle import emulated_model
from rig.agreement import Referee
from rig.model import Model
from rig.scenario import Scenario
from rig.search.space import class_product
from rig.search.strategies import STRATEGIES, Maker
from rig.search.swarm import Worker
from tests.randomscenarios import scenario as random_scenario

PARTS = 20
RANDOM = 500
SHARE = 300
WHOLE = os.environ.get("UNLOCK_RIG_WHOLE_PRODUCT", "0") == "1"
SEED = "agreement"
EXCUSED_SHARE = 0.02
"""More than this excused would say that the two differ in more than their jitter."""


@pytest.fixture(scope="module")
def stack() -> Model:
    return full_stack()


def _agree(stack: Model, scenarios: list[Scenario]) -> None:
    referee = Referee(emulated_model())
    wrong = []
    for scenario in scenarios:
        difference = referee.against(stack, scenario)
        if difference:
            wrong.append(f"{difference}\n{scenario.to_json()}")
    assert not wrong, f"{len(wrong)} of {len(scenarios)} differ\n" + "\n".join(wrong)
    assert referee.excused <= max(1, EXCUSED_SHARE * len(scenarios)), f"{referee.excused} of {len(scenarios)} excused"


@pytest.mark.parametrize("part", range(PARTS))
def test_the_product_of_the_modes_comes_to_the_same(stack: Model, part: int) -> None:
    """Every combination of modes of server, network and Bluetooth, each in a random script and timing."""
    strategy, model = STRATEGIES["product"], emulated_model()
    maker = Maker(strategy, 0, Worker(model, model).anchors)
    rows = list(islice(strategy.rows(SEED), None if WHOLE else SHARE))
    assert not WHOLE or len(rows) == len(class_product())
    _agree(stack, [maker.make(number, row) for number, row in list(enumerate(rows))[part::PARTS]])


@pytest.mark.parametrize("part", range(PARTS))
def test_random_scenarios_come_to_the_same(stack: Model, part: int) -> None:
    _agree(stack, [random_scenario(seed) for seed in range(part, RANDOM, PARTS)])
