"""All results: every test on a line, every judged run that did not hold, and the runs on real lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from reports.content.evidence import Evidence, count
from reports.document import Block, Code, Column, Gap, Para, Section, Table, Text, Word
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
    """Every test with its outcome, the requirements it cites, its bench and time."""
    r = evidence.results
    said = ", ".join(f"{number:,} {outcome}" for outcome, number in r.test_counts.items())
    blocks: list[Block] = [Para(f"{count(len(r.tests), 'test')}" + (f": {said}." if said else "."))]
    listed = r.tests if len(r.tests) <= LISTED else [t for t in r.tests if t.outcome != "pass"]
    if len(listed) < len(r.tests):
        text = (
            f"Of {len(r.tests):,} tests the {len(listed):,} that did not pass are listed; results.json, which "
            "the PDF "
            "carries inside, has all of them."
        )
        blocks.append(Para(text))
    if listed:
        columns = (
            Column("came to", chars=14), Column("time", "right", chars=9), Column("runs", "right", chars=6),
            Column("bench", chars=9), Column("cites", chars=14), Column("test"),
        )  # fmt: skip
        blocks.append(
            Table(columns, [_line(t) for t in listed], "Tests, in the order they were run", dense=True)
        )
    return Section("results", "Results", tuple(blocks), (_runs(evidence), *_rows(evidence)))


def _line(t: TestResult) -> tuple[Text, ...]:
    cites = " ".join(r[0] for r in t.requirements) or "–"
    return (
        Word(t.outcome), f"{t.seconds:.2f} s", f"{t.runs:,}" if t.runs else "", t.bench, cites,
        t.name.removeprefix("rig/suite/"),
    )  # fmt: skip


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
        told = "; ".join(
            f"{v['requirement']}: {v['text']}" for v in run["verdicts"] if v["outcome"] not in HELD
        )
        rows.append((Word(run["outcome"]), f"{run['number']:,}", run["bench"], Code(run["source"]), told))
    columns = (Column("came to"), Column("run", "right"), Column("bench"), Column("source", share=2),
               Column("what was seen", share=3))  # fmt: skip
    caption = "Judged runs that did not hold"
    if len(bad) > MOST_RUNS:
        caption += f": the first {MOST_RUNS:,} of {len(bad):,}"
    blocks.append(Table(columns, rows, caption))
    return Section("runs", "Judged runs", tuple(blocks))


def _is_there(evidence: Evidence) -> bool:
    file = evidence.folder / evidence.results.runs_file
    if not file.is_file():
        return False
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").hexdigest() == evidence.results.runs_sha256


def _not_held(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Lines of results.jsonl with anything but good outcomes; the others are not even parsed, since there "
    "are many."""
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
    return (
        Section("rows", "Runs on real lines", (Table(columns, rows, "Rows of the table on real lines"),)),
    )
