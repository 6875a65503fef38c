"""The same lines in every make: simulated, on pseudo-terminals, sockets, python-can. One contract for all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can
import pytest

from hardware.bytestream import ByteStream, FdStream, open_pty, open_url
from hardware.canport import CanPort, FrameLog, PythonCanLink, SlcanLink, open_python_can
from hardware.ecuprocess import AdapterLink
from hardware.serialport import SerialPort, TextPort
from rig.kernel import Kernel
from rig.ports import CanBus, CanNode, CanReceiver, SerialLine, TextLine
from rig.pump import Pump, realtime_loop
from rig.sim.canbus import SimBus
from rig.sim.textline import SimText
from rig.sim.uart import SimUart

UNTIL_S = 10.0


@dataclass(frozen=True, slots=True)
class CanBench:
    """One bus, from both sides, on one kernel."""

    kernel: Kernel
    rig: CanBus
    dut: Callable[[CanReceiver], CanNode]
    frames: list[tuple[int, bytes, str]]


CanStory = Callable[[CanBench], Coroutine[object, Any, None]]
RunCan = Callable[[CanStory], None]


@dataclass(frozen=True, slots=True)
class SerialBench:
    """Two ends of a byte line and two of a text line, on one kernel."""

    kernel: Kernel
    bytes_a: SerialLine
    bytes_b: SerialLine
    text_a: TextLine
    text_b: TextLine


SerialStory = Callable[[SerialBench], Coroutine[object, Any, None]]
RunSerial = Callable[[SerialStory], None]


def _in_real_time(
    prepare: Callable[[Kernel, contextlib.ExitStack], Awaitable[Coroutine[object, Any, None]]],
) -> None:
    async def host() -> None:
        kernel = Kernel()
        kernel.edges = 1
        with contextlib.ExitStack() as lines:
            story = await prepare(kernel, lines)
            await Pump(kernel, max_late=0.1).drive(story, until=UNTIL_S)

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        runner.run(host())


def _log(frames: list[tuple[int, bytes, str]]) -> FrameLog:
    return lambda _at, can_id, data, sender: frames.append((can_id, data, sender))


def _sim_can(story: CanStory) -> None:
    kernel = Kernel()
    frames: list[tuple[int, bytes, str]] = []
    bus = SimBus(kernel, on_frame=_log(frames))
    bench = CanBench(kernel, bus, lambda receive: bus.node("ecu", receive, None), frames)
    kernel.run(story(bench), until=UNTIL_S)


def _two_ports(kernel: Kernel, rig: Any, dut: Any) -> CanBench:
    frames: list[tuple[int, bytes, str]] = []
    far = CanPort(kernel, dut, "dut")
    return CanBench(
        kernel,
        CanPort(kernel, rig, "rig", _log(frames)),
        lambda receive: far.node("ecu", receive, None),
        frames,
    )


def _slcan_can(story: CanStory) -> None:
    async def prepare(kernel: Kernel, lines: contextlib.ExitStack) -> Coroutine[object, Any, None]:
        loop = asyncio.get_running_loop()
        ours, path = open_pty(loop, "can")
        lines.callback(ours.close)
        adapter = AdapterLink(ours, lambda off: None)
        link = SlcanLink(open_url(loop, path, 115_200, "can"), 500_000, "can", dut_behind=True)
        lines.callback(link.close)
        await link.open()
        return story(_two_ports(kernel, link, adapter))

    _in_real_time(prepare)


def _virtual_can(story: CanStory) -> None:
    async def prepare(kernel: Kernel, lines: contextlib.ExitStack) -> Coroutine[object, Any, None]:
        loop = asyncio.get_running_loop()
        # A channel of its own: all of this process' virtual buses on one channel hear each other.
        channel = f"contract-{uuid.uuid4()}"
        ends = []
        for name in ("rig", "dut"):
            ends.append(PythonCanLink(loop, can.Bus(interface="virtual", channel=channel), name))
            lines.callback(ends[-1].close)
        return story(_two_ports(kernel, *ends))

    _in_real_time(prepare)


def _socketcan(story: CanStory) -> None:
    async def prepare(kernel: Kernel, lines: contextlib.ExitStack) -> Coroutine[object, Any, None]:
        loop = asyncio.get_running_loop()
        ends = []
        for name in ("rig", "dut"):
            ends.append(open_python_can(loop, "socketcan", "vcan0", 500_000, {}, name))
            lines.callback(ends[-1].close)
        return story(_two_ports(kernel, *ends))

    _in_real_time(prepare)


@pytest.fixture(params=["sim", "slcan", "virtual", pytest.param("vcan0", marks=pytest.mark.vcan)])
def run_can(request: pytest.FixtureRequest) -> RunCan:
    """Runs a story on one make of bus."""
    name = str(request.param)
    if name == "vcan0":
        need_vcan()
    makes: dict[str, RunCan] = {
        "sim": _sim_can,
        "slcan": _slcan_can,
        "virtual": _virtual_can,
        "vcan0": _socketcan,
    }
    return makes[name]


def need_vcan() -> None:
    """Skips where there is no vcan0; under ci/vcan.sh, which promises one, fails instead."""
    if Path("/sys/class/net/vcan0").exists():
        return
    assert "UNLOCK_RIG_HAS_VCAN" not in os.environ, "ci/vcan.sh promised vcan0, and there is none"
    pytest.skip("no network interface vcan0; ci/vcan.sh provides one")


def _sim_serial(story: SerialStory) -> None:
    kernel = Kernel()
    uart, text = SimUart(kernel), SimText(kernel)
    kernel.run(story(SerialBench(kernel, uart.a, uart.b, text.a, text.b)), until=UNTIL_S)


Pair = Callable[[asyncio.AbstractEventLoop, contextlib.ExitStack], tuple[ByteStream, ByteStream]]


def _pty_pair(loop: asyncio.AbstractEventLoop, lines: contextlib.ExitStack) -> tuple[ByteStream, ByteStream]:
    ours, path = open_pty(loop, "line")
    lines.callback(ours.close)
    return open_url(loop, path, 115_200, "line"), ours


def _socket_pair(
    loop: asyncio.AbstractEventLoop, lines: contextlib.ExitStack
) -> tuple[ByteStream, ByteStream]:
    """A serial server on TCP, and pyserial as its client."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        near = open_url(loop, f"socket://127.0.0.1:{port}", 115_200, "line")
        accepted, _ = server.accept()
    return near, FdStream(loop, accepted.fileno(), "far", accepted.close)


def _real_serial(pair: Pair) -> RunSerial:
    def run(story: SerialStory) -> None:
        async def prepare(kernel: Kernel, lines: contextlib.ExitStack) -> Coroutine[object, Any, None]:
            loop = asyncio.get_running_loop()
            (a, b), (c, d) = pair(loop, lines), pair(loop, lines)
            for stream in (a, b, c, d):
                lines.callback(stream.close)
            return story(
                SerialBench(
                    kernel,
                    SerialPort(kernel, a),
                    SerialPort(kernel, b),
                    TextPort(kernel, c),
                    TextPort(kernel, d),
                )
            )

        _in_real_time(prepare)

    return run


@pytest.fixture(params=["sim", "pty", "socket"])
def run_serial(request: pytest.FixtureRequest) -> RunSerial:
    """Runs a story on one make of serial and text line."""
    makes = {"sim": _sim_serial, "pty": _real_serial(_pty_pair), "socket": _real_serial(_socket_pair)}
    return makes[str(request.param)]
