"""One lane of a bench at `wire` fidelity: the DUT's process, all its lines, and whether both still live.

Lives as long as the session; each run gets the lines on a kernel of its own. Knows nothing of scenarios.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from hardware.bench import LANE, PTY, Bench, CanSpec
from hardware.bytestream import ByteStream, PortError, open_url
from hardware.canport import CanLink, CanPort, FrameLog, SlcanLink, open_python_can
from hardware.ecu.memory import SLOT_BYTES
from hardware.provision import DEFAULT_VIN
from hardware.serialport import SerialPort, TextPort
from hardware.vehicle import rig_provision
from rig.kernel import Kernel
from rig.ports import Unsupported

START_S = 15.0
"""How long the ECU's process may take to name its lines; it takes 0.5 s on a free machine."""
STOP_S = 2.0
QUIET_S = 0.02
"""A powered-off ECU whose lines were silent for so long has said everything."""
QUIET_PATIENCE_S = 1.0
CAUSE_S = 0.5
"""How long a lost line waits for the news that the process behind it died, which is the cause."""
POWER_OFF = b"V 0\n"
CAPABILITIES = frozenset({"power.reset", "power.dip"})
"""What every bench with real lines can make fail; links that can take the DUT off the bus add "can.bus_off"."""
RAM_DISK = "/dev/shm"  # noqa: S108  # a folder of our own is made in it
_ROOT = str(Path(__file__).resolve().parents[1])
"""So that the ECU's process finds the same packages, installed or not."""
_STALL = re.compile(r"stall (\d+) at (\d+)")


class LaneError(Exception):
    """A bench's lane cannot be made ready: a bench fault, never the DUT's."""


@dataclass(frozen=True, slots=True)
class DutStall:
    """The ECU's process did not keep up.

    Attributes:
        at_us: the run's kernel time when it told so, shortly after the stall.
        late_us: how late it was.
    """

    at_us: int
    late_us: int


class WireEdges:
    """All lines of one DUT for one run (implements `rig.ports.Edges`)."""

    def __init__(
        self, bus: CanPort, reader: SerialPort, io: TextPort, console: TextPort, capabilities: frozenset[str]
    ) -> None:
        self._bus = bus
        self._reader = reader
        self._io = io
        self._console = console
        self._capabilities = capabilities

    @property
    def bus(self) -> CanPort:
        return self._bus

    @property
    def reader(self) -> SerialPort:
        return self._reader

    @property
    def io(self) -> TextPort:
        return self._io

    @property
    def console(self) -> TextPort:
        return self._console

    @property
    def capabilities(self) -> frozenset[str]:
        return self._capabilities

    def watch_memory(self, told: Callable[[], bool]) -> None:
        """Refused: nobody can see into a DUT behind wires."""
        raise Unsupported("writes of a DUT behind wires cannot be seen")

    def set_random_stuck(self, stuck: bool) -> None:
        """Refused: see above."""
        if stuck:
            raise Unsupported("the random source of a DUT behind wires cannot be reached")

    def dut_quiet_until(self) -> int | None:
        """None: nobody can see into a DUT behind wires."""
        return None

    def dut_idle_at(self, us: int) -> bool:
        """False: see above."""
        return False

    def dut_skip(self, delta_us: int) -> None:
        """Refused: real time cannot be skipped."""
        raise Unsupported("real time cannot be skipped")


