"""Long lives: a state machine of drivers, guests, key changes, resets, failures, attackers and days that pass.

Each life is told as one scenario and then lived in virtual time.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from fixtures.prover import Prover
from rig.faults import CATALOGUE
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, Session, Via, Want, Who
from rig.world.attacker import KINDS

S = 1_000_000
HOUR_US = 3600 * S
MODES = [m.name for m in CATALOGUE.values() if not m.state]
VIAS: tuple[Via, ...] = ("bluetooth", "cloud", "card", "ladder")
PHONE: tuple[Via, ...] = ("bluetooth", "cloud")
LIVES = 60
STEPS = 14


class Life(RuleBasedStateMachine):
    """What happens to one car, told entry by entry."""

    def __init__(self, prove: Prover) -> None:
        super().__init__()
        self._prove = prove
        self._now_us = 500_000
        self._entries: list[Entry] = []
        self._carry = Carry()

    @initialize(session=st.sampled_from(("cold", "warm")))
    def begin(self, session: Session) -> None:
        """The driver's phone knows the car, or not yet."""
        self._carry = Carry(session=session)

    @rule(want=st.sampled_from(("unlock", "lock")), via=st.sampled_from(VIAS), pause_s=st.integers(2, 45))
    def driver_wishes(self, want: Want, via: Via, pause_s: int) -> None:
        """The driver wants in, or locks."""
        self._add(Intent(want, self._now_us, via), pause_s)

    @rule(via=st.sampled_from(PHONE), pause_s=st.integers(2, 130))
    def driver_drives(self, via: Via, pause_s: int) -> None:
        """The driver wants to drive."""
        self._add(Intent("drive", self._now_us, via), pause_s)

    @rule(want=st.sampled_from(("unlock", "lock")), via=st.sampled_from(PHONE), pause_s=st.integers(2, 45))
    def guest_wishes(self, want: Want, via: Via, pause_s: int) -> None:
        """The guest does, whether they still may or not."""
        who: Who = "guest"
        self._add(Intent(want, self._now_us, via, who), pause_s)

    @rule(
        change=st.sampled_from(("revoke", "disable", "demote", "enrol")),
        via=st.sampled_from(PHONE),
        pause_s=st.integers(3, 20),
    )
    def owner_changes_the_guests_key(self, change: Want, via: Via, pause_s: int) -> None:
        """The key is taken away, or given back."""
        self._add(Intent(change, self._now_us, via), pause_s)

    @rule(length_ms=st.integers(1, 3_000), pause_s=st.integers(1, 15))
    def reset(self, length_ms: int, pause_s: int) -> None:
        """The supply goes away for a moment."""
        self._add(Fault("power.reset", self._now_us, self._now_us + length_ms * 1000), pause_s)

    @rule(mode=st.sampled_from(MODES), length_ms=st.integers(10, 40_000), pause_s=st.integers(0, 12))
    def something_fails(self, mode: str, length_ms: int, pause_s: int) -> None:
        """For a while."""
        self._add(Fault(mode, self._now_us, self._now_us + length_ms * 1000), pause_s)

    @rule(kind=st.sampled_from(sorted(KINDS)), pause_s=st.integers(0, 12))
    def attacker_moves(self, kind: str, pause_s: int) -> None:
        """Somebody tries."""
        self._add(Attack(kind, self._now_us), pause_s)

    @rule(hours=st.integers(1, 48))
    def time_passes(self, hours: int) -> None:
        """The car stands, and sleeps."""
        self._now_us += hours * HOUR_US

    def _add(self, entry: Entry, pause_s: int) -> None:
        self._entries.append(entry)
        self._now_us += pause_s * S

    def teardown(self) -> None:
        """Lives what was told."""
        if self._entries:
            self._prove(Scenario(carry=self._carry, timeline=tuple(self._entries)))


@pytest.mark.requirement("AVL-6", "AVL-8", "AVL-12", "SEC-2", "SEC-5", "SEC-10", "SAF-3", coverage="partial")
def test_long_lives(prove: Prover) -> None:
    """No life ends with somebody locked out, or somebody in who should not be."""
    # Hypothesis asks for a class, and takes whatever makes a machine.
    machine = cast(type[RuleBasedStateMachine], partial(Life, prove))
    how = settings(
        max_examples=LIVES, stateful_step_count=STEPS, deadline=None, report_multiple_bugs=False,
        # A life that fails is shrunk by the rig, as every scenario is.
        phases=(Phase.explicit, Phase.generate),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=how)
