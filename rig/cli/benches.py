"""`rig bench list|show|check`: which benches there are, what is in one, and whether it can be used now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.table import Table

from hardware.bench import list_benches, load_bench
from hardware.benchcheck import check_bench
from rig.cli.words import PASS, UNDECIDED, add_command, console

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
A bench file says where each line of the DUT is: body CAN, reader, console, I/O line, and who plays the DUT.
Benches of your own lie as NAME.toml in ./benches, or are named by path."""
EPILOG = """\
examples:
  rig bench list
  rig bench show emulated > benches/mine.toml
  rig bench check benches/mine.toml"""


def add_to(commands: Commands) -> None:
    """Adds the command and its three."""
    command = add_command(commands, "bench", "list, show or check benches", DESCRIPTION, EPILOG)
    actions = command.add_subparsers(title="what", metavar="list|show|check", required=True)
    add_command(actions, "list", "names of all known benches", "Lists all known benches.").set_defaults(
        run=run_list
    )
    show = add_command(actions, "show", "print a bench file", "Prints a bench file, to start one's own from.")
    show.add_argument("name", help="name or path")
    show.set_defaults(run=run_show)
    check = add_command(
        actions,
        "check",
        "look whether a bench can be used",
        "Looks for each port of a bench, and says how to mend what is missing.",
    )
    check.add_argument("name", help="name or path")
    check.set_defaults(run=run_check)


def run_list(_options: argparse.Namespace) -> int:
    """Prints names and what they are."""
    out = console()
    names = list_benches()
    if not out.is_terminal:
        for name in names:
            out.print(f"{name}: {load_bench(name).text}", markup=False)
        return PASS
    table = Table("bench", "what it is", "fidelity", "DUT", "uncertainty")
    for name in names:
        bench = load_bench(name)
        table.add_row(name, bench.text, bench.fidelity, bench.dut.kind, f"{bench.uncertainty_ms} ms")
    out.print(table)
    return PASS


def run_show(options: argparse.Namespace) -> int:
    """Prints the file as it is."""
    console().print(load_bench(options.name).path.read_text(encoding="utf-8"), end="", markup=False)
    return PASS


def run_check(options: argparse.Namespace) -> int:
    """Prints what was found; 2 if anything is missing."""
    out = console()
    findings = check_bench(load_bench(options.name))
    for finding in findings:
        out.print(f"{'ok     ' if finding.ok else 'missing'} {finding.port}: {finding.text}", markup=False)
        if not finding.ok and finding.mend:
            out.print(f"        {finding.mend}", markup=False)
    return PASS if all(f.ok for f in findings) else UNDECIDED
