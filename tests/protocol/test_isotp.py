"""ISO-TP: two endpoints over ordered, lossy queues in virtual time, and can-isotp at the other end."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import isotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.protocol.isotp import LONGEST, MOST_WAITS, N_BS_US, N_CR_US, Endpoint

FRAME_US = 270


@dataclass
class Wire:
    """Two endpoints, one frame at a time each way, each taking a drawn time and perhaps lost."""

    left: Endpoint = field(default_factory=lambda: Endpoint(0x2A0, 0x2A8))
    right: Endpoint = field(default_factory=lambda: Endpoint(0x2A8, 0x2A0))
    now_us: int = 0
    got_left: list[bytes] = field(default_factory=list)
    got_right: list[bytes] = field(default_factory=list)
    lost: int = 0

    def __post_init__(self) -> None:
        self._to_right: deque[tuple[int, bytes]] = deque()
        self._to_left: deque[tuple[int, bytes]] = deque()

    def run(self, rng: random.Random, loss: float = 0.0, most_us: int = FRAME_US) -> None:
        """Until nothing is under way any more."""
        for _ in range(200_000):
            for source, queue in ((self.left, self._to_right), (self.right, self._to_left)):
                frames, source.out = source.out, []
                for frame in frames:
                    assert len(frame) == 8
                    if rng.random() < loss:
                        self.lost += 1
                        continue
                    earliest = queue[-1][0] if queue else self.now_us
                    queue.append((earliest + rng.randint(1, most_us), frame))
            times = [queue[0][0] for queue in (self._to_right, self._to_left) if queue]
            times += [end.deadline_us for end in (self.left, self.right) if end.deadline_us is not None]
            if not times:
                return
            self.now_us = max(self.now_us, min(times))
            for queue, target, got in (
                (self._to_right, self.right, self.got_right),
                (self._to_left, self.left, self.got_left),
            ):
                if queue and queue[0][0] <= self.now_us:
                    payload = target.receive(self.now_us, queue.popleft()[1])
                    if payload is not None:
                        got.append(payload)
            for end in (self.left, self.right):
                if end.deadline_us is not None and end.deadline_us <= self.now_us:
                    end.tick(self.now_us)
        raise AssertionError("the endpoints never come to rest")


PAYLOADS = st.integers(1, LONGEST).map(lambda size: random.Random(size).randbytes(size))
SHORTER = st.integers(1, 200).map(lambda size: random.Random(size).randbytes(size))


@pytest.mark.parametrize("size", [*range(1, 30), 62, 63, 1024, 1025, 4094, 4095])
def test_every_size_arrives(size: int) -> None:
    wire = Wire()
    payload = random.Random(size).randbytes(size)
    wire.left.send(0, payload)
    wire.run(random.Random(0))
    assert wire.got_right == [payload]
    assert not wire.left.busy
    assert not wire.right.busy
    assert wire.left.errors == wire.right.errors == 0


@settings(max_examples=60)
@given(st.lists(SHORTER | PAYLOADS, max_size=4), st.lists(SHORTER | PAYLOADS, max_size=4), st.randoms())
def test_both_directions_interleave_at_random(
    rightward: list[bytes], leftward: list[bytes], rng: random.Random
) -> None:
    wire = Wire()
    for payload in rightward:
        wire.left.send(0, payload)
    for payload in leftward:
        wire.right.send(0, payload)
    wire.run(rng)
    assert wire.got_right == rightward
    assert wire.got_left == leftward
    assert wire.left.errors == wire.right.errors == 0


@given(
    st.lists(SHORTER, min_size=1, max_size=5),
    st.lists(SHORTER, max_size=5),
    st.integers(0, 2**32),
    st.sampled_from([0.02, 0.1, 0.5]),
)
def test_with_loss_what_arrives_is_whole_and_in_order(
    rightward: list[bytes], leftward: list[bytes], seed: int, loss: float
) -> None:
    wire = Wire()
    for payload in rightward:
        wire.left.send(0, payload)
    for payload in leftward:
        wire.right.send(0, payload)
    wire.run(random.Random(seed), loss)
    for got, sent in ((wire.got_right, rightward), (wire.got_left, leftward)):
        rest = iter(sent)
        assert all(payload in rest for payload in got)
    assert not wire.left.busy
    assert not wire.right.busy
    # The channel is none the worse for it.
    wire.got_right.clear()
    wire.left.send(wire.now_us, bytes(100))
    wire.run(random.Random(seed))
    assert wire.got_right == [bytes(100)]


@given(st.lists(st.binary(max_size=10), max_size=40))
def test_arbitrary_frames_never_raise(frames: list[bytes]) -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(50))
    for number, frame in enumerate(frames):
        end.receive(number * 1000, frame)
        if end.deadline_us is not None and end.deadline_us <= number * 1000:
            end.tick(number * 1000)
    for _ in range(50):
        if end.deadline_us is None:
            break
        end.tick(end.deadline_us)
    assert end.deadline_us is None, "everything times out in the end"


def _first(size: int) -> bytes:
    return bytes((0x10 | size >> 8, size & 0xFF, 1, 2, 3, 4, 5, 6))


def _cf(number: int, fill: int = 0xCC) -> bytes:
    return bytes((0x20 | number,)) + bytes((fill,)) * 7


CONTINUE = bytes.fromhex("300000cccccccccc")
OVERFLOW = bytes.fromhex("320000cccccccccc")


def test_bytes_on_the_bus() -> None:
    end = Endpoint(1, 2)
    end.send(0, b"\x11\x22")
    end.send(0, bytes(range(1, 11)))
    assert [frame.hex() for frame in end.out] == ["021122cccccccccc", "100a010203040506"]
    end.out.clear()
    assert end.receive(0, CONTINUE) is None
    assert [frame.hex() for frame in end.out] == ["210708090acccccc"]
    other = Endpoint(2, 1)
    assert other.receive(0, _first(10)) is None
    assert other.out == [CONTINUE]
    assert other.receive(0, bytes.fromhex("210708090a")) == bytes(range(1, 11)), "unpadded frames are taken"


def test_no_flow_control_within_n_bs_ends_the_transfer_and_starts_the_next() -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(20))
    end.send(0, b"next")
    assert end.deadline_us == N_BS_US
    end.tick(N_BS_US - 1)
    assert end.errors == 0
    end.out.clear()
    end.tick(N_BS_US)
    assert end.errors == 1
    assert end.out == [b"\x04next\xcc\xcc\xcc"]
    end.out.clear()
    assert not end.busy
    assert end.deadline_us is None


def test_no_consecutive_frame_within_n_cr_ends_the_reception() -> None:
    end = Endpoint(1, 2)
    end.receive(0, _first(20))
    end.receive(500_000, _cf(1))
    assert end.deadline_us == 500_000 + N_CR_US
    end.tick(500_000 + N_CR_US)
    assert end.errors == 1
    assert end.receive(1_600_000, _cf(2)) is None


def test_a_new_first_frame_aborts_the_old_message() -> None:
    end = Endpoint(1, 2)
    end.receive(0, _first(20))
    end.receive(0, _cf(1, 0xAA))
    end.receive(0, _first(13))
    assert end.out == [CONTINUE, CONTINUE]
    assert end.receive(0, _cf(1, 0xBB)) == bytes((1, 2, 3, 4, 5, 6)) + b"\xbb" * 7
    assert end.errors == 1


def test_a_single_frame_aborts_the_old_message() -> None:
    end = Endpoint(1, 2)
    end.receive(0, _first(20))
    assert end.receive(0, b"\x01\x55") == b"\x55"
    assert end.deadline_us is None
    assert end.receive(0, _cf(1)) is None


def test_a_wrong_sequence_number_ends_the_reception() -> None:
    end = Endpoint(1, 2)
    end.receive(0, _first(20))
    end.receive(0, _cf(2))
    assert end.errors == 1
    assert end.deadline_us is None
    assert end.receive(0, _cf(1)) is None


def test_wait_prolongs_but_not_for_ever() -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(20))
    end.out.clear()
    for number in range(MOST_WAITS):
        end.receive(number * 900_000, b"\x31\x00\x00")
        assert end.deadline_us == number * 900_000 + N_BS_US
        assert not end.out
    end.receive(9_000_000, b"\x31\x00\x00")
    assert end.errors == 1
    assert not end.busy


def test_wait_then_continue_sends() -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(20))
    end.out.clear()
    end.receive(10, b"\x31\x00\x00")
    end.receive(20, CONTINUE)
    assert len(end.out) == 2
    assert end.deadline_us is None


@pytest.mark.parametrize("status", [0x32, 0x33, 0x3F])
def test_overflow_and_reserved_states_end_the_transfer(status: int) -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(20))
    end.out.clear()
    end.receive(0, bytes((status, 0, 0)))
    assert end.errors == 1
    assert not end.busy


def test_a_message_over_the_limit_is_answered_by_overflow() -> None:
    end = Endpoint(1, 2, limit=1025)
    end.receive(0, _first(1025))
    end.receive(0, _first(1026))
    end.receive(0, bytes.fromhex("100000001000aaaa"))
    assert end.out == [CONTINUE, OVERFLOW, OVERFLOW]
    assert end.deadline_us is None


@pytest.mark.parametrize(
    ("st_min", "step_us"), [(1, 1000), (0x7F, 127_000), (0xF3, 300), (0x80, 127_000), (0xFA, 127_000)]
)
def test_the_peers_separation_time_is_kept(st_min: int, step_us: int) -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(6 + 21))
    end.out.clear()
    end.receive(100, bytes((0x30, 0, st_min)))
    sent_us = [100]
    while end.deadline_us is not None:
        end.tick(end.deadline_us - 1)
        assert len(end.out) == len(sent_us)
        sent_us.append(end.deadline_us)
        end.tick(end.deadline_us)
    assert sent_us == [100, 100 + step_us, 100 + 2 * step_us]
    assert [frame[0] for frame in end.out] == [0x21, 0x22, 0x23]


@pytest.mark.parametrize("st_min", [0, 5])
def test_the_peers_block_size_is_kept(st_min: int) -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(6 + 7 * 7))
    end.out.clear()
    blocks = []
    now_us = 0
    while end.sending:
        end.receive(now_us, bytes((0x30, 3, st_min)))
        while end.sending and end.deadline_us is not None and end.deadline_us < now_us + N_BS_US // 2:
            now_us = end.deadline_us
            end.tick(now_us)
        blocks.append(len(end.out))
        end.out.clear()
    assert blocks == [3, 3, 1]


@pytest.mark.parametrize("size", [0, 4096])
def test_impossible_payloads_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.4095"):
        Endpoint(1, 2).send(0, bytes(size))


@pytest.mark.parametrize(
    "frame",
    ["", "00", "08aabbccddeeff00", "0211", "1007010203040506", "10", "1014010203", "40", "ff", "30", "2100"],
)
def test_malformed_frames_are_counted(frame: str) -> None:
    end = Endpoint(1, 2)
    assert end.receive(0, bytes.fromhex(frame)) is None
    assert end.errors == 1
    assert not end.busy


def test_a_short_consecutive_frame_is_ignored() -> None:
    end = Endpoint(1, 2)
    end.receive(0, _first(13))
    assert end.receive(0, _cf(1)[:7]) is None
    assert end.errors == 1
    assert end.receive(0, _cf(1)) is not None


def test_reset_forgets() -> None:
    end = Endpoint(1, 2)
    end.send(0, bytes(20))
    end.send(0, bytes(20))
    end.receive(0, _first(20))
    end.reset()
    assert not end.busy
    assert end.deadline_us is None


# can-isotp reads the real clock; its time-outs play no part here, since nothing is lost.


class Oracle:
    """can-isotp's transport logic on one end of two queues."""

    def __init__(self, block_size: int) -> None:
        self.inbox: deque[bytes] = deque()
        self.outbox: deque[bytes] = deque()
        address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=0x2A8, rxid=0x2A0)
        self.logic = isotp.TransportLayerLogic(
            self._read,
            lambda message: self.outbox.append(bytes(message.data)),
            address,
            params={"stmin": 0, "blocksize": block_size, "tx_padding": 0xCC},
        )

    def _read(self, timeout: float = 0.0) -> isotp.CanMessage | None:
        del timeout
        return isotp.CanMessage(0x2A0, data=self.inbox.popleft()) if self.inbox else None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(SHORTER | PAYLOADS, max_size=3),
    st.lists(SHORTER | PAYLOADS, max_size=3),
    st.sampled_from([0, 1, 2, 8, 15]),
    st.randoms(),
)
def test_talks_with_can_isotp(
    ours: list[bytes], theirs: list[bytes], block_size: int, rng: random.Random
) -> None:
    end, oracle = Endpoint(0x2A0, 0x2A8), Oracle(block_size)
    for payload in ours:
        end.send(0, payload)
    for payload in theirs:
        oracle.logic.send(payload)
    got_ours: list[bytes] = []
    got_theirs: list[bytes] = []
    for now_us in range(20_000):
        if rng.random() < 0.5:
            oracle.inbox.extend(end.out)
            end.out.clear()
        oracle.logic.process(do_rx=True, do_tx=True)
        while oracle.outbox and rng.random() < 0.8:
            received = end.receive(now_us, oracle.outbox.popleft())
            if received is not None:
                got_theirs.append(received)
        while (arrived := oracle.logic.recv()) is not None:
            got_ours.append(bytes(arrived))
        if len(got_ours) == len(ours) and len(got_theirs) == len(theirs):
            break
    assert got_ours == ours
    assert got_theirs == theirs
    assert end.errors == 0


