"""Serial lines and text lines on a kernel, over any byte stream.

Moves bursts and lines between a stream and `rig.ports`; knows nothing of readers, plants or consoles.
"""

from __future__ import annotations

from collections.abc import Callable

from hardware.bytestream import ByteStream
from rig.kernel import Kernel

MAX_LINE = 1_024
"""No message of vehicle.md's text lines is longer than a console line; what is, is noise."""


def _ignore_bytes(data: bytes) -> None:
    """Nobody listens yet: the bytes are lost, as on a UART that nobody reads."""


def _ignore_line(line: str) -> None:
    """Nobody listens yet."""


class SerialPort:
    """`rig.ports.SerialLine` over a stream, for one kernel.

    Args:
        kernel: told of what arrives, by `post`.
        stream: an open line; this port becomes its only listener.
    """

    def __init__(self, kernel: Kernel, stream: ByteStream) -> None:
        self._kernel = kernel
        self._stream = stream
        self._receive: Callable[[bytes], None] = _ignore_bytes
        stream.on_bytes(self._arrived)

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def _arrived(self, data: bytes) -> None:
        self._kernel.post(self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        self._receive(data)


class LineSplitter:
    """Cuts a byte stream into text lines; CR and LF both end one, empty ones are skipped.

    Attributes:
        overlong: lines dropped because they had no end within `MAX_LINE` bytes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipping = False
        self.overlong = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        self._buffer += data.replace(b"\r", b"\n")
        *whole, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        if whole and self._skipping:
            del whole[0]
            self._skipping = False
        if len(self._buffer) > MAX_LINE:
            self._buffer.clear()
            if not self._skipping:
                self.overlong += 1
            self._skipping = True
        return [line.decode("ascii", "backslashreplace") for line in whole if line and len(line) <= MAX_LINE]


class TextPort:
    """`rig.ports.TextLine` over a stream, for one kernel.

    Args:
        kernel: told of what arrives, by `post`.
        stream: an open line; this port becomes its only listener.
        tap: sees each line first, on the loop and outside the kernel; False keeps it from the listener.
    """

    def __init__(self, kernel: Kernel, stream: ByteStream, tap: Callable[[str], bool] | None = None) -> None:
        self._kernel = kernel
        self._stream = stream
        self._tap = tap
        self._splitter = LineSplitter()
        self._receive: Callable[[str], None] = _ignore_line
        stream.on_bytes(self._arrived)

    def write(self, line: str) -> None:
        self._stream.write(line.encode("ascii", "backslashreplace") + b"\n")

    def on_line(self, receive: Callable[[str], None]) -> None:
        self._receive = receive

    def _arrived(self, data: bytes) -> None:
        for line in self._splitter.feed(data):
            if self._tap is None or self._tap(line):
                self._kernel.post(self._deliver, line)

    def _deliver(self, line: str) -> None:
        self._receive(line)
