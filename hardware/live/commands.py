"""The commands of a live vehicle, as text: typed at its console or sent to its control endpoint.

Turns words into calls of the vehicle and results into words; knows neither terminal nor HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast, get_args

from rig.faults import CATALOGUE, modes
from rig.ports import Unsupported
from rig.scenario import Intent, ScenarioError, Via, Want

if TYPE_CHECKING:
    from hardware.live.vehicle import LiveVehicle

HELP = """\
state                            doors, supply, connection, failures that hold
fault MODE [PARAM=VALUE ...]     a failure begins; `modes` lists all, `modes server` those of a domain
heal [MODE]                      a failure ends; all of them without MODE
modes [DOMAIN]                   what can fail, with parameters
tap [driver|guest|foreign]       a card is held to the reader for 1.5 s
unlock, lock, drive [VIA]        the rig's own phone does it; VIA is ladder, cloud or bluetooth
reset                            the ECU's supply is cut for 0.2 s
stop                             supply off, and the end"""


class CommandError(Exception):
    """A command that cannot be understood or done; says why."""


async def execute(vehicle: LiveVehicle, line: str) -> str:
    """Does one command; returns what came of it, in words.

    Raises:
        CommandError: it is wrong, or cannot be done.
    """
    word, *rest = line.split() or ["help"]
    command = _COMMANDS.get(word)
    if command is None:
        raise CommandError(f"there is no command {word!r}; `help` lists all")
    try:
        return await command(vehicle, word, rest)
    except (ScenarioError, Unsupported) as error:
        raise CommandError(str(error)) from error


async def _help(_vehicle: LiveVehicle, _word: str, _rest: list[str]) -> str:
    return HELP


async def _state(vehicle: LiveVehicle, _word: str, _rest: list[str]) -> str:
    doors = ", ".join(f"{door} {state}" for door, state in vehicle.doors.items())
    online = "online" if vehicle.world.tcu.reachable else "offline"
    return f"{doors}; {vehicle.supply_mv} mV; {online}; failures: {_held(vehicle)}"


def _held(vehicle: LiveVehicle) -> str:
    return ", ".join(_shown(mode, params) for mode, params in vehicle.faults.items()) or "none"


def _shown(mode: str, params: dict[str, int]) -> str:
    return " ".join([mode, *(f"{name}={value}" for name, value in params.items())])


async def _fault(vehicle: LiveVehicle, _word: str, rest: list[str]) -> str:
    if not rest:
        raise CommandError("which failure? `modes` lists them")
    params = {}
    for text in rest[1:]:
        name, sign, value = text.partition("=")
        if not sign or not value.lstrip("-").isdecimal():
            raise CommandError(f"{text!r} is no PARAM=VALUE with a whole number")
        params[name] = int(value)
    await vehicle.fail(rest[0], params)
    return f"holds now: {_held(vehicle)}"


async def _heal(vehicle: LiveVehicle, _word: str, rest: list[str]) -> str:
    ended = await vehicle.heal(rest[0] if rest else None)
    if rest and not ended:
        raise CommandError(f"{rest[0]} does not hold; what holds: {_held(vehicle)}")
    return f"ended: {', '.join(ended) or 'nothing'}; holds now: {_held(vehicle)}"


async def _modes(_vehicle: LiveVehicle, _word: str, rest: list[str]) -> str:
    names = modes(rest[0]) if rest else tuple(CATALOGUE)
    if not names:
        raise CommandError(f"there is no domain {rest[0]!r}; there are {', '.join(sorted(_domains()))}")
    lines = []
    for name in names:
        params = "".join(f" {p.name}={p.default}" for p in CATALOGUE[name].params)
        lines.append(f"{name}{params}: {CATALOGUE[name].text}")
    return "\n".join(lines)


def _domains() -> set[str]:
    return {mode.domain for mode in CATALOGUE.values()}


async def _tap(vehicle: LiveVehicle, _word: str, rest: list[str]) -> str:
    await vehicle.tap(rest[0] if rest else "driver")
    return f"tapped; doors: {vehicle.locked}"


async def _wish(vehicle: LiveVehicle, word: str, rest: list[str]) -> str:
    via = rest[0] if rest else "ladder"
    if via not in get_args(Via) or via == "card":
        raise CommandError(f"{via!r} is no way; there are ladder, cloud and bluetooth")
    told = await vehicle.wish(Intent(cast("Want", word), 0, cast("Via", via)))
    return f"the phone tells: {told}; doors: {vehicle.locked}"


async def _reset(vehicle: LiveVehicle, _word: str, _rest: list[str]) -> str:
    await vehicle.reset()
    return "the ECU boots"


async def _stop(vehicle: LiveVehicle, _word: str, _rest: list[str]) -> str:
    vehicle.stop()
    return "stopping"


_COMMANDS: dict[str, Callable[[LiveVehicle, str, list[str]], Awaitable[str]]] = {
    "help": _help, "state": _state, "fault": _fault, "heal": _heal, "modes": _modes, "tap": _tap,
    "unlock": _wish, "lock": _wish, "drive": _wish, "reset": _reset, "stop": _stop,
}  # fmt: skip
