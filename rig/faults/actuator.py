"""Lock motors, latches and their feedback."""

from __future__ import annotations

from rig.faults.mode import Mode

MODES: tuple[Mode, ...] = ()
