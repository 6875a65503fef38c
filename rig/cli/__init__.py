"""The command line `rig`: parses, dispatches, and turns what comes of it into words and an exit code.

The front door: it may know every room of the house; no room knows it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from hardware.benchfile import BenchError
from rig.cli import (
    amend,
    benches,
    certify,
    compare,
    cutsets,
    defects,
    ecu,
    faults,
    keys,
    merge,
    qualify,
    replay,
    report,
    results,
    resume,
    sample,
    search,
    sign,
    trace,
    vehicle,
    verify,
    version,
)
from rig.cli.words import PASS, UNDECIDED, USAGE, complain
from rig.scenario import ScenarioError

DESCRIPTION = """\
Proves that whoever holds a valid key always gets into the car, and nobody else ever does:
a test rig for door-lock ECUs that plays phone, server, network, Bluetooth, telematics unit,
key-card reader, driver and attacker, and breaks all of it."""

EPILOG = """\
start here:
  rig certify                        the main job, on the emulated ECU; ends with the verdict
  rig certify --defect online_check  the same with a fault in the ECU: see the rig find it
  rig replay FAILURE.json            one scenario again, with its trace's hash and verdicts
  rig bench list                     the benches that are known

exit codes: 0 pass, 1 fail, 2 inconclusive or error, 3 wrong usage"""


class Parser(argparse.ArgumentParser):
    """Exits with 3 for wrong usage; argparse's own 2 means "inconclusive" here."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong and how to learn more."""
        self.print_usage(sys.stderr)
        complain(f"{message}; `{self.prog} --help` tells more")
        self.exit(USAGE)


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="rig",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for module in (
        certify, resume, report, search, sample, qualify, replay, compare, merge, faults, cutsets, ecu, vehicle,
        defects, benches, trace, results, keys, sign, verify, amend, version,
    ):  # fmt: skip
        module.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        code = options.run(options)
        return code if isinstance(code, int) else PASS
    except (BenchError, ScenarioError) as error:
        complain(str(error))
        return USAGE
    except KeyboardInterrupt:
        complain("stopped by Ctrl-C; the ECU's supply is off and nothing runs on")
        return UNDECIDED
    except BrokenPipeError:
        # Whoever read our output has seen enough (`rig defects | head`).
        sys.stderr.close()
        return PASS
