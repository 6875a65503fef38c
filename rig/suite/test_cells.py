"""Every path against every failure mode: it works while a foreign mode holds, and again after one of its own.

One small scenario a cell; a cell without evidence fails the suite.
"""

from __future__ import annotations

import pytest

from fixtures.prover import Prover
from rig.faults import CATALOGUE, PATHS
from rig.scenario import Carry, Fault, Intent, Scenario, Via, Want

VIA: dict[str, Via] = {"card": "card", "bluetooth": "bluetooth", "cloud": "cloud"}
HOLDS_US = 3_000_000
HEALED_US = 10_500_000
"""AVL-6 gives a path 10 s to recover."""
RETRY_AFTER_US = 3_000_000


def foreign() -> list[tuple[str, str]]:
    """(path, mode) where the path does not need what the mode breaks."""
    return [(p, m.name) for p in PATHS for m in CATALOGUE.values() if not m.breaks_path(p)]


def own() -> list[tuple[str, str]]:
    """(path, mode) where it does, and the mode can end."""
    return [(p, m.name) for p in PATHS for m in CATALOGUE.values() if m.breaks_path(p) and not m.state]


def labels(cell: tuple[str, str]) -> str:
    """Names a cell."""
    return f"{cell[0]}-{cell[1]}"


@pytest.mark.requirement("AVL-2", "AVL-3", "AVL-4", "AVL-5")
@pytest.mark.parametrize("cell", foreign(), ids=labels)
def test_path_works_while_a_foreign_mode_holds(prove: Prover, cell: tuple[str, str]) -> None:
    """Unlocks, from a cold and from a warm session."""
    path, mode = cell
    for session in ("cold", "warm"):
        prove(
            Scenario(
                carry=Carry(session=session),
                timeline=(Fault(mode, 0, None), Intent("unlock", HOLDS_US, VIA[path])),
            )
        )


@pytest.mark.requirement("AVL-2", "AVL-3", "AVL-4", "AVL-8", coverage="partial")
@pytest.mark.parametrize("cell", own(), ids=labels)
def test_path_works_again_after_its_own_mode_ended(prove: Prover, cell: tuple[str, str]) -> None:
    """The mode holds for a while; 10 s after its end (power: 1.0 s) the path is asked."""
    path, mode = cell
    healed_us = HEALED_US + (RETRY_AFTER_US if mode == "server.429" else 0)
    waits = (1_000_000, healed_us) if mode.startswith("power.") else (healed_us,)
    for wait_us in waits:
        prove(Scenario(timeline=(Fault(mode, 0, HOLDS_US), Intent("unlock", HOLDS_US + wait_us, VIA[path]))))


@pytest.mark.requirement("AVL-13")
@pytest.mark.requirement("AVL-10", "AVL-5", coverage="partial")
@pytest.mark.parametrize("cell", foreign(), ids=labels)
def test_path_locks_while_a_foreign_mode_holds(prove: Prover, cell: tuple[str, str]) -> None:
    """A tap locks only if the last unlock (here: being ready) is over 10 s old."""
    path, mode = cell
    at_us = 12_000_000 if path == "card" else HOLDS_US
    want: Want = "lock"
    prove(Scenario(doors="unlocked", timeline=(Fault(mode, 0, None), Intent(want, at_us, VIA[path]))))


@pytest.mark.requirement("AVL-5", "AVL-13", coverage="partial")
@pytest.mark.parametrize("cell", foreign(), ids=labels)
def test_a_movement_just_made_slows_nothing(prove: Prover, cell: tuple[str, str]) -> None:
    """Opens on a path and locks again soon after, while a foreign mode holds."""
    path, mode = cell
    second: Via = "bluetooth" if path == "card" else VIA[path]
    if CATALOGUE[mode].breaks_path(second):
        second = "cloud"
    prove(
        Scenario(
            carry=Carry(session="warm"),
            timeline=(
                Fault(mode, 0, None),
                Intent("unlock", HOLDS_US, VIA[path]),
                Intent("lock", HOLDS_US + 4_000_000, second),
            ),
        )
    )
