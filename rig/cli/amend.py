"""`rig amend`: a new revision of issued evidence, with its reason and what it replaces."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rig.cli.verify import add_fonts
from rig.cli.words import FAIL, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Makes a new revision of evidence that was issued: a copy in a folder of its own, with revision, reason, and id and
hashes of what it replaces. The old folder stays as it is; its envelopes are kept in the new one. Correct what has to
be (such as campaign.toml), make the report anew with `rig report`, and have author and approver sign."""
EPILOG = """\
examples:
  rig amend out/certify --reason "serial number of the sample was misspelled" --by "R. Moore"
  rig amend out/certify-r2 --reason "clause of the order added" --by "R. Moore" --out out/third
exit codes: 0 made, 1 the evidence does not hold, so that nothing can rest on it, 3 wrong usage"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "amend", "a new revision of issued evidence", DESCRIPTION, EPILOG)
    command.add_argument("folder", type=Path, metavar="DIR", help="the evidence that is replaced")
    command.add_argument("--reason", required=True, metavar="TEXT", help="why; stands in the report")
    command.add_argument("--by", required=True, metavar="NAME", help="who answers for it; stands in the report")
    command.add_argument(
        "--out", type=Path, metavar="DIR", default=None, help="the new folder (default: DIR-r2, DIR-r3 …)"
    )
    add_fonts(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Checks, copies, adds the record, makes results and report anew."""
    from reports.signing.amend import amendment, copy_amended, next_folder
    from reports.signing.keys import SigningError
    from reports.signing.recompute import recompute
    from rig.cli import report

    folder: Path = options.folder
    new: Path = options.out or next_folder(folder)
    try:
        body = amendment(folder, options.reason, options.by, datetime.now(UTC).isoformat(timespec="seconds"))
        findings = recompute(folder, options.fonts).findings
        for finding in findings:
            complain(finding)
        if findings:
            complain("no revision was made: what it would rest on does not hold")
            return FAIL
        copy_amended(folder, new, body)
    except SigningError as error:
        complain(str(error))
        return USAGE
    console().print(
        f"revision {body['revision']}: {new}; correct it, `rig report {new}`, then `rig sign`",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    return report.make(new, None)
