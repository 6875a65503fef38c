"""`rig ecu`: the emulated door-lock ECU as a process of its own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hardware.ecuprocess import add_arguments, options_of, run_ecu_process
from rig.cli.words import USAGE, add_command, complain

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Runs the emulated door-lock ECU on real lines: CAN as an slcan adapter on a pseudo-terminal or on any
python-can interface; reader, console and I/O line on pseudo-terminals or any pyserial URL. Prints one line
of JSON that names its lines when it is ready. It is off until the I/O line says `V <mV>`; Ctrl-C ends it."""
EPILOG = """\
examples:
  rig ecu                                      everything on pseudo-terminals
  rig ecu --can socketcan:vcan0                CAN on vcan0: watch it with candump
  rig ecu --defect online_check --memory e.bin with a planted defect, memory kept in a file"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "ecu", "the emulated ECU as a process", DESCRIPTION, EPILOG)
    add_arguments(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs until told to end."""
    try:
        chosen = options_of(options)
    except ValueError as error:
        complain(str(error))
        return USAGE
    return run_ecu_process(chosen)
