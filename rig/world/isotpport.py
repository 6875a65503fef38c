"""One end of an ISO-TP channel on the body CAN: the transport core, bound to kernel and bus.

Knows nothing of what the payloads mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rig.kernel import Handle, Kernel
from rig.ports import CanNode, CanReceiver
from rig.protocol.isotp import Endpoint


class Nodes(Protocol):
    """Where a node on the bus can be had."""

    def node(self, name: str, receive: CanReceiver, ids: frozenset[int] | None) -> CanNode:
        """See `rig.ports.CanBus.node`."""


class IsoTpPort:
    """Sends and receives whole payloads on a pair of identifiers, under a node name of its own."""

    def __init__(
        self,
        kernel: Kernel,
        bus: Nodes,
        name: str,
        tx_id: int,
        rx_id: int,
        on_payload: Callable[[bytes], None],
    ) -> None:
        self._kernel = kernel
        self._endpoint = Endpoint(tx_id, rx_id)
        self._tx_id = tx_id
        self._on_payload = on_payload
        self._timer: Handle | None = None
        self._timer_us: int | None = None
        self._muted = False
        self.node = bus.node(name, self._frame, frozenset((rx_id,)))

    def mute(self, on: bool) -> None:
        """Whoever sends and hears here is gone, with all that was under way, or back with nothing under way."""
        self._muted = on
        self._endpoint.reset()
        self._drain()

    def send(self, payload: bytes) -> None:
        """Queues one payload; a transfer under way goes first."""
        if self._muted:
            return
        self._endpoint.send(self._kernel.now, payload)
        self._drain()

    def _frame(self, _can_id: int, data: bytes) -> None:
        if self._muted:
            return
        endpoint = self._endpoint
        payload = endpoint.receive(self._kernel.now, data)
        if payload is None and not endpoint.out and endpoint.receiving and self._timer is not None:
            # In the middle of a transfer: the timer may come early.
            return
        self._drain()
        if payload is not None:
            self._on_payload(payload)

    def _tick(self) -> None:
        self._timer = self._timer_us = None
        self._endpoint.tick(self._kernel.now)
        self._drain()

    def _drain(self) -> None:
        endpoint = self._endpoint
        if endpoint.out:
            frames, endpoint.out = endpoint.out, []
            for frame in frames:
                self.node.send(self._tx_id, frame)
        deadline = endpoint.deadline_us
        # N_Cr and N_Bs are re-started by every frame: an early timer that finds nothing due is
        # cheaper than cancelling and setting one a frame.
        if deadline is None:
            if self._timer is not None and not endpoint.busy:
                self._kernel.cancel(self._timer)
                self._timer = self._timer_us = None
        elif self._timer_us is None or deadline < self._timer_us:
            if self._timer is not None:
                self._kernel.cancel(self._timer)
            self._timer_us = max(deadline, self._kernel.now)
            self._timer = self._kernel.at(self._timer_us, self._tick)
