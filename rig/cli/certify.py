"""`rig certify`: the main job. Runs the suite on a bench and ends with the verdict and where the report lies."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fixtures.campaign import LOGS
from fixtures.plugin import MARK
from fixtures.recording import STOPPED
from hardware.bench import load_bench
from reports.build import BuildError, attach, write_results
from reports.campaign import CampaignError, load_campaign
from reports.cutsets import as_document, as_text
from reports.journal import JournalError
from reports.results import FILE, Results, ResultsError, Verdict
from reports.standing import occupied
from rig.cli import cutsets, defects, report
from rig.cli.words import (
    UNDECIDED,
    USAGE,
    add_bench,
    add_command,
    add_defect,
    add_overwrite,
    complain,
    console,
    count,
    seed,
)
from rig.cutsets import explore
from rig.faulttree import fault_tree

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Runs the certification suite: every combination of server, network and Bluetooth failures, every path against
every failure mode, attackers, supply failures, and properties over random timings, in virtual time; then a fixed
table on the bench's real lines. Ends with the verdict and where the report lies: report.html, and report.pdf where
typst is installed; working.html is pytest's own view."""
EPILOG = """\
examples:
  rig certify                              on the emulated ECU, as a process behind CAN and serial
  rig certify --bench model                in virtual time only, in seconds
  rig certify --bench vcan --out report    on vcan0
  rig certify --seed 7                     the same random choices again"""
