"""Lock motors, latches and their feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault
from rig.world.repeating import repeat

if TYPE_CHECKING:
    from rig.world.world import World

DOOR = Param("door", "0 all, 1 FL, 2 FR, 3 RL, 4 RR", 0, 0, 4)
ONE_DOOR = Param("door", "1 FL, 2 FR, 3 RL, 4 RR", 1, 1, 4)
PULSES = Param("pulses", "pulses", 1, 1, 2)
MANY = Param("pulses", "pulses", 3, 3, 30)
LONGER = Param("ms", "ms", 100, 20, 600)
LATE = Param("ms", "ms", 60, 1, 1000)
CHATTER_US = 500_000
CONTACTS, CONTACT_US = 6, 3_000
"""A worn switch closes so often within a few ms."""
ACTUATOR = frozenset({"actuator"})


def _ails(name: str, text: str, kind: str, *params: Param, door: Param = DOOR, harmless: bool = False) -> Mode:
    def begin(world: World, fault: Fault) -> Release:
        value = fault.param(params[0].name, params[0].default) if params else 0
        return world.plant.ail(kind, fault.param("door", door.default), value)

    breaks = frozenset() if harmless else ACTUATOR
    degrades = kind in ("slow", "late")
    return Mode(f"actuator.{name}", text, breaks, begin, (*params, door), degrades=degrades)


def _chatter(world: World, fault: Fault) -> Release:
    door = tuple(world.plant.latches)[fault.param("door", ONE_DOOR.default) - 1]

    def contacts() -> None:
        for number in range(CONTACTS):
            world.kernel.after(number * CONTACT_US, world.plant.pull_handle, door, number % 2 == 0)

    return repeat(world.kernel, CHATTER_US, contacts)


MODES: tuple[Mode, ...] = (
    _ails("pulses_stuck", "the first one or two motor pulses of each movement stick", "stick", PULSES, harmless=True),
    _ails("motor_stuck", "the first three or more motor pulses of each movement stick", "stick", MANY),
    _ails("slow", "a latch needs longer than a pulse, and goes on with the next", "slow", LONGER),
    _ails("door_frozen", "a door does not move", "freeze", door=ONE_DOOR),
    _ails("feedback_lost", "a latch does not report", "lost"),
    _ails("feedback_late", "a latch reports late", "late", LATE),
    _ails("feedback_stuck", "a latch goes on reporting what it reported last", "stuck"),
    _ails("feedback_stale", "a latch reports what it should have reported the time before", "stale"),
    Mode("actuator.handle_chatter", "a handle's switch chatters", frozenset(), _chatter, (ONE_DOOR,)),
)
