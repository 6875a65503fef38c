"""What a correct DUT may do: each excuse of the judge on a trace that needs it, and what it does not cover."""

from __future__ import annotations

import pytest

from rig.judge import Outcome
from rig.scenario import Attack, Fault, Intent
from rig.trace import Event, octets
from tests.judge.tape import DOORS, EPOCH, LOCK_STATUS, Tape, edited, is_status, judged, status, us
from tests.judge.vehicle_cases import press

S = 1_000_000


@pytest.mark.parametrize(("came_s", "fails"), [(30.16, False), (28.0, True)])
def test_an_unlock_that_comes_while_the_relock_begins_need_not_put_it_off(came_s: float, fails: bool) -> None:
    """SAF-3: a command still crossing the bus when the relock starts is done after it."""
    tape = Tape(Intent("unlock", 0, "card"), Intent("unlock", 28 * S, "cloud")).taps(0).moves(0.17, "U")
    tape.knows_the_clock().sends(came_s, "again", index=1, channel="cloud", expires=40)
    tape.moves(30.18, "L").moves(30.34, "U").answers(came_s + 0.44, "again", channel="cloud")
    tape.told(came_s + 0.44, "opened", index=1)
    assert (tape.verdict("SAF-3", 45).outcome is Outcome.FAIL) is fails


