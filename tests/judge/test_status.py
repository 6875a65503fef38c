"""STA-1: what LockStatus may not do, each on a trace that is otherwise true."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig.judge import Outcome
from rig.judge.e2e import crc8
from rig.judge.verdicts import Verdict
from rig.protocol.e2e import protect
from rig.scenario import Fault, Intent
from rig.trace import Event, Trace, octets
from tests.judge.tape import DOORS, LOCK_STATUS, Tape, edited, is_status, judged, status, us

S = 1_000_000
END_S = 45.0


def tape(*faults: Fault) -> Tape:
    """Opened by the card at 2.35 s, relocked."""
    one = Tape(Intent("unlock", 2 * S, "card"), *faults).taps(2).moves(2.2, "U")
    return one.moves(32.2, "L")


def verdict(change: Callable[[Event], Event | None], one: Tape | None = None, **rules: object) -> Verdict:
    """STA-1 of the trace with its LockStatus frames changed or left out."""
    one = one or tape()
    trace = edited(one.trace(END_S), lambda e: change(e) if is_status(e) else e)
    return judged(one.scenario, trace, **rules).verdicts["STA-1"]


def kept(event: Event) -> Event:
    return event


def again(event: Event, data: bytes) -> Event:
    return (event[0], "can", LOCK_STATUS, data, "ecu")


def later(event: Event, by_us: int) -> Event:
    return (event[0] + by_us, "can", LOCK_STATUS, octets(event, 3), "ecu")


def between(event: Event, start_s: float, end_s: float) -> bool:
    return us(start_s) <= event[0] < us(end_s)


def test_the_untouched_trace_passes() -> None:
    assert verdict(kept).outcome is Outcome.PASS


def test_own_crc_agrees_with_the_published_vectors() -> None:
    """AUTOSAR's check vectors for data id 0x0123 (vehicle.md section 1)."""
    assert crc8(0x0123, bytes(8)) == 0xCC
    assert crc8(0x0123, bytes((0, 1, 0, 0, 0, 0, 0, 0))) == 0x91


@pytest.mark.parametrize("bit", range(64))
def test_one_wrong_bit_in_one_frame_fails(bit: int) -> None:
    def turn(event: Event) -> Event:
        if not between(event, 20, 20.1):
            return event
        turned = int.from_bytes(octets(event, 3), "big") ^ (1 << bit)
        return again(event, turned.to_bytes(8, "big"))

    found = verdict(turn)
    assert found.outcome is Outcome.FAIL
    assert "CRC" in found.text
    assert found.at_us is not None
    assert us(20) <= found.at_us < us(20.1)


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_a_frame_of_wrong_length_fails(length: int) -> None:
    found = verdict(lambda e: again(e, octets(e, 3)[:length]) if between(e, 20, 20.1) else e)
    assert found.outcome is Outcome.FAIL


def with_counter(event: Event, counter: int) -> Event:
    return again(event, protect(LOCK_STATUS, octets(event, 3), counter))


@pytest.mark.parametrize("frames", [1, 3, 1000])
def test_a_stuck_counter_fails(frames: int) -> None:
    def stuck(event: Event) -> Event:
        return with_counter(event, 7) if between(event, 10, 10 + frames / 10) else event

    assert verdict(stuck).outcome is Outcome.FAIL


@pytest.mark.parametrize("step", [2, 3, 7, 14])
def test_a_counter_that_jumps_fails(step: int) -> None:
    def jump(event: Event) -> Event:
        counter = octets(event, 3)[1] & 0x0F
        return with_counter(event, (counter + step - 1) % 15) if event[0] >= us(10) else event

    found = verdict(jump)
    assert found.outcome is Outcome.FAIL
    assert "counter" in found.text


def test_the_invalid_counter_15_fails() -> None:
    def invalid(event: Event) -> Event:
        data = bytearray(octets(event, 3))
        data[1] |= 0x0F
        data[0] = crc8(LOCK_STATUS, bytes(data))
        return again(event, bytes(data)) if between(event, 10, 10.1) else event

    assert verdict(invalid).outcome is Outcome.FAIL


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_gap_fails(frames: int) -> None:
    found = verdict(lambda e: None if between(e, 10, 10 + frames / 10) else e)
    assert found.outcome is Outcome.FAIL


@pytest.mark.parametrize(("by_ms", "fails"), [(0, False), (9, False), (11, True), (50, True)])
def test_a_cycle_of_more_than_110_ms_fails(by_ms: int, fails: bool) -> None:
    """All frames from 10 s on come later."""
    found = verdict(lambda e: later(e, by_ms * 1000) if e[0] >= us(10) and e[0] < us(32) else e)
    assert (found.outcome is Outcome.FAIL) is fails


def test_a_cycle_of_less_than_90_ms_fails() -> None:
    def early(event: Event) -> Event:
        return later(event, -11_000) if us(10) <= event[0] < us(32) else event

    assert verdict(early).outcome is Outcome.FAIL


@pytest.mark.parametrize(("by_ms", "outcome"), [(29, Outcome.PASS), (31, Outcome.FAIL)])
def test_uncertainty_widens_the_cycle(by_ms: int, outcome: Outcome) -> None:
    found = verdict(lambda e: later(e, by_ms * 1000) if us(10) <= e[0] < us(32) else e, uncertainty_us=20_000)
    assert found.outcome is outcome


