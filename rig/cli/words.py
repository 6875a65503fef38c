"""What all commands share: exit codes, the console, and how a complaint looks."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # the type has no public name

PASS = 0
FAIL = 1
UNDECIDED = 2
USAGE = 3


def console() -> Console:
    """Where results are said; plain text when it is not a terminal."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def complain(text: str) -> None:
    """Says on standard error what is wrong."""
    print(f"rig: {text}", file=sys.stderr)


def add_command(
    commands: Commands, name: str, help_: str, description: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """A command with a help page that teaches: what it does, its options, examples."""
    return commands.add_parser(
        name,
        help=help_,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_bench(command: argparse.ArgumentParser, default: str) -> None:
    """The option --bench."""
    command.add_argument(
        "--bench",
        metavar="NAME",
        default=default,
        help=f"name of a bench, or a bench file (default: {default})",
    )


def add_overwrite(command: argparse.ArgumentParser) -> None:
    """The option --overwrite, of whatever begins a campaign in a folder."""
    command.add_argument(
        "--overwrite", action="store_true",
        help="delete a campaign that broke off in --out, instead of refusing; signed evidence is never written over",
    )  # fmt: skip


def add_defect(command: argparse.ArgumentParser) -> None:
    """The option --defect."""
    command.add_argument(
        "--defect",
        metavar="NAME",
        default=None,
        help="plant a defect in the emulated ECU, or run a correct variant of it: a name that `rig defects` lists,"
        " or path/to/file.py:NAME of your own",
    )


def seed(text: str) -> int:
    """A seed on the command line."""
    value = int(text)
    if not 0 <= value < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {(1 << 32) - 1}")
    return value


def count(text: str) -> int:
    """A number of scenarios on the command line."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of scenarios")
    return value
