"""How to get the same again, which files the report rests on, and what was changed since it was issued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.content.evidence import Evidence, when
from reports.document import Block, Code, Column, Facts, Items, Listing, Para, Section, Strong, Table, Text

VERIFIES = (
    " hashes every file again, checks signatures and the record's chain, and recomputes verdicts and "
    "statistics from "
    "the record;"
)
OPENSSL = "VERIFY.txt, written when the folder is signed, tells how to check hashes and signatures with OpenSSL alone;"


def reproduction(evidence: Evidence) -> Section:
    """The commands, the seed, and what they need."""
    r = evidence.results
    facts: list[tuple[str, Text]] = [
        ("The same campaign", Code(r.again)),
        ("Seed of every random choice", Code(str(r.seed))),
        *[(name, Code(version)) for name, version in evidence.versions.items()],
    ]
    blocks: list[Block] = [
        Para(
            "In virtual time the same seed and versions give the same runs to the last byte. On real lines "
            "the order of "
            "things is the same and instants differ by what the bench's uncertainty allows."
        ),
        Facts(tuple(facts)),
        Para("To check this evidence without trusting those who made it:"),
        Items(
            (
                (Code("rig verify DIR"), VERIFIES),
                OPENSSL,
                (Code("rig report DIR"), " makes this report again from results.json: the same bytes."),
            )
        ),
    ]  # fmt: skip
    if r.failures:
        replays = "\n".join(f.replay for f in r.failures)
        blocks.append(Listing(replays, "Each failure again"))
    return Section("reproduction", "Reproduction", tuple(blocks))


def files(evidence: Evidence) -> Section:
    """Everything in the folder that the report rests on, by hash."""
    rows: list[tuple[Text, ...]] = [
        (Code(f.path), f"{f.size:,}", Code(f.sha256)) for f in evidence.files()
    ]  # fmt: skip
    text = (
        "The files of this evidence by SHA-256. The report itself, its signatures and VERIFY.txt come after "
        "it and are "
        "hashed by the signed file manifest. The PDF carries results.json inside."
    )
    columns = (Column("file", share=1), Column("bytes", "right"), Column("SHA-256"))
    blocks: list[Block] = [Para(text), Table(columns, rows, "Files of the evidence")]
    if evidence.results.journals:
        journals: list[tuple[Text, ...]] = [
            (Code(j.file), j.bench, j.worker or "–", f"{j.records:,}", Code(j.head))
            for j in evidence.results.journals
        ]
        heads = (Column("journal"), Column("bench"), Column("worker"), Column("records", "right"),
                 Column("head of the chain, SHA-256", share=1))  # fmt: skip
        blocks.append(Table(heads, journals, "Journals: each record holds the hash of the one before it"))
    return Section("files", "Files and hashes", tuple(blocks))


def _replaced(change: Mapping[str, Any], revision: int, number: str) -> Text:
    replaces = change.get("replaces")
    named = str(replaces.get("report", "")) if isinstance(replaces, dict) else str(replaces or "")
    digest = str(replaces.get("files_sha256", "")) if isinstance(replaces, dict) else ""
    words = named or f"{number}, revision {revision - 1}"
    return (words, ", files ", Code(digest)) if digest else words


def amendments(evidence: Evidence) -> Section:
    """What was changed, why, by whom; and which report this one replaces."""
    changes = evidence.results.amendments
    if not changes:
        text = f"None: this is revision {evidence.revision} of report {evidence.number}, and it replaces no other."
        return Section("amendments", "Amendments", (Para(text),))
    columns = (
        Column("revision"),
        Column("reason", share=3),
        Column("by"),
        Column("at"),
        Column("replaces", share=2),
    )
    rows: list[tuple[Text, ...]] = [
        (str(c.get("revision", place)), str(c.get("reason", "")), str(c.get("by", "")), when(str(c.get("at", ""))),
         _replaced(c, place, evidence.number))
        for place, c in enumerate(changes, start=2)
    ]  # fmt: skip
    whole = "Each revision is a whole report and replaces the one before."
    lead = (Strong(f"Amendment to report {evidence.number}. "), whole)
    return Section("amendments", "Amendments", (Para(lead), Table(columns, rows, "Revisions of this report")))
