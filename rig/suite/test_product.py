"""Every combination of failure modes of server, network and Bluetooth: the driver gets in.

The full product, enumerated, each with a cold and a warm session, with and without a card.
"""

from __future__ import annotations

import pytest

from fixtures.prover import Prover
from rig.generate import class_combinations, ladder
from rig.scenario import Carry

COMBINATIONS = class_combinations()
Combination = tuple[str | None, str | None, str | None]


def name_of(combination: tuple[str | None, ...]) -> str:
    """The modes of a combination, joined."""
    return "+".join(mode for mode in combination if mode is not None) or "healthy"


@pytest.mark.requirement("AVL-1", "AVL-2", "AVL-3", "AVL-10", "SEC-5", "SAF-3", "STA-1", coverage="partial")
@pytest.mark.parametrize("combination", COMBINATIONS, ids=name_of)
def test_driver_gets_in(prove: Prover, combination: Combination) -> None:
    """Modes that hold from before the wish until long after it."""
    place = COMBINATIONS.index(combination)
    spells = [(0, None)] * 3
    for number, driver in enumerate(
        Carry(session=session, card=card) for session in ("cold", "warm") for card in (True, False)
    ):
        # Every run begins at another phase of the idle cycles.
        phase_us = (place * 4 + number) * 1_667 % 1_000_000
        prove(ladder(combination, spells, driver, 100_000, phase_us))
