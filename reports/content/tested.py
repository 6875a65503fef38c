"""All results: every test on a line, every judged run that did not hold, and the runs on real lines."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from reports.content.evidence import Evidence, count, uncertainty
from reports.document import Block, Code, Column, Gap, Para, Quiet, Section, Table, Text, Word
from reports.results import TestResult

LISTED = 20_000
"""Tests listed one by one; beyond that only those that did not pass are, and results.json has the rest."""
MOST_RUNS = 500
"""Judged runs listed that did not hold; results.jsonl has all."""
EACH = (
    ", each with its scenario and record by hash, with every verdict, measured value, limit, margin and "
    "uncertainty; its "
    "SHA-256 is "
)
HELD = frozenset({"pass", "conditional pass", "vacuous"})


def section(evidence: Evidence) -> Section:
    """Test functions with what they cite, then every case on a line."""
    r = evidence.results
    said = ", ".join(f"{number:,} {outcome}" for outcome, number in r.test_counts.items())
    blocks: list[Block] = [Para(f"{count(len(r.tests), 'test')}" + (f": {said}." if said else "."))]
    functions = _functions(r.tests)
    if functions:
        rows: list[tuple[Text, ...]] = [_function(number, tests) for number, tests in enumerate(functions.values(), 1)]
        columns = (
            Column("no.", "right"), Column("test function, and what it cites", share=1), Column("cases", "right"),
            Column("came to"), Column("time", "right"), Column("judged runs", "right"),
        )  # fmt: skip
        blocks.append(Table(columns, rows, "Test functions, in the order they were run"))
    listed = r.tests if len(r.tests) <= LISTED else [t for t in r.tests if t.outcome != "pass"]
    if len(listed) < len(r.tests):
        text = (
            f"Of {len(r.tests):,} tests the {len(listed):,} that did not pass are listed; results.json, which the PDF "
            "carries inside, has all of them."
        )
        blocks.append(Para(text))
    if listed:
        blocks.append(_cases(listed, list(functions)))
    return Section("results", "Results", tuple(blocks), (_runs(evidence), *_rows(evidence)))


def _functions(tests: list[TestResult]) -> dict[str, list[TestResult]]:
    """Cases by the function they are of."""
    out: dict[str, list[TestResult]] = {}
    for test in tests:
        out.setdefault(test.name.partition("[")[0], []).append(test)
    return out


def _function(number: int, tests: list[TestResult]) -> tuple[Text, ...]:
    cites = dict.fromkeys(
        f"{name} (a\u00a0part)" if coverage == "partial" else name for t in tests for name, coverage in t.requirements
    )
    said = ", ".join(cites) or tests[0].no_requirement or "nothing"
    outcomes = Counter(t.outcome for t in tests)
    came: list[Word | str] = []
    for outcome, times in sorted(outcomes.items(), key=lambda o: -o[1]):
        came += [", "] if came else []
        came += [f"{times:,} ", Word(outcome)] if len(tests) > 1 else [Word(outcome)]
    name = tests[0].name.partition("[")[0].removeprefix("rig/suite/")
    runs = sum(t.runs for t in tests)
    return (
        str(number), (Code(name), Quiet(f" {said}")), f"{len(tests):,}", tuple(came),
        f"{sum(t.seconds for t in tests):.1f} s", f"{runs:,}" if runs else "",
    )  # fmt: skip


def _cases(tests: list[TestResult], functions: list[str]) -> Table:
    numbers = {name: str(number) for number, name in enumerate(functions, start=1)}
    benches = {t.bench for t in tests}
    rows: list[tuple[Text, ...]] = []
    for t in tests:
        function, _, case = t.name.partition("[")
        where = f"{t.bench}: " if len(benches) > 1 else ""
        rows.append((Word(t.outcome), f"{t.seconds:.2f} s", numbers[function], where + (case.removesuffix("]") or "–")))
    columns = (Column("came to", chars=8), Column("time", "right", chars=7), Column("no.", "right", chars=3),
               Column("case"))  # fmt: skip
    return Table(columns, rows, "Cases, in the order they were run; the number is that of the function", dense=True)


def _runs(evidence: Evidence) -> Section:
    """Judged runs: how many there are, where they lie, and all that did not hold."""
    r = evidence.results
    blocks: list[Block] = []
    if not r.runs_file:
        blocks.append(
            Para(f"{count(r.runs, 'judged run')}; no list of single runs belongs to these results.")
        )
        return Section("runs", "Judged runs", tuple(blocks))
    text: Text = (
        f"{r.runs_lines:,} judged runs stand line by line in ",
        Code(r.runs_file),
        EACH,
        Code(r.runs_sha256),
        ".",
    )
    blocks.append(Para(text))
    if not _is_there(evidence):
        blocks.append(Para(Gap(f"{r.runs_file} is not in the folder, or not the file that the results name by hash.")))
        return Section("runs", "Judged runs", tuple(blocks))
    bad = list(_not_held(evidence))
    if not bad:
        blocks.append(Para("Every one of them held, or asked nothing."))
        return Section("runs", "Judged runs", tuple(blocks))
    rows: list[tuple[Text, ...]] = []
    for run in bad[:MOST_RUNS]:
        told = _told(run["verdicts"])
        rows.append((Word(run["outcome"]), f"{run['number']:,}", run["bench"], Code(run["source"]), told))
    columns = (Column("came to"), Column("run", "right"), Column("bench"), Column("source", share=2),
               Column("what was seen", share=3))  # fmt: skip
    caption = "Judged runs that did not hold"
    if len(bad) > MOST_RUNS:
        caption += f": the first {MOST_RUNS:,} of {len(bad):,}"
    blocks.append(Table(columns, rows, caption))
    return Section("runs", "Judged runs", tuple(blocks))


def _told(verdicts: list[dict[str, Any]]) -> str:
    """What was seen; what several requirements say alike stands once."""
    said: dict[str, list[str]] = {}
    for v in verdicts:
        if v["outcome"] not in HELD:
            said.setdefault(v["text"], []).append(v["requirement"])
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in said.items())


def _is_there(evidence: Evidence) -> bool:
    file = evidence.folder / evidence.results.runs_file
    if not file.is_file():
        return False
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").hexdigest() == evidence.results.runs_sha256


def _not_held(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Lines of results.jsonl with anything but good outcomes; the others are not even parsed, as there are many."""
    with (evidence.folder / evidence.results.runs_file).open(encoding="utf-8") as lines:
        for line in lines:
            if any(f'"{word}"' in line for word in ("fail", "conditional fail", "inconclusive", "error")):
                run = json.loads(line)
                if run["outcome"] not in HELD:
                    yield run


def _rows(evidence: Evidence) -> tuple[Section, ...]:
    if not evidence.results.rows:
        return ()
    rows: list[tuple[Text, ...]] = [
        (
            r.name,
            str(r.run),
            Word(r.outcome),
            "yes" if r.counts else "no",
            r.text,
            f"{r.seconds:.1f} s",
            r.trace_hash[:12],
        )
        for r in evidence.results.rows
    ]
    columns = (
        Column("row", share=2), Column("run", "right"), Column("came to"), Column("counts"), Column("because", share=4),
        Column("took", "right"), Column("record"),
    )  # fmt: skip
    caption = f"Rows of the table on real lines; {uncertainty(evidence.results)}"
    return (
        Section("rows", "Runs on real lines", (Table(columns, rows, caption),)),
    )
