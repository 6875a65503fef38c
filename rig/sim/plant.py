"""The plant: lock motors, latches, doors and the supply at the DUT's pin, behind the I/O line.

What vehicle.md says of the harness; knows nothing of CAN, credentials or why a motor is driven.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from rig.kernel import Handle, Kernel
from rig.ports import TextLine
from rig.sim.wear import Ailment, Wear

DOORS = ("FL", "FR", "RL", "RR")
DIRECTIONS = ("U", "L")

PULSE_US = 150_000
"""A latch flips at the end of an unbroken drive of this length (vehicle.md)."""
MOVING_US = 20_000
"""How far into the drive the latch has left its old position and its switch shows so (ours)."""
OFF_MV = 6_500
"""Below this the DUT is off and every drive breaks (vehicle.md)."""
BOOT_MV = 9_300
"""The DUT boots at this or more (vehicle.md)."""


class DriveEffect(Enum):
    """What a motor's drive does to its latch."""

    MOVES = "moves"
    STUCK = "stuck"


class PlantListener(Protocol):
    """Told of everything that happens at the plant."""

    def __call__(self, kind: str, *fields: int | str) -> None:
        """`kind` and fields as in the trace: motor door direction on, latch door state, feedback door state,
        ajar door open, supply mv, stuck door direction (a drive began that moves nothing)."""


