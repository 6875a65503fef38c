"""The authority to drive: who gave it, and when it lapses.

Knows nothing of how it was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware.ecu.core import Core

LAPSE_US = 120_000_000


class Drive:
    """Grants by card and cloud last 120 s, those over a Bluetooth connection as long as it does."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._timer = core.timers.timer(self._lapse)
        self._until: dict[bytes, int] = {}
        self._connections: dict[int, bytes] = {}

    @property
    def authorised(self) -> bool:
        """Somebody may drive."""
        return bool(self._until or self._connections)

    def grant_for_a_while(self, key: bytes) -> None:
        """By a card or cloud command, `key` being its public key: for 120 s."""
        self._until[key] = self.core.cpu.now + LAPSE_US
        self._arm()
        self.core.log("drive authorised")

    def grant_on_connection(self, key: bytes, connection: int) -> None:
        """By a command over a Bluetooth connection: until it closes."""
        self._connections[connection] = key
        self.core.log(f"drive authorised connection {connection}")

    def connection_closed(self, connection: int) -> None:
        """The connection is gone, or replaced."""
        if self._connections.pop(connection, None) is not None:
            self._lapsed(f"connection {connection}")

    def key_revoked(self, key: bytes) -> None:
        """The key was removed, disabled or given another role."""
        before = self.authorised
        self._until.pop(key, None)
        self._connections = {h: k for h, k in self._connections.items() if k != key}
        self._arm()
        if before and not self.authorised:
            self._lapsed("key revoked")

    def _arm(self) -> None:
        if self._until:
            self.core.timers.set(self._timer, min(self._until.values()))
        else:
            self.core.timers.cancel(self._timer)

    def _lapse(self) -> None:
        now = self.core.cpu.now
        self._until = {k: t for k, t in self._until.items() if t > now}
        self._arm()
        self._lapsed("after 120 s")

    def _lapsed(self, why: str) -> None:
        # Wakes, so that LockStatus does not stay silent about it.
        self.core.sleep.activity()
        self.core.log(f"drive lapsed {why}")
