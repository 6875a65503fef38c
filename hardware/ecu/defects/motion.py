"""Defects at the motors: retries, doors left out, the relock, and movements that nobody asked for."""

from __future__ import annotations

from dataclasses import replace

from hardware.ecu.actions import Actions, Done, Permit
from hardware.ecu.build import Build
from hardware.ecu.config import Reason, Source
from hardware.ecu.core import Core
from hardware.ecu.locks import Door, Locks, Order
from hardware.ecu.relock import Relock
from hardware.ecu.supply import Supply


def unasked(target: str) -> Order:
    """An order that nobody gave."""
    return Order(target, Source.NONE, lambda: None, lambda _: None)


class NoMotorRetry(Locks):
    """One pulse has to do."""

    MAX_PULSES = 1


class DoubleActuation(Locks):
    """Pulses for UNLOCK whatever the latches say."""

    def needs_pulse(self, door: Door, order: Order) -> bool:
        return order.target == "U" or super().needs_pulse(door, order)


class OpensSomeDoors(Locks):
    """Takes Bluetooth for the driver's own door, and is content with it."""

    def needs_pulse(self, door: Door, order: Order) -> bool:
        left_out = order.target == "U" and order.source is Source.BLUETOOTH and door.index > 0
        return not left_out and super().needs_pulse(door, order)

    def reached(self, target: str) -> bool:
        if target == "U" and self.last_source is Source.BLUETOOTH:
            return self.doors[0].feedback == "U"
        return super().reached(target)


class HalfRelock(Locks):
    """Forgets the rear right door when it locks by itself."""

    def needs_pulse(self, door: Door, order: Order) -> bool:
        return not (order.source is Source.RELOCK and door.index == 3) and super().needs_pulse(door, order)


class ResetOpens(Locks):
    """Unlocks when it has booted."""

    def ready(self) -> None:
        self.order(unasked("U"))


class LocksAfterReset(Locks):
    """Locks when it has booted."""

    def ready(self) -> None:
        self.order(unasked("L"))


class ReopensAfterLock(Actions):
    """Takes the lock for one that closed by accident."""

    AFTER_US = 5_000_000

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._timer = core.timers.timer(lambda: core.locks.order(unasked("U")))

    def lock(self, source: Source, permit: Permit, done: Done) -> None:
        def finished(fault: Reason | None) -> None:
            if fault is None:
                self.core.timers.set(self._timer, self.core.cpu.now + self.AFTER_US)
            done(fault)

        super().lock(source, permit, finished)


class RelockTimerStays(Relock):
    """A second unlock finds the timer running and leaves it alone."""

    def unlocked(self, source: Source) -> None:
        if self._timer.at is None:
            super().unlocked(source)


class EarlyRelock(Relock):
    """25 s instead of 30."""

    RELOCK_US = 25_000_000


class LateRelock(Relock):
    """40 s instead of 30."""

    RELOCK_US = 40_000_000


class RelockForgottenAfterReset(Relock):
    """Begins with a clean slate."""

    def ready(self) -> None:
        self._forget()


class DrivesLow(Supply):
    """Refuses below 7.0 V only."""

    LOW_BELOW_MV = 7_000


ALL = (
    Build(
        "no_motor_retry",
        "gives a motor one pulse only, also when the latch did not move",
        ("ACT-1",),
        lambda p: replace(p, locks=NoMotorRetry),
    ),
    Build(
        "opens_some_doors",
        "unlocks only the front left door when asked over Bluetooth, and says that all is done",
        ("AVL-1", "AVL-2", "AVL-10"),
        lambda p: replace(p, locks=OpensSomeDoors),
    ),
    Build(
        "double_actuation",
        "pulses for UNLOCK while unlocked",
        ("SEC-5",),
        lambda p: replace(p, locks=DoubleActuation),
    ),
    Build(
        "relock_timer_stays",
        "does not count the 30 s until the relock anew after a second unlock",
        ("SAF-3", "AVL-1"),
        lambda p: replace(p, relock=RelockTimerStays),
    ),
    Build("early_relock", "locks again after 25 s", ("SAF-3",), lambda p: replace(p, relock=EarlyRelock)),
    Build("late_relock", "locks again after 40 s", ("SAF-3",), lambda p: replace(p, relock=LateRelock)),
    Build(
        "half_relock",
        "leaves the rear right door unlocked when it locks again",
        ("SAF-3",),
        lambda p: replace(p, locks=HalfRelock),
    ),
    Build(
        "relock_forgotten_after_reset",
        "does not lock again when a reset came in between",
        ("SAF-3",),
        lambda p: replace(p, relock=RelockForgottenAfterReset),
    ),
    Build("reset_opens", "unlocks after every boot", ("SEC-10",), lambda p: replace(p, locks=ResetOpens)),
    Build(
        "locks_after_reset",
        "locks after every boot",
        ("SEC-10",),
        lambda p: replace(p, locks=LocksAfterReset),
    ),
    Build(
        "reopens_after_lock",
        "unlocks again 5 s after a lock command",
        ("SEC-1", "SEC-5", "AVL-13"),
        lambda p: replace(p, actions=ReopensAfterLock),
    ),
    Build(
        "drives_low",
        "drives the motors down to 7.0 V instead of 9.0 V",
        ("SEC-10",),
        lambda p: replace(p, supply=DrivesLow),
    ),
)
