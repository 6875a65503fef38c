"""`rig results`: makes results.json anew from the journal."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reports.build import BuildError, attach_file, write_results
from reports.journal import JournalError
from reports.results import Verdict
from reports.resultsschema import results_schema
from rig.cli.words import PASS, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Makes results.json and results.jsonl of a folder's journal, as every campaign does at its end: equal journals give equal
files. For a campaign that broke off and is not to be gone on with, the results say that it was stopped."""
EPILOG = """\
examples:
  rig results out/certify
  rig results out/certify --attach qualification.json
  rig results --schema > results.schema.json

exit codes: 0 made, 3 wrong usage or a broken journal"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "results", "make results.json of a journal", DESCRIPTION, EPILOG)
    command.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="folder with journal.jsonl in it")
    command.add_argument(
        "--attach", action="append", default=[], type=Path, metavar="FILE",
        help="first put a document into the evidence: what `rig cutsets --json` or `rig qualify --json` wrote",
    )  # fmt: skip
    command.add_argument("--schema", action="store_true", help="print the JSON schema of results.json and end")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Makes, and says what came of it."""
    if options.schema:
        sys.stdout.write(json.dumps(results_schema(), indent=1, ensure_ascii=False) + "\n")
        return PASS
    if options.folder is None:
        complain("name a folder with a journal, or --schema")
        return USAGE
    try:
        for file in options.attach:
            attach_file(options.folder, file)
        results = write_results(options.folder)
    except (BuildError, JournalError) as error:
        complain(str(error))
        return USAGE
    screen = console()
    for gap in results.breaks:
        screen.print(f"break at record {gap.record} of {gap.file}: {gap.text}", markup=False, soft_wrap=True)
    screen.print(f"{results.runs:,} judged runs; verdict: {Verdict(results.verdict)}, {results.why}", markup=False,
                 soft_wrap=True)  # fmt: skip
    return PASS
