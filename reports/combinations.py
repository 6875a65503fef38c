"""Which combinations of failure modes came up in one scenario, t = 1, 2, 3, and which never did.

A bit for each combination instead of a set, so that any number of scenarios takes the same two megabytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations, product
from math import prod

from reports.results import Coverage, DomainsCovered, HeatMap
from rig.faults import CATALOGUE, DOMAINS, modes
from rig.generate import CLASSES
from rig.search.space import WAYS

MOST_NAMED = 200
"""Missing combinations that are named; the rest is counted."""


class Combinations:
    """Counts scenarios by the modes that they have together."""

    def __init__(self) -> None:
        self._index = {name: place for place, name in enumerate(CATALOGUE)}
        self._domain = [DOMAINS.index(name.partition(".")[0]) for name in CATALOGUE]
        self._size = len(CATALOGUE)
        self._bits = {t: bytearray(self._size**t // 8 + 1) for t in WAYS}
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._classes: set[tuple[str, ...]] = set()

    def add(self, names: Iterable[str]) -> None:
        """Counts one scenario; a mode that this catalogue does not know counts for nothing."""
        known = sorted({self._index[name] for name in names if name in self._index})
        if not known:
            self._classes.add(())
            return
        for t in WAYS:
            for some in combinations(known, t):
                self._mark(t, some)
        outer = tuple(name for name in sorted(set(names)) if name.partition(".")[0] in CLASSES)
        if len({name.partition(".")[0] for name in outer}) == len(outer):
            self._classes.add(outer)

    def _mark(self, t: int, some: tuple[int, ...]) -> None:
        domains = tuple(sorted(self._domain[place] for place in some))
        if len(set(domains)) < t:
            return
        bits, at = self._bits[t], self._place(some)
        if not bits[at >> 3] & 1 << (at & 7):
            bits[at >> 3] |= 1 << (at & 7)
            self._seen[domains] += 1

    def _place(self, some: tuple[int, ...]) -> int:
        at = 0
        for place in some:
            at = at * self._size + place
        return at

    def _has(self, t: int, some: tuple[int, ...]) -> bool:
        at = self._place(some)
        return bool(self._bits[t][at >> 3] & 1 << (at & 7))

    def coverage(self) -> list[Coverage]:
        """By t, and within by combinations of domains."""
        return [self._coverage(t) for t in WAYS]

    def _coverage(self, t: int) -> Coverage:
        counts = [len(modes(domain)) for domain in DOMAINS]
        domains = [
            DomainsCovered([DOMAINS[d] for d in some], self._seen[some], prod(counts[d] for d in some))
            for some in combinations(range(len(DOMAINS)), t)
        ]
        seen, of = sum(d.seen for d in domains), sum(d.of for d in domains)
        named = []
        for one in self._missing(t, domains):
            named.append(one)
            if len(named) == MOST_NAMED:
                break
        return Coverage(t, seen, of, domains, named, of - seen)

    def _missing(self, t: int, domains: list[DomainsCovered]) -> Iterator[list[str]]:
        for some in domains:
            if some.seen == some.of:
                continue
            for names in product(*(modes(domain) for domain in some.domains)):
                if not self._has(t, tuple(sorted(self._index[name] for name in names))):
                    yield list(names)

    def heat_map(self) -> HeatMap:
        """Pairs by pairs of domains; on the diagonal single modes."""
        counts = [len(modes(domain)) for domain in DOMAINS]
        places = range(len(DOMAINS))
        return HeatMap(
            list(DOMAINS),
            [[self._seen[(i,) if i == j else (min(i, j), max(i, j))] for j in places] for i in places],
            [[counts[i] if i == j else counts[i] * counts[j] for j in places] for i in places],
        )

    @property
    def classes(self) -> tuple[int, int]:
        """Of the full product server × network × bluetooth, none included: how many came up, and how many there are."""
        return len(self._classes), prod(len(modes(domain)) + 1 for domain in CLASSES)
