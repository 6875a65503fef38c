"""`rig trace`: which test gives evidence for which requirement; the gate with its gaps; the matrix; reviews; ReqIF."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from rig.cli.words import FAIL, PASS, UNDECIDED, USAGE, add_command, complain, console
from rig.judge.requirements import Requirement, RequirementsError, load_requirements

if TYPE_CHECKING:
    from reports.traceability.links import Shown, TracedTest
    from reports.traceability.reviewed import Review
    from reports.traceability.waivers import Waiver, Weighed
    from rig.cli.words import Commands

DESCRIPTION = """\
Holds requirements, tests and evidence against each other. `check` is the gate: it fails on every gap that nobody
has waived. `matrix` shows which test stands for which requirement. `lock` notes that the texts were reviewed
together with their tests. `reqif` carries requirements from and to tools that speak ReqIF."""
EPILOG = """\
examples:
  rig trace check                               the suite, before anything is run
  rig trace check --evidence out/certify        what a run has shown
  rig trace check tests/ --requirements ours.toml --waivers waivers.toml
  rig trace check tests/ --requirements ours.toml --no-suite
  rig trace matrix --evidence out/certify --csv trace.csv
  rig trace lock --by "R. Moore" --only AVL-4   after looking at the tests of AVL-4"""
GAPS = """\
gaps:
  requirement without test, test without requirement, unknown requirement, only skipped or deselected evidence,
  only partial coverage, text changed since reviewed, thin evidence (fewer runs, combinations or draws than the
  requirement's target), retired requirement cited, wrong firmware

A waiver needs requirement, gap, reason, name and expires, and is printed every time; one whose day is over fails.
exit codes: 0 no gap that is not waived, 1 gaps, 2 the tests could not be collected, 3 wrong usage"""
FILES = """\
files (in the working directory; with --evidence in its folder):
  requirements.toml, requirements.reviewed.toml, waivers.toml; options name others instead"""


def add_to(commands: Commands) -> None:
    """Adds the command with its own commands."""
    top = add_command(commands, "trace", "requirements against tests and evidence: the gate", DESCRIPTION, EPILOG)
    inner = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    gate = add_command(
        inner, "check", "the gate: every gap that nobody has waived fails", DESCRIPTION, f"{GAPS}\n{FILES}"
    )
    _add_sources(gate)
    gate.add_argument(
        "--firmware",
        metavar="FILE|SHA256",
        default=None,
        help="the firmware that the evidence must be about: its file, or its SHA-256 in hex",
    )
    gate.set_defaults(run=run_check)

    matrix = add_command(inner, "matrix", "which test stands for which requirement", DESCRIPTION)
    _add_sources(matrix)
    matrix.add_argument("--csv", type=Path, metavar="FILE", help="write the matrix as CSV, a line a pair")
    matrix.set_defaults(run=run_matrix)

    lock = add_command(
        inner, "lock", "note that texts were reviewed together with their tests",
        "Notes which text of each requirement was reviewed, by whom and when. What has not changed keeps its entry.",
    )  # fmt: skip
    _add_requirements(lock)
    lock.add_argument("--by", metavar="NAME", required=True, help="who has reviewed them")
    lock.add_argument(
        "--only", metavar="ID", action="append", default=[], help="only this one; may be given several times"
    )
    lock.set_defaults(run=run_lock)

    reqif = add_command(
        inner, "reqif", "requirements from and to ReqIF",
        "Writes requirements as ReqIF 1.2, or reads them from a file that another tool has written (.reqif, .reqifz)"
        " into TOML.",
    )  # fmt: skip
    _add_requirements(reqif)
    way = reqif.add_mutually_exclusive_group(required=True)
    way.add_argument("--to", type=Path, metavar="FILE.reqif", help="write all requirements to this file")
    way.add_argument("--from", type=Path, dest="source", metavar="FILE.reqif", help="read requirements from it")
    reqif.add_argument("--toml", type=Path, metavar="FILE", help="with --from: where the requirements go")
    reqif.set_defaults(run=run_reqif)


def _add_requirements(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--requirements",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="requirements of your own (TOML), beside the rig's (default: requirements.toml, if it is there); may be"
        " given several times",
    )
    command.add_argument(
        "--reviews", type=Path, metavar="FILE", default=None,
        help="which texts were reviewed (default: requirements.reviewed.toml, if it is there); goes before"
        " the rig's own",
    )  # fmt: skip


def _add_sources(command: argparse.ArgumentParser) -> None:
    _add_requirements(command)
    command.add_argument(
        "tests", nargs="*", metavar="TESTS", help="files or folders of your own tests, beside the suite"
    )
    command.add_argument(
        "--no-suite", action="store_true", help="leave out the rig's own suite and requirements: only yours count"
    )
    command.add_argument(
        "--evidence", type=Path, metavar="DIR", default=None, help="a folder of evidence: tests and results of its run"
    )
    command.add_argument(
        "--waivers", type=Path, metavar="FILE", default=None,
        help="who answers for which gap (default: waivers.toml, if it is there); beside the rig's own",
    )  # fmt: skip
    command.add_argument(
        "-m", metavar="MARKEXPR", dest="markers", default=None, help="as pytest's: take these tests only"
    )
    command.add_argument("-k", metavar="KEYWORDS", dest="keywords", default=None, help="as pytest's")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that the gate weighs."""

    requirements: Mapping[str, Requirement]
    tests: Sequence[TracedTest]
    shown: Shown | None
    reviews: Mapping[str, Review]
    waivers: Sequence[Waiver]


class CollectError(Exception):
    """pytest could not collect the tests; carries what it said."""


def run_check(options: argparse.Namespace) -> int:
    """The gate."""
    try:
        firmware = None if options.firmware is None else sha256(options.firmware)
        sources = _sources(options)
    except CollectError as error:
        complain(str(error))
        return UNDECIDED
    except ValueError as error:
        complain(str(error))
        return USAGE
    if firmware is not None and sources.shown is None:
        complain("--firmware: only evidence is about a firmware; name it too: --evidence DIR")
        return USAGE
    weighed = _weigh(sources, firmware)
    out = console()
    for gap in weighed.open:
        out.print(f"gap: {gap.kind}: {gap.text}", markup=False)
    for waiver in weighed.expired:
        out.print(f"expired: {waiver.text}", markup=False)
    for _, waiver in weighed.waived:
        out.print(f"waived: {waiver.text}", markup=False)
    for waiver in weighed.idle:
        out.print(f"not needed: {waiver.text}", markup=False)
    holding = sum(1 for r in sources.requirements.values() if not r.retired)
    size = f"{_count(holding, 'requirement')}, {_count(len(sources.tests), 'test')}"
    how = "from evidence" if sources.shown is not None else "as collected, nothing run"
    if weighed.open:
        out.print(f"{size} ({how}): {_count(len(weighed.open), 'gap')}, {len(weighed.waived)} waived", markup=False)
        return FAIL
    out.print(f"{size} ({how}): no gap that is not waived, {len(weighed.waived)} waived", markup=False)
    return PASS


def run_matrix(options: argparse.Namespace) -> int:
    """The matrix, as text or CSV."""
    from reports.traceability.matrix import rows, to_csv, to_text

    try:
        sources = _sources(options)
    except CollectError as error:
        complain(str(error))
        return UNDECIDED
    except ValueError as error:
        complain(str(error))
        return USAGE
    weighed = _weigh(sources, None)
    out = console()
    if options.csv is None:
        out.print(to_text(sources.requirements, sources.tests, weighed, sources.shown), markup=False)
        return PASS
    table = rows(sources.requirements, sources.tests, weighed, sources.shown)
    try:
        # CSV's lines end in CR LF; text mode must not add to that.
        options.csv.write_text(to_csv(table), encoding="utf-8", newline="")
    except OSError as error:
        complain(f"--csv {options.csv}: cannot be written ({error.strerror})")
        return USAGE
    out.print(f"wrote {options.csv}: {len(table):,} lines", markup=False)
    return PASS


def run_lock(options: argparse.Namespace) -> int:
    """Writes who reviewed what."""
    from reports.traceability import beside, reviewed

    file: Path = options.reviews or Path(beside.REVIEWS)
    try:
        requirements = beside.rules(Path(), options.requirements).requirements
        unknown = [name for name in options.only if name not in requirements]
        if unknown:
            raise RequirementsError(f"--only {', '.join(unknown)}: no such requirement; --requirements adds more")
        if not options.by.strip():
            raise RequirementsError("--by: a review needs the name of who made it")
        before = reviewed.load(file) if file.exists() else {}
        # What the rig's own reviews cover needs no second entry, unless somebody gives it one.
        own = reviewed.built_in()
        requirements = {
            name: r
            for name, r in requirements.items()
            if name in before or name in options.only or name not in own or own[name].sha256 != reviewed.digest(r)
        }
        now = reviewed.reviewed(
            requirements, before, frozenset(options.only), options.by.strip(), datetime.now(UTC).date()
        )
        file.write_text(reviewed.to_toml(now), encoding="utf-8")
    except OSError as error:
        complain(f"{file}: cannot be written ({error.strerror})")
        return USAGE
    except ValueError as error:
        complain(str(error))
        return USAGE
    changed = [name for name, review in now.items() if before.get(name) != review]
    console().print(f"wrote {file}: {_count(len(changed), 'new review')}, {len(now)} in all", markup=False)
    return PASS


def run_reqif(options: argparse.Namespace) -> int:
    """Requirements out of the rig, or into it."""
    if options.source is not None and options.toml is None:
        complain("--from: name the file that the requirements go to: --toml FILE")
        return USAGE
    from reports.traceability import beside, reqif

    out = console()
    try:
        if options.to is not None:
            requirements = beside.rules(Path(), options.requirements).requirements
            options.to.write_text(reqif.to_reqif(requirements, datetime.now(UTC)), encoding="utf-8")
            out.print(f"wrote {options.to}: {_count(len(requirements), 'requirement')}", markup=False)
            return PASS
        found = reqif.from_reqif(options.source)
        options.toml.write_text(reqif.to_toml(found.requirements), encoding="utf-8")
        out.print(f"wrote {options.toml}: {_count(len(found.requirements), 'requirement')}", markup=False)
        if found.left_out:
            out.print(f"no place for: {', '.join(found.left_out)}", markup=False, soft_wrap=True)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}")
        return USAGE
    except ValueError as error:
        complain(str(error))
        return USAGE
    return PASS


