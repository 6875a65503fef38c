"""Where a passphrase comes from: the terminal, without echo, or a file that only its owner may read."""

from __future__ import annotations

import argparse
import getpass
import os
import stat
import sys
from pathlib import Path

from reports.signing.keys import SigningError


def add_passphrase(command: argparse.ArgumentParser) -> None:
    """The option --passphrase-file."""
    command.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        default=None,
        help="file whose first line is the passphrase, readable by you alone (default: ask at the terminal)",
    )


def passphrase(options: argparse.Namespace, key: Path) -> str:
    """The passphrase of a key that is there.

    Raises:
        SigningError: there is no terminal and no file, or others may read the file.
    """
    if options.passphrase_file is not None:
        return _from_file(options.passphrase_file.expanduser())
    return _asked(f"passphrase of {key}: ")


def new_passphrase(options: argparse.Namespace) -> str:
    """The passphrase of a key that is made; asked for twice.

    Raises:
        SigningError: as above, or the two differ.
    """
    if options.passphrase_file is not None:
        return _from_file(options.passphrase_file.expanduser())
    first = _asked("passphrase of the new key: ")
    if _asked("once more: ") != first:
        raise SigningError("the two passphrases differ; nothing was made")
    return first


def _from_file(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SigningError(f"--passphrase-file {file}: cannot be read ({error})") from None
    if os.name == "posix" and stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077:
        raise SigningError(f"--passphrase-file {file}: others may read it; `chmod 600 {file}`")
    return lines[0] if lines else ""


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise SigningError("no terminal to ask for the passphrase; name a file that holds it: --passphrase-file FILE")
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise SigningError("no passphrase was given") from None
