"""ISO-TP (ISO 15765-2:2016), normal addressing, classic CAN: one endpoint, sans-I/O.

Frames and the time go in, frames, payloads and the next deadline come out; knows nothing of
buses, clocks or what a payload means.
"""

from __future__ import annotations

from collections import deque
from typing import Final

PADDING: Final = b"\xcc"
"""Padding byte (vehicle.md section 1; ISO 15765-2:2016, 10.4.2.1 recommends it)."""
LONGEST: Final = 4095
"""Largest payload with a 12-bit first-frame length (ISO 15765-2:2016, 9.6.3.1)."""
N_BS_US: Final = 1_000_000
"""Time-out of the sender for a flow control (ISO 15765-2:2016, table 16; vehicle.md section 1)."""
N_CR_US: Final = 1_000_000
"""Time-out of the receiver for a consecutive frame (ISO 15765-2:2016, table 16; vehicle.md section 1)."""
MOST_WAITS: Final = 10
"""WAITs in a row that a sender bears; ours, so that a peer cannot hold a channel for ever."""

_CONTINUE: Final = b"\x30\x00\x00" + PADDING * 5
_OVERFLOW: Final = b"\x32\x00\x00" + PADDING * 5
_CF_HEADS: Final = tuple(bytes((0x20 | number,)) for number in range(16))
_NOTHING: Final = -1


def _separation_us(st_min: int) -> int:
    """Decodes STmin (ISO 15765-2:2016, table 20): ms, hundreds of µs, or reserved = the longest, 127 ms."""
    if st_min <= 0x7F:
        return st_min * 1000
    if 0xF1 <= st_min <= 0xF9:
        return (st_min - 0xF0) * 100
    return 127_000


