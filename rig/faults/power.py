"""The DUT's supply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.world import World

DIP = Param("mv", "mV", 8000, 0, 8800)
"""Between 8.8 and 9.5 V a DUT may act or refuse (vehicle.md section 5): nothing could be judged there."""


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


MODES: tuple[Mode, ...] = (
    Mode("power.reset", "the ECU's supply is cut", frozenset({"power"}), _reset, capability="power.dip"),
    Mode(
        "power.dip", "the ECU's supply falls to V", frozenset({"power"}), _dip, (DIP,), capability="power.dip"
    ),
)
