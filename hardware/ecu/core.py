"""One life of the ECU, from power-up to power-down: its RAM. Dropping the object drops the RAM.

Puts the parts together and hands them what comes in; knows none of their rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hardware.ecu import config as ids
from hardware.ecu.access import Access
from hardware.ecu.actions import Actions
from hardware.ecu.admission import Admission, Entropy, EntropyFailure
from hardware.ecu.cardauth import CardAuth
from hardware.ecu.cardreader import CardReader
from hardware.ecu.channels import Channel
from hardware.ecu.config import DOORS, EcuConfig
from hardware.ecu.connections import Connections
from hardware.ecu.cpu import CAN, UART, WIRE, Cpu, Item, Output
from hardware.ecu.drive import Drive
from hardware.ecu.freshness import Freshness
from hardware.ecu.locks import Locks
from hardware.ecu.memory import MemoryPort, Store
from hardware.ecu.relock import Relock
from hardware.ecu.report import Report
from hardware.ecu.restbus import InteriorSwitch, SlowFrames, Speed, VehicleStateFrames
from hardware.ecu.sleep import Sleep
from hardware.ecu.status import Status
from hardware.ecu.supply import Supply
from hardware.ecu.timers import Timers
from hardware.ecu.whitelist import Whitelist
from rig.protocol.dbc import Codecs
from rig.protocol.vcp import EPOCH_BYTES

BOOT_US = 400_000
"""From V ≥ 9.3 to ready; at most 1.0 s (vehicle.md section 5)."""


class Restart(Exception):
    """The processor starts anew: its RAM is lost, the supply is not. Nothing healthy raises it."""


def fresh_epoch(core: Core) -> bytes:
    """The epoch of this life.

    Raises:
        EntropyFailure: there is no randomness for it.
    """
    return core.entropy.take(EPOCH_BYTES)


@dataclass(slots=True)
class Pins:
    """The levels on the ECU's wires: they are there whether it runs or not."""

    supply_mv: int = 0
    feedback: list[str] = field(default_factory=lambda: ["X"] * len(DOORS))
    ajar: list[bool] = field(default_factory=lambda: [False] * len(DOORS))

    @property
    def ajar_bits(self) -> int:
        """Bit n: door n is ajar."""
        a, b, c, d = self.ajar
        return a | b << 1 | c << 2 | d << 3


