"""Message codecs compiled from a DBC file: raw integers to payload bytes and back, by shifting.

cantools reads the file, once; nothing of it is on the path of a frame. Knows nothing of a bus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import cantools.database
from cantools.database.can import Database
from cantools.database.can.message import Message
from cantools.database.can.signal import Signal


class DbcError(ValueError):
    """A DBC file that cannot be used, or values that do not fit a message; the text says the mend."""


@dataclass(frozen=True, slots=True)
class SignalCodec:
    """One signal: where its bits are and what they mean."""

    name: str
    shift: int
    length: int
    signed: bool
    big_endian: bool
    scale: float
    offset: float
    unit: str
    choices: Mapping[int, str]

    @property
    def minimum(self) -> int:
        """Smallest raw value."""
        return -(1 << self.length - 1) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest raw value."""
        return (1 << self.length - (1 if self.signed else 0)) - 1


@dataclass(frozen=True, slots=True)
class MessageCodec:
    """One message; encodes and decodes raw values (physical = raw * scale + offset)."""

    name: str
    can_id: int
    length: int
    signals: tuple[SignalCodec, ...]
    cycle_ms: int | None = None
    comment: str = ""
    _fields: Mapping[str, tuple[int, int, int, int, bool]] = field(repr=False, default_factory=dict)
    _unsigned_little: tuple[tuple[str, int, int], ...] | None = field(repr=False, default=None)

    def encode(self, values: Mapping[str, int]) -> bytes:
        """Packs raw values; signals not named are 0.

        Raises:
            DbcError: there is no such signal, or a value is out of range.
        """
        fields = self._fields
        little = big = 0
        try:
            for name, value in values.items():
                shift, minimum, maximum, mask, is_big = fields[name]
                if not minimum <= value <= maximum:
                    raise DbcError(
                        f"message {self.name}: {name} = {value} is out of range;"
                        f" it takes {minimum} to {maximum}"
                    )
                if is_big:
                    big |= (value & mask) << shift
                else:
                    little |= (value & mask) << shift
        except KeyError as error:
            raise DbcError(
                f"message {self.name}: there is no signal {error}; it has {', '.join(fields)}"
            ) from None
        data = little.to_bytes(self.length, "little")
        if not big:
            return data
        return (int.from_bytes(data, "big") | big).to_bytes(self.length, "big")

    def decode(self, data: bytes) -> dict[str, int]:
        """Unpacks raw values.

        Raises:
            DbcError: the payload is shorter than the message.
        """
        if len(data) < self.length:
            raise DbcError(f"message {self.name}: has {self.length} bytes, the payload {len(data)}")
        if len(data) > self.length:
            data = data[: self.length]
        little = int.from_bytes(data, "little")
        plain = self._unsigned_little
        if plain is not None:
            return {name: little >> shift & mask for name, shift, mask in plain}
        big = int.from_bytes(data, "big")
        values = {}
        for name, (shift, _minimum, maximum, mask, is_big) in self._fields.items():
            value = (big if is_big else little) >> shift & mask
            values[name] = value if value <= maximum else value - mask - 1
        return values

    def signal(self, name: str) -> SignalCodec:
        """The signal called `name`.

        Raises:
            DbcError: there is none.
        """
        for signal in self.signals:
            if signal.name == name:
                return signal
        raise DbcError(f"message {self.name}: there is no signal {name!r}; it has {', '.join(self._fields)}")


class Codecs(Mapping[str, MessageCodec]):
    """All messages of a DBC file, by name."""

    __slots__ = ("_by_id", "_by_name", "source")

    def __init__(self, messages: Mapping[str, MessageCodec], source: str) -> None:
        self.source = source
        self._by_name = dict(messages)
        self._by_id = {message.can_id: message for message in messages.values()}

    def __getitem__(self, name: str) -> MessageCodec:
        try:
            return self._by_name[name]
        except KeyError:
            raise DbcError(
                f"{self.source}: there is no message {name!r}; it has {', '.join(self._by_name)}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def by_id(self, can_id: int) -> MessageCodec | None:
        """The message with that CAN identifier, or None."""
        return self._by_id.get(can_id)


@lru_cache(maxsize=64)
def load_codecs(dbc_text: str, source: str) -> Codecs:
    """Compiles the messages of a DBC file.

    Args:
        dbc_text: its text.
        source: its name, for error messages.

    Raises:
        DbcError: the text is no DBC, or uses what body CAN frames here do not have (extended
            identifiers, multiplexing, float signals, more than 8 bytes).
    """
    try:
        database = cantools.database.load_string(dbc_text, "dbc", strict=True)
    except Exception as error:  # cantools and its parser raise a dozen kinds, all meaning the same
        line = re.search(r"line (\d+)", str(error))
        place = f"{source}:{line.group(1)}" if line else source
        raise DbcError(
            f"{place}: not a usable DBC file ({error}); mend it there or export it again"
        ) from error
    if not isinstance(database, Database):
        raise DbcError(f"{source}: not a CAN database; export it as DBC")
    return Codecs({message.name: _compile(message, source) for message in database.messages}, source)


def _compile(message: Message, source: str) -> MessageCodec:
    where = f"{source}: message {message.name}"
    if message.is_extended_frame:
        raise DbcError(f"{where}: has a 29-bit identifier; the body CAN has 11-bit identifiers only")
    if not 0 <= message.length <= 8:
        raise DbcError(f"{where}: has {message.length} bytes; classic CAN carries 8")
    if message.is_multiplexed():
        raise DbcError(f"{where}: is multiplexed; give each layout an identifier of its own")
    signals = tuple(_compile_signal(signal, message.length, where) for signal in message.signals)
    fields = {
        signal.name: (
            signal.shift,
            signal.minimum,
            signal.maximum,
            (1 << signal.length) - 1,
            signal.big_endian,
        )
        for signal in signals
    }
    plain = all(not signal.signed and not signal.big_endian for signal in signals)
    return MessageCodec(
        message.name,
        message.frame_id,
        message.length,
        signals,
        message.cycle_time or None,
        message.comment or "",
        fields,
        tuple((signal.name, signal.shift, (1 << signal.length) - 1) for signal in signals) if plain else None,
    )


def _compile_signal(signal: Signal, length: int, where: str) -> SignalCodec:
    if signal.is_float:
        raise DbcError(f"{where}: signal {signal.name} is a float; use a scaled integer")
    big = signal.byte_order == "big_endian"
    if big:
        # A Motorola start bit names the most significant bit; count from the payload's last bit.
        from_start = (signal.start // 8) * 8 + 7 - signal.start % 8
        shift = length * 8 - from_start - signal.length
    else:
        shift = signal.start
    choices = {int(number): str(name) for number, name in (signal.choices or {}).items()}
    return SignalCodec(
        signal.name,
        shift,
        signal.length,
        signal.is_signed,
        big,
        float(signal.scale),
        float(signal.offset),
        signal.unit or "",
        choices,
    )
