"""What befalls motors, latches and their switches: pulses that stick, slow motors, feedback that lies.

Asked by the plant while something is wrong; knows nothing of lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

MOST_IN_A_ROW = 2
"""A DUT must master so many stuck pulses one after the other (ACT-1)."""


@dataclass(slots=True, eq=False)
class Ailment:
    """One thing that is wrong.

    Attributes:
        kind: stick, jam, slow, freeze (motors); lost, late, stuck, stale (feedback).
        doors: which.
        value: pulses that stick or jam, ms that a pulse is too short or feedback is late.
        left: how many pulses of a door still stick.
        shown: what each door's feedback said when this began, or last.
    """

    kind: str
    doors: frozenset[str]
    value: int = 0
    left: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)


MOTORS = ("stick", "jam", "slow", "freeze")


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
        ailment.left = dict.fromkeys(ailment.doors, ailment.value)
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
        """Whether a pulse that begins now moves nothing; counts it."""
        stuck = jammed = False
        for a in self._ailments:
            if door not in a.doors:
                continue
            if a.kind == "freeze":
                jammed = True
            elif a.kind in ("stick", "jam") and a.left[door]:
                a.left[door] -= 1
                if a.kind == "jam":
                    jammed = True
                else:
                    stuck = True
        if stuck and not jammed and self._row.get(door, 0) >= MOST_IN_A_ROW:
            # Two spells that meet are still no more than what a DUT must master.
            stuck = False
        self._row[door] = self._row.get(door, 0) + 1 if stuck or jammed else 0
        return stuck or jammed

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
