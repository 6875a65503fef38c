"""The strategies: which modes come together, and how they are placed. One generator, one kind of scenario.

A scenario number of a strategy is a pure function of seed, number and combination, whoever runs it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice

from rig.faults import CATALOGUE, DOMAINS, modes
from rig.generate import RandomSource, Source
from rig.scenario import Attack, Entry, Scenario
from rig.search.anchors import NOTHING, Anchors
from rig.search.placing import attack, fault_in, parameters, slot
from rig.search.scripts import Script, script
from rig.search.space import Combination, class_product, covering, pairs
from rig.search.table import table, telling

HealthyRun = Callable[[Script], Anchors]
Row = Combination | Scenario
"""What a strategy asks for next: modes to be placed by chance, or a scenario as it is."""
MOST_ATTACKS = 3
MOST_RANDOM = 4


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to search.

    Attributes:
        name: as on the command line.
        text: what it does, for people.
        rows: what comes next, one a scenario, from a seed; may be endless.
        anchored: times are taken from the healthy run of the same script.
        attackers: of ten scenarios, how many have an attacker.
    """

    name: str
    text: str
    rows: Callable[[str], Iterator[Row]]
    anchored: bool = True
    attackers: int = 5

    def build(self, source: Source, plot: Script, combination: Combination, anchors: Anchors) -> Scenario:
        """One scenario: the script, with the combination's failures and perhaps an attacker placed in it."""
        last_us = plot.last_us
        entries: list[Entry] = list(plot.intents)
        for name in combination:
            entries.append(fault_in(slot(source, anchors, last_us), name, parameters(source, CATALOGUE[name]), last_us))
        if source.integer(0, 9) < self.attackers:
            entries += _attacks(source, anchors, last_us)
        return Scenario(plot.seed, plot.carry, plot.doors, plot.phase_us, tuple(entries))


def _attacks(source: Source, anchors: Anchors, last_us: int) -> list[Attack]:
    return [attack(source, anchors, last_us) for _ in range(source.integer(1, MOST_ATTACKS))]


def _shuffled(rows: list[Combination], seed: str) -> list[Combination]:
    random.Random(seed).shuffle(rows)
    return rows


def _product(seed: str) -> Iterator[Combination]:
    return iter(_shuffled(class_product(), seed))


def _pairs(seed: str) -> Iterator[Combination]:
    return iter(_shuffled(pairs(), seed))


def _random(seed: str) -> Iterator[Combination]:
    """Endless: up to four modes, mostly few."""
    rng = random.Random(seed)
    while True:
        count = rng.choice((0, 1, 1, 1, 2, 2, 3, MOST_RANDOM))
        yield tuple(rng.choice(modes(domain)) for domain in rng.sample(DOMAINS, min(count, len(DOMAINS))))


def _single(seed: str) -> Iterator[Combination]:
    """Endless: one mode, in turns, so that each is met with many scripts."""
    names = list(CATALOGUE)
    rng = random.Random(seed)
    while True:
        rng.shuffle(names)
        for name in names:
            yield (name,)


def _table(seed: str) -> Iterator[Row]:
    """The rows that tell most first, otherwise in any order."""
    rng = random.Random(seed)
    seen: set[Scenario] = set()
    for part in (*telling(), table()):
        rows = [row for row in part if row not in seen]
        rng.shuffle(rows)
        seen.update(rows)
        yield from rows


TABLE_TURNS = 6
"""So many rows of the table, which finds most in the shortest time, come before one of anything else."""


def _mixed(seed: str) -> Iterator[Row]:
    """The table, and in between single modes, pairs, the class product, rows that cover triples, and chance."""
    first = _table(seed)
    parts: list[Iterator[Row]] = [
        islice(_single(seed), 20 * len(CATALOGUE)),
        _pairs(seed),
        _product(seed),
        covering(seed),
    ]
    endless = _random(seed)
    for turn in cycle(range(len(parts) + 1)):
        yield from islice(first, TABLE_TURNS)
        if turn == len(parts):
            yield next(endless)
            continue
        row = next(parts[turn], None)
        yield row if row is not None else next(endless)


_ALL = (
    Strategy("table", "every mode and kind of attack in the plain scripts where it matters most, once", _table),
    Strategy(
        "default", "in turns: the table, single modes, pairs, class product, rows that cover triples, chance", _mixed
    ),
    Strategy("product", "every combination of server, network and Bluetooth modes, once", _product),
    Strategy("pairs", "every pair of modes of two domains, once", _pairs),
    Strategy("covering", "rows that hold every three modes of different domains", covering),
    Strategy("random", "up to four modes anywhere, anchored on what happens, attackers in every second run", _random),
    Strategy("unanchored", "the same with times anywhere", _random, anchored=False),
    Strategy("legitimate", "the same without attackers", _random, attackers=0),
    Strategy("attackers", "few failures, an attacker in every run", _single, attackers=10),
)
STRATEGIES: Mapping[str, Strategy] = {s.name: s for s in _ALL}

SCRIPTS_SHARE = 8
"""So many scenarios share a script: its healthy run is made once."""


@dataclass(slots=True)
class Maker:
    """Makes the scenarios of one strategy and seed.

    Attributes:
        strategy: how.
        seed: everything comes from it.
        healthy: makes the fault-free run of a script and gives its anchors.
    """

    strategy: Strategy
    seed: int
    healthy: HealthyRun
    _number: int = -1
    _plot: Script | None = None
    _anchors: Anchors = NOTHING

    def make(self, number: int, row: Row) -> Scenario:
        """The scenario of that number."""
        if isinstance(row, Scenario):
            return row
        place_of_script = number // SCRIPTS_SHARE
        if self._plot is None or place_of_script != self._number:
            self._number = place_of_script
            self._plot = script(RandomSource(f"{self.seed}/{self.strategy.name}/script/{place_of_script}"))
            self._anchors = self.healthy(self._plot) if self.strategy.anchored else NOTHING
        source = RandomSource(f"{self.seed}/{self.strategy.name}/{number}")
        return self.strategy.build(source, self._plot, row, self._anchors)
