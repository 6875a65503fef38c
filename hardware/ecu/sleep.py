"""Sleep and waking: asleep, LockStatus pauses; the reader is polled on and frames are still evaluated.

Knows when it is quiet, not what happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.ecu.config import SECOND_US

if TYPE_CHECKING:
    from hardware.ecu.core import Core

AFTER_US = 60 * SECOND_US


class Sleep:
    """Attributes: asleep: nothing happened for 60 s and the power mode is off."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.asleep = False
        self._last_us = core.cpu.now
        self._timer = core.timers.timer(self._check)

    def ready(self) -> None:
        """Begins to count."""
        self._last_us = self.core.cpu.now
        self.core.timers.set(self._timer, self._last_us + AFTER_US)

    def activity(self) -> None:
        """Something happened that keeps awake and wakes."""
        self._last_us = self.core.cpu.now
        if self.asleep:
            self.wake()

    def keep_awake(self) -> None:
        """A valid frame says that the power mode is on."""
        self._last_us = self.core.cpu.now
        if self.asleep:
            self.wake()

    def wake(self) -> None:
        """Awake at once."""
        self.asleep = False
        self.core.log("awake")
        self.core.timers.set(self._timer, self._last_us + AFTER_US)
        self.core.status.resume()

    def skip(self, delta_us: int) -> None:
        """Idle cycles are left out; with the power mode on they would have kept awake."""
        if self.core.vehicle_state.power_on and not self.asleep and self._timer.at is not None:
            self._last_us += delta_us

    def _check(self) -> None:
        # Activity only notes its time; the alarm finds out how long ago it was.
        now = self.core.cpu.now
        due = self._last_us + AFTER_US
        if due > now or self.core.locks.moving:
            self.core.timers.set(self._timer, max(due, now + SECOND_US))
            return
        self.asleep = True
        self.core.log("asleep")
        self.core.status.pause()
