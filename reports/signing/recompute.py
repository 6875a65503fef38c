"""What a folder of evidence says, held against what its journal gives: chain, results, runs, verdicts, logs, report.

Trusts no figure that can be made again. Needs no signature; what it finds is told in words.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from reports.build import BuildError, build
from reports.content.evidence import Evidence
from reports.journal import NAME as JOURNAL
from reports.journal import JournalError, Tail
from reports.journal import read as read_journal
from reports.report import HTML, PDF, TRACE, html_of, pdf_of, trace_of
from reports.results import FILE, RUNS_FILE, Judged, Results, ResultsError, run_lines
from reports.signing.amend import REPLACED
from reports.signing.difference import differences
from reports.signing.keys import SigningError
from reports.signing.manifest import FILES_ENVELOPE, sha256_of
from reports.views.pdf import PdfError
from rig.judge.verdicts import Verdict, within
from rig.tracefile import TraceFileError
from rig.tracefile import load as load_trace

TWO_SIDED_MS = {"SAF-3": 2000.0}
"""Requirements whose limit has a counterpart below it, so many ms away (30 s ± 1 s): too early fails as well."""
MOST = 20
"""Places of one kind that are named before the rest is counted."""
DECIDED = ("pass", "conditional pass", "conditional fail", "fail")


@dataclass(slots=True)
class Computed:
    """What came of it, in words."""

    findings: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def say(self, wrong: list[str], holds: str) -> None:
        """Notes what is wrong, or that it holds."""
        if wrong:
            self.findings += wrong[:MOST]
            if len(wrong) > MOST:
                self.findings.append(f"… and {len(wrong) - MOST:,} more of the same kind")
        else:
            self.checked.append(holds)


def recompute(folder: Path, fonts: Sequence[Path] = ()) -> Computed:
    """Checks everything that needs no signature.

    Args:
        folder: the evidence.
        fonts: the laboratory's own, if the PDF was set with such.
    """
    computed = Computed()
    try:
        results = Results.load(folder / FILE)
    except ResultsError as error:
        computed.findings.append(str(error))
        _check_chain(computed, folder, None)
        return computed
    if _check_chain(computed, folder, results):
        _check_results(computed, folder, _other_version(results))
    _check_verdicts(computed, folder, results)
    _check_named(computed, folder, results)
    _check_amendments(computed, folder, results)
    _check_report(computed, folder, _other_version(results))
    _check_trace(computed, folder, _other_version(results))
    _check_pdf(computed, folder, _other_version(results), fonts)
    return computed


def _other_version(results: Results) -> str:
    """The version that made the results, if it is not this one; figures may then be made otherwise."""
    made = results.versions.get("unlock-rig", "")
    try:
        mine = metadata.version("unlock-rig")
    except metadata.PackageNotFoundError:
        return ""
    return made if made and made != mine else ""


def _check_chain(computed: Computed, folder: Path, results: Results | None) -> bool:
    """Every record of every journal; True if all of them hold."""
    named = {} if results is None else {j.file: j for j in results.journals}
    wrong: list[str] = []
    records = 0
    for name in list(named) or [JOURNAL]:
        tail = Tail()
        try:
            for _ in read_journal(folder / name, tail):
                pass
        except JournalError as error:
            wrong.append(_inside(folder, str(error)))
            continue
        records += tail.records
        said = named.get(name)
        if tail.torn:
            wrong.append(f"{name}: ends in half a record; `rig resume` was not run after it broke off")
        if said is not None and tail.records < said.records:
            wrong.append(f"{name}: has {tail.records:,} records, {FILE} rests on {said.records:,}: some were dropped")
        elif said is not None and (tail.records, tail.head) != (said.records, said.head):
            wrong.append(f"{name}: is not the journal that {FILE} rests on: its chain ends in {tail.head[:16]}")
    if results is not None and not named:
        wrong.append(f"{FILE}: names no journal; nothing stands behind what it says")
    computed.say(wrong, f"the chain of {records:,} records is whole")
    return not wrong


def _check_results(computed: Computed, folder: Path, other_version: str) -> None:
    """results.json and results.jsonl are what the journal gives."""
    try:
        said = json.loads((folder / FILE).read_bytes())
        with tempfile.TemporaryDirectory() as scratch:
            runs = Path(scratch) / RUNS_FILE
            with runs.open("w", encoding="utf-8", newline="\n") as writing:
                results = build(folder, writing)
            results = replace(results, runs_file=RUNS_FILE, runs_sha256=sha256_of(runs))
            wrong = [f"{FILE}: {words}" for words in differences(said, json.loads(results.to_json()), MOST)]
            if wrong and other_version:
                # Said, and still wrong: which version it was, the results themselves say.
                wrong.insert(0, f"{FILE}: says that unlock-rig {other_version} made it; that version can tell for sure")
            computed.say(wrong, f"{FILE} is what the journal gives: every verdict, count and statistic")
            lines = _changed_runs(folder / RUNS_FILE, runs)
            computed.say(lines, f"{RUNS_FILE} is what the journal gives: all {results.runs_lines:,} runs")
    except (BuildError, SigningError) as error:
        computed.findings.append(_inside(folder, str(error)))
    except (OSError, ValueError) as error:
        computed.findings.append(f"{FILE}: cannot be made again ({error})")


def _changed_runs(file: Path, should: Path) -> list[str]:
    """Where two files of runs differ, in words."""
    if not file.is_file():
        return [f"{RUNS_FILE} is missing"]
    wrong: list[str] = []
    with file.open(encoding="utf-8", errors="replace") as said, should.open(encoding="utf-8") as right:
        for number, (one, two) in enumerate(itertools.zip_longest(said, right), start=1):
            if one == two:
                continue
            place = f"{RUNS_FILE}, line {number}"
            if one is None or two is None:
                wrong.append(f"{place}: {'is missing' if one is None else 'should not be there'}")
            else:
                wrong += [f"{place}: {words}" for words in _line_differences(one, two)]
            if len(wrong) > MOST:
                break
    return wrong


def _line_differences(said: str, should: str) -> list[str]:
    try:
        return differences(json.loads(said), json.loads(should)) or ["is written otherwise"]
    except ValueError as error:
        return [f"is no JSON ({error})"]


def _check_verdicts(computed: Computed, folder: Path, results: Results) -> None:
    """The decision rule, applied again to every measured value."""
    wrong: list[str] = []
    decided = 0
    try:
        for line in run_lines(folder, results):
            for verdict in line.verdicts:
                if verdict.value_ms is not None and verdict.limit_ms is not None and verdict.outcome in DECIDED:
                    decided += 1
                    wrong += (f"{results.runs_file}, run {line.number} ({line.source}): {w}" for w in redecide(verdict))
    except ResultsError as error:
        wrong.append(_inside(folder, str(error)))
    computed.say(wrong, f"the decision rule gives the same verdict for all {decided:,} measured values")


def redecide(verdict: Judged) -> Iterator[str]:
    """What the decision rule says of a measured value, if it says something else."""
    value_ms, limit_ms = verdict.value_ms, verdict.limit_ms
    assert value_ms is not None
    assert limit_ms is not None
    u_us = _us(verdict.uncertainty_ms)
    early_ms = TWO_SIDED_MS.get(verdict.requirement)
    figures = f"{value_ms:g} ms against {limit_ms:g} ms"
    if early_ms is not None:
        inside = limit_ms - early_ms - verdict.uncertainty_ms <= value_ms <= limit_ms + verdict.uncertainty_ms
        if verdict.outcome in ("pass", "conditional pass") and not inside:
            yield f"{verdict.requirement} is a {verdict.outcome}, and {figures} is none"
        return
    should: Verdict = within(verdict.requirement, _us(value_ms), _us(limit_ms), u_us, 0, "")
    if should.outcome != verdict.outcome:
        yield f"{verdict.requirement} is a {verdict.outcome}, and {figures} is a {should.outcome}"
    if verdict.margin_ms is not None and _us(verdict.margin_ms) != _us(limit_ms) - _us(value_ms):
        yield f"{verdict.requirement} has a margin of {verdict.margin_ms:g} ms, and {figures} leaves another"


def _us(ms: float) -> int:
    """Times are whole µs; as ms they are fractions."""
    return round(ms * 1000)


def _check_named(computed: Computed, folder: Path, results: Results) -> None:
    """Logs, pictures and documents that results name with their hashes are those."""
    named: dict[str, str] = {}
    for failure in results.failures:
        named |= failure.files
    named |= {attached.file: attached.sha256 for attached in results.attachments if attached.sha256}
    if results.runs_file:
        named[results.runs_file] = results.runs_sha256
    wrong = []
    for name, sha256 in named.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            wrong.append(f"{name}: lies outside of the evidence")
            continue
        try:
            found = sha256_of(file)
        except SigningError as error:
            wrong.append(_inside(folder, str(error)))
            continue
        if found != sha256:
            wrong.append(f"{name}: is not the file that the run left: SHA-256 {found}, {FILE} says {sha256}")
    logs = [row for row in results.rows if row.log_file]
    for row in logs:
        place = f"{row.log_file}, run {row.run} of {row.name}"
        if not (folder / row.log_file).resolve().is_relative_to(folder.resolve()):
            wrong.append(f"{place}: lies outside of the evidence")
            continue
        try:
            found = load_trace(folder / row.log_file).hash()
        except TraceFileError as error:
            wrong.append(_inside(folder, f"{place}: {error}"))
            continue
        if found != row.trace_hash:
            wrong.append(f"{place}: is not the log that the run left: its trace is {found}, not {row.trace_hash}")
    number = len(named) + len(logs)
    computed.say(wrong, f"the {number:,} files that results name are those that the run left")


def _check_amendments(computed: Computed, folder: Path, results: Results) -> None:
    """Every revision before this one is accounted for: numbered in order, and its envelope the one that was kept."""
    if not results.amendments:
        return
    wrong = []
    for number, amended in enumerate(results.amendments, start=2):
        place = f"amendment to revision {number}"
        if amended.get("revision") != number:
            wrong.append(f"{place}: calls itself revision {amended.get('revision')}")
        replaces = amended.get("replaces")
        sha256 = replaces.get("files_envelope_sha256") if isinstance(replaces, dict) else None
        kept = folder / REPLACED / f"r{number - 1}" / FILES_ENVELOPE
        name = kept.relative_to(folder).as_posix()
        if sha256 is None:
            if kept.exists():
                wrong.append(f"{place}: {name} is there, and what it replaces was not signed")
            continue
        try:
            found = sha256_of(kept)
        except SigningError as error:
            wrong.append(_inside(folder, f"{place}: {error}"))
            continue
        if found != sha256:
            wrong.append(f"{place}: {name} is not the envelope that it replaces: SHA-256 {found}, it says {sha256}")
    computed.say(wrong, f"what {_revisions(len(results.amendments))} replaces is kept")


def _revisions(number: int) -> str:
    return "the amendment" if number == 1 else f"each of {number} amendments"


def _check_report(computed: Computed, folder: Path, other_version: str) -> None:
    """report.html, made again; another version may have made it look otherwise, which is no edit."""
    file = folder / HTML
    if not file.exists():
        return
    try:
        said, should = file.read_text(encoding="utf-8"), html_of(folder)
    except (ValueError, OSError) as error:
        computed.findings.append(f"{HTML}: cannot be made again ({error})")
        return
    if said == should:
        computed.checked.append(f"{HTML} says what {FILE} gives")
    elif other_version:
        computed.left.append(f"whether {HTML} says what {FILE} gives: unlock-rig {other_version} made it, and can tell")
    else:
        computed.findings.append(_changed_line(said.splitlines(), should.splitlines()))


def _check_trace(computed: Computed, folder: Path, other_version: str) -> None:
    """trace.csv, made again."""
    file = folder / TRACE
    if not file.exists():
        return
    try:
        said, should = file.read_bytes().decode(), trace_of(Evidence.read(folder)) or ""
    except (ValueError, OSError) as error:
        computed.findings.append(f"{TRACE}: cannot be made again ({error})")
        return
    if said == should:
        computed.checked.append(f"{TRACE} says what {FILE} gives")
    elif other_version:
        computed.left.append(f"whether {TRACE} says what {FILE} gives: unlock-rig {other_version} made it and can tell")
    else:
        pairs = itertools.zip_longest(said.splitlines(), should.splitlines())
        number = next(n for n, (one, two) in enumerate(pairs, start=1) if one != two)
        computed.findings.append(f"{TRACE} was edited: line {number} is not what {FILE} gives")


def _check_pdf(computed: Computed, folder: Path, other_version: str, fonts: Sequence[Path]) -> None:
    """report.pdf, made again: equal input gives equal bytes, if it is the same typst that sets it."""
    file = folder / PDF
    if not file.exists():
        return
    try:
        said, should = file.read_bytes(), pdf_of(Evidence.read(folder), fonts)
    except PdfError as error:
        computed.notes.append(f"{PDF} was not made again: {error}")
        return
    except (ValueError, OSError) as error:
        computed.findings.append(f"{PDF}: cannot be made again ({error})")
        return
    if said == should:
        computed.checked.append(f"{PDF} says what {FILE} gives, to the byte")
        return
    setter, mine = _set_by(said), _set_by(should)
    if other_version:
        computed.left.append(f"whether {PDF} says what {FILE} gives: unlock-rig {other_version} made it, and can tell")
    elif setter != mine:
        computed.left.append(f"whether {PDF} says what {FILE} gives: it was set by {setter}, and here is {mine}")
    else:
        computed.findings.append(
            f"{PDF} was edited: it is not what {FILE} gives, set by {mine}; if the laboratory's own fonts are in it,"
            " name them: --fonts DIR"
        )


def _set_by(pdf: bytes) -> str:
    """What a PDF says of the program that set it."""
    found = re.search(rb"/Creator\s*\(([^)]{1,60})\)", pdf)
    return found[1].decode("latin-1") if found else "something that does not say its name"


def _changed_line(said: list[str], should: list[str]) -> str:
    """Where a report first differs from what it should be."""
    for number, (one, two) in enumerate(zip(said, should, strict=False), start=1):
        if one != two:
            at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
            start = max(0, at - 30)
            # With escapes: a blank that is none looks like one.
            was, is_ = (repr(text[start : at + 50])[1:-1] for text in (one, two))
            return f"{HTML} was edited: line {number} says “{was}”, it should say “{is_}”"
    return f"{HTML} was edited: it should have {len(should):,} lines and has {len(said):,}"


def _inside(folder: Path, text: str) -> str:
    """A complaint with names as the evidence has them."""
    return text.replace(f"{folder}/", "")
