"""The space of modes: its sizes are counted right, its rows hold what they promise, and coverage counts runs."""

from __future__ import annotations

from itertools import combinations, islice, product

import pytest

from rig.faults import CATALOGUE, DOMAINS, modes
from rig.generate import CLASSES
from rig.search import space


def domain(name: str) -> str:
    return name.partition(".")[0]


def by_hand(ways: int) -> int:
    """Counts combinations one by one."""
    return sum(1 for some in combinations(CATALOGUE, ways) if len({domain(name) for name in some}) == ways)


@pytest.mark.parametrize("ways", [1, 2, 3])
def test_sizes_are_those_of_counting_one_by_one(ways: int) -> None:
    assert space.size(ways) == by_hand(ways)


def test_the_class_product_is_complete_and_has_no_row_twice() -> None:
    rows = space.class_product()
    options = [("", *modes(name)) for name in CLASSES]
    assert set(rows) == {tuple(n for n in row if n) for row in product(*options)}
    assert len(set(rows)) == len(rows)


def test_pairs_are_of_two_domains_and_complete() -> None:
    rows = space.pairs()
    assert {row for row in rows if len(row) == 1} == {(name,) for name in CATALOGUE}
    two = [row for row in rows if len(row) == 2]
    assert len(two) == len(set(map(frozenset, two))) == space.size(2)


def test_covering_rows_hold_every_three_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a smaller catalogue, so that all can be counted."""
    few = {name: modes(name)[:4] for name in DOMAINS[:5]}
    monkeypatch.setattr(space, "DOMAINS", tuple(few))
    monkeypatch.setattr(space, "modes", few.__getitem__)
    rows = list(space.covering("a seed"))
    held = {frozenset(some) for row in rows for some in combinations(row, 3)}
    wanted = {frozenset(some) for three in combinations(few.values(), 3) for some in product(*three)}
    assert held >= wanted
    assert all(len({domain(name) for name in row}) == len(row) for row in rows), (
        "one mode of a domain in a row"
    )
    assert len(rows) < len(wanted), "a row holds more than one combination"


def test_covering_rows_come_from_the_seed() -> None:
    assert list(islice(space.covering("1"), 50)) == list(islice(space.covering("1"), 50))
    assert list(islice(space.covering("1"), 50)) != list(islice(space.covering("2"), 50))


def test_coverage_counts_what_was_in_one_scenario_together() -> None:
    coverage = space.Coverage()
    coverage.add(("server.500", "can.bus_off", "can.log_flood", "bluetooth.radio_off"))
    coverage.add(("server.500", "can.bus_off"))
    assert len(coverage.seen[1]) == 4
    # Two modes of one domain are no combination of domains.
    assert len(coverage.seen[2]) == 5
    assert len(coverage.seen[3]) == 2
    assert coverage.share(1) == 4 / len(CATALOGUE)
    assert coverage.classes == {("bluetooth.radio_off", "server.500"), ("server.500",)}
    assert f"1-way 4 of {len(CATALOGUE)}" in coverage.text()
