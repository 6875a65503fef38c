"""What a correct DUT may do: each excuse of the judge on a trace that needs it, and next to it what it does not cover."""

from __future__ import annotations

import pytest

from rig.judge import Outcome
from rig.scenario import Fault, Intent
from tests.judge.tape import Tape

S = 1_000_000


@pytest.mark.parametrize(("came_s", "fails"), [(30.16, False), (28.0, True)])
def test_an_unlock_that_comes_while_the_relock_begins_need_not_put_it_off(came_s: float, fails: bool) -> None:
    """SAF-3: a command still crossing the bus when the relock starts is done after it."""
    tape = Tape(Intent("unlock", 0, "card"), Intent("unlock", 28 * S, "cloud")).taps(0).moves(0.17, "U")
    tape.knows_the_clock().sends(came_s, "again", index=1, channel="cloud", expires=40)
    tape.moves(30.18, "L").moves(30.34, "U").answers(30.6, "again", channel="cloud").told(30.6, "opened", index=1)
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


@pytest.mark.parametrize("spoilt", [True, False])
def test_messages_of_spoilt_chunks_need_not_keep_awake(spoilt: bool) -> None:
    """STA-1: the Bluetooth module puts together what makes no sense; 60 s after the tap the vehicle may sleep."""
    faults = [Fault("bluetooth.chunk_duplicated", 20 * S, 50 * S)] if spoilt else []
    tape = Tape(Intent("unlock", 0, "card"), Intent("unlock", 80 * S, "card"), *faults)
    tape.taps(0).moves(0.2, "U").moves(30.2, "L").hands(40, "nonsense")
    tape.silent = (92.0, 98.0)
    tape.taps(97.9, index=1).moves(98.1, "U")
    assert (tape.verdict("STA-1", 99).outcome is Outcome.FAIL) is not spoilt
