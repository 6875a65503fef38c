"""The vehicle that lives until it is told to end: ECU, plant, server, network, Bluetooth and reader in real time.

What may be done to it from outside goes through its methods, which act inside the kernel. Knows no terminal and no
HTTP control; they are in the files beside it.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hardware.bench import Bench
from hardware.bridge import Bridge
from hardware.cloud.certs import Trust
from hardware.cloud.proxy import LOOPBACK
from rig.faults import CATALOGUE
from rig.kernel import Event
from rig.ports import Unsupported
from rig.scenario import Fault, Intent, ScenarioError
from rig.trace import Event as TraceEvent
from rig.trace import word
from rig.world.world import World

T = TypeVar("T")

KEPT = 5_000
"""How many events of the past are kept."""
POWER_ON_S, SAFE_S = 0.05, 0.1
WISH_US = 10_000_000
TAP_S = 1.5


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What is held up.

    Attributes:
        bench: whose DUT it is; None: the emulated ECU in this process.
        defect: planted in an emulated ECU.
        seed: of all randomness; None: fresh.
        https_port: where clients connect to; 0: any free port.
        host: the address that HTTPS and HCI listen on.
        names: under which clients know the server, beside localhost.
        bluetooth: the simulated air is there.
        radios: Bumble transports of real radios in its place: the module's, and that of the rig's own phone.
        hci_ports: TCP ports for Bluetooth hosts outside; 0: any free port.
        reader: another PN532 with a card, for a host outside, on a pseudo-terminal.
    """

    bench: Bench | None = None
    defect: str | None = None
    seed: int | None = None
    https_port: int = 0
    host: str = LOOPBACK
    names: tuple[str, ...] = ()
    bluetooth: bool = False
    radios: tuple[str, str] | None = None
    hci_ports: tuple[int, ...] = ()
    reader: bool = False


class Tail(list[TraceEvent]):
    """The latest events of an endless trace; somebody is told of each."""

    def __init__(self, told: Callable[[TraceEvent], None]) -> None:
        super().__init__()
        self._told = told
        self.first = 0
        """The number of the oldest event that is kept."""

    def append(self, event: TraceEvent) -> None:
        """Adds one; the oldest go."""
        super().append(event)
        if len(self) > 2 * KEPT:
            self.first += len(self) - KEPT
            del self[: len(self) - KEPT]
        self._told(event)


@dataclass(slots=True)
class Places:
    """Where outside clients find the vehicle, once it is up."""

    server: str = ""
    hci: tuple[str, ...] = ()
    reader: str = ""
    dut: str = "emulated ECU in this process"