class WireLane:
    """One DUT behind real lines, for a whole session.

        async with WireLane(bench) as lane:
            kernel = Kernel()
            edges = await lane.fresh(kernel)
            await Pump(kernel).drive(story(edges), until=60.0)
            if lane.lost: ...

    Args:
        bench: at `wire` fidelity.
        lane: its number, below `bench.lanes`.
        defect: planted in an emulated ECU.
        seed: of an emulated ECU's randomness; None: the system's.
        vin: of an emulated ECU.

    Attributes:
        stalls: what the ECU's process reported since the last `fresh`.
        restarts: how often its process had to be started again.
    """

    def __init__(
        self,
        bench: Bench,
        lane: int = 0,
        *,
        defect: str | None = None,
        seed: int | None = None,
        vin: str = DEFAULT_VIN,
    ) -> None:
        if bench.fidelity != "wire" or bench.can is None:
            raise LaneError(f"bench {bench.name}: has no real lines; its fidelity is {bench.fidelity}")
        if not 0 <= lane < bench.lanes:
            raise LaneError(f"bench {bench.name}: has no lane {lane}; lanes = {bench.lanes}")
        if bench.dut.kind == "external" and defect is not None:
            raise LaneError(f"bench {bench.name}: a defect cannot be planted in an external DUT")
        self.bench = bench
        self.lane = lane
        self.stalls: list[DutStall] = []
        self.restarts = 0
        self._defect = defect
        self._seed = seed
        self._image = rig_provision(vin).memory_image()
        self._vin = vin
        self._can: CanSpec = bench.can
        self._lost: str | None = None
        self._news = asyncio.Event()
        self._heard = 0
        self._process: asyncio.subprocess.Process | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._complaints: deque[str] = deque(maxlen=20)
        self._lines = contextlib.ExitStack()
        self._link: CanLink | None = None
        self._streams: dict[str, ByteStream] = {}
        self._folder: Path | None = None
        self._kernel: Kernel | None = None

    @property
    def lost(self) -> str | None:
        """Why this lane is dead, if it is: a bench fault that makes the run inconclusive."""
        return self._lost

    @property
    def pid(self) -> int | None:
        """Of the ECU's process, if the bench emulates the DUT."""
        return self._process.pid if self._process is not None else None

    async def wait_lost(self) -> str:
        """Returns the cause as soon as the lane is lost."""
        await self._news.wait()
        return self._lost or ""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def fresh(
        self, kernel: Kernel, on_frame: FrameLog | None = None, *, image: bytes | None = None
    ) -> WireEdges:
        """Powers the DUT off, forgets what it still had to say, and puts the lines on a new kernel.

        A lane that was lost is started anew first.

        Args:
            kernel: not yet run; its `edges` are counted.
            on_frame: told of every frame on the bus.
            image: what the emulated ECU's memory holds at the next power-up; None: as delivered.

        Raises:
            LaneError: the DUT cannot be brought back; names the bench and the cause.
        """
        if self._lost is not None:
            await self._stop()
            self.restarts += 1
            await self._start()
        assert self._link is not None
        self._kernel = None
        for name, stream in self._streams.items():
            if name != "can":
                stream.on_bytes(self._sink)
        self._link.on_frame(lambda _id, data: self._sink(data))
        self._link.set_off(False)
        self._streams["io"].write(POWER_OFF)
        await self._silence()
        if self._lost is not None:
            raise LaneError(f"bench {self.bench.name}, lane {self.lane}: {self._lost}")
        if self._folder is not None and self.bench.dut.memory == "temporary":
            slot = (self._image if image is None else image).ljust(SLOT_BYTES, b"\xff")
            (self._folder / "memory").write_bytes(slot + slot)
        self.stalls = []
        self._kernel = kernel
        kernel.edges += 4
        capabilities = set(CAPABILITIES)
        if self._link.bus_off_refusal is None:
            capabilities.add("can.bus_off")
        return WireEdges(
            CanPort(kernel, self._link, f"bench {self.bench.name}: can", on_frame),
            SerialPort(kernel, self._streams["reader"]),
            TextPort(kernel, self._streams["io"]),
            TextPort(kernel, self._streams["console"], self._console_line),
            frozenset(capabilities),
        )

    # -- starting and stopping -----------------------------------------------------------------------

    async def _start(self) -> None:
        self._lost = None
        self._news.clear()
        self._complaints.clear()
        loop = asyncio.get_running_loop()
        ports = {name: self._named(line.port) for name, line in self.bench.serial_lines.items()}
        channel = self._named(self._can.channel)
        if self.bench.dut.kind == "emulated":
            ready = await self._start_process()
            ports = {name: _text(ready[name]) for name in ports}
            can_line = ready["can"]
            if channel == PTY and isinstance(can_line, dict):
                channel = _text(can_line["channel"])
        try:
            for name, port in ports.items():
                line = self.bench.serial_lines[name]
                self._keep(name, open_url(loop, port, line.baudrate, f"{name} ({port})"))
            if self._can.interface == "slcan":
                stream = open_url(loop, channel, 115_200, f"can ({channel})")
                link = SlcanLink(
                    stream,
                    self._can.bitrate,
                    f"can ({channel})",
                    dut_behind=self.bench.dut.kind == "emulated",
                )
                self._link = link
                self._lines.callback(link.close)
                link.on_lost(self._port_lost)
                await link.open()
            else:
                self._link = open_python_can(
                    loop,
                    self._can.interface,
                    channel,
                    self._can.bitrate,
                    self._can.options,
                    f"can ({channel})",
                )
                self._lines.callback(self._link.close)
                self._link.on_lost(self._port_lost)
        except PortError as error:
            raise LaneError(f"bench {self.bench.name}, lane {self.lane}: {error}") from error

    def _keep(self, name: str, stream: ByteStream) -> None:
        self._streams[name] = stream
        self._lines.callback(stream.close)
        stream.on_lost(self._port_lost)

    def _named(self, port: str) -> str:
        return port.replace(LANE, str(self.lane))

    def _command(self) -> list[str]:
        """The command line of the ECU's process."""
        bench = self.bench
        options = {name: self._named(line.port) for name, line in bench.serial_lines.items()}
        if self._folder is not None:
            options["memory"] = str(self._folder / "memory")
        else:
            options["memory"] = self._named(bench.dut.memory)
        options["can"] = f"{self._can.interface}:{self._named(self._can.channel)}"
        options["bitrate"] = str(self._can.bitrate)
        options["stall-ms"] = str(bench.stall_ms)
        options["vin"] = self._vin
        if self._defect is not None:
            options["defect"] = self._defect
        if self._seed is not None:
            options["seed"] = str(self._seed)
        command = [*bench.dut.command, *(f"--{name}={value}" for name, value in options.items())]
        for key, value in self._can.options.items():
            plain = str(value).lower() if isinstance(value, bool) else value
            command.append(f"--can-option={key}={plain}")
        return command

    async def _start_process(self) -> dict[str, object]:
        """Starts the ECU and returns what it says of its lines."""
        name = f"bench {self.bench.name}, lane {self.lane}"
        if self.bench.dut.memory == "temporary" and self._folder is None:
            # In RAM where that can be: a busy disk would stall the ECU in the middle of a command.
            fast = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None
            self._folder = Path(tempfile.mkdtemp(prefix="unlock-rig-", dir=fast))
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                # Ctrl-C is the rig's to handle: it ends the ECU after the run was written down.
                start_new_session=True,
            )
        except OSError as error:
            raise LaneError(
                f"{name}: {self.bench.dut.command[0]} cannot be started ({error.strerror})"
            ) from error
        self._process = process
        self._watchers = [
            asyncio.ensure_future(self._watch_process(process)),
            asyncio.ensure_future(self._read_complaints(process)),
        ]
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
            ready = json.loads(line)
        except TimeoutError:
            raise LaneError(
                f"{name}: ECU process {process.pid} named no lines within {START_S:g} s"
            ) from None
        except ValueError:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._watchers[0]), CAUSE_S)
            raise LaneError(f"{name}: {self._lost or 'the ECU process named no lines'}") from None
        return cast(dict[str, object], ready)

    async def _watch_process(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        with contextlib.suppress(TimeoutError, IndexError):
            await asyncio.wait_for(asyncio.shield(self._watchers[1]), 0.1)
        if status < 0:
            name = signal.Signals(-status).name if -status in signal.valid_signals() else ""
            cause = f"ECU process {process.pid} was killed by signal {-status} ({name})"
        else:
            cause = f"ECU process {process.pid} ended with status {status}"
        self._lose("; ".join([cause, *list(self._complaints)[-1:]]))

    async def _read_complaints(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._complaints.append(text)

    async def _stop(self) -> None:
        self._lines.close()
        self._streams.clear()
        self._link = None
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), STOP_S)
                except TimeoutError:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
            for watcher in self._watchers:
                watcher.cancel()
            await asyncio.gather(*self._watchers, return_exceptions=True)
            self._watchers = []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    # -- what the lines say --------------------------------------------------------------------------

    def _sink(self, data: bytes) -> None:
        """Between runs: nobody wants it, but that it came says the DUT is not silent yet."""
        self._heard += 1

    async def _silence(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + QUIET_PATIENCE_S
        while loop.time() < end and self._lost is None:
            before = self._heard
            await asyncio.sleep(QUIET_S)
            if self._heard == before:
                return

    def _console_line(self, line: str) -> bool:
        match = _STALL.fullmatch(line)
        if match is None or self._kernel is None:
            return True
        self.stalls.append(DutStall(self._kernel.now, int(match[1]) * 1000))
        return False

    def _port_lost(self, cause: str) -> None:
        if self._process is None:
            self._lose(cause)
        else:
            # A process that dies takes its lines along; its death is the cause worth telling.
            asyncio.get_running_loop().call_later(CAUSE_S, self._lose_if, self._process, cause)

    def _lose_if(self, process: asyncio.subprocess.Process, cause: str) -> None:
        # By now the lane may have been started anew.
        if self._process is process:
            self._lose(cause)

    def _lose(self, cause: str) -> None:
        if self._lost is None:
            self._lost = cause
            self._news.set()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise LaneError(f"the ECU process named a line {value!r}, which is no port")
    return value
