"""Scenarios on which fidelities are compared: the whole mode product, each step, and random ones of two kinds."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rig.faults import CATALOGUE, modes
from rig.model import Model
from rig.scenario import Carry, Entry, Fault, Intent, Scenario
from rig.search.space import Combination, class_product
from rig.search.strategies import STRATEGIES, Maker
from rig.search.swarm import Worker
from tests.randomscenarios import scenario as random_scenario

CLOUD_MODES = (*modes("server"), *modes("network"))
CLOUD_STEPS = (
    "cloud.dns", "cloud.tcp", "cloud.tls", "cloud.request", "cloud.handled", "cloud.headers", "cloud.body",
    "cloud.after_body", "cloud.car_request", "cloud.car_answer",
)  # fmt: skip


def product_rows() -> list[Combination]:
    """The product of the modes of server, network and Bluetooth, mixed, so that any part of it is a fair share."""
    rows = class_product()
    random.Random("product").shuffle(rows)
    return rows


def fixed(combination: Combination) -> Scenario:
    """The fixed script: all of it fails from the start and for ever, and the driver wants in."""
    faults = tuple(Fault(mode, 0) for mode in combination)
    return Scenario(1, Carry(session="warm"), timeline=(*faults, Intent("unlock", 500_000)))


def scripted(combinations: Sequence[Combination], reference: Model, first: int = 0) -> Iterator[Scenario]:
    """Each in a random script, at random times anchored on the script's healthy run, attackers in every second."""
    maker = Maker(STRATEGIES["product"], 1, Worker(reference, reference).anchors)
    for number, combination in enumerate(combinations, first):
        yield maker.make(number, combination)


def at_step(mode: str, step: str, seed: int) -> Scenario:
    """A mode that begins at a step of the second request after its arming."""
    return Scenario(
        seed,
        Carry(session="cold"),
        timeline=(
            Fault(mode, 0, 15_000_000, step=step, nth=1 + seed % 2),
            Intent("unlock", 100_000, "cloud"),
            Intent("unlock", 12_000_000, "cloud"),
        ),
    )


def cloud_drawn(seed: int) -> Scenario:
    """Up to four faults of server and network, with their whole ranges, at times and steps; up to three wishes."""
    chance = random.Random(seed)
    timeline: list[Entry] = []
    for _ in range(chance.randint(1, 4)):
        mode = chance.choice(CLOUD_MODES)
        start = chance.randrange(12_000_000)
        end = chance.choice([None, start + chance.randrange(100_000, 20_000_000)])
        params = tuple(
            (p.name, chance.choice([p.default, chance.randint(p.low, p.high)])) for p in CATALOGUE[mode].params
        )
        step = chance.choice(["", "", *CLOUD_STEPS])
        timeline.append(Fault(mode, start, end, params, step, chance.randint(1, 2) if step else 1))
    for _ in range(chance.randint(1, 3)):
        want = chance.choice(["unlock", "unlock", "lock"])
        via = chance.choice(["cloud", "cloud", "ladder"])
        timeline.append(Intent(want, chance.randrange(20_000_000), via))  # type: ignore[arg-type]
    carry = Carry(session=chance.choice(["warm", "cold"]))  # type: ignore[arg-type]
    doors = chance.choice(["locked", "unlocked"])
    return Scenario(seed, carry, doors, chance.randrange(999_999), tuple(timeline))  # type: ignore[arg-type]


def random_rows(count: int) -> Iterator[Scenario]:
    """Random scenarios: anything anywhere and, in turns, server and network at times and steps."""
    for seed in range(count):
        yield cloud_drawn(seed // 2) if seed % 2 else random_scenario(seed // 2)
