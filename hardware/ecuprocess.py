"""The emulated ECU as a process of its own: the body of `rig ecu`.

Hosts `hardware.ecu` in real time behind an slcan adapter on a pseudo-terminal or any python-can interface,
and behind three serial lines. Knows nothing of the rig at the other end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hardware.benchfile import Scalar
from hardware.bytestream import ByteStream, PortError, open_pty, open_url
from hardware.canport import CanLink, CanPort, open_python_can
from hardware.ecu.memory import FileMemory, MemoryPort, RamMemory
from hardware.ecu.onkernel import EcuOnKernel
from hardware.ecu.registry import BuildError, build_ecu, find_build
from hardware.model import HEARD
from hardware.provision import DEFAULT_VIN
from hardware.serialport import SerialPort, TextPort
from hardware.slcan import SlcanAdapter
from hardware.vehicle import rig_provision
from rig.channels import Event
from rig.kernel import Kernel
from rig.ports import CanReceiver
from rig.pump import Pump, realtime_loop

PTY = "pty"
BAUDRATE = 115_200
FOREVER_S = 1e9
STALL_POLL_S = 0.02
EXIT_OK, EXIT_LOST = 0, 2


@dataclass(frozen=True, slots=True)
class EcuOptions:
    """How the ECU's process is connected, and which ECU it is.

    Attributes:
        can_interface: "slcan" with channel "pty": be an slcan adapter on a pseudo-terminal; with another
            channel: be one on that serial port or URL. Else any python-can interface, e.g. "socketcan".
        can_channel: see there.
        can_bitrate: bits a second, where the interface sets it.
        can_options: what else the interface wants.
        reader: a pseudo-terminal ("pty"), a device or any pyserial URL.
        console: the same.
        io: the same.
        memory: file of the non-volatile memory, made if it is not there; None: forgotten with the process.
        defect: name of a planted defect or correct variant (`registry.find_build`); None: the healthy ECU.
        seed: of all its randomness; None: the system's.
        vin: 17 characters.
        stall_ms: from this lateness on, a stall is reported on the console.
    """

    can_interface: str = "slcan"
    can_channel: str = PTY
    can_bitrate: int = 500_000
    can_options: Mapping[str, Scalar] = field(default_factory=dict)
    reader: str = PTY
    console: str = PTY
    io: str = PTY
    memory: Path | None = None
    defect: str | None = None
    seed: int | None = None
    vin: str = DEFAULT_VIN
    stall_ms: int = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `rig ecu` to a parser."""
    parser.add_argument(
        "--can", default="slcan:pty", metavar="INTERFACE:CHANNEL",
        help="body CAN: slcan:pty (an slcan adapter on a new pseudo-terminal, the default), "
        "slcan:DEVICE_OR_URL (an slcan adapter there), or any python-can interface, as socketcan:vcan0",
    )  # fmt: skip
    parser.add_argument("--bitrate", type=int, default=500_000, help="of the CAN interface (default 500000)")
    parser.add_argument(
        "--can-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what else the CAN interface wants",
    )
    for line in ("reader", "console", "io"):
        parser.add_argument(
            f"--{line}", default=PTY, metavar="PORT",
            help=f"{line} line: pty (the default), a device, or any pyserial URL",
        )  # fmt: skip
    parser.add_argument(
        "--memory",
        type=Path,
        metavar="FILE",
        help="non-volatile memory, made as delivered if it is not there",
    )
    parser.add_argument(
        "--defect", type=_build_name, metavar="NAME", help="plant a defect (`rig defects`)"
    )
    parser.add_argument("--seed", type=int, help="of all randomness (default: the system's)")
    parser.add_argument("--vin", default=DEFAULT_VIN, help=f"default {DEFAULT_VIN}")
    parser.add_argument(
        "--stall-ms",
        type=int,
        default=20,
        help="report stalls of this process from so many ms on (default 20)",
    )


