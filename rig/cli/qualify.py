"""`rig qualify`: is the rig fit to judge? Plants every defect, and sees who finds it."""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from fixtures.campaign import versions
from hardware.ecu.registry import BUILDS, find_build
from hardware.vehicle import emulated_model
from rig.cli.cutsets import jobs
from rig.cli.words import FAIL, PASS, UNDECIDED, USAGE, add_command, complain, console, seed
from rig.search.qualify import Candidate, Qualification, qualify
from rig.search.strategies import STRATEGIES

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Tries the rig itself. Every planted defect is hunted with every strategy; correct variants of the ECU must pass
everything; the rig is made wrong in one place after the other, and something must notice. Prints a matrix of defect
and strategy: scenarios and seconds of one core until it was caught, and by which requirement.
Ends with 0 if the rig is fit: every defect found by at least one strategy, all but three of them by the default one
within 10 s, no false alarm, and no mutant of the rig unnoticed."""
EPILOG = """\
examples:
  rig qualify                                       everything; takes a while
  rig qualify --strategy default --seconds 10       the default strategy alone
  rig qualify --defect my_ecu.py:MINE --strategy default"""
SEED = 1
VARIANT_SCENARIOS = 400


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "qualify", "is the rig fit? finds what is wrong, leaves alone what is right",
                          DESCRIPTION, EPILOG)  # fmt: skip
    command.add_argument(
        "--strategy",
        action="append",
        choices=list(STRATEGIES),
        metavar="NAME",
        help="only these (default: all)",
    )
    command.add_argument(
        "--defect", action="append", metavar="NAME", help="only these, or your own as path/to/file.py:NAME"
    )
    command.add_argument(
        "--seconds",
        type=_seconds,
        default=60.0,
        metavar="T",
        help="of one core's time for each hunt (default: 60)",
    )
    command.add_argument(
        "--variants", type=int, default=VARIANT_SCENARIOS, metavar="N",
        help=f"scenarios for each correct variant (default: {VARIANT_SCENARIOS}; 0: none)",
    )  # fmt: skip
    command.add_argument(
        "--seed", type=seed, default=SEED, metavar="S", help=f"of every choice (default: {SEED})"
    )
    cores = os.cpu_count() or 1
    command.add_argument(
        "--jobs", type=jobs, default=cores, metavar="J", help=f"processes (default: {cores})"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the matrix as JSON")
    command.set_defaults(run=run)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def run(options: argparse.Namespace) -> int:
    """Qualifies and prints the matrix."""
    screen = console()
    chosen = [find_build(name) for name in options.defect] if options.defect else list(BUILDS.values())
    defects = [
        Candidate(b.name, b.requirements, partial(emulated_model, name))
        for b, name in zip(chosen, options.defect or BUILDS, strict=True)
        if b.kind == "defect"
    ]
    variants = (
        [Candidate(b.name, (), partial(emulated_model, b.name)) for b in chosen if b.kind == "variant"]
        if options.variants
        else []
    )
    strategies = options.strategy or list(STRATEGIES)
    screen.print(
        f"{len(defects)} defects × {len(strategies)} strategies, {len(variants)} correct variants, seed {options.seed}",
        markup=False,
    )
    began = time.monotonic()
    try:
        result = qualify(
            defects, variants, Candidate("healthy", (), emulated_model), strategies,
            seed=options.seed, seconds=options.seconds, variant_scenarios=options.variants, jobs=options.jobs,
            progress=lambda text, done, total: screen.print(f"{done}/{total} {text}", markup=False, soft_wrap=True),
        )  # fmt: skip
    except KeyboardInterrupt:
        complain("stopped by Ctrl-C: nothing is said about the rig")
        return UNDECIDED
    _matrix(result, [d.name for d in defects], strategies)
    for name, scenario, text in result.false_alarms[:5]:
        screen.print(f"false alarm on {name}: {text}\n{scenario.to_json()}", markup=False, soft_wrap=True)
    for name, scenario, text in result.errors[:3]:
        screen.print(
            f"the rig failed with {name}: {text}\n{scenario.to_json()}", markup=False, soft_wrap=True
        )
    if options.json is not None:
        try:
            options.json.write_text(json.dumps(_document(result), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            complain(f"--json {options.json}: cannot be written ({error.strerror})")
            return USAGE
    reasons = result.reasons()
    for reason in reasons:
        screen.print(f"not fit: {reason}", markup=False, soft_wrap=True)
    caught = sum(1 for d in defects if d.name not in result.missed)
    screen.print(
        f"{caught} of {len(defects)} defects found, {len(result.late)} not by the default strategy within 10 s; "
        f"{len(variants)} variants with {len(result.false_alarms)} false alarms; "
        f"{len(result.mutants) - len(result.survivors)} of {len(result.mutants)} mutants of the rig noticed; "
        f"{time.monotonic() - began:.0f} s",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    screen.print(f"verdict: the rig is {'not fit' if reasons else 'fit'}", markup=False)
    return FAIL if reasons else PASS


def _matrix(result: Qualification, defects: list[str], strategies: list[str]) -> None:
    screen = console()
    table = Table("defect", *strategies, title="scenarios and seconds until caught, and by what")
    for name in defects:
        cells = []
        for strategy in strategies:
            h = result.hunts[name, strategy]
            cells.append(f"{h.scenarios} · {h.seconds:.1f} s · {h.caught_by}" if h.caught_by else "–")
        table.add_row(name, *cells)
        if not screen.is_terminal:
            screen.print(" | ".join([name, *cells]), markup=False, soft_wrap=True)
    if screen.is_terminal:
        screen.print(table)


def _document(result: Qualification) -> dict[str, object]:
    """The matrix for other programs."""
    return {
        "format": "unlock-rig/qualification/1",
        "rig": versions()["unlock-rig"],
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "fit": not result.reasons(),
        "reasons": result.reasons(),
        "hunts": [
            {
                "defect": h.build, "strategy": h.strategy, "caught_by": h.caught_by, "scenarios": h.scenarios,
                "seconds": round(h.seconds, 2),
            }
            for h in result.hunts.values()
        ],
        "variants": [
            {"variant": h.build, "scenarios": h.scenarios, "caught_by": h.caught_by} for h in result.variants.values()
        ],
        "false_alarms": [{"build": n, "text": t} for n, _, t in result.false_alarms],
        "mutants": [{"mutant": m.name, "text": m.text, "noticed_by": m.red} for m in result.mutants],
    }  # fmt: skip
