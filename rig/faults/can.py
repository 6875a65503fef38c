"""The body CAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Release
from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.world import World


def _bus_off(world: World, _fault: Fault) -> Release:
    return world.bus_off.hold()


def _flood(world: World, _fault: Fault) -> Release:
    return world.flood.hold()


MODES: tuple[Mode, ...] = (
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
)
