"""`rig cutsets`: what keeps a driver out of the emulated ECU, and whether it is what the paths are declared to need."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hardware.vehicle import emulated_model
from reports.cutsets import as_document, as_text, fault_tree_svg
from rig.cli import defects
from rig.cli.words import FAIL, PASS, USAGE, add_command, add_defect, complain, console
from rig.cutsets import Ask, Question, ask_model, explore, opens
from rig.faulttree import fault_tree
from rig.model import Model
from rig.processes import worker_pool

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Finds the minimal cut sets of each way into the emulated ECU: the smallest sets of failures that keep a legitimate
driver out, by trying all of them at `model`, and compares them with what each way is declared to need.
Ends with 0 if they are equal, with 1 and the difference in words if not."""
EPILOG = """\
examples:
  rig cutsets
  rig cutsets --defect bus_off_blocks_card
  rig cutsets --json cutsets.json --svg tree.svg"""
CHUNK = 32


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "cutsets", "what keeps a driver out: cut sets and fault tree", DESCRIPTION, EPILOG)
    add_defect(command)
    command.add_argument("--json", type=Path, metavar="FILE", help="write cut sets and fault tree as JSON")
    command.add_argument("--svg", type=Path, metavar="FILE", help="draw the fault tree")
    command.add_argument("--jobs", type=jobs, default=1, metavar="J", help="processes to use (default: 1)")
    command.set_defaults(run=run)


def jobs(text: str) -> int:
    """A number of processes on the command line."""
    value = int(text)
    if not 1 <= value <= 256:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 256")
    return value


def run(options: argparse.Namespace) -> int:
    """Finds, compares, prints, writes."""
    if defects.check(options.defect):
        return USAGE
    for option, file in (("--json", options.json), ("--svg", options.svg)):
        # Before the work, not after it.
        if file is not None and not file.parent.is_dir():
            complain(f"{option} {file}: cannot be written; name a file in a folder that exists")
            return USAGE
    with asking(options.defect, options.jobs) as ask:
        cuts = explore(ask)
    out = console()
    out.print(as_text(cuts, options.defect), markup=False)
    tree = fault_tree(cuts)
    documents: list[tuple[str, Path | None, Callable[[], str]]] = [
        ("--json", options.json, lambda: json.dumps(as_document(cuts, tree, options.defect), indent=1) + "\n"),
        ("--svg", options.svg, lambda: fault_tree_svg(cuts, tree, options.defect)),
    ]
    for option, file, content in documents:
        if file is None:
            continue
        try:
            file.write_text(content(), encoding="utf-8")
        except OSError as error:
            complain(f"{option} {file}: cannot be written ({error.strerror})")
            return USAGE
        out.print(f"wrote {file}", markup=False)
    return PASS if cuts.as_declared else FAIL


@contextmanager
def asking(defect: str | None, processes: int) -> Iterator[Ask]:
    """Who answers: this process, or several."""
    if processes == 1:
        yield ask_model(emulated_model(defect))
        return
    with worker_pool(processes) as pool:

        def ask(questions: Sequence[Question]) -> list[bool | None]:
            # In chunks, since one question takes about as long as sending it.
            return list(pool.map(_answer, [defect] * len(questions), questions, chunksize=CHUNK))

        yield ask


def _answer(defect: str | None, question: Question) -> bool | None:
    return opens(_model(defect), question)


@lru_cache(maxsize=1)
def _model(defect: str | None) -> Model:
    return emulated_model(defect)
