"""The body CAN on a real interface: any python-can interface, or slcan over any byte stream.

A *link* is one adapter, open for as long as the bench is held; a *port* puts it on one kernel as
`rig.ports.CanBus`. Knows nothing of what frames mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

import can

from hardware.bytestream import ByteStream, PortError
from hardware.slcan import BITRATE_CODES, SlcanHost
from rig.kernel import Kernel
from rig.ports import CanNode, CanReceiver, Unsupported

FrameLog = Callable[[int, int, bytes, str], None]
"""Told of each frame on the bus: kernel time in µs, identifier, payload, sender's name."""

ANSWER_S = 1.0
"""How long an adapter may take to answer a command; USB adapters need a few ms."""
RETRY_S = 0.001
SEND_PATIENCE = 1_000
"""Retries of a frame that the system has no room for: a second, as for a bus that nobody acknowledges."""
RECEIVE_BUFFER = 1 << 20
"""A whole ISO-TP transfer (147 frames of about 700 bytes of kernel memory) must outlast a stall of ours."""


class CanLink(Protocol):
    """One open CAN adapter."""

    @property
    def bus_off_refusal(self) -> str | None:
        """Why the DUT cannot be taken off the bus here; None if it can."""

    def send(self, can_id: int, data: bytes) -> None:
        """Queues one frame; never blocks."""

    def on_frame(self, receive: CanReceiver) -> None:
        """Sets who is told, on the loop, of each classic data frame with an 11-bit identifier."""

    def on_lost(self, told: Callable[[str], None]) -> None:
        """Sets who is told, on the loop and once, that the adapter is gone, and why."""

    def set_off(self, off: bool) -> None:
        """Takes the far side's controller off the bus, or lets it back on."""

    def close(self) -> None:
        """Lets go of the adapter."""


def _ignore_frame(can_id: int, data: bytes) -> None:
    """Nobody listens yet."""


def _ignore_loss(cause: str) -> None:
    """Nobody asked to be told."""


class SlcanLink:
    """An slcan adapter on a byte stream: reads chunks, matches every command to its answer.

    python-can's own `slcan` reads byte by byte and throws the answers away; a frame that the adapter refused
    is noticed here as a loss of the port, never as silence of the DUT.

    Args:
        stream: to the adapter.
        bitrate: bits a second, one that slcan has a code for.
        name: for messages.
        dut_behind: the adapter is the DUT's own controller (the emulated ECU's), so that closing its channel
            takes the DUT off the bus. Behind a real adapter it would only take us off.
    """

    def __init__(self, stream: ByteStream, bitrate: int, name: str, *, dut_behind: bool) -> None:
        self._stream = stream
        self._bitrate = bitrate
        self._name = name
        self._dut_behind = dut_behind
        self._receive: CanReceiver = _ignore_frame
        self._told: Callable[[str], None] = _ignore_loss
        self._host = SlcanHost(self._frame)
        self._answered: asyncio.Future[None] | None = None
        self._open = False
        self._closed = False
        stream.on_bytes(self._bytes)
        stream.on_lost(self._lose)

    @property
    def bus_off_refusal(self) -> str | None:
        if self._dut_behind:
            return None
        return "closing this adapter's channel would take the rig off the bus, not the DUT"

    async def open(self) -> None:
        """Closes, sets the bit rate and opens the channel.

        Raises:
            PortError: the adapter does not answer or refuses.
        """
        code = BITRATE_CODES.get(self._bitrate)
        if code is None:
            rates = ", ".join(str(rate) for rate in BITRATE_CODES)
            raise PortError(f"{self._name}: slcan has no code for {self._bitrate} bit/s, only for {rates}")
        # An empty line ends whatever half command a former host left behind; C may be refused.
        for commands, may_refuse in ((("", "C"), True), ((code, "O"), False)):
            self._host.reset()
            self._host.refused.clear()
            self._answered = asyncio.get_running_loop().create_future()
            self._stream.write(b"".join(self._host.command(one) for one in commands))
            try:
                await asyncio.wait_for(self._answered, ANSWER_S)
            except TimeoutError:
                raise PortError(
                    f"{self._name}: no answer to slcan commands within {ANSWER_S:g} s; "
                    "is it an slcan adapter, and is nobody else using it?"
                ) from None
            finally:
                self._answered = None
            if self._host.refused and not may_refuse:
                raise PortError(f"{self._name}: the adapter refused {' and '.join(self._host.refused)}")
        self._host.refused.clear()
        self._open = True

    @property
    def garbled(self) -> int:
        """Lines from the adapter that were neither frame nor answer."""
        return self._host.garbled

    def send(self, can_id: int, data: bytes) -> None:
        # On a closed channel the DUT is off the bus: the frame goes by without it.
        if self._open:
            self._stream.write(self._host.frame(can_id, data))

    def on_frame(self, receive: CanReceiver) -> None:
        self._receive = receive

    def on_lost(self, told: Callable[[str], None]) -> None:
        self._told = told

    def set_off(self, off: bool) -> None:
        if off == self._open:
            self._open = not off
            self._stream.write(self._host.command("C" if off else "O"))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._open:
            self._stream.write(b"C\r")
        self._stream.close()

    def _frame(self, can_id: int, data: bytes) -> None:
        # What was under way when the channel was closed is not heard either.
        if self._open:
            self._receive(can_id, data)

    def _bytes(self, data: bytes) -> None:
        host = self._host
        host.feed(data)
        if self._answered is not None:
            if not host.pending and not self._answered.done():
                self._answered.set_result(None)
        elif host.refused:
            self._lose(f"{self._name}: the adapter refused the command {host.refused[0]!r}")

    def _lose(self, cause: str) -> None:
        if not self._closed:
            self.close()
            self._told(cause)


