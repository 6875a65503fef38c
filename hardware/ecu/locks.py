"""Motors and latches: pulses, retries, feedback, and the orders that wait for them.

Knows nothing of who may give an order: an order brings its own `permit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hardware.ecu.config import DOORS, Reason, Source
from rig.protocol.vcp import Fault

if TYPE_CHECKING:
    from hardware.ecu.core import Core
    from hardware.ecu.timers import Timer

PULSE_US = 155_000
"""150 ms of drive flip a latch; 5 ms more, so that lines that jitter do not cut it short."""
CHECK_US = 50_000
MAX_PULSES = 3


@dataclass(slots=True, eq=False)
class Order:
    """A wish to have all doors locked ("L") or unlocked ("U").

    Attributes:
        permit: asked when the order is taken and again right before its first pulse, in case that is later.
        done: told once: None when all latches have said so, else why not.
        started: a pulse was given for it.
    """

    target: str
    source: Source
    permit: Callable[[], Reason | None]
    done: Callable[[Reason | None], None]
    started: bool = False


@dataclass(slots=True, eq=False)
class Door:
    """One door: what its latch says, what is wanted of it, and its drive.

    Attributes:
        feedback: "L", "U" or "X" (between, or not known).
        want: the target while it is being reached, else "".
        drive: direction of the drive that is on, else "".
        settling: a pulse has ended, and the latch has not yet had its 50 ms.
    """

    index: int
    name: str
    feedback: str
    timer: Timer
    want: str = ""
    drive: str = ""
    pulses: int = 0
    settling: bool = False
    fault: bool = False


class Locks:
    """The four doors.

    Attributes:
        PULSE_US: how long a drive is on.
        CHECK_US: after a pulse, until a latch that did not follow is driven again.
        MAX_PULSES: so often at most; then the door state is `fault`.
        last_source: who moved a lock last.
        last_unlock_us: the last time an order to unlock was fulfilled; at first, ready.
    """

    PULSE_US = PULSE_US
    CHECK_US = CHECK_US
    MAX_PULSES = MAX_PULSES

    def __init__(self, core: Core) -> None:
        self.core = core
        self.doors: list[Door] = []
        for index, name in enumerate(DOORS):
            timer = core.timers.timer(partial(self._timer, index))
            self.doors.append(Door(index, name, core.pins.feedback[index], timer))
        self._orders: list[Order] = []
        self.last_source = Source.NONE
        self.last_unlock_us = core.cpu.now

    def ready(self) -> None:
        """The ECU is ready. A reset never moves a lock: nothing to do."""

    @property
    def moving(self) -> bool:
        """An order is not yet finished, or a drive is on."""
        if self._orders:
            return True
        for door in self.doors:  # noqa: SIM110 (asked before every skip: a loop is twice as fast)
            if door.drive or door.settling:
                return True
        return False

    def all_are(self, state: str) -> bool:
        """All latches say `state`."""
        return all(d.feedback == state for d in self.doors)

    def order(self, order: Order) -> None:
        """Takes an order; its `done` is called now or later, exactly once."""
        refusal = order.permit()
        if refusal is not None:
            order.done(refusal)
            return
        self._supersede(order)
        self._orders.append(order)
        for door in self.doors:
            if order.target == "L" and self.core.pins.ajar[door.index]:
                continue  # A lock that closes on an open door bars it from shutting.
            if not self.needs_pulse(door, order):
                door.fault = False
                continue
            if door.want == order.target:
                continue
            door.want = order.target
            door.pulses = 0
            door.fault = False
            if not door.drive and not door.settling:
                self._pulse(door)
        self._settle()

    def needs_pulse(self, door: Door, order: Order) -> bool:
        """Whether the order has anything to do at a door: not if its latch is right and stays so."""
        return door.feedback != order.target or (door.drive not in ("", order.target))

    def feedback(self, door: Door, state: str) -> None:
        """A latch says where it is."""
        if door.feedback == state:
            return
        door.feedback = state
        door.fault = False
        core = self.core
        core.status.changed()
        core.sleep.activity()
        if door.want and state == door.want and door.drive in ("", door.want):
            door.want = ""
            if door.settling:
                door.settling = False
                core.timers.cancel(door.timer)
            self._settle()
        core.report.changed()

    def _supersede(self, order: Order) -> None:
        """The newest order counts: those to the contrary end, told that they may be repeated."""
        others = [o for o in self._orders if o.target != order.target]
        if not others:
            return
        self._orders = [o for o in self._orders if o.target == order.target]
        for door in self.doors:
            if door.want and door.want != order.target:
                door.want = ""
        for other in others:
            other.done(Fault.BUSY)

    def _pulse(self, door: Door) -> None:
        """Starts a pulse, if the order still holds at this moment."""
        order = self._authority(door.want)
        if order is None:
            return
        core = self.core
        if core.supply.low and order.source is not Source.CRASH:
            self._abandon(door.want)
            return
        order.started = True
        self.last_source = order.source
        door.drive = door.want
        door.pulses += 1
        core.cpu.emit(("io", f"M {door.name} {door.want} 1"))
        core.timers.set(door.timer, core.cpu.now + self.PULSE_US)
        self.pulse_started(door)
        core.status.changed()
        core.sleep.activity()

    def pulse_started(self, door: Door) -> None:
        """A drive was switched on."""

    def _authority(self, want: str) -> Order | None:
        """The order by which a pulse may start now: one that has begun, or one that is still permitted."""
        for order in self._orders:
            if order.source is Source.CRASH:
                return order  # Acts at a supply at which the others must not.
        for order in self._orders:
            if order.started:
                return order
        for order in list(self._orders):
            refusal = order.permit()
            if refusal is None:
                return order
            self._orders.remove(order)
            order.done(refusal)
        for door in self.doors:
            if door.want == want:
                door.want = ""
        return None

    def _abandon(self, want: str) -> None:
        """The supply is too low to go on: the locks stay as they are."""
        for door in self.doors:
            if door.want == want:
                door.want = ""
        self._settle()

    def _timer(self, index: int) -> None:
        core, door = self.core, self.doors[index]
        if door.drive:
            direction, door.drive = door.drive, ""
            core.cpu.emit(("io", f"M {door.name} {direction} 0"))
            if door.feedback != direction:
                door.settling = True
                core.timers.set(door.timer, core.cpu.now + self.CHECK_US)
                return
        door.settling = False
        self._next(door)

    def _next(self, door: Door) -> None:
        """The latch has had its time: right, once more, or faulty."""
        if door.want:
            if door.feedback == door.want:
                door.want = ""
            elif door.pulses >= self.MAX_PULSES:
                door.want = ""
                door.fault = True
                self.core.log(f"door {door.name} fault")
                self.core.status.changed()
            else:
                self._pulse(door)
        self._settle()
        self.core.report.changed()

    def reached(self, target: str) -> bool:
        """Whether an order to `target` is fulfilled: all latches say so, but for locks of doors that are ajar."""
        ajar = self.core.pins.ajar
        return all(d.feedback == target or (target == "L" and ajar[d.index]) for d in self.doors)

    def _settle(self) -> None:
        """Ends the orders once no door is wanted anywhere."""
        if not self._orders or any(d.want for d in self.doors):
            return
        orders, self._orders = self._orders, []
        target = orders[0].target
        reached = self.reached(target)
        if reached:
            self.core.log(
                f"doors {'locked' if target == 'L' else 'unlocked'} {orders[0].source.name.lower()}"
            )
            if target == "U":
                self.last_unlock_us = self.core.cpu.now
        for order in orders:
            if reached:
                order.done(None)
            else:
                # Something may have moved: BUSY asks to try again, a refusal would be untrue.
                order.done(Fault.BUSY if order.started else Fault.INTERNAL)