def test_waits_are_counted_anew_after_every_block_and_transfer() -> None:
    end = Endpoint(1, 2)
    for _ in range(3):
        end.send(0, bytes(6 + 14))
        for _ in range(2):
            for _ in range(MOST_WAITS):
                end.receive(0, b"\x31\x00\x00")
            end.receive(0, b"\x30\x01\x00")
        assert not end.sending
    end.send(0, bytes(20))
    for _ in range(MOST_WAITS):
        end.receive(0, b"\x31\x00\x00")
    end.tick(N_BS_US)
    assert end.errors == 1
    end.send(0, bytes(20))
    end.receive(0, b"\x31\x00\x00")
    assert end.errors == 1


def test_the_long_form_of_a_short_length_is_ignored() -> None:
    end = Endpoint(1, 2)
    end.receive(0, bytes.fromhex("1000000000140102"))
    assert end.errors == 1
    assert end.out == []


def test_a_frame_of_more_than_8_bytes_adds_no_more_than_7() -> None:
    end = Endpoint(1, 2)
    end.receive(0, _first(20))
    end.receive(0, _cf(1, 0xAA) + b"\xee")
    assert end.receive(0, _cf(2, 0xBB)) == bytes((1, 2, 3, 4, 5, 6)) + b"\xaa" * 7 + b"\xbb" * 7