@pytest.mark.parametrize("other", [True, False])
def test_of_two_commands_at_once_the_judge_cannot_tell_which_one_moved(other: bool) -> None:
    """AVL-10: "refused" is wrong only if it was this command that opened."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), Intent("unlock", 0, "bluetooth"))
    tape.acts(0.4, "bluetooth").acts(0.4, "bluetooth", index=1).knows_the_clock()
    if other:
        tape.sends(0.50, "first")
    tape.sends(0.51, "second", index=1).moves(0.52, "U")
    if other:
        tape.answers(1.0, "first").told(1.0, "opened")
    tape.answers(1.1, "second", fault=11).told(1.1, "refused", index=1)
    assert (tape.verdict("AVL-10", 35).outcome is Outcome.FAIL) is not other


@pytest.mark.parametrize("back_s", [128.0, 100.0])
def test_what_lapses_while_the_bus_is_silent_is_seen_after_it(back_s: float) -> None:
    """DRV-2: no frame, no word; the first one after the silence must be true."""
    tape = Tape(Intent("drive", 0, "cloud"), Fault("can.babbling", 90 * S, int(back_s * S)))
    tape.acts(0, "cloud").knows_the_clock().sends(0.5, "d", channel="cloud", command="drive")
    tape.driving = [(0.52, 122.0 if back_s < 120 else 900.0)]
    tape.silent = [(90.0, back_s)]
    late = tape.verdict("DRV-2", 140.0)
    tape.driving = [(0.52, 122.0)]
    assert late.outcome is (Outcome.FAIL if back_s > 120 else Outcome.PASS)
    assert tape.verdict("DRV-2", 140.0).outcome is Outcome.PASS


@pytest.mark.parametrize("revoked", [True, False])
def test_a_replay_for_a_key_that_was_put_back_may_restart_the_relock(revoked: bool) -> None:
    """SAF-3: to a key that was off its list a DUT owes no memory of counters; to others it does."""
    tape = Tape(Intent("unlock", 0, "card")).knows_the_clock(-4, seconds=0)
    if revoked:
        tape.add(-3.6, "sign", "r", -1, "keeper", "bluetooth", "revoke", EPOCH, 1, 12, "").hands(-3.5, "r")
        tape.add(-3.4, "keyop", -1, "valet", "revoke", 0)
    tape.sends(-3, "v", index=-2, key="valet", expires=12).answers(-2.9, "v", fault=3)
    if revoked:
        tape.add(-2.6, "sign", "e", -3, "keeper", "bluetooth", "enrol", EPOCH, 2, 12, "").hands(-2.5, "e")
        tape.add(-2.4, "keyop", -3, "valet", "enrol", 0)
    tape.taps(0).moves(0.2, "U").hands(5, "v", origin="replay").moves(35.05, "L")
    assert (tape.verdict("SAF-3", 45).outcome is Outcome.FAIL) is not revoked


def test_a_movement_in_vain_may_change_the_source() -> None:
    """STA-1: whoever drove the doors last is named, whether their feedback came or not."""
    tape = Tape(Intent("lock", 0, "bluetooth"), Fault("actuator.feedback_lost", 2_500_000, 9 * S), doors="unlocked")
    tape.knows_the_clock().sends(0, "l", command="lock").moves(0.1, "L")
    tape.sends(1.5, "u", channel="cloud").moves(1.6, "U", flips=False)
    assert tape.verdict("STA-1", 2.4).outcome is Outcome.PASS


@pytest.mark.parametrize("asleep", [True, False])
def test_asleep_the_counter_rests_in_skipped_time(asleep: bool) -> None:
    """STA-1: 60 s after the tap it may fall asleep at any time of a gap, and goes on with the counter where it was."""
    from_s, skipped_s = (75.1, 3600.1) if asleep else (40.1, 10.1)
    until_s = from_s + skipped_s
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(0.2, "U").moves(30.2, "L")
    # Woken by a copy; its first frame looks like an extra one of a DUT that had been awake all the time.
    tape.add(from_s, "skip", round(skipped_s * 1e6)).hands(until_s - 0.01, "copy", origin="replay")
    tape.add(until_s + 0.1, "skip", 1_500_000)
    tape.silent = [(from_s, until_s), (until_s + 0.1, until_s + 1.6)]
    assert (tape.verdict("STA-1", until_s + 3).outcome is Outcome.FAIL) is not asleep


@pytest.mark.parametrize(("relock_s", "fails"), [(31.3, False), (31.9, True)])
def test_an_unlock_whose_pulses_stuck_counts_from_the_last_of_them(relock_s: float, fails: bool) -> None:
    """SAF-3: 30 s +- 1 s from when the doors were unlocked."""
    tape = Tape(Intent("unlock", 0, "card"), Fault("actuator.pulses_stuck", 0, 1 * S, (("pulses", 2),))).taps(0)
    tape.moves(0.1, "U", flips=False).moves(0.3, "U", flips=False).moves(0.5, "U").moves(relock_s, "L")
    assert (tape.verdict("SAF-3", 45).outcome is Outcome.FAIL) is fails


@pytest.mark.parametrize("stuck", [True, False])
def test_a_motor_that_stops_during_the_relock_leaves_its_door_as_it_was(stuck: bool) -> None:
    """SAF-3: motors that start one after the other may meet a failure that began after the first of them."""
    faults = [Fault("actuator.motor_stuck", 30_300_000, 40 * S)] if stuck else []
    tape = Tape(Intent("unlock", 0, "card"), *faults).taps(0).moves(0.2, "U")
    tape.moves(30.25, "L", doors=("RL", "RR")).moves(30.33, "L", doors=("FL", "FR"), flips=False)
    assert (tape.verdict("SAF-3", 45).outcome is Outcome.FAIL) is not stuck


@pytest.mark.parametrize("in_vain", [True, False])
def test_a_relock_that_came_to_nothing_may_be_tried_again(in_vain: bool) -> None:
    """SEC-12: what locks 30 s after a relock in vain need not be the garbage's doing; after one that locked, it is."""
    tape = Tape(Intent("unlock", 0, "card"), Fault("actuator.motor_stuck", 30 * S, 40 * S)).taps(0).moves(0.2, "U")
    tape.moves(30.2, "L", flips=not in_vain)
    if not in_vain:
        tape.turned_by_hand(45, "U")
    tape.hands(60, "noise", origin="malformed").moves(60.8, "L")
    assert (tape.verdict("SEC-12", 70).outcome is Outcome.FAIL) is not in_vain


