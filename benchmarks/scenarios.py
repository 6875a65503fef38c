"""How fast scenarios run at `model`: judged scenarios a second and times real time, one core, the suite's own mix.

    python benchmarks/scenarios.py            # the figures
    python benchmarks/scenarios.py --check    # exit 1 below 300 scenarios/s or 6,000 times real time
    python benchmarks/scenarios.py --profile  # where the time goes

The mix is what the suite runs: the product of the three classes, the cells, the security table, and random scenarios
for the properties, in the suite's own proportions. Real cryptography, ISO-TP and every relevant frame on the bus.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware.vehicle import emulated_model  # run as a script from anywhere
from rig.judge.judge import judge
from rig.model import Model
from rig.scenario import Scenario
from rig.suite import test_cells, test_product, test_security
from tests.randomscenarios import scenario as random_scenario
from tests.suitescenarios import scenarios_of

RATE = 300
REAL_TIME = 6_000
RANDOM = 1_300
"""About so many scenarios the properties of the suite run (8 × 100 + 5 × 100)."""
ROUNDS = 5


def mix() -> list[Scenario]:
    """The suite's scenarios, in an order of no meaning."""
    out = [*scenarios_of(test_product, test_cells, test_security), *(random_scenario(n) for n in range(RANDOM))]
    random.Random(0).shuffle(out)
    return out


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 below the goals")
    parser.add_argument("--profile", action="store_true", help="print a profile")
    options = parser.parse_args()
    model = emulated_model()
    scenarios = mix()
    for one in scenarios[:: len(scenarios) // 100]:
        model.judge(one)
    if options.profile:
        with cProfile.Profile() as profile:
            for one in scenarios[::4]:
                model.judge(one)
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        return 0
    rates, speeds = [], []
    for round_ in range(ROUNDS):
        part = scenarios[round_::ROUNDS]
        runs, simulated = model.runs, model.simulated_us
        wall, cpu = time.perf_counter(), time.process_time()
        for one in part:
            model.judge(one)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        runs, simulated = model.runs - runs, model.simulated_us - simulated
        rates.append(runs / wall)
        speeds.append(simulated / 1e6 / wall)
        print(
            f"round {round_ + 1}: {runs} scenarios, {rates[-1]:.0f}/s wall, {runs / cpu:.0f}/s CPU, "
            f"{speeds[-1]:,.0f} times real time"
        )
    print(f"median: {statistics.median(rates):.0f} scenarios/s, {statistics.median(speeds):,.0f} times real time")
    _shares(model, scenarios[::10])
    good = statistics.median(rates) >= RATE and statistics.median(speeds) >= REAL_TIME
    return 0 if good or not options.check else 1


def _shares(model: Model, some: list[Scenario]) -> None:
    running = judging = 0.0
    frames = simulated = 0
    for one in some:
        start = time.perf_counter()
        trace = model.run(one)
        middle = time.perf_counter()
        judge(one, trace, model.rules())
        running += middle - start
        judging += time.perf_counter() - middle
        frames += sum(1 for _ in trace.of("can"))
        simulated += trace.end_us
    print(
        f"mean scenario: {simulated / len(some) / 1e6:.1f} s of vehicle time, {frames / len(some):.0f} frames, "
        f"{1000 * running / len(some):.2f} ms to run, {1000 * judging / len(some):.2f} ms to judge"
    )


if __name__ == "__main__":
    sys.exit(main())