def _build_name(text: str) -> str:
    try:
        find_build(text)
    except BuildError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def options_of(arguments: argparse.Namespace) -> EcuOptions:
    """What `add_arguments` gathered.

    Raises:
        ValueError: an option has the wrong form; the text says which.
    """
    interface, colon, channel = str(arguments.can).partition(":")
    if not colon or not channel:
        raise ValueError(f"--can {arguments.can}: write INTERFACE:CHANNEL, as slcan:pty or socketcan:vcan0")
    if len(arguments.vin) != 17:
        raise ValueError(f"--vin {arguments.vin}: a VIN has 17 characters")
    if arguments.stall_ms < 1:
        raise ValueError(f"--stall-ms {arguments.stall_ms}: at least 1")
    return EcuOptions(
        can_interface=interface,
        can_channel=channel,
        can_bitrate=arguments.bitrate,
        can_options=dict(_can_option(one) for one in arguments.can_option),
        reader=arguments.reader,
        console=arguments.console,
        io=arguments.io,
        memory=arguments.memory,
        defect=arguments.defect,
        seed=arguments.seed,
        vin=arguments.vin,
        stall_ms=arguments.stall_ms,
    )


def _can_option(text: str) -> tuple[str, Scalar]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--can-option {text}: write KEY=VALUE")
    if value in ("true", "false"):
        return key, value == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return key, kind(value)
    return key, value


class AdapterLink:
    """The ECU's end of the body CAN when it plays an slcan adapter (implements `CanLink`).

    Args:
        stream: to the host.
        on_off: told when the host closes the channel (True: the controller is off the bus) and opens it.
    """

    bus_off_refusal: str | None = "the host at the other end opens and closes the channel"

    def __init__(self, stream: ByteStream, on_off: Callable[[bool], None]) -> None:
        self._stream = stream
        self._receive: CanReceiver = lambda _id, _data: None
        self._adapter = SlcanAdapter(self._frame, lambda is_open: on_off(not is_open))
        stream.on_bytes(self._bytes)

    def send(self, can_id: int, data: bytes) -> None:
        self._stream.write(self._adapter.transmit(can_id, data))

    def on_frame(self, receive: CanReceiver) -> None:
        self._receive = receive

    def on_lost(self, told: Callable[[str], None]) -> None:
        self._stream.on_lost(told)

    def set_off(self, off: bool) -> None:
        """Nothing to do: see `bus_off_refusal`."""

    def close(self) -> None:
        self._stream.close()

    def _frame(self, can_id: int, data: bytes) -> None:
        self._receive(can_id, data)

    def _bytes(self, data: bytes) -> None:
        self._stream.write(self._adapter.feed(data))


def run_ecu_process(options: EcuOptions) -> int:
    """Runs the ECU until SIGTERM, SIGINT or the end of a piped standard input; returns the exit status.

    When everything is connected, one line of JSON on standard output names process and lines:
    {"ecu": 1, "pid": …, "can": {"interface": …, "channel": …}, "reader": …, "console": …, "io": …}.
    Power comes by the I/O line alone; before a `V` the ECU is off.
    """
    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        return runner.run(_host(options))


async def _host(options: EcuOptions) -> int:
    loop = asyncio.get_running_loop()
    kernel = Kernel()
    stop: Event[str] = Event(kernel, "stop")
    told = False

    def end(cause: str) -> None:
        # Whatever comes first ends the process; an Event takes one value only.
        nonlocal told
        if not told:
            told = True
            kernel.post(stop.set, cause)

    with contextlib.ExitStack() as open_lines:
        try:
            ports = _Lines(loop, kernel, options, open_lines, end)
        except PortError as error:
            print(f"rig ecu: {error}", file=sys.stderr)
            return EXIT_LOST
        _end_by_signal(loop, end)
        _end_by_stdin(loop, end)
        pump = Pump(kernel, max_late=options.stall_ms / 1000)

        async def live() -> str:
            kernel.spawn(_report_stalls(kernel, pump, ports.console.write), name="stalls", keep=True)
            print(json.dumps(ports.ready), flush=True)
            return await stop.wait()

        _warm_up(options)
        # Start-up garbage is never collected again: no collection of ours will take long. Before the first
        # event, for this one does: it would be a stall.
        gc.collect()
        gc.freeze()
        cause = await pump.drive(live(), until=FOREVER_S)
    if cause:
        print(f"rig ecu: {cause}", file=sys.stderr)
    return EXIT_LOST if cause else EXIT_OK


