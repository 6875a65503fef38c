"""Where the judge must be careful: limits with uncertainty, clocks of whole seconds, matching, a bench that broke."""

from __future__ import annotations

import pytest

from hardware.vehicle import emulated_model
from rig.judge import Outcome, judge
from rig.judge.judge import REQUIREMENTS, Rules
from rig.judge.verdicts import Verdict, within, worst
from rig.scenario import Attack, Fault, Intent
from rig.trace import Trace
from tests.judge.tape import CLOCK_S, EPOCH, Tape, judged, us

S = 1_000_000
U_US = 20_000

# -- limits with uncertainty -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value_us", "outcome"),
    [
        (0, Outcome.PASS),
        (980_000, Outcome.PASS),
        (980_001, Outcome.CONDITIONAL_PASS),
        (1_000_000, Outcome.CONDITIONAL_PASS),
        (1_000_001, Outcome.CONDITIONAL_FAIL),
        (1_020_000, Outcome.CONDITIONAL_FAIL),
        (1_020_001, Outcome.FAIL),
    ],
)
def test_a_time_against_its_limit_with_uncertainty(value_us: int, outcome: Outcome) -> None:
    assert within("AVL-4", value_us, 1_000_000, U_US, 0, "a tap").outcome is outcome


@pytest.mark.parametrize(("value_us", "outcome"), [(1_000_000, Outcome.PASS), (1_000_001, Outcome.FAIL)])
def test_without_uncertainty_nothing_is_conditional(value_us: int, outcome: Outcome) -> None:
    assert within("AVL-4", value_us, 1_000_000, 0, 0, "a tap").outcome is outcome


@pytest.mark.parametrize(
    ("opened_s", "outcome"),
    [
        (0.98, Outcome.PASS),
        (0.99, Outcome.CONDITIONAL_PASS),
        (1.01, Outcome.CONDITIONAL_FAIL),
        (1.03, Outcome.FAIL),
    ],
)
def test_a_tap_on_a_bench_with_uncertainty(opened_s: float, outcome: Outcome) -> None:
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(opened_s - 0.15, "U")
    assert tape.verdict("AVL-4", 35, uncertainty_us=U_US).outcome is outcome


@pytest.mark.parametrize(
    ("after_s", "outcome"),
    [
        (28.97, Outcome.FAIL),
        (28.99, Outcome.CONDITIONAL_FAIL),
        (29.01, Outcome.CONDITIONAL_PASS),
        (30.0, Outcome.PASS),
        (30.99, Outcome.CONDITIONAL_PASS),
        (31.01, Outcome.CONDITIONAL_FAIL),
        (31.03, Outcome.FAIL),
    ],
)
def test_relock_on_a_bench_with_uncertainty(after_s: float, outcome: Outcome) -> None:
    """30 s +- 1 s, counted from the movement."""
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(0.2, "U").moves(0.2 + after_s, "L")
    assert tape.verdict("SAF-3", 40, uncertainty_us=U_US).outcome is outcome


def test_of_several_verdicts_the_worst_counts_and_of_equals_the_tightest() -> None:
    verdicts = [
        Verdict("AVL-4", Outcome.PASS, "a", 500, 1000),
        Verdict("AVL-4", Outcome.PASS, "b", 900, 1000),
        Verdict("AVL-4", Outcome.VACUOUS),
    ]
    assert worst(verdicts).text == "b"
    order = [
        Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.CONDITIONAL_FAIL, Outcome.CONDITIONAL_PASS,
        Outcome.PASS,
    ]  # fmt: skip
    for place, outcome in enumerate(order):
        rest = [Verdict("AVL-4", o) for o in order[place:]]
        assert worst(list(reversed(rest))).outcome is outcome


# -- opened, and for how long ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stays_s", "outcome"), [(25.0, Outcome.PASS), (24.9, Outcome.FAIL), (5.0, Outcome.FAIL)]
)
def test_opened_means_for_25_s(stays_s: float, outcome: Outcome) -> None:
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(0.2, "U").moves(0.2 + stays_s, "L")
    assert tape.verdict("AVL-4", 45).outcome is outcome