def test_frames_that_stop_before_the_end_fail() -> None:
    found = verdict(lambda e: None if e[0] > us(40) else e)
    assert found.outcome is Outcome.FAIL
    assert "stopped" in found.text


@pytest.mark.parametrize("until_s", [1.0, 60.0])
def test_frames_that_begin_late_or_never_fail(until_s: float) -> None:
    one = tape()
    one.cycle = True
    trace = edited(one.trace(END_S), lambda e: None if e[1] == "can" and e[0] < us(until_s) else e)
    assert judged(one.scenario, trace).verdicts["STA-1"].outcome is Outcome.FAIL


@pytest.mark.parametrize("said", ["U", "X"])
@pytest.mark.parametrize("door", DOORS)
def test_a_lie_about_one_door_in_one_frame_fails(door: str, said: str) -> None:
    """All are locked, the frame says something else of one."""

    def lie(event: Event) -> Event:
        if not between(event, 38, 38.1):
            return event
        state = dict.fromkeys(DOORS, "L") | {door: said}
        return again(event, status(state, octets(event, 3)[1] & 0x0F))

    found = verdict(lie)
    assert found.outcome is Outcome.FAIL
    assert door in found.text


def test_unlocked_when_commanded_and_not_when_moved_is_a_lie() -> None:
    """From the drive's start the frames say what the latches will be 150 ms later."""

    def hasty(event: Event) -> Event:
        if not between(event, 2.2, 2.35):
            return event
        return again(event, status(dict.fromkeys(DOORS, "U"), octets(event, 3)[1] & 0x0F))

    assert verdict(hasty).outcome is Outcome.FAIL


def test_moving_may_be_said_from_the_drives_start() -> None:
    one = tape()

    def soon(event: Event) -> Event:
        if not between(event, 2.2, 2.22):
            return event
        return again(event, status(dict.fromkeys(DOORS, "X"), octets(event, 3)[1] & 0x0F))

    assert verdict(soon, one).outcome is Outcome.PASS


@pytest.mark.parametrize(("by_ms", "outcome"), [(10, Outcome.PASS), (25, Outcome.FAIL), (60, Outcome.FAIL)])
def test_a_change_is_told_within_20_ms(by_ms: int, outcome: Outcome) -> None:
    """The extra frame after the latches have flipped comes later by so much; until then nothing new is said."""
    one = Tape(Intent("unlock", 2 * S, "card")).taps(2).moves(2.16, "U")
    trace = one.trace(END_S)
    changed = us(2.16 + 0.15)

    def late(event: Event) -> Event:
        if not is_status(event) or not changed < event[0] < changed + by_ms * 1000 + 5_000:
            return event
        if event[0] == changed + 5_000:
            return later(event, by_ms * 1000)
        return event

    moved = edited(trace, late)
    ordered = Trace(sorted(moved.events, key=lambda e: e[0]), moved.origin_us)
    assert judged(one.scenario, ordered).verdicts["STA-1"].outcome is outcome


@pytest.mark.parametrize(
    "fault",
    [
        Fault("can.bus_off", 9_900_000, 12 * S),
        Fault("can.log_flood", 9_900_000, 12 * S),
        Fault("power.reset", 9_900_000, 12 * S),
        Fault("power.dip", 9_900_000, 12 * S, (("mv", 8000),)),
    ],
)
def test_silence_during_faults_of_bus_and_supply_is_excused(fault: Fault) -> None:
    assert verdict(lambda e: None if between(e, 10, 12) else e, tape(fault)).outcome is Outcome.PASS


@pytest.mark.parametrize("mode", ["server.500", "bluetooth.radio_off", "network.car_offline"])
def test_no_other_fault_excuses_silence(mode: str) -> None:
    fault = Fault(mode, 9_900_000, 12 * S)
    assert verdict(lambda e: None if between(e, 10, 12) else e, tape(fault)).outcome is Outcome.FAIL


def test_a_lie_during_a_fault_of_another_domain_fails() -> None:
    def lie(event: Event) -> Event:
        if not between(event, 10, 11):
            return event
        return again(event, status(dict.fromkeys(DOORS, "L"), octets(event, 3)[1] & 0x0F))

    assert verdict(lie, tape(Fault("server.500", 0))).outcome is Outcome.FAIL


def asleep(since_s: float, until_s: float) -> Outcome:
    """Frames are missing for a while in a run in which a card is tapped at 150 s, and nothing else happens."""
    one = Tape(Intent("unlock", 150 * S, "card")).taps(150).moves(150.2, "U")
    trace = edited(one.trace(200.0), lambda e: None if is_status(e) and between(e, since_s, until_s) else e)
    return judged(one.scenario, trace).verdicts["STA-1"].outcome


def test_asleep_it_may_be_silent_from_60_s_after_the_last_activity_until_it_wakes() -> None:
    assert asleep(57.1, 150.1) is Outcome.PASS
    assert asleep(70.0, 140.0) is Outcome.PASS


def test_silence_before_and_after_its_sleep_fails() -> None:
    assert asleep(50.0, 150.1) is Outcome.FAIL
    assert asleep(60.0, 152.0) is Outcome.FAIL
    assert asleep(160.0, 161.0) is Outcome.FAIL
