"""A cycle that is longer than what is skipped at a time: it counts how many of its turns fell into the gap."""

from __future__ import annotations

from collections.abc import Callable

from rig.kernel import Handle, Kernel
from rig.protocol.e2e import Sender


class SlowCycle:
    """Calls `turn` every `period_us`, as idle work of the kernel; `sender` is whose counter a skipped turn advances."""

    def __init__(self, kernel: Kernel, period_us: int, turn: Callable[[], None], sender: Sender) -> None:
        self._kernel = kernel
        self._period_us = period_us
        self._turn = turn
        self._sender = sender
        self._due_us = 0
        self._handle: Handle | None = None

    def start(self) -> None:
        """The first turn comes after one period."""
        self._arm(self._kernel.now + self._period_us)

    def skip(self, delta_us: int) -> None:
        """Goes on as if a gap that begins now had been lived through; the kernel's cyclic events are moved already."""
        end_us = self._kernel.now + delta_us
        # One that is due at the very end of the gap is not part of it.
        turns = -(-(end_us - self._due_us) // self._period_us) if self._due_us < end_us else 0
        self._sender.skip(turns)
        if self._handle is not None:
            self._kernel.cancel(self._handle)
        self._arm(self._due_us + turns * self._period_us)

    def _arm(self, due_us: int) -> None:
        self._due_us = due_us
        self._handle = self._kernel.cyclic(due_us, self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._turn()
        self._arm(self._kernel.now + self._period_us)
