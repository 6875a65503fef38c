"""Cards in an attacker's hand: unknown, another car's, one that plays a recorded answer, the driver's for a moment.

Has no key of an enrolled card; the driver's own is torn away before it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from rig.protocol.keycard import SW_OK, CardKey
from rig.sim.card import Card

if TYPE_CHECKING:
    from rig.world.world import World

HELD_US = 700_000
"""How long a card is held to the reader: several polls and a slow card."""
TORN_US = 1_000
"""A card that is torn away leaves the field so soon after the challenge came, before it can answer."""
ANSWER_BYTES = 16


class RecordedCard(Card):
    """Has the uid and public key of the driver's card, and answers every challenge with what that card said once."""

    def __init__(self, of: Card, recorded: Callable[[], bytes]) -> None:
        super().__init__(of.key)
        self._recorded = recorded

    def _authenticate(self, data: bytes, rng: Random) -> bytes:
        return self._recorded()


class Tapper:
    """Holds cards to the reader."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._answers: list[bytes] = []

    def listen(self) -> None:
        """Records what the driver's and the guest's card answer from now on."""
        self._world.card.overheard = self._world.guest_card.overheard = self._answers.append

    def tap(self, index: int, kind: str, held_us: int = HELD_US) -> str:
        """Holds a card to the reader for a while; what came of it.

        Args:
            index: number of the move.
            kind: unknown, foreign, replay or torn.
            held_us: for how long.
        """
        world = self._world
        if kind == "unknown":
            card = Card(CardKey.from_seed(b"nobody's card %d" % index))
        elif kind == "foreign":
            card = world.foreign_card
        elif kind == "torn":
            card = world.card
        elif self._answers:
            last = self._answers[-1]
            card = RecordedCard(world.card, lambda: last)
        else:
            made_up = world.rng("tapper").randbytes(ANSWER_BYTES) + SW_OK
            card = RecordedCard(world.card, lambda: made_up)
        if card in world.reader.field:
            return "the card is at the reader already"
        if kind == "torn":
            card.challenged = lambda: world.kernel.after(TORN_US, self._away, index, kind, card)
        world.reader.place(card)
        world.log("tap", -1 - index, kind)
        world.kernel.after(held_us, self._away, index, kind, card)
        world.outlast(held_us)
        return "held to the reader"

    def _away(self, index: int, kind: str, card: Card) -> None:
        # Also if its owner has taken it away meanwhile: the next tap is the owner's own.
        card.challenged = None
        if card in self._world.reader.field:
            self._world.reader.remove(card)
            self._world.log("untap", -1 - index, kind)
