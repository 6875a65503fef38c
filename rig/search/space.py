"""The space of failure modes: its products, their sizes, what of them has been run, and rows that cover them.

Counts for itself: a combination is covered when one scenario had all its modes. Knows nothing of timings.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import prod

from rig.faults import CATALOGUE, DOMAINS, modes
from rig.generate import CLASSES

Combination = tuple[str, ...]
"""Names of modes, at most one of each domain."""

WAYS = (1, 2, 3)
EMPTY_SHARE = 0.45
"""How often a domain of a covering row has no failure: too many at once hide each other."""


def class_product() -> list[Combination]:
    """Every combination of the modes of server, network and Bluetooth, none included."""
    options = [("", *modes(domain)) for domain in CLASSES]
    return [tuple(name for name in row if name) for row in product(*options)]


def pairs() -> list[Combination]:
    """Every pair of modes of two different domains, and every mode alone."""
    out: list[Combination] = [(name,) for name in CATALOGUE]
    for one, two in combinations(DOMAINS, 2):
        out += [(a, b) for a in modes(one) for b in modes(two)]
    return out


def size(ways: int) -> int:
    """How many combinations of so many modes there are, each of another domain."""
    counts = [len(modes(domain)) for domain in DOMAINS]
    return sum(prod(some) for some in combinations(counts, ways))


@dataclass(slots=True)
class Coverage:
    """Which combinations of one, two and three modes were in one scenario together."""

    seen: dict[int, set[Combination]] = field(default_factory=lambda: {ways: set() for ways in WAYS})
    classes: set[Combination] = field(default_factory=set)

    def add(self, names: Sequence[str]) -> None:
        """Counts one scenario with these modes."""
        known = sorted(set(names))
        for ways in WAYS:
            if len(known) >= ways:
                for some in combinations(known, ways):
                    if len({name.partition(".")[0] for name in some}) == ways:
                        self.seen[ways].add(some)
        outer = tuple(sorted(name for name in known if name.partition(".")[0] in CLASSES))
        if len({name.partition(".")[0] for name in outer}) == len(outer):
            self.classes.add(outer)

    def share(self, ways: int) -> float:
        """How much of all combinations of so many modes was run, 0 to 1."""
        whole = size(ways)
        return len(self.seen[ways]) / whole if whole else 1.0

    def text(self) -> str:
        """In words, with the sizes."""
        parts = [f"{ways}-way {len(self.seen[ways]):,} of {size(ways):,}" for ways in WAYS]
        whole = prod(len(modes(domain)) + 1 for domain in CLASSES)
        return ", ".join(parts) + f"; server × network × bluetooth {len(self.classes):,} of {whole:,}"


def covering(seed: int | str, most: int = 1 << 30) -> Iterator[Combination]:
    """Rows that together hold every combination of three modes of different domains.

    Each row takes one that no row has had yet and fills up the other domains by chance, among modes that still miss
    something. Not the smallest array there is, but made as fast as it is run.
    """
    rng = random.Random(f"{seed}/covering")
    left = _Uncovered(rng)
    for _ in range(most):
        row = left.next_row()
        if row is None:
            return
        yield row


class _Uncovered:
    """Combinations of three that no row has had yet, by triple of domains."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._covered: set[tuple[str, str, str]] = set()
        queue = [
            (a, b, c)
            for one, two, three in combinations(DOMAINS, 3)
            for a in modes(one)
            for b in modes(two)
            for c in modes(three)
        ]
        rng.shuffle(queue)
        self._queue = queue

    def next_row(self) -> Combination | None:
        queue, covered = self._queue, self._covered
        while queue and queue[-1] in covered:
            queue.pop()
        if not queue:
            return None
        chosen = {name.partition(".")[0]: name for name in queue.pop()}
        for domain in DOMAINS:
            if domain not in chosen and self._rng.random() > EMPTY_SHARE:
                chosen[domain] = self._rng.choice(modes(domain))
        row = tuple(chosen[domain] for domain in DOMAINS if domain in chosen)
        for some in combinations(row, 3):
            covered.add(some)
        return row
