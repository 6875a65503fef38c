"""What an ECU can be built as besides healthy: with a planted defect, or as another correct ECU.

Knows what a build is; nothing of which there are (`hardware.ecu.registry`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hardware.ecu.core import Parts

Kind = Literal["defect", "variant"]


@dataclass(frozen=True, slots=True)
class Build:
    """One way to build the emulated ECU.

    Attributes:
        name: as on the command line.
        text: what this ECU does differently, to follow the words "the ECU".
        requirements: the ids (shared by suite and report) of which at least one must fail; none for a variant.
        build: makes its parts of the healthy ones.
        kind: a defect must be found, a variant is correct and must pass everything.
    """

    name: str
    text: str
    requirements: tuple[str, ...]
    build: Callable[[Parts], Parts]
    kind: Kind = "defect"


def variant(name: str, text: str, build: Callable[[Parts], Parts]) -> Build:
    """A correct ECU that takes other legal choices."""
    return Build(name, text, (), build, "variant")
