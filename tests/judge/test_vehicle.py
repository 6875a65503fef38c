"""What the judge takes the DUT to have been told: valid for sure, perhaps, or not at all."""

from __future__ import annotations

import pytest

from hardware.vehicle import body_codecs
from rig.judge.facts import collect
from rig.judge.vehicle import FAR_US, Vehicle, conditions, deaf
from rig.protocol.e2e import protect
from rig.scenario import Fault
from tests.judge.tape import ORIGIN_US, Tape, us
from tests.judge.vehicle_cases import INTERIOR_SWITCH, VEHICLE_STATE, gateway, press, state

S = 1_000_000


def read(tape: Tape, end_s: float = 60.0) -> Vehicle:
    """What a tape's frames said."""
    facts = collect(tape.scenario, tape.trace(end_s))
    codecs = body_codecs()
    return conditions(
        facts.restbus, deaf(facts), codecs["VehicleState"].decode, codecs["InteriorSwitch"].decode
    )


def test_a_parked_vehicle_tells_nothing() -> None:
    assert read(gateway(Tape(), 20)) == Vehicle()


def test_without_decoders_it_stands_still() -> None:
    facts = collect(Tape().scenario, gateway(Tape(), 20, fast=(0, 10)).trace(30))
    assert conditions(facts.restbus, deaf(facts), None, None) == Vehicle()


@pytest.mark.parametrize(
    ("at_s", "fast"), [(-0.1, False), (0.015, False), (0.05, True), (9.9, True), (10.3, True), (10.41, False)]
)
def test_fast_for_sure_from_20_ms_after_the_first_frame_until_480_ms_after_the_last(at_s: float, fast: bool) -> None:
    assert read(gateway(Tape(), 20, fast=(0, 10))).surely_fast(us(at_s)) is fast


def test_spoilt_frames_say_nothing() -> None:
    assert not read(gateway(Tape(), 20, fast=(5, 10), spoilt=(4, 11))).fast


@pytest.mark.parametrize(
    ("start_s", "end_s", "stands"),
    [(-1.0, -0.5, True), (-1.0, 0.5, False), (5.0, 6.0, False), (10.3, 12.0, False), (11.0, 12.0, True)],
)
def test_standing_for_sure(start_s: float, end_s: float, stands: bool) -> None:
    assert read(gateway(Tape(), 20, fast=(0, 10))).surely_standing(us(start_s), us(end_s)) is stands


@pytest.mark.parametrize(("at_s", "stands"), [(11.0, False), (40.0, False), (69.0, False), (71.0, True)])
def test_the_last_word_before_a_silence_counts_for_60_s(at_s: float, stands: bool) -> None:
    told = read(gateway(Tape(), 90, fast=(0, 10), silent=(10, 80)), 100)
    assert told.surely_standing(us(at_s), us(at_s + 1)) is stands


def test_a_press_is_one() -> None:
    told = read(press(gateway(Tape(), 20), 5.0))
    assert [(p.at_us, p.last_us, p.request, p.sure) for p in told.presses] == [(us(5), us(5.04), "unlock", True)]
    assert told.opening(us(5.5)) == us(5)
    assert told.opening(us(4.9)) is None
    assert told.opening(us(7)) is None
    assert told.locking(us(5.5)) is None


def test_a_press_that_nobody_may_have_heard_excuses_and_does_not_oblige() -> None:
    told = read(press(gateway(Tape(Fault("can.bus_off", 4 * S, 6 * S)), 20), 5.0))
    assert [p.sure for p in told.presses] == [False]


def test_a_press_with_wrong_crc_is_none() -> None:
    tape = gateway(Tape(), 20)
    payload = body_codecs()["InteriorSwitch"].encode({"Request": 2})
    data = protect(INTERIOR_SWITCH, payload, 3)
    tape.add(5.0, "can", INTERIOR_SWITCH, bytes((data[0] ^ 1,)) + data[1:], "attacker")
    assert read(tape).presses == ()


def test_a_crash_is_two_frames_in_a_row() -> None:
    (crash,) = read(gateway(Tape(), 20, crash=(5.0, 5.95))).crashes
    assert (crash.first_us, crash.second_us, crash.last_us) == (us(5.0), us(5.1), us(5.9))
    assert crash.sure_us == (us(5.1), us(5.2))
    assert read(gateway(Tape(), 20, crash=(5.0, 5.05))).crashes == ()


def test_a_spoilt_frame_between_two_does_not_part_them() -> None:
    (crash,) = read(gateway(Tape(), 20, crash=(5.0, 5.25), spoilt=(5.05, 5.15))).crashes
    assert crash.sure_us == (us(5.2), FAR_US)


def test_a_frame_that_says_no_crash_parts_them() -> None:
    tape = Tape()
    for number in range(-10, 100):
        crash = int(number in (50, 52, 54))
        tape.add(number / 10, "can", VEHICLE_STATE, state(0, crash, (number + 10) % 15), "gateway")
    assert read(tape).crashes == ()


@pytest.mark.parametrize("fault", [Fault("can.bus_off", 4 * S, 20 * S), Fault("power.reset", 4 * S, 20 * S)])
def test_a_crash_that_was_not_heard_is_not_sure(fault: Fault) -> None:
    (crash,) = read(gateway(Tape(fault), 40, crash=(5.0, 6.0))).crashes
    assert crash.sure_us == (FAR_US, FAR_US)


def test_a_stuck_counter_is_valid_once_in_500_ms() -> None:
    tape = gateway(Tape(), 5)
    for number in range(50):
        tape.add(5 + number / 10, "can", VEHICLE_STATE, state(500, 0, 7), "gateway")
    told = read(tape)
    assert 8 <= len(told.fast) <= 11
    assert not any(a.at_us + 400_000 > b.at_us for a, b in zip(told.fast, told.fast[1:], strict=False) if b.sure)


def test_skipped_time_goes_on_saying_the_same() -> None:
    tape = gateway(Tape(), 5, fast=(0, 100))
    tape.add(4.95, "skip", 30 * S)
    told = read(tape)
    assert told.surely_fast(us(20))
    assert told.surely_fast(us(35))
    assert told.fast[0].at_us == ORIGIN_US
