"""The trace matrix: requirement by test, with outcome, gap and waiver; as rows, as CSV, and in a few words a line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.traceability.gaps import Gap
from reports.traceability.links import PLANNED, Shown, TracedTest
from reports.traceability.waivers import Waiver, Weighed
from rig.judge.requirements import Requirement

COLUMNS = (
    "requirement", "text", "source", "limit", "retired", "asked", "test", "coverage", "outcome", "why",
    "gaps", "waivers",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement with one test that cites it; either side may be missing, which is what the row then shows.

    Attributes:
        asked: judged runs of the search that asked for the requirement; None if nothing was run.
        gaps: what is missing, in words; of the requirement on its first row, of a test on its own.
        waivers: who answers for it.
    """

    requirement: str
    text: str
    source: str
    limit: str
    retired: str
    asked: int | None
    test: str
    coverage: str
    outcome: str
    why: str
    gaps: tuple[str, ...]
    waivers: tuple[str, ...]


def rows(
    requirements: Mapping[str, Requirement],
    tests: Sequence[TracedTest],
    weighed: Weighed,
    shown: Shown | None = None,
) -> list[Row]:
    """The matrix: requirements in their order with their tests, then unknown ids, then tests that cite nothing."""
    citing: dict[str, list[TracedTest]] = {name: [] for name in requirements}
    rest: list[tuple[str, TracedTest]] = []
    for test in tests:
        for link in test.links:
            if link.requirement in citing:
                citing[link.requirement].append(test)
            else:
                rest.append((link.requirement, test))
        if not test.links:
            rest.append(("", test))
    missing = _Missing(weighed)
    table: list[Row] = []
    for name, requirement in requirements.items():
        asked = None if shown is None else shown.asked.get(name, 0)
        said = (requirement.text, requirement.source, requirement.limit_text, requirement.retired)
        for number, one in enumerate(citing[name] or [None]):
            gaps = missing.of(name, one, whole=number == 0)
            table.append(Row(name, *said, asked, *_of_test(name, one), *gaps))
    for name, test in rest:
        table.append(Row(name, "", "", "", "", None, *_of_test(name, test), *missing.of(name, test, whole=False)))
    return table


def _of_test(requirement: str, test: TracedTest | None) -> tuple[str, str, str, str]:
    if test is None:
        return "", "", "", ""
    return test.name, test.cites(requirement) or "", test.outcome, test.why or test.no_requirement or ""


class _Missing:
    """Gaps by what they are about, with who answers for them."""

    def __init__(self, weighed: Weighed) -> None:
        self._gaps: dict[tuple[str, str], list[tuple[Gap, Waiver | None]]] = {}
        for gap in weighed.open:
            self._gaps.setdefault((gap.requirement, gap.test), []).append((gap, None))
        for gap, waiver in weighed.waived:
            self._gaps.setdefault((gap.requirement, gap.test), []).append((gap, waiver))

    def of(
        self, requirement: str, test: TracedTest | None, *, whole: bool
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Gaps and waivers of a row: those of the test, and with `whole` those of the requirement as such."""
        found = list(self._gaps.get((requirement, ""), ())) if whole else []
        if test is not None:
            found += self._gaps.get((requirement, test.name), ())
        return tuple(str(g.kind) for g, _ in found), tuple(w.text for _, w in found if w is not None)


def to_csv(table: Sequence[Row]) -> str:
    """trace.csv: a line for every pair, RFC 4180, with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in table:
        asked = "" if row.asked is None else str(row.asked)
        said = (row.requirement, row.text, row.source, row.limit, row.retired, asked)
        test = (row.test, row.coverage, row.outcome, row.why)
        writer.writerow([_cell(c) for c in (*said, *test, "; ".join(row.gaps), "; ".join(row.waivers))])
    return out.getvalue()


def _cell(text: str) -> str:
    """A cell that a spreadsheet takes for text: one that begins like a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def to_text(
    requirements: Mapping[str, Requirement], tests: Sequence[TracedTest], weighed: Weighed, shown: Shown | None = None
) -> str:
    """A line a requirement: what came of its tests, and what is missing."""
    width = max((len(name) for name in requirements), default=0)
    lines = []
    for name, requirement in requirements.items():
        citing = [t for t in tests if t.cites(name)]
        counts = Counter(t.outcome for t in citing)
        words = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items(), key=_order)) or "no test"
        partial = sum(1 for t in citing if t.cites(name) == "partial")
        if partial:
            words += f" ({partial} of them partial)"
        if shown is not None:
            words += f"; asked in {shown.asked.get(name, 0):,} runs"
        gaps = [str(g.kind) for g in weighed.open if g.requirement == name and not g.test]
        gaps += [f"{g.kind} (waived until {w.expires})" for g, w in weighed.waived if g.requirement == name]
        missing = f"; {'; '.join(gaps)}" if gaps else ""
        retired = "; retired" if requirement.retired else ""
        lines.append(f"{name:<{width}}  {words}{retired}{missing}")
    return "\n".join(lines)


def _order(count: tuple[str, int]) -> tuple[bool, str]:
    return count[0] != PLANNED, count[0]
