"""Decoders under near-misses: what was valid, damaged anywhere, raises only what is documented, and fast.

Purely random input is the business of each decoder's own tests; it seldom gets past the first check.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.bench import load_bench
from hardware.benchfile import BenchError
from hardware.dbc import body_dbc_text
from hardware.slcan import SlcanAdapter, SlcanHost, encode_frame
from rig.faults import check_faults
from rig.protocol import keycard, pn532, vcp
from rig.protocol.dbc import DbcError, load_codecs
from rig.protocol.e2e import Receiver, Sender
from rig.protocol.isotp import LONGEST, N_BS_US, N_CR_US, Endpoint
from rig.scenario import Scenario, ScenarioError
from rig.sim.card import BlockProtocol, Card
from rig.world.attacker import check_attacks
from tests.fuzz.bytesfuzz import MUTATIONS, Mutation, effort, mutated
from tests.randomscenarios import scenario

VIN = "5YJ3E1EA7KF000316"
CODECS = load_codecs(body_dbc_text(), "body.dbc")
CLIENT, VEHICLE = vcp.Identity.from_seed(b"client"), vcp.Identity.from_seed(b"vehicle")
SHARED = vcp.shared_key(CLIENT, VEHICLE.public)
NAME = bytes(range(16))
INFO = vcp.SessionInfo(7, VEHICLE.public, bytes(16), 12)
BENCHES = sorted(Path(load_bench.__code__.co_filename).parent.rglob("*.toml"))
SLOW_S = 1.0

TEXT_PIECES = st.sampled_from(
    ["", '"', "{", "}", "[", "]", ":", ",", "null", "true", "-1", "1e400", "99999999999999999999999", "NaN", "[[a]]",
     "=", "\n", "\x00", "\ud800", "é", "0x", "'''", "8", "|", "@"]
)  # fmt: skip
TEXT_MUTATIONS = st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 12), TEXT_PIECES), max_size=5)


def spoilt(text: str, mutations: list[tuple[int, int, str]]) -> str:
    """`text` with pieces exchanged."""
    for place, count, new in mutations:
        at = place % (len(text) + 1)
        text = text[:at] + new + text[at + count :]
    return text


def quickly(act: Callable[[], object], *allowed: type[Exception]) -> None:
    """Runs it; of errors only those allowed, and no longer than a second."""
    begun = time.process_time()
    said = "nothing"
    try:
        act()
    except allowed as error:
        said = str(error)
    assert said, "an error names place and mend"
    assert time.process_time() - begun < SLOW_S


# -- body CAN --------------------------------------------------------------------------------------


@effort(150)
@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=8))
def test_frames_of_any_length(name: str, data: bytes) -> None:
    codec = CODECS[name]
    try:
        values = codec.decode(data)
    except DbcError:
        assert len(data) < codec.length
        return
    assert all(
        codec.signal(key).minimum <= value <= codec.signal(key).maximum for key, value in values.items()
    )


@effort(100)
@given(st.lists(st.tuples(MUTATIONS, st.integers(0, 700_000), st.integers(0, 4)), max_size=20))
def test_e2e_takes_only_frames_as_they_were_sent(frames: list[tuple[tuple[Mutation, ...], int, int]]) -> None:
    sender, receiver = Sender(0x1E0), Receiver(0x1E0)
    now = 0
    for mutations, gap_us, lost in frames:
        now += gap_us
        sender.skip(lost)
        frame = sender.protect(b"\x00\x00\x01" + bytes(5))
        data = mutated(frame, mutations)
        taken = receiver.accept(now, data)
        assert not taken or len(data) == 8
        # A burst of up to 8 bits is always found by a CRC-8.
        if taken and sum(a != b for a, b in zip(frame, data, strict=True)) == 1:
            raise AssertionError("one damaged byte went unnoticed")


class Carrier:
    """Two ISO-TP endpoints and a wire that a model of a hostile peer writes on as well."""

    def __init__(self) -> None:
        self.ends = (Endpoint(1, 2), Endpoint(2, 1, 1025))
        self.now = 0
        self.arrived: list[bytes] = []

    def exchange(self, most: int = 2000) -> None:
        """Carries frames until nobody has any."""
        for _ in range(most):
            busy = False
            for side in (0, 1):
                source, sink = self.ends[side], self.ends[1 - side]
                frames, source.out = source.out, []
                for frame in frames:
                    busy = True
                    self.now += 270
                    self.take(1 - side, sink.receive(self.now, frame))
            if not busy:
                return
        raise AssertionError("frames without end")

    def take(self, side: int, payload: bytes | None) -> None:
        """Something arrived whole."""
        assert payload is None or 1 <= len(payload) <= LONGEST
        assert payload is None or side == 0 or len(payload) <= 1025
        if payload is not None:
            self.arrived.append(payload)

    def settle(self) -> None:
        """Lets all time-outs run off."""
        self.exchange()
        for _ in range(5_000):
            due = [end.deadline_us for end in self.ends if end.deadline_us is not None]
            if not due:
                break
            assert min(due) <= self.now + max(N_BS_US, N_CR_US)
            self.now = max(self.now, min(due))
            for end in self.ends:
                if end.deadline_us is not None and end.deadline_us <= self.now:
                    end.tick(self.now)
            self.exchange()
        assert not any(end.busy for end in self.ends), "a transfer that never ends"


PCI = st.sampled_from(
    [0x00, 0x01, 0x07, 0x08, 0x10, 0x11, 0x14, 0x1F, 0x20, 0x21, 0x22, 0x2F, 0x30, 0x31, 0x32, 0x40]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 1), st.integers(1, LONGEST)),
        st.tuples(st.just("frame"), st.integers(0, 1), st.tuples(PCI, st.binary(max_size=7))),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 500_000, 1_000_001]), st.none()),
        st.tuples(st.just("carry"), st.none(), st.none()),
    ),
    max_size=30,
)


@effort(100)
@given(STEPS)
def test_a_hostile_peer_between_two_endpoints(steps: list[tuple[str, int, object]]) -> None:
    carrier = Carrier()
    for what, side, value in steps:
        if what == "send" and isinstance(value, int):
            carrier.ends[side].send(carrier.now, bytes(value))
        elif what == "frame" and isinstance(value, tuple):
            carrier.take(side, carrier.ends[side].receive(carrier.now, bytes((value[0],)) + value[1]))
        elif what == "wait":
            carrier.now += side
            for end in carrier.ends:
                if end.deadline_us is not None and end.deadline_us <= carrier.now:
                    end.tick(carrier.now)
        else:
            carrier.exchange()
    for end in carrier.ends:
        assert len(end.out) <= 40 * 600
    carrier.settle()
    # What the enemy broke is over: the next payload arrives.
    carrier.ends[0].send(carrier.now, b"next" * 100)
    carrier.arrived.clear()
    carrier.exchange()
    assert carrier.arrived == [b"next" * 100]


# -- vehicle-command protocol ----------------------------------------------------------------------


def _genuine() -> dict[str, bytes]:
    common = {
        "identity": CLIENT,
        "vehicle_public": VEHICLE.public,
        "vin": VIN,
        "epoch": bytes(16),
        "counter": 3,
    }
    out = {
        "handshake": vcp.build_handshake(CLIENT, NAME, NAME),
        "info": vcp.build_session_info(SHARED, vin=VIN, info=INFO, routing=NAME, uuid=NAME, fault=0),
        "answer": vcp.build_response(
            routing=NAME, uuid=NAME, seal=vcp.Seal(SHARED, VIN, bytes(17), 1, bytes(12)), payload=vcp.EXECUTED
        ),
        "push": vcp.build_push(vcp.status_payload(vcp.VehicleStatus(vcp.LOCKED))),
    }
    for channel in ("bluetooth", "cloud"):
        command = vcp.build_command(
            channel=channel, expires_at=20, routing=NAME, uuid=NAME, nonce=bytes(12), action=vcp.UNLOCK,
            **common,  # type: ignore[arg-type]
        )  # fmt: skip
        out[channel] = command.message
    return out


GENUINE = _genuine()


def _read_all(data: bytes) -> None:
    """Everything that either side does with a message."""
    message = vcp.parse(data)
    vcp.handshake_key(message)
    vcp.is_push(message)
    vcp.is_command(data)
    command = vcp.signed(message)
    steps: list[Callable[[], object]] = [
        lambda: vcp.return_address(data, of_answer=True),
        lambda: vcp.return_address(data, of_answer=False),
        lambda: vcp.read_session_info(CLIENT, VIN, NAME, message),
        lambda: vcp.read_response(SHARED, VIN, bytes(17), message),
        lambda: vcp.parse_payload(message.protobuf_message_as_bytes),
        lambda: vcp.parse_status(message.protobuf_message_as_bytes),
        lambda: vcp.parse_session_info(message.session_info),
    ]
    if command is not None:
        steps.append(lambda: vcp.parse_payload(vcp.open_command(SHARED, VIN, bytes(16), command)))
        steps.append(lambda: vcp.shared_key(VEHICLE, command.public))
    for step in steps:
        quickly(step, vcp.VcpError)


@effort(400)
@given(st.sampled_from(sorted(GENUINE)), MUTATIONS)
def test_damaged_messages(kind: str, mutations: tuple[Mutation, ...]) -> None:
    quickly(lambda: _read_all(mutated(GENUINE[kind], mutations)), vcp.VcpError)


@effort(150)
@given(st.sampled_from(["bluetooth", "cloud"]), MUTATIONS)
def test_what_opens_is_what_was_signed(channel: str, mutations: tuple[Mutation, ...]) -> None:
    genuine = vcp.signed(vcp.parse(GENUINE[channel]))
    assert genuine is not None
    try:
        command = vcp.signed(vcp.parse(mutated(GENUINE[channel], mutations)))
        if command is None or command.sig_type != genuine.sig_type:
            return
        content = vcp.open_command(SHARED, VIN, bytes(16), command)
    except vcp.VcpError:
        return
    assert vcp.parse_payload(content) == vcp.UNLOCK
    # The epoch that it names is not what it was signed for: whoever opens it compares.
    assert (command.counter, command.expires_at) == (3, 20)


# -- reader and card -------------------------------------------------------------------------------


@effort(150)
@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda body, mutations: mutated(pn532.frame(pn532.READER_TO_HOST, body), mutations),
                st.binary(min_size=1, max_size=264),
                MUTATIONS,
            ),
            st.binary(max_size=40),
            st.sampled_from([pn532.ACK, pn532.NACK, pn532.ERROR, pn532.WAKE_UP]),
        ),
        max_size=20,
    )
)
def test_damaged_reader_frames(bursts: list[bytes]) -> None:
    decoder = pn532.Decoder()
    for burst in bursts:
        decoder.feed(burst)
        assert len(decoder._buffer) <= 2 * pn532.LONGEST, "what is half read is bounded"
    # However it stands, a time-out mends it.
    decoder.reset()
    assert decoder.feed(pn532.frame(pn532.READER_TO_HOST, b"\x4b\x00")) == [
        pn532.Frame(pn532.READER_TO_HOST, b"\x4b\x00")
    ]


APDUS = st.sampled_from(
    [
        keycard.select_apdu(keycard.AID),
        keycard.public_key_apdu(),
        keycard.authenticate_apdu(VEHICLE.public, bytes(16)),
    ]
)


@effort(150)
@given(st.lists(st.tuples(APDUS, MUTATIONS), max_size=8), st.integers(0, 100))
def test_damaged_apdus(apdus: list[tuple[bytes, tuple[Mutation, ...]]], seed: int) -> None:
    card = Card(keycard.CardKey.from_seed(b"card"))
    for apdu, mutations in apdus:
        data = mutated(apdu, mutations)
        assert len(card.respond(data, random.Random(seed))) >= 2
        assert card.delay_us(data) > 0


BLOCKS = st.builds(
    lambda pcb, body, mutations: mutated(bytes((pcb,)) + body, mutations),
    st.sampled_from([0xE0, 0x02, 0x03, 0x12, 0x13, 0xA2, 0xA3, 0xB2, 0xB3, 0xC2, 0xF2, 0x0A]),
    APDUS | st.sampled_from([b"", b"\x80", b"\x01"]) | st.binary(max_size=300),
    MUTATIONS,
)


@effort(200)
@given(st.lists(BLOCKS, max_size=25), st.booleans())
def test_damaged_blocks(blocks: list[bytes], activated: bool) -> None:
    protocol = BlockProtocol(Card(keycard.CardKey.from_seed(b"card")), random.Random(1))
    if activated:
        blocks = [b"\xe0\x80", *blocks]
    for block in blocks:
        reply = protocol.receive(block)
        if reply is not None:
            after_us, give = reply
            assert 0 < after_us < 300_000
            assert len(give()) <= 256
        assert len(protocol._in) <= 261, "a chain without end is not remembered"


# -- texts -----------------------------------------------------------------------------------------


@effort(150)
@given(st.integers(0, 40), TEXT_MUTATIONS)
def test_damaged_scenarios(number: int, mutations: list[tuple[int, int, str]]) -> None:
    text = spoilt(scenario(number).to_json(), mutations)

    def read() -> None:
        one = Scenario.from_json(text, "file.json")
        check_faults(one)
        check_attacks(one)
        assert Scenario.from_json(one.to_json()) == one

    quickly(read, ScenarioError)


@pytest.mark.parametrize("bench", BENCHES, ids=lambda path: path.stem)
def test_damaged_benches(bench: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    genuine = bench.read_text()

    @effort(60)
    @given(TEXT_MUTATIONS)
    def loads(mutations: list[tuple[int, int, str]]) -> None:
        file.write_bytes(spoilt(genuine, mutations).encode(errors="surrogatepass"))
        quickly(lambda: load_bench(str(file)), BenchError)

    loads()


@effort(25)
@given(TEXT_MUTATIONS)
def test_damaged_dbc_files(mutations: list[tuple[int, int, str]]) -> None:
    quickly(lambda: load_codecs(spoilt(body_dbc_text(), mutations), "bench.dbc"), DbcError)


SLCAN_LINES = st.builds(
    lambda can_id, data, mutations: mutated(encode_frame(can_id, data), mutations),
    st.integers(0, 0x7FF),
    st.binary(max_size=8),
    MUTATIONS,
)


@effort(150)
@given(
    st.lists(
        SLCAN_LINES | st.sampled_from([b"O\r", b"C\r", b"S6\r", b"V\r", b"\r", b"\x07", b"z\r"]), max_size=20
    )
)
def test_damaged_slcan_lines(lines: list[bytes]) -> None:
    heard: list[tuple[int, bytes]] = []
    adapter = SlcanAdapter(lambda can_id, data: heard.append((can_id, data)), lambda _open: None)
    host = SlcanHost(lambda can_id, data: heard.append((can_id, data)))
    for line in lines:
        adapter.feed(line)
        host.feed(line)
    assert all(0 <= can_id <= 0x7FF and len(data) <= 8 for can_id, data in heard)


def test_a_chain_of_blocks_without_end_is_forgotten() -> None:
    protocol = BlockProtocol(Card(keycard.CardKey.from_seed(b"card")), random.Random(1))
    assert protocol.receive(b"\xe0\x80") is not None
    protocol.receive(b"\xe0\x80")[1]()  # type: ignore[index]
    for number in range(100):
        reply = protocol.receive(bytes((0x12 | number & 1,)) + bytes(200))
        if reply is not None:
            reply[1]()
        assert len(protocol._in) <= 261
