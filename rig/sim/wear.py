"""What befalls motors, latches and their switches: pulses that stick, slow motors, feedback that lies.

Asked by the plant while something is wrong; knows nothing of lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Ailment:
    """One thing that is wrong.

    Attributes:
        kind: stick, slow, freeze (motors); lost, late, stuck, stale (feedback).
        doors: which.
        value: pulses in a row that stick before one moves, ms that a pulse is too short or feedback is late.
        shown: what each door's feedback said when this began, or last.
    """

    kind: str
    doors: frozenset[str]
    value: int = 0
    shown: dict[str, str] = field(default_factory=dict)


MOTORS = ("stick", "slow", "freeze")


class Wear:
    """All that is wrong at the doors now.

    Attributes:
        motors, feedback: whether anything is, so that the plant need not ask.
    """

    def __init__(self) -> None:
        self.motors = False
        self.feedback = False
        self._ailments: list[Ailment] = []
        self._row: dict[str, int] = {}

    def add(self, ailment: Ailment) -> Callable[[], None]:
        """Begins one; the function returned ends it."""
        self._ailments.append(ailment)
        self._note()

        def end() -> None:
            if ailment in self._ailments:
                self._ailments.remove(ailment)
                self._note()

        return end

    def _note(self) -> None:
        self.motors = any(a.kind in MOTORS for a in self._ailments)
        self.feedback = any(a.kind not in MOTORS for a in self._ailments)

    def sticks(self, door: str) -> bool:
        """Whether a pulse that begins now moves nothing; counts those in a row."""
        mine = [a for a in self._ailments if door in a.doors]
        row = self._row.get(door, 0)
        most = max((a.value for a in mine if a.kind == "stick"), default=0)
        if any(a.kind == "freeze" for a in mine):
            return True
        if row < most:
            self._row[door] = row + 1
            return True
        self._row[door] = 0
        return False

    def longer_us(self, door: str) -> int:
        """How much longer than a pulse the latch needs."""
        return max((a.value * 1000 for a in self._ailments if a.kind == "slow" and door in a.doors), default=0)

    def tells(self, door: str, state: str) -> tuple[str, int] | None:
        """What the switch says of a latch that shows `state`, and how many µs later; None: nothing."""
        after_us = 0
        for a in self._ailments:
            if door not in a.doors:
                continue
            match a.kind:
                case "lost":
                    return None
                case "late":
                    after_us = max(after_us, a.value * 1000)
                case "stuck":
                    state = a.shown[door]
                case "stale":
                    state, a.shown[door] = a.shown[door], state
                case _:
                    pass
        return state, after_us
