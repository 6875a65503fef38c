"""Binds an emulated ECU to a kernel and to the lines of a bench: in process, or in a process of its own.

Knows ports and deadlines; nothing of what the ECU does.
"""

from __future__ import annotations

from collections.abc import Callable

from hardware.ecu.ecu import FAR_US, Ecu, Output
from rig.kernel import Handle, Kernel
from rig.ports import CanNode, SerialLine, TextLine


class EcuOnKernel:
    """Feeds an ECU, carries its outputs to the ports, and keeps one kernel event at its deadline.

    Args:
        kernel: gives the time.
        ecu: the ECU.
        reader: its end of the reader line.
        io: its end of the I/O line.
        console: where log lines go.
    """

    def __init__(
        self,
        kernel: Kernel,
        ecu: Ecu,
        reader: SerialLine,
        io: TextLine,
        console: Callable[[str], None],
    ) -> None:
        self.ecu = ecu
        self._kernel = kernel
        self._reader = reader
        self._io = io
        self._console = console
        self._can: CanNode | None = None
        self._armed_us = FAR_US
        self._armed_cyclic = False
        self._handle: Handle | None = None
        reader.on_bytes(self.uart_rx)
        io.on_line(self.io_rx)

    def connect_can(self, node: CanNode) -> None:
        """Gives it its place on the bus; `can_rx`, `bus_off` and `flood` are to be called by it."""
        self._can = node

    def can_rx(self, can_id: int, data: bytes) -> None:
        """A frame arrived."""
        self.ecu.can_rx(self._kernel.now, can_id, data)
        self._after()

    def bus_off(self, off: bool) -> None:
        """The controller left the bus, or came back."""
        self.ecu.can_state(self._kernel.now, off)
        self._after()

    def flood(self, period_us: int | None) -> None:
        """Log frames fill the bus, or no longer."""
        self.ecu.flood(self._kernel.now, period_us)
        self._after()

    def uart_rx(self, data: bytes) -> None:
        """Bytes arrived from the reader."""
        self.ecu.uart_rx(self._kernel.now, data)
        self._after()

    def io_rx(self, line: str) -> None:
        """A message arrived on the I/O line."""
        self.ecu.io_rx(self._kernel.now, line)
        self._after()

    def quiet(self) -> int | None:
        """See `Ecu.quiet`."""
        return self.ecu.quiet()

    def idle_at(self, us: int) -> bool:
        """See `Ecu.idle_at`."""
        return self.ecu.idle_at(us)

    def skip(self, delta_us: int) -> None:
        """Idle cycles are skipped; the caller moves the kernel's cyclic events."""
        self.ecu.skip(self._kernel.now, delta_us)
        if self._armed_cyclic and self._handle is not None:
            self._armed_us += delta_us
        self._after()

    def _tick(self) -> None:
        self._handle = None
        self._armed_us = FAR_US
        self.ecu.tick(self._kernel.now)
        self._after()

    def _carry(self, out: list[Output]) -> None:
        for output in out:
            if len(output) == 3:
                if self._can is not None:
                    self._can.send(output[1], output[2])
                continue
            kind, content = output
            if isinstance(content, bytes):
                self._reader.write(content)
            elif kind == "io":
                self._io.write(content)
            else:
                self._console(content)
        out.clear()

    def _after(self) -> None:
        ecu = self.ecu
        out = ecu.out
        if out:
            self._carry(out)
        alarm = ecu.alarm()
        if alarm == self._armed_us and ecu.alarm_is_cyclic == self._armed_cyclic:
            return
        if self._handle is not None:
            self._kernel.cancel(self._handle)
            self._handle = None
        self._armed_us = alarm
        if alarm == FAR_US:
            return
        self._armed_cyclic = ecu.alarm_is_cyclic
        arm = self._kernel.cyclic if self._armed_cyclic else self._kernel.at
        self._handle = arm(alarm, self._tick)
