"""`rig resume`: goes on with a campaign where it stopped, whatever stopped it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from reports.journal import NAME, JournalError, Record, Tail, read
from reports.results import FILE, Verdict
from rig.cli.words import PASS, UNDECIDED, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Goes on with a campaign that was killed, that ran out of disk or power, or that was stopped. What its journal says was
finished is not run again: tests, rows of the table on real lines, scenarios of a search, draws of a sampling. The
journal's torn end is cut off, and the report shows the break: when, where, and what was done about it."""
EPILOG = """\
examples:
  rig resume out/certify
  rig resume out/search
  rig resume out/sample"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "resume", "go on with a campaign that broke off", DESCRIPTION, EPILOG)
    command.add_argument("folder", type=Path, metavar="DIR", help="its folder, with journal.jsonl in it")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Looks at the journal, and hands over to the command that began it."""
    from rig.cli import certify, sample, search

    out: Path = options.folder.resolve()
    tail = Tail()
    first: Record | None = None
    last = ""
    ended = False
    try:
        for record in read(out / NAME, tail):
            first = first or record
            last = record.kind
            if record.kind in ("end", "resume"):
                ended = record.kind == "end" and not record.body["interrupted"]
    except JournalError as error:
        complain(f"{error}; what is broken cannot be gone on with")
        return USAGE
    if first is None:
        complain(f"{out / NAME}: holds no whole record, so that nothing was finished; begin anew")
        return USAGE
    screen = console()
    if ended and (out / FILE).exists():
        screen.print(f"{out / NAME}: the campaign came to its end; there is nothing to go on with", markup=False)
        return PASS
    if ended and first.body.get("what") != "suite":
        return _make(out)
    torn = f", {tail.torn} torn bytes" if tail.torn else ""
    screen.print(f"going on after record {tail.records - 1} ({last}, {tail.at}){torn}", markup=False, soft_wrap=True)
    told = first.body.get("command") or {}
    what = first.body.get("what")
    try:
        if what == "sample":
            return sample.go_on(out, told)
        if what == "search":
            return search.go_on(out, told)
        if what == "suite" and told:
            return certify.go_on(out, told)
    except JournalError as error:
        complain(str(error))
        return UNDECIDED
    complain(
        f"{out / NAME}: was not begun by `rig certify`, `rig search` or `rig sample`; give pytest the same arguments"
        f" again, and --rig-out={out} --rig-resume"
    )
    return USAGE


def _make(out: Path) -> int:
    from reports.build import BuildError, write_results

    try:
        results = write_results(out)
    except BuildError as error:
        complain(str(error))
        return UNDECIDED
    console().print(f"verdict: {results.verdict}, {results.why}", markup=False, soft_wrap=True)
    return Verdict(results.verdict).exit_code