@pytest.mark.parametrize("pressed", [True, False])
def test_who_takes_a_movement_over_before_its_last_pulse_may_be_its_source(pressed: bool) -> None:
    """STA-1: a press while a stuck door is driven again is an order of its own, and the last."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), Fault("actuator.pulses_stuck", 0, 1 * S, (("pulses", 1),)))
    tape.knows_the_clock().sends(0, "u").moves(0.1, "U", flips=False)
    if pressed:
        press(tape, 0.2, "unlock")
    tape.moves(0.3, "U")
    assert tape.verdict("STA-1", 5).outcome is Outcome.PASS
    if not pressed:
        lying = edited(tape.trace(5), lambda e: _names_relock(e) if is_status(e) and e[0] > us(2) else e)
        assert judged(tape.scenario, lying).verdicts["STA-1"].outcome is Outcome.FAIL


@pytest.mark.parametrize("reset_s", [1.02, 0.5])
def test_a_session_whose_info_was_under_way_when_the_vehicle_lost_power_is_none(reset_s: float) -> None:
    """AVL-2: with a session means the same epoch on both sides; without one a client may take 5 s."""
    down = Fault("power.reset", int(reset_s * S), int(reset_s * S) + 200_000)
    tape = Tape(Intent("unlock", 20 * S, "bluetooth"), down)
    tape.add(1.04, "clock", "phone", EPOCH, 4, us(1.0)).acts(20, "bluetooth", warm=True)
    tape.sends(20.1, "u", expires=32).moves(23.5, "U")
    assert (tape.verdict("AVL-2", 60).outcome is Outcome.FAIL) is (reset_s < 1)


def _names_relock(event: Event) -> Event:
    """The frame with its counter, naming another source."""
    data = status(dict.fromkeys(DOORS, "U"), octets(event, 3)[1] & 0xF, source=6)
    return (event[0], "can", LOCK_STATUS, data, "ecu")


@pytest.mark.parametrize(("came", "fails"), [("nothing", False), ("a refusal", False), ("done", True)])
def test_only_what_was_done_surely_wakes(came: str, fails: bool) -> None:
    """STA-1: a message may be lost on its way, cut off, or refused; what was done found a DUT that is awake."""
    tape = Tape(Intent("unlock", 80 * S, "bluetooth"), Intent("unlock", 83 * S, "card"))
    tape.knows_the_clock().sends(80, "u", expires=90)
    if came != "nothing":
        tape.answers(80.2, "u", fault=0 if came == "done" else 8)
    tape.taps(82.9, index=1).moves(83.1, "U")
    tape.silent = [(70.0, 83.0)]
    assert (tape.verdict("STA-1", 85).outcome is Outcome.FAIL) is fails


@pytest.mark.parametrize(("handed_s", "fails"), [(20, False), (23.5, True)])
def test_an_answer_that_was_held_up_says_nothing_of_when_it_was_given(handed_s: float, fails: bool) -> None:
    """STA-1: 60 s count from when the DUT did what it was asked, not from when the client heard of it."""
    tape = Tape(Intent("lock", int(handed_s * S), "cloud"), Intent("unlock", 97 * S, "card"))
    tape.knows_the_clock().sends(handed_s, "l", channel="cloud", command="lock", expires=40)
    tape.answers(24, "l", channel="cloud").taps(97.9, index=1).moves(98.1, "U")
    tape.silent = [(80.0, 98.0)]
    assert (tape.verdict("STA-1", 99).outcome is Outcome.FAIL) is fails


def test_what_was_asked_at_the_end_of_a_silence_had_not_come_before() -> None:
    """STA-1: between a client's question and the answer that it got, nobody knows when the vehicle woke."""
    tape = Tape(Intent("unlock", 90 * S, "cloud"))
    tape.silent = [(5.0, 90.2)]
    tape.add(5.05, "skip", us(90.0) - us(5.05))
    tape.add(90.3, "clock", "phone", EPOCH, 92, us(90.0)).acts(90, "cloud")
    tape.sends(90.4, "u", channel="cloud", expires=99).moves(90.6, "U")
    assert tape.verdict("STA-1", 95).outcome is Outcome.PASS


