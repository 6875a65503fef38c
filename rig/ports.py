"""What the world plugs into: the lines of a bench, as protocols.

Says *what* a CAN bus, a serial line and a text line can do, and knows nothing of how
(`rig.sim` simulates them, `hardware` drives real ones) or where (a bench file).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

CanReceiver = Callable[[int, bytes], None]
"""Called with (CAN identifier, payload) when a frame has arrived completely."""


class Unsupported(Exception):
    """This bench or fidelity cannot make the fault or reach the state asked for.

    Becomes a skip with its reason, never a silent pass.
    """


class CanNode(Protocol):
    """One sender on the bus."""

    def send(self, can_id: int, data: bytes) -> None:
        """Queues one classic frame (11-bit identifier, at most 8 bytes) for transmission."""


class CanBus(Protocol):
    """The body CAN as the rig's side sees it."""

    def node(self, name: str, receive: CanReceiver, ids: frozenset[int] | None) -> CanNode:
        """Adds a node that hears frames of others whose identifier is in `ids` (None: all)."""

    def set_dut_bus_off(self, off: bool) -> None:
        """Takes the DUT's CAN controller off the bus, or lets it back on.

        Raises:
            Unsupported: this bus cannot do that.
        """

    def set_flood(self, on: bool) -> None:
        """Fills the bus with log frames 0x500..0x50F, or stops doing so.

        Raises:
            Unsupported: this bus has no arbitration or bit rate of its own.
        """

    def set_babble(self, on: bool) -> None:
        """Fills the bus with an identifier below all others, so that nobody else gets it, or stops doing so.

        Raises:
            Unsupported: this bus has no arbitration or bit rate of its own.
        """

    @property
    def quiet(self) -> bool:
        """True if no frame is pending or under way (always False where that cannot be known)."""


class SerialLine(Protocol):
    """One end of a byte line."""

    def write(self, data: bytes) -> None:
        """Queues bytes for sending."""

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        """Sets who is told of each burst of bytes that arrives."""


class TextLine(Protocol):
    """One end of a line that carries one short ASCII message a line (without the newline)."""

    def write(self, line: str) -> None:
        """Queues one message."""

    def on_line(self, receive: Callable[[str], None]) -> None:
        """Sets who is told of each message that arrives."""


class Edges(Protocol):
    """All lines of one DUT, from the rig's side, and what only an in-process DUT can tell."""

    @property
    def bus(self) -> CanBus: ...

    @property
    def reader(self) -> SerialLine: ...

    @property
    def io(self) -> TextLine: ...

    @property
    def console(self) -> TextLine: ...

    @property
    def capabilities(self) -> frozenset[str]:
        """Names such as "can.bus_off", "can.flood", "power.dip", "idle.skip"."""

    def watch_memory(self, told: Callable[[], bool]) -> None:
        """Has `told` called before each write to the DUT's non-volatile memory; True: its supply is cut there.

        Raises:
            Unsupported: nobody can see into this DUT.
        """

    def set_random_stuck(self, stuck: bool) -> None:
        """Has the DUT's random source give the same over and over, or work again.

        Raises:
            Unsupported: nobody can see into this DUT.
        """

    def dut_quiet_until(self) -> int | None:
        """The time in µs until which the DUT will do nothing but its idle cycles; None: unknown or busy."""

    def dut_idle_at(self, us: int) -> bool:
        """Whether no idle cycle of a quiet in-process DUT will be in the middle of its work at that time."""

    def dut_skip(self, delta_us: int) -> None:
        """Tells an in-process DUT that `delta_us` (whole tenths of a second) of idle cycles are skipped."""