# -- what is weighed -------------------------------------------------------------------------------


def _sources(options: argparse.Namespace) -> Sources:
    from reports.traceability import beside, waivers

    named = (options.requirements, options.reviews, options.waivers)
    if options.evidence is not None:
        if options.tests or options.no_suite or options.markers or options.keywords:
            raise ValueError("--evidence: the tests are those of its run; name tests or evidence, not both")
        rules = beside.rules(options.evidence, *named)
        return Sources(rules.requirements, *_of_evidence(options.evidence), rules.reviews, rules.waivers)
    rules = beside.rules(Path(), *named)
    requirements, reviews, answered = rules.requirements, rules.reviews, rules.waivers
    if options.no_suite:
        requirements = {n: r for n, r in requirements.items() if n not in load_requirements()}
        if not requirements:
            raise ValueError("--no-suite: name requirements of your own: --requirements FILE")
        own = waivers.built_in()
        answered = tuple(w for w in answered if w not in own)
    how = (options.markers, options.keywords, options.requirements)
    tests: tuple[TracedTest, ...] = ()
    if not options.no_suite:
        suite = str(files("rig.suite"))
        tests += _collected([suite, f"--rootdir={suite}", "-c", os.devnull, "--import-mode=importlib"], *how)
    if options.tests:
        # With the configuration of the place where they are; so in a process of their own.
        tests += _collected(options.tests, *how)
    return Sources(requirements, tests, None, reviews, answered)


