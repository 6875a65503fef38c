"""How well phone and car hear each other: a signal that fades, and interference.

The link layer repeats what was not heard, so what is weak or disturbed is late rather than wrong, until the link
is given up. Knows nothing of connections or messages.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from rig.world.gates import Gate

HEARD_DBM = -60
"""What a phone beside the car hears; where a ramp begins."""
SURE_DBM = -84
"""Down to here every packet is heard."""
DEAF_DBM = -98
"""From here on none is: a usual receiver's sensitivity at 1 Mbit/s is -90 to -97 dBm (Core asks for -70)."""
MOST_REPEATS = 24
"""Repeats in a supervision time-out of 720 ms at a connection interval of 30 ms."""


@dataclass(frozen=True, slots=True, eq=False)
class _Fading:
    """A signal on its way down to `floor_dbm`, which it reaches after `ramp_us`."""

    since_us: int
    floor_dbm: int
    ramp_us: int

    def dbm(self, now_us: int) -> float:
        part = min(1.0, (now_us - self.since_us) / self.ramp_us) if self.ramp_us else 1.0
        return HEARD_DBM + (self.floor_dbm - HEARD_DBM) * part


class Radio:
    """The quality of the link between the driver's phone and the car.

    Luck is drawn for each instant by itself: who asks about it, and after whom, changes nothing.
    """

    def __init__(self, rng: random.Random) -> None:
        self.interference: Gate = Gate()
        """Held with the longest delay in ms that it may cause a packet."""
        self._fadings: list[_Fading] = []
        self._seed = rng.getrandbits(64)

    @property
    def bad(self) -> bool:
        """Whether packets may be late or lost."""
        return bool(self._fadings or self.interference)

    def fade(self, now_us: int, floor_dbm: int, ramp_us: int) -> Callable[[], None]:
        """Lets the signal fall to a floor; the function returned brings it back."""
        fading = _Fading(now_us, floor_dbm, ramp_us)
        self._fadings.append(fading)

        def end() -> None:
            if fading in self._fadings:
                self._fadings.remove(fading)

        return end

    def misses(self, now_us: int) -> bool:
        """Whether one packet sent now is not heard."""
        return bool(self._fadings) and self._missed(now_us, self._luck(now_us))

    def late_us(self, now_us: int, event_us: int) -> int | None:
        """How much later than usual a packet comes through; None: not before the link is given up."""
        late, luck = 0, self._luck(now_us)
        if self.interference:
            late = luck.randint(0, self.interference.value) * 1000
        for _ in range(MOST_REPEATS):
            if not (self._fadings and self._missed(now_us, luck)):
                return late
            late += event_us
        return None

    def _luck(self, now_us: int) -> random.Random:
        return random.Random(f"{self._seed} {now_us}")

    def _missed(self, now_us: int, luck: random.Random) -> bool:
        weakest = min(f.dbm(now_us) for f in self._fadings)
        return luck.random() < (SURE_DBM - weakest) / (SURE_DBM - DEAF_DBM)
