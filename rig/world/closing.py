"""The end of a run: every failure is healed, and after a while every way in is asked once more.

Knows which paths a driver would still have; judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rig.faults import CATALOGUE, NEEDS
from rig.scenario import Intent, Via, Want

if TYPE_CHECKING:
    from rig.world.world import World

RECOVERY_S = 10.0
"""AVL-6: this long after the last failure every path works again."""
BETWEEN_S = 0.5
PHONE_PATHS: tuple[Via, ...] = ("bluetooth", "cloud")


async def close(world: World) -> None:
    """Heals what still fails, waits, and has the driver use every path that no lasting state takes away."""
    waits_s = world.heal()
    world.log("healed")
    await world.kernel.sleep(RECOVERY_S + waits_s)
    lasting = {
        need for fault in world.scenario.faults if CATALOGUE[fault.mode].state for need in CATALOGUE[fault.mode].breaks
    }
    phone = [path for path in PHONE_PATHS if not NEEDS[path] & lasting]
    card = world.scenario.carry.card and not NEEDS["card"] & lasting
    unlocked = all(state == "U" for state in world.plant.latches.values())
    number = len(world.scenario.intents)
    for path, want in plan(phone, card, unlocked):
        await world.driver.pursue(number, Intent(want, 0, path))
        await world.kernel.sleep(BETWEEN_S)
        number += 1


def plan(phone: Sequence[Via], card: bool, unlocked: bool) -> list[tuple[Via, Want]]:
    """Which path wishes what, so that each one moves the locks, and a card need not lock (which takes 10 s)."""
    wants: tuple[Want, Want] = ("lock", "unlock") if unlocked else ("unlock", "lock")
    if not card:
        return [(path, wants[place % 2]) for place, path in enumerate(phone)]
    if not phone:
        return [("card", wants[0])]
    turns = list(phone)
    # The card's turn comes when the doors are locked.
    turns.insert(1 if unlocked else len(phone) // 2 * 2, "card")
    return [(path, wants[place % 2]) for place, path in enumerate(turns)]
