"""Model and stack agree with all outer links real at once: a share of the mode product and of the random scenarios.

The whole of it, about forty minutes on one core: `python -m benchmarks.agreement`.
"""

from __future__ import annotations

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")

from hardware.fullstack import full_stack
from hardware.stack import Stack
from hardware.vehicle import emulated_model
from rig.agreement import Referee
from rig.scenario import Scenario
from rig.search.space import class_product
from tests.links.agreementrows import fixed, product_rows, random_rows, scripted

FIXED, SCRIPTED, RANDOM = 180, 100, 200
EXCUSED_SHARE = 0.05
"""More than this excused would say that the two differ in more than the rule means."""


@pytest.fixture(scope="module")
def stack() -> Stack:
    return full_stack()


def _agree(stack: Stack, scenarios: list[Scenario]) -> None:
    referee = Referee(emulated_model())
    for scenario in scenarios:
        difference = referee.disagreement(stack, scenario)
        assert not difference, f"{difference}\n{scenario.to_json()}"
    assert referee.excused <= max(1, EXCUSED_SHARE * len(scenarios))


def test_the_product_in_the_fixed_script(stack: Stack) -> None:
    _agree(stack, [fixed(row) for row in product_rows()[:FIXED]])


def test_the_product_in_random_scripts(stack: Stack) -> None:
    _agree(stack, list(scripted(product_rows()[:SCRIPTED], emulated_model())))


def test_random_scenarios(stack: Stack) -> None:
    _agree(stack, list(random_rows(RANDOM)))


def test_the_whole_is_the_whole() -> None:
    assert sorted(product_rows()) == sorted(class_product())
