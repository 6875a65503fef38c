"""The slcan (LAWICEL ASCII) language of low-cost USB-CAN adapters, both ends, sans-I/O.

Bytes go in, bytes and frames come out; knows nothing of terminals, loops, clocks or what the frames mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

ACK = b"\r"
NAK = b"\a"
"""LAWICEL CAN232 manual, chapter 2: CR confirms a command, BELL refuses it."""

BITRATE_CODES: dict[int, str] = {
    10_000: "S0",
    20_000: "S1",
    50_000: "S2",
    100_000: "S3",
    125_000: "S4",
    250_000: "S5",
    500_000: "S6",
    800_000: "S7",
    1_000_000: "S8",
}
"""LAWICEL CAN232 manual, command Sn."""

MAX_LINE = 64
"""The longest command is T with 8 bytes: 26 characters; what is longer is noise."""

_HEX = frozenset(b"0123456789abcdefABCDEF")


def encode_frame(can_id: int, data: bytes) -> bytes:
    """The `t` line of one classic frame with an 11-bit identifier, CR included.

    Raises:
        ValueError: the identifier is over 0x7FF or there are more than 8 bytes.
    """
    if not 0 <= can_id <= 0x7FF:
        raise ValueError(f"CAN identifier 0x{can_id:X} has more than 11 bits; the body CAN has none such")
    if len(data) > 8:
        raise ValueError(f"{len(data)} bytes do not fit a classic CAN frame of at most 8")
    return b"t%03X%d%s\r" % (can_id, len(data), data.hex().upper().encode())


def decode_frame(line: bytes) -> tuple[int, bytes] | None:
    """Identifier and payload of a `t` line (without CR); None if it is not exactly one.

    Strict on purpose: length, digits and DLC must fit, so that a garbled line never becomes a frame. A time
    stamp of four digits at the end (LAWICEL command Z1) is allowed.
    """
    if len(line) < 5 or line[0] != 0x74 or not 0x30 <= line[4] <= 0x38:
        return None
    end = 5 + 2 * (line[4] - 0x30)
    if len(line) not in (end, end + 4) or not _HEX.issuperset(line[1:]):
        return None
    can_id = int(line[1:4], 16)
    if can_id > 0x7FF:
        return None
    return can_id, bytes.fromhex(line[5:end].decode())


class SlcanAdapter:
    """The adapter's side: what the emulated ECU puts at the end of its CAN pseudo-terminal.

    Commands are those that slcand, python-can's `slcan` and this project's own port send: S, s, O, L, C, t,
    T, r, R, F, V, v, N, Z, M, m, X, W, U. The channel begins closed, as after a power-up of the adapter.

    Args:
        on_frame: told of each classic data frame that the host sends on the open channel.
        on_open: told when the channel opens (True) and closes (False). Closed = off the bus.
        serial_number: the four characters that N answers.
    """

    def __init__(
        self,
        on_frame: Callable[[int, bytes], None],
        on_open: Callable[[bool], None],
        serial_number: str = "URIG",
    ) -> None:
        self._on_frame = on_frame
        self._on_open = on_open
        self._serial_number = serial_number.encode("ascii")[:4].ljust(4, b"0")
        self._buffer = bytearray()
        self._bitrate_set = False
        self._listen_only = False
        self._timestamps = False
        self.is_open = False
        self.refused = 0
        """Commands answered with NAK so far."""
        self.foreign_frames = 0
        """Extended and remote frames accepted for the bus, which no body ECU listens to."""

    def feed(self, data: bytes) -> bytes:
        """Takes bytes from the host and returns the answers to the commands they complete."""
        self._buffer += data
        answers = bytearray()
        while (end := self._buffer.find(b"\r")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            # Hosts end commands with LF too, or ring BEL to clear the line: neither is part of a command.
            answer = self._command(line.lstrip(b"\n\a"))
            if answer == NAK:
                self.refused += 1
            answers += answer
        if len(self._buffer) > MAX_LINE:
            # Only noise gets here. Forgetting it keeps memory bounded; the next CR will be refused.
            del self._buffer[:-1]
        return bytes(answers)

    def transmit(self, can_id: int, data: bytes) -> bytes:
        """The line that tells the host of a frame from the bus; nothing while the channel is closed."""
        if not self.is_open:
            return b""
        line = encode_frame(can_id, data)
        return line[:-1] + b"0000\r" if self._timestamps else line

    def _command(self, line: bytes) -> bytes:
        if not line:
            return ACK
        kind, rest = chr(line[0]), line[1:]
        if kind == "t":
            frame = decode_frame(line)
            if frame is None or not self._may_send() or len(rest) != 4 + 2 * len(frame[1]):
                return NAK
            self._on_frame(*frame)
            return b"z\r"
        if kind in "TrR":
            return self._foreign(kind, rest)
        if kind in "SsOLC":
            return self._channel(kind, rest)
        if kind in "ZMmXWU":
            # Time stamps, acceptance filter, auto poll and UART speed: only Z changes what we send.
            if not _HEX.issuperset(rest) or not rest:
                return NAK
            if kind == "Z":
                self._timestamps = rest != b"0"
            return ACK
        if rest:
            return NAK
        if kind == "F":
            return b"F00\r" if self.is_open else NAK
        if kind == "V":
            return b"V1013\r"
        if kind == "v":
            return b"v1013\r"
        if kind == "N":
            return b"N" + self._serial_number + b"\r"
        return NAK

    def _may_send(self) -> bool:
        return self.is_open and not self._listen_only

    def _foreign(self, kind: str, rest: bytes) -> bytes:
        digits = 3 if kind == "r" else 8
        if len(rest) <= digits or not _HEX.issuperset(rest) or not 0x30 <= rest[digits] <= 0x38:
            return NAK
        payload = 2 * (rest[digits] - 0x30) if kind == "T" else 0
        limit = 0x7FF if kind == "r" else 0x1FFFFFFF
        if len(rest) != digits + 1 + payload or int(rest[:digits], 16) > limit or not self._may_send():
            return NAK
        self.foreign_frames += 1
        return b"z\r" if kind == "r" else b"Z\r"

    def _channel(self, kind: str, rest: bytes) -> bytes:
        if kind == "S":
            if self.is_open or len(rest) != 1 or not 0x30 <= rest[0] <= 0x39:
                return NAK
            self._bitrate_set = True
            return ACK
        if kind == "s":
            if self.is_open or len(rest) not in (4, 6) or not _HEX.issuperset(rest):
                return NAK
            self._bitrate_set = True
            return ACK
        if rest:
            return NAK
        if kind == "C":
            if not self.is_open:
                return NAK
            self.is_open = False
            self._on_open(False)
            return ACK
        if self.is_open or not self._bitrate_set:
            return NAK
        self.is_open = True
        self._listen_only = kind == "L"
        self._on_open(True)
        return ACK


class SlcanHost:
    """The host's side: commands out, frames and answers in, every command matched to its answer.

    Adapters answer in order, with frames from the bus in between; python-can's `slcan` throws the answers
    away and so cannot tell a refused frame from a sent one.

    Args:
        on_frame: told of each classic data frame that the adapter reports.
    """

    def __init__(self, on_frame: Callable[[int, bytes], None]) -> None:
        self._on_frame = on_frame
        self._buffer = bytearray()
        self._pending: deque[str] = deque()
        self.acked = 0
        self.refused: list[str] = []
        """Commands that the adapter refused, oldest first (at most 100 are kept)."""
        self.garbled = 0
        """Lines that were neither frame nor answer."""

    @property
    def pending(self) -> int:
        """Commands whose answer has not come yet."""
        return len(self._pending)

    def command(self, text: str) -> bytes:
        """The bytes of one command, whose answer is awaited from now on."""
        self._pending.append(text)
        return text.encode("ascii") + b"\r"

    def frame(self, can_id: int, data: bytes) -> bytes:
        """The bytes that send one classic frame.

        Raises:
            ValueError: see `encode_frame`.
        """
        line = encode_frame(can_id, data)
        self._pending.append("t")
        return line

    def reset(self) -> None:
        """Forgets pending answers and half lines, as after a flush of the line."""
        self._buffer.clear()
        self._pending.clear()

    def feed(self, data: bytes) -> None:
        """Takes bytes from the adapter."""
        buffer = self._buffer
        buffer += data
        start = 0
        for index, byte in enumerate(buffer):
            if byte == 0x0D:
                self._line(bytes(buffer[start:index]))
                start = index + 1
            elif byte == 0x07:
                self._answer(refused=True)
                start = index + 1
        if start:
            del buffer[:start]
        if len(buffer) > MAX_LINE:
            self.garbled += 1
            buffer.clear()

    def _line(self, line: bytes) -> None:
        if line[:1] == b"t":
            frame = decode_frame(line)
            if frame is None:
                self.garbled += 1
            else:
                self._on_frame(*frame)
        elif line in (b"", b"z", b"Z") or line[:1] in (b"V", b"v", b"N", b"F"):
            self._answer(refused=False)
        elif line[:1] not in (b"T", b"r", b"R"):
            self.garbled += 1

    def _answer(self, *, refused: bool) -> None:
        command = self._pending.popleft() if self._pending else "?"
        if not refused:
            self.acked += 1
        elif len(self.refused) < 100:
            self.refused.append(command)
