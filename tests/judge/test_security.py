"""What is nobody's fault: rights that change while messages are under way, copies that come first, cards that lock."""

from __future__ import annotations

import pytest

from rig.judge.facts import collect
from rig.judge.keys import Keys
from rig.judge.verdicts import Outcome
from rig.scenario import Attack, Fault, Intent
from tests.judge.tape import Tape

S = 1_000_000


def rights(*, enrol_first: bool) -> Keys:
    """The owner's revocation and enrolment cross; the vehicle takes them in the order of their counters."""
    tape = Tape(Intent("revoke", 0, "cloud"), Intent("enrol", 0, "bluetooth"))
    order = ((1, "enrol"), (0, "revoke")) if enrol_first else ((0, "revoke"), (1, "enrol"))
    for place, (index, what) in enumerate(order):
        tape.sends(0.5 + place / 100, what, index=index, command=what)
    tape.add(0.7, "keyop", 0, "guest", "revoke", 0).add(0.71, "keyop", 1, "guest", "enrol", 0)
    return Keys(collect(tape.scenario, tape.trace(5)))


@pytest.mark.parametrize("enrol_first", [False, True])
def test_rights_follow_the_order_of_counters(enrol_first: bool) -> None:
    assert rights(enrol_first=enrol_first).lost("guest", 5 * S) == enrol_first


def test_an_enrolment_that_was_never_answered_may_give_rights_back() -> None:
    tape = Tape(Intent("revoke", 0, "bluetooth"), Intent("enrol", 2 * S, "bluetooth"))
    tape.sends(0.5, "r", command="revoke").add(0.7, "keyop", 0, "guest", "revoke", 0)
    tape.sends(2.5, "e", index=1, command="enrol")
    keys = Keys(collect(tape.scenario, tape.trace(5)))
    assert [keys.lost("guest", (3 * S) + round(at * S)) for at in (0.6, 0.8, 2.4, 2.6)] == [False, True, True, False]


def test_a_refused_operation_changes_no_rights() -> None:
    tape = Tape(Intent("revoke", 0, "bluetooth"))
    tape.sends(0.5, "r", command="revoke").add(0.7, "keyop", 0, "guest", "revoke", 6)
    assert not Keys(collect(tape.scenario, tape.trace(5))).lost("guest", 60 * S)


def copy_first(*faults: Fault, answered: bool = False) -> Tape:
    """A command that may have been lost on the bus, and its copy 2 s later, after which the doors open."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), Attack("replay_bluetooth", 2 * S), *faults)
    tape.knows_the_clock().sends(0.1, "u")
    if answered:
        tape.answers(0.3, "u", fault=11)
    return tape.add(2.0, "attack", 0, "replay_bluetooth", "sent").hands(2.0, "u", origin="replay").moves(2.2, "U")


def test_a_copy_of_what_never_arrived_is_the_first_to_come() -> None:
    assert copy_first(answered=True).verdict("SEC-2", 5).outcome is Outcome.FAIL
    off = Fault("can.bus_off", 0, S // 2)
    assert copy_first(off).verdict("SEC-2", 5).outcome is not Outcome.FAIL
    # It did arrive, if it was answered.
    assert copy_first(off, answered=True).verdict("SEC-2", 5).outcome is Outcome.FAIL


def test_a_lock_that_a_card_did_is_not_the_refused_commands() -> None:
    """The same intent, refused by the phone's way and carried out by the card."""
    tape = Tape(Intent("lock", 0, "ladder"), doors="unlocked").knows_the_clock()
    tape.acts(0, "bluetooth", warm=True).sends(0.1, "l", command="lock", expires=12).answers(0.3, "l", fault=11)
    tape.told(0.3, "refused", "INTERNAL").taps(10.5).moves(10.7, "L")
    assert tape.verdict("AVL-10", 20).outcome is Outcome.PASS


def test_lock_commands_with_a_flaw_lock_nothing() -> None:
    tape = Tape(Fault("credential.other_car", 0), doors="unlocked").knows_the_clock(1.0, key="valet", seconds=3)
    tape.sends(1.1, "v", index=-1001, key="valet", flaw="vin", command="lock").moves(1.3, "L")
    assert tape.verdict("SEC-7", 5).outcome is Outcome.FAIL
