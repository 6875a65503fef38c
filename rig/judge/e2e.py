"""E2E Profile 1 as the judge checks it, with code of its own: it shares none with what it judges."""

from __future__ import annotations

COUNTERS = 15
"""The alive counter runs from 0 to 14."""


def crc8(data_id: int, data: bytes) -> int:
    """E2E Profile 1 CRC (AUTOSAR PRS_E2EProtocol 6.3: polynomial 0x1D, start 0x00, no final xor)."""
    crc = 0
    for byte in (data_id & 0xFF, data_id >> 8, *data[1:]):
        crc = _TABLE[crc ^ byte]
    return crc


def intact(data_id: int, data: bytes) -> bool:
    """Whether a frame has its length, its CRC, and a counter that exists."""
    return len(data) == 8 and data[1] & 0x0F < COUNTERS and crc8(data_id, data) == data[0]


def _table() -> tuple[int, ...]:
    out = []
    for value in range(256):
        for _ in range(8):
            value = ((value << 1) ^ 0x1D) & 0xFF if value & 0x80 else value << 1
        out.append(value)
    return tuple(out)


_TABLE = _table()
