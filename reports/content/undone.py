"""What was not executed, not decided, or went wrong in the rig, each with its reason; repeats and breaks too."""

from __future__ import annotations

from collections.abc import Iterable

from reports.content.evidence import Evidence, count, when
from reports.document import Block, Code, Column, Para, Quiet, Section, Table, Text, Word

SHOWN = 6
"""Tests named of those with one reason; the rest is counted, and stands in results.json."""


def section(evidence: Evidence) -> Section:
    """Everything that this report cannot be read to have shown."""
    blocks: list[Block] = []
    rows = list(_rows(evidence))
    if rows:
        columns = (
            Column("came to"),
            Column("reason", share=3),
            Column("tests", share=3),
            Column("number", "right"),
        )
        blocks.append(Table(columns, rows, "Tests without a verdict, by reason"))
    else:
        blocks.append(Para("Every test that was collected was executed and decided."))
    missing = evidence.results.cells_missing
    if missing:
        blocks.append(
            Para(
                f"{count(len(missing), 'pair')} of way in and failure mode not shown to hold, since it failed or was "
                "not tried: "
                + ", ".join(missing[:60]) + (", …" if len(missing) > 60 else "") + "."
            )
        )  # fmt: skip
    parts = (
        Section("repeats", "Runs that were repeated", tuple(_repeats(evidence))),
        Section("breaks", "Breaks of the record", tuple(_breaks(evidence))),
        Section("operator", "Actions at the bench", tuple(_operator(evidence))),
    )
    return Section("open", "Not executed, not decided, errors of the rig", tuple(blocks), parts)


def _rows(evidence: Evidence) -> Iterable[tuple[Text, ...]]:
    left: dict[tuple[str, str], list[str]] = {}
    for outcome, test, reason in evidence.undone():
        left.setdefault((outcome, reason), []).append(test)
    for (outcome, reason), tests in left.items():
        cell: list[Code | Quiet | str] = []
        for test in tests[:SHOWN]:
            cell += [", "] if cell else []
            cell.append(Code(_short(test)))
        if len(tests) > SHOWN:
            cell.append(Quiet(f" and {len(tests) - SHOWN} more"))
        yield Word(outcome), reason, tuple(cell), f"{len(tests):,}"


def _short(test: str) -> str:
    return test.removeprefix("rig/suite/")


def _repeats(evidence: Evidence) -> list[Block]:
    runs: dict[str, list[tuple[int, str, str]]] = {}
    for row in evidence.results.rows:
        runs.setdefault(row.name, []).append((row.run, row.outcome, row.text))
    again = {name: listed for name, listed in runs.items() if len(listed) > 1}
    if not again:
        return [Para("No run was repeated.")]
    rows: list[tuple[Text, ...]] = [
        (name, str(run), Word(outcome), text)
        for name, listed in again.items()
        for run, outcome, text in listed
    ]
    text = "A run that the bench spoilt is played again, at most twice; the last conclusive one counts; all are kept."
    columns = (Column("row", share=2), Column("run"), Column("came to"), Column("because", share=3))
    return [Para(text), Table(columns, rows)]


def _breaks(evidence: Evidence) -> list[Block]:
    found = evidence.results.breaks
    if not found:
        return [Para("The record was written without a break.")]
    rows: list[tuple[Text, ...]] = [
        (Word("interrupted"), Code(b.file), f"{b.record:,}", when(b.broken_at), when(b.resumed_at), b.text)
        for b in found
    ]
    columns = (
        Column(""), Column("journal"), Column("at record", "right"), Column("broken off"), Column("resumed"),
        Column("what was done", share=1),
    )  # fmt: skip
    return [Table(columns, rows, "Breaks: nothing that was finished before one is lost, and none is hidden")]


def _operator(evidence: Evidence) -> list[Block]:
    actions = evidence.results.operator
    if not actions:
        return [Para("Nobody noted an action at the bench during the campaign.")]
    rows: list[tuple[Text, ...]] = [(when(a.at), a.bench, a.text) for a in actions]
    return [Table((Column("at"), Column("bench"), Column("what was done", share=1)), rows)]
