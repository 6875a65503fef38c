"""Shrinking: ends, keeps the failure, and finds the small scenario inside a large one."""

from __future__ import annotations

from dataclasses import replace

from rig.faults import check_faults
from rig.judge.judge import Judgement
from rig.judge.verdicts import Outcome, Verdict
from rig.ports import Unsupported
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, start_of
from rig.shrink import MOST_RUNS, same_failure, shrink
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


def test_times_become_round() -> None:
    """The failure needs the fault to begin no earlier than 2.1 s before the wish."""

    def fails(s: Scenario) -> bool:
        faults, intents = s.faults, s.intents
        return bool(faults and intents) and 0 < intents[0].at_us - faults[0].start_us < 2_100_000

    start = Scenario(timeline=(Fault("server.500", 7_777_777), Intent("unlock", 9_123_456)))
    small = shrink(start, fails)
    assert small.faults[0].start_us == 0
    assert small.intents[0].at_us == S
    assert fails(small)


def test_whole_seconds_are_preferred_to_earlier_times() -> None:
    """The failure needs a wish later than 2.1 s after the fault; 3 s reads better than 2.2 s."""

    def fails(s: Scenario) -> bool:
        return bool(s.faults and s.intents) and 2_100_000 < s.intents[0].at_us - s.faults[0].start_us < 4_900_000

    small = shrink(Scenario(timeline=(Fault("server.500", 7_777_777), Intent("unlock", 10_423_456))), fails)
    assert [start_of(e) for e in small.timeline] == [0, 3 * S]


def test_what_follows_keeps_its_distance() -> None:
    """The last two entries fail only 1,234 µs apart, wherever they are: the first of them can still be round."""

    def fails(s: Scenario) -> bool:
        return len(s.timeline) == 3 and start_of(s.timeline[2]) - start_of(s.timeline[1]) == 1_234

    start = Scenario(
        timeline=(Fault("server.500", 1_000), Intent("unlock", 7_777_777), Attack("replay_cloud", 7_779_011))
    )
    small = shrink(start, fails)
    assert [start_of(e) for e in small.timeline] == [0, 0, 1_234]


def test_steps_numbers_people_and_parameters_go_if_they_do_not_matter() -> None:
    fault = Fault("server.429", 0, 9 * S, (("retry_after_s", 17),), "cloud.request", 7)
    start = Scenario(
        carry=Carry("warm", card=False),
        doors="unlocked",
        timeline=(fault, Intent("lock", S, "cloud", "guest"), Attack("replay_cloud", 2 * S, (("count", 250),))),
    )
    small = shrink(start, lambda s: has(s, "server.429", "lock", "replay_cloud"))
    assert small == Scenario(timeline=(Fault("server.429", 0), Intent("lock", 0, "cloud"), Attack("replay_cloud", 0)))


def test_a_step_that_matters_stays_with_the_lowest_number_that_does() -> None:
    fault = Fault("server.500", 0, step="cloud.request", nth=7)

    def fails(s: Scenario) -> bool:
        return any(f.step == "cloud.request" and f.nth >= 3 for f in s.faults)

    assert shrink(Scenario(timeline=(fault,)), fails).timeline == (replace(fault, nth=3),)


def test_parameters_that_matter_become_round() -> None:
    fault = Fault("power.dip", 0, 5 * S, (("mv", 7_654),))
    small = shrink(Scenario(timeline=(fault,)), lambda s: any(f.param("mv", 8000) < 7_700 for f in s.faults))
    assert small.faults[0].params == (("mv", 7_000),)


def test_the_same_failure_is_one_that_the_good_dut_does_not_have() -> None:
    """Without the reference a scenario would shrink into one that fails for another reason."""

    def failing(*requirements: str) -> Judgement:
        return Judgement({r: Verdict(r, Outcome.FAIL) for r in requirements})

    def bad(s: Scenario) -> Judgement:
        if not s.timeline:
            raise Unsupported("nothing to play")
        return failing("AVL-1") if has(s, "unlock") else failing("AVL-4")

    def good(s: Scenario) -> Judgement:
        return failing() if has(s, "server.429") else failing("AVL-1")

    assert shrink(LARGE, same_failure(bad, "AVL-1")).timeline == (Intent("unlock", 0, "card"),)
    with_reference = shrink(LARGE, same_failure(bad, "AVL-1", good))
    assert with_reference.timeline == (Fault("server.429", 0), Intent("unlock", 0, "card"))
    assert not same_failure(bad, "AVL-1")(Scenario())


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


def test_nothing_is_asked_twice() -> None:
    asked: list[Scenario] = []

    def fails(s: Scenario) -> bool:
        asked.append(s)
        return has(s, "network.partition", "lock") and len(s.timeline) >= 3

    shrink(LARGE, fails)
    assert len(asked) == len(set(asked))


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
