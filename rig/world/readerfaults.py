"""What befalls the reader and the cards held to it, several things at once and overlapping.

Knows nothing of the line between reader and DUT.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.protocol.keycard import CardKey
from rig.sim.card import ANSWER_US
from rig.sim.reader import Card, Pn532Reader
from rig.world.gates import Gate


class ReaderFaults:
    """Sets the reader and the drivers' cards to what holders of faults leave of them.

    Args:
        reader: the reader.
        cards: those of driver and guest.
        unsettled: told when the reader begins or ceases to fail.

    Attributes:
        torn: held while cards leave in the middle of an exchange.
        two: held while a second card comes with every other.
    """

    def __init__(self, reader: Pn532Reader, cards: tuple[Card, ...], unsettled: Callable[[], None]) -> None:
        self._reader = reader
        self._cards = cards
        self._unsettled = unsettled
        self._other = Card(CardKey.from_seed(b"a card that lies in the same purse"))
        self._fails: list[str] = []
        self._slow_us: list[int] = []
        self.torn: Gate = Gate()
        self.two: Gate = Gate()
        self.torn.watch(self._tear)
        self.two.watch(self._pair)

    def fails(self, how: str) -> Callable[[], None]:
        """The reader fails so (`Pn532Reader.fails`) until the function returned is called; dead goes before all."""
        self._fails.append(how)
        self._apply()

        def end() -> None:
            if how in self._fails:
                self._fails.remove(how)
                self._apply()

        return end

    def slow(self, ms: int) -> Callable[[], None]:
        """Cards need so long for their answer until the function returned is called; the slowest counts."""
        self._slow_us.append(ms * 1000)
        self._apply_slow()

        def end() -> None:
            self._slow_us.remove(ms * 1000)
            self._apply_slow()

        return end

    def _apply(self) -> None:
        how = "dead" if "dead" in self._fails else self._fails[-1] if self._fails else ""
        if how != self._reader.fails:
            self._reader.fail(how)
        self._unsettled()

    def _apply_slow(self) -> None:
        for card in self._cards:
            card.answer_delay_us = max(self._slow_us, default=ANSWER_US)

    def _tear(self, on: bool) -> None:
        self._reader.tears = (lambda card: card is not self._other) if on else None

    def _pair(self, on: bool) -> None:
        if on:
            self._reader.companion = self._other
            if self._reader.field:
                self._reader.place(self._other)
        else:
            self._reader.remove(self._other)
            self._reader.companion = None
