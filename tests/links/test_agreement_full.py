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
    "an advertisement is answered by one central, the one that has waited longest": Scenario(
        2226310511,
        Carry("warm"),
        phase_us=179_095,
        timeline=(
            Fault("server.refused", 0, 56_261_000, step="bluetooth.command_chunk", nth=4),
            Fault("network.car_offline", 0, step="cloud.handled"),
            Intent("unlock", 3_576_000, "cloud"), Intent("lock", 6_408_000, "cloud"),
            Fault("bluetooth.write_failed_executed", 7_583_000, 20_051_000),
            Intent("unlock", 9_758_000, "bluetooth"), Intent("lock", 11_850_000, "bluetooth"),
        ),
    ),
    "a foreign central leaves in its next connection events": Scenario(
        674790441,
        Carry("warm"),
        phase_us=236_959,
        timeline=(
            Fault("server.token_expired", 0, 9_826_000), Fault("network.jitter", 0, 1_648_000, (("ms", 10_000),)),
            Fault("bluetooth.slots_taken", 0, 13_085_000), Intent("unlock", 3_841_000, "cloud"),
            Attack("replay_cloud", 4_047_280), Intent("lock", 5_200_000, "bluetooth"),
        ),
    ),
    "the module has a slot for a phone before the phone's app hears of the connection": Scenario(
        2179640843,
        Carry("warm"),
        phase_us=8_648,
        timeline=(
            Fault("server.cert_expired", 0, 31_479_000, step="can.request_first", nth=5),
            Fault("bluetooth.slots_taken", 0, step="bluetooth.subscribe"), Intent("unlock", 1_485_000, "bluetooth"),
            Fault("network.reorder", 1_865_711, 3_265_711), Intent("unlock", 4_038_000, "cloud", "guest"),
        ),
    ),
    "a phone that comes back before the module has missed it has the slot that it had": Scenario(
        2129818745,
        Carry("warm"),
        phase_us=403_531,
        timeline=(
            Fault("network.partition", 0, step="bluetooth.command_write", nth=3), Intent("unlock", 2_628_000, "cloud"),
            Intent("lock", 3_973_000, "bluetooth"), Intent("unlock", 7_052_000, "cloud"),
            Intent("lock", 8_278_000, "bluetooth"), Attack("hog_slots", 8_577_589),
            Fault("bluetooth.radio_off", 8_577_858, 8_905_858), Intent("unlock", 9_714_000, "bluetooth"),
        ),
    ),
    "a bad signal is as bad for everybody who sends in the same instant": Scenario(
        279380095,
        Carry("warm"),
        phase_us=857_469,
        timeline=(
            Fault("bluetooth.interference", 0, params=(("ms", 911),), step="serial.command"),
            Intent("unlock", 3_943_000, "ladder"), Fault("network.half_open", 4_324_271, 5_669_271),
            Fault("server.token_expired", 4_329_781, 4_384_000),
        ),
    ),
}  # fmt: skip
"""What the whole of it has found."""
FIXED, SCRIPTED, RANDOM = 180, 100, 200


@pytest.fixture(scope="module")
def stack() -> Stack:
    return full_stack()


def _agree(stack: Stack, scenarios: list[Scenario]) -> None:
    referee = Referee(emulated_model())
    for scenario in scenarios:
        difference = referee.disagreement(stack, scenario)
        assert not difference, f"{difference}\n{scenario.to_json()}"


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