class _Door:
    """One door's motor, latch and switch."""

    __slots__ = (
        "name", "driven", "moving", "latch", "shown", "ajar", "timer", "flips_us", "began_us", "progress", "late",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.driven: set[str] = set()
        self.moving: str | None = None
        self.latch = "L"
        self.shown = "L"
        self.ajar = False
        self.timer: Handle | None = None
        self.flips_us = 0
        self.began_us = 0
        # How far a slow motor has come, in µs of drive, and whereto.
        self.progress = ("", 0)
        # Feedback that is still to come.
        self.late: list[Handle] = []


class Plant:
    """Plays motors, latches and supply to the DUT on the other end of `io`.

    A latch is always in one of its two positions, L or U; its feedback says X while it is on its way. A door
    driven both ways at once, or towards where its latch is already, does not move.

    Args:
        kernel: the clock and queue.
        io: the rig's end of the I/O line.
        on_event: told of everything.
        drive_effect: asked at the start of each drive (door, direction) what it will do; None: it moves.
        pulse_us: how long a drive must be. In real time, where two ends of a pulse are late by different
            times, take less than the nominal 150 ms.

    Attributes:
        malformed: how many lines of the DUT could not be understood and were ignored.
        supply_mv: supply at the DUT's pin.
        wear: what is wrong at the doors.
        on_step: told of each protocol step before it has its effect.
    """

    def __init__(
        self,
        kernel: Kernel,
        io: TextLine,
        on_event: PlantListener,
        drive_effect: Callable[[str, str], DriveEffect] | None = None,
        pulse_us: int = PULSE_US,
    ) -> None:
        self.malformed = 0
        self.supply_mv = 0
        self.drive_effect = drive_effect
        self.wear = Wear()
        self.on_step: Callable[[str], None] | None = None
        self._kernel = kernel
        self._io = io
        self._on_event = on_event
        self._pulse_us = pulse_us
        self._doors = {name: _Door(name) for name in DOORS}
        # The DUT has lost its RAM since it was last told everything.
        self._forgotten = True
        io.on_line(self._line)

    # -- the rig's side ----------------------------------------------------------------------------

    @property
    def latches(self) -> dict[str, str]:
        """Position of every latch, "L" or "U"."""
        return {name: door.latch for name, door in self._doors.items()}

    @property
    def driven(self) -> dict[str, str]:
        """Directions in which each motor is driven now: "", "U", "L", or "LU" (a short circuit)."""
        return {name: "".join(sorted(door.driven)) for name, door in self._doors.items()}

    def set_latches(self, state: str, doors: tuple[str, ...] = DOORS) -> None:
        """Puts latches in a position by hand, as with the mechanical key.

        Args:
            state: "L" or "U".
            doors: which.
        """
        if state not in DIRECTIONS:
            raise ValueError(f'a latch is put to "L" or "U", not {state!r}')
        for name in doors:
            door = self._doors[name]
            if door.latch != state:
                door.latch = state
                self._on_event("latch", name, state)
            self._restart(door)
            if door.moving is None or door.shown != "X":
                self._show(door, state)

    def set_ajar(self, door: str, ajar: bool) -> None:
        """Opens or shuts a door."""
        one = self._doors[door]
        if one.ajar != ajar:
            one.ajar = ajar
            self._on_event("ajar", door, int(ajar))
            self._io.write(f"A {door} {int(ajar)}")

    def pull_handle(self, door: str, pulled: bool) -> None:
        """Pulls or lets go a door handle; the DUT only records it."""
        if door not in self._doors:
            raise ValueError(f"no door {door!r}; doors are {', '.join(DOORS)}")
        self._io.write(f"H {door} {int(pulled)}")

    def ail(self, kind: str, door: int, value: int = 0) -> Callable[[], None]:
        """Something at the doors is wrong until the function returned is called.

        Args:
            kind: see `rig.sim.wear.Ailment`.
            door: 1 to 4, or 0 for all.
            value: pulses or ms.
        """
        doors = frozenset(DOORS[door - 1 : door] if door else DOORS)
        one = Ailment(kind, doors, value, shown={name: self._doors[name].shown for name in doors})
        end = self.wear.add(one)

        def healed() -> None:
            end()
            for name in DOORS:
                if name not in doors:
                    continue
                faulty = self._doors[name]
                if kind in ("lost", "late", "stuck", "stale"):
                    self._drop_late(faulty)
                    # A wire has a level: what is so now is seen as soon as it is whole.
                    if self.supply_mv >= OFF_MV:
                        self._tell(faulty)
                elif kind == "slow":
                    faulty.progress = ("", 0)

        return healed

    def set_supply(self, mv: int) -> None:
        """Sets the supply at the DUT's pin, in mV; below 6.5 V every drive breaks."""
        if mv < 0:
            raise ValueError(f"a supply of {mv} mV cannot be set")
        before, self.supply_mv = self.supply_mv, mv
        if mv != before:
            self._on_event("supply", mv)
        if mv < OFF_MV:
            self._forgotten = True
            for door in self._doors.values():
                self._release(door)
                self._drop_late(door)
        self._io.write(f"V {mv}")
        # Wires have levels, lines do not: a DUT that boots must be told them. Its host may listen from the
        # one threshold on or from the other, so both are served.
        if self._forgotten and mv >= OFF_MV and (before < OFF_MV or mv >= BOOT_MV):
            self._tell_all()
            self._forgotten = mv < BOOT_MV

    # -- the DUT's side ----------------------------------------------------------------------------

    def _line(self, line: str) -> None:
        match line.split(" "):
            case ["M", name, direction, on] if (
                name in self._doors and direction in DIRECTIONS and on in ("0", "1")
            ):
                # Without supply no relay pulls; what still arrives was under way.
                if self.supply_mv >= OFF_MV:
                    self._switch(self._doors[name], direction, on == "1")
            case _:
                self.malformed += 1

    def _switch(self, door: _Door, direction: str, on: bool) -> None:
        if (direction in door.driven) == on:
            return
        if on:
            door.driven.add(direction)
        else:
            door.driven.remove(direction)
        self._on_event("motor", door.name, direction, int(on))
        if self.on_step is not None:
            self.on_step("motor.on" if on else "motor.off")
        self._restart(door)

    def _release(self, door: _Door) -> None:
        for direction in DIRECTIONS:
            if direction in door.driven:
                door.driven.remove(direction)
                self._on_event("motor", door.name, direction, 0)
        self._restart(door)

    # -- motion ------------------------------------------------------------------------------------

    def _restart(self, door: _Door) -> None:
        """What drives the door has changed: breaks the motion under way, begins the one that is due."""
        wanted = next(iter(door.driven)) if len(door.driven) == 1 else None
        if wanted is not None and wanted == door.moving and door.timer is not None and wanted != door.latch:
            return
        if door.timer is not None:
            self._kernel.cancel(door.timer)
            if door.flips_us == self._kernel.now:
                # Long enough to the microsecond, whichever event came first.
                self._flip(door)
            else:
                door.timer = None
                if self.wear.motors and door.moving is not None:
                    before = door.progress[1] if door.progress[0] == door.moving else 0
                    done = min(self._kernel.now - door.began_us, self._pulse_us)
                    door.progress = (door.moving, before + done)
                self._show(door, door.latch)
        door.moving = wanted
        if wanted is None or wanted == door.latch:
            return
        if self.drive_effect is not None and self.drive_effect(door.name, wanted) is DriveEffect.STUCK:
            return
        takes_us = self._pulse_us
        if self.wear.motors:
            if self.wear.sticks(door.name):
                self._on_event("stuck", door.name, wanted)
                return
            if more_us := self.wear.longer_us(door.name):
                takes_us += more_us
                if door.progress[0] == wanted:
                    takes_us = max(takes_us - door.progress[1], MOVING_US)
        door.began_us = self._kernel.now
        door.flips_us = self._kernel.now + takes_us
        door.timer = self._kernel.after(MOVING_US, self._leave, door)

    def _leave(self, door: _Door) -> None:
        self._show(door, "X")
        door.timer = self._kernel.at(door.flips_us, self._flip, door)

    def _flip(self, door: _Door) -> None:
        assert door.moving is not None
        door.timer = None
        door.progress = ("", 0)
        if door.latch != door.moving:
            door.latch = door.moving
            self._on_event("latch", door.name, door.latch)
        self._show(door, door.latch)

    # -- feedback ----------------------------------------------------------------------------------

    def _show(self, door: _Door, state: str) -> None:
        if door.shown != state:
            door.shown = state
            if self.on_step is not None and state != "X":
                self.on_step("motor.feedback")
            self._tell(door)

    def _tell(self, door: _Door) -> None:
        if not self.wear.feedback:
            self._say(door, door.shown)
        elif (told := self.wear.tells(door.name, door.shown)) is not None:
            state, after_us = told
            if after_us:
                door.late.append(self._kernel.after(after_us, self._say, door, state))
            else:
                self._say(door, state)

    def _say(self, door: _Door, state: str) -> None:
        self._on_event("feedback", door.name, state)
        self._io.write(f"F {door.name} {state}")

    def _drop_late(self, door: _Door) -> None:
        for handle in door.late:
            self._kernel.cancel(handle)
        door.late.clear()

    def _tell_all(self) -> None:
        for door in self._doors.values():
            self._tell(door)
            self._io.write(f"A {door.name} {int(door.ajar)}")
