"""Non-volatile memory: two slots, what is kept in them, and how it survives a power cut at any instant.

Knows nothing of what the keys are used for.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

SLOT_BYTES = 4096
MAX_KEYS = 19
MAX_CARDS = 19
POINT_BYTES = 65

_MAGIC = b"ULR1"
_HEAD = struct.Struct(">4sIH")  # magic, generation, length of the body
_BODY = struct.Struct(">IBIBB")  # boot count, flags, counter floor, number of keys, number of cards
_KEY = struct.Struct(">65sBBI")  # public key, role, enabled, last counter
_CRC = struct.Struct(">I")
_RELOCK_BAN = 0x01
_RELOCK_DUE = 0x02


class PowerCut(Exception):
    """The supply went away in the middle of a write; what was written so far stays."""


class MemoryPort(Protocol):
    """Two slots of at most `SLOT_BYTES`; a write replaces a slot from its beginning and may be cut short."""

    def read(self, slot: int) -> bytes:
        """What slot 0 or 1 holds, damaged or not."""

    def write(self, slot: int, data: bytes) -> None:
        """Replaces the beginning of slot 0 or 1.

        Raises:
            PowerCut: the supply went away half-way.
        """


Memory = MemoryPort


class RamMemory:
    """Memory for the in-process ECU and for tests.

    Args:
        image: what both slots hold at first.
        cut_after: the supply goes away after so many written bytes (counted over all writes); None: never.
    """

    def __init__(self, image: bytes = b"", cut_after: int | None = None) -> None:
        self.slots = [image, image]
        self.cut_after = cut_after
        self.written = 0

    def read(self, slot: int) -> bytes:
        return self.slots[slot]

    def write(self, slot: int, data: bytes) -> None:
        left = self.cut_after
        if left is not None:
            if left < len(data):
                self.cut_after = None
                self.written += left
                self.slots[slot] = data[:left] + self.slots[slot][left:]
                raise PowerCut
            self.cut_after = left - len(data)
        self.written += len(data)
        self.slots[slot] = data


class FileMemory:
    """Both slots in one file, for the ECU as a process of its own.

    Args:
        path: the file; made if it is not there.
        image: what a new file's slots hold.
    """

    def __init__(self, path: Path, image: bytes) -> None:
        self._path = path
        if not path.exists():
            slot = image.ljust(SLOT_BYTES, b"\xff")
            path.write_bytes(slot + slot)

    def read(self, slot: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(slot * SLOT_BYTES)
            return file.read(SLOT_BYTES)

    def write(self, slot: int, data: bytes) -> None:
        if len(data) > SLOT_BYTES:
            raise ValueError(f"{self._path}: {len(data)} bytes do not fit a slot of {SLOT_BYTES}")
        with self._path.open("r+b") as file:
            file.seek(slot * SLOT_BYTES)
            file.write(data)


@dataclass(slots=True)
class KeyRecord:
    """One enrolled key.

    Attributes:
        public: uncompressed P-256 point, 65 bytes.
        role: number of `Keys.Role`.
        enabled: False: enrolled but refused with INACTIVE_KEY.
        counter: the last command counter taken, on either channel.
    """

    public: bytes
    role: int
    enabled: bool = True
    counter: int = 0


@dataclass(slots=True)
class Image:
    """All that outlives a reset.

    Attributes:
        boot_count: completed power-ups.
        keys: at most `MAX_KEYS`.
        cards: public keys of enrolled cards.
        counter_floor: a newly added key's counter starts here, so that a key which was removed and comes back
            finds none of its old commands valid again.
        relock_ban: a crash unlocked the doors; no relock until the next lock.
        relock_due: a credential unlocked the doors and no door was opened since.
        extra: room for what diagnostics will keep (tries, DTCs); carried along unread.
    """

    boot_count: int = 0
    keys: list[KeyRecord] = field(default_factory=list)
    cards: list[bytes] = field(default_factory=list)
    counter_floor: int = 0
    relock_ban: bool = False
    relock_due: bool = False
    extra: bytes = b""

    def find(self, public: bytes) -> KeyRecord | None:
        """The record of a public key, if it is enrolled."""
        for key in self.keys:
            if key.public == public:
                return key
        return None


def encode_image(image: Image, generation: int) -> bytes:
    """The bytes of a slot: head, body, CRC-32."""
    flags = (_RELOCK_BAN if image.relock_ban else 0) | (_RELOCK_DUE if image.relock_due else 0)
    parts = [_BODY.pack(image.boot_count, flags, image.counter_floor, len(image.keys), len(image.cards))]
    parts.extend(_KEY.pack(k.public, k.role, k.enabled, k.counter) for k in image.keys)
    parts.extend(image.cards)
    parts.append(image.extra)
    body = b"".join(parts)
    data = _HEAD.pack(_MAGIC, generation, len(body)) + body
    if len(data) + _CRC.size > SLOT_BYTES:
        raise ValueError(f"memory image of {len(data)} bytes does not fit a slot of {SLOT_BYTES}")
    return data + _CRC.pack(zlib.crc32(data))


_KeyRow = tuple[bytes, int, bool, int]
_Rows = tuple[int, int, bool, bool, int, tuple[_KeyRow, ...], tuple[bytes, ...], bytes]


@lru_cache(maxsize=64)
def _rows(data: bytes) -> _Rows | None:
    """The immutable content of a slot, None if it is damaged. Cached: every power-up reads the same bytes."""
    if len(data) < _HEAD.size or data[:4] != _MAGIC:
        return None
    _, generation, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if length < _BODY.size or len(data) < end + _CRC.size:
        return None
    if _CRC.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        return None
    boot_count, flags, floor, n_keys, n_cards = _BODY.unpack_from(data, _HEAD.size)
    at = _HEAD.size + _BODY.size
    if at + n_keys * _KEY.size + n_cards * POINT_BYTES > end or n_keys > MAX_KEYS:
        return None
    keys: list[_KeyRow] = []
    for _ in range(n_keys):
        public, role, enabled, counter = _KEY.unpack_from(data, at)
        keys.append((public, role, bool(enabled), counter))
        at += _KEY.size
    cards: list[bytes] = []
    for _ in range(n_cards):
        cards.append(data[at : at + POINT_BYTES])
        at += POINT_BYTES
    ban, due = bool(flags & _RELOCK_BAN), bool(flags & _RELOCK_DUE)
    return generation, boot_count, ban, due, floor, tuple(keys), tuple(cards), data[at:end]


def decode_image(data: bytes) -> tuple[int, Image] | None:
    """(generation, image) of a slot's bytes, or None if they are damaged."""
    rows = _rows(data)
    if rows is None:
        return None
    generation, boot_count, ban, due, floor, keys, cards, extra = rows
    return generation, Image(boot_count, [KeyRecord(*k) for k in keys], list(cards), floor, ban, due, extra)


