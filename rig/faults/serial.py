"""The serial line to the card reader, the reader, and cards that behave badly."""

from __future__ import annotations

from rig.faults.mode import Mode

MODES: tuple[Mode, ...] = ()
