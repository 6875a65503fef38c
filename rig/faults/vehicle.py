"""States of the vehicle and legitimate acts: conditions under which failures happen, no failures themselves."""

from __future__ import annotations

from rig.faults.mode import Mode

MODES: tuple[Mode, ...] = ()
