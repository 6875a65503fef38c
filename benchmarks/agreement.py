"""Whether `model` and `stack`, all outer links real at once, agree on the whole mode product and random scenarios.

    python -m benchmarks.agreement                              # all of it: about forty minutes on one core
    python -m benchmarks.agreement --scripts fixed --first 4000 # a part: rows of one script, from the 4,000th
    python -m benchmarks.agreement --rows 0 --random 15000      # random scenarios only

The product is every combination of server, network and Bluetooth modes: in a fixed script, where all of it fails for
ever, and each in a random script with times of its own. In virtual time nothing is excused. Each disagreement is
printed with its scenario, which `rig replay --bench stack` plays. Exit code 1 if there is one, 0 if there is none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from hardware.fullstack import full_stack
from hardware.vehicle import emulated_model
from rig.agreement import Referee
from rig.scenario import Scenario
from tests.links.agreementrows import fixed, product_rows, random_rows, scripted

RANDOM = 500
EVERY = 500
"""So many scenarios between two words on how far it is."""


def main() -> int:
    """Compares, prints what it finds; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scripts", choices=("both", "fixed", "random"), default="both", help="scripts of the product")
    parser.add_argument("--first", type=int, default=0, help="row of the product to begin with (default: 0)")
    parser.add_argument("--rows", type=int, default=None, help="how many rows of the product (default: all)")
    parser.add_argument("--random", type=int, default=RANDOM, help=f"how many random scenarios (default: {RANDOM})")
    choice = parser.parse_args()
    wrong = 0
    for name, scenarios in _parts(choice):
        wrong += _compare(name, scenarios)
    return 1 if wrong else 0


def _parts(choice: argparse.Namespace) -> Iterator[tuple[str, Iterator[Scenario]]]:
    last = None if choice.rows is None else choice.first + choice.rows
    rows = product_rows()[choice.first : last]
    if choice.random:
        yield "random scenarios", random_rows(choice.random)
    if rows and choice.scripts != "random":
        yield "product, fixed script", map(fixed, rows)
    if rows and choice.scripts != "fixed":
        yield "product, random scripts", scripted(rows, emulated_model(), choice.first)


def _compare(name: str, scenarios: Iterator[Scenario]) -> int:
    stack, referee = full_stack(), Referee(emulated_model())
    began, wrong, count = time.process_time(), 0, 0
    for count, scenario in enumerate(scenarios, 1):
        difference = referee.disagreement(stack, scenario)
        if difference:
            wrong += 1
            print(f"{name}, number {count - 1}: {difference}\n{scenario.to_json()}", flush=True)
        if count % EVERY == 0:
            print(_figures(name, count, wrong, began), flush=True)
    print(_figures(name, count, wrong, began), flush=True)
    return wrong


def _figures(name: str, count: int, wrong: int, began: float) -> str:
    took_s = time.process_time() - began
    return f"{name}: {count:,} compared, {wrong} disagree, {took_s:.0f} s of CPU"


if __name__ == "__main__":
    sys.exit(main())
