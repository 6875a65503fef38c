"""`rig compare`: what changed between two firmwares, or two runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reports.compare import TOLERANCE, compare, document
from reports.results import FILE, Results, ResultsError
from rig.cli.words import FAIL, PASS, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Compares the evidence of two campaigns: verdicts, least margins, latencies, sampled rates, tests, coverage. Times count
as changed beyond the tolerance and beyond the uncertainty of both benches; sampled figures if their intervals do not
meet. Whatever is no longer asked, or no longer tested, is for the worse."""
EPILOG = """\
examples:
  rig compare out/firmware-1 out/firmware-2
  rig compare out/before out/after --tolerance 10 --json changes.json
  rig compare a b --json - | jq .worse

exit codes: 0 nothing got worse, 1 something did, 3 wrong usage"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "compare", "what changed between two firmwares or runs", DESCRIPTION, EPILOG)
    command.add_argument("before", type=Path, metavar="A", help="folder, or results.json")
    command.add_argument("after", type=Path, metavar="B", help="the same, later")
    command.add_argument(
        "--tolerance", type=_percent, default=TOLERANCE, metavar="PERCENT",
        help=f"differences of times and coverage up to this are none (default: {TOLERANCE * 100:g})",
    )  # fmt: skip
    command.add_argument("--json", metavar="FILE", help="write the changes as JSON; -: to standard output, alone")
    command.set_defaults(run=run)


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a percentage")
    return value / 100


def run(options: argparse.Namespace) -> int:
    """Compares and tells."""
    try:
        before, after = (Results.load(p / FILE if p.is_dir() else p) for p in (options.before, options.after))
    except ResultsError as error:
        complain(str(error))
        return USAGE
    changes = compare(before, after, options.tolerance)
    worse = sum(1 for c in changes if c.trend == "worse")
    if options.json is not None:
        text = json.dumps(document(before, after, changes), indent=1, ensure_ascii=False) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
            return FAIL if worse else PASS
        try:
            Path(options.json).write_text(text, encoding="utf-8")
        except OSError as error:
            complain(f"--json {options.json}: cannot be written ({error.strerror})")
            return USAGE
    screen = console()
    for trend in ("worse", "better", "other"):
        some = [c for c in changes if c.trend == trend]
        if some:
            screen.print(f"{trend}:", markup=False)
        for change in some:
            screen.print(f"  {change.text}", markup=False, soft_wrap=True)
    better = sum(1 for c in changes if c.trend == "better")
    screen.print(f"{worse} for the worse, {better} for the better", markup=False)
    return FAIL if worse else PASS
