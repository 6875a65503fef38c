"""Supply levels with hysteresis, as the running ECU sees them at its own pin.

Power-on and power-off themselves are `hardware.ecu.ecu`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware.ecu.core import Core

OFF_BELOW_MV = 6_500
LOW_BELOW_MV = 9_000
GOOD_FROM_MV = 9_300


class Supply:
    """Hysteresis between 9.0 and 9.3 V.

    Attributes:
        LOW_BELOW_MV: from below this on the ECU only refuses.
        low: below 9.0 V, and not yet back at 9.3 V.
        good_since_us: the last return to 9.3 V.
    """

    LOW_BELOW_MV = LOW_BELOW_MV

    def __init__(self, core: Core) -> None:
        self.core = core
        self.low = core.pins.supply_mv < self.LOW_BELOW_MV
        self.good_since_us = core.cpu.now

    def changed(self, supply_mv: int) -> None:
        """A new value at the pin, in mV."""
        if not self.low and supply_mv < self.LOW_BELOW_MV:
            self.low = True
            self.core.log(f"supply low {supply_mv} mV: refusing")
            self.core.relock.supply_changed()
        elif self.low and supply_mv >= GOOD_FROM_MV:
            self.low = False
            self.good_since_us = self.core.cpu.now
            self.core.log(f"supply good {supply_mv} mV")
            self.core.relock.supply_changed()
