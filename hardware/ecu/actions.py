"""What may be done: unlock, lock, unlock after a crash. The one way from a credential to the motors.

Every movement passes the vehicle's own admission, when it is asked for and when its first pulse starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hardware.ecu.config import Reason, Source
from hardware.ecu.connections import Connection
from hardware.ecu.locks import Order
from rig.protocol.vcp import Fault

if TYPE_CHECKING:
    from hardware.ecu.core import Core

Permit = Callable[[], Reason | None]
Done = Callable[[Reason | None], None]


class Actions:
    """Gives orders to the locks and keeps relock and status informed."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def unlock(self, source: Source, permit: Permit, done: Done) -> None:
        """Unlocks all doors; `done` is called once, with why not, or None after the latches' feedback."""
        core = self.core

        def permitted() -> Reason | None:
            return core.admission.refuses(source, True) or permit()

        def finished(fault: Reason | None) -> None:
            if fault is None or fault is Fault.BUSY:  # BUSY: some doors may have moved
                core.relock.unlocked(source)
            done(fault)

        if permitted() is None:
            core.relock.unlocking(source)
        core.locks.order(Order("U", source, permitted, finished))

    def lock(self, source: Source, permit: Permit, done: Done) -> None:
        """Locks all doors that are not ajar; `done` as for `unlock`."""
        core = self.core

        def permitted() -> Reason | None:
            return core.admission.refuses(source, False) or permit()

        def finished(fault: Reason | None) -> None:
            if fault is None:
                core.relock.locked()
            done(fault)

        core.locks.order(Order("L", source, permitted, finished))

    def drive(
        self, source: Source, permit: Permit, done: Done, key: bytes, connection: Connection | None
    ) -> None:
        """Authorises driving: for as long as the connection lives, or for a while without one."""
        reason = self.core.admission.refuses(source, False) or permit()
        if reason is None:
            if connection is not None:
                self.core.drive.grant_on_connection(key, connection.handle)
            else:
                self.core.drive.grant_for_a_while(key)
        done(reason)

    def crash(self) -> None:
        """Unlocks all doors, whatever the supply down to 6.5 V, and bars the relock until the next lock."""
        self.core.log("crash: unlocking")
        self.unlock(Source.CRASH, _always, self.ignored)

    def ignored(self, fault: Reason | None) -> None:
        """For those who asked and wait for no answer."""
        if fault is not None:
            self.core.status.refused(fault)
            self.core.log(f"refused {fault.name.lower()}")


def _always() -> Reason | None:
    return None
