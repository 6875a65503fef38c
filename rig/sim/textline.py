"""A simulated text line: one short message a line, with a small fixed delay.

Implements `rig.ports.TextLine` on a kernel; stands for wires, so it has no bit rate and keeps the order.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.kernel import Kernel

DELAY_US = 100
"""Sampling a digital input and filtering it; also keeps cause and effect apart in a trace."""


class TextEnd:
    """One end of a `SimText`."""

    __slots__ = ("_line", "_peer", "_receive")

    def __init__(self, line: SimText) -> None:
        self._line = line
        self._peer: TextEnd = self
        self._receive: Callable[[str], None] | None = None

    def write(self, line: str) -> None:
        """Sends one message."""
        link = self._line
        link._under_way += 1
        link._kernel.after(link._delay_us, self._peer._arrive, line)

    def on_line(self, receive: Callable[[str], None]) -> None:
        """Sets who is told of each message that arrives here; without anybody they are lost."""
        self._receive = receive

    def _arrive(self, line: str) -> None:
        self._line._under_way -= 1
        if self._receive is not None:
            self._receive(line)


class SimText:
    """A text line between `a` and `b`."""

    __slots__ = ("a", "b", "_kernel", "_delay_us", "_under_way")

    def __init__(self, kernel: Kernel, delay_us: int = DELAY_US) -> None:
        self._kernel = kernel
        self._delay_us = delay_us
        self._under_way = 0
        self.a = TextEnd(self)
        self.b = TextEnd(self)
        self.a._peer, self.b._peer = self.b, self.a

    @property
    def idle(self) -> bool:
        """True if no message is under way."""
        return not self._under_way