class Store:
    """The image in use, and how changes become lasting.

    A commit first replaces the older slot, then mirrors it into the other one. So at any instant at least one
    slot is whole, and once a commit has returned both hold it: a slot that goes bad later brings no revoked
    key back.

    Attributes:
        image: what is in force; change it, then `commit`.
        damaged: neither slot could be read: there are no keys then, and nothing is written over what is left.
        repaired: one slot was damaged at start (a cut in a write) and was restored from the other.
    """

    def __init__(self, memory: MemoryPort) -> None:
        self._memory = memory
        slots = [decode_image(memory.read(0)), decode_image(memory.read(1))]
        whole = [s for s in slots if s is not None]
        self.damaged = not whole
        self.repaired = len(whole) == 1
        self._generation = 0
        self._first = 0
        self.image = Image()
        if whole:
            self._generation, self.image = max(whole, key=lambda s: s[0])
            # The slot that is damaged or older is written first.
            newest = slots.index((self._generation, self.image)) if len(whole) == 2 else slots.index(whole[0])
            self._first = 1 - newest

    def commit(self) -> None:
        """Makes the image lasting.

        Raises:
            PowerCut: the supply went away; after the next start either the old or the new image is in force.
        """
        if self.damaged:
            return
        data = encode_image(self.image, self._generation + 1)
        self._memory.write(self._first, data)
        self._memory.write(1 - self._first, data)
        self._generation += 1
