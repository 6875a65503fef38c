"""How fast scenarios run with Bluetooth on Bumble in virtual time: scenarios a second on one core, beside the model.

    python benchmarks/bluetooth.py            # the figures
    python benchmarks/bluetooth.py --check    # exit 1 below 50 scenarios/s
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware.bluetooth.air import bumble_air  # run as a script from anywhere
from hardware.stack import emulated_stack
from hardware.vehicle import emulated_model
from rig.model import Model
from rig.scenario import Scenario
from rig.world.links import Links
from tests.randomscenarios import scenario as random_scenario

RATE = 50
SCENARIOS = 120
ROUNDS = 5


def rate(model: Model, scenarios: list[Scenario]) -> float:
    """Scenarios a second, by the processor's clock."""
    began = time.process_time()
    for one in scenarios:
        model.run(one)
    return len(scenarios) / (time.process_time() - began)


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 below the goal")
    options = parser.parse_args()
    logging.getLogger("bumble").setLevel(logging.ERROR)
    scenarios = [random_scenario(number) for number in range(SCENARIOS)]
    model, stack = emulated_model(), emulated_stack(lambda loop: Links(air=bumble_air(loop)))
    for kind in (model, stack):
        rate(kind, scenarios[:20])
    found = [(rate(model, scenarios), rate(stack, scenarios)) for _ in range(ROUNDS)]
    plain, real = (statistics.median(one) for one in zip(*found, strict=True))
    print(f"model {plain:.0f} scenarios/s, with Bluetooth on Bumble {real:.0f} (medians of {ROUNDS} rounds)")
    return int(options.check and real < RATE)


if __name__ == "__main__":
    sys.exit(main())
