"""Freshness of commands: clock, expiry, counters. Stricter than the public verifier.

Knows nothing of signatures or of what a command asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.ecu.config import SECOND_US
from hardware.ecu.memory import KeyRecord
from rig.protocol.vcp import Fault

if TYPE_CHECKING:
    from hardware.ecu.core import Core

LONGEST_S = 31
"""A command may live at most this much longer than the ECU's clock."""


class Freshness:
    """Judges by the ECU's own clock: whole seconds since power-up, never the wall clock.

    Attributes:
        LONGEST_S: the longest lifetime.
    """

    LONGEST_S = LONGEST_S

    def __init__(self, core: Core) -> None:
        self.core = core

    @property
    def clock_s(self) -> int:
        """The clock of session info."""
        return (self.core.cpu.now - self.core.boot_us) // SECOND_US

    def expired(self, expires_at: int) -> Fault | None:
        """TIME_EXPIRED once the clock is past `expires_at`; 0 and absent have expired always."""
        return Fault.TIME_EXPIRED if expires_at == 0 or expires_at < self.clock_s else None

    def lifetime(self, expires_at: int) -> Fault | None:
        """Why a lifetime is not accepted."""
        if expires_at > self.clock_s + self.LONGEST_S:
            return Fault.TIME_TO_LIVE_TOO_LONG
        return self.expired(expires_at)

    def counter(self, key: KeyRecord, counter: int) -> Fault | None:
        """Why a counter is not accepted. Takes it for good if it is: it is never accepted again."""
        if counter == 0 or counter <= key.counter:
            return Fault.INVALID_TOKEN_OR_COUNTER
        key.counter = counter
        self.core.store.commit()
        return None
