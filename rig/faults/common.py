"""Causes that take several things at once, and the telematics unit as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Release
from rig.faults.power import reset
from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.world import World


def _all(*releases: Release) -> Release:
    def end() -> None:
        for release in releases:
            release()

    return end


def _unit_off(world: World) -> Release:
    return _all(world.tcu.off.hold(), world.internet.car_offline.hold())


def _battery(world: World, fault: Fault) -> Release:
    return _all(
        world.reader_faults.fails("dead"), world.air.module.dead.hold(), _unit_off(world), reset(world, fault)
    )


def _tunnel(world: World, _fault: Fault) -> Release:
    return _all(world.internet.phone_offline.hold(), world.internet.car_offline.hold())


MODES: tuple[Mode, ...] = (
    Mode(
        "common.power_kills_reader_module_tcu",
        "one supply feeds ECU, reader, Bluetooth module and telematics unit, and is cut",
        frozenset({"power", "reader", "module", "tcu", "network car"}),
        _battery,
        capability="power.dip",
    ),
    Mode(
        "common.tcu_reboots",
        "the telematics unit starts anew: no channel, and no connection to the server",
        frozenset({"tcu", "network car"}),
        lambda w, f: _unit_off(w),
        restbus=True,
    ),
    Mode(
        "common.tcu_dead",
        "the telematics unit hangs: it carries and says nothing, and its connection stands",
        frozenset({"tcu"}),
        lambda w, f: w.tcu.hung.hold(),
        restbus=True,
    ),
    Mode(
        "common.tunnel",
        "phone and vehicle are in a tunnel: neither has a network",
        frozenset({"network phone", "network car"}),
        _tunnel,
    ),
)
