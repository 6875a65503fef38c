"""`rig defects`: the defects that can be planted in the emulated ECU."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.table import Table

from hardware.ecu.defects import DEFECTS
from rig.cli.words import PASS, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Lists the defects that can be planted in the emulated ECU, and the requirements that each must fail.
A test suite that never fails shows nothing: plant one and see it found."""
EPILOG = """\
examples:
  rig defects
  rig certify --bench model --defect bus_off_blocks_card"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    add_command(commands, "defects", "the defects that can be planted", DESCRIPTION, EPILOG).set_defaults(
        run=run
    )


def run(_options: argparse.Namespace) -> int:
    """Prints the list."""
    out = console()
    if not out.is_terminal:
        for name, defect in DEFECTS.items():
            out.print(f"{name}: {defect.text} ({', '.join(defect.requirements)})", markup=False)
        return PASS
    table = Table("defect", "the ECU …", "must fail")
    for name, defect in DEFECTS.items():
        table.add_row(name, defect.text, ", ".join(defect.requirements))
    out.print(table)
    return PASS


def check(name: str | None) -> int:
    """PASS if there is such a defect, or none is asked for; else says which there are."""
    if name is None or name in DEFECTS:
        return PASS
    complain(f"--defect {name}: there is no such defect; known are {', '.join(DEFECTS)}")
    return USAGE
