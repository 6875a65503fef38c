"""`rig vehicle`: the whole vehicle held up in real time, for clients outside."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rig.cli.words import PASS, UNDECIDED, USAGE, add_command, add_defect, complain, console, seed

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Holds the whole vehicle up in real time: ECU, locks, maker's server, telematics unit, Bluetooth module and
key-card reader. Clients that you bring use it over HTTPS and Bluetooth; failures of everything between are
switched by commands typed here, or by HTTP on loopback. Every change of the locks is said. Ctrl-C takes the
ECU's supply away and ends it."""
EPILOG = """\
examples:
  rig vehicle                                  the emulated ECU in this process, HTTPS on a free port
  rig vehicle --https 8443 --control 8081      ports of your choice
  rig vehicle --hci 9001                       for a Bluetooth host outside: tcp-client:127.0.0.1:9001
  rig vehicle --radios usb:0 usb:1             with two Bluetooth dongles
  rig vehicle --bench lab-2                    your own ECU, on its lines
  curl --cacert out/vehicle/ca.pem https://localhost:8443/api/1/vehicles/URIG0000000000001
  curl -X POST localhost:8081/faults/server.500
  curl -X DELETE localhost:8081/faults

keys, tokens and addresses lie in out/vehicle/ (see vehicle.json there); docs/vehicle.md has a client in ten lines"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "vehicle", "the whole vehicle in real time, for your clients", DESCRIPTION, EPILOG)
    command.add_argument(
        "--bench", metavar="NAME", default=None, help="whose ECU (default: the emulated one, in this process)"
    )
    add_defect(command)
    command.add_argument("--seed", type=seed, default=None, help="of all randomness (default: fresh)")
    for name, what in (("--https", "where the server listens"), ("--control", "of the control endpoint")):
        command.add_argument(name, type=_port, default=0, metavar="PORT", help=f"{what} (default: any)")
    command.add_argument(
        "--host", default="127.0.0.1", help="address that HTTPS and HCI listen on (default: loopback alone)"
    )
    command.add_argument(
        "--name", action="append", default=[], help="a further name or address of the server in its certificate"
    )
    air = command.add_mutually_exclusive_group()
    air.add_argument("--bluetooth", action="store_true", help="the Bluetooth module on Bumble, on simulated air")
    air.add_argument(
        "--radios", nargs=2, metavar=("MODULE", "PHONE"),
        help="real radios: Bumble transports (usb:0, serial:…, tcp-client:…) of the module and of the rig's own phone",
    )  # fmt: skip
    command.add_argument(
        "--hci", type=_port, action="append", default=[], metavar="PORT",
        help="a Bluetooth controller on the simulated air for a host outside, HCI over TCP; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--reader",
        action="store_true",
        help="a second PN532 with the driver's card, on a pseudo-terminal for a host outside",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("out/vehicle"),
        metavar="FOLDER",
        help="for keys and addresses (default: out/vehicle)",
    )
    command.add_argument("--quiet", action="store_true", help="say nothing of the ECU's own console")
    command.set_defaults(run=run)


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 65535")
    return value


def run(options: argparse.Namespace) -> int:
    """Runs until told to end."""
    try:
        from hardware.live.terminal import hold_up
        from hardware.live.vehicle import LiveOptions
    except ModuleNotFoundError as error:
        complain(f"{error.name} is not installed; pip install 'unlock-rig[links]'")
        return USAGE
    from hardware.bench import load_bench
    from hardware.wire import LaneError

    if options.radios and options.hci:
        complain("--hci gives a controller on the simulated air, which --radios takes away; use one of them")
        return USAGE
    chosen = LiveOptions(
        bench=load_bench(options.bench) if options.bench else None,
        defect=options.defect,
        seed=options.seed,
        https_port=options.https,
        host=options.host,
        names=tuple(options.name),
        bluetooth=options.bluetooth,
        radios=(options.radios[0], options.radios[1]) if options.radios else None,
        hci_ports=tuple(options.hci),
        reader=options.reader,
    )
    try:
        why = hold_up(chosen, console(), options.out, options.control, quiet=options.quiet)
    except (LaneError, OSError) as error:
        complain(str(error))
        return UNDECIDED
    return UNDECIDED if why else PASS
