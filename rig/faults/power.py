"""The DUT's supply, and the telematics unit's wall clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.world import World

DIP = Param("mv", "mV", 8000, 0, 9200)
LOW_MV = 8_400
FIRST = Param("first_ms", "ms", 300, 1, 2000)
UP = Param("up_ms", "ms", 200, 1, 999)
WRITES = Param("writes", "writes let through before", 0, 0, 8)
WEEKS = Param("weeks", "weeks", -5, -2000, 2000)
SECONDS = Param("seconds", "s", 3600, -1_000_000, 1_000_000)
POWER = frozenset({"power"})


def reset(world: World, _fault: Fault) -> Release:
    """Cuts the supply."""
    return _supply(world, 0)


def _dip(world: World, fault: Fault) -> Release:
    return _supply(world, fault.param("mv", DIP.default))


def _low(world: World, fault: Fault) -> Release:
    return _supply(world, LOW_MV)


def _supply(world: World, mv: int) -> Release:
    release = world.supply.hold(mv)
    world.apply_supply()

    def end() -> None:
        release()
        world.apply_supply()

    return end


def _double(world: World, fault: Fault) -> Release:
    """Cut, back for less than a boot takes, and cut again until the fault ends."""
    holds = [_supply(world, 0)]
    first_us = fault.param("first_ms", FIRST.default) * 1000
    again_us = first_us + fault.param("up_ms", UP.default) * 1000

    def back() -> None:
        holds.pop()()

    def again() -> None:
        holds.append(_supply(world, 0))

    timers = [world.kernel.after(first_us, back), world.kernel.after(again_us, again)]

    def end() -> None:
        for timer in timers:
            world.kernel.cancel(timer)
        for release in holds:
            release()
        holds.clear()

    return end


def _stopped(world: World, _fault: Fault) -> Release:
    return world.tcu.clock_stopped.hold(world.tcu.utc_s)


def _jumps(world: World, fault: Fault) -> Release:
    return world.tcu.clock_jumps.hold(fault.param("seconds", SECONDS.default))


def _wrong(world: World, fault: Fault) -> Release:
    return world.tcu.clock_wrong.hold(fault.param("weeks", WEEKS.default) * 7 * 86_400)


MODES: tuple[Mode, ...] = (
    Mode("power.reset", "the ECU's supply is cut", POWER, reset, capability="power.dip"),
    Mode("power.dip", "the ECU's supply falls to V (a brown-out)", POWER, _dip, (DIP,), capability="power.dip"),
    Mode("power.low_8v4", "the ECU's supply falls to 8.4 V", POWER, _low, capability="power.dip"),
    Mode(
        "power.double_reset",
        "the ECU's supply is cut, comes back, and is cut again in the boot",
        POWER,
        _double,
        (FIRST, UP),
        capability="power.dip",
    ),
    Mode(
        "power.cut_in_write",
        "the ECU's supply is cut exactly before a write to its memory",
        POWER,
        lambda w, f: w.cuts.wait(f.param("writes", WRITES.default)),
        (WRITES,),
        capability="memory.step",
    ),
    Mode("power.tcu_clock_stopped", "the telematics unit's wall clock stands still", frozenset(), _stopped),
    Mode(
        "power.tcu_clock_jumps",
        "the telematics unit's wall clock jumps to and fro",
        frozenset(),
        _jumps,
        (SECONDS,),
    ),
    Mode("power.tcu_clock_wrong", "the telematics unit's wall clock is wrong by weeks", frozenset(), _wrong, (WEEKS,)),
)
