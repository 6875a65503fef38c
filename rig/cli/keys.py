"""`rig keys`: makes the keys that evidence is signed with, and says what id a public one has."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from reports.signing.keys import SHORTEST_PASSPHRASE, SigningError, check_new, key_id, load_public, new_keys
from rig.cli.passphrase import add_passphrase, new_passphrase
from rig.cli.words import PASS, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Makes pairs of ed25519 keys to sign evidence with: NAME.key, encrypted with a passphrase and readable by its owner
alone, which nobody else ever gets; and NAME.pub with its id, which everybody gets who shall verify. Author and approver
each make their own."""
EPILOG = f"""\
examples:
  rig keys new ~/.rig-keys/r.moore      asks for a passphrase of {SHORTEST_PASSPHRASE} characters or more
  rig keys id r.moore.pub               the id that the laboratory publishes
keys never lie in a folder of evidence: `rig keys new` and `rig sign` refuse that"""


def add_to(commands: Commands) -> None:
    """Adds the command with its own commands."""
    top = add_command(commands, "keys", "make the keys that evidence is signed with", DESCRIPTION, EPILOG)
    inner = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    new = add_command(inner, "new", "make a pair of keys", DESCRIPTION, EPILOG)
    new.add_argument("name", type=Path, metavar="NAME", help="path and name of the two files, without .key and .pub")
    add_passphrase(new)
    new.set_defaults(run=run_new)
    told = add_command(inner, "id", "say the id of a public key", "Says a public key's id: SHA-256 of its DER form.")
    told.add_argument("key", type=Path, metavar="FILE.pub", help="the public key")
    told.set_defaults(run=run_id)


def run_new(options: argparse.Namespace) -> int:
    """Makes a pair."""
    name: Path = options.name.expanduser()
    try:
        check_new(name)
        # For its owner alone, like what will lie in it.
        name.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file, public_file = new_keys(name, new_passphrase(options))
        told = key_id(load_public(public_file))
    except OSError as error:
        complain(f"{name.parent}: cannot be made ({error.strerror})")
        return USAGE
    except SigningError as error:
        complain(str(error))
        return USAGE
    out = console()
    out.print(f"private key, for you alone: {private_file}", markup=False, soft_wrap=True)
    out.print(f"public key, for everybody:  {public_file}", markup=False, soft_wrap=True)
    out.print(f"its id: {told}", markup=False, soft_wrap=True)
    return PASS


def run_id(options: argparse.Namespace) -> int:
    """Says an id."""
    try:
        console().print(key_id(load_public(options.key.expanduser())), markup=False)
    except SigningError as error:
        complain(str(error))
        return USAGE
    return PASS
