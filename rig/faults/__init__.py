"""The fault catalogue: every failure mode the rig can make, one entry each, a file for each domain.

An entry says what breaks, which needs of the paths it breaks, and how it is switched on in a world; adding a
mode is adding an entry. Nothing here knows how a scenario is generated or judged.
"""

from __future__ import annotations

from collections.abc import Mapping

from rig.faults import (
    actuator,
    bluetooth,
    can,
    common,
    credential,
    entropy,
    network,
    phone,
    power,
    serial,
    server,
    vehicle,
)  # fmt: skip
from rig.faults.mode import NEEDS, PATHS, Mode, Param, Release
from rig.faults.steps import STEPS
from rig.scenario import Scenario, ScenarioError

__all__ = [
    "CATALOGUE",
    "DOMAINS",
    "NEEDS",
    "PATHS",
    "STEPS",
    "Mode",
    "Param",
    "Release",
    "check_faults",
    "modes",
]

_ENTRIES: tuple[Mode, ...] = (
    *server.MODES, *network.MODES, *bluetooth.MODES, *phone.MODES, *can.MODES, *serial.MODES, *power.MODES,
    *actuator.MODES, *credential.MODES, *vehicle.MODES, *common.MODES,
    *entropy.MODES,
)  # fmt: skip

CATALOGUE: Mapping[str, Mode] = {mode.name: mode for mode in _ENTRIES}
DOMAINS: tuple[str, ...] = tuple(dict.fromkeys(mode.domain for mode in _ENTRIES))


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
        if fault.step and fault.step not in STEPS:
            raise ScenarioError(
                f"{source}: fault {place}: there is no step {fault.step!r}; known are {', '.join(STEPS)}"
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
