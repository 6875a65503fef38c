"""How fast the search is: judged scenarios a second on one core and on two, and Hypothesis with amortised timings.

    python benchmarks/search.py              # the figures, best of five, in one run
    python benchmarks/search.py --profile    # where the time goes

A scenario here is what `rig search` runs: made from the seed, played from power-on to the closing phase in which every
way in is asked once more, and judged on every requirement. The worker is warm; making combinations is counted.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import sys
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hardware.vehicle import emulated_model  # run as a script from anywhere
from rig.generate import DrawnSource
from rig.model import Model
from rig.scenario import Scenario
from rig.search.placing import fault_in, slot
from rig.search.scripts import script
from rig.search.space import class_product
from rig.search.swarm import Swarm, Worker, batches

SCENARIOS = 800
ROUNDS = 5
EXAMPLES = 25
AN_EXAMPLE = 16


def one_core(strategy: str, seed: int) -> tuple[float, float]:
    """Scenarios a second of processor time, and the mean simulated seconds."""
    worker = Worker(emulated_model(), emulated_model())
    work = batches(strategy, seed, SCENARIOS)
    worker.run(next(work))
    gc.collect()
    gc.freeze()
    runs = simulated = 0
    began = time.process_time()
    for batch in work:
        findings = worker.run(batch)
        runs += findings.runs
        simulated += findings.simulated_us
    spent = time.process_time() - began
    gc.unfreeze()
    return runs / spent, simulated / 1e6 / runs


def wall(strategy: str, seed: int, jobs: int) -> float:
    """Scenarios a second of wall time with so many processes; starting them is not counted."""
    swarm = Swarm(emulated_model, emulated_model, strategy, seed, jobs)
    marks: list[tuple[float, int]] = []
    swarm.search(SCENARIOS * jobs, progress=lambda s: marks.append((time.perf_counter(), s.findings.runs)))
    first = next(mark for mark in marks if mark[1])
    last = marks[-1]
    return (last[1] - first[1]) / (last[0] - first[0])


def amortised() -> float:
    """Simulations a second when Hypothesis draws timings once and many combinations run with them."""
    model: Model = emulated_model()
    worker = Worker(model, model)
    combinations = class_product()
    runs = 0

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), derandomize=True,
    )  # fmt: skip
    @given(data=st.data())
    def examples(data: st.DataObject) -> None:
        nonlocal runs
        source = DrawnSource(lambda low, high: data.draw(st.integers(low, high)))
        plot = script(source)
        instants = worker.anchors(plot)
        slots = [slot(source, instants, plot.last_us) for _ in range(3)]
        first = source.integer(0, len(combinations) - 1)
        for step in range(AN_EXAMPLE):
            names = combinations[(first + 37 * step) % len(combinations)]
            faults = [fault_in(place, name, (), plot.last_us) for name, place in zip(names, slots, strict=False)]
            model.judge(Scenario(plot.seed, plot.carry, plot.doors, plot.phase_us, (*plot.intents, *faults)))
            runs += 1

    began = time.process_time()
    examples()
    return runs / (time.process_time() - began)


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="store_true", help="print a profile of the default strategy")
    options = parser.parse_args()
    if options.profile:
        worker = Worker(emulated_model(), emulated_model())
        rows = list(islice(batches("default", 1, SCENARIOS), 4))
        worker.run(rows[0])
        with cProfile.Profile() as profile:
            for batch in rows[1:]:
                worker.run(batch)
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        return 0
    for strategy in ("default", "product", "table", "random", "attackers"):
        rate, mean_s = max(one_core(strategy, seed) for seed in range(2))
        print(f"{strategy}: {rate:.0f} scenarios/s of one core, mean {mean_s:,.0f} simulated seconds", flush=True)
    print(f"Hypothesis, timings drawn once for {AN_EXAMPLE} combinations: {amortised():.0f} simulations/s", flush=True)
    ones, twos = [], []
    for round_ in range(ROUNDS):
        ones.append(wall("default", round_, 1))
        twos.append(wall("default", round_, 2))
        print(f"round {round_ + 1}: {ones[-1]:.0f}/s on one core, {twos[-1]:.0f}/s on two", flush=True)
    ratio = max(twos) / max(ones)
    print(f"best of {ROUNDS}: {max(ones):.0f}/s on one core, {max(twos):.0f}/s on two, ratio {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
