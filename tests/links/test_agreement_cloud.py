"""Model and real HTTP agree: every mode of server and network, in scripts and at steps; equal runs are equal."""

from __future__ import annotations

import pytest

from hardware.cloud.stack import StackCloud
from hardware.stack import Stack, emulated_stack
from hardware.vehicle import emulated_model
from rig.agreement import Referee, judged
from rig.scenario import Carry, Fault, Intent, Scenario
from tests.links.agreementrows import CLOUD_MODES, CLOUD_STEPS, at_step, cloud_drawn


@pytest.fixture(scope="module")
def referee() -> Referee:
    return Referee(emulated_model())


@pytest.fixture(scope="module")
def stack() -> Stack:
    return emulated_stack(lambda loop: StackCloud(loop).links())


def scripts(mode: str) -> list[Scenario]:
    """A mode in four stories: from the start, in the middle, before a ladder, between a lock and an unlock."""
    early, lock = Intent("unlock", 100_000, "cloud"), Intent("lock", 100_000, "cloud")
    return [
        Scenario(1, Carry(), timeline=(Fault(mode, 0), early, Intent("unlock", 2_100_000, "cloud"))),
        Scenario(
            2,
            Carry(session="cold"),
            timeline=(Fault(mode, 500_000, 8_000_000), early, Intent("unlock", 2_100_000, "cloud")),
        ),
        Scenario(3, Carry(session="warm"), timeline=(Fault(mode, 0, 9_000_000), early, Intent("unlock", 1_000_000))),
        Scenario(
            4,
            Carry(session="warm"),
            "unlocked",
            timeline=(lock, Fault(mode, 2_000_000, 4_000_000), Intent("unlock", 2_100_000, "cloud")),
        ),
    ]


@pytest.mark.parametrize("mode", CLOUD_MODES)
def test_every_mode_comes_to_the_same(referee: Referee, stack: Stack, mode: str) -> None:
    for scenario in scripts(mode):
        assert not referee.disagreement(stack, scenario), scenario.to_json()


@pytest.mark.parametrize("step", CLOUD_STEPS)
def test_every_mode_at_a_step_comes_to_the_same(referee: Referee, stack: Stack, step: str) -> None:
    number = CLOUD_STEPS.index(step)
    for seed, mode in enumerate(CLOUD_MODES):
        if (seed + number) % 3 == 0:
            assert not referee.disagreement(stack, at_step(mode, step, seed)), f"{mode} at {step}"


@pytest.mark.parametrize(("later_us", "told"), [(3_500_000_000, "locked"), (3_700_000_000, "unknown")])
def test_a_connection_is_kept_for_an_hour_and_no_longer(
    referee: Referee, stack: Stack, later_us: int, told: str
) -> None:
    """A new one needs the server's name again, which hangs."""
    scenario = Scenario(
        5,
        timeline=(
            Intent("unlock", 0, "cloud"), Fault("network.dns_hang", later_us - 100_000_000, later_us + 60_000_000),
            Intent("lock", later_us, "cloud"),
        ),
    )  # fmt: skip
    assert not referee.disagreement(stack, scenario)
    assert dict(judged(referee.model, scenario).told)[1] == told


def test_equal_runs_leave_equal_http_events(stack: Stack) -> None:
    """Trace and with it every HTTP event, to the byte of its bodies."""
    for seed in range(8):
        first, second = stack.run(cloud_drawn(seed)), stack.run(cloud_drawn(seed))
        assert list(first.of("http")), "no HTTP event in the trace"
        assert first.hash() == second.hash()
    assert stack.run(cloud_drawn(1)).hash() != stack.run(cloud_drawn(2)).hash()