def _of_evidence(folder: Path) -> tuple[Sequence[TracedTest], Shown]:
    from reports.traceability.evidence import read

    return read(folder)


def _weigh(sources: Sources, firmware: str | None) -> Weighed:
    from reports.traceability.gaps import check
    from reports.traceability.waivers import weigh

    gaps = check(sources.requirements, sources.tests, sources.reviews, sources.shown, firmware)
    return weigh(gaps, sources.waivers, _today())


def _today() -> date:
    return datetime.now(UTC).date()


def _collected(
    tests: Sequence[str], markers: str | None, keywords: str | None, requirements: Sequence[Path]
) -> tuple[TracedTest, ...]:
    """What pytest collects, without running it, in a process of its own."""
    from reports.traceability import links
    from rig.cli.certify import plugin_options

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "links.json"
        command = [
            sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", f"--rig-links={file}",
            *plugin_options(), *(f"--rig-requirements={f}" for f in requirements),
        ]  # fmt: skip
        if markers is not None:
            command += ["-m", markers]
        if keywords is not None:
            command += ["-k", keywords]
        command += tests
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        # 5: nothing collected, or everything deselected, of which the list still tells.
        if done.returncode not in (0, 5) or not file.exists():
            raise CollectError(f"the tests could not be collected:\n{_last_lines(done.stdout + done.stderr)}")
        return links.load(file)


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])


def sha256(text: str) -> str:
    """A hash as it was given, or that of a file."""
    from reports.signing.manifest import sha256_of

    if len(text) == 64 and all(c in "0123456789abcdefABCDEF" for c in text):
        return text.lower()
    return sha256_of(Path(text))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
