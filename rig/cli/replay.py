"""`rig replay`: one scenario again, with its trace's hash and the verdict on every requirement."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fixtures.campaign import Undecided
from fixtures.replay import replay
from hardware.bench import load_bench
from reports.sequence import sequence_svg
from reports.timeline import story, timeline_svg
from rig.cli import defects
from rig.cli.words import (
    FAIL,
    PASS,
    UNDECIDED,
    USAGE,
    add_bench,
    add_command,
    add_defect,
    complain,
    console,
    seed,
)
from rig.faults import check_faults
from rig.judge.verdicts import Outcome
from rig.ports import Unsupported
from rig.scenario import Scenario
from rig.world.attacker import check_attacks

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Plays one scenario file again, at `model` in virtual time or on a bench's real lines, and prints the verdict on
each requirement that it asks. At `model` equal scenarios leave equal traces, to the byte: the hash tells."""
EPILOG = """\
examples:
  rig replay out/rig/failures/AVL-4-model.json --defect bus_off_blocks_card
  rig replay AVL-4-model.json --bench emulated --trace
  rig replay AVL-4-model.json --picture run.svg --sequence sequence.svg"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "replay", "play one scenario again", DESCRIPTION, EPILOG)
    command.add_argument("scenario", type=Path, metavar="SCENARIO.json", help="a scenario file")
    add_bench(command, "model")
    add_defect(command)
    command.add_argument(
        "--seed", type=seed, default=0, metavar="S", help="seed of an ECU process (default: 0)"
    )
    command.add_argument(
        "--relock", action="store_true", help="on real lines, watch for the relock (30 s) too"
    )
    command.add_argument("--trace", action="store_true", help="print what happened, a line an event")
    command.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw the run along its time")
    command.add_argument(
        "--sequence", type=Path, metavar="FILE.svg", help="draw the run as a sequence: who told whom what"
    )
    command.set_defaults(run=run)


def _written(option: str, file: Path, text: str) -> bool:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        complain(f"--{option} {file}: cannot be written ({error.strerror})")
        return False
    return True


def run(options: argparse.Namespace) -> int:
    """Plays, judges, prints."""
    if defects.check(options.defect):
        return USAGE
    scenario = Scenario.load(options.scenario)
    check_faults(scenario, str(options.scenario))
    check_attacks(scenario, str(options.scenario))
    bench = load_bench(options.bench)
    out = console()
    try:
        result, causes = replay(scenario, bench, options.defect, options.seed, options.relock)
    except Unsupported as reason:
        complain(f"not run: {reason}")
        return UNDECIDED
    except Undecided as cause:
        complain(f"inconclusive: {cause}")
        return UNDECIDED
    for text in causes:
        out.print(f"inconclusive, run again: {text}", markup=False)
    if options.trace:
        out.print(story(result.trace), markup=False)
    verdicts = list(result.judgement.verdicts.values())
    if options.picture:
        asked = [v for v in verdicts if v.outcome is not Outcome.VACUOUS]
        picture = timeline_svg(scenario, result.trace, options.scenario.name, asked)
        if not _written("picture", options.picture, picture):
            return USAGE
        out.print(f"picture {options.picture}", markup=False)
    if options.sequence:
        # Of verdicts that hold there are too many for one heading.
        failed = [v for v in verdicts if v.outcome is Outcome.FAIL]
        picture = sequence_svg(scenario, result.trace, failed, options.scenario.name)
        if not _written("sequence", options.sequence, picture):
            return USAGE
        out.print(f"sequence {options.sequence}", markup=False)
    for verdict in verdicts:
        if verdict.outcome is not Outcome.VACUOUS:
            out.print(f"{verdict.requirement:<7} {verdict.outcome}: {verdict.text}", markup=False)
    out.print(f"trace {result.trace.hash()}", markup=False)
    outcome = result.judgement.outcome
    out.print(f"verdict: {outcome} (bench {bench.name})", markup=False)
    if outcome is Outcome.FAIL:
        return FAIL
    good = outcome.good or outcome is Outcome.VACUOUS
    return PASS if good else UNDECIDED
