"""Status push to all Bluetooth connections and status report to the cloud, at every change.

Sends and forgets: nothing in the ECU ever waits for an acknowledgement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.protocol.vcp import VehicleStatus, build_push, lock_state, status_payload

if TYPE_CHECKING:
    from hardware.ecu.core import Core

GATHER_US = 5_000
ALL_CONNECTIONS = b"\xff"
REPORT = b"\xfe"


class Report:
    """Tells of states in which nothing moves; changes within 5 ms are told together.

    Attributes:
        GATHER_US: those 5 ms.
    """

    GATHER_US = GATHER_US

    def __init__(self, core: Core) -> None:
        self.core = core
        self._timer = core.timers.timer(self._gathered)
        self._told = self._status()

    def changed(self) -> None:
        """A latch or a door may have changed."""
        if self._timer.at is None:
            self.core.timers.set(self._timer, self.core.cpu.now + self.GATHER_US)

    def taken(self) -> None:
        """The server took the report."""

    def _status(self) -> VehicleStatus:
        core = self.core
        a, b, c, d = core.pins.ajar
        return VehicleStatus(lock_state(door.feedback for door in core.locks.doors), (a, b, c, d))

    def _gathered(self) -> None:
        if self.core.locks.moving:
            return  # The end of the movement calls again.
        status = self._status()
        if status != self._told:
            self._told = status
            self.send(build_push(status_payload(status)))

    def send(self, message: bytes) -> None:
        """Sends one message both ways."""
        core = self.core
        if core.connections.any_open or core.slow_frames.connections:
            core.bluetooth.send(ALL_CONNECTIONS + message)
        core.cloud.send(REPORT + message)
