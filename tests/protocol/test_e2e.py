"""E2E profile 1: check vectors, an independent implementation as oracle, the receiver's rule."""

from __future__ import annotations

import e2e as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.protocol.e2e import COUNTERS, Receiver, Sender, check_crc, crc8, protect

IDS = st.integers(0, 0xFFFF)
PAYLOADS = st.binary(min_size=8, max_size=8)


@pytest.mark.parametrize(("counter", "crc"), [(0, 0xCC), (1, 0x91)])
def test_check_vectors(counter: int, crc: int) -> None:
    assert protect(0x0123, bytes(8), counter) == bytes((crc, counter)) + bytes(6)


def test_crc_of_nothing_is_the_start_value() -> None:
    assert crc8(b"") == 0


@given(IDS, PAYLOADS, st.integers(0, COUNTERS - 1))
def test_same_bytes_as_autosar_e2e(data_id: int, payload: bytes, counter: int) -> None:
    theirs = bytearray(payload)
    theirs[1] = theirs[1] & 0xF0 | counter
    oracle.p01.e2e_p01_protect(theirs, data_id, increment_counter=False)
    ours = protect(data_id, payload, counter)
    assert ours == bytes(theirs)
    assert check_crc(data_id, ours)


@given(IDS, PAYLOADS)
def test_same_verdict_as_autosar_e2e(data_id: int, frame: bytes) -> None:
    right = oracle.p01.e2e_p01_check(bytearray(frame), data_id)
    assert check_crc(data_id, frame) == (right and frame[1] & 0x0F != 0x0F)


@given(IDS, PAYLOADS, st.integers(0, COUNTERS - 1), st.integers(0, 63))
def test_any_flipped_bit_is_noticed(data_id: int, payload: bytes, counter: int, bit: int) -> None:
    frame = bytearray(protect(data_id, payload, counter))
    frame[bit // 8] ^= 1 << bit % 8
    assert not check_crc(data_id, bytes(frame))


@pytest.mark.parametrize(
    ("data_id", "payload", "counter"),
    [(0x10000, bytes(8), 0), (1, bytes(7), 0), (1, bytes(8), 15), (1, bytes(8), -1)],
)
def test_out_of_range_is_refused(data_id: int, payload: bytes, counter: int) -> None:
    with pytest.raises(ValueError, match="E2E"):
        protect(data_id, payload, counter)


def test_counter_runs_from_0_to_14_and_repeats_on_demand() -> None:
    sender = Sender(0x1A0)
    counters = [sender.protect(bytes(8))[1] for _ in range(17)]
    assert counters == [*range(15), 0, 1]
    assert sender.repeat(bytes(8))[1] == 1
    sender.skip(10)
    assert sender.protect(bytes(8))[1] == 12


@pytest.mark.parametrize("step", range(COUNTERS))
def test_steps_1_to_3_are_valid(step: int) -> None:
    receiver = Receiver(0x1B0)
    assert receiver.accept(0, protect(0x1B0, bytes(8), 7))
    assert receiver.accept(100_000, protect(0x1B0, bytes(8), (7 + step) % COUNTERS)) == (1 <= step <= 3)


@pytest.mark.parametrize(("after_us", "valid"), [(499_999, False), (500_000, True)])
def test_any_counter_is_valid_after_500_ms(after_us: int, valid: bool) -> None:
    receiver = Receiver(0x1B0)
    assert receiver.accept(1_000, protect(0x1B0, bytes(8), 7))
    assert not receiver.accept(1_100, protect(0x1B0, bytes(8), 7)), "a repeated frame renews nothing"
    assert receiver.last_valid_us == 1_000
    assert receiver.accept(1_000 + after_us, protect(0x1B0, bytes(8), 7)) == valid


@given(st.binary(max_size=10), st.integers(0, 10**9))
def test_arbitrary_bytes_never_raise(data: bytes, now_us: int) -> None:
    receiver = Receiver(0x1E0)
    assert receiver.accept(now_us, data) == (receiver.last_valid_us is not None)


@given(st.integers(0, 100), PAYLOADS)
def test_skipping_equals_running(cycles: int, payload: bytes) -> None:
    run, skipped = (Sender(0x1B0), Receiver(0x1B0)), (Sender(0x1B0), Receiver(0x1B0))
    for sender, receiver in (run, skipped):
        assert receiver.accept(100_000, sender.protect(payload))
    for cycle in range(cycles):
        assert run[1].accept(200_000 + cycle * 100_000, run[0].protect(payload))
    skipped[0].skip(cycles)
    skipped[1].skip(cycles, cycles * 100_000)
    assert run[1].last_valid_us == skipped[1].last_valid_us
    frame = run[0].protect(payload)
    assert frame == skipped[0].protect(payload)
    now_us = 200_000 + cycles * 100_000
    assert run[1].accept(now_us, frame)
    assert skipped[1].accept(now_us, frame)


def test_reset_forgets() -> None:
    receiver = Receiver(0x1B0)
    assert receiver.accept(0, protect(0x1B0, bytes(8), 7))
    receiver.reset()
    assert receiver.last_valid_us is None
    assert receiver.accept(1, protect(0x1B0, bytes(8), 7))


def test_the_invalid_counter_is_refused_even_with_its_crc() -> None:
    body = b"\x0f" + bytes(6)
    assert not check_crc(0x1B0, bytes((crc8(b"\xb0\x01" + body),)) + body)