def test_at_wire_opened_means_for_as_long_as_was_watched() -> None:
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(0.2, "U").moves(5.3, "L")
    assert tape.verdict("AVL-4", 45, opened_us=5 * S).outcome is Outcome.PASS


def test_opened_and_locked_again_on_request_is_opened() -> None:
    tape = Tape(Intent("unlock", 0, "card"), Intent("lock", 3 * S, "bluetooth")).taps(0).moves(0.2, "U")
    tape.knows_the_clock().acts(3, "bluetooth", index=1).sends(3.1, "l", index=1, command="lock")
    assert tape.moves(3.3, "L").verdict("AVL-4", 45).outcome is Outcome.PASS


def test_three_doors_of_four_are_not_opened() -> None:
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(0.2, "U", doors=("FL", "FR", "RL"))
    assert tape.verdict("AVL-4", 45).outcome is Outcome.FAIL


@pytest.mark.parametrize("handle_s", [10.5, 29.0])
def test_a_handle_that_opens_the_door_is_in(handle_s: float) -> None:
    """Whatever became of it afterwards: the driver has opened the door."""
    tape = Tape(Intent("unlock", 0, "ladder")).acts(0, "bluetooth").told(10, "unknown")
    tape.moves(handle_s - 1, "U").add(handle_s, "handle", 0, 1).moves(handle_s + 2, "L")
    assert tape.verdict("AVL-1", 60).outcome is Outcome.PASS


# -- healthy enough, long enough --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("bluetooth.radio_off", 0, 9_999_999), Outcome.FAIL),
        (Fault("bluetooth.radio_off", 0, 10_000_001), Outcome.VACUOUS),
        (Fault("bluetooth.radio_off", 25_000_001), Outcome.FAIL),
        (Fault("bluetooth.radio_off", 24_999_999), Outcome.VACUOUS),
        (Fault("can.bus_off", 22 * S, 22 * S), Outcome.VACUOUS),
        (Fault("server.500", 0), Outcome.FAIL),
        (Fault("can.log_flood", 0), Outcome.FAIL),
    ],
)
def test_a_path_is_due_10_s_after_its_last_fault_and_until_its_deadline(
    fault: Fault, outcome: Outcome
) -> None:
    tape = Tape(Intent("unlock", 20 * S, "bluetooth"), fault).acts(20, "bluetooth", warm=False)
    assert tape.verdict("AVL-2", 60).outcome is outcome


@pytest.mark.parametrize(("end_s", "outcome"), [(6.9, Outcome.FAIL), (7.1, Outcome.VACUOUS)])
def test_retry_after_counts_as_part_of_the_fault(end_s: float, outcome: Outcome) -> None:
    """3 s of Retry-After, then 10 s of recovery."""
    fault = Fault("server.429", 0, round(end_s * S), (("retry_after_s", 3),))
    tape = Tape(Intent("unlock", 20 * S, "cloud"), fault).acts(20, "cloud")
    assert tape.verdict("AVL-3", 60).outcome is outcome


def test_another_intent_under_way_disturbs() -> None:
    tape = Tape(Intent("unlock", 0, "bluetooth"), Intent("lock", S, "cloud")).acts(0, "bluetooth", warm=True)
    tape.acts(1, "cloud", index=1).told(2, "locked", index=1)
    assert tape.verdict("AVL-2", 60).outcome is Outcome.VACUOUS


def test_a_session_that_a_reset_has_ended_is_cold() -> None:
    """The phone believes that it has one: it gets the time of none."""
    tape = Tape(Intent("unlock", 20 * S, "bluetooth"), Fault("power.reset", 5 * S, 6 * S)).knows_the_clock()
    tape.acts(20, "bluetooth", warm=True).sends(22, "u", expires=40).moves(24.5, "U")
    verdict = tape.verdict("AVL-2", 60)
    assert (verdict.outcome, verdict.limit_us) == (Outcome.PASS, 5 * S)


@pytest.mark.parametrize(
    ("tapped_s", "outcome"), [(10.9, Outcome.VACUOUS), (11.6, Outcome.FAIL), (15.0, Outcome.FAIL)]
)
def test_a_tap_locks_only_10_s_after_the_last_unlock_with_a_second_of_doubt(
    tapped_s: float, outcome: Outcome
) -> None:
    """From the movement at 0.5 s on."""
    tape = Tape(Intent("lock", round(tapped_s * S), "card")).moves(0.35, "U").taps(tapped_s)
    assert tape.verdict("AVL-13", 60).outcome is outcome


