"""Planted defects: ECUs that are wrong in one part, each to be caught by the suite.

Every defect is an override of one part, chosen by name when an ECU is built; the parts know nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hardware.ecu.actions import Actions, Done, Permit
from hardware.ecu.admission import Admission
from hardware.ecu.config import CLOUD_REQUEST, EcuConfig, Reason, Source
from hardware.ecu.core import Core, Parts
from hardware.ecu.cpu import CAN, UART, WIRE, Cpu, Item
from hardware.ecu.ecu import Ecu
from hardware.ecu.freshness import Freshness
from hardware.ecu.locks import Door, Locks, Order
from hardware.ecu.memory import KeyRecord, MemoryPort
from hardware.ecu.report import Report
from hardware.ecu.restbus import InteriorSwitch
from hardware.ecu.status import LOCKED, UNLOCKED, Status
from rig.protocol.keycard import Refusal
from rig.protocol.vcp import Fault


@dataclass(frozen=True, slots=True)
class Defect:
    """One planted defect.

    Attributes:
        name: as on the command line.
        text: what is wrong.
        requirements: the ids of which at least one must fail.
        build: makes the defective parts of the healthy ones.
    """

    name: str
    text: str
    requirements: tuple[str, ...]
    build: Callable[[Parts], Parts]


class OnlineCheck(Admission):
    """Asks for the server before it honours a key."""

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        if source in (Source.CLOUD, Source.BLUETOOTH, Source.CARD) and self.core.slow_frames.online is False:
            return Refusal.CARD_UNKNOWN if source is Source.CARD else Fault.INTERNAL
        return super().refuses(source, opens)


class BusOffBlocksCard(Admission):
    """Takes a lost bus for a reason to refuse a card."""

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        if source is Source.CARD and self.core.bus_off:
            return Refusal.CARD_UNKNOWN
        return super().refuses(source, opens)


class BlockingReport(Report):
    """Serves nothing but the cloud channel until the server took the report, for up to 8 s."""

    WAIT_US = 8_000_000

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._waiting = False
        self._held: list[tuple[Callable[[Item], None], Item]] = []
        self._timer_wait = core.timers.timer(self.taken)
        for source in (CAN, UART, WIRE):
            self._hold_back(source)

    def _hold_back(self, source: int) -> None:
        cpu = self.core.cpu

        def handler(item: Item) -> None:
            if self._waiting and not (isinstance(item, tuple) and item[0] == CLOUD_REQUEST):
                self._held.append((healthy, item))
            else:
                healthy(item)

        healthy = cpu.connect(source, handler)

    def send(self, message: bytes) -> None:
        super().send(message)
        self._waiting = True
        self.core.timers.set(self._timer_wait, self.core.cpu.now + self.WAIT_US)

    def taken(self) -> None:
        self._waiting = False
        self.core.timers.cancel(self._timer_wait)
        held, self._held = self._held, []
        for handler, item in held:
            handler(item)


class FloodStarves(Cpu):
    """Takes 300 µs for a frame, and looks at nothing else while there is one."""

    FRAME_US = (300, 40, 40)

    def _choose(self, timer_due: bool) -> int:
        return CAN if self._queues[CAN] else super()._choose(timer_due)


class PlainFrameOpens(InteriorSwitch):
    """Takes the inside switch's frames unchecked."""

    def valid(self, data: bytes) -> bool:
        return len(data) == self._codec.length


class NoCounter(Freshness):
    """Takes any counter."""

    def counter(self, key: KeyRecord, counter: int) -> Fault | None:
        super().counter(key, counter)
        return None


class NoExpiry(Freshness):
    """Takes any lifetime."""

    def expired(self, expires_at: int) -> Fault | None:
        return None

    def lifetime(self, expires_at: int) -> Fault | None:
        return None


class LockIgnored(Actions):
    """Says yes to a lock command and does nothing."""

    def lock(self, source: Source, permit: Permit, done: Done) -> None:
        done(None)


class DoubleActuation(Locks):
    """Pulses for UNLOCK whatever the latches say."""

    def needs_pulse(self, door: Door, order: Order) -> bool:
        return order.target == "U" or super().needs_pulse(door, order)


class ResetOpens(Locks):
    """Unlocks when it has booted."""

    def ready(self) -> None:
        self.order(Order("U", Source.NONE, lambda: None, lambda _: None))


class LyingStatus(Status):
    """Tells what was commanded, not what moved."""

    def door_state(self, door: Door) -> int:
        commanded = door.drive or door.want
        if commanded:
            return UNLOCKED if commanded == "U" else LOCKED
        return super().door_state(door)


_ALL = (
    Defect(
        "online_check",
        "honours no key while TelematicsState says offline",
        ("AVL-1", "AVL-2", "AVL-4"),
        lambda p: replace(p, admission=OnlineCheck),
    ),
    Defect(
        "blocking_report",
        "waits up to 8 s for the server to take the report after each movement, before anything else",
        ("AVL-5",),
        lambda p: replace(p, report=BlockingReport),
    ),
    Defect(
        "bus_off_blocks_card",
        "refuses cards while the CAN controller is off the bus",
        ("AVL-4",),
        lambda p: replace(p, admission=BusOffBlocksCard),
    ),
    Defect(
        "flood_starves",
        "takes 300 µs for a CAN frame and empties CAN before it looks at anything else",
        ("AVL-5",),
        lambda p: replace(p, cpu=FloodStarves),
    ),
    Defect("slow_boot", "needs 4 s until ready", ("AVL-8",), lambda p: replace(p, boot_us=4_000_000)),
    Defect(
        "lock_ignored",
        "answers a lock command and does nothing",
        ("AVL-13",),
        lambda p: replace(p, actions=LockIgnored),
    ),
    Defect("reset_opens", "unlocks after every boot", ("SEC-10",), lambda p: replace(p, locks=ResetOpens)),
    Defect(
        "open_on_plain_frame",
        "takes frames of the inside switch that fail E2E",
        ("SEC-1",),
        lambda p: replace(p, interior=PlainFrameOpens),
    ),
    Defect("no_counter", "takes any command counter", ("SEC-2",), lambda p: replace(p, freshness=NoCounter)),
    Defect(
        "no_expiry",
        "takes any lifetime, also one that is over",
        ("SEC-3", "SEC-4"),
        lambda p: replace(p, freshness=NoExpiry),
    ),
    Defect(
        "double_actuation",
        "pulses for UNLOCK while unlocked",
        ("SEC-5",),
        lambda p: replace(p, locks=DoubleActuation),
    ),
    Defect(
        "lying_status",
        "reports unlocked when commanded, not when moved",
        ("STA-1", "AVL-10"),
        lambda p: replace(p, status=LyingStatus),
    ),
)
DEFECTS: Mapping[str, Defect] = {d.name: d for d in _ALL}


def build_ecu(
    config: EcuConfig, memory: MemoryPort, random: Callable[[int], bytes], defect: str | None
) -> Ecu:
    """An ECU, healthy or with one planted defect.

    Raises:
        KeyError: there is no such defect.
    """
    parts = Parts()
    if defect is not None:
        if defect not in DEFECTS:
            raise KeyError(f"no planted defect {defect!r}; there are: {', '.join(DEFECTS)}")
        parts = DEFECTS[defect].build(parts)
    return Ecu(config, memory, random, parts)
