"""The emulated door-lock ECU as its harness sees it: five kinds of input, outputs, one deadline.

Holds what is there without power: wires, memory, the configuration. Its RAM is a `Core`, made at every
power-up and dropped below 6.5 V. Knows nothing of kernels and ports.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from hardware.dbc import body_dbc_text
from hardware.ecu.config import DOORS, EcuConfig
from hardware.ecu.core import Core, Parts, Pins, Restart, Shared
from hardware.ecu.cpu import CAN, FAR_US, UART, WIRE, Output
from hardware.ecu.memory import MemoryPort, PowerCut
from hardware.ecu.supply import GOOD_FROM_MV, OFF_BELOW_MV
from rig.protocol.dbc import load_codecs

__all__ = ["FAR_US", "Ecu", "EcuConfig", "Output"]

LONGEST_LINE = 16


@lru_cache(maxsize=1)
def _shared() -> Shared:
    return Shared(load_codecs(body_dbc_text(), "hardware/dbc/body.dbc"))


IDLE_PERIOD_US = 100_000
"""What is skipped is whole periods of the frames that both sides send; the reader poll keeps its own grid."""


class Ecu:
    """The device under test, emulated.

    After every call the host takes everything out of `out` and calls `tick` at `deadline`.

    Args:
        config: VIN and identity.
        memory: what survives power-off.
        random: gives so many fresh random bytes.
        parts: how it is built; defects replace one part.

    Attributes:
        out: ("can", id, data), ("uart", bytes), ("io", line), ("log", line), oldest first.
        alarm_is_cyclic: what `deadline_is_cyclic` was at the last `alarm`.
    """

    def __init__(
        self,
        config: EcuConfig,
        memory: MemoryPort,
        random: Callable[[int], bytes],
        parts: Parts | None = None,
    ) -> None:
        self.out: list[Output] = []
        self._config = config
        self._memory = memory
        self._random = random
        self._parts = parts or Parts()
        self._pins = Pins()
        self._bus_off = False
        self._flood_us: int | None = None
        self._core: Core | None = None
        self.alarm_is_cyclic = False

    @property
    def idle_skip(self) -> bool:
        """Its idle cycles may be skipped ahead (`skip`)."""
        return self._parts.idle_skip

    @property
    def powered(self) -> bool:
        """It has RAM: on, booting or ready."""
        return self._core is not None

    @property
    def ready(self) -> bool:
        """Boot is over."""
        return self._core is not None and self._core.is_ready

    # Inputs; all times in µs, never decreasing

    def can_rx(self, now: int, can_id: int, data: bytes) -> None:
        """A frame was received."""
        core = self._core
        if core is not None and core.is_ready:
            try:
                core.cpu.input(CAN, now, (can_id, data))
            except (PowerCut, Restart) as loss:
                self._lose_ram(now, loss)

    def can_state(self, now: int, off: bool) -> None:
        """The CAN controller went off the bus, or came back."""
        self._bus_off = off
        if self._core is not None:
            self._core.bus_state(off)

    def flood(self, now: int, period_us: int | None) -> None:
        """Log frames fill the bus, one every `period_us` (None: no longer), without a call for each."""
        self._flood_us = period_us
        if self._core is not None and self._core.is_ready:
            self._core.cpu.flood(now, period_us)

    def uart_rx(self, now: int, data: bytes) -> None:
        """A burst of bytes came from the reader."""
        core = self._core
        if core is not None and core.is_ready:
            try:
                core.cpu.input(UART, now, data)
            except (PowerCut, Restart) as loss:
                self._lose_ram(now, loss)

    def io_rx(self, now: int, line: str) -> None:
        """A wire changed: `F <door> <L|U|X>`, `A <door> <0|1>`, `H <door> <0|1>`, `V <mV>`; else ignored."""
        if not self._level(now, line):
            return
        core = self._core
        if core is not None and core.is_ready:
            try:
                core.cpu.input(WIRE, now, line)
            except (PowerCut, Restart) as loss:
                self._lose_ram(now, loss)

    def tick(self, now: int) -> None:
        """The deadline has come."""
        core = self._core
        if core is None:
            return
        was_ready = core.is_ready
        try:
            core.cpu.tick(now)
        except (PowerCut, Restart) as loss:
            self._lose_ram(now, loss)
            return
        if self._flood_us and core.is_ready and not was_ready:
            core.cpu.flood(now, self._flood_us)

    def alarm(self) -> int:
        """`deadline`, or FAR_US; and sets `alarm_is_cyclic`. For hosts that ask after every call."""
        core = self._core
        if core is None:
            self.alarm_is_cyclic = False
            return FAR_US
        cpu = core.cpu
        at = cpu.alarm()
        self.alarm_is_cyclic = cpu.alarm_is_cyclic
        return at

    @property
    def deadline(self) -> int | None:
        """When `tick` is to be called; None: when something comes in."""
        at = self.alarm()
        return None if at == FAR_US else at

    @property
    def deadline_is_cyclic(self) -> bool:
        """Only idle cycles are due at the deadline."""
        self.alarm()
        return self.alarm_is_cyclic

    # Idle cycles

    def quiet(self) -> int | None:
        """Until when (µs) only idle cycles happen if nothing comes in; None: something is under way."""
        core = self._core
        if core is None:
            return FAR_US
        if not core.is_ready or not core.quiet_now:
            return None
        work = core.timers.earliest_work()
        return FAR_US if work is None else work

    def idle_at(self, us: int) -> bool:
        """Whether no idle cycle will be in the middle of its work at an instant, if nothing comes in until then."""
        core = self._core
        return core is None or (core.is_ready and core.reader.idle_at(us))

    def skip(self, now: int, delta_us: int) -> None:
        """Leaves out `delta_us` (whole tenths of a second) of idle cycles: afterwards all is as if they had run.

        To be called when `quiet`, for a gap whose end is `idle_at`.
        """
        if delta_us % IDLE_PERIOD_US:
            raise ValueError(f"ECU: only whole tenths of a second can be skipped, not {delta_us} µs")
        if self._core is not None and self._core.is_ready:
            self._core.skip(now, delta_us)

    # Power

    def _level(self, now: int, line: str) -> bool:
        """Notes a level; False if the line is none, or if the power went with it."""
        kind, _, rest = line.partition(" ")
        if kind == "V":
            if not (rest.isascii() and rest.isdigit() and len(line) <= LONGEST_LINE):
                return False
            self._pins.supply_mv = int(rest)
            return self._power(now)
        door, _, value = rest.partition(" ")
        if door not in DOORS:
            return False
        if kind == "F" and value in ("L", "U", "X"):
            self._pins.feedback[DOORS.index(door)] = value
            return True
        if kind == "A" and value in ("0", "1"):
            self._pins.ajar[DOORS.index(door)] = value == "1"
            return True
        return kind == "H" and value in ("0", "1")

    def _power(self, now: int) -> bool:
        """Switches on or off by the supply; True if it goes on running."""
        supply_mv = self._pins.supply_mv
        if self._core is not None:
            if supply_mv >= OFF_BELOW_MV:
                return True
            self._core = None
        elif supply_mv >= GOOD_FROM_MV:
            self._core = Core(
                now,
                self._config,
                self._memory,
                self._random,
                self._parts,
                self._pins,
                _shared(),
                self.out,
                self._bus_off,
            )
        return False

    def _lose_ram(self, now: int, loss: PowerCut | Restart) -> None:
        """The memory's supply went away in a write, and so did ours; or the processor starts anew."""
        core, self._core = self._core, None
        self.out.clear()
        if isinstance(loss, Restart):
            assert core is not None
            self.out += [("io", f"M {d.name} {d.drive} 0") for d in core.locks.doors if d.drive]
            self._power(now)
