"""A card that somebody tore away works again in its owner's hand."""

from __future__ import annotations

from hardware.vehicle import emulated_model
from rig.scenario import Attack, Intent, Scenario
from rig.trace import number


def test_a_torn_card_whose_owner_taps_at_the_same_time_is_not_torn_later() -> None:
    scenario = Scenario(timeline=(Attack("tap_torn", 0), Intent("lock", 0, "card")))
    result = emulated_model().judge(scenario)
    assert not result.judgement.failures
    assert sum(e[1] == "untap" and number(e, 2) == -1 for e in result.trace.events) <= 1
