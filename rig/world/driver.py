"""The driver and the guest: wishes, and the ladder of ways in: phone, then the door handle, then the card.

Each sees only what a person sees: what the phone says, and whether the door opens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.scenario import Intent
from rig.trace import word

if TYPE_CHECKING:
    from rig.world.world import World

PHONE_WINDOW_US = 10_000_000
"""The phone tries until this long after the wish (requirements: the ladder)."""
HANDLE_US = 10_500_000
"""When the driver stops waiting, pulls the handle and takes the card."""
LADDER_US = 30_000_000
"""When the driver has given up."""
TAP_US = 1_500_000
"""How long a card rests on the reader before the driver takes it away again."""
BETWEEN_TAPS_US = 1_000_000
"""How long until it comes back; the reader wants 500 ms without a card."""
CARD_WINDOW_US = 6_000_000
"""How long a driver with nothing but a card tries."""
BY_CARD = ("unlock", "lock")
"""Wishes that a card can fulfil, and a pull at the handle tells."""
GLANCE_US = 50_000
"""How often the driver looks whether the lock has moved while the card rests."""
JUST_US = 8_000_000
"""Doors that opened within this are not locked by a tap (10 s, vehicle.md section 3)."""
HURRIED_US = 700_000
"""How long a driver taps at doors that the phone has opened a moment before."""


class Driver:
    """Carries out the scenario's intents, the driver's with the driver's phone and card, the guest's with theirs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._with_card = 0

    async def pursue(self, index: int, intent: Intent) -> None:
        """One intent, from the wish to success or giving up."""
        world = self._world
        started = world.kernel.now
        world.log("intent", index, intent.want, intent.via)
        if intent.via == "card":
            await self._tap_until(index, intent, started + CARD_WINDOW_US)
            return
        phone = world.phone if intent.who == "driver" else world.guest
        await phone.pursue(index, intent, started, started + PHONE_WINDOW_US)
        if intent.via != "ladder" or intent.want not in BY_CARD or not world.scenario.carry.card:
            return
        await world.kernel.sleep((started + HANDLE_US - world.kernel.now) / 1e6)
        await self._tap_until(index, intent, started + LADDER_US, pull_first=True)

    async def _tap_until(self, index: int, intent: Intent, until_us: int, pull_first: bool = False) -> None:
        """Pulls the handle and taps, again and again, until the door is as wanted or time is up."""
        world = self._world
        kernel = world.kernel
        pull = pull_first
        while kernel.now + TAP_US <= until_us:
            if pull and self._pull(index, intent.want):
                return
            pull = True
            await self._tap(index, intent)
            await kernel.sleep(BETWEEN_TAPS_US / 1e6)

    def _pull(self, index: int, want: str) -> bool:
        """Pulls the handle for a moment; True if the door is as wanted."""
        is_open = self._world.plant.latches["FL"] == "U"
        self._world.log("handle", index, int(is_open))
        return is_open == (want == "unlock")

    async def _tap(self, index: int, intent: Intent) -> None:
        """Holds the card to the reader; takes it away as soon as the door is as wanted."""
        world = self._world
        kernel = world.kernel
        card = world.card if intent.who == "driver" else world.guest_card
        while self._with_card:
            await kernel.sleep(GLANCE_US / 1e6)
        self._with_card += 1
        try:
            world.reader.place(card)
            world.log("tap", index, intent.who)
            world.log("act", index, "card")
            began = kernel.now
            until = began + TAP_US
            settled = await world.plant_settles("U" if intent.want == "unlock" else "L", until)
            if settled:
                hurried = intent.want == "unlock" and kernel.now == began and self._just_opened()
                await kernel.sleep((HURRIED_US if hurried else GLANCE_US) / 1e6)
        finally:
            world.reader.remove(card)
            world.log("untap", index, intent.who)
            self._with_card -= 1

    def _just_opened(self) -> bool:
        """Whether a door was unlocked within the last seconds."""
        since = self._world.kernel.now - JUST_US
        for event in reversed(self._world.trace.events):
            if event[0] < since:
                return False
            if event[1] == "latch" and word(event, 3) == "U":
                return True
        return False
