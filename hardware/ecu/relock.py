"""The relock: doors that a credential unlocked and nobody opened lock themselves again.

Knows the rule of vehicle.md section 5; nothing of credentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.ecu.config import CREDENTIALS, Reason, Source
from hardware.ecu.locks import Order
from rig.protocol.vcp import Fault

if TYPE_CHECKING:
    from hardware.ecu.core import Core

RELOCK_US = 30_000_000


class Relock:
    """Counts from the latest of unlock, ready and return to 9.3 V. Whether it is due outlives a reset.

    Attributes:
        RELOCK_US: so long.
    """

    RELOCK_US = RELOCK_US

    def __init__(self, core: Core) -> None:
        self.core = core
        self._timer = core.timers.timer(self._due)
        self._unlocked_us = core.cpu.now
        self._locking = False

    def ready(self) -> None:
        """The ECU is ready: goes on counting for doors that were unlocked before the reset."""
        image = self.core.store.image
        if image.relock_due and (any(self.core.pins.ajar) or self.core.locks.all_are("L")):
            self._forget()
        self._arm()

    def unlocking(self, source: Source) -> None:
        """An order to unlock is about to be carried out; noted first, so that a reset does not lose it."""
        image = self.core.store.image
        # Who opens from inside while the doors lock themselves wants them open: this relock is over.
        due = (
            (source in CREDENTIALS or (image.relock_due and not self._locking))
            and not image.relock_ban
            and source is not Source.CRASH
        )
        ban = image.relock_ban or source is Source.CRASH
        if (due, ban) != (image.relock_due, image.relock_ban):
            image.relock_due, image.relock_ban = due, ban
            self.core.store.commit()

    def unlocked(self, source: Source) -> None:
        """An order to unlock was fulfilled, with or without a pulse."""
        if source in CREDENTIALS:
            self._unlocked_us = self.core.cpu.now
            if any(self.core.pins.ajar):
                self._forget()
        self._arm()

    def locked(self) -> None:
        """An order to lock was fulfilled: nothing is due, and a crash is over."""
        image = self.core.store.image
        if image.relock_due or image.relock_ban:
            image.relock_due = image.relock_ban = False
            self.core.store.commit()
        self._arm()

    def door_opened(self) -> None:
        """A door is ajar: somebody uses the car."""
        if self.core.store.image.relock_due:
            self._forget()
            self._arm()

    def supply_changed(self) -> None:
        """The supply went low or came back."""
        self._arm()

    def _forget(self) -> None:
        self.core.store.image.relock_due = False
        self.core.store.commit()

    def _arm(self) -> None:
        core = self.core
        if not core.store.image.relock_due or core.supply.low:
            core.timers.cancel(self._timer)
            return
        core.timers.set(self._timer, max(self._unlocked_us, core.supply.good_since_us) + self.RELOCK_US)

    def _due(self) -> None:
        if self.core.locks.moving:
            self.core.timers.set(self._timer, self.core.cpu.now + 200_000)
            return
        self._locking = True
        self.core.locks.order(Order("L", Source.RELOCK, self._permit, self._done))

    def _permit(self) -> Reason | None:
        if self.core.supply.low or not self.core.store.image.relock_due:
            return Fault.INTERNAL
        return None

    def _done(self, fault: Reason | None) -> None:
        self._locking = False
        if fault is None:
            self.locked()
        elif self.core.store.image.relock_due:
            # Not given up: a door that did not lock is tried again, as long as nobody opened one.
            self.core.timers.set(self._timer, self.core.cpu.now + self.RELOCK_US)
