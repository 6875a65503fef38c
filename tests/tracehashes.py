"""Prints the trace hashes of some scenarios, a line each: run in several processes, to be compared."""

from __future__ import annotations

import sys

from hardware.vehicle import emulated_model
from rig.scenario import Attack, Carry, Fault, Intent, Scenario
from tests.randomscenarios import KINDS, scenario

EVERYTHING = Scenario(
    seed=99,
    carry=Carry(session="warm"),
    phase_us=123_456,
    timeline=(
        Fault("can.log_flood", 0, 2_000_000),
        Fault("credential.lifetime_past", 500_000, 20_000_000),
        Attack("hold_cloud", 1_000_000, (("delay_ms", 9_000),)),
        Fault("bluetooth.lost_after_write", 1_000_000, 8_000_000),
        Intent("unlock", 1_500_000),
        Fault("server.429", 9_000_000, 12_000_000),
        Attack("replay_bluetooth", 15_000_000),
        Fault("power.dip", 20_000_000, 20_700_000, (("mv", 6000),)),
        Intent("lock", 33_000_000, "cloud"),
        Attack("forge_key_cloud", 50_000_000),
    ),
)
"""Every actor and every source of randomness in one run."""


def scenarios() -> list[Scenario]:
    """A dozen that were drawn, and one with everything."""
    return [EVERYTHING, *(scenario(seed) for seed in range(2 * KINDS))]


def hashes() -> list[str]:
    """Their trace hashes, each from a world of its own."""
    return [emulated_model().run(one).hash() for one in scenarios()]


if __name__ == "__main__":
    sys.stdout.write("\n".join(hashes()) + "\n")
