"""`rig vehicle`: the whole vehicle held up in real time, for clients outside."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rig.cli.words import PASS, UNDECIDED, USAGE, add_command, add_defect, complain, console, seed

if TYPE_CHECKING:
    from rich.console import Console

    from hardware.live.vehicle import LiveOptions, LiveVehicle
    from rig.cli.words import Commands
    from rig.trace import Event, Field

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
    command.add_argument("--bluetooth", action="store_true", help="the Bluetooth module on Bumble, on simulated air")
    command.add_argument(
        "--hci", type=_port, action="append", default=[], metavar="PORT",
        help="a Bluetooth controller on that air for a host outside, HCI over TCP; may be repeated",
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
        from hardware.live.vehicle import LiveOptions
    except ModuleNotFoundError as error:
        complain(f"{error.name} is not installed; pip install 'unlock-rig[links]'")
        return USAGE
    from hardware.bench import load_bench
    from hardware.wire import LaneError
    from rig.pump import realtime_loop

    chosen = LiveOptions(
        bench=load_bench(options.bench) if options.bench else None,
        defect=options.defect,
        seed=options.seed,
        https_port=options.https,
        host=options.host,
        names=tuple(options.name),
        bluetooth=options.bluetooth,
        hci_ports=tuple(options.hci),
        reader=options.reader,
    )
    try:
        with asyncio.Runner(loop_factory=realtime_loop) as runner:
            return runner.run(_hold_up(chosen, options))
    except (LaneError, OSError) as error:
        complain(str(error))
        return UNDECIDED


async def _hold_up(chosen: LiveOptions, options: argparse.Namespace) -> int:
    from hardware.live.control import Control
    from hardware.live.credentials import write_credentials
    from hardware.live.vehicle import live

    screen = Screen(console(), quiet=options.quiet)
    async with live(chosen, screen.event, screen.ecu) as vehicle, Control(vehicle, options.control) as control:
        screen.vehicle = vehicle
        _end_by_signal(vehicle)
        known = write_credentials(vehicle, options.out, control.url)
        screen.welcome(known, options.out)
        reader = asyncio.get_running_loop().create_task(_typed(vehicle, screen))
        try:
            why = await vehicle.ended()
        finally:
            reader.cancel()
        screen.goodbye(why)
    return UNDECIDED if why else PASS


def _end_by_signal(vehicle: LiveVehicle) -> None:
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        # Windows loops know no signals; there Ctrl-C raises KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(one, vehicle.stop)


async def _typed(vehicle: LiveVehicle, screen: Screen) -> None:
    """Does what is typed, line by line."""
    from hardware.live.commands import CommandError, execute

    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            try:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            except RuntimeError:
                return

    # A daemon: nobody waits for a terminal on which nothing more is typed.
    threading.Thread(target=read, name="commands", daemon=True).start()
    while True:
        line = (await lines.get()).strip()
        if line:
            try:
                screen.say(await execute(vehicle, line))
            except CommandError as error:
                screen.complain(str(error))


class Screen:
    """What is said on the terminal: every change of the locks, failures, reports, and the ECU's own console."""

    def __init__(self, terminal: Console, *, quiet: bool) -> None:
        self._terminal = terminal
        self._quiet = quiet
        self._shown = ""
        self.vehicle: LiveVehicle | None = None

    def welcome(self, known: dict[str, str], folder: Path) -> None:
        """The vehicle is up: where it is."""
        say = self._terminal.print
        assert self.vehicle is not None
        say(f"[bold]vehicle {known['vin']}[/] is up; {self.vehicle.places.dut}")
        say(f"  HTTPS      {known['server']}  (trust {known['ca']}, key {known['key']})")
        for spec in known["hci"].split():
            say(f"  Bluetooth  {spec}")
        if known["reader"]:
            say(f"  reader     {known['reader']}")
        say(f"  control    {known['control']}")
        say(f"  all of it  {folder / 'vehicle.json'}")
        say("type help for commands; Ctrl-C ends it")
        self._doors()

    def event(self, event: Event) -> None:
        """Something happened."""
        fields: tuple[Field, ...] = event[2:]
        match event[1], fields:
            case "latch", _:
                self._doors()
            case "fault", (_, mode, on):
                self._happened(event, f"failure {mode!s} " + ("[yellow]begins[/]" if on else "ended"))
            case "told", (_, what, detail):
                self._happened(event, f"the phone tells: {what!s} {detail!s}".rstrip())
            case "hand", (channel, _, origin):
                self._happened(event, f"{channel!s}: a message reaches the ECU ({origin!s})")
            case "http", ("server", "response", status, _):
                self._happened(event, f"server answers {status!s}")

    def ecu(self, line: str) -> None:
        """A line of the ECU's console."""
        if not self._quiet:
            self._terminal.print("          ecu: ", line, sep="", markup=False, style="dim")

    def say(self, text: str) -> None:
        """The result of a command."""
        self._terminal.print(text, markup=False)

    def complain(self, text: str) -> None:
        """A command could not be done."""
        self._terminal.print(text, markup=False, style="red")

    def goodbye(self, why: str) -> None:
        """It is over."""
        self._terminal.print(f"stopped: {why}" if why else "stopped; the ECU's supply is off", markup=False)

    def _doors(self) -> None:
        if self.vehicle is None:
            return
        state = self.vehicle.locked
        if state == self._shown or state in ("between", "mixed"):
            return
        self._shown = state
        style = {"locked": "bold red", "unlocked": "bold green"}.get(state, "bold yellow")
        now = self.vehicle.world.kernel.now
        self._terminal.print(f"{now / 1e6:9.3f} doors: [{style}]{state}[/]")

    def _happened(self, event: Event, what: str) -> None:
        self._terminal.print(f"{event[0] / 1e6:9.3f} {what}")
