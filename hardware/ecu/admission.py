"""Whether the vehicle's state allows an action now, whoever asks; and randomness that is known to work.

One place for the rules on supply, speed and randomness; knows nothing of keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hardware.ecu.config import REMOTE, Reason, Source
from rig.protocol.keycard import Refusal
from rig.protocol.vcp import Fault

if TYPE_CHECKING:
    from hardware.ecu.core import Core

SPEED_LIMIT = 50
"""5 km/h in the unit of VehicleState (0.1 km/h)."""

_LOW_SUPPLY = {Source.CARD: Refusal.CARD_LOW_SUPPLY, Source.INTERIOR: Refusal.INTERIOR_LOW_SUPPLY}


TEST_BYTES = 16


class EntropyFailure(Exception):
    """The random source repeats itself or gives nothing."""


class Entropy:
    """Random bytes, tested at boot and at every use.

    Attributes:
        healthy: False from a failure until a later test passes: remote requests are refused.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._last = b""
        self.healthy = True

    def works(self) -> bool:
        """Whether it may be relied on; one that has failed is tested again."""
        if not self.healthy:
            try:
                self.take(TEST_BYTES)
                self.take(TEST_BYTES)
            except EntropyFailure:
                return False
            self.healthy = True
        return True

    def take(self, count: int) -> bytes:
        """Fresh bytes.

        Raises:
            EntropyFailure: they are too few, all alike, or the same as the time before.
        """
        data = self._random(count)
        seen, self._last = self._last, data[:8]
        if len(data) != count or (count >= 8 and (data[:8] == seen or data.count(data[0]) == count)):
            self.healthy = False
            raise EntropyFailure
        return data


class Admission:
    """The vehicle's own reasons to refuse.

    Attributes:
        SPEED_LIMIT: above it cloud and Bluetooth do not unlock, in 0.1 km/h.
    """

    SPEED_LIMIT = SPEED_LIMIT

    def __init__(self, core: Core) -> None:
        self.core = core

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        """Why `source` may not unlock (`opens`), lock or authorise driving now; None: it may."""
        core = self.core
        if source is Source.CRASH:
            return None
        if core.supply.low:
            return _LOW_SUPPLY.get(source, Fault.INTERNAL)
        if source in REMOTE:
            if not core.random_works():
                return Fault.INTERNAL
            if opens and core.speed.highest(core.cpu.now) > self.SPEED_LIMIT:
                return Fault.INSUFFICIENT_PRIVILEGES
        return None
