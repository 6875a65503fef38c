"""The suite can fail: planted defects are caught by short scenarios, which replay alike, on real lines too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache
from statistics import median

import pytest

from hardware.bench import load_bench
from hardware.ecu.defects import DEFECTS
from hardware.vehicle import emulated_model
from hardware.wire import WireLane
from hardware.wirerun import play, require
from rig.judge import Outcome, judge
from rig.judge.judge import Judgement
from rig.kernel import collector_paused
from rig.model import Model
from rig.ports import Unsupported
from rig.pump import realtime_loop
from rig.scenario import Scenario, start_of
from rig.search.table import telling
from rig.shrink import StillFails, same_failure, shrink
from rig.world.world import Watch

pytestmark = pytest.mark.xdist_group("defects")  # they share what takes long to make

CAUGHT = (
    "online_check", "blocking_report", "bus_off_blocks_card", "flood_starves", "slow_boot", "lock_ignored",
    "opens_some_doors", "reset_opens", "locks_after_reset", "double_actuation", "no_counter", "no_expiry", "short_mac",
    "wrong_domain_taken", "monitor_may_open", "open_on_plain_frame", "parse_error_opens", "crash_on_one_frame",
    "no_crash_unlock", "unlocks_at_speed", "tap_locks_at_once", "lying_status", "stuck_alive_counter", "early_answer",
)  # fmt: skip
"""Of every kind of requirement some, each shown in seconds; qualification is for all of them."""
WATCH = Watch(opened_us=5_000_000, relock_us=0)
"""As on real lines: no wait for the relock, and no closing phase."""
SHRINKING_RUNS = 120
AT_ONCE = 12
"""Lanes in use, so that two cores keep up with them."""
LATEST_US = 30_000_000
"""What begins later is not for real time."""
TRIES = 3
REAL_LINES_COST_US = 150_000
"""Far less than what these defects cost."""
NOT_AT_WIRE = {"flood_starves"}
"""A flood of the whole bus is more than an slcan adapter can send."""


@cache
def model_of(defect: str | None) -> Model:
    """A model of the ECU with a defect, or the healthy one."""
    return emulated_model(defect)


def judged_soon(model: Model, scenario: Scenario) -> Judgement:
    """The verdicts of a run that ends as soon as one on real lines does."""
    return judge(scenario, model.run(scenario, WATCH), replace(model.rules(), opened_us=WATCH.opened_us))


def both(one: StillFails, other: StillFails) -> StillFails:
    """Whether a scenario fails alike in two ways of running it."""
    return lambda scenario: one(scenario) and other(scenario)


@cache
def caught(defect: str) -> tuple[str, Scenario] | None:
    """The requirement that a defect fails, of those it is planted against, and the shrunk scenario."""
    model, healthy = model_of(defect), model_of(None)

    def soon(scenario: Scenario) -> Judgement:
        return judged_soon(model, scenario)

    def to_the_end(scenario: Scenario) -> Judgement:
        return model.judge(scenario).judgement

    for scenario in (row for part in telling() for row in part if _last_us(row) <= LATEST_US):
        verdicts = soon(scenario).verdicts
        for requirement in DEFECTS[defect].requirements:
            if verdicts[requirement].outcome is not Outcome.FAIL:
                continue
            still_fails = both(
                same_failure(soon, requirement, lambda s: judged_soon(healthy, s)),
                same_failure(to_the_end, requirement),
            )
            if still_fails(scenario):
                return requirement, shrink(scenario, still_fails, SHRINKING_RUNS)
    return None


def _last_us(scenario: Scenario) -> int:
    return max((start_of(e) for e in scenario.timeline), default=0)


def found(defect: str) -> tuple[str, Scenario]:
    """The same, which must be there."""
    out = caught(defect)
    assert out is not None, f"no telling row fails {DEFECTS[defect].requirements} with {defect}"
    return out


@pytest.mark.parametrize("defect", CAUGHT)
def test_defect_is_caught_by_a_scenario_that_replays(defect: str) -> None:
    requirement, scenario = found(defect)
    again = Scenario.from_json(scenario.to_json())
    # To the end, with the closing phase, as a search runs it.
    assert model_of(defect).judge(again).judgement.verdicts[requirement].outcome is Outcome.FAIL
    assert model_of(None).judge(again).judgement.verdicts[requirement].outcome is not Outcome.FAIL
    assert model_of(defect).judge(again).trace.hash() == model_of(defect).judge(scenario).trace.hash()


def test_shrunk_scenarios_are_short() -> None:
    lengths = {defect: len(found(defect)[1].timeline) for defect in CAUGHT}
    assert len(lengths) >= 20
    assert median(lengths.values()) <= 3, lengths
    assert max(lengths.values()) <= 6, lengths


def test_shrunk_scenarios_replay_at_wire() -> None:
    """The same verdict from the ECU's process on real lines, where the bench can make the faults."""
    bench = load_bench("emulated")
    outcomes: dict[str, str] = {}
    for defect in CAUGHT:
        # Judged once at model first: baselines measured in the loop would stall the lanes.
        judged_soon(model_of(defect), found(defect)[1])
    waiting = sorted(CAUGHT, key=lambda d: (_last_us(found(d)[1]), d))

    async def work(number: int) -> None:
        await asyncio.sleep(number * 0.4)
        while waiting:
            defect = waiting.pop()
            try:
                for _ in range(TRIES):
                    # A new process each time: what guesses a MAC has other luck after another boot.
                    async with WireLane(bench, number, defect=defect, seed=1) as lane:
                        outcomes[defect] = await _replayed(lane, defect)
                    if outcomes[defect] != "inconclusive":
                        break
            except Unsupported as reason:
                outcomes[defect] = f"unsupported: {reason}"

    async def everything() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(work(number))

    loop = realtime_loop()
    try:
        with collector_paused():
            loop.run_until_complete(everything())
    finally:
        loop.close()
    unsupported = {d for d, o in outcomes.items() if o.startswith("unsupported")}
    assert unsupported <= NOT_AT_WIRE, outcomes
    assert {d: o for d, o in outcomes.items() if d not in unsupported} == {
        d: "fail" for d in CAUGHT if d not in unsupported
    }


async def _replayed(lane: WireLane, defect: str) -> str:
    """The outcome on real lines; "inconclusive" if the bench spoilt it."""
    requirement, scenario = found(defect)
    model = model_of(defect)
    rules = replace(
        model.rules(),
        uncertainty_us=lane.bench.uncertainty_ms * 1000,
        opened_us=WATCH.opened_us,
        baseline=lambda path, want, warm: model.baseline(path, want, warm) + REAL_LINES_COST_US,
    )
    trace = await play(lane, scenario, WATCH)
    return str(judge(scenario, trace, rules).verdicts[requirement].outcome)


def test_a_bench_names_what_it_cannot_make() -> None:
    scenario = found("flood_starves")[1]
    with pytest.raises(Unsupported, match=r"bench emulated cannot make can\.log_flood"):
        require(scenario, frozenset({"power.dip"}), "emulated")