# -- the clock's edge ------------------------------------------------------------------------------------
# Zero of the ECU's clock lies 3 to 2 s before the origin; the command expires when it shows 12: 9 to 10 s
# after the origin. Whoever can tell judges from 11 s on.


def late(moved_s: float) -> Tape:
    tape = Tape(Attack("hold_bluetooth", 0), Intent("unlock", 0, "bluetooth")).knows_the_clock()
    tape.acts(0, "bluetooth", warm=True).sends(0.1, "u", handed=False, expires=CLOCK_S + 9)
    return tape.told(10, "unknown").hands(moved_s - 0.1, "u", origin="late").moves(moved_s, "U")


@pytest.mark.parametrize(
    ("moved_s", "outcome"),
    [
        (3.0, Outcome.VACUOUS),
        (9.0, Outcome.VACUOUS),
        (9.9, Outcome.VACUOUS),
        (10.9, Outcome.VACUOUS),
        (11.2, Outcome.FAIL),
        (20.0, Outcome.FAIL),
    ],
)
def test_within_a_second_of_its_expiry_a_late_command_is_not_judged(moved_s: float, outcome: Outcome) -> None:
    assert late(moved_s).verdict("SEC-4", moved_s + 5).outcome is outcome


def test_better_knowledge_of_the_clock_narrows_the_edge() -> None:
    """A second look at the clock half a second later: zero lies 3 to 2.5 s before the origin."""
    tape = late(10.7).knows_the_clock(0.5, seconds=CLOCK_S + 1)
    assert tape.verdict("SEC-4", 15).outcome is Outcome.FAIL
    assert late(10.7).verdict("SEC-4", 15).outcome is Outcome.VACUOUS


@pytest.mark.parametrize(("lives_s", "outcome"), [(31, Outcome.PASS), (33, Outcome.PASS), (35, Outcome.FAIL)])
def test_a_lifetime_is_too_long_from_33_s_on(lives_s: int, outcome: Outcome) -> None:
    """31 s are allowed; what lies between is the clock's doubt."""
    tape = Tape(Fault("credential.lifetime_long", 0)).knows_the_clock(0.0, key="valet")
    tape.sends(0.0, "v", index=-1001, key="valet", expires=CLOCK_S + lives_s, flaw="lifetime").moves(0.2, "U")
    assert tape.verdict("SEC-3", 3).outcome is outcome


# -- matching --------------------------------------------------------------------------------------------


def test_matching_is_injective_for_taps() -> None:
    """One card, one movement: the second has no card of its own."""
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(0.2, "U").turned_by_hand(0.8, "L").moves(1.2, "U")
    assert tape.judged(5).verdicts["SEC-1"].outcome is Outcome.FAIL


def test_two_intents_allow_two_movements() -> None:
    tape = Tape(Intent("unlock", 0, "bluetooth"), Intent("unlock", 2 * S, "bluetooth")).knows_the_clock()
    tape.sends(0.1, "a").moves(0.3, "U").turned_by_hand(1, "L").sends(2.1, "b", index=1).moves(2.3, "U")
    assert not tape.judged(5).failures or {v.requirement for v in tape.judged(5).failures} <= {"AVL-10"}


def test_several_messages_of_one_intent_allow_one_movement() -> None:
    tape = (
        Tape(Intent("unlock", 0, "ladder")).knows_the_clock().sends(0.1, "a").sends(0.2, "b", channel="cloud")
    )
    tape.moves(0.4, "U").turned_by_hand(1, "L").moves(1.3, "U")
    verdict = tape.verdict("SEC-5", 5)
    assert verdict.outcome is Outcome.FAIL
    assert "twice" in verdict.text


