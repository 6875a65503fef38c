"""`rig verify`: whether evidence is what its author and approver signed, and says what its journal gives."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rig.cli.words import FAIL, PASS, UNDECIDED, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from reports.signing.verify import Verification
    from rig.cli.words import Commands

DESCRIPTION = """\
Checks a folder of evidence without trusting who made it: hashes every file again, checks the signatures of author and
approver, the chain of the journal, and recomputes verdicts and statistics from it. Says of every difference where it
is, what it says, and what it should say. Take the public keys from the laboratory, never from the folder itself."""
EPILOG = """\
examples:
  rig verify out/certify --author r.moore.pub --approver a.smith.pub
  rig verify out/certify --author r.moore.pub --approver a.smith.pub --firmware firmware.bin
  rig verify out/certify --replay --author r.moore.pub --approver a.smith.pub
  rig verify out/certify --unsigned --replay     what nobody has signed yet, as after a build: all but the signatures
  rig verify out/certify          the same without --replay, but ends with 2: whether somebody signed was not checked
VERIFY.txt in the folder tells how to do without the rig, by OpenSSL alone
exit codes: 0 all of it holds (with --unsigned: all but the signatures that nobody has made), 1 something does not,
2 not all could be checked, 3 wrong usage, such as --unsigned for evidence that is signed"""
LOUD = (
    "UNSIGNED: nobody has signed this evidence. It agrees with itself; who made it, and whether somebody changed all"
    " of it alike, nobody can tell. `rig sign` is how author and approver answer for it"
)


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "verify", "check a folder of evidence, trusting nobody", DESCRIPTION, EPILOG)
    command.add_argument("folder", type=Path, metavar="DIR", help="the evidence")
    command.add_argument("--author", type=Path, metavar="FILE.pub", help="public key of who must have signed as author")
    command.add_argument("--approver", type=Path, metavar="FILE.pub", help="and as approver")
    command.add_argument(
        "--firmware", metavar="FILE|SHA256", help="the firmware that it must be about: its file, or its SHA-256 in hex"
    )
    add_fonts(command)
    command.add_argument(
        "--replay", action="store_true",
        help="play every failure of the emulated ECU again, and judge every log of real lines again",
    )  # fmt: skip
    command.add_argument(
        "--unsigned", action="store_true",
        help="nobody has signed yet: check everything else, say so loudly, and end with 0 if it holds",
    )  # fmt: skip
    command.set_defaults(run=run)


def _played_again(folder: Path, found: Verification) -> Verification:
    """The verification, with what became of failures and logs when they were played and judged again."""
    from fixtures.rejudge import again
    from reports.results import FILE, Results, ResultsError

    try:
        more = again(folder, Results.load(folder / FILE))
    except ResultsError:
        return found  # which says so
    return replace(
        found,
        findings=(*found.findings, *more.findings),
        checked=(*found.checked, *more.checked),
        left=(*found.left, *more.left),
    )


def add_fonts(command: argparse.ArgumentParser) -> None:
    """The option --fonts, of whatever makes the PDF again to see whether it is the same."""
    command.add_argument(
        "--fonts", type=Path, metavar="DIR", action="append", default=[],
        help="as `rig report --fonts`, if the PDF was set so",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Checks, and tells."""
    from reports.signing.keys import SigningError, load_public
    from reports.signing.verify import verify
    from rig.cli.trace import sha256

    folder: Path = options.folder
    if not folder.is_dir():
        complain(f"{folder}: is no folder; name the one that has results.json in it")
        return USAGE
    try:
        roles = {
            role: load_public(file.expanduser())
            for role, file in (("author", options.author), ("approver", options.approver))
            if file is not None
        }
        firmware = None if options.firmware is None else sha256(options.firmware)
    except SigningError as error:
        complain(str(error))
        return USAGE
    if options.unsigned and (why := _not_unsigned(folder, named=bool(roles), firmware=firmware is not None)):
        complain(why)
        return USAGE
    found = verify(folder, roles, firmware, options.fonts, unsigned=options.unsigned)
    out = console()
    if options.replay:
        found = _played_again(folder, found)
    if found.report:
        out.print(f"report {found.report}: {found.verdict}", markup=False, soft_wrap=True)
    if found.firmware is not None:
        out.print(f"firmware {found.firmware.name}, SHA-256 {found.firmware.sha256}", markup=False, soft_wrap=True)
    for words in found.checked:
        out.print(f"holds: {words}", markup=False, soft_wrap=True)
    for words in found.notes:
        out.print(f"note: {words}", markup=False, soft_wrap=True)
    for words in found.left:
        out.print(f"not checked: {words}", markup=False, soft_wrap=True)
    for words in found.findings:
        out.print(f"WRONG: {words}", markup=False, soft_wrap=True)
    if found.findings:
        number = len(found.findings)
        out.print(f"this evidence does not hold: {number} finding{'' if number == 1 else 's'}", markup=False)
        return FAIL
    if options.unsigned:
        out.print(LOUD, markup=False, soft_wrap=True)
    if found.left:
        out.print("nothing is wrong, but not everything could be checked", markup=False)
        return UNDECIDED
    out.print(f"this evidence holds{', but for signatures' if options.unsigned else ''}", markup=False)
    return PASS


def _not_unsigned(folder: Path, *, named: bool, firmware: bool) -> str:
    """Why --unsigned does not fit; "" if it does."""
    from reports.signing.manifest import SIGNATURES

    if named or firmware:
        return "--unsigned: looks for no signatures; --author, --approver and --firmware ask what was signed"
    if (folder / SIGNATURES).exists():
        return (
            f"{folder}: there are signatures, so it is not unsigned; name the public keys: --author FILE.pub"
            " --approver FILE.pub"
        )
    return ""
