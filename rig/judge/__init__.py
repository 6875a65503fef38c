"""The judge: from a scenario and its trace to a verdict per requirement; pure, and blind to the DUT's code."""

from rig.judge.judge import judge
from rig.judge.verdicts import Cell, Outcome, Verdict

__all__ = ["Cell", "Outcome", "Verdict", "judge"]
