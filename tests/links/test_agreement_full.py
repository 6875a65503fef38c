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
from rig.scenario import Attack, Carry, Fault, Intent, Scenario
from rig.search.space import class_product
from tests.links.agreementrows import fixed, product_rows, random_rows, scripted

FOUND = {
    "a request arrives that its phone has given up": Scenario(
        4082300676,
        Carry("warm"),
        phase_us=705_848,
        timeline=(
            Fault("server.queue_late", 0, step="can.answer_first"),
            Fault("network.jitter", 0, 63_012_000, (("ms", 8601),), "cloud.request"),
            Intent("unlock", 2_093_000, "cloud"), Attack("forge_unsigned_cloud", 2_456_270),
            Intent("unlock", 16_098_000, "card"), Fault("bluetooth.link_lost", 27_456_000),
        ),
    ),
    "an error is an acknowledgement too": Scenario(
        timeline=(
            Fault("network.dns_none", 0, step="bluetooth.acknowledgement"),
            Fault("bluetooth.write_failed_executed", 0), Intent("unlock", 1_000_000, "bluetooth"),
            Intent("lock", 21_000_000, "cloud"),
        ),
    ),
    "a kept connection is closed when it is time, not the half of a microsecond before": Scenario(
        3469147801,
        Carry("warm"),
        phase_us=139_341,
        timeline=(
            Intent("unlock", 626_000, "card"), Intent("lock", 77_953_000, "cloud"),
            Fault("bluetooth.write_failed_executed", 78_167_840, 79_137_840),
            Intent("unlock", 180_128_000, "cloud"),
            Fault("server.429", 180_405_090, 198_860_090, (("retry_after_s", 1),)),
            Fault("network.partition_request", 155_253_586_000, 155_254_149_000),
            Attack("relay_cloud", 192_988_105_000, (("delay_ms", 26587),)), Attack("forge_op_cloud", 387_916_426_000),
            Intent("lock", 432_196_068_000, "card"), Attack("enumerate_bluetooth", 432_242_881_000),
        ),
    ),
}  # fmt: skip
"""What the whole of it has found."""
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


@pytest.mark.parametrize("name", FOUND)
def test_what_the_whole_has_found(stack: Stack, name: str) -> None:
    assert not Referee(emulated_model()).disagreement(stack, FOUND[name])


def test_the_whole_is_the_whole() -> None:
    assert sorted(product_rows()) == sorted(class_product())
