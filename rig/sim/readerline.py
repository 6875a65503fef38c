"""The rig's end of the serial line to the DUT, and what befalls the bytes on it.

While nothing is wrong bytes pass straight through. Knows nothing of what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rig.kernel import Kernel
from rig.ports import SerialLine

BOTH, TO_DUT, FROM_DUT = 0, 1, 2
Pieces = list[tuple[int, bytes]]
"""What becomes of a burst: bytes, each after so many µs."""


@dataclass(frozen=True, slots=True, eq=False)
class Trouble:
    """One thing that befalls bursts.

    Attributes:
        kind: cut, garble, truncate, stall, double, baud.
        way: in which direction.
        value: every so-and-so-manieth byte of a burst (garble), bytes lost at its end (truncate), ms (stall).
        mask: which bits of a byte are turned (garble).
    """

    kind: str
    way: int = BOTH
    value: int = 0
    mask: int = 0

    def apply(self, data: bytes) -> Pieces:
        """What becomes of one burst."""
        match self.kind:
            case "garble":
                turned = bytes(b ^ self.mask if (n + 1) % self.value == 0 else b for n, b in enumerate(data))
                return [(0, turned)]
            case "truncate":
                return [(0, data[: -self.value])]
            case "stall":
                half = len(data) // 2
                return [(0, data[:half]), (self.value * 1000, data[half:])]
            case "double":
                return [(0, data), (0, data)]
            case "baud":
                # Sampled at half the rate two bits make one, and every second start bit is missed.
                return [(0, bytes(b * 0x5B & 0xFF ^ 0xA7 for b in data[::2]))]
            case _:
                return []


class ReaderLine:
    """A serial line (implements `rig.ports.SerialLine`) that troubles can be put on.

    Args:
        kernel: the clock and queue.
        line: the rig's end of the line.
        unsettled: told when troubles begin or end.
    """

    __slots__ = ("_free_us", "_kernel", "_line", "_receive", "_troubles", "_unsettled", "write")

    def __init__(self, kernel: Kernel, line: SerialLine, unsettled: Callable[[], None]) -> None:
        self._kernel = kernel
        self._line = line
        self._unsettled = unsettled
        self._troubles: list[Trouble] = []
        self._receive: Callable[[bytes], None] = _nobody
        self._free_us = [0, 0]
        self.write: Callable[[bytes], None] = line.write

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        """Sets who is told of each burst of bytes that arrives."""
        self._receive = receive
        self._arm()

    def trouble(self, trouble: Trouble) -> Callable[[], None]:
        """Puts one trouble on the line; the function returned takes it off."""
        self._troubles.append(trouble)
        self._arm()
        self._unsettled()

        def end() -> None:
            if trouble in self._troubles:
                self._troubles.remove(trouble)
                self._arm()
                self._unsettled()

        return end

    def _arm(self) -> None:
        self.write = self._write if self._troubles else self._line.write
        self._line.on_bytes(self._hear if self._troubles else self._receive)

    def _write(self, data: bytes) -> None:
        self._carry(TO_DUT, self._line.write, data)

    def _hear(self, data: bytes) -> None:
        self._carry(FROM_DUT, self._receive, data)

    def _carry(self, way: int, to: Callable[[bytes], None], data: bytes) -> None:
        pieces: Pieces = [(0, data)]
        # Of two spells of one kind the later counts: a bit that is turned twice would be right again.
        for trouble in {t.kind: t for t in self._troubles if t.way in (BOTH, way)}.values():
            pieces = [(t + more, hit) for t, d in pieces for more, hit in trouble.apply(d)]
        now, free = self._kernel.now, self._free_us
        for after_us, piece in pieces:
            if not piece:
                continue
            # What comes later on the line does not overtake what is held up.
            free[way - 1] = at = max(free[way - 1], now + after_us)
            if at > now:
                self._kernel.at(at, to, piece)
            else:
                to(piece)


def _nobody(_data: bytes) -> None:
    """Nobody listens yet."""
