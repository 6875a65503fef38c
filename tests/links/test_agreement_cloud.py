"""Model and real HTTP agree: every mode of server and network, at scripts and steps, and random scenarios."""

from __future__ import annotations

import random

import pytest

from hardware.cloud.stack import StackCloud
from hardware.stack import Stack, emulated_stack
from hardware.vehicle import emulated_model
from rig.agreement import TIE_US, Referee, outcome_of
from rig.faults import CATALOGUE, modes
from rig.model import Model
from rig.scenario import Carry, Entry, Fault, Intent, Scenario
from rig.world.world import Watch

MODES = (*modes("server"), *modes("network"))
STEPS = (
    "cloud.dns", "cloud.tcp", "cloud.tls", "cloud.request", "cloud.handled", "cloud.headers", "cloud.body",
    "cloud.after_body", "cloud.car_request", "cloud.car_answer",
)  # fmt: skip
RANDOM = 500
"""How many random scenarios this test takes; the first 2,160 agreed when it was written."""


@pytest.fixture(scope="module")
def model() -> Model:
    return emulated_model()


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


def at_step(mode: str, step: str, seed: int) -> Scenario:
    """A mode that begins at a step of the second request after its arming."""
    return Scenario(
        seed,
        Carry(session="cold"),
        timeline=(
            Fault(mode, 0, 15_000_000, step=step, nth=1 + seed % 2),
            Intent("unlock", 100_000, "cloud"),
            Intent("unlock", 12_000_000, "cloud"),
        ),
    )


def drawn(seed: int) -> Scenario:
    """Up to four faults of server and network, with their whole ranges, at times and steps; up to three wishes."""
    chance = random.Random(seed)
    timeline: list[Entry] = []
    for _ in range(chance.randint(1, 4)):
        mode = chance.choice(MODES)
        start = chance.randrange(12_000_000)
        end = chance.choice([None, start + chance.randrange(100_000, 20_000_000)])
        params = tuple(
            (p.name, chance.choice([p.default, chance.randint(p.low, p.high)])) for p in CATALOGUE[mode].params
        )
        step = chance.choice(["", "", *STEPS])
        timeline.append(Fault(mode, start, end, params, step, chance.randint(1, 2) if step else 1))
    for _ in range(chance.randint(1, 3)):
        want = chance.choice(["unlock", "unlock", "lock"])
        via = chance.choice(["cloud", "cloud", "ladder"])
        timeline.append(Intent(want, chance.randrange(20_000_000), via))  # type: ignore[arg-type]
    carry = Carry(session=chance.choice(["warm", "cold"]))  # type: ignore[arg-type]
    doors = chance.choice(["locked", "unlocked"])
    return Scenario(seed, carry, doors, chance.randrange(999_999), tuple(timeline))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_comes_to_the_same(model: Model, stack: Stack, mode: str) -> None:
    for scenario in scripts(mode):
        assert not Referee(model).against(stack, scenario), scenario.to_json()


@pytest.mark.parametrize("step", STEPS)
def test_every_mode_at_a_step_comes_to_the_same(model: Model, stack: Stack, step: str) -> None:
    number = STEPS.index(step)
    for seed, mode in enumerate(MODES):
        if (seed + number) % 3 == 0:
            assert not Referee(model).against(stack, at_step(mode, step, seed)), f"{mode} at {step}"


def test_random_scenarios_come_to_the_same(model: Model, stack: Stack) -> None:
    for seed in range(RANDOM):
        scenario = drawn(seed)
        assert not Referee(model).against(stack, scenario), scenario.to_json()


def test_an_outcome_that_differs_is_told(model: Model, stack: Stack) -> None:
    """The comparison itself: a stack against a model without the fault."""
    scenario = Scenario(1, timeline=(Fault("server.500", 0, 20_000_000), Intent("unlock", 100_000, "cloud")))
    healthy = Scenario(1, timeline=(Intent("unlock", 100_000, "cloud"),))

    class Deaf(Model):
        """A model that leaves the fault out."""

        def run(self, scenario: Scenario, watch: Watch | None = None):  # type: ignore[no-untyped-def]
            return super().run(Scenario(scenario.seed, timeline=scenario.intents), watch)

    deaf = Deaf(model.keys, model.codecs, model.edges)
    assert "told" in Referee(deaf).against(stack, scenario)
    assert not Referee(deaf).against(stack, healthy)


def test_only_what_lies_within_a_tie_is_forgiven(model: Model) -> None:
    """The same scenario with its fault a little later than a tie reaches is not the same scenario."""

    class Late(Model):
        """A model that takes every fault for later than it is."""

        by_us = 0

        def run(self, scenario: Scenario, watch: Watch | None = None):  # type: ignore[no-untyped-def]
            timeline = tuple(
                Fault(e.mode, e.start_us + self.by_us, e.end_us) if isinstance(e, Fault) else e
                for e in scenario.timeline
            )
            return super().run(Scenario(scenario.seed, timeline=timeline), watch)

    late = Late(model.keys, model.codecs, model.edges)
    told = Intent("unlock", 100_000, "cloud")

    def just_before(request_us: int) -> Scenario:
        return Scenario(1, timeline=(Fault("server.403", request_us), told))

    # The command has come to the server by then, if the handshake was made before.
    edge_us = next(
        us for us in range(200_000, 900_000, 10_000) if outcome_of(model.judge(just_before(us))).told[0][1] == "opened"
    )
    scenario = just_before(edge_us - 10_000)
    late.by_us = 10_000
    assert outcome_of(model.judge(scenario)) != outcome_of(late.judge(scenario))
    assert not Referee(model).against(late, scenario)
    late.by_us = 10 * TIE_US
    far = just_before(edge_us - 10_000 - 5 * TIE_US)
    assert Referee(model).against(late, far)


def test_equal_runs_leave_equal_http_events(stack: Stack) -> None:
    """Trace and with it every HTTP event, to the byte of its bodies."""
    for seed in range(8):
        first, second = stack.run(drawn(seed)), stack.run(drawn(seed))
        assert list(first.of("http")), "no HTTP event in the trace"
        assert first.hash() == second.hash()
    assert stack.run(drawn(1)).hash() != stack.run(drawn(2)).hash()
