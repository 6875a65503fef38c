"""Shrinking: ends, keeps the failure, and finds the small scenario inside a large one."""

from __future__ import annotations

from rig.faults import check_faults
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, start_of
from rig.shrink import MOST_RUNS, shrink
from rig.world.attacker import check_attacks
from tests.randomscenarios import scenario

S = 1_000_000
LARGE = Scenario(
    seed=12345,
    carry=Carry(session="warm"),
    phase_us=345_678,
    timeline=(
        Fault("server.429", 1_234_000, 7 * S, (("retry_after_s", 5),)),
        Fault("bluetooth.out_of_range", 2_345_000, 30_456_000),
        Intent("unlock", 3_456_000),
        Attack("replay_cloud", 4_567_000),
        Fault("network.partition", 5_678_000),
        Intent("lock", 40_123_000, "bluetooth"),
        Fault("power.dip", 50_111_000, 51_222_000, (("mv", 7000),)),
    ),
)


def has(one: Scenario, *kinds: str) -> bool:
    """Whether all these modes, wants and attacks are in a timeline."""
    names = {
        e.mode if isinstance(e, Fault) else e.want if isinstance(e, Intent) else e.kind for e in one.timeline
    }
    return set(kinds) <= names


def test_only_what_the_failure_needs_is_left() -> None:
    small = shrink(LARGE, lambda s: has(s, "network.partition", "lock"))
    assert small == Scenario(timeline=(Fault("network.partition", 0), Intent("lock", 0, "bluetooth")))


def test_one_entry_of_many() -> None:
    for entry in LARGE.timeline:
        kind = (
            entry.mode
            if isinstance(entry, Fault)
            else entry.want
            if isinstance(entry, Intent)
            else entry.kind
        )
        small = shrink(LARGE, lambda s, k=kind: has(s, k))  # type: ignore[misc]
        assert len(small.timeline) == 1
        assert start_of(small.timeline[0]) == 0
        assert (small.seed, small.phase_us, small.carry) == (0, 0, Carry())


def test_times_become_round_and_not_later() -> None:
    """The failure needs the fault to begin no earlier than 2.1 s before the wish."""

    def fails(s: Scenario) -> bool:
        faults, intents = s.faults, s.intents
        return bool(faults and intents) and 0 < intents[0].at_us - faults[0].start_us < 2_100_000

    start = Scenario(timeline=(Fault("server.500", 7_777_777), Intent("unlock", 9_123_456)))
    small = shrink(start, fails)
    assert small.faults[0].start_us == 0
    assert small.intents[0].at_us == S
    assert fails(small)


def test_a_supply_fault_keeps_its_end() -> None:
    """A car whose battery never comes back asks nothing."""
    small = shrink(LARGE, lambda s: has(s, "power.dip"))
    (fault,) = small.faults
    assert fault.end_us is not None


def test_the_result_fails_and_every_candidate_can_be_run() -> None:
    asked: list[Scenario] = []

    def fails(s: Scenario) -> bool:
        asked.append(s)
        check_faults(s)
        check_attacks(s)
        assert Scenario.from_json(s.to_json()) == s
        for fault in s.faults:
            assert fault.end_us is None or fault.end_us >= fault.start_us >= 0
        return len(s.timeline) >= 2 and any(isinstance(e, Intent) for e in s.timeline)

    for seed in range(30):
        one = scenario(seed)
        if fails(one):
            small = shrink(one, fails)
            assert fails(small)
            assert len(small.timeline) == 2
    assert len(asked) > 100


def test_what_cannot_be_made_smaller_stays_as_it_is() -> None:
    assert shrink(LARGE, lambda s: s == LARGE) == LARGE


def test_nothing_is_asked_more_often_than_allowed() -> None:
    for most in (0, 1, 7, MOST_RUNS):
        asked = 0

        def fails(_s: Scenario) -> bool:
            nonlocal asked
            asked += 1
            return True

        shrink(LARGE, fails, most)
        assert asked <= most


def test_it_ends_and_always_at_the_same() -> None:
    """A failure that comes and goes with the number of entries must not make it turn in circles."""

    def odd(s: Scenario) -> bool:
        return len(s.timeline) % 2 == 1

    assert shrink(LARGE, odd) == shrink(LARGE, odd)
    assert len(shrink(LARGE, odd).timeline) == 1


def test_an_empty_timeline_is_as_small_as_can_be() -> None:
    assert shrink(Scenario(seed=9, phase_us=5), lambda _s: True) == Scenario()


def test_entries_stay_in_order() -> None:
    def needs_order(s: Scenario) -> bool:
        kinds: list[type[Entry]] = [type(e) for e in s.timeline]
        return Fault in kinds and Intent in kinds and kinds.index(Fault) < kinds.index(Intent)

    small = shrink(LARGE, needs_order)
    assert [type(e) for e in small.timeline] == [Fault, Intent]
