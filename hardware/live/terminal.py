"""`rig vehicle` at the terminal: what is said, what is typed, and how Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

from hardware.live.commands import CommandError, execute
from hardware.live.control import Control
from hardware.live.credentials import write_credentials
from hardware.live.holding import live
from hardware.live.vehicle import LiveOptions, LiveVehicle
from rig.pump import realtime_loop

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from rig.trace import Event, Field


def hold_up(options: LiveOptions, terminal: Console, folder: Path, control_port: int, *, quiet: bool) -> str:
    """Holds a vehicle up until it is told to end; returns the cause if it ended by itself.

    Args:
        options: what is held up.
        terminal: where everything is said.
        folder: for keys and addresses.
        control_port: of the control endpoint; 0: any.
        quiet: nothing of the ECU's console.

    Raises:
        LaneError: the bench's DUT cannot be brought up.
        OSError: a port is taken, or the folder cannot be written to.
    """
    screen = Screen(terminal, quiet=quiet)
    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        return runner.run(_hold_up(options, screen, folder, control_port))


async def _hold_up(options: LiveOptions, screen: Screen, folder: Path, control_port: int) -> str:
    async with live(options, screen.event, screen.ecu) as vehicle, Control(vehicle, control_port) as control:
        screen.vehicle = vehicle
        _end_by_signal(vehicle)
        known = write_credentials(vehicle, folder, control.url)
        screen.welcome(known, folder)
        reader = asyncio.get_running_loop().create_task(_typed(vehicle, screen))
        try:
            why = await vehicle.ended()
        finally:
            reader.cancel()
        screen.goodbye(why)
    return why


def _end_by_signal(vehicle: LiveVehicle) -> None:
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        # Windows loops know no signals; there Ctrl-C raises KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(one, vehicle.stop)


async def _typed(vehicle: LiveVehicle, screen: Screen) -> None:
    """Does what is typed, line by line."""
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
