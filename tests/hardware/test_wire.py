"""A lane of the embedded bench: fresh kernels on one process, its death, its stalls."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hardware.bench import load_bench
from hardware.vehicle import body_codecs
from hardware.wire import LaneError, WireEdges, WireLane
from rig.kernel import Kernel
from rig.ports import Edges, Unsupported
from rig.pump import Pump, realtime_loop

LOCK_STATUS = 0x1A0


@dataclass(slots=True)
class Heard:
    """What a run heard."""

    status: list[bytes] = field(default_factory=list)
    console: list[str] = field(default_factory=list)


Play = Callable[[Kernel, WireEdges, Heard], Coroutine[object, Any, None]]


async def run(lane: WireLane, play: Play) -> Heard:
    kernel = Kernel()
    heard = Heard()
    edges = await lane.fresh(kernel)
    edges.bus.node("gateway", lambda _i, data: heard.status.append(data), frozenset({LOCK_STATUS}))
    edges.console.on_line(heard.console.append)
    await Pump(kernel, max_late=0.1).drive(play(kernel, edges, heard), until=20.0)
    return heard


async def power_on(kernel: Kernel, edges: WireEdges, heard: Heard) -> None:
    for door in ("FL", "FR", "RL", "RR"):
        edges.io.write(f"F {door} L")
        edges.io.write(f"A {door} 0")
    edges.io.write("V 12600")
    for _ in range(150):
        await kernel.sleep(0.02)
        if len(heard.status) >= 3:
            return
    raise AssertionError("no LockStatus within 3 s of power-up")


def in_lane(story: Callable[[WireLane], Coroutine[object, Any, None]], **options: Any) -> None:
    async def host() -> None:
        async with WireLane(load_bench("emulated"), **options) as lane:
            await story(lane)

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        runner.run(host())


def counter(data: bytes) -> int:
    return body_codecs()["LockStatus"].decode(data)["Counter"]


def test_each_run_starts_with_the_ecu_off_and_everything_said_before_forgotten() -> None:
    async def story(lane: WireLane) -> None:
        pid = lane.pid
        for _ in range(2):
            heard = await run(lane, power_on)
            # Counters restart at 0 on reset: the first frame heard is the first one after this power-up.
            assert [counter(data) for data in heard.status[:3]] == [0, 1, 2]
            assert heard.console
            # The ECU goes on talking to nobody; the next run must not hear it.
            await asyncio.sleep(0.3)
        assert (lane.pid, lane.restarts, lane.lost) == (pid, 0, None)

    in_lane(story)


def test_the_edges_are_what_the_world_wants() -> None:
    async def story(lane: WireLane) -> None:
        edges: Edges = await lane.fresh(Kernel())
        assert edges.capabilities == {"power.reset", "power.dip", "can.bus_off"}
        assert edges.dut_quiet_until() is None
        with pytest.raises(Unsupported):
            edges.dut_skip(1_000_000)
        with pytest.raises(Unsupported, match="flood"):
            edges.bus.set_flood(True)

    in_lane(story)


def test_bus_off_silences_the_ecu_and_ends_with_the_run() -> None:
    async def play(kernel: Kernel, edges: WireEdges, heard: Heard) -> None:
        await power_on(kernel, edges, heard)
        edges.bus.set_dut_bus_off(True)
        await kernel.sleep(0.05)
        before = len(heard.status)
        await kernel.sleep(0.35)
        assert len(heard.status) == before

    async def story(lane: WireLane) -> None:
        await run(lane, play)
        await run(lane, power_on)

    in_lane(story)


def test_a_killed_process_is_a_lost_lane_with_its_cause_and_the_next_run_has_a_new_one() -> None:
    async def story(lane: WireLane) -> None:
        pid = lane.pid
        assert pid is not None

        async def play(kernel: Kernel, edges: WireEdges, heard: Heard) -> None:
            await power_on(kernel, edges, heard)
            os.kill(pid, signal.SIGKILL)
            await kernel.sleep(5)

        # A run on a lost lane goes on as far as it likes; who runs it waits for both.
        playing = asyncio.ensure_future(run(lane, play))
        cause = await asyncio.wait_for(lane.wait_lost(), 5)
        assert cause == lane.lost == f"ECU process {pid} was killed by signal 9 (SIGKILL)"
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await run(lane, power_on)
        assert lane.lost is None
        assert lane.restarts == 1
        assert lane.pid != pid

    in_lane(story)


def test_stalls_of_the_process_are_collected_and_belong_to_one_run() -> None:
    async def story(lane: WireLane) -> None:
        pid = lane.pid
        assert pid is not None

        async def play(kernel: Kernel, edges: WireEdges, heard: Heard) -> None:
            await power_on(kernel, edges, heard)
            os.kill(pid, signal.SIGSTOP)
            await kernel.sleep(0.2)
            os.kill(pid, signal.SIGCONT)
            await kernel.sleep(0.2)

        heard = await run(lane, play)
        assert max(stall.late_us for stall in lane.stalls) >= 150_000
        assert not any(line.startswith("stall") for line in heard.console)
        await lane.fresh(Kernel())
        assert lane.stalls == []

    in_lane(story)


def test_memory_is_as_delivered_in_each_run() -> None:
    async def story(lane: WireLane) -> None:
        assert lane._folder is not None
        memory = lane._folder / "memory"
        delivered = await asyncio.to_thread(memory.read_bytes)
        await run(lane, power_on)
        assert await asyncio.to_thread(memory.read_bytes) != delivered
        await lane.fresh(Kernel())
        assert await asyncio.to_thread(memory.read_bytes) == delivered

    in_lane(story)


def test_nothing_is_left_behind() -> None:
    left: list[Path] = []
    pids: list[int] = []

    async def story(lane: WireLane) -> None:
        assert lane._folder is not None
        assert lane.pid is not None
        left.append(lane._folder)
        pids.append(lane.pid)

    in_lane(story)
    assert not left[0].exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_process_that_cannot_start_is_a_lane_error_with_its_own_words() -> None:
    async def host(command: tuple[str, ...], **options: Any) -> None:
        bench = load_bench("emulated")
        bench = replace(bench, dut=replace(bench.dut, command=command))
        async with WireLane(bench, **options):
            raise AssertionError("started")

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        with pytest.raises(LaneError, match="/none/such cannot be started"):
            runner.run(host(("/none/such",)))
        with pytest.raises(LaneError, match=r"ended with status 2; .*none_such"):
            runner.run(host(load_bench("emulated").dut.command, defect="none_such"))


def test_a_bench_without_lines_has_no_lane() -> None:
    with pytest.raises(LaneError, match="no real lines"):
        WireLane(load_bench("model"))
    with pytest.raises(LaneError, match="has no lane 64"):
        WireLane(load_bench("emulated"), 64)