@dataclass(slots=True, eq=False)
class LiveVehicle:
    """One vehicle, up as long as the block lasts:

        async with live(options, told, console) as vehicle:
            await vehicle.ended()

    Attributes:
        world: all of the rig's side.
        bridge: to its kernel.
        trust: certificates; `trust.ca_pem` is what clients must trust.
        places: where it is found.
        stopping, over, real_radios: set by `hardware.live.holding`: what ends its life, how it ended, and whether
            the air is a real one.
    """

    world: World
    bridge: Bridge
    trust: Trust
    tail: Tail
    places: Places = field(default_factory=Places)
    stopping: Event[str] | None = None
    over: asyncio.Future[str] | None = None
    _held: dict[str, tuple[Fault, Callable[[], None]]] = field(default_factory=dict)
    real_radios: bool = False

    # -- looking -----------------------------------------------------------------------------------

    @property
    def doors(self) -> dict[str, str]:
        """Each latch: locked, unlocked or between."""
        words = {"L": "locked", "U": "unlocked", "X": "between"}
        return {door: words[state] for door, state in self.world.plant.latches.items()}

    @property
    def locked(self) -> str:
        """All doors in a word: locked, unlocked or mixed."""
        states = set(self.doors.values())
        return states.pop() if len(states) == 1 else "mixed"

    @property
    def faults(self) -> dict[str, dict[str, int]]:
        """The failures that hold, with their parameters."""
        return {mode: dict(fault.params) for mode, (fault, _) in self._held.items()}

    @property
    def supply_mv(self) -> int:
        """At the DUT's pin."""
        return self.world.supply.lowest(12_600)

    def state(self) -> dict[str, Any]:
        """Everything that can be seen at a glance."""
        return {
            "vin": self.world.vin,
            "doors": self.doors,
            "state": self.locked,
            "faults": self.faults,
            "online": self.world.tcu.reachable,
            "supply_mv": self.supply_mv,
            "uptime_s": self.world.kernel.now / 1e6,
        }

    # -- doing -------------------------------------------------------------------------------------

    async def inside(self, do: Callable[[], T]) -> T:
        """Does something as an event of the kernel."""

        async def act() -> T:
            return do()

        return await self.bridge.actor(act(), "from outside")

    async def fail(self, mode: str, params: dict[str, int] | None = None) -> None:
        """Has a failure begin; one that holds already begins anew with these parameters.

        Raises:
            ScenarioError: there is no such mode or parameter, or a value is out of its range.
            Unsupported: the bench cannot make it.
        """
        known = CATALOGUE.get(mode)
        if known is None:
            near = difflib.get_close_matches(mode, CATALOGUE, 3)
            mend = f"do you mean {', '.join(near)}?" if near else "`modes` lists all"
            raise ScenarioError(f"there is no failure mode {mode!r}; {mend}")
        ranges = {param.name: param for param in known.params}
        for name, value in (params or {}).items():
            if name not in ranges:
                raise ScenarioError(f"{mode} has no parameter {name!r}; it has {', '.join(ranges) or 'none'}")
            if not ranges[name].low <= value <= ranges[name].high:
                raise ScenarioError(f"{mode}: {name} is from {ranges[name].low} to {ranges[name].high}, not {value}")
        if known.capability and known.capability not in self.world.edges.capabilities:
            raise Unsupported(f"this vehicle cannot make {mode}: its bench lacks {known.capability}")
        if self.real_radios:
            from hardware.bluetooth.radios import require_radios  # noqa: PLC0415  # an optional dependency

            require_radios([mode])
        await self.heal(mode)
        fault = Fault(mode, 0, None, tuple(sorted((params or {}).items())))
        self._held[mode] = (fault, await self.inside(lambda: known.begin(self.world, fault)))
        self.world.log("fault", 0, mode, 1)

    async def heal(self, mode: str | None = None) -> list[str]:
        """Ends one failure, or all; returns those that had held."""
        ended = [mode] if mode in self._held else list(self._held) if mode is None else []
        for name in ended:
            _, release = self._held.pop(name)
            await self.inside(release)
            self.world.log("fault", 0, name, 0)
        return ended

    async def tap(self, whose: str = "driver", seconds: float = TAP_S) -> None:
        """Holds a card to the reader.

        Raises:
            ScenarioError: there is no such card.
        """
        world = self.world
        cards = {"driver": world.card, "guest": world.guest_card, "foreign": world.foreign_card}
        if whose not in cards:
            raise ScenarioError(f"there is no card {whose!r}; there are {', '.join(cards)}")

        async def hold() -> None:
            world.log("tap", 0, whose)
            world.reader.place(cards[whose])
            await world.kernel.sleep(seconds)
            world.reader.remove(cards[whose])
            world.log("untap", 0, whose)

        await self.bridge.actor(hold(), "tap")

    async def wish(self, intent: Intent) -> str:
        """Has the rig's own phone do something; returns what it tells its driver, 10 s later at most."""
        world = self.world
        phone = world.phone if intent.who == "driver" else world.guest

        async def pursue() -> None:
            now = world.kernel.now
            world.log("intent", 0, intent.want, intent.via)
            await phone.pursue(0, intent, now, now + WISH_US)

        await self.bridge.actor(pursue(), "wish")
        return next(word(e, 3) for e in reversed(self.tail) if e[1] == "told")

    async def reset(self, seconds: float = 0.2) -> None:
        """Cuts the ECU's supply for a moment."""
        await self.fail("power.reset")
        await asyncio.sleep(seconds)
        await self.heal("power.reset")

    def stop(self, why: str = "") -> None:
        """Ends it: supply off, then everything closed."""
        stop = self.stopping
        if stop is not None:
            self.bridge.kernel.post(_set_once, stop, why)

    async def ended(self) -> str:
        """Waits until it is over; returns why."""
        assert self.over is not None
        return await asyncio.shield(self.over)

    # -- its life ----------------------------------------------------------------------------------

    async def life(self) -> str:
        """Power on, until it is told to stop; then the supply is off and what is held is let go."""
        world, stop = self.world, self.stopping
        assert stop is not None
        world.plant.set_latches("L")
        world.plant.set_supply(0)
        world.gateway.start()
        world.tcu.start()
        world.air.module.start()
        await world.kernel.sleep(POWER_ON_S)
        world.apply_supply()
        why = await stop.wait()
        for _, release in self._held.values():
            release()
        self._held.clear()
        world.plant.set_supply(0)
        await world.kernel.sleep(SAFE_S)
        return why


def _set_once(stop: Event[str], why: str) -> None:
    if not stop.is_set:
        stop.set(why)
