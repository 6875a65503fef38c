"""What phone and module agree on: names, UUIDs, how messages are framed and written.

Knows neither Bumble's devices nor the world.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum

from bumble.core import UUID

SERVICE = UUID("00000211-b2d1-43f0-9b88-960cebf8b91e")
WRITE = UUID("00000212-b2d1-43f0-9b88-960cebf8b91e")
NOTIFY = UUID("00000213-b2d1-43f0-9b88-960cebf8b91e")
CCCD = UUID.from_16_bits(0x2902)
SHORT_CHUNK = 18
"""What clients write without response, whatever the MTU (vehicle.md section 2)."""
ATT_OVERHEAD = 3
MOST_MTU = 517
"""The largest that a value of 512 bytes can use (Core, vol 3 part F 3.2.9)."""


def local_name(vin: str) -> str:
    """The name that the module of a vehicle tells in its scan response."""
    return f"S{hashlib.sha1(vin.encode()).digest()[:8].hex()}C"  # noqa: S324  # a name, as published


class Style(Enum):
    """How a client writes a message."""

    LONG = "long"
    """One long write, of prepared parts, whatever its length."""
    CHUNKS = "chunks"
    """Chunks of MTU - 3 bytes, each acknowledged."""
    SHORT = "short"
    """Chunks of 18 bytes (20 at the smallest MTU's most), none acknowledged."""


@dataclass(slots=True)
class Collector:
    """Puts messages together from chunks, by the two bytes of length in front."""

    _buffer: bytearray = field(default_factory=bytearray)

    def add(self, chunk: bytes) -> list[bytes]:
        """Takes a chunk; the messages that it completes."""
        buffer = self._buffer
        buffer += chunk
        messages = []
        while len(buffer) >= 2:
            end = 2 + int.from_bytes(buffer[:2], "big")
            if len(buffer) < end:
                break
            messages.append(bytes(buffer[2:end]))
            del buffer[:end]
        return messages


def framed(message: bytes) -> bytes:
    """A message with its length in front."""
    return len(message).to_bytes(2, "big") + message


def pieces(data: bytes, size: int) -> list[bytes]:
    """Data in chunks of at most so many bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]
