"""AUTOSAR E2E Profile 1, variant 1A: CRC-8 and alive counter of protected CAN frames.

Pure and sans-I/O; knows nothing of which frames there are or what they carry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

POLYNOMIAL: Final = 0x1D
"""CRC-8 SAE J1850 polynomial (AUTOSAR CRC library, 7.2.1); start value and final xor are 0 in profile 1."""
COUNTERS: Final = 15
"""The alive counter runs 0..14; 15 is the invalid value (AUTOSAR E2E library, profile 1)."""
LARGEST_STEP: Final = 3
"""A counter step of 1..3 is accepted (vehicle.md section 1)."""
RESTART_US: Final = 500_000
"""After this long without a valid frame any counter is accepted again (vehicle.md section 1)."""
LENGTH: Final = 8


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1 ^ POLYNOMIAL) & 0xFF if value & 0x80 else value << 1
        table.append(value)
    return tuple(table)


_TABLE: Final = _crc_table()


def crc8(data: bytes) -> int:
    """CRC-8 with polynomial 0x1D, start 0x00, no final xor.

    Source: AUTOSAR E2E profile 1 (the library's 0xFF start and final xor cancel out by its call order).
    """
    table = _TABLE
    crc = 0
    for byte in data:
        crc = table[crc ^ byte]
    return crc


@lru_cache(maxsize=1 << 16)
def protect(data_id: int, payload: bytes, counter: int) -> bytes:
    """Gives the protected form of a payload.

    Args:
        data_id: 16-bit data id; on the body CAN it is the CAN identifier (vehicle.md section 1).
        payload: 8 bytes; byte 0 and the low nibble of byte 1 are replaced.
        counter: alive counter 0..14.

    Raises:
        ValueError: the payload has not 8 bytes, or a number is out of range.
    """
    if len(payload) != LENGTH or not 0 <= counter < COUNTERS or not 0 <= data_id <= 0xFFFF:
        raise ValueError(
            f"E2E profile 1: needs 8 bytes, a counter 0..14 and a 16-bit data id,"
            f" not {len(payload)} bytes, counter {counter}, data id {data_id:#x}"
        )
    # Variant 1A puts both bytes of the data id, low byte first, before the data.
    body = bytes((payload[1] & 0xF0 | counter,)) + payload[2:]
    return bytes((crc8(bytes((data_id & 0xFF, data_id >> 8)) + body),)) + body


@lru_cache(maxsize=1 << 16)
def check_crc(data_id: int, data: bytes) -> bool:
    """Whether a frame has 8 bytes, the right CRC for `data_id` and a counter that is not the invalid 15."""
    return (
        len(data) == LENGTH
        and data[1] & 0x0F < COUNTERS
        and crc8(bytes((data_id & 0xFF, data_id >> 8)) + data[1:]) == data[0]
    )


class Sender:
    """Protects the frames of one data id with an advancing alive counter."""

    __slots__ = ("counter", "data_id")

    def __init__(self, data_id: int) -> None:
        self.data_id = data_id
        self.counter = COUNTERS - 1
        """Counter of the last frame; the first frame after start has 0."""

    def protect(self, payload: bytes) -> bytes:
        """The next frame: 8 bytes with the counter one on."""
        counter = self.counter = (self.counter + 1) % COUNTERS
        return protect(self.data_id, payload, counter)

    def repeat(self, payload: bytes) -> bytes:
        """A frame with the last frame's counter (the extra LockStatus of vehicle.md section 1)."""
        return protect(self.data_id, payload, self.counter)

    def skip(self, frames: int) -> None:
        """Advances the counter as if `frames` frames had been sent."""
        self.counter = (self.counter + frames) % COUNTERS


class Receiver:
    """Judges the frames of one data id: CRC right and counter step 1..3, or nothing valid for 500 ms.

    Source: vehicle.md section 1. A frame that fails changes nothing, so that a forged or repeated
    counter cannot move the window.
    """

    __slots__ = ("_counter", "data_id", "last_valid_us")

    def __init__(self, data_id: int) -> None:
        self.data_id = data_id
        self.last_valid_us: int | None = None
        """When the last valid frame came, in µs; None: none since boot."""
        self._counter = 0

    def accept(self, now_us: int, data: bytes) -> bool:
        """Whether the frame that arrived at `now_us` is valid; never raises, whatever the bytes."""
        if not check_crc(self.data_id, data):
            return False
        counter = data[1] & 0x0F
        last_us = self.last_valid_us
        if (
            last_us is not None
            and now_us - last_us < RESTART_US
            and not 1 <= (counter - self._counter) % COUNTERS <= LARGEST_STEP
        ):
            return False
        self._counter = counter
        self.last_valid_us = now_us
        return True

    def skip(self, frames: int, delta_us: int) -> None:
        """Moves on as if `frames` valid frames had come in the next `delta_us`."""
        self._counter = (self._counter + frames) % COUNTERS
        if self.last_valid_us is not None:
            self.last_valid_us += delta_us

    def reset(self) -> None:
        """Forgets everything, as a boot does."""
        self.last_valid_us = None
        self._counter = 0
