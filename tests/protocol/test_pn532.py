"""The PN532 host link: published frames, round trips in any chunking, resynchronisation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.protocol.pn532 import (
    ACK,
    ERROR,
    HOST_TO_READER,
    NACK,
    READER_TO_HOST,
    WAKE_UP,
    Ack,
    Decoder,
    ErrorFrame,
    Event,
    Frame,
    Nack,
    Wakeup,
    frame,
)

FRAMES = st.builds(
    Frame, st.sampled_from([HOST_TO_READER, READER_TO_HOST]), st.binary(min_size=1, max_size=264)
)


def _bytes(event: Event) -> bytes:
    match event:
        case Frame(tfi, payload):
            return frame(tfi, payload)
        case Ack():
            return ACK
        case Nack():
            return NACK
        case ErrorFrame():
            return ERROR
        case Wakeup():
            return WAKE_UP


@pytest.mark.parametrize(
    ("tfi", "payload", "expected"),
    [
        # GetFirmwareVersion and its answer, SAMConfiguration (UM0701-02, 7.2.2 and 7.2.10).
        (HOST_TO_READER, "02", "0000ff02fed4022a00"),
        (READER_TO_HOST, "0332010607", "0000ff06fad50332010607e800"),
        (HOST_TO_READER, "140100", "0000ff04fcd41401001700"),
    ],
)
def test_known_frames(tfi: int, payload: str, expected: str) -> None:
    assert frame(tfi, bytes.fromhex(payload)).hex() == expected
    assert Decoder().feed(bytes.fromhex(expected)) == [Frame(tfi, bytes.fromhex(payload))]


@pytest.mark.parametrize("length", [1, 253, 254, 255, 256, 264])
def test_lengths_around_the_extended_form(length: int) -> None:
    encoded = frame(READER_TO_HOST, bytes(length))
    assert (encoded[3:5] == b"\xff\xff") == (length >= 255)
    assert Decoder().feed(encoded) == [Frame(READER_TO_HOST, bytes(length))]


@pytest.mark.parametrize("length", [0, 265])
def test_impossible_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.264"):
        frame(HOST_TO_READER, bytes(length))


@given(
    st.lists(FRAMES | st.sampled_from([Ack(), Nack(), ErrorFrame()]), max_size=6),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_round_trip_in_any_chunking(events: list[Event], cuts: list[int]) -> None:
    stream = b"".join(map(_bytes, events))
    decoder = Decoder()
    got: list[Event] = []
    place = turn = 0
    while place < len(stream):
        size = cuts[turn % len(cuts)]
        got += decoder.feed(stream[place : place + size])
        place, turn = place + size, turn + 1
    assert got == events
    assert decoder.errors == 0


@pytest.mark.parametrize("cut", range(1, len(WAKE_UP)))
def test_a_wake_up_is_told_once(cut: int) -> None:
    decoder = Decoder()
    stream = WAKE_UP + frame(HOST_TO_READER, b"\x02")
    assert decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) == [
        Wakeup(),
        Frame(HOST_TO_READER, b"\x02"),
    ]


CLEAN = frame(HOST_TO_READER, b"\x4a\x02\x55")


@given(st.binary(max_size=400))
def test_gets_over_garbage(garbage: bytes) -> None:
    decoder = Decoder()
    decoder.feed(garbage)
    # A length in the garbage may claim up to 273 bytes of what follows, no more.
    got = [event for _ in range(40) for event in decoder.feed(CLEAN)]
    assert got[-1] == Frame(HOST_TO_READER, b"\x4a\x02\x55")


@given(FRAMES, st.data())
def test_a_flipped_byte_is_never_taken_for_the_frame(original: Frame, data: st.DataObject) -> None:
    encoded = bytearray(_bytes(original))
    place = data.draw(st.integers(3, len(encoded) - 2))
    encoded[place] ^= data.draw(st.integers(1, 255))
    assert original not in Decoder().feed(bytes(encoded))


def test_reset_drops_a_partial_frame() -> None:
    decoder = Decoder()
    assert decoder.feed(CLEAN[:6]) == []
    decoder.reset()
    assert decoder.feed(CLEAN) == [Frame(HOST_TO_READER, b"\x4a\x02\x55")]


def test_a_cut_frame_costs_only_itself() -> None:
    decoder = Decoder()
    got = decoder.feed(CLEAN[:7] + CLEAN + CLEAN)
    assert got == [Frame(HOST_TO_READER, b"\x4a\x02\x55")] * 2
    assert decoder.errors == 1


def test_an_impossible_extended_length_is_passed_over_at_once() -> None:
    # 65535 bytes with a right checksum of the length: the PN532 has frames of at most 265.
    assert Decoder().feed(bytes.fromhex("0000ffffffffff02") + CLEAN) == [
        Frame(HOST_TO_READER, b"\x4a\x02\x55")
    ]


def test_a_start_code_right_behind_a_false_one_counts() -> None:
    assert Decoder().feed(b"\x00\xff\x05" + CLEAN[1:]) == [Frame(HOST_TO_READER, b"\x4a\x02\x55")]


@pytest.mark.parametrize("encoded", [CLEAN, frame(READER_TO_HOST, bytes(260))])
def test_a_wrong_checksum_is_no_frame(encoded: bytes) -> None:
    broken = bytearray(encoded)
    broken[-2] ^= 1
    decoder = Decoder()
    assert not any(isinstance(event, Frame) for event in decoder.feed(bytes(broken)))
    assert decoder.errors >= 1
