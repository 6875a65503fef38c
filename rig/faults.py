"""The fault catalogue: every failure mode the rig can make, one entry each.

An entry says what breaks, which needs of the paths it breaks, and how it is switched on in a world; adding a
mode is adding an entry. Nothing here knows how a scenario is generated or judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.scenario import Fault, Scenario, ScenarioError

if TYPE_CHECKING:
    from rig.world.world import World

Release = Callable[[], None]

NEEDS: Mapping[str, frozenset[str]] = {
    "card": frozenset({"serial", "reader", "power", "actuator"}),
    "bluetooth": frozenset({"bluetooth", "module", "can", "power", "actuator"}),
    "cloud": frozenset(
        {"account", "server", "network phone", "network car", "tcu", "can", "power", "actuator"}
    ),
}
"""What each path needs, declared (a fault on anything else must not touch the path)."""

PATHS = tuple(NEEDS)


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a mode: whole number, with unit, default and range."""

    name: str
    unit: str
    default: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Mode:
    """One failure mode.

    Attributes:
        name: `domain.mode`.
        text: what happens, for people.
        breaks: which needs of `NEEDS` do not hold while it lasts; empty: it must harm nobody.
        begin: switches it on in a world; the function returned switches it off.
        params: what can be set.
        capability: what the bench's edges must be able to do, if anything.
        state: a state that nothing heals by itself (it asks for no recovery).
    """

    name: str
    text: str
    breaks: frozenset[str]
    begin: Callable[[World, Fault], Release]
    params: tuple[Param, ...] = ()
    capability: str = ""
    state: bool = False

    @property
    def domain(self) -> str:
        """The part before the dot."""
        return self.name.partition(".")[0]

    def breaks_path(self, path: str) -> bool:
        """Whether the path called `path` needs what this mode breaks."""
        return bool(self.breaks & NEEDS[path])

    def value(self, fault: Fault, name: str) -> int:
        """The parameter's value in a fault, or its default."""
        for param in self.params:
            if param.name == name:
                return fault.param(name, param.default)
        raise KeyError(name)


def _reset(world: World, fault: Fault) -> Release:
    return _supply(world, 0)


def _dip(world: World, fault: Fault) -> Release:
    return _supply(world, fault.param("mv", DIP.default))


def _supply(world: World, mv: int) -> Release:
    release = world.supply.hold(mv)
    world.apply_supply()

    def end() -> None:
        release()
        world.apply_supply()

    return end


def _bus_off(world: World, _fault: Fault) -> Release:
    return world.bus_off.hold()


def _flood(world: World, _fault: Fault) -> Release:
    return world.flood.hold()


DIP = Param("mv", "mV", 8000, 0, 9200)
RETRY_AFTER = Param("retry_after_s", "s", 3, 1, 60)
LATENCY = Param("ms", "ms", 2000, 0, 10_000)

_SERVER = frozenset({"server"})
_BLUETOOTH = frozenset({"bluetooth"})

