"""Causes that take several things at once."""

from __future__ import annotations

from rig.faults.mode import Mode

MODES: tuple[Mode, ...] = ()
