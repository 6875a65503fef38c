"""The PN532's host link on a serial line (HSU): frames to bytes and back, for both sides.

Knows nothing of commands or cards; resynchronises on whatever a broken line delivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

HOST_TO_READER: Final = 0xD4
"""TFI of a frame from the host (UM0701-02, 6.2.1.1)."""
READER_TO_HOST: Final = 0xD5
"""TFI of a frame from the PN532 (UM0701-02, 6.2.1.1)."""
ACK: Final = bytes.fromhex("0000ff00ff00")
"""ACK frame (UM0701-02, 6.2.1.3)."""
NACK: Final = bytes.fromhex("0000ffff0000")
"""NACK frame, host to PN532 only (UM0701-02, 6.2.1.4)."""
ERROR: Final = bytes.fromhex("0000ff01ff7f8100")
"""Application-level error frame (UM0701-02, 6.2.1.5)."""
WAKE_UP: Final = bytes.fromhex("5555000000000000000000000000000000")
"""Wakes a PN532 in low-power mode; it drops a byte or more while it wakes (UM0701-02, 7.2.11)."""
LONGEST: Final = 265
"""TFI plus at most 264 bytes of data in an extended frame (UM0701-02, 6.2.1.2)."""

# Commands (UM0701-02, 7.1).
DIAGNOSE: Final = 0x00
GET_FIRMWARE_VERSION: Final = 0x02
READ_REGISTER: Final = 0x06
WRITE_REGISTER: Final = 0x08
SET_SERIAL_BAUD_RATE: Final = 0x10
SET_PARAMETERS: Final = 0x12
SAM_CONFIGURATION: Final = 0x14
POWER_DOWN: Final = 0x16
RF_CONFIGURATION: Final = 0x32
IN_DATA_EXCHANGE: Final = 0x40
IN_COMMUNICATE_THRU: Final = 0x42
IN_LIST_PASSIVE_TARGET: Final = 0x4A
IN_RELEASE: Final = 0x52

# Status bytes of InDataExchange and its like (UM0701-02, 7.1, error table).
STATUS_OK: Final = 0x00
STATUS_TIMEOUT: Final = 0x01
STATUS_CRC: Final = 0x02
STATUS_WRONG_CONTEXT: Final = 0x27


@dataclass(frozen=True, slots=True)
class Ack:
    """The other side took the last frame."""


@dataclass(frozen=True, slots=True)
class Nack:
    """The host wants the last frame again."""


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """The PN532 saw an error at application level (unknown command, wrong parameters)."""


@dataclass(frozen=True, slots=True)
class Wakeup:
    """One or more 0x55 outside a frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A normal or extended information frame; `payload` is what follows the TFI."""

    tfi: int
    payload: bytes


Event = Ack | Nack | Frame | ErrorFrame | Wakeup


def frame(tfi: int, payload: bytes) -> bytes:
    """Builds an information frame, extended if it needs to be (UM0701-02, 6.2.1.1 and 6.2.1.2).

    Args:
        tfi: HOST_TO_READER or READER_TO_HOST.
        payload: command or response code and its parameters, 1..264 bytes.

    Raises:
        ValueError: the payload is empty or too long.
    """
    length = len(payload) + 1
    if not 2 <= length <= LONGEST:
        raise ValueError(f"PN532: a frame carries 1..{LONGEST - 1} bytes, not {len(payload)}")
    if length <= 0xFF:
        head = bytes((0, 0, 0xFF, length, -length & 0xFF, tfi))
    else:
        high, low = length >> 8, length & 0xFF
        head = bytes((0, 0, 0xFF, 0xFF, 0xFF, high, low, -(high + low) & 0xFF, tfi))
    return head + payload + bytes((-(tfi + sum(payload)) & 0xFF, 0))


OFTEN = 24
"""Bytes up to which a burst is worth remembering; longer ones carry challenges and never come again."""


@lru_cache(maxsize=1024)
def _whole(data: bytes) -> tuple[Event, ...] | None:
    """What a burst says that follows a postamble and ends with one; None if it leaves anything half read."""
    decoder = Decoder()
    decoder._buffer += b"\x00"
    events = decoder._read(data)
    settled = decoder._buffer == b"\x00" and not decoder._woken and not decoder.errors
    return tuple(events) if settled else None


class Decoder:
    """Finds frames in a byte stream, in any chunking, and gets over garbage."""

    __slots__ = ("_buffer", "_woken", "errors")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._woken = False
        self.errors = 0
        """Start codes that turned out not to begin a valid frame."""

    def reset(self) -> None:
        """Drops a partial frame (a host does so when its time-out runs off)."""
        self._buffer.clear()
        self._woken = False

    def feed(self, data: bytes) -> list[Event]:
        """Takes bytes in; gives what they complete, oldest first. Never raises."""
        buffer = self._buffer
        if len(data) <= OFTEN and buffer == b"\x00" and not self._woken:
            # Polls of an empty field are the same few frames over and over.
            whole = _whole(data)
            if whole is not None:
                return list(whole)
        return self._read(data)

    def _read(self, data: bytes) -> list[Event]:
        buffer = self._buffer
        buffer += data
        events: list[Event] = []
        while True:
            start = buffer.find(b"\x00\xff")
            if start < 0:
                # The last byte may be the first of a start code.
                end = len(buffer) - 1 if buffer.endswith(b"\x00") else len(buffer)
                self._drop(end, events)
                return events
            self._drop(start, events)
            used = self._one(events)
            if used == 0:
                return events
            if used > 0:
                self._woken = False
                del buffer[:used]
            else:
                # Not a frame: the next start code may lie inside it, so only this one is passed over.
                self.errors += 1
                del buffer[:1]

    def _drop(self, count: int, events: list[Event]) -> None:
        """Passes over bytes before a start code: preambles, postambles, wake-ups, garbage."""
        if count <= 0:
            return
        if not self._woken and 0x55 in self._buffer[:count]:
            # Once a wake-up, however the line cut it up.
            self._woken = True
            events.append(Wakeup())
        del self._buffer[:count]

    def _one(self, events: list[Event]) -> int:
        """Reads the frame whose start code is at 0: bytes used, 0 if more are needed, -1 if it is none."""
        buffer = self._buffer
        if len(buffer) < 4:
            return 0
        length, check = buffer[2], buffer[3]
        if length == 0 and check == 0xFF:
            events.append(Ack())
            return 4
        if length == 0xFF and check == 0:
            events.append(Nack())
            return 4
        first = 4
        if length == 0xFF and check == 0xFF:
            if len(buffer) < 7:
                return 0
            length = buffer[4] << 8 | buffer[5]
            if sum(buffer[4:7]) & 0xFF or length > LONGEST:
                return -1
            first = 7
        elif length + check & 0xFF:
            return -1
        if length == 0:
            return -1
        end = first + length + 1
        if len(buffer) < end:
            return 0
        if sum(buffer[first:end]) & 0xFF:
            return -1
        tfi = buffer[first]
        if length == 1:
            if tfi != 0x7F:
                return -1
            events.append(ErrorFrame())
        else:
            events.append(Frame(tfi, bytes(buffer[first + 1 : end - 1])))
        return end
