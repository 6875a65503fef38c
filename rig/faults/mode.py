"""What a failure mode is, and what each path needs: the words in which the catalogue is written.

Knows nothing of which modes there are, nor of how a scenario is generated or judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.world import World

Release = Callable[[], None]

NEEDS: Mapping[str, frozenset[str]] = {
    "card": frozenset({"serial", "reader", "power", "actuator", "random"}),
    "bluetooth": frozenset(
        {"phone", "bluetooth", "module", "can", "standing", "power", "actuator", "random"}
    ),
    "cloud": frozenset(
        {
            "phone", "account", "server", "network phone", "network car", "tcu", "can", "standing", "power",
            "actuator", "random",
        }
    ),
}  # fmt: skip
"""What each path needs, declared (a fault on anything else must not touch the path).

"phone": the driver's app runs and has its key; "standing": no valid frame says over 5 km/h; "random": the ECU's
source of randomness works (vehicle.md section 5).
"""

PATHS = tuple(NEEDS)


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a mode: whole number, with unit, default and range."""

    name: str
    unit: str
    default: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Mode:
    """One failure mode.

    Attributes:
        name: `domain.mode`.
        text: what happens, for people.
        breaks: which needs of `NEEDS` do not hold while it lasts; empty: it must harm nobody.
        begin: switches it on in a world; the function returned switches it off.
        params: what can be set.
        capability: what the bench's edges must be able to do, if anything.
        state: a state that nothing heals by itself (it asks for no recovery).
        degrades: what it breaks is lossy or slow rather than dead: recovery is promised, no deadline, and it may
            well be got through.
        condition: a state of the vehicle or a legitimate act rather than a failure (driving, a crash, the inside
            switch).
        restbus: it makes frames of the restbus missing, stale or corrupt (AVL-7).
    """

    name: str
    text: str
    breaks: frozenset[str]
    begin: Callable[[World, Fault], Release]
    params: tuple[Param, ...] = ()
    capability: str = ""
    state: bool = False
    degrades: bool = False
    condition: bool = False
    restbus: bool = False

    @property
    def domain(self) -> str:
        """The part before the dot."""
        return self.name.partition(".")[0]

    def breaks_path(self, path: str) -> bool:
        """Whether the path called `path` needs what this mode breaks."""
        return bool(self.breaks & NEEDS[path])

    def value(self, fault: Fault, name: str) -> int:
        """The parameter's value in a fault, or its default.

        Raises:
            KeyError: the mode has no such parameter.
        """
        for param in self.params:
            if param.name == name:
                return fault.param(name, param.default)
        raise KeyError(name)

    def holds_back_s(self, fault: Fault) -> float:
        """How long after its end honest clients may still wait because it told them so (Retry-After), in s."""
        return float(self.value(fault, "retry_after_s")) if any(p.name == "retry_after_s" for p in self.params) else 0.0
