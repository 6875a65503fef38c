"""Whatever goes at whichever step of a Bluetooth dialogue: the driver gets in, knows the truth, and the next try works.

Each step is met by what takes the link, the phone or the module away from there on.
"""

from __future__ import annotations

import pytest

from fixtures.prover import Prover
from rig.faults import STEPS
from rig.scenario import Carry, Fault, Intent, Scenario

MODES = (
    "bluetooth.link_lost",
    "bluetooth.radio_off",
    "bluetooth.out_of_range",
    "bluetooth.answer_lost",
    "bluetooth.car_radio_off",
    "bluetooth.controller_reset",
    "bluetooth.stack_stuck",
    "bluetooth.module_dead",
    "phone.app_killed",
    "phone.locked_after_reboot",
)
WISH_US = 1_000_000
BACK_US = 8_000_000
"""When a failure that ends does so: in the middle of the ladder."""
AGAIN_US = 33_000_000
"""The next wish: after the ladder, and long after a failure that ended."""


@pytest.mark.requirement("AVL-1", "AVL-6", "AVL-10", "AVL-12", "AVL-13", coverage="partial")
@pytest.mark.parametrize("step", [s for s in STEPS if s.startswith("bluetooth.")])
@pytest.mark.parametrize("mode", MODES)
def test_whatever_goes_at_a_step_the_driver_gets_in(prove: Prover, mode: str, step: str) -> None:
    """With and without a session; for good, and for a while."""
    for carry in (Carry(session="cold"), Carry(session="warm")):
        for end_us in (None, BACK_US):
            prove(
                Scenario(
                    carry=carry,
                    timeline=(
                        Fault(mode, 0, end_us, step=step),
                        Intent("unlock", WISH_US),
                        Intent("lock", AGAIN_US, "bluetooth"),
                    ),
                )
            )


@pytest.mark.requirement("AVL-12", "AVL-10", coverage="partial")
@pytest.mark.parametrize("mode", ["bluetooth.link_lost", "bluetooth.chunk_lost", "bluetooth.chunk_duplicated"])
@pytest.mark.parametrize("nth", range(1, 6))
def test_half_a_command_hurts_no_later_one(prove: Prover, mode: str, nth: int) -> None:
    """A chunk of a command that is cut, missing or double; the next wish finds nothing of it."""
    prove(
        Scenario(
            timeline=(
                Fault(mode, 0, 3_000_000, step="bluetooth.command_chunk", nth=nth),
                Intent("unlock", WISH_US, "bluetooth"),
                Intent("lock", AGAIN_US, "bluetooth"),
            )
        )
    )