@pytest.mark.parametrize(("answered", "outcome"), [(True, Outcome.FAIL), (False, Outcome.PASS)])
def test_a_command_that_was_done_without_a_movement_is_spent(answered: bool, outcome: Outcome) -> None:
    """A second wish finds the doors open; its replay opens them later. Without an answer it may just be slow."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), Intent("unlock", 2 * S, "bluetooth")).knows_the_clock()
    tape.sends(0.1, "a").moves(0.3, "U").answers(0.5, "a").sends(2.1, "b", index=1)
    if answered:
        tape.answers(2.2, "b")
    tape.turned_by_hand(3, "L").hands(4, "b", origin="replay").moves(4.1, "U")
    assert tape.verdict("SEC-2", 8).outcome is outcome


def test_a_movement_without_an_opening_spends_nothing() -> None:
    """Drives that a dip broke: the repeat after it belongs to the same command."""
    tape = Tape(Intent("unlock", 0, "bluetooth")).knows_the_clock().sends(0.1, "a")
    tape.moves(0.3, "U", flips=False).moves(1.0, "U")
    verdicts = tape.judged(5).verdicts
    assert [verdicts[r].outcome for r in ("SEC-1", "SEC-5")] == [Outcome.VACUOUS, Outcome.PASS]


def test_the_original_that_comes_after_its_copy_is_the_one_that_replays() -> None:
    """The attacker held it back and delivered it himself: it arrived unchanged, once, and in time."""
    tape = Tape(Attack("hold_bluetooth", 0), Attack("replay_bluetooth", S), Intent("unlock", 0, "bluetooth"))
    tape.knows_the_clock().sends(0.1, "a", handed=False).hands(1, "a", origin="replay").moves(1.1, "U")
    verdicts = tape.judged(5).verdicts
    assert [verdicts[r].outcome for r in ("SEC-1", "SEC-2", "SEC-4")] == [Outcome.VACUOUS] * 3
    tape.turned_by_hand(2, "L").hands(5, "a", origin="late").moves(5.1, "U")
    assert {v.requirement for v in tape.judged(8).failures} - {"AVL-10"} == {"SEC-5"}


@pytest.mark.parametrize(("channel", "requirement"), [("cloud", "SEC-2"), ("bluetooth", None)])
def test_a_copy_on_another_channel_delivers_nothing(channel: str, requirement: str | None) -> None:
    tape = Tape(Attack("replay_cloud", S), Intent("unlock", 0, "bluetooth")).knows_the_clock()
    tape.sends(0.1, "a", handed=False).hands(1, "a", channel=channel, origin="replay").moves(1.1, "U")
    failed = {v.requirement for v in tape.judged(5).failures} - {"AVL-10"}
    assert failed == (set() if requirement is None else {requirement})


def test_a_command_of_the_epoch_before_a_reset_authorises_nothing() -> None:
    tape = Tape(Intent("unlock", 0, "bluetooth"), Fault("power.reset", S, 2 * S)).knows_the_clock()
    tape.sends(0.1, "a").moves(4.6, "U")
    assert {v.requirement for v in tape.judged(8).failures} & {"SEC-1", "SEC-4", "SEC-10"}


# -- the bench broke -------------------------------------------------------------------------------------

BREAKS: dict[str, tuple[Tape, float, bool, str]] = {
    "lost": (Tape(Intent("unlock", 0, "card")).add(3, "lost", "ECU process 7 was killed by signal 9"), 5, False,
             "killed by signal 9"),
    "rig stalled": (Tape(Intent("unlock", 0, "card")).add(3, "stall", "rig", 31), 45, True, "rig was 31 ms late"),
    "ECU stalled": (Tape(Intent("unlock", 0, "card")).add(3, "stall", "ECU process", 250), 45, True,
                    "ECU process was 250 ms late"),
    "no end": (Tape(Intent("unlock", 0, "card")), 45, False, "did not come to its end"),
}  # fmt: skip


@pytest.mark.parametrize("cause", BREAKS)
def test_a_broken_bench_is_inconclusive_throughout_and_never_a_fail(cause: str) -> None:
    """The card was tapped and nothing opened, which would be a fail on a bench that works."""
    tape, end_s, ended, words = BREAKS[cause]
    tape = Tape(*tape.scenario.timeline).taps(0)
    tape.events += BREAKS[cause][0].events[2:]
    tape.moves(2, "U")  # which nothing allowed, either
    judgement = judged(tape.scenario, tape.trace(end_s, end=ended))
    assert {v.outcome for v in judgement.verdicts.values()} == {Outcome.INCONCLUSIVE}
    assert set(judgement.verdicts) == set(REQUIREMENTS)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.cells == frozenset()
    assert all(words in v.text for v in judgement.verdicts.values())


def test_a_stall_before_the_origin_does_not_count() -> None:
    tape = Tape(Intent("unlock", 0, "card")).add(-1, "stall", "rig", 90).taps(0).moves(0.2, "U")
    assert tape.verdict("AVL-4", 45).outcome is Outcome.PASS


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_any_beginning_of_a_real_run_is_inconclusive(share: float) -> None:
    model = emulated_model()
    scenario = Tape(Intent("unlock", 0, "ladder"), Fault("server.500", 0)).scenario
    whole = model.run(scenario)
    part = Trace(whole.events[: int(share * len(whole.events))], whole.origin_us)
    assert judge(scenario, part, model.rules()).outcome is Outcome.INCONCLUSIVE


# -- independence and cells ------------------------------------------------------------------------------


def cells(tape: Tape, end_s: float = 45) -> set[tuple[str, str]]:
    return {(c.path, c.mode) for c in tape.judged(end_s).cells}


def opened_by_card(at_s: float, *faults: Fault) -> Tape:
    return Tape(Intent("unlock", round(at_s * S), "card"), *faults).taps(at_s).moves(at_s + 0.2, "U")


def test_a_cell_needs_a_pass_while_a_foreign_mode_holds_throughout() -> None:
    assert cells(opened_by_card(2, Fault("server.500", S, 5 * S))) == {("card", "server.500")}
    assert cells(opened_by_card(2, Fault("server.500", S, 2_200_000))) == set()
    assert cells(opened_by_card(2, Fault("server.500", 2_200_000, 5 * S))) == set()
    shut = Tape(Intent("unlock", 2 * S, "card"), Fault("server.500", 0)).taps(2)
    assert cells(shut) == set()


def test_a_cell_of_an_own_mode_needs_a_pass_after_it_has_ended() -> None:
    assert cells(opened_by_card(2, Fault("power.reset", 0, S // 2))) == {("card", "power.reset")}
    assert cells(opened_by_card(2, Fault("power.reset", 4 * S, 5 * S))) == set()


def test_a_late_pass_makes_no_cell() -> None:
    tape = Tape(Intent("unlock", 0, "card"), Fault("server.500", 0)).taps(0).moves(1.5, "U")
    assert cells(tape) == set()


def test_foreign_faults_are_named_where_they_slow_a_path() -> None:
    tape = Tape(Intent("unlock", 0, "card"), Fault("server.hang", 0)).taps(0).moves(0.7, "U")
    verdict = tape.verdict("AVL-5", 45, baseline=lambda *_: 400_000)
    assert verdict.outcome is Outcome.FAIL
    assert "server.hang" in verdict.text
    assert verdict.limit_us == 600_000


@pytest.mark.parametrize(("first", "outcome"), [(True, Outcome.PASS), (False, Outcome.FAIL)])
def test_a_first_connection_is_compared_with_first_connections(first: bool, outcome: Outcome) -> None:
    """A session that came over the server tells nothing of the module's services; healthy cold runs discover them."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), Fault("server.hang", 0)).knows_the_clock(-0.1)
    tape.acts(0, "bluetooth", warm=True, first=first).sends(0.1, "u").moves(0.7, "U")
    healthy = {True: 400_000, False: 700_000}
    verdict = tape.verdict("AVL-5", 45, baseline=lambda _path, _want, warm: healthy[warm])
    assert verdict.outcome is outcome
    assert verdict.limit_us == healthy[not first] + 200_000


def test_rules_default_to_virtual_time() -> None:
    rules = Rules(decode=lambda _data: {})
    assert (rules.uncertainty_us, rules.opened_us, rules.baseline) == (0, 25 * S, None)


def test_equal_traces_get_equal_judgements() -> None:
    """Pure: no state is kept from one to the next."""
    tape = opened_by_card(2, Fault("server.500", 0))
    first = tape.judged(45)
    opened_by_card(3).judged(20)
    assert tape.judged(45) == first
    assert us(0) == 3_000_000
    assert len(EPOCH) == 16
