"""`rig version`: what is installed, for a bug report."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fixtures.campaign import versions
from rig.cli.words import PASS, add_command, console

if TYPE_CHECKING:
    from rig.cli.words import Commands


def add_to(commands: Commands) -> None:
    """Adds the command."""
    add_command(commands, "version", "what is installed", __doc__ or "").set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """Prints names and versions."""
    out = console()
    for name, version in versions().items():
        out.print(f"{name} {version}", markup=False)
    return PASS
