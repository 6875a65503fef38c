"""Planted defects: ECUs that are wrong in one part, each to be caught by the suite.

Every defect is an override of one part, chosen by name when an ECU is built; the parts know nothing of them.
A file for each theme.
"""

from __future__ import annotations

from collections.abc import Mapping

from hardware.ecu.build import Build
from hardware.ecu.defects import (
    availability,
    cards,
    endurance,
    freshness,
    inputs,
    keys,
    motion,
    truth,
    vehicle,
)

_THEMES = (availability, cards, endurance, motion, freshness, keys, inputs, vehicle, truth)

DEFECTS: Mapping[str, Build] = {build.name: build for theme in _THEMES for build in theme.ALL}
"""By name."""