class _Lines:
    """All lines of the ECU, and the ECU bound to them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        kernel: Kernel,
        options: EcuOptions,
        open_lines: contextlib.ExitStack,
        lost: Callable[[str], None],
    ) -> None:
        self.ready: dict[str, object] = {"ecu": 1, "pid": os.getpid()}

        def stream(port: str, name: str) -> tuple[ByteStream, str]:
            if port == PTY:
                made, path = open_pty(loop, name)
            else:
                made, path = open_url(loop, port, BAUDRATE, name), port
            open_lines.callback(made.close)
            made.on_lost(lost)
            return made, path

        streams: dict[str, ByteStream] = {}
        for name, port in (("reader", options.reader), ("console", options.console), ("io", options.io)):
            streams[name], self.ready[name] = stream(port, name)
        self.console = TextPort(kernel, streams["console"])
        ecu = build_ecu(
            rig_provision(options.vin).config(), _memory(options), _randomness(options.seed), options.defect
        )
        bound = EcuOnKernel(
            kernel,
            ecu,
            SerialPort(kernel, streams["reader"]),
            TextPort(kernel, streams["io"]),
            self.console.write,
        )
        link: CanLink
        if options.can_interface == "slcan":
            end, path = stream(options.can_channel, "can")
            link = AdapterLink(end, lambda off: kernel.post(bound.bus_off, off))
            # As the adapter's channel: closed until a host opens it.
            kernel.post(bound.bus_off, True)
            self.ready["can"] = {"interface": "slcan", "channel": path}
        else:
            link = open_python_can(
                loop,
                options.can_interface,
                options.can_channel,
                options.can_bitrate,
                options.can_options,
                "can",
            )
            open_lines.callback(link.close)
            link.on_lost(lost)
            self.ready["can"] = {"interface": options.can_interface, "channel": options.can_channel}
        bus = CanPort(kernel, link, "can")
        bound.connect_can(bus.node("ecu", bound.can_rx, HEARD))
        kernel.edges += 4


def _memory(options: EcuOptions) -> MemoryPort:
    image = rig_provision(options.vin).memory_image()
    return RamMemory(image) if options.memory is None else FileMemory(options.memory, image)


def _randomness(seed: int | None) -> Callable[[int], bytes]:
    return os.urandom if seed is None else random.Random(f"{seed}/ecu").randbytes


def _warm_up(options: EcuOptions) -> None:
    """Boots an ECU that is thrown away, in no time: what is made once (codecs of the DBC) took 25 ms."""
    provision = rig_provision(options.vin)
    ecu = build_ecu(provision.config(), RamMemory(provision.memory_image()), os.urandom, None)
    ecu.io_rx(0, "V 12600")
    while not ecu.ready and ecu.deadline is not None:
        ecu.tick(ecu.deadline)


async def _report_stalls(kernel: Kernel, pump: Pump, write: Callable[[str], None]) -> None:
    """Tells the console of each time this process did not keep up: the ECU was late, not slow."""
    while True:
        await kernel.sleep(STALL_POLL_S)
        for at_us, late_us in pump.stalls:
            write(f"stall {late_us // 1000} at {at_us // 1000}")
        pump.stalls.clear()


def _end_by_signal(loop: asyncio.AbstractEventLoop, end: Callable[[str], None]) -> None:
    for one in (signal.SIGTERM, signal.SIGINT):
        # Windows loops know no signals; there Ctrl-C raises KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(one, end, "")


def _end_by_stdin(loop: asyncio.AbstractEventLoop, end: Callable[[str], None]) -> None:
    """A parent that dies closes the pipe it gave us: then we end too.

    Only a pipe or socket is watched: a terminal belongs to the user, and /dev/null is always at its end.
    """
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def watch() -> None:
        # os.read, not sys.stdin: its lock would be held at the interpreter's end.
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(end, "")

    threading.Thread(target=watch, name="stdin", daemon=True).start()


def main() -> int:
    """`python -m hardware.ecuprocess`: the same as `rig ecu`, without the rest of the command line."""
    parser = argparse.ArgumentParser(prog="rig ecu", description="the emulated door-lock ECU as a process")
    add_arguments(parser)
    try:
        options = options_of(parser.parse_args())
    except ValueError as error:
        parser.error(str(error))
    return run_ecu_process(options)


if __name__ == "__main__":
    sys.exit(main())
