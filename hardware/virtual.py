"""Scenarios in virtual time: with models on the outer links, or with real protocol stacks.

Knows which fidelity needs what installed; knows nothing of real lines.
"""

from __future__ import annotations

from hardware.benchfile import BenchError
from hardware.vehicle import emulated_model
from rig.model import Model


def virtual_model(fidelity: str, defect: str | None = None) -> Model:
    """Scenarios against the emulated ECU in process, in virtual time.

    Args:
        fidelity: a bench's; "stack" puts real stacks on the outer links, whatever else models.
        defect: name of a planted defect, or None for the healthy ECU.

    Raises:
        BenchError: the stacks are not installed.
    """
    if fidelity != "stack":
        return emulated_model(defect)
    try:
        from hardware.fullstack import full_stack  # noqa: PLC0415  # its libraries are optional
    except ModuleNotFoundError as error:
        raise BenchError(
            None, None, f"real stacks on the outer links: {error.name} is not installed",
            "pip install 'unlock-rig[links,bluetooth]'",
        ) from None  # fmt: skip
    return full_stack(defect)
