"""The DUT's source of randomness."""

from __future__ import annotations

from rig.faults.mode import Mode

MODES: tuple[Mode, ...] = (
    Mode(
        "random.fails",
        "the ECU's random source gives the same over and over",
        frozenset({"random"}),
        lambda w, f: w.random_stuck.hold(),
        capability="dut.random",
    ),
)