class PythonCanLink:
    """Any python-can interface, read on the loop where it has a file descriptor, else by a thread.

    Args:
        loop: on which frames are told.
        bus: an open python-can bus; closed by `close`.
        name: for messages.
    """

    bus_off_refusal: str | None = "python-can cannot take another node's controller off the bus"

    def __init__(self, loop: asyncio.AbstractEventLoop, bus: can.BusABC, name: str) -> None:
        self._loop = loop
        self._bus = bus
        self._name = name
        self._receive: CanReceiver = _ignore_frame
        self._told: Callable[[str], None] = _ignore_loss
        self._out: deque[can.Message] = deque()
        self._tries = 0
        self._closed = False
        self.error_frames = 0
        """Error frames heard so far: a healthy bus has none."""
        self.foreign_frames = 0
        """Frames heard that are extended, remote or FD: none belongs on the body CAN."""
        self._fd = _fd_of(bus)
        self._thread: threading.Thread | None = None
        if self._fd is not None:
            loop.add_reader(self._fd, self._readable)
        else:
            self._thread = threading.Thread(target=self._listen, name=f"can {name}", daemon=True)
            self._thread.start()

    def send(self, can_id: int, data: bytes) -> None:
        self._out.append(can.Message(arbitration_id=can_id, data=data, is_extended_id=False, check=False))
        if len(self._out) == 1:
            self._flush()

    def on_frame(self, receive: CanReceiver) -> None:
        self._receive = receive

    def on_lost(self, told: Callable[[str], None]) -> None:
        self._told = told

    def set_off(self, off: bool) -> None:
        if off:
            raise Unsupported(f"{self._name}: {self.bus_off_refusal}")

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._out.clear()
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join(timeout=1.0)
        with contextlib.suppress(can.CanError, OSError):
            self._bus.shutdown()

    def _flush(self) -> None:
        while self._out and not self._closed:
            try:
                self._bus.send(self._out[0], timeout=0)
            except (can.CanError, OSError) as error:
                self._tries += 1
                if not _may_pass(error) or self._tries > SEND_PATIENCE:
                    self._lose(f"{self._name}: cannot send ({error})")
                else:
                    # The system's queue is full: the bus paces us, and a later try succeeds.
                    self._loop.call_later(RETRY_S, self._flush)
                return
            self._tries = 0
            self._out.popleft()

    def _readable(self) -> None:
        # Some frames at a time, so that a busy bus does not keep the loop from its timers.
        for _ in range(64):
            if self._closed:
                return
            try:
                message = self._bus.recv(0)
            except ValueError:
                # python-can's parsers raise it at a garbled line; the next one may be fine.
                self.foreign_frames += 1
                continue
            except (can.CanError, OSError) as error:
                self._lose(f"{self._name}: cannot receive ({error})")
                return
            if message is None:
                return
            self._deliver(message)

    def _listen(self) -> None:
        while not self._closed:
            try:
                message = self._bus.recv(0.05)
            except ValueError:
                continue
            except (can.CanError, OSError) as error:
                self._tell(self._lose, f"{self._name}: cannot receive ({error})")
                return
            if message is not None:
                self._tell(self._deliver, message)

    def _tell(self, told: Callable[..., None], *args: object) -> None:
        # The loop may have been closed while the thread was listening.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(told, *args)

    def _deliver(self, message: can.Message) -> None:
        if self._closed:
            return
        if message.is_error_frame:
            self.error_frames += 1
        elif message.is_extended_id or message.is_remote_frame or message.is_fd:
            self.foreign_frames += 1
        else:
            # Whatever is_rx says: on SocketCAN it is False for all that came from this computer, as on vcan
            # everything did. What we sent ourselves is not received at all.
            self._receive(message.arbitration_id, bytes(message.data))

    def _lose(self, cause: str) -> None:
        if not self._closed:
            self.close()
            self._told(cause)


