"""An emulated ECU in process, on simulated lines, for the `model` fidelity.

Everything is fresh for each run: bus, lines, memory and ECU; all randomness comes from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from hardware.ecu import config as ids
from hardware.ecu.memory import MemoryPort, PowerCut, RamMemory
from hardware.ecu.onkernel import EcuOnKernel
from hardware.ecu.registry import build_ecu
from hardware.provision import Provision
from rig.kernel import Kernel
from rig.sim.canbus import FrameListener, SimBus
from rig.sim.textline import SimText, TextEnd
from rig.sim.uart import SimUart, UartEnd

HEARD = frozenset(
    {
        ids.VEHICLE_STATE,
        ids.TELEMATICS_STATE,
        ids.BLUETOOTH_STATE,
        ids.INTERIOR_SWITCH,
        ids.CLOUD_REQUEST,
        ids.BLUETOOTH_REQUEST,
        *range(0x500, 0x510),
    }
)
"""Identifiers that cost the ECU time; log frames do too."""

CAPABILITIES = frozenset(
    {
        "can.bus_off", "can.flood", "can.babble", "power.reset", "power.dip", "memory.step", "dut.random",
        "idle.skip",
    }
)  # fmt: skip


class WatchedMemory:
    """Memory whose writes can be told of, and cut.

    Attributes:
        told: called before each write; True: the supply goes away at that instant.
    """

    def __init__(self, memory: MemoryPort) -> None:
        self._memory = memory
        self.told: Callable[[], bool] | None = None

    def read(self, slot: int) -> bytes:
        """What a slot holds."""
        return self._memory.read(slot)

    def write(self, slot: int, data: bytes) -> None:
        """Writes to a slot.

        Raises:
            PowerCut: the supply went away before.
        """
        if self.told is not None and self.told():
            raise PowerCut
        self._memory.write(slot, data)


class RandomSource:
    """The DUT's randomness, from the run's seed.

    Attributes:
        stuck: it gives the same byte over and over.
    """

    def __init__(self, seed: int) -> None:
        self._source = random.Random(f"{seed}/ecu")
        self.stuck = False

    def __call__(self, count: int) -> bytes:
        return b"\xa5" * count if self.stuck else self._source.randbytes(count)


class ModelEdges:
    """The rig's ends of all lines (implements `rig.ports.Edges`), and the ECU behind them."""

    def __init__(
        self,
        bus: SimBus,
        uart: SimUart,
        io: SimText,
        console: SimText,
        ecu: EcuOnKernel,
        collapse: bool,
        memory: WatchedMemory,
        source: RandomSource,
    ) -> None:
        self._bus = bus
        self._uart = uart
        self._io = io
        self._console = console
        self._memory = memory
        self._source = source
        self.dut = ecu
        self._capabilities = CAPABILITIES if collapse and ecu.ecu.idle_skip else CAPABILITIES - {"idle.skip"}

    @property
    def bus(self) -> SimBus:
        return self._bus

    @property
    def reader(self) -> UartEnd:
        return self._uart.a

    @property
    def io(self) -> TextEnd:
        return self._io.a

    @property
    def console(self) -> TextEnd:
        return self._console.a

    @property
    def capabilities(self) -> frozenset[str]:
        return self._capabilities

    def watch_memory(self, told: Callable[[], bool]) -> None:
        self._memory.told = told

    def set_random_stuck(self, stuck: bool) -> None:
        self._source.stuck = stuck

    def dut_quiet_until(self) -> int | None:
        if not self._uart.idle or not self._io.idle:
            return None
        return self.dut.quiet()

    def dut_idle_at(self, us: int) -> bool:
        return self.dut.idle_at(us)

    def dut_skip(self, delta_us: int) -> None:
        self.dut.skip(delta_us)


def model_edges(
    kernel: Kernel,
    *,
    defect: str | None,
    seed: int,
    identities: Provision,
    on_frame: FrameListener | None = None,
    collapse: bool = True,
    memory: MemoryPort | None = None,
) -> ModelEdges:
    """Builds the lines and an ECU on them; it is off until the I/O line brings a supply.

    Args:
        kernel: the clock and queue.
        defect: name of a planted defect or correct variant (`registry.find_build`); None: the healthy ECU.
        seed: of all the ECU's randomness.
        identities: VIN, keys, cards.
        on_frame: told of every frame on the bus.
        collapse: floods cost no event for each of their frames, and idle cycles may be skipped.
        memory: the ECU's; None: fresh, as provisioned.

    Raises:
        BuildError: there is no such defect or variant.
    """
    bus = SimBus(kernel, on_frame=on_frame, collapse_flood=collapse)
    uart, io, console = SimUart(kernel), SimText(kernel), SimText(kernel)
    source = RandomSource(seed)
    watched = WatchedMemory(memory or RamMemory(identities.memory_image()))
    ecu = build_ecu(identities.config(), watched, source, defect)
    bound = EcuOnKernel(kernel, ecu, uart.b, io.b, console.b.write)
    node = bus.node("ecu", bound.can_rx, HEARD, on_state=bound.bus_off, on_flood=bound.flood)
    bound.connect_can(node)
    return ModelEdges(bus, uart, io, console, bound, collapse, watched, source)