_ENTRIES: tuple[Mode, ...] = (
    Mode("server.500", "answers 500 to everything", _SERVER, lambda w, f: w.server.error_500.hold()),
    Mode("server.503", "answers 503 to everything", _SERVER, lambda w, f: w.server.error_503.hold()),
    Mode(
        "server.429",
        "answers 429 with Retry-After to everything",
        _SERVER,
        lambda w, f: w.server.error_429.hold(f.param("retry_after_s", RETRY_AFTER.default)),
        (RETRY_AFTER,),
    ),
    Mode("server.hang", "takes requests and never answers", _SERVER, lambda w, f: w.server.hang.hold()),
    Mode(
        "server.token_refused",
        "refuses access and refresh tokens (401)",
        _SERVER,
        lambda w, f: w.server.token_refused.hold(),
    ),
    Mode(
        "network.phone_offline",
        "the phone has no network",
        frozenset({"network phone"}),
        lambda w, f: w.internet.phone_offline.hold(),
    ),
    Mode(
        "network.car_offline",
        "the car has no network",
        frozenset({"network car"}),
        lambda w, f: w.internet.car_offline.hold(),
    ),
    Mode(
        "network.partition",
        "requests reach the server, answers are lost",
        frozenset({"network phone"}),
        lambda w, f: w.internet.partition.hold(),
    ),
    Mode(
        "network.latency",
        "each round trip between phone and server takes longer",
        frozenset({"network phone"}),
        lambda w, f: w.internet.latency.hold(f.param("ms", LATENCY.default)),
        (LATENCY,),
    ),
    Mode(
        "bluetooth.radio_off",
        "the phone's Bluetooth is switched off",
        _BLUETOOTH,
        lambda w, f: w.air.radio_off.hold(),
    ),
    Mode(
        "bluetooth.out_of_range",
        "phone and car do not hear each other",
        _BLUETOOTH,
        lambda w, f: w.air.out_of_range.hold(),
    ),
    Mode(
        "bluetooth.lost_before_write",
        "the link is lost just before a command is written",
        _BLUETOOTH,
        lambda w, f: w.air.lost_before_write.hold(),
    ),
    Mode(
        "bluetooth.lost_after_write",
        "the link is lost after a command was written, before its answer",
        _BLUETOOTH,
        lambda w, f: w.air.lost_after_write.hold(),
    ),
    Mode(
        "phone.signed_out",
        "the app is signed out of the account; the key stays on the phone",
        frozenset({"account"}),
        lambda w, f: w.phone.signed_out.hold(),
        state=True,
    ),
    Mode(
        "can.bus_off",
        "the ECU's CAN controller is off the bus",
        frozenset({"can"}),
        _bus_off,
        capability="can.bus_off",
    ),
    Mode(
        "can.log_flood",
        "the telematics unit floods the bus with log frames 0x500..0x50F",
        frozenset(),
        _flood,
        capability="can.flood",
    ),
    Mode("power.reset", "the ECU's supply is cut", frozenset({"power"}), _reset, capability="power.dip"),
    Mode(
        "power.dip", "the ECU's supply falls to V", frozenset({"power"}), _dip, (DIP,), capability="power.dip"
    ),
    Mode(
        "credential.lifetime_zero",
        "another enrolled key signs unlock commands that expire at 0",
        frozenset(),
        lambda w, f: w.valet.misbehave("zero"),
    ),
    Mode(
        "credential.lifetime_past",
        "another enrolled key signs unlock commands that expired 10 s ago",
        frozenset(),
        lambda w, f: w.valet.misbehave("past"),
    ),
    Mode(
        "credential.lifetime_long",
        "another enrolled key signs unlock commands that live 60 s",
        frozenset(),
        lambda w, f: w.valet.misbehave("long"),
    ),
)

CATALOGUE: Mapping[str, Mode] = {mode.name: mode for mode in _ENTRIES}


def modes(domain: str) -> tuple[str, ...]:
    """The names of all modes of one domain, in the catalogue's order."""
    return tuple(m.name for m in _ENTRIES if m.domain == domain)


def check_faults(scenario: Scenario, source: str = "scenario") -> None:
    """Checks that every fault of a scenario is in the catalogue and its parameters in range.

    Raises:
        ScenarioError: naming the entry and the mend.
    """
    for place, fault in enumerate(scenario.faults):
        mode = CATALOGUE.get(fault.mode)
        if mode is None:
            raise ScenarioError(
                f"{source}: fault {place}: there is no mode {fault.mode!r}; known are {', '.join(CATALOGUE)}"
            )
        known = {p.name: p for p in mode.params}
        for name, value in fault.params:
            param = known.get(name)
            if param is None:
                raise ScenarioError(
                    f"{source}: fault {place}: {mode.name} has no parameter {name!r}; "
                    f"it has {', '.join(known) or 'none'}"
                )
            if not param.low <= value <= param.high:
                raise ScenarioError(
                    f"{source}: fault {place}: {name} = {value} {param.unit}; "
                    f"give {param.low} to {param.high}"
                )
