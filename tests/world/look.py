"""How a failure mode is seen from outside: what the files of looks, one a domain, are written in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.world.stage import Stage


@dataclass(frozen=True, slots=True)
class Look:
    """How a mode is seen.

    Attributes:
        look: asks and says what it found.
        healthy: what it finds without the mode.
        broken: what it finds while it lasts.
        takes_s: no look takes longer.
        lag_s: how long after its end the world may need to be healthy again (reconnects, boots).
        spell_s: how long the spell of the test is.
        momentary: it is over by itself; it shows from its onset on, and its end ends nothing.
    """

    look: Callable[[Stage], Awaitable[object]]
    healthy: object
    broken: object
    takes_s: float = 0.4
    lag_s: float = 0.0
    spell_s: float = 30.0
    momentary: bool = False
