"""STA-1: what LockStatus says beside the latches: faulty doors, doors ajar, who moved the locks, a new life."""

from __future__ import annotations

import pytest

from hardware.vehicle import body_codecs
from rig.judge import Outcome
from rig.judge.verdicts import Verdict
from rig.protocol.e2e import protect
from rig.scenario import Fault, Intent
from rig.trace import Event, octets
from tests.judge.tape import DOORS, LOCK_STATUS, Tape, edited, is_status, judged, us

S = 1_000_000
END_S = 45.0
OFF, BACK = 10, 12
"""Seconds from the origin between which something takes LockStatus away."""


def tape(*faults: Fault) -> Tape:
    """Opened by the card at 2.35 s, relocked."""
    return Tape(Intent("unlock", 2 * S, "card"), *faults).taps(2).moves(2.2, "U").moves(32.2, "L")


def said(one: Tape, start_s: float, end_s: float, **values: int) -> Verdict:
    """STA-1, if the frames of a span say something else."""
    codec = body_codecs()["LockStatus"]

    def change(event: Event) -> Event:
        if not (is_status(event) and us(start_s) <= event[0] < us(end_s)):
            return event
        data = octets(event, 3)
        other = {**codec.decode(data), **values}
        return (event[0], "can", LOCK_STATUS, protect(LOCK_STATUS, codec.encode(other), data[1] & 0x0F), "ecu")

    return judged(one.scenario, edited(one.trace(END_S), change)).verdicts["STA-1"]


def silent(one: Tape, start_s: float, end_s: float, counter: int | None = None) -> Verdict:
    """STA-1, if no frame came in a span, and after it the counter began with `counter` (None: where it was)."""
    count = [-1 if counter is None else counter - 1]

    def change(event: Event) -> Event | None:
        if not is_status(event) or event[0] < us(start_s):
            return event
        if event[0] < us(end_s):
            return None
        if counter is None:
            return event
        data = octets(event, 3)
        # Extra frames of the tape come 5 ms after a multiple of 10 ms.
        count[0] += event[0] % 100_000 == 0
        return (event[0], "can", LOCK_STATUS, protect(LOCK_STATUS, data, count[0] % 15), "ecu")

    return judged(one.scenario, edited(one.trace(END_S), change)).verdicts["STA-1"]


@pytest.mark.parametrize(("counter", "outcome"), [(0, Outcome.PASS), (7, Outcome.FAIL), (14, Outcome.FAIL)])
def test_the_counter_begins_with_0_after_a_reset(counter: int, outcome: Outcome) -> None:
    reset = Fault("power.reset", OFF * S, BACK * S)
    assert silent(tape(reset), OFF, BACK + 0.4, counter).outcome is outcome


def test_the_counter_goes_on_through_a_dip_that_is_no_reset() -> None:
    dip = Fault("power.dip", OFF * S, BACK * S, (("mv", 8000),))
    assert silent(tape(dip), OFF, OFF).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("mode", "back_s", "outcome"),
    [
        ("can.bus_off", 0.15, Outcome.PASS),
        ("can.bus_off", 0.6, Outcome.FAIL),
        ("can.bus_off", 100.0, Outcome.FAIL),
        ("power.reset", 1.0, Outcome.PASS),
        ("power.reset", 1.5, Outcome.FAIL),
        ("power.reset", 100.0, Outcome.FAIL),
    ],
)
def test_what_silenced_it_excuses_until_it_is_over(mode: str, back_s: float, outcome: Outcome) -> None:
    counter = 0 if mode == "power.reset" else None
    assert silent(tape(Fault(mode, OFF * S, BACK * S)), OFF, BACK + back_s, counter).outcome is outcome


@pytest.mark.parametrize("door", DOORS)
def test_a_door_that_nobody_tried_to_move_is_not_faulty(door: str) -> None:
    assert said(tape(), 20, 20.5, **{f"Door_{door}": 3}).outcome is Outcome.FAIL


@pytest.mark.parametrize(("pulses", "outcome"), [(1, Outcome.FAIL), (2, Outcome.FAIL), (3, Outcome.PASS)])
def test_a_door_is_faulty_after_three_pulses_in_vain(pulses: int, outcome: Outcome) -> None:
    stuck = Fault("actuator.pulses_stuck", 0, None, (("pulses", 2),))
    one = Tape(Intent("unlock", 2 * S, "card"), stuck).taps(2)
    one.moves(2.2, "U", doors=("FL", "FR", "RL"))
    for number in range(pulses):
        one.moves(2.2 + 0.2 * number, "U", doors=("RR",), flips=False)
    assert said(one, 3, 5, Door_RR=3).outcome is outcome


def ajar() -> Tape:
    """The rear left door stands open from 10 s to 20 s."""
    return tape().add(10, "ajar", "RL", 1).add(20, "ajar", "RL", 0)


@pytest.mark.parametrize(
    ("start_s", "end_s", "value", "outcome"),
    [
        (10.05, 20.05, 1, Outcome.PASS),
        (10.3, 20.0, 1, Outcome.FAIL),
        (10.0, 19.0, 1, Outcome.FAIL),
        (10.0, 21.0, 1, Outcome.FAIL),
        (5.0, 20.0, 1, Outcome.FAIL),
    ],
)
def test_open_doors_are_told_within_a_cycle(start_s: float, end_s: float, value: int, outcome: Outcome) -> None:
    one = tape().add(10, "ajar", "RL", 1).add(20, "ajar", "RL", 0)
    assert said(one, start_s, end_s, Ajar_RL=value).outcome is outcome


def test_an_open_door_is_not_another() -> None:
    assert said(ajar(), 10.05, 20.05, Ajar_RR=1).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("source", "outcome"), [(3, Outcome.PASS), (0, Outcome.FAIL), (1, Outcome.FAIL), (4, Outcome.FAIL)]
)
def test_who_moved_the_locks_is_named(source: int, outcome: Outcome) -> None:
    assert said(tape(), 2.0, 10, LastSource=source).outcome is outcome


@pytest.mark.parametrize(("source", "outcome"), [(6, Outcome.PASS), (3, Outcome.FAIL)])
def test_the_relock_is_named(source: int, outcome: Outcome) -> None:
    assert said(tape(), 32.0, 44, LastSource=source).outcome is outcome


def test_of_two_that_may_have_moved_the_locks_either_may_be_named() -> None:
    one = tape().sends(1.9, "u")
    for source in (2, 3):
        assert said(one, 2.0, 10, LastSource=source).outcome is Outcome.PASS
