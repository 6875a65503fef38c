"""results.json: what a campaign found out, as one document that every view is made from.

Plain data with readers and writers; decides nothing but the overall verdict.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

FORMAT = "unlock-rig/results/1"


class Verdict(StrEnum):
    """The campaign as a whole."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 inconclusive or error."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1}.get(self, 2)


@dataclass(frozen=True, slots=True)
class RequirementResult:
    """One requirement over the whole campaign.

    Attributes:
        outcomes: how often it came to each outcome, vacuous ones included.
        tightest_ms: the smallest margin to the limit among passes; None if it has no limit in time.
    """

    id: str
    text: str
    limit: str
    verdict: str
    outcomes: dict[str, int]
    tests: int
    tightest_ms: float | None
    tightest_text: str


@dataclass(frozen=True, slots=True)
class FailureResult:
    """One failed requirement with its shrunk scenario."""

    requirement: str
    demand: str
    test: str
    bench: str
    text: str
    entries: int
    scenario_file: str
    picture_file: str
    replay: str
    trace_hash: str


@dataclass(frozen=True, slots=True)
class RowResult:
    """One run of one row at `wire`; of several runs the last conclusive one counts."""

    name: str
    run: int
    outcome: str
    text: str
    seconds: float
    trace_hash: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """A test that was not executed or not decided, and why."""

    test: str
    reason: str


@dataclass(frozen=True, slots=True)
class Results:
    """The whole document."""

    verdict: str
    why: str
    bench: str
    dut: str
    defect: str | None
    seed: int
    again: str
    started: str
    seconds: float
    versions: dict[str, str]
    runs: int
    simulated_s: float
    tests: dict[str, int]
    requirements: list[RequirementResult]
    cells_required: int
    cells_missing: list[str]
    failures: list[FailureResult]
    rows: list[RowResult]
    skipped: list[NotRun]
    undecided: list[NotRun]
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Readable JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads a results.json.

        Raises:
            ResultsError: it cannot be read, or is of another format.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path}: cannot be read as results ({error})") from None
        if not isinstance(raw, dict) or raw.pop("format", None) != FORMAT:
            raise ResultsError(f'{path}: is not of format "{FORMAT}"')
        try:
            return cls(
                **{
                    **raw,
                    "requirements": [RequirementResult(**r) for r in raw["requirements"]],
                    "failures": [FailureResult(**f) for f in raw["failures"]],
                    "rows": [RowResult(**r) for r in raw["rows"]],
                    "skipped": [NotRun(**n) for n in raw["skipped"]],
                    "undecided": [NotRun(**n) for n in raw["undecided"]],
                }
            )
        except (KeyError, TypeError) as error:
            raise ResultsError(f"{path}: a field is missing or not known ({error})") from None


class ResultsError(ValueError):
    """A results file that cannot be used; names the file and why."""
