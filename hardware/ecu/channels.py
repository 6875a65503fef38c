"""The ECU's ISO-TP channels: transport bound to the processor, with a bounded queue of what is to be sent.

Knows nothing of what payloads mean. A further channel (diagnostics) is one more row in `hardware.ecu.core`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.protocol.isotp import Endpoint

if TYPE_CHECKING:
    from hardware.ecu.core import Core

LONGEST_PAYLOAD = 1025
"""One byte of handle and a RoutableMessage of at most 1024 (vehicle.md section 2)."""
QUEUE_LIMIT = 16
"""Answers that may wait behind a peer that takes none; more are dropped: their askers have given up."""


class Channel:
    """One pair of identifiers."""

    def __init__(self, core: Core, tx_id: int, rx_id: int, payload: Callable[[bytes], None]) -> None:
        self.core = core
        self._tx_id = tx_id
        self._endpoint = Endpoint(tx_id, rx_id, LONGEST_PAYLOAD)
        self._payload = payload
        self._waiting: deque[bytes] = deque()
        self._timer = core.timers.timer(self._tick)

    @property
    def busy(self) -> bool:
        """A transfer is under way."""
        return self._endpoint.busy

    def frame(self, data: bytes) -> None:
        """A frame came in."""
        endpoint = self._endpoint
        payload = endpoint.receive(self.core.cpu.now, data)
        if payload is None and not endpoint.out and endpoint.receiving and self._timer.at is not None:
            # In the middle of a transfer: the alarm may come early.
            return
        self._after()
        if payload is not None:
            self._payload(payload)

    def send(self, payload: bytes) -> None:
        """Sends a payload, after those before it; off the bus, it is lost."""
        if self.core.bus_off:
            return
        if self._endpoint.sending:
            if len(self._waiting) < QUEUE_LIMIT:
                self._waiting.append(payload)
            return
        self._endpoint.send(self.core.cpu.now, payload)
        self._after()

    def reset(self) -> None:
        """The controller left the bus: what was under way is lost."""
        self._endpoint.reset()
        self._waiting.clear()
        self.core.timers.cancel(self._timer)

    def _tick(self) -> None:
        self._endpoint.tick(self.core.cpu.now)
        self._after()

    def _after(self) -> None:
        endpoint = self._endpoint
        while True:
            if endpoint.out:
                frames, endpoint.out = endpoint.out, []
                emit, tx_id = self.core.cpu.emit, self._tx_id
                for frame in frames:
                    emit(("can", tx_id, frame))
            if endpoint.sending or not self._waiting:
                break
            endpoint.send(self.core.cpu.now, self._waiting.popleft())
        deadline = endpoint.deadline_us
        timer = self._timer
        if deadline is None:
            if timer.at is not None:
                self.core.timers.cancel(timer)
        elif timer.at is None or deadline < timer.at:
            # Every frame moves N_Cr on; an alarm that comes early and finds nothing due is cheaper.
            self.core.timers.set(timer, deadline)
