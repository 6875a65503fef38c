"""One TCP connection over a leg of the network: what it carries late, slowly or not at all.

The same for in-memory transports and for the fault proxy's sockets. Knows TLS records only as far as to tell a
handshake from what it protects.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

CCS, APPLICATION = 20, 23
"""Record types of TLS (RFC 8446 section 5.1): change cipher spec, application data (all that is encrypted)."""
RECORD_HEADER = 5
KEEP_ALIVE_S = 3.0
"""How long a side waits whose peer has gone without a word that came through."""


class Leg(Protocol):
    """One stretch of network; asked at the instants that matter."""

    def flight_us(self) -> int:
        """How long what is sent now takes one way, but for its size; drawn once a flight."""

    def transfer_us(self, size: int) -> int:
        """How long so many bytes keep the link busy."""

    def swallows(self, down: bool, payload: bool) -> bool:
        """Whether what arrives now is lost for good."""

    @property
    def resets(self) -> bool:
        """Whether the next request or answer meets a reset."""


class Outlet(Protocol):
    """One end of a connection, as the network delivers to it."""

    def arrived(self, data: bytes) -> None:
        """Bytes came."""

    def ended(self) -> None:
        """The other side has said all it had to say."""

    def broken(self, error: OSError | None) -> None:
        """The connection is gone."""


class Direction:
    """One way of a connection."""

    __slots__ = ("delay_us", "busy_us", "last_us", "stuck")

    def __init__(self) -> None:
        self.delay_us = 0
        self.busy_us = 0
        self.last_us = 0
        self.stuck = False
        """Something got lost on it: nothing that comes later can be read any more."""


class Connection:
    """Client and server over a leg; `down` is from server to client.

    Attributes:
        standing: the handshake is over; what comes now is payload.
        forgotten: a middlebox dropped it: what is sent gets lost, and nobody is told.
    """

    def __init__(self, leg: Leg, loop: asyncio.AbstractEventLoop) -> None:
        self._leg = leg
        self._loop = loop
        self.client: Outlet | None = None
        self.server: Outlet | None = None
        self.standing = False
        self.forgotten = False
        self.over = False
        self._ways = (Direction(), Direction())
        self._speaker: bool | None = None
        self._finished_flight = b""

    def send(self, down: bool, data: bytes) -> None:
        """Takes bytes from one side; the other gets them when they have come through, if ever."""
        if self.over or not data:
            return
        leg, way = self._leg, self._ways[down]
        began = self.standing
        payload = self._is_payload(down, data)
        if self.standing and not began and not payload:
            # The end of the handshake goes with the request that follows it, in one flight.
            self._finished_flight = data
            return
        if self._finished_flight and not down:
            data, self._finished_flight = self._finished_flight + data, b""
        turned = self._speaker is not down
        if payload and leg.resets:
            self.reset(ConnectionResetError("connection reset by peer"))
            return
        if turned:
            # A flight is what one side says at once: it meets the network once, as one message would.
            self._speaker = down
            way.delay_us = leg.flight_us()
        if way.stuck or self.forgotten:
            way.stuck = True
            return
        now = self._now()
        way.busy_us = max(now, way.busy_us) + leg.transfer_us(len(data))
        way.last_us = max(way.last_us, way.busy_us + way.delay_us)
        self._loop.call_at(way.last_us / 1e6, self._arrive, down, data, payload)

    def finish(self, down: bool) -> None:
        """One side closes: the other hears of it after all that was sent."""
        if self.over:
            return
        way = self._ways[down]
        if way.stuck or self.forgotten:
            self._never_told(down)
            return
        way.last_us = max(way.last_us, self._now() + way.delay_us)
        self._loop.call_at(way.last_us / 1e6, self._finished, down)

    def abandon(self, down: bool) -> None:
        """One side is gone without a word more; the other hears of it, if the network is there."""
        if self.over:
            return
        way = self._ways[down]
        if way.stuck or self.forgotten:
            self._never_told(down)
            return
        way.last_us = max(way.last_us, self._now() + way.delay_us)
        self._loop.call_at(way.last_us / 1e6, self._abandoned, down)

    def _never_told(self, down: bool) -> None:
        """The other side finds out by itself, when nobody has answered its keep-alive."""
        self.over = True
        end = self.client if down else self.server
        if end is not None:
            self._loop.call_later(KEEP_ALIVE_S, end.broken, TimeoutError("connection timed out"))

    def reset(self, error: OSError | None, *, client: bool = True, server: bool = True) -> None:
        """Breaks it for both sides, or one, at once."""
        ends = [end for end, told in ((self.client, client), (self.server, server)) if told and end is not None]
        self.over = self.over or (client and server)
        for end in ends:
            end.broken(error)

    def _now(self) -> int:
        return int(self._loop.time() * 1e6 + 0.5)

    def _is_payload(self, down: bool, data: bytes) -> bool:
        """Whether bytes are payload; the client's first encrypted record ends the handshake and is none."""
        if down or self.standing:
            return self.standing
        place = 0
        while place + RECORD_HEADER <= len(data):
            kind = data[place]
            place += RECORD_HEADER + int.from_bytes(data[place + 3 : place + 5], "big")
            if kind == APPLICATION:
                self.standing = True
                return len(data) > place
        return False

    def _arrive(self, down: bool, data: bytes, payload: bool) -> None:
        way = self._ways[down]
        end = self.client if down else self.server
        if self.over or way.stuck or end is None:
            return
        if self._leg.swallows(down, payload):
            way.stuck = True
            return
        end.arrived(data)

    def _finished(self, down: bool) -> None:
        if self.over:
            return
        if self._lost(down):
            self._never_told(down)
            return
        end = self.client if down else self.server
        if end is not None:
            end.ended()

    def _abandoned(self, down: bool) -> None:
        if self.over:
            return
        if self._lost(down):
            self._never_told(down)
            return
        self.over = True
        end = self.client if down else self.server
        if end is not None:
            end.broken(ConnectionResetError("connection reset by peer"))

    def _lost(self, down: bool) -> bool:
        return self._ways[down].stuck or self._leg.swallows(down, False)
