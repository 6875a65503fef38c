"""States of the vehicle and legitimate acts: conditions under which failures happen, no failures themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.world import World

STANDING = frozenset({"standing"})
NOTHING: frozenset[str] = frozenset()
SPEED = Param("speed_kmh", "km/h", 50, 6, 250)
"""From just above 5 km/h, at which cloud and bluetooth cease to unlock."""
CRASH_FRAMES = Param("frames", "frames", 10, 1, 1000)
DOOR = Param("door", "0 FL, 1 FR, 2 RL, 3 RR", 0, 0, 3)
SILENT_AFTER = Param("drive_ms", "ms", 2000, 200, 60_000)
DOORS = ("FL", "FR", "RL", "RR")


def _driving(world: World, fault: Fault) -> Release:
    return world.gateway.speed.hold(10 * fault.param("speed_kmh", SPEED.default))


def _speed_then_silent(world: World, fault: Fault) -> Release:
    """Drives, then nothing more is heard; when the gateway speaks again the vehicle stands."""
    gateway = world.gateway
    ends = [gateway.speed.hold(10 * fault.param("speed_kmh", SPEED.default))]
    silence = world.kernel.after(
        1000 * fault.param("drive_ms", SILENT_AFTER.default), lambda: ends.append(gateway.silent.hold())
    )

    def release() -> None:
        world.kernel.cancel(silence)
        for end in ends:
            end()

    return release


def _crash(world: World, fault: Fault) -> Release:
    return world.gateway.crash(fault.param("frames", CRASH_FRAMES.default))


def _press(request: str) -> Callable[[World, Fault], Release]:
    def begin(world: World, _fault: Fault) -> Release:
        world.gateway.press(request)
        return _nothing

    return begin


def _ajar(world: World, fault: Fault) -> Release:
    return world.ajar[DOORS[fault.param("door", DOOR.default)]].hold()


def _power_on(world: World, _fault: Fault) -> Release:
    return world.gateway.power.hold()


def _contradictory(world: World, fault: Fault) -> Release:
    return world.gateway.contradicted.hold(10 * fault.param("speed_kmh", SPEED.default))


def _nothing() -> None:
    """A press is over by itself."""


MODES: tuple[Mode, ...] = (
    Mode("vehicle.driving", "the vehicle drives, the power mode is on", STANDING, _driving, (SPEED,), condition=True),
    Mode(
        "vehicle.speed_then_silent",
        "the vehicle drives, then its gateway says nothing more: after 60 s that no longer counts",
        STANDING,
        _speed_then_silent,
        (SILENT_AFTER, SPEED),
        condition=True,
        restbus=True,
    ),
    Mode(
        "vehicle.contradictory",
        "valid frames contradict each other: every other one says that the vehicle drives",
        STANDING,
        _contradictory,
        (SPEED,),
        condition=True,
    ),
    Mode("vehicle.power_on", "the power mode is on: the ECU stays awake", NOTHING, _power_on, condition=True),
    Mode("vehicle.crash", "so many frames carry the crash flag", NOTHING, _crash, (CRASH_FRAMES,), condition=True),
    Mode("vehicle.interior_unlock", "the inside switch is pressed: unlock", NOTHING, _press("unlock"), condition=True),
    Mode("vehicle.interior_lock", "the inside switch is pressed: lock", NOTHING, _press("lock"), condition=True),
    Mode("vehicle.door_ajar", "a door stands open", NOTHING, _ajar, (DOOR,), condition=True),
)