class Endpoint:
    """One end of an ISO-TP channel; sends and receives independently of each other.

    Args:
        tx_id: CAN identifier of what this end sends.
        rx_id: CAN identifier of what it hears (the caller filters).
        limit: longest payload it takes in; a longer first frame is answered by OVFLW.
    """

    __slots__ = (
        "_limit",
        "_rx_buffer",
        "_rx_deadline",
        "_rx_expected",
        "_rx_left",
        "_rx_length",
        "_separation_us",
        "_tx_block",
        "_tx_deadline",
        "_tx_next_us",
        "_tx_number",
        "_tx_offset",
        "_tx_payload",
        "_tx_queue",
        "_waits",
        "errors",
        "out",
        "rx_id",
        "tx_id",
    )

    def __init__(self, tx_id: int, rx_id: int, limit: int = LONGEST) -> None:
        if not 1 <= limit <= LONGEST:
            raise ValueError(f"ISO-TP: limit {limit} is not in 1..{LONGEST}")
        self.tx_id = tx_id
        self.rx_id = rx_id
        self.out: list[bytes] = []
        """Frames of 8 bytes to send on `tx_id`, oldest first; the caller takes them out."""
        self.errors = 0
        """Frames that could not be used, and transfers broken off."""
        self._limit = limit
        self._rx_expected = _NOTHING
        self._rx_buffer = bytearray()
        self._rx_length = 0
        self._rx_left = 0
        self._rx_deadline: int | None = None
        self._tx_queue: deque[bytes] = deque()
        self._tx_payload: bytes | None = None
        self._tx_offset = 0
        self._tx_number = 0
        self._tx_block = 0
        self._separation_us = 0
        self._tx_deadline: int | None = None
        self._tx_next_us: int | None = None
        self._waits = 0

    @property
    def deadline_us(self) -> int | None:
        """When `tick` must be called next; None: not at all."""
        sooner = self._rx_deadline
        other = self._tx_deadline
        if other is not None and (sooner is None or other < sooner):
            sooner = other
        other = self._tx_next_us
        if other is not None and (sooner is None or other < sooner):
            sooner = other
        return sooner

    @property
    def busy(self) -> bool:
        """Whether a transfer is under way in either direction or frames wait in `out`."""
        return self._tx_payload is not None or self._rx_expected != _NOTHING or bool(self.out)

    @property
    def receiving(self) -> bool:
        """Whether a payload has come in part."""
        return self._rx_expected != _NOTHING

    @property
    def sending(self) -> bool:
        """Whether a payload is being sent or waits to be."""
        return self._tx_payload is not None

    def reset(self) -> None:
        """Forgets all transfers and frames, as a boot does; the error count stays."""
        self.out = []
        self._tx_queue.clear()
        self._end_reception()
        self._tx_payload = self._tx_deadline = self._tx_next_us = None

    def send(self, now_us: int, payload: bytes) -> None:
        """Sends a payload, after those under way.

        Raises:
            ValueError: the payload is empty or longer than 4095 bytes.
        """
        if not 1 <= len(payload) <= LONGEST:
            raise ValueError(f"ISO-TP: a payload has 1..{LONGEST} bytes, not {len(payload)}")
        if self._tx_payload is not None:
            self._tx_queue.append(payload)
        else:
            self._start(now_us, payload)

    def receive(self, now_us: int, data: bytes) -> bytes | None:
        """Takes in a frame heard on `rx_id`; gives the payload that it completes, or None.

        Never raises: what is malformed is ignored and counted in `errors`.
        """
        if not data:
            self.errors += 1
            return None
        head = data[0]
        if head == self._rx_expected:
            left = self._rx_left
            if len(data) < 8 and len(data) <= left:
                # ISO 15765-2:2016, 9.6.4.2: a consecutive frame of wrong length is ignored.
                self.errors += 1
                return None
            self._rx_buffer += data[1:8]
            if left > 7:
                self._rx_left = left - 7
                self._rx_expected = 0x20 | head + 1 & 0x0F
                self._rx_deadline = now_us + N_CR_US
                return None
            payload = bytes(self._rx_buffer[: self._rx_length])
            self._end_reception()
            return payload
        kind = head >> 4
        if kind == 0:
            return self._single(head & 0x0F, data)
        if kind == 1:
            self._first(now_us, data)
        elif kind == 2:
            # An unexpected consecutive frame is ignored, a wrong number ends the reception
            # (ISO 15765-2:2016, 9.8.3 and 9.6.4.4).
            self.errors += 1
            self._end_reception()
        elif kind == 3:
            self._flow_control(now_us, head & 0x0F, data)
        else:
            self.errors += 1
        return None

    def tick(self, now_us: int) -> None:
        """Lets time pass: breaks off what has timed out, sends frames that STmin held back."""
        if self._rx_deadline is not None and now_us >= self._rx_deadline:
            self.errors += 1
            self._end_reception()
        if self._tx_deadline is not None and now_us >= self._tx_deadline:
            self._abort_sending(now_us)
        if self._tx_next_us is not None and now_us >= self._tx_next_us:
            self._send_consecutive(now_us)

    def _end_reception(self) -> None:
        self._rx_expected = _NOTHING
        self._rx_deadline = None

    def _single(self, length: int, data: bytes) -> bytes | None:
        if not 1 <= length <= 7 or len(data) <= length or length > self._limit:
            self.errors += 1
            return None
        if self._rx_expected != _NOTHING:
            self.errors += 1
            self._end_reception()
        return bytes(data[1 : 1 + length])

    def _first(self, now_us: int, data: bytes) -> None:
        if len(data) != 8:
            self.errors += 1
            return
        length = (data[0] & 0x0F) << 8 | data[1]
        if length == 0:
            # The 32-bit form is for more than 4095 bytes only (ISO 15765-2:2016, 9.6.3.1): never fits.
            length = int.from_bytes(data[2:6], "big")
            if length <= LONGEST:
                self.errors += 1
                return
        elif length < 8:
            self.errors += 1
            return
        if self._rx_expected != _NOTHING:
            self.errors += 1
            self._end_reception()
        if length > self._limit:
            self.errors += 1
            self.out.append(_OVERFLOW)
            return
        self._rx_buffer = bytearray(data[2:])
        self._rx_length = length
        self._rx_left = length - 6
        self._rx_expected = 0x21
        self._rx_deadline = now_us + N_CR_US
        self.out.append(_CONTINUE)

    def _flow_control(self, now_us: int, status: int, data: bytes) -> None:
        if self._tx_deadline is None or len(data) < 3:
            self.errors += 1
            return
        if status == 0:
            self._waits = 0
            self._tx_deadline = None
            self._tx_block = data[1]
            self._separation_us = _separation_us(data[2])
            self._send_consecutive(now_us)
        elif status == 1 and self._waits < MOST_WAITS:
            self._waits += 1
            self._tx_deadline = now_us + N_BS_US
        else:
            # OVFLW and reserved states end the transfer (ISO 15765-2:2016, 9.6.5.1 and 9.6.5.3).
            self._abort_sending(now_us)

    def _start(self, now_us: int, payload: bytes) -> None:
        length = len(payload)
        if length <= 7:
            self.out.append((bytes((length,)) + payload).ljust(8, PADDING))
            return
        self.out.append(bytes((0x10 | length >> 8, length & 0xFF)) + payload[:6])
        self._tx_payload = payload
        self._tx_offset = 6
        self._tx_number = 1
        self._waits = 0
        self._tx_next_us = None
        self._tx_deadline = now_us + N_BS_US

    def _send_consecutive(self, now_us: int) -> None:
        payload = self._tx_payload
        assert payload is not None
        length = len(payload)
        offset = self._tx_offset
        number = self._tx_number
        # STmin 0 and no block size: everything at once, the bus paces it.
        frames = 1 if self._separation_us else self._tx_block or LONGEST
        out = self.out
        heads = _CF_HEADS
        while frames and offset < length:
            frame = heads[number & 15] + payload[offset : offset + 7]
            out.append(frame if len(frame) == 8 else frame.ljust(8, PADDING))
            offset += 7
            number += 1
            frames -= 1
        self._tx_next_us = None
        if offset >= length:
            self._tx_payload = None
            self._start_queued(now_us)
            return
        self._tx_offset = offset
        self._tx_number = number
        if self._separation_us and self._tx_block != 1:
            # Counts the block down; a peer's block size 0 stays 0, which is no block at all.
            self._tx_block = max(0, self._tx_block - 1)
            self._tx_next_us = now_us + self._separation_us
        else:
            self._tx_deadline = now_us + N_BS_US

    def _start_queued(self, now_us: int) -> None:
        while self._tx_queue and self._tx_payload is None:
            self._start(now_us, self._tx_queue.popleft())

    def _abort_sending(self, now_us: int) -> None:
        self.errors += 1
        self._tx_payload = self._tx_deadline = self._tx_next_us = None
        self._start_queued(now_us)
