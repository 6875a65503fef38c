"""One generator, two sources: equal choices give equal scenarios; the enumerated product is whole."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig import generate as g
from rig.faults import CATALOGUE, check_faults, modes
from rig.faults.classes import CLASSES, members
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario
from rig.suite import test_product
from rig.world.attacker import KINDS, check_attacks

HIGH_US = 45_000_000


class Noted:
    """A random source whose choices are noted, as numbers."""

    def __init__(self, seed: int) -> None:
        self._inner = g.RandomSource(seed)
        self.numbers: list[int] = []

    def integer(self, low: int, high: int) -> int:
        self.numbers.append(self._inner.integer(low, high))
        return self.numbers[-1]

    def choice(self, options: Sequence[g.T]) -> g.T:
        chosen = self._inner.choice(options)
        self.numbers.append(list(options).index(chosen))
        return chosen


MAKERS: dict[str, Callable[[g.Source], object]] = {
    "carry": g.carry,
    "spell": lambda s: g.fault_spell(s, 0, HIGH_US),
    "outer faults": lambda s: g.outer_faults(s, 4, HIGH_US),
    "wishes": lambda s: g.wishes(s, 3),
    "quick wishes": g.quick_wishes,
    "any fault": lambda s: g.any_fault(s, HIGH_US),
    "power faults": lambda s: g.power_faults(s, g.FIRST_INTENT_US),
    "attack": lambda s: g.attack(s, 5_000_000),
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("maker", MAKERS)
def test_both_sources_give_the_same_for_the_same_choices(maker: str, seed: int) -> None:
    noted = Noted(seed)
    made = MAKERS[maker](noted)
    numbers = iter(noted.numbers)

    def draw(low: int, high: int) -> int:
        number = next(numbers)
        assert low <= number <= high
        return number

    assert MAKERS[maker](g.DrawnSource(draw)) == made
    assert next(numbers, None) is None, "both take as many choices"


@pytest.mark.parametrize("maker", MAKERS)
def test_a_seed_always_gives_the_same(maker: str) -> None:
    assert MAKERS[maker](g.RandomSource(7)) == MAKERS[maker](g.RandomSource(7))
    assert len({repr(MAKERS[maker](g.RandomSource(seed))) for seed in range(40)}) > 1


def sources() -> st.SearchStrategy[g.DrawnSource]:
    @st.composite
    def made(draw: st.DrawFn) -> g.DrawnSource:
        return g.DrawnSource(lambda low, high: draw(st.integers(low, high)))

    return made()


@settings(deadline=None)
@given(source=sources(), seed=st.integers(0, 1 << 32), drawn=st.booleans())
def test_what_is_generated_can_be_run_and_written_down(source: g.DrawnSource, seed: int, drawn: bool) -> None:
    chooser: g.Source = source if drawn else g.RandomSource(seed)
    entries: list[Entry] = [
        *g.outer_faults(chooser, 3, HIGH_US),
        *g.wishes(chooser, 2),
        g.any_fault(chooser, HIGH_US),
        *g.power_faults(chooser, g.FIRST_INTENT_US),
        g.attack(chooser, g.time(chooser, 0, HIGH_US)),
    ]
    one = Scenario(carry=g.carry(chooser), timeline=tuple(entries))
    check_faults(one)
    check_attacks(one)
    assert Scenario.from_json(one.to_json()) == one
    for fault in one.faults:
        assert fault.start_us >= 0
        assert fault.end_us is None or fault.end_us > fault.start_us
        assert CATALOGUE[fault.mode].state is False or (fault.start_us, fault.end_us) == (0, None)


def test_wishes_leave_each_other_time() -> None:
    """A ladder takes 30 s, a path alone 10 s; they take turns at unlocking and locking."""
    for seed in range(200):
        intents = [e for e in g.wishes(g.RandomSource(seed), 4) if isinstance(e, Intent)]
        assert [i.want for i in intents] == ["unlock", "lock", "unlock", "lock"]
        for one, two in itertools.pairwise(intents):
            assert two.at_us - one.at_us >= (30_000_000 if one.via == "ladder" else 10_500_000)


def test_supply_faults_do_not_overlap() -> None:
    for seed in range(200):
        faults = [e for e in g.power_faults(g.RandomSource(seed), 12_000_000) if isinstance(e, Fault)]
        assert 1 <= len(faults) <= 2
        for one, two in itertools.pairwise(faults):
            assert one.end_us is not None
            assert one.end_us < two.start_us


def test_every_mode_and_every_kind_of_attack_is_generated() -> None:
    found: set[str] = set()
    for seed in range(3000):
        source = g.RandomSource(seed)
        found.add(g.any_fault(source, HIGH_US).mode)
        found |= {e.mode for e in g.power_faults(source, 12_000_000) if isinstance(e, Fault)}
        found |= {g.attack(source, 0).kind}
    assert found == set(CATALOGUE) | set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_held_back_has_a_delay(kind: str) -> None:
    for seed in range(200):
        attack: Attack = g.attack(g.RandomSource(seed), 0)
        if attack.kind == kind:
            assert bool(attack.params) is kind.startswith("hold")


# -- the product -----------------------------------------------------------------------------------------


def test_the_product_is_whole_and_no_combination_comes_twice() -> None:
    """All classes of modes of server, network and Bluetooth, and none of each."""
    sizes = [1 + len(CLASSES[domain]) for domain in g.CLASSES]
    combinations = g.class_combinations()
    assert len(combinations) == len(set(combinations)) == math.prod(sizes)
    assert combinations[0] == (None, None, None)
    for combination in combinations:
        for domain, mode in zip(g.CLASSES, combination, strict=True):
            assert mode is None or CATALOGUE[mode].domain == domain


def test_the_suite_runs_the_product_with_both_sessions_and_with_and_without_a_card() -> None:
    seen: list[Scenario] = []
    for combination in test_product.COMBINATIONS:
        test_product.test_driver_gets_in(seen.append, combination)  # type: ignore[arg-type]  # stands in for the prover
    assert len(seen) == 4 * len(test_product.COMBINATIONS)
    keys = {
        (frozenset(f.mode for f in s.faults), s.carry.session, s.carry.card, s.intents[0].want) for s in seen
    }
    assert len(keys) == len(seen)
    assert len({s.phase_us for s in seen}) > 500
    assert all(f.start_us == 0 and f.end_us is None for s in seen for f in s.faults)
    names = {test_product.name_of(c) for c in test_product.COMBINATIONS}
    assert len(names) == len(g.class_combinations())


def test_a_ladder_has_the_faults_of_its_combination_and_one_wish() -> None:
    made = g.ladder(
        ("server.500", None, "bluetooth.radio_off"), [(0, 1), (2, 3), (4, None)], Carry(card=False), 77, 5
    )
    assert made == Scenario(
        carry=Carry(card=False),
        phase_us=5,
        timeline=(
            Fault("server.500", 0, 1),
            Fault("bluetooth.radio_off", 4),
            Intent("unlock", 77),
        ),
    )


def test_every_mode_of_the_three_domains_is_in_one_class_and_comes_up_in_the_product() -> None:
    for domain, classes in CLASSES.items():
        names = [name for some in classes for name in members(domain, some)]
        assert sorted(names) == sorted(modes(domain)), f"each mode of {domain} is in exactly one class"
    rows = g.class_combinations()
    assert {name for row in rows for name in row if name} == {n for d in CLASSES for n in modes(d)}