def _fd_of(bus: can.BusABC) -> int | None:
    try:
        fd = bus.fileno()
    except (NotImplementedError, OSError, can.CanError):
        return None
    return fd if fd >= 0 else None


def _may_pass(error: Exception) -> bool:
    number = error.error_code if isinstance(error, can.CanError) else getattr(error, "errno", None)
    # python-can gives a time-out no number at all.
    return number in (None, errno.ENOBUFS, errno.EAGAIN)


def open_python_can(
    loop: asyncio.AbstractEventLoop,
    interface: str,
    channel: str,
    bitrate: int,
    options: Mapping[str, str | int | float | bool],
    name: str,
) -> PythonCanLink:
    """Opens any python-can interface.

    Args:
        loop: on which frames are told.
        interface: python-can's name of it, e.g. "socketcan", "pcan", "kvaser".
        channel: e.g. "can0", "PCAN_USBBUS1".
        bitrate: bits a second, where the interface sets it (socketcan: the system does).
        options: what else the interface wants.
        name: for messages.

    Raises:
        PortError: it cannot be opened.
    """
    arguments: dict[str, str | int | float | bool] = {"bitrate": bitrate, **options}
    if interface == "slcan":
        # The default waits 2 s for Arduinos to boot.
        arguments.setdefault("sleep_after_open", 0)
    try:
        bus = can.Bus(channel=channel, interface=interface, **arguments)  # type: ignore[arg-type]
    except (can.CanError, OSError, ValueError, TypeError, ImportError) as error:
        raise PortError(f"{name}: {interface} {channel} cannot be opened ({error})") from error
    _widen(bus)
    return PythonCanLink(loop, bus, name)


def _widen(bus: can.BusABC) -> None:
    """Enlarges a SocketCAN socket's receive buffer; as root beyond the system's limit."""
    sock = getattr(bus, "socket", None)
    if not isinstance(sock, socket.socket):
        return
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    for option in (socket.SO_RCVBUF, force):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)


class CanPort:
    """`rig.ports.CanBus` over a link, for one kernel.

    Nodes of the rig hear the DUT and each other; the adapter does not echo, so what one sends is told to the
    others here. No arbitration, no bit rate: floods are refused.

    Args:
        kernel: told of what arrives, by `post`.
        link: an open adapter; this port becomes its only listener.
        name: for messages.
        on_frame: told of every frame on the bus.
        dut: the sender's name that frames from the wire are logged under.
    """

    def __init__(
        self, kernel: Kernel, link: CanLink, name: str, on_frame: FrameLog | None = None, dut: str = "ecu"
    ) -> None:
        self._kernel = kernel
        self._link = link
        self._name = name
        self._log = on_frame
        self._dut = dut
        self._nodes: list[_Node] = []
        link.on_frame(self._arrived)

    @property
    def quiet(self) -> bool:
        """Always False: the DUT's queue cannot be seen from here."""
        return False

    def node(self, name: str, receive: CanReceiver, ids: frozenset[int] | None) -> CanNode:
        node = _Node(self, name, receive, ids)
        self._nodes.append(node)
        return node

    def set_dut_bus_off(self, off: bool) -> None:
        if off and self._link.bus_off_refusal is not None:
            raise Unsupported(f"{self._name}: {self._link.bus_off_refusal}")
        self._link.set_off(off)

    def set_flood(self, on: bool) -> None:
        if on:
            raise Unsupported(f"{self._name}: a log flood needs a bus with arbitration; this line has none")

    def set_babble(self, on: bool) -> None:
        if on:
            raise Unsupported(f"{self._name}: a babbling node needs a bus with arbitration; this line has none")

    def send(self, sender: _Node, can_id: int, data: bytes) -> None:
        """Puts a node's frame on the wire and before the other nodes."""
        self._link.send(can_id, data)
        self._spread(can_id, data, sender)

    def _arrived(self, can_id: int, data: bytes) -> None:
        self._kernel.post(self._spread, can_id, data, None)

    def _spread(self, can_id: int, data: bytes, sender: _Node | None) -> None:
        if self._log is not None:
            self._log(self._kernel.now, can_id, data, self._dut if sender is None else sender.name)
        for node in self._nodes:
            if node is not sender and (node.ids is None or can_id in node.ids):
                # In an event of its own, so that no sender is called back from within its own send.
                self._kernel.after(0, node.receive, can_id, data)


class _Node:
    """One sender of the rig on the bus."""

    __slots__ = ("_port", "ids", "name", "receive")

    def __init__(self, port: CanPort, name: str, receive: CanReceiver, ids: frozenset[int] | None) -> None:
        self._port = port
        self.name = name
        self.receive = receive
        self.ids = ids

    def send(self, can_id: int, data: bytes) -> None:
        self._port.send(self, can_id, data)