@pytest.mark.parametrize("locked", [True, False])
def test_an_intent_that_was_done_may_be_done_again_by_a_new_request_after_a_lock(locked: bool) -> None:
    """SEC-5: a phone whose first request was held up asks again; somebody has locked in between."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), Intent("lock", 2 * S, "bluetooth")).knows_the_clock()
    tape.sends(2.12, "first").moves(2.13, "U")
    if locked:
        tape.sends(2.91, "shut", index=1, command="lock").moves(2.92, "L")
    else:
        tape.turned_by_hand(3.1, "L")
    tape.sends(3.2, "second").answers(3.2, "first").moves(3.3, "U")
    assert (tape.verdict("SEC-5", 10).outcome is Outcome.FAIL) is not locked


@pytest.mark.parametrize("held_back", [True, False])
def test_a_request_that_the_bus_held_back_may_open_after_a_lock_that_it_was_sent_before(held_back: bool) -> None:
    """SEC-5: the lock came while the second request of an intent was on its way."""
    faults = [Fault("can.frames_delayed", 1 * S, 9 * S, {"ms": 969})] if held_back else []
    tape = Tape(Intent("unlock", 0, "bluetooth"), Intent("lock", 2 * S, "bluetooth"), *faults).knows_the_clock()
    tape.sends(2.12, "first").moves(3.2, "U").sends(3.4, "second")
    tape.sends(3.5, "shut", index=1, command="lock").moves(4.7, "L").moves(5.7, "U")
    assert (tape.verdict("SEC-5", 10).outcome is Outcome.FAIL) is not held_back


@pytest.mark.parametrize("locked", [True, False])
def test_an_intent_that_found_the_doors_open_may_open_them_after_a_lock(locked: bool) -> None:
    """SEC-5: its first request was done with nothing to do; a lock came, and then its second request."""
    tape = Tape(Intent("unlock", 0, "card"), Intent("lock", 2 * S, "bluetooth"), Intent("unlock", 2 * S, "bluetooth"))
    tape.knows_the_clock().taps(0.1, index=0).moves(0.2, "U").sends(2.1, "first", index=2)
    if locked:
        tape.sends(2.2, "shut", index=1, command="lock").moves(2.25, "L")
    else:
        tape.turned_by_hand(2.25, "L")
    tape.answers(2.3, "first").sends(2.35, "second", index=2).moves(2.5, "U")
    assert (tape.verdict("SEC-5", 10).outcome is Outcome.FAIL) is not locked


@pytest.mark.parametrize("by_switch", [True, False])
def test_who_opens_from_inside_needs_no_randomness(by_switch: bool) -> None:
    """SEC-8: after a boot without randomness a remote request does nothing; the inside switch opens all the same."""
    faults = [Fault("random.fails", 0, 60 * S), Fault("power.reset", 1 * S, 2 * S)]
    tape = Tape(Intent("unlock", 5 * S, "bluetooth"), *faults).knows_the_clock()
    tape.sends(5.1, "asked")
    if by_switch:
        press(tape, 5.15)
    tape.moves(5.25, "U")
    assert (tape.verdict("SEC-8", 20).outcome is Outcome.FAIL) is not by_switch


@pytest.mark.parametrize("in_vain", [True, False])
def test_a_lock_in_vain_may_be_refused(in_vain: bool) -> None:
    """AVL-10: a DUT whose motors stick answers with a fault; it must not, once the doors are locked."""
    tape = Tape(Intent("lock", 1 * S, "bluetooth"), Fault("actuator.motor_stuck", 0, 9 * S), doors="unlocked")
    tape.knows_the_clock().sends(1.1, "shut", command="lock").moves(1.2, "L", flips=not in_vain)
    tape.answers(2.0, "shut", fault=11).told(2.0, "refused", "INTERNAL")
    assert (tape.verdict("AVL-10", 40).outcome is Outcome.FAIL) is not in_vain


@pytest.mark.parametrize("answered", [True, False])
def test_garbage_need_not_wake(answered: bool) -> None:
    """SEC-12: a DUT that has done nothing for 60 s may sleep through garbage; one that has just worked may not stop."""
    tape = Tape(Intent("lock", 70 * S, "bluetooth"), Attack("flood_bluetooth", 71 * S)).knows_the_clock()
    tape.sends(70.1, "shut", command="lock", expires=90)
    if answered:
        tape.answers(70.3, "shut")
    tape.hands(71, "noise", origin="malformed")
    tape.silent = [(70.5, 80.0)]
    assert (tape.verdict("SEC-12", 90).outcome is Outcome.FAIL) is answered
