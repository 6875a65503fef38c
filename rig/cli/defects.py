"""`rig defects`: the defects that can be planted in the emulated ECU, and its correct variants."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.table import Table

from hardware.ecu.registry import BUILDS, BuildError, find_build
from rig.cli.words import PASS, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Lists what the emulated ECU can be built as besides healthy: planted defects with the requirements of which at
least one must fail, and correct variants, which must pass everything. A test suite that never fails shows
nothing: plant a defect and see it found."""
EPILOG = """\
examples:
  rig defects
  rig defects busy_forever
  rig certify --bench model --defect bus_off_blocks_card
  rig certify --bench model --defect mydefects.py:DEAF_READER   one of your own, see docs/ecu.md"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "defects", "the defects that can be planted", DESCRIPTION, EPILOG)
    command.add_argument("name", nargs="?", metavar="NAME", help="only this one, or path/to/file.py:NAME")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the list, or one of it."""
    out = console()
    if options.name is not None:
        return _one(options.name)
    if not out.is_terminal:
        for build in BUILDS.values():
            must = f" ({', '.join(build.requirements)})" if build.requirements else ""
            out.print(f"{build.name}: {build.kind}: {build.text}{must}", markup=False)
        return PASS
    table = Table("name", "kind", "the ECU …", "must fail one of")
    for build in BUILDS.values():
        table.add_row(build.name, build.kind, build.text, ", ".join(build.requirements))
    out.print(table)
    return PASS


def _one(name: str) -> int:
    try:
        build = find_build(name)
    except BuildError as error:
        complain(str(error))
        return USAGE
    out = console()
    out.print(f"{build.name} ({build.kind})", markup=False)
    out.print(f"the ECU {build.text}", markup=False)
    must = (
        f"must fail one of {', '.join(build.requirements)}" if build.requirements else "must pass everything"
    )
    out.print(must, markup=False)
    return PASS


def check(name: str | None) -> int:
    """PASS if there is such a defect or variant, or none is asked for; else says what there is."""
    if name is None:
        return PASS
    try:
        find_build(name)
    except BuildError as error:
        complain(f"--defect {error}")
        return USAGE
    return PASS
