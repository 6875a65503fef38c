"""All results, one line each, and the runs on real lines."""

from __future__ import annotations

from reports.content.evidence import Evidence, count
from reports.document import Block, Column, Para, Section, Table, Text, Word

LISTED = 20_000
"""Results listed one by one; beyond that only those that did not pass are, and results.json has the rest."""


def section(evidence: Evidence) -> Section:
    """Every test with its outcome, the requirements it cites, its bench and time."""
    tests = evidence.tests()
    counts = evidence.outcomes()
    said = ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items()) or "none"
    blocks: list[Block] = [Para(f"{count(sum(counts.values()), 'test')}: {said}.")]
    listed = tests if len(tests) <= LISTED else [t for t in tests if t.outcome != "pass"]
    if len(listed) < len(tests):
        text = (
            f"Of {len(tests):,} tests the {len(listed):,} that did not pass are listed; results.json, which the PDF "
            "carries inside, has all of them."
        )
        blocks.append(Para(text))
    if listed:
        blocks.append(
            Table(
                (Column("came to", chars=18), Column("time", "right", chars=9), Column("bench", chars=9),
                 Column("cites", chars=20), Column("test")),
                [
                    (Word(t.outcome), t.time, t.bench, t.cites, t.name.removeprefix("rig/suite/"))
                    for t in listed
                ],
                "Tests in the order they were run",
                dense=True,
            )
        )  # fmt: skip
    parts: tuple[Section, ...] = ()
    if evidence.results.rows:
        rows: list[tuple[Text, ...]] = [
            (r.name, str(r.run), Word(r.outcome), r.text, f"{r.seconds:.1f} s", r.trace_hash[:16])
            for r in evidence.results.rows
        ]
        columns = (
            Column("row", share=2), Column("run", "right"), Column("came to"), Column("because", share=4),
            Column("took", "right"), Column("record"),
        )  # fmt: skip
        parts = (Section("rows", "Runs on real lines", (Table(columns, rows, "Rows of the table on real lines"),)),)
    return Section("results", "Results", tuple(blocks), parts)
