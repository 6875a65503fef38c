"""How fast scenarios run at `stack`, with each outer link real and with both, beside the same scenarios at `model`.

    python benchmarks/stack.py            # the figures: rates, and ratios to `model` of the same rounds
    python benchmarks/stack.py --check    # exit 1 below 50 scenarios/s with both links real
    python benchmarks/stack.py --profile  # where the time of both links goes
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware.bluetooth.air import bumble_air  # run as a script from anywhere
from hardware.cloud.stack import StackCloud
from hardware.fullstack import full_stack
from hardware.stack import emulated_stack
from hardware.vehicle import emulated_model
from rig.model import Model
from rig.scenario import Scenario
from rig.world.links import Links
from tests.randomscenarios import scenario as random_scenario

RATE = 50
SCENARIOS = 120
WARM = 20
"""Scenarios that come first and are not counted: modules are imported, certificates made."""
ROUNDS = 5


def kinds() -> dict[str, Model]:
    """What is compared, by its name; `model` first."""
    return {
        "model": emulated_model(),
        "HTTPS": emulated_stack(lambda loop: StackCloud(loop).links()),
        "Bluetooth": emulated_stack(lambda loop: Links(air=bumble_air(loop))),
        "both": full_stack(),
    }


def seconds(model: Model, scenarios: list[Scenario]) -> float:
    """What the scenarios cost, by the processor's clock."""
    began = time.process_time()
    for one in scenarios:
        model.run(one)
    return time.process_time() - began


def measure(scenarios: list[Scenario], rounds: int) -> float:
    """Prints a table, kinds in turn in each round so that all meet the same noise; returns the rate with both links."""
    models = kinds()
    for model in models.values():
        seconds(model, scenarios[:WARM])
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            found[name].append(seconds(model, scenarios))
    print(f"{len(scenarios)} random scenarios, {rounds} rounds, processor time; medians (lowest to highest)")
    print(f"{'links real':<10} {'scenarios/s':>22} {'times model':>20}")
    for name, spent in found.items():
        rates = [len(scenarios) / one for one in spent]
        ratios = [one / plain for one, plain in zip(spent, found["model"], strict=True)]
        print(f"{name:<10} {spread(rates, 1):>22} {spread(ratios, 2):>20}")
    return len(scenarios) / statistics.median(found["both"])


def spread(numbers: list[float], digits: int) -> str:
    """Median, and what it lies between."""
    low, middle, high = (f"{one:.{digits}f}" for one in (min(numbers), statistics.median(numbers), max(numbers)))
    return f"{middle} ({low} to {high})"


def profile(scenarios: list[Scenario]) -> None:
    """Prints where the time goes with both links real."""
    model = full_stack()
    seconds(model, scenarios[:WARM])
    watch = cProfile.Profile()
    watch.enable()
    seconds(model, scenarios)
    watch.disable()
    pstats.Stats(watch).sort_stats("tottime").print_stats(40)


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help=f"exit 1 below {RATE} scenarios/s with both links real")
    parser.add_argument("--profile", action="store_true", help="print a profile instead")
    parser.add_argument("--scenarios", type=int, default=SCENARIOS, help="how many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often (default: %(default)s)")
    options = parser.parse_args()
    scenarios = [random_scenario(number) for number in range(options.scenarios)]
    if options.profile:
        profile(scenarios)
        return 0
    rate = measure(scenarios, options.rounds)
    return int(options.check and rate < RATE)


if __name__ == "__main__":
    sys.exit(main())
