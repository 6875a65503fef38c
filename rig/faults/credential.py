"""Keys that ask for what they may not have, and keys that have changed."""

from __future__ import annotations

from rig.faults.mode import Mode

MODES: tuple[Mode, ...] = (
    Mode(
        "credential.lifetime_zero",
        "another enrolled key signs unlock commands that expire at 0",
        frozenset(),
        lambda w, f: w.valet.misbehave("zero"),
    ),
    Mode(
        "credential.lifetime_past",
        "another enrolled key signs unlock commands that expired 10 s ago",
        frozenset(),
        lambda w, f: w.valet.misbehave("past"),
    ),
    Mode(
        "credential.lifetime_long",
        "another enrolled key signs unlock commands that live 60 s",
        frozenset(),
        lambda w, f: w.valet.misbehave("long"),
    ),
)
