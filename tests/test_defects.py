"""The suite can fail: each planted defect is caught, by name of requirement, with a short scenario that replays."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from hardware.bench import load_bench
from hardware.ecu.defects import DEFECTS
from hardware.vehicle import emulated_model
from hardware.wire import WireLane
from hardware.wirerun import play, require
from rig.judge import Outcome, judge
from rig.judge.judge import Rules
from rig.model import Model
from rig.ports import Unsupported
from rig.pump import realtime_loop
from rig.scenario import Scenario
from rig.shrink import shrink
from rig.suite import test_cells, test_security
from rig.world.world import Watch
from tests.suitescenarios import scenarios_of

CAUGHT = (
    "online_check", "blocking_report", "bus_off_blocks_card", "flood_starves", "slow_boot", "lock_ignored",
    "reset_opens", "open_on_plain_frame", "no_counter", "no_expiry", "double_actuation", "lying_status",
)  # fmt: skip
"""Those that the enumerated part of the suite is meant to catch; the search is for the others."""
WIRE_WATCH = Watch(opened_us=5_000_000, relock_us=0)


@cache
def suite_scenarios() -> tuple[Scenario, ...]:
    """The enumerated part of the suite that asks of every requirement: cells and security."""
    return tuple(scenarios_of(test_cells, test_security))


def fails(model: Model, scenario: Scenario, requirement: str) -> bool:
    """Whether a scenario fails a requirement."""
    return model.judge(scenario).judgement.verdicts[requirement].outcome is Outcome.FAIL


@cache
def caught(defect: str) -> tuple[str, Scenario] | None:
    """The requirement that a defect fails, of those it is planted against, and the shrunk scenario."""
    model = emulated_model(defect)
    for scenario in suite_scenarios():
        verdicts = model.judge(scenario).judgement.verdicts
        for requirement in DEFECTS[defect].requirements:
            if verdicts[requirement].outcome is Outcome.FAIL:
                return requirement, shrink(scenario, lambda s, r=requirement: fails(model, s, r))  # type: ignore[misc]
    return None


def test_the_enumerated_suite_is_not_small() -> None:
    assert len(suite_scenarios()) > 200


@pytest.mark.parametrize("defect", CAUGHT)
def test_defect_is_caught_by_a_short_scenario(defect: str) -> None:
    found = caught(defect)
    assert found is not None, f"nothing of the suite fails {DEFECTS[defect].requirements} with {defect}"
    requirement, scenario = found
    assert len(scenario.timeline) <= 3, scenario.to_json()
    again = Scenario.from_json(scenario.to_json())
    assert fails(emulated_model(defect), again, requirement)
    assert not fails(emulated_model(), again, requirement), (
        "caught only what passes on the healthy ECU counts"
    )


def test_shrunk_scenarios_replay_at_wire() -> None:
    """The same verdict from the ECU's process on real lines, where the bench can make the faults."""
    bench = load_bench("emulated")
    outcomes: dict[str, str] = {}
    models: dict[str, Model] = {}

    async def replay(defect: str, lane_number: int) -> None:
        found = caught(defect)
        assert found is not None
        requirement, scenario = found
        model = models[defect]
        await asyncio.sleep(lane_number * 0.4)
        try:
            async with WireLane(bench, lane_number % bench.lanes, defect=defect, seed=1) as lane:
                for _ in range(3):
                    relock = requirement == "SAF-3"
                    trace = await play(lane, scenario, Watch() if relock else WIRE_WATCH)
                    rules = Rules(
                        decode=model.codecs["LockStatus"].decode,
                        uncertainty_us=bench.uncertainty_ms * 1000,
                        opened_us=WIRE_WATCH.opened_us,
                        decode_vehicle=model.codecs["VehicleState"].decode,
                        decode_interior=model.codecs["InteriorSwitch"].decode,
                        # Real lines are slower than the model by what they cost: far less than these defects.
                        baseline=lambda path, want, warm: model.baseline(path, want, warm) + 150_000,
                    )
                    outcomes[defect] = str(judge(scenario, trace, rules).verdicts[requirement].outcome)
                    if outcomes[defect] != "inconclusive":
                        return
        except Unsupported as reason:
            outcomes[defect] = f"unsupported: {reason}"

    async def everything() -> None:
        async with asyncio.TaskGroup() as group:
            for number, defect in enumerate(CAUGHT):
                group.create_task(replay(defect, number))

    for defect in CAUGHT:
        found = caught(defect)
        assert found is not None
        # Judged once at model first: baselines measured later, in the loop, would stall the lanes.
        models[defect] = emulated_model(defect)
        models[defect].judge(found[1])
    loop = realtime_loop()
    try:
        loop.run_until_complete(everything())
    finally:
        loop.close()
    unsupported = {d for d, o in outcomes.items() if o.startswith("unsupported")}
    assert {d: o for d, o in outcomes.items() if d not in unsupported} == {
        d: "fail" for d in CAUGHT if d not in unsupported
    }
    assert unsupported <= {"flood_starves"}, "only a flood cannot be made on slcan"


def test_a_bench_names_what_it_cannot_make() -> None:
    found = caught("flood_starves")
    assert found is not None
    with pytest.raises(Unsupported, match=r"bench emulated cannot make can\.log_flood"):
        require(found[1], frozenset({"power.dip"}), "emulated")
