"""A simulated serial line with byte times, two ends.

Implements `rig.ports.SerialLine` on a kernel; knows nothing of what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.kernel import Kernel

BITS_PER_BYTE = 10
"""8N1: start bit, 8 data bits, stop bit."""

Tamper = Callable[[bytes], bytes]
"""What the line makes of a burst; shorter or empty: bytes are lost."""


class UartEnd:
    """One end of a `SimUart`.

    Attributes:
        tamper: if set, what is written here arrives as it says, at the same time.
    """

    __slots__ = ("tamper", "_line", "_peer", "_receive", "_free_us")

    def __init__(self, line: SimUart) -> None:
        self.tamper: Tamper | None = None
        self._line = line
        self._peer: UartEnd = self
        self._receive: Callable[[bytes], None] | None = None
        self._free_us = 0

    def write(self, data: bytes) -> None:
        """Sends one burst, behind what was written before; it arrives whole, with its last byte."""
        if not data:
            return
        line = self._line
        kernel = line._kernel
        start = max(self._free_us, kernel.now)
        self._free_us = end = start + -(-len(data) * BITS_PER_BYTE * 1_000_000 // line.baud)
        tamper = self.tamper
        if tamper is not None:
            data = tamper(data)
        kernel.at(end, self._peer._arrive, data)

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        """Sets who is told of each burst that arrives here; without anybody they are lost."""
        self._receive = receive

    def _arrive(self, data: bytes) -> None:
        if data and self._receive is not None:
            self._receive(data)


class SimUart:
    """A full-duplex line between `a` and `b`.

    Attributes:
        a, b: its ends.
        baud: bit/s, of both ends; a change holds for what is written afterwards.
    """

    __slots__ = ("a", "b", "baud", "_kernel")

    def __init__(self, kernel: Kernel, baud: int = 115_200) -> None:
        self._kernel = kernel
        self.baud = baud
        self.a = UartEnd(self)
        self.b = UartEnd(self)
        self.a._peer, self.b._peer = self.b, self.a

    @property
    def idle(self) -> bool:
        """True if no byte is under way in either direction."""
        return max(self.a._free_us, self.b._free_us) <= self._kernel.now
