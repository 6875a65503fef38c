"""When the ECU's process dies or freezes in mid-scenario, the run says so: inconclusive, with the cause, at once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import pytest

import fixtures.wiretable
from fixtures.campaign import Campaign, Undecided
from fixtures.wiretable import WireTable
from hardware.bench import load_bench
from hardware.vehicle import body_codecs
from hardware.wire import WireLane
from hardware.wirerun import play
from rig.judge import Outcome, judge
from rig.judge.judge import REQUIREMENTS, Judgement, Rules
from rig.pump import Pump, realtime_loop
from rig.scenario import Attack, Carry, Fault, Intent, Scenario
from rig.suite.wire_rows import Row
from rig.trace import Trace
from rig.world.world import Watch

WATCH = Watch(opened_us=1_000_000, relock_us=0)
CARD = Scenario(timeline=(Intent("unlock", 0, "card"),))
LONG = Scenario(
    timeline=(
        Fault("server.500", 0),
        Fault("bluetooth.out_of_range", 0),
        Intent("unlock", 0),
        Intent("lock", 45_000_000, "card"),
    )
)
"""Would last for a minute."""


def judged(scenario: Scenario, trace: Trace) -> Judgement:
    rules = Rules(decode=body_codecs()["LockStatus"].decode, uncertainty_us=20_000, opened_us=1_000_000)
    return judge(scenario, trace, rules)


def in_lane(story: Callable[[WireLane], Awaitable[None]]) -> None:
    async def host() -> None:
        async with WireLane(load_bench("emulated"), seed=1) as lane:
            await story(lane)

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        runner.run(host())


async def conclusive(lane: WireLane, scenario: Scenario) -> Judgement:
    """Plays until a run is conclusive, at most three times: a busy host may stall one."""
    judgement = judged(scenario, await play(lane, scenario, WATCH))
    for _ in range(2):
        if judgement.outcome is not Outcome.INCONCLUSIVE:
            break
        judgement = judged(scenario, await play(lane, scenario, WATCH))
    return judgement


@pytest.mark.parametrize("after_s", [0.02, 1.2, 4.5])
def test_kill_9_in_mid_scenario_is_inconclusive_with_its_cause(after_s: float) -> None:
    """While it boots, while the phone makes its session, and after the origin; the next run has a new process."""
    scenario = replace(LONG, carry=Carry(session="warm"))

    async def story(lane: WireLane) -> None:
        pid = lane.pid
        assert pid is not None
        killed_s = 0.0

        def kill() -> None:
            nonlocal killed_s
            os.kill(pid, signal.SIGKILL)
            killed_s = time.monotonic()

        asyncio.get_running_loop().call_later(after_s + 0.05, kill)
        trace = await play(lane, scenario, WATCH)
        assert time.monotonic() - killed_s < 3.0
        assert not list(trace.of("end"))
        judgement = judged(scenario, trace)
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert {v.outcome for v in judgement.verdicts.values()} == {Outcome.INCONCLUSIVE}
        assert set(judgement.verdicts) == set(REQUIREMENTS)
        assert all(f"ECU process {pid} was killed by signal 9" in v.text for v in judgement.verdicts.values())
        assert not judgement.failures
        assert not judgement.cells
        again = await conclusive(lane, CARD)
        assert again.verdicts["AVL-4"].outcome.good
        assert not again.failures
        assert lane.restarts == 1
        assert lane.pid not in (None, pid)

    in_lane(story)


def test_a_process_that_ends_by_itself_is_inconclusive_too() -> None:
    async def story(lane: WireLane) -> None:
        pid = lane.pid
        assert pid is not None
        asyncio.get_running_loop().call_later(1.0, os.kill, pid, signal.SIGTERM)
        judgement = judged(LONG, await play(lane, LONG, WATCH))
        assert {v.outcome for v in judgement.verdicts.values()} == {Outcome.INCONCLUSIVE}
        assert all(f"ECU process {pid} ended" in v.text for v in judgement.verdicts.values())

    in_lane(story)


def test_killed_between_two_runs_the_next_one_has_a_new_process() -> None:
    async def story(lane: WireLane) -> None:
        pid = lane.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await lane.wait_lost()
        assert (await conclusive(lane, CARD)).verdicts["AVL-4"].outcome.good
        assert lane.restarts == 1

    in_lane(story)


def test_killed_while_the_attacker_holds_a_command_leaves_no_task_behind() -> None:
    """What was still to come must not come into the next run."""
    scenario = Scenario(
        timeline=(
            Attack("hold_bluetooth", 0, (("delay_ms", 20_000),)),
            Fault("credential.lifetime_past", 0),
            Intent("unlock", 0, "bluetooth"),
        )
    )

    async def story(lane: WireLane) -> None:
        pid = lane.pid
        assert pid is not None
        asyncio.get_running_loop().call_later(4.5, os.kill, pid, signal.SIGKILL)
        trace = await play(lane, scenario, WATCH)
        assert judged(scenario, trace).outcome is Outcome.INCONCLUSIVE
        length = len(trace.events)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in others if "drive" in repr(task.get_coro())]
        await conclusive(lane, CARD)
        assert len(trace.events) == length

    in_lane(story)


# -- frozen ----------------------------------------------------------------------------------------------


def test_a_frozen_process_is_a_stall_and_the_row_is_run_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """300 ms in mid-run: inconclusive by stall, both runs recorded, and the second counts."""
    ours = load_bench("emulated")
    campaign = Campaign(ours.name, None, 1, tmp_path, frozenset())
    row = Row("a tap", ("AVL-4",), CARD, watch_us=1_000_000)
    froze: list[int] = []

    async def freezing(lane: WireLane, scenario: Scenario, watch: Watch) -> Trace:
        if not froze:
            pid = lane.pid
            assert pid is not None
            froze.append(pid)
            loop = asyncio.get_running_loop()
            # The origin is 3 s after the start; the tap is under way then.
            loop.call_later(3.3, os.kill, pid, signal.SIGSTOP)
            loop.call_later(3.6, os.kill, pid, signal.SIGCONT)
        return await play(lane, scenario, watch)

    monkeypatch.setattr(fixtures.wiretable, "play", freezing)
    with WireTable(ours, campaign, [row], defect=None, seed=1, say=lambda _text: None) as table:
        result, causes = table.outcome(row)
    assert froze
    first, *later = campaign.rows
    assert first.outcome == Outcome.INCONCLUSIVE
    assert "late" in first.text
    assert 1 <= len(later) <= 2, "run again, at most twice"
    assert [r.run for r in campaign.rows] == list(range(1, len(campaign.rows) + 1))
    assert len({r.trace_hash for r in campaign.rows}) == len(campaign.rows)
    assert causes[0] == first.text
    assert later[-1].outcome == Outcome.PASS
    assert result.judgement.verdicts["AVL-4"].outcome.good
    assert campaign.runs == 1, "only the run that counts is counted"


def test_a_row_whose_process_dies_each_time_is_undecided_and_not_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Three runs, all recorded, each with its cause; no requirement failed."""
    ours = load_bench("emulated")
    campaign = Campaign(ours.name, None, 1, tmp_path, frozenset())
    row = Row("a tap", ("AVL-4",), CARD, watch_us=1_000_000)

    def kill(lane: WireLane) -> None:
        assert lane.pid is not None
        os.kill(lane.pid, signal.SIGKILL)

    async def deadly(lane: WireLane, scenario: Scenario, watch: Watch) -> Trace:
        loop = asyncio.get_running_loop()
        # A lost lane is started anew within `play`: its process is known only then.
        loop.call_later(2.5, kill, lane)
        return await play(lane, scenario, watch)

    monkeypatch.setattr(fixtures.wiretable, "play", deadly)
    with (
        WireTable(ours, campaign, [row], defect=None, seed=1, say=lambda _text: None) as table,
        pytest.raises(Undecided, match="killed by signal 9"),
    ):
        table.check(row)
    assert [r.outcome for r in campaign.rows] == [Outcome.INCONCLUSIVE] * 3
    assert all("killed by signal 9" in r.text for r in campaign.rows)
    assert not campaign.failures
    assert campaign.tallies["AVL-4"].verdict is Outcome.INCONCLUSIVE


def test_a_trace_is_in_order_also_when_a_stall_is_told_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a trace is the end of the run; a stall before the origin must not move it."""
    stalled = [(700_000, 25_000)]

    class Late(Pump):
        """A pump that was late once, long before the end."""

        async def drive(self, coro: Coroutine[object, object, None], until: float = 3600.0) -> None:
            await super().drive(coro, until)
            self.stalls[:] = stalled

    monkeypatch.setattr("hardware.wirerun.Pump", Late)

    async def once() -> Trace:
        async with WireLane(load_bench("emulated")) as lane:
            return await play(lane, CARD, Watch(opened_us=300_000, relock_us=0))

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        trace = runner.run(once())
    times = [event[0] for event in trace.events]
    assert times == sorted(times)
    assert [event[0] for event in trace.of("stall")] == [700_000]
    assert trace.end_us > trace.origin_us