@dataclass(slots=True)
class Shared:
    """What may outlive a life because it is a pure function of its key: caches, and the codecs."""

    codecs: Codecs
    status_payloads: dict[tuple[tuple[int, ...], int, bool, int, int], bytes] = field(default_factory=dict)
    decoded: Mapping[int, dict[bytes, dict[str, int]]] = field(
        default_factory=lambda: {
            i: {} for i in (ids.VEHICLE_STATE, ids.TELEMATICS_STATE, ids.BLUETOOTH_STATE)
        }
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """Who makes each part of an ECU; planted defects and correct variants replace some.

    Attributes:
        idle_skip: its cycles are those that hosts skip ahead: 100 ms on CAN, any for the reader.
    """

    boot_us: int = BOOT_US
    cpu: Callable[[int, Timers, list[Output]], Cpu] = Cpu
    idle_skip: bool = True
    store: Callable[[MemoryPort], Store] = Store
    speed: Callable[[], Speed] = Speed
    entropy: Callable[[Callable[[int], bytes]], Entropy] = Entropy
    epoch: Callable[[Core], bytes] = fresh_epoch
    admission: Callable[[Core], Admission] = Admission
    supply: Callable[[Core], Supply] = Supply
    locks: Callable[[Core], Locks] = Locks
    relock: Callable[[Core], Relock] = Relock
    drive: Callable[[Core], Drive] = Drive
    status: Callable[[Core], Status] = Status
    vehicle_state: Callable[[Core], VehicleStateFrames] = VehicleStateFrames
    slow_frames: Callable[[Core], SlowFrames] = SlowFrames
    interior: Callable[[Core], InteriorSwitch] = InteriorSwitch
    sleep: Callable[[Core], Sleep] = Sleep
    connections: Callable[[Core], Connections] = Connections
    freshness: Callable[[Core], Freshness] = Freshness
    whitelist: Callable[[Core], Whitelist] = Whitelist
    actions: Callable[[Core], Actions] = Actions
    access: Callable[[Core], Access] = Access
    channel: Callable[[Core, int, int, Callable[[bytes], None]], Channel] = Channel
    report: Callable[[Core], Report] = Report
    reader: Callable[[Core], CardReader] = CardReader
    card_auth: Callable[[Core], CardAuth] = CardAuth


class Core:
    """A powered ECU.

    Args:
        now_us: when the supply reached 9.3 V.
        pins: its wires.
        out: where outputs go.
        bus_off: its CAN controller is off the bus.
    """

    def __init__(
        self,
        now_us: int,
        config: EcuConfig,
        memory: MemoryPort,
        random: Callable[[int], bytes],
        parts: Parts,
        pins: Pins,
        shared: Shared,
        out: list[Output],
        bus_off: bool,
    ) -> None:
        self.config = config
        self.pins = pins
        self.codecs = shared.codecs
        self.status_payloads = shared.status_payloads
        self.decoded = shared.decoded
        self.bus_off = bus_off
        self.boot_us = now_us
        self.timers = Timers()
        self.cpu = parts.cpu(now_us, self.timers, out)
        self.is_ready = False
        self.epoch = b""
        self._parts = parts
        self._memory = memory
        self._random = random
        self._frames: dict[int, Callable[[bytes], None]] = {}
        self.timers.set(self.timers.timer(self._ready), now_us + parts.boot_us)

    def log(self, line: str) -> None:
        """A line on the console. Never a key, MAC or challenge."""
        self.cpu.emit(("log", line))

    def _ready(self) -> None:
        parts = self._parts
        self.cpu.connect(CAN, self._frame)
        self.cpu.connect(UART, self._burst)
        self.cpu.connect(WIRE, self._wire)
        self.store = parts.store(self._memory)
        self.speed = parts.speed()
        self.entropy = parts.entropy(self._random)
        self.admission = parts.admission(self)
        self.sleep = parts.sleep(self)
        self.supply = parts.supply(self)
        self.drive = parts.drive(self)
        self.locks = parts.locks(self)
        self.relock = parts.relock(self)
        self.status = parts.status(self)
        self.vehicle_state = parts.vehicle_state(self)
        self.slow_frames = parts.slow_frames(self)
        self.interior = parts.interior(self)
        self.connections = parts.connections(self)
        self.freshness = parts.freshness(self)
        self.whitelist = parts.whitelist(self)
        self.actions = parts.actions(self)
        self.access = parts.access(self)
        # Diagnostics will be a third row.
        self.cloud = parts.channel(self, ids.CLOUD_RESPONSE, ids.CLOUD_REQUEST, self.access.cloud)
        self.bluetooth = parts.channel(
            self, ids.BLUETOOTH_RESPONSE, ids.BLUETOOTH_REQUEST, self.access.bluetooth
        )
        self.channels = (self.cloud, self.bluetooth)
        self.report = parts.report(self)
        self.reader = parts.reader(self)
        self.card_auth = parts.card_auth(self)
        self._frames = {
            ids.VEHICLE_STATE: self.vehicle_state.frame,
            ids.TELEMATICS_STATE: self.slow_frames.telematics,
            ids.BLUETOOTH_STATE: self.slow_frames.bluetooth,
            ids.INTERIOR_SWITCH: self.interior.frame,
            ids.CLOUD_REQUEST: self.cloud.frame,
            ids.BLUETOOTH_REQUEST: self.bluetooth.frame,
        }
        self._self_test()
        self.store.image.boot_count += 1
        self.store.commit()
        self.is_ready = True
        self._banner()
        self.relock.ready()
        self.status.ready()
        self.sleep.ready()
        self.reader.ready()
        self.locks.ready()

    def _self_test(self) -> None:
        try:
            self.entropy.take(EPOCH_BYTES)
            self.epoch = self._parts.epoch(self)
        except EntropyFailure:
            # No epoch: remote requests are refused until the source works.
            self.epoch = b""

    def random_works(self) -> bool:
        """Whether there is randomness to rely on, and an epoch made of it."""
        if not self.entropy.works():
            return False
        if not self.epoch:
            try:
                self.epoch = self._parts.epoch(self)
            except EntropyFailure:
                return False
            self.log(f"random source works again epoch={self.epoch.hex()}")
        return True

    def _banner(self) -> None:
        image = self.store.image
        self.log(f"boot {image.boot_count} ready epoch={self.epoch.hex() or '-'} keys={len(image.keys)}")
        if self.store.damaged:
            self.log("memory damaged: no keys")
        elif self.store.repaired:
            self.log("memory slot repaired")
        if not self.epoch:
            self.log("random source failed: remote requests refused")

    # What comes in

    def _frame(self, item: Item) -> None:
        assert isinstance(item, tuple)
        act = self._frames.get(item[0])
        if act is not None:
            act(item[1])

    def _burst(self, item: Item) -> None:
        assert isinstance(item, bytes)
        self.reader.received(item)

    def _wire(self, item: Item) -> None:
        """A level on a wire changed; `Pins` has it already."""
        assert isinstance(item, str)
        kind, _, rest = item.partition(" ")
        if kind == "V":
            self.supply.changed(int(rest))
        elif kind == "F":
            door = self.locks.doors[DOORS.index(rest[:2])]
            self.locks.feedback(door, rest[3])
        elif kind == "A":
            if rest[3] == "1":
                self.relock.door_opened()
            self.sleep.activity()
            self.report.changed()
        elif rest[3] == "1":
            self.log(f"handle {rest[:2]} pulled")  # recorded only

    def bus_state(self, off: bool) -> None:
        """The CAN controller left the bus or came back."""
        if off != self.bus_off:
            self.bus_off = off
            if self.is_ready:
                self.log("bus off" if off else "bus on")
                self.status.unheard()
                if off:
                    for channel in self.channels:
                        channel.reset()

    # Idle cycles

    @property
    def quiet_now(self) -> bool:
        """Nothing is under way but idle cycles."""
        return not (
            not self.cpu.idle
            or self.locks.moving
            or not self.reader.idle
            or self.card_auth.active
            or self.cloud.busy
            or self.bluetooth.busy
            or self.status.news
        )

    def skip(self, now_us: int, delta_us: int) -> None:
        """See `Ecu.skip`."""
        self.timers.pass_cyclic(now_us + delta_us)
        self.cpu.skip(delta_us)
        self.status.skip(delta_us)
        self.vehicle_state.skip(delta_us)
        self.slow_frames.skip(delta_us)
        self.sleep.skip(delta_us)
