"""Runs in real time in fast succession leave nothing behind: no task, no socket, no descriptor, no memory.

UNLOCK_RIG_SOAK_S=3600 makes an hour of it; by default it is shortened.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path

import pytest

from hardware.pumped import Pumped
from hardware.vehicle import emulated_model
from rig.pump import realtime_loop
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.world.world import Watch
from tests.links.agreementrows import CLOUD_MODES

LASTS_S = float(os.environ.get("UNLOCK_RIG_SOAK_S", "30"))
AT_ONCE = 16
BRIEF = Watch(relock_us=0, opened_us=0)
WARM_ROUNDS = 2
"""Before these, caches fill."""
MOST_GROWTH = 1.05

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def scenario(number: int) -> Scenario:
    """A short one: an unlock over the server while something fails, the modes in turn."""
    mode = CLOUD_MODES[number % len(CLOUD_MODES)]
    timeline = (Fault(mode, 0, 1_000_000), Intent("unlock", 300_000, ("cloud", "bluetooth")[number % 2]))
    return Scenario(number, Carry(session="cold"), timeline=timeline)


def descriptors() -> list[str]:
    """What this process has open, but for the list itself."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:
            continue
    return sorted(name.partition(":")[0] for name in found if "/proc/" not in name)


def resident_kb() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def test_nothing_is_left_behind() -> None:
    pumped = Pumped(emulated_model(collapse=False), bluetooth=True)

    async def soak() -> tuple[list[int], int]:
        begin, memory, runs = time.monotonic(), [], 0
        tasks, open_before = len(asyncio.all_tasks()), descriptors()
        while time.monotonic() - begin < LASTS_S or len(memory) < WARM_ROUNDS + 2:
            await pumped.run_all([scenario(runs + n) for n in range(AT_ONCE)], BRIEF, AT_ONCE)
            runs += AT_ONCE
            # What was closed in the last turn goes in the next.
            for _ in range(5):
                await asyncio.sleep(0)
            gc.collect()
            memory.append(resident_kb())
            left = [task.get_name() for task in asyncio.all_tasks()]
            assert len(left) == tasks, f"tasks left after {runs} runs: {left}"
            assert descriptors() == open_before, f"descriptors left after {runs} runs"
        return memory, runs

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        memory, runs = runner.run(soak())
    settled = memory[WARM_ROUNDS:]
    assert max(settled[1:]) <= settled[0] * MOST_GROWTH, f"kB after each of {len(memory)} rounds, {runs} runs: {memory}"
