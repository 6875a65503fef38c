"""`rig merge`: evidence of several benches or shards becomes one."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from fixtures.identity import versions
from reports.build import BuildError
from reports.journal import JournalError
from reports.merge import MergeError, merge
from reports.results import Verdict
from rig.cli.words import USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Puts the evidence of several campaigns about the same item together: several benches, or a suite that was split. Each
result keeps its bench. The parts' journals are copied as they are, and the new journal is chained to their heads.
Searches and samplings stay apart: nothing is pooled."""
EPILOG = """\
examples:
  rig merge out/bench-a out/bench-b --out out/both
  rig report out/both

exit codes: those of the merged verdict (0 pass, 1 fail, 2 inconclusive or error), 3 wrong usage"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "merge", "put evidence of several benches together", DESCRIPTION, EPILOG)
    command.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folders with a journal each")
    command.add_argument("--out", required=True, type=Path, metavar="DIR", help="the new folder")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Merges and says what came of it."""
    if len(options.folders) < 2:
        complain("one folder is merged already; name two or more")
        return USAGE
    again = shlex.join(["rig", "merge", *map(str, options.folders), "--out", str(options.out)])
    try:
        results = merge(options.folders, options.out, versions(), again)
    except (MergeError, JournalError, BuildError) as error:
        complain(str(error))
        return USAGE
    screen = console()
    for bench in results.benches:
        tests = sum(1 for t in results.tests if t.bench == bench.name)
        screen.print(f"{bench.name}: {tests:,} tests ({bench.text})", markup=False, soft_wrap=True)
    for note in results.notes:
        screen.print(f"note: {note}", markup=False, soft_wrap=True)
    screen.print(f"{results.runs:,} judged runs from {len(results.journals) - 1} journals", markup=False)
    screen.print(f"verdict: {results.verdict}, {results.why}", markup=False, soft_wrap=True)
    screen.print(f"results: {options.out / 'results.json'}", markup=False, soft_wrap=True)
    return Verdict(results.verdict).exit_code
