"""What the fuzz tests of the whole ECU draw, and how it is put on the lines.

Everything drawn here is malformed, or genuine from a key that may open nothing: a healthy ECU moves no lock.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from rig.protocol import pn532, vcp
from rig.protocol.e2e import check_crc
from tests.ecu.conftest import Car, Phone

TIMES = int(os.environ.get("RIG_FUZZ", "1"))
"""How many times as long the fuzz tests look: `RIG_FUZZ=100 pytest tests/fuzz`."""
E2E_THAT_MOVES = (0x1B0, 0x1E0)
"""A valid frame of these is obeyed by right (SEC-1), so none is sent."""
CHANNEL_OF = {0x2A0: "cloud", 0x2B0: "bluetooth"}
OF_THE_ECU = frozenset((0x1A0, 0x2A8, 0x2B8))
VALID_LINE = re.compile(r"(V [0-9]+|[FA] (FL|FR|RL|RR) [LUX01])")
"""Of the I/O lines, those that would tell the ECU something that is not so."""


def effort(examples: int) -> settings:
    """Bounded by default; no deadline per example, since machines differ: what hangs is measured in CPU time."""
    return settings(
        max_examples=examples * TIMES, deadline=None, suppress_health_check=list(HealthCheck),
        # The usual run is the same everywhere; a longer one tries others, and a failure prints how to repeat it.
        derandomize=TIMES == 1, print_blob=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """One CAN frame."""

    can_id: int
    data: bytes

    def send(self, noise: Noise) -> None:
        """Puts it on the bus."""
        data = self.data
        if self.can_id in E2E_THAT_MOVES and check_crc(self.can_id, data):
            data = bytes((data[0] ^ 1,)) + data[1:]
        channel = CHANNEL_OF.get(self.can_id)
        if channel is None:
            noise.car.raw(self.can_id, data)
        else:
            noise.car.port(channel)._node.send(self.can_id, data)


@dataclass(frozen=True, slots=True)
class Payload:
    """One whole ISO-TP payload."""

    channel: str
    data: bytes

    def send(self, noise: Noise) -> None:
        """Begins its transfer."""
        noise.car.port(self.channel).send(self.data)


Mutation = tuple[int, int, bytes]
"""Where (modulo the length), how many bytes go, what comes in their place."""


def mutated(data: bytes, mutations: tuple[Mutation, ...]) -> bytes:
    """`data` after some mutations; may come out as it was."""
    out = bytearray(data)
    for place, count, new in mutations:
        at = place % (len(out) + 1)
        out[at : at + count] = new
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Message:
    """A genuine message of a key that may open nothing, damaged anywhere."""

    channel: str
    handle: int
    handshake: bool
    mutations: tuple[Mutation, ...]

    def send(self, noise: Noise) -> None:
        """Begins its transfer."""
        phone = noise.monitor
        if self.handshake or phone.session is None:
            uuid = phone._name()
            message = vcp.build_handshake(phone.key, routing=uuid, uuid=uuid)
        else:
            message = phone.build(vcp.UNLOCK, self.channel).message
        noise.car.port(self.channel).send(bytes((self.handle,)) + mutated(message, self.mutations))


@dataclass(frozen=True, slots=True)
class Authentic:
    """An authentic command of the owner with any content that asks for no movement."""

    channel: str
    payload: bytes
    flags: int

    def send(self, noise: Noise) -> None:
        """Begins its transfer."""
        phone = noise.owner
        if phone.session is None or _moves(self.payload):
            return
        try:
            command = phone.build(None, self.channel, payload=self.payload, flags=self.flags)
        except vcp.VcpError:
            return
        noise.car.port(self.channel).send(b"\x00" + command.message)


def _moves(payload: bytes) -> bool:
    try:
        return isinstance(vcp.parse_payload(payload), int)
    except vcp.VcpError:
        return False


@dataclass(frozen=True, slots=True)
class Serial:
    """Bytes from the reader."""

    data: bytes

    def send(self, noise: Noise) -> None:
        """Writes them, as the reader would."""
        noise.car.edges.reader.write(self.data)


@dataclass(frozen=True, slots=True)
class Line:
    """A line on the I/O line, or on the console."""

    text: str
    console: bool

    def send(self, noise: Noise) -> None:
        """Writes it."""
        edges = noise.car.edges
        if self.console:
            edges.console.write(self.text)
        elif VALID_LINE.fullmatch(self.text) is None:
            edges.io.write(self.text)


Input = Frame | Payload | Message | Authentic | Serial | Line


@dataclass(slots=True)
class Noise:
    """Puts inputs on the lines of one car."""

    car: Car
    monitor: Phone
    owner: Phone


_CHANNELS = st.sampled_from(["bluetooth", "cloud"])
_PCI = st.sampled_from([0x00, 0x02, 0x07, 0x08, 0x0F, 0x10, 0x11, 0x14, 0x1F, 0x20, 0x21, 0x22, 0x2F, 0x30, 0x31,
                        0x32, 0x33, 0x40, 0xF0])  # fmt: skip
_TRANSPORT = st.builds(lambda pci, rest: bytes((pci,)) + rest, _PCI, st.binary(max_size=7))
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 4), st.binary(max_size=4)), max_size=4
).map(tuple)  # fmt: skip
_WHITELIST = st.builds(
    lambda kind, public, role, cut: vcp.whitelist_payload(vcp.WhitelistChange(kind, public, role))[:cut],
    st.sampled_from(["add", "remove", "change"]),
    st.binary(max_size=70) | st.binary(min_size=64, max_size=64).map(lambda tail: b"\x04" + tail),
    st.sampled_from([0, 1, 2, 3, 8]),
    st.sampled_from([None, 3, 20]),
)
_READER_PAYLOAD = st.builds(
    lambda code, rest: bytes((code,)) + rest,
    st.sampled_from([0x03, 0x13, 0x15, 0x33, 0x41, 0x4B, 0x53]) | st.integers(0, 255),
    st.binary(max_size=30) | st.just(b"\x01\x01\x03\x44\x20\x07" + bytes(7) + b"\x05\x78\x80\x80\x00"),
)
_READER_FRAME = st.builds(lambda payload: pn532.frame(pn532.READER_TO_HOST, payload), _READER_PAYLOAD)
_TOKENS = st.sampled_from(["F", "A", "H", "V", "M", "FL", "RR", "XX", "L", "U", "X", "0", "1", "-1", "9e9", "²",
                           "12600", "99999999999999999999", "", "\x00", "é"])  # fmt: skip

INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.builds(
        Frame,
        st.sampled_from([0x1B0, 0x1C0, 0x1D0, 0x1E0, 0x500, 0x50F, 0x7A0, 0x7DF])
        | st.integers(0, 0x7FF).filter(lambda i: i not in OF_THE_ECU),
        st.binary(max_size=8),
    ),
    st.builds(Frame, st.sampled_from([0x2A0, 0x2B0]), _TRANSPORT | st.binary(max_size=8)),
    st.builds(
        Payload,
        _CHANNELS,
        st.binary(min_size=1, max_size=40)
        | st.integers(41, 4095).map(lambda count: (bytes(range(256)) * 16)[:count])
        | st.sampled_from([1025, 1026, 4095]).map(bytes)
        | st.sampled_from([b"\x80", b"\x83", b"\xc0", b"\x06"]),
    ),
    st.builds(Message, _CHANNELS, st.sampled_from([0, 1, 2, 3, 0x7F, 0xFE, 0xFF]), st.booleans(), MUTATIONS),
    st.builds(Authentic, _CHANNELS, st.binary(max_size=60) | _WHITELIST, st.sampled_from([0, 1, 2, 0xFFFF_FFFF])),
    st.builds(Serial, st.binary(min_size=1, max_size=40) | _READER_FRAME | st.just(pn532.ACK) | st.just(pn532.ERROR)),
    st.builds(
        lambda frame, mutations: Serial(mutated(frame, mutations) or b"\x00"), _READER_FRAME, MUTATIONS
    ),
    st.builds(Line, st.lists(_TOKENS, max_size=4).map(" ".join) | st.text(max_size=30), st.booleans()),
)  # fmt: skip
GAPS_US = st.sampled_from([0, 0, 1, 130, 270, 2_000, 20_000, 150_000, 1_100_000])
TRAINS = st.lists(st.tuples(INPUTS, GAPS_US), min_size=1, max_size=25)