EVERY_S = 5.0
"""Without a terminal, a line of progress at most this often."""
MADE = (
    "results.json", "results.jsonl", "report.html", "report.pdf", "working.html", "junit.xml", "pytest.log",
    "cutsets.json", "trace.csv",
)  # fmt: skip
"""What a run leaves, beside the folder of failures; that of the run before goes."""
STYLES = {"pass": "green", "conditional pass": "green", "fail": "bold red", "error": "bold red"}


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(
        commands, "certify", "the main job: run the suite, make the report", DESCRIPTION, EPILOG
    )
    add_bench(command, "emulated")
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("out/certify"),
        help="where the report goes (default: out/certify)",
    )
    command.add_argument(
        "--seed",
        type=seed,
        metavar="S",
        default=None,
        help="seed of every random choice (default: a fresh one)",
    )
    command.add_argument(
        "--scenarios",
        type=count,
        metavar="N",
        default=None,
        help="how many scenarios the search in the suite tries (default: 10000)",
    )
    command.add_argument(
        "--campaign", type=Path, metavar="FILE", help="what only people know, for the report: `rig report --template`"
    )
    command.add_argument(
        "--no-cutsets", action="store_false", dest="cutsets", help="leave cut sets and fault tree out (some seconds)"
    )
    add_overwrite(command)
    add_defect(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the suite, shows progress, prints the summary."""
    bench = load_bench(options.bench)
    if defects.check(options.defect):
        return USAGE
    if options.defect is not None and bench.dut.kind != "emulated":
        complain(f"--defect: bench {bench.name} has a real ECU; defects are planted in the emulated one")
        return USAGE
    if options.campaign is not None:
        # Before the work, not after it.
        try:
            load_campaign(options.campaign)
        except CampaignError as error:
            complain(f"--campaign {error}")
            return USAGE
    out: Path = options.out.resolve()
    why = occupied(out, overwrite=options.overwrite)
    if why:
        complain(f"--out {why}")
        return USAGE
    try:
        out.mkdir(parents=True, exist_ok=True)
        for stale in MADE:
            (out / stale).unlink(missing_ok=True)
        for old in (*(out / "failures").glob("*"), *(out / LOGS).glob("*.trace.jsonl"), *out.glob("journal*.jsonl")):
            old.unlink()
    except OSError as error:
        complain(f"--out {options.out}: cannot be written ({error.strerror}); name another folder")
        return USAGE
    command = _command(options.bench, out, options.defect, options.scenarios)
    if options.seed is not None:
        command.append(f"--rig-seed={options.seed}")
    told = {
        "bench": options.bench, "defect": options.defect, "cutsets": options.cutsets, "scenarios": options.scenarios,
        "campaign": None if options.campaign is None else str(options.campaign),
    }  # fmt: skip
    command.append(f"--rig-command={json.dumps(told)}")
    return _carry_out(command, out, told, emulated=bench.dut.kind == "emulated")


def go_on(out: Path, told: Mapping[str, Any]) -> int:
    """Goes on with a campaign that broke off.

    Args:
        out: its folder.
        told: what it was begun with, as its journal has it.
    """
    bench = load_bench(told["bench"])
    if defects.check(told["defect"]):
        return USAGE
    command = _command(told["bench"], out, told["defect"], told.get("scenarios"))
    command += ["--rig-resume", f"--rig-command={json.dumps(dict(told))}"]
    return _carry_out(command, out, told, emulated=bench.dut.kind == "emulated")


def _carry_out(command: list[str], out: Path, told: Mapping[str, Any], *, emulated: bool) -> int:
    """Runs the suite, then makes everything that is made of its journal."""
    (out / FILE).unlink(missing_ok=True)
    log = _Log(out / "pytest.log")
    code = _pytest(command, log.write)
    try:
        results = Results.load(out / FILE)
    except ResultsError:
        if log.stopped:
            complain(log.stopped)
            return UNDECIDED
        complain(f"the suite did not come to its end (pytest's exit code {code}); {log.file} says why")
        for line in log.last:
            print(line, file=sys.stderr)
        return UNDECIDED
    try:
        if emulated and told["cutsets"] and results.cutsets is None:
            _cutsets(told["defect"], out)
            results = write_results(out)
    except (JournalError, BuildError) as error:
        complain(str(error))
        return UNDECIDED
    _summary(results, out)
    written = report.make(out, None if told["campaign"] is None else Path(told["campaign"]))
    return written or Verdict(results.verdict).exit_code


def _command(bench: str, out: Path, defect: str | None, scenarios: int | None) -> list[str]:
    suite = str(files("rig.suite"))
    command = [
        sys.executable, "-m", "pytest", suite, f"--rootdir={suite}", "-c", os.devnull, "--import-mode=importlib",
        "-p", "no:cacheprovider", "-q", "--tb=short", "-ra", "--rig-progress",
        f"--bench={bench}", f"--rig-out={out}",
        f"--html={out / 'working.html'}", "--self-contained-html", f"--junitxml={out / 'junit.xml'}",
    ]  # fmt: skip
    command += plugin_options()
    if scenarios is not None:
        command.append(f"--rig-scenarios={scenarios}")
    if defect is not None:
        command.append(f"--defect={defect}")
    return command


def plugin_options() -> list[str]:
    """What makes pytest load the rig's plugin where the distribution is not installed."""
    from importlib.metadata import entry_points

    installed = any(entry.value == "fixtures.plugin" for entry in entry_points(group="pytest11"))
    return [] if installed else ["-p", "fixtures.plugin"]


class Writer(Protocol):
    """Takes text."""

    def __call__(self, text: str, /) -> object:
        """Writes it."""


def _pytest(command: list[str], log: Writer) -> int:
    """Runs pytest; its progress lines go to the screen, the rest to the log."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
    }
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        encoding="utf-8", errors="replace", env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with _shown() as show:
            for line in process.stdout:
                start = line.find(MARK)
                if start >= 0:
                    log(line[:start])
                    show(line[start + 1 :])
                else:
                    log(line)
        return process.wait()
    except KeyboardInterrupt:
        # The suite got Ctrl-C too: it powers the ECU off and writes down what it has.
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def _shown() -> AbstractContextManager[Writer]:
    return _bar() if console().is_terminal else _lines()


@contextmanager
def _bar() -> Iterator[Writer]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task("collecting", total=None)
        failed = 0

        def show(text: str, /) -> None:
            nonlocal failed
            news = json.loads(text)
            if "total" in news:
                progress.update(task, total=news["total"], description="running")
            elif "done" in news:
                failed += news["outcome"] == "failed"
                where = "[red]" + f"{failed} failed[/red]" if failed else "running"
                progress.update(task, advance=1, description=where)
            else:
                progress.update(task, description=news["say"][:60])

        yield show


@contextmanager
def _lines() -> Iterator[Writer]:
    out = console()
    done = total = failed = 0
    last = time.monotonic()

    def show(text: str, /) -> None:
        nonlocal done, total, failed, last
        news = json.loads(text)
        if "total" in news:
            total = news["total"]
            out.print(f"running {total} tests", markup=False)
        elif "done" in news:
            done += 1
            failed += news["outcome"] == "failed"
            if time.monotonic() - last >= EVERY_S:
                last = time.monotonic()
                out.print(f"{done}/{total} tests done, {failed} failed", markup=False)
        else:
            out.print(news["say"], markup=False)

    yield show


def _cutsets(defect: str | None, out: Path) -> None:
    """What keeps the driver out, for the report."""
    with cutsets.asking(defect, os.cpu_count() or 1) as ask:
        cuts = explore(ask)
    document = as_document(cuts, fault_tree(cuts), defect)
    (out / "cutsets.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    attach(out, "cutsets", "cutsets.json", document)
    attach(out, "fault tree", "", {"text": as_text(cuts, defect)})


def _summary(results: Results, out: Path) -> None:
    """The table of requirements, the failures and the verdict."""
    screen = console()
    if screen.is_terminal:
        table = Table("requirement", "verdict", "held", "failed", "not asked", "tightest", title=None)
        for r in results.requirements:
            held = r.outcomes.get("pass", 0) + r.outcomes.get("conditional pass", 0)
            style = STYLES.get(r.verdict, "yellow")
            tight = "" if r.tightest_ms is None else f"{r.tightest_ms:,.0f} ms left"
            table.add_row(
                f"{r.id}", f"[{style}]{r.verdict}[/{style}]", f"{held:,}", f"{r.outcomes.get('fail', 0):,}",
                f"{r.outcomes.get('vacuous', 0):,}", tight,
            )  # fmt: skip
        screen.print(table)
    else:
        for r in results.requirements:
            held = r.outcomes.get("pass", 0) + r.outcomes.get("conditional pass", 0)
            screen.print(
                f"{r.id:<7} {r.verdict:<12} held {held}, failed {r.outcomes.get('fail', 0)}, "
                f"not asked {r.outcomes.get('vacuous', 0)}",
                markup=False,
            )
    for f in results.failures:
        replay = f.replay.replace(f.scenario_file, shlex.quote(str(out / f.scenario_file)))
        screen.print(f"{f.requirement} failed: {f.text}\n  {replay}", markup=False, soft_wrap=True)
    for n in results.undecided:
        screen.print(f"not decided: {n.test}: {n.reason}", markup=False, soft_wrap=True)
    for reason, number in Counter(n.reason for n in results.skipped).items():
        screen.print(
            f"not run: {number} test{'s' if number > 1 else ''}: {reason}", markup=False, soft_wrap=True
        )
    size = f"{results.runs:,} judged runs, {results.simulated_s / 3600:.1f} hours of vehicle time"
    screen.print(f"{size} in {results.seconds:.0f} s; again: {results.again}", markup=False, soft_wrap=True)
    style = STYLES.get(results.verdict, "yellow")
    screen.print(f"[{style}]verdict: {results.verdict}[/{style}], {results.why}")


class _Log:
    """pytest's output in a file, and its last lines in hand: a full disk must not hide why the suite stopped."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.last: deque[str] = deque(maxlen=15)
        self.stopped = ""

    def write(self, text: str) -> None:
        """Takes a line."""
        self.last.append(text.rstrip("\n"))
        if text.startswith(STOPPED):
            self.stopped = text.removeprefix(STOPPED).strip()
        with contextlib.suppress(OSError), self.file.open("a", encoding="utf-8") as writing:
            writing.write(text)
