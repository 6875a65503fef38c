"""The Bluetooth connections that the ECU knows of.

Knows when one is forgotten; nothing of keys or cryptography, which belong to no connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware.ecu.core import Core

MOST = 3
UNPROVEN_US = 30_000_000


@dataclass(slots=True, eq=False)
class Connection:
    """One connection; a new object each time the handle is opened."""

    handle: int
    opened_us: int
    proven: bool = False


class Connections:
    """By handle 0..2; forgotten when closed, or 30 s after opening without a valid command."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._open: dict[int, Connection] = {}
        self._timer = core.timers.timer(self._check)

    @property
    def any_open(self) -> bool:
        """At least one is known."""
        return bool(self._open)

    def opened(self, handle: int) -> Connection:
        """The module says so, or a message came on an unknown handle."""
        self.forget(handle)
        connection = self._open[handle] = Connection(handle, self.core.cpu.now)
        self._arm()
        return connection

    def closed(self, handle: int) -> None:
        """The module says so."""
        self.forget(handle)

    def forget(self, handle: int) -> None:
        """The connection on a handle is gone: closed, replaced, or never proven."""
        if self._open.pop(handle, None) is not None:
            self.core.drive.connection_closed(handle)
            self._arm()

    def of(self, handle: int) -> Connection | None:
        """The connection that a message came on; None: it is to be ignored."""
        return self._open.get(handle) or self.opened(handle)

    def holds(self, connection: Connection) -> bool:
        """It is still the one on its handle."""
        return self._open.get(connection.handle) is connection

    def proven(self, connection: Connection) -> None:
        """A valid command came on it."""
        if not connection.proven:
            connection.proven = True
            self._arm()

    def _arm(self) -> None:
        waiting = [c.opened_us for c in self._open.values() if not c.proven]
        if waiting:
            self.core.timers.set(self._timer, min(waiting) + UNPROVEN_US)
        else:
            self.core.timers.cancel(self._timer)

    def _check(self) -> None:
        now = self.core.cpu.now
        for connection in list(self._open.values()):
            if not connection.proven and connection.opened_us + UNPROVEN_US <= now:
                self.core.log(f"bluetooth {connection.handle} forgotten")
                self.forget(connection.handle)
        self._arm()
