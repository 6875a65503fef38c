"""Byte streams on an asyncio loop: pseudo-terminals and whatever pyserial opens by URL.

Moves bytes and notices when the other end is gone; knows nothing of frames, lines, kernels or the ECU.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable
from typing import Protocol

import serial

if sys.platform != "win32":
    import pty
    import tty

READ_SIZE = 65_536
OUT_LIMIT = 262_144
"""Bytes kept for a reader that does not read; then they are dropped, as on a UART without flow control."""


class PortError(Exception):
    """A port cannot be opened; the text names it and the mend."""


class ByteStream(Protocol):
    """Both directions of an open byte line."""

    def write(self, data: bytes) -> None:
        """Queues bytes for sending; never blocks."""

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        """Sets who is told, on the loop, of bytes that arrive."""

    def on_lost(self, told: Callable[[str], None]) -> None:
        """Sets who is told, on the loop and once, that the line is gone, and why."""

    def close(self) -> None:
        """Lets go of the line; nothing is told afterwards."""


def _ignore_bytes(data: bytes) -> None:
    """Nobody listens yet: the bytes are lost, as on a UART that nobody reads."""


def _ignore_loss(cause: str) -> None:
    """Nobody asked to be told."""


class FdStream:
    """A non-blocking file descriptor: a pseudo-terminal's end, a POSIX serial port, a socket.

    Args:
        loop: on which bytes are told.
        fd: open for reading and writing; made non-blocking here.
        name: for messages.
        on_close: releases the descriptor (its owner may be a pyserial object).
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, name: str, on_close: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._name = name
        self._on_close = on_close
        self._receive: Callable[[bytes], None] = _ignore_bytes
        self._told: Callable[[str], None] = _ignore_loss
        self._out = bytearray()
        self._closed = False
        self.dropped = 0
        """Bytes dropped because the other side did not read."""
        os.set_blocking(fd, False)
        loop.add_reader(fd, self._readable)

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def on_lost(self, told: Callable[[str], None]) -> None:
        self._told = told

    def write(self, data: bytes) -> None:
        if self._closed or not data:
            return
        if self._out:
            self._queue(data)
            return
        sent = self._send(data)
        if sent < len(data) and not self._closed:
            self._queue(data[sent:])
            self._loop.add_writer(self._fd, self._writable)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._on_close()

    def _queue(self, data: bytes) -> None:
        if len(self._out) + len(data) > OUT_LIMIT:
            self.dropped += len(data)
        else:
            self._out += data

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lose(error)
            return 0

    def _writable(self) -> None:
        sent = self._send(self._out)
        del self._out[:sent]
        if not self._out and not self._closed:
            self._loop.remove_writer(self._fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._receive(data)
        else:
            self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        if self._closed:
            return
        self.close()
        # Linux tells EIO to the reader of a pseudo-terminal whose other end was closed.
        gone = error is None or error.errno in (errno.EIO, errno.EPIPE, errno.ECONNRESET)
        cause = "the other end was closed" if gone else os.strerror(error.errno or 0) if error else ""
        self._told(f"{self._name}: {cause}")


class ThreadStream:
    """A pyserial port without a usable file descriptor (Windows, rfc2217://, loop://), read by a thread.

    Args:
        loop: on which bytes are told.
        port: an open pyserial port; its time-outs are set here.
        name: for messages.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, port: serial.Serial, name: str) -> None:
        self._loop = loop
        self._port = port
        self._name = name
        self._receive: Callable[[bytes], None] = _ignore_bytes
        self._told: Callable[[str], None] = _ignore_loss
        self._closed = False
        port.timeout = 0.05
        self._thread = threading.Thread(target=self._read, name=f"serial {name}", daemon=True)
        self._thread.start()

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def on_lost(self, told: Callable[[str], None]) -> None:
        self._told = told

    def write(self, data: bytes) -> None:
        if self._closed:
            return
        try:
            self._port.write(data)
        except (OSError, serial.SerialException) as error:
            self._lose(str(error))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=1.0)
        self._port.close()

    def _read(self) -> None:
        while not self._closed:
            try:
                data = self._port.read(1)
                if data and (more := self._port.in_waiting):
                    data += self._port.read(more)
            except (OSError, serial.SerialException, TypeError) as error:
                # pyserial raises TypeError from a read whose port another thread has just closed.
                self._tell(self._lose, str(error))
                return
            if data:
                self._tell(self._deliver, bytes(data))

    def _tell(self, told: Callable[..., None], *args: object) -> None:
        # The loop may have been closed while the thread was reading.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(told, *args)

    def _deliver(self, data: bytes) -> None:
        if not self._closed:
            self._receive(data)

    def _lose(self, cause: str) -> None:
        if not self._closed:
            self.close()
            self._told(f"{self._name}: {cause}")


def open_url(loop: asyncio.AbstractEventLoop, url: str, baudrate: int, name: str) -> ByteStream:
    """Opens any pyserial URL or device, 8N1, raw, for this program alone where the system can promise it.

    Args:
        loop: on which bytes are told.
        url: a device ("/dev/ttyUSB0", "COM3") or URL ("socket://", "rfc2217://", "hwgrep://", "loop://").
        baudrate: bits a second (a pseudo-terminal ignores it).
        name: for messages.

    Raises:
        PortError: it cannot be opened.
    """
    try:
        port = serial.serial_for_url(url, baudrate=baudrate, do_not_open=True)
        with contextlib.suppress(AttributeError, ValueError):
            # TIOCEXCL: a second rig, or a forgotten terminal program, would eat half the bytes.
            port.exclusive = True if sys.platform != "win32" else None
        port.timeout = 0
        port.open()
    except (OSError, ValueError, serial.SerialException) as error:
        raise PortError(
            f"{name}: {url} cannot be opened ({error}); is the adapter plugged in, may this user open it, "
            "and does no other program hold it?"
        ) from error
    fd = _pollable_fd(port)
    if fd is None:
        return ThreadStream(loop, port, name)
    with contextlib.suppress(OSError, serial.SerialException):
        # What was said before we listened belongs to nobody.
        port.reset_input_buffer()
    return FdStream(loop, fd, name, port.close)


def _pollable_fd(port: serial.Serial) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return int(port.fileno())
    except (OSError, AttributeError, ValueError):
        return None


def open_pty(loop: asyncio.AbstractEventLoop, name: str) -> tuple[ByteStream, str]:
    """Makes a raw pseudo-terminal; returns our end and the path that the other side opens.

    Our process keeps the far end open too, so that peers may come and go without the line being lost.

    Raises:
        PortError: this system has no pseudo-terminals.
    """
    if sys.platform == "win32":
        raise PortError(
            f"{name}: Windows has no pseudo-terminals; give a COM port or a socket:// URL instead"
        )
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        raise PortError(f"{name}: no pseudo-terminal ({error}); is /dev/pts mounted?") from error
    tty.setraw(theirs)
    path = os.ttyname(theirs)

    def release() -> None:
        os.close(ours)
        os.close(theirs)

    return FdStream(loop, ours, name, release), path
