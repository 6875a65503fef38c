"""Verdicts, as the judge gives them; the words are TTCN-3's, with *vacuous* and the conditional ones added."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What one requirement came to in one run."""

    PASS = "pass"
    CONDITIONAL_PASS = "conditional pass"
    VACUOUS = "vacuous"
    CONDITIONAL_FAIL = "conditional fail"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ERROR = "error"
    NOT_RUN = "not run"

    @property
    def good(self) -> bool:
        """The requirement was asked, and held."""
        return self in (Outcome.PASS, Outcome.CONDITIONAL_PASS)


WORST_FIRST = (
    Outcome.FAIL,
    Outcome.ERROR,
    Outcome.INCONCLUSIVE,
    Outcome.CONDITIONAL_FAIL,
    Outcome.CONDITIONAL_PASS,
    Outcome.PASS,
    Outcome.NOT_RUN,
    Outcome.VACUOUS,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Evidence that a path worked while a foreign mode held, or again after a mode of its own had ended."""

    path: str
    mode: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One requirement in one run.

    Attributes:
        requirement: its id, such as "AVL-2".
        outcome: what came of it.
        text: why, in one sentence with the figures.
        value_us: what was measured, if it was a time.
        limit_us: the limit it was held against.
        at_us: where in the trace to look.
    """

    requirement: str
    outcome: Outcome
    text: str = ""
    value_us: int | None = None
    limit_us: int | None = None
    at_us: int | None = None

    @property
    def margin_us(self) -> int | None:
        """How much was left to the limit; negative if it was missed."""
        if self.value_us is None or self.limit_us is None:
            return None
        return self.limit_us - self.value_us


def within(requirement: str, value_us: int, limit_us: int, u_us: int, at_us: int, what: str) -> Verdict:
    """Holds a measured time against its limit, with the bench's uncertainty `u_us` on both sides of it."""
    if value_us <= limit_us - u_us:
        outcome = Outcome.PASS
    elif value_us <= limit_us:
        outcome = Outcome.CONDITIONAL_PASS if u_us else Outcome.PASS
    elif value_us <= limit_us + u_us:
        outcome = Outcome.CONDITIONAL_FAIL if u_us else Outcome.FAIL
    else:
        outcome = Outcome.FAIL
    text = f"{what} after {value_us / 1e6:.3f} s, limit {limit_us / 1e6:.3f} s"
    return Verdict(requirement, outcome, text, value_us, limit_us, at_us)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The one that counts of several in a run: the worst, and of equals the tightest."""
    return min(
        verdicts,
        key=lambda v: (WORST_FIRST.index(v.outcome), v.margin_us if v.margin_us is not None else 1 << 60),
    )
