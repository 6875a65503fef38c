"""From a folder's journal to its results.json and results.jsonl; from nothing else.

Reads journals record by record and writes runs line by line, so that evidence may be larger than memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TextIO

from reports.journal import NAME, Journal, JournalError, Record, Tail, canonical, read
from reports.ledger import Ledger, Source, outcome_of
from reports.records import RecordsError
from reports.results import FILE, RUNS_FILE, Judged, Results, RunLine
from reports.summing import results_of
from rig.judge.judge import REQUIREMENTS
from rig.judge.verdicts import Outcome


class BuildError(ValueError):
    """A folder of which no results can be made; names file and why."""


def build(folder: Path, runs: TextIO | None = None) -> Results:
    """Results from the journals of a folder.

    Args:
        folder: with journal.jsonl in it.
        runs: the lines of results.jsonl are written there; None: they are not.

    Returns:
        the results; without name and hash of the file of runs, which `write_results` adds.

    Raises:
        BuildError: a journal is broken or cannot be; says where.
    """
    number = 0

    def line(source: Source, record: Record, bench: str) -> None:
        nonlocal number
        number += 1
        if runs is not None:
            runs.write(_json(run_line(number, source, record, bench)))

    try:
        ledger = Ledger(REQUIREMENTS, line)
        fill(ledger, folder)
        return replace(results_of(ledger), runs_lines=number)
    except (JournalError, RecordsError) as error:
        raise BuildError(str(error)) from None


def fill(ledger: Ledger, folder: Path) -> None:
    """All journals of a folder: the main one, and those whose heads its records hold.

    Raises:
        JournalError: one is broken, or another one than its head says.
        RecordsError: a record cannot be.
    """
    file = folder / NAME
    if not file.exists():
        raise JournalError(f"{file}: is not there; `rig certify --out {folder}` makes one")
    _fill(ledger, folder, file, ledger.source(NAME))


def _fill(ledger: Ledger, folder: Path, file: Path, source: Source) -> None:
    tail = Tail()
    before = ledger.shards
    ledger.shards = []
    for record in read(file, tail):
        ledger.take(source, record)
    mine, ledger.shards = ledger.shards, before
    if not tail.records:
        raise JournalError(f"{file}: is empty")
    for body in mine:
        inner = file.parent / body["file"]
        if not inner.resolve().is_relative_to(folder.resolve()):
            raise RecordsError(f"{file}: names {body['file']}, which lies outside of the evidence")
        name = inner.relative_to(folder).as_posix()
        # Workers share their campaign's bench; parts of merged evidence have their own.
        sub = ledger.source(name, source.file, source.bench or body.get("bench", ""))
        _fill(ledger, folder, inner, sub)
        if (sub.records, sub.head) != (body["records"], body["head"]):
            raise JournalError(
                f"{inner}: ends with record {sub.records - 1} and {sub.head[:12]}…, {source.file} says record"
                f" {body['records'] - 1} and {body['head'][:12]}…: it was exchanged, cut, or written on"
            )


def run_line(number: int, source: Source, record: Record, bench: str) -> RunLine:
    """A judged run as results.jsonl has it."""
    body = record.body
    u_ms = body.get("u", 0) / 1000
    campaign, name = "tests", body.get("by", "")
    for kind, word in (("search", "search"), ("sample", "sample"), ("row", "wire")):
        if kind in body:
            campaign, name = word, "/".join(map(str, body[kind]))
    return RunLine(
        number=number,
        campaign=campaign,
        source=name,
        bench=bench,
        outcome=outcome_of(body),
        scenario=body["scenario"],
        trace=body["trace"],
        simulated_s=body["us"] / 1e6,
        verdicts=[_judged(v, u_ms) for v in body["verdicts"]],
        faults=[[m, begin / 1000, None if end is None else end / 1000] for m, begin, end in body["faults"]],
        journal=source.file,
        record=record.n,
    )


def _json(line: RunLine) -> str:
    # As `dataclasses.asdict` would have it, at a third of the cost: there may be very many.
    verdicts = [{name: getattr(v, name) for name in _JUDGED} for v in line.verdicts]
    plain = {name: getattr(line, name) for name in _RUN_LINE}
    return canonical({**plain, "verdicts": verdicts}) + "\n"


_JUDGED = tuple(f.name for f in fields(Judged))
_RUN_LINE = tuple(f.name for f in fields(RunLine))


def _judged(verdict: list[object], u_ms: float) -> Judged:
    name, outcome = str(verdict[0]), str(verdict[1])
    if len(verdict) < 6:
        return Judged(name, outcome)
    what, (value, limit, at) = str(verdict[2]), [None if v is None else float(str(v)) / 1000 for v in verdict[3:6]]
    margin = None if value is None or limit is None else round(limit - value, 3)
    text = "" if Outcome(outcome).good else what
    return Judged(name, outcome, value, limit, margin, u_ms if value is not None else 0.0, at, text)


def write_results(folder: Path) -> Results:
    """Makes results.json and results.jsonl of a folder's journals, each complete or not at all.

    Raises:
        BuildError: a journal is broken, or a file cannot be written.
    """
    runs = folder / RUNS_FILE
    try:
        with _whole(runs) as writing:
            results = build(folder, writing)
        digest = hashlib.sha256()
        with runs.open("rb") as reading:
            while block := reading.read(1 << 20):
                digest.update(block)
        results = replace(results, runs_file=RUNS_FILE, runs_sha256=digest.hexdigest())
        with _whole(folder / FILE) as writing:
            writing.write(results.to_json())
    except OSError as error:
        raise BuildError(f"{error.filename or folder}: cannot be written ({error.strerror})") from None
    return results


@contextmanager
def _whole(file: Path) -> Iterator[TextIO]:
    scratch = file.with_name(f".{file.name}.new")
    try:
        with scratch.open("w", encoding="utf-8", newline="\n") as writing:
            yield writing
        scratch.replace(file)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def attach(folder: Path, name: str, file: str, content: dict[str, object]) -> None:
    """Puts a document of another command into the journal: "cutsets", "qualification" or "fault tree".

    Args:
        folder: of the evidence; the journal must not be written by somebody else.
        name: what it is.
        file: its name in the folder; it is hashed if it is there.
        content: the document.

    Raises:
        JournalError: the journal is broken, in use, or cannot be written.
    """
    path = folder / file
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    journal, _ = Journal.go_on(folder / NAME)
    with journal:
        journal.append("attach", {"name": name, "file": file, "sha256": digest, "content": content})


DOCUMENTS = {"unlock-rig/cutsets/1": "cutsets", "unlock-rig/qualification/1": "qualification"}
"""What may be attached, by its format."""


def attach_file(folder: Path, file: Path) -> None:
    """Puts a document of another command into the evidence: the file into the folder, its content into the journal.

    Raises:
        BuildError: the file is no such document, or cannot be copied.
        JournalError: the journal is broken, in use, or cannot be written.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        name = DOCUMENTS[content["format"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        known = ", ".join(DOCUMENTS)
        raise BuildError(f"{file}: is none of {known} ({type(error).__name__}: {error})") from None
    kept = folder / f"{name}.json"
    try:
        if not (kept.exists() and kept.samefile(file)):
            shutil.copyfile(file, kept)
    except OSError as error:
        raise BuildError(f"{kept}: cannot be written ({error.strerror})") from None
    attach(folder, name, kept.name, content)


def shard_body(folder: Path, file: Path, bench: str = "", worker: str = "") -> dict[str, object]:
    """The record that binds another journal to the main one.

    Raises:
        JournalError: it is broken.
    """
    tail = Tail()
    for _ in read(file, tail):
        pass
    name = os.path.relpath(file, folder).replace(os.sep, "/")
    return {"file": name, "records": tail.records, "head": tail.head, "bench": bench, "worker": worker}
