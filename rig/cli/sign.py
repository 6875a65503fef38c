"""`rig sign`: author and approver sign a folder of evidence."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rig.cli.passphrase import add_passphrase, passphrase
from rig.cli.verify import add_fonts
from rig.cli.words import FAIL, PASS, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Signs a folder of evidence. The author signs first: two statements, about the tested firmware and about every file of
the folder, which from then on may not change. The approver then signs the same, after all of it was verified with the
author's public key. Two people, two keys: `rig keys new` makes them."""
EPILOG = """\
examples:
  rig sign out/certify --role author --key ~/.rig-keys/r.moore.key
  rig sign out/certify --role approver --key ~/.rig-keys/a.smith.key --author r.moore.pub
exit codes: 0 signed, 1 the evidence does not hold, 3 it cannot be signed so"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "sign", "sign a folder of evidence, as author or approver", DESCRIPTION, EPILOG)
    command.add_argument("folder", type=Path, metavar="DIR", help="the evidence, such as out/certify")
    command.add_argument("--role", choices=("author", "approver"), required=True, help="who you are")
    command.add_argument("--key", type=Path, metavar="FILE.key", required=True, help="your private key")
    command.add_argument(
        "--author", type=Path, metavar="FILE.pub", default=None, help="with --role approver: the author's public key"
    )
    command.add_argument(
        "--firmware", type=Path, metavar="FILE", default=None,
        help="with --role author: the file that was flashed, if the evidence does not name it",
    )  # fmt: skip
    add_passphrase(command)
    add_fonts(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verifies what can be, then signs."""
    from reports.signing.keys import SigningError, check_private_file, load_private, load_public
    from reports.signing.sign import refuse_private_keys

    key_file: Path = options.key.expanduser()
    out = console()
    try:
        if (options.role == "approver") != (options.author is not None):
            raise SigningError("--author is what an approver names: the author's public key")
        if options.firmware is not None and options.role != "author":
            raise SigningError("--firmware: the author says what was tested")
        check_private_file(key_file)
        author = {} if options.author is None else {"author": load_public(options.author.expanduser())}
        refuse_private_keys(options.folder)
        if not _holds(options.folder, options.role, author, options.fonts):
            return FAIL
        key = load_private(key_file, passphrase(options, key_file))
        if options.role == "author":
            _sign_as_author(options.folder, key, options.firmware)
        else:
            from reports.signing.sign import sign_as_approver

            sign_as_approver(options.folder, key)
    except SigningError as error:
        complain(str(error))
        return USAGE
    out.print(f"signed as {options.role}: {options.folder}", markup=False, soft_wrap=True)
    if options.role == "author":
        out.print("next: the approver signs, `rig sign --role approver`; nothing in the folder may change any more")
    return PASS


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def _sign_as_author(folder: Path, key: Ed25519PrivateKey, firmware_file: Path | None) -> None:
    from reports.signing.facts import configuration_of, facts_of, firmware_of, read
    from reports.signing.keys import SigningError
    from reports.signing.manifest import sha256_of
    from reports.signing.sign import sign_as_author
    from reports.signing.statements import Firmware

    evidence = read(folder)
    firmware = firmware_of(evidence)
    if firmware_file is not None:
        given = Firmware(firmware_file.name, sha256_of(firmware_file))
        if firmware is not None and firmware.sha256 != given.sha256:
            raise SigningError(
                f"--firmware {firmware_file}: has SHA-256 {given.sha256}, and the evidence is about {firmware.sha256}"
            )
        firmware = given
    if firmware is None:
        raise SigningError("the evidence does not say which firmware was tested; name the file: --firmware FILE")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    sign_as_author(folder, key, facts_of(evidence), firmware, configuration_of(evidence), at)


def _holds(folder: Path, role: str, author: dict[str, Ed25519PublicKey], fonts: list[Path]) -> bool:
    """Nobody signs what does not hold; says what does not."""
    from reports.signing.verify import verify

    findings = verify(folder, author, fonts=fonts).findings
    for finding in findings:
        complain(finding)
    if findings:
        complain(f"nothing was signed: as {role} you would stand by what does not hold")
    return not findings
