"""Defects of what is told: LockStatus, its counter, and answers to commands."""

from __future__ import annotations

from dataclasses import replace

from hardware.ecu.actions import Actions, Done, Permit
from hardware.ecu.build import Build
from hardware.ecu.config import LOCK_STATUS, Source
from hardware.ecu.core import Core
from hardware.ecu.locks import Door
from hardware.ecu.status import FAULTY, LOCKED, UNLOCKED, Status
from rig.protocol.e2e import COUNTERS, Sender


class LyingStatus(Status):
    """Tells what was commanded, not what moved."""

    def door_state(self, door: Door) -> int:
        commanded = door.drive or door.want
        if commanded:
            return UNLOCKED if commanded == "U" else LOCKED
        return super().door_state(door)


class StatusOfFrontLeft(Status):
    """Looks at one door and tells of four."""

    def door_state(self, door: Door) -> int:
        return super().door_state(self.core.locks.doors[0])


class FaultShown(Status):
    """Takes the front right latch for faulty where it is locked."""

    def door_state(self, door: Door) -> int:
        return FAULTY if door.index == 1 and door.feedback == "L" else super().door_state(door)


class StuckSender(Sender):
    """Sends the same counter for ever."""

    def protect(self, payload: bytes) -> bytes:
        return self.repeat(payload)

    def skip(self, frames: int) -> None:
        pass


class StuckAliveCounter(Status):
    """Its counter stands still."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._sender = StuckSender(LOCK_STATUS)
        self._sender.counter = 0


class CounterStartsAt7(Status):
    """The first frame of a life has not counter 0."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._sender.counter = (7 - 1) % COUNTERS


class SilentAfterBusOff(Status):
    """Gives its cycle up when the bus is gone at one turn of it."""

    _silent = False

    def changed(self) -> None:
        if not self._silent:
            super().changed()

    def _cyclic(self) -> None:
        self._silent = self._silent or self.core.bus_off
        if not self._silent:
            super()._cyclic()


class EarlyAnswer(Actions):
    """Answers when it has begun, not when the latches have moved."""

    def unlock(self, source: Source, permit: Permit, done: Done) -> None:
        reason = self.core.admission.refuses(source, True) or permit()
        super().unlock(source, permit, lambda _: None)
        done(reason)

    def lock(self, source: Source, permit: Permit, done: Done) -> None:
        reason = self.core.admission.refuses(source, False) or permit()
        super().lock(source, permit, lambda _: None)
        done(reason)


ALL = (
    Build(
        "lying_status",
        "reports unlocked when commanded, not when moved",
        ("STA-1", "AVL-10"),
        lambda p: replace(p, status=LyingStatus),
    ),
    Build(
        "status_of_front_left",
        "reports the front left door's state for all doors",
        ("STA-1",),
        lambda p: replace(p, status=StatusOfFrontLeft),
    ),
    Build(
        "fault_shown",
        "reports a fault of the front right door while it is locked",
        ("STA-1",),
        lambda p: replace(p, status=FaultShown),
    ),
    Build(
        "stuck_alive_counter",
        "sends LockStatus with an alive counter that stands still",
        ("STA-1",),
        lambda p: replace(p, status=StuckAliveCounter),
    ),
    Build(
        "counter_starts_at_7",
        "begins the alive counter of LockStatus with 7 after a boot",
        ("STA-1",),
        lambda p: replace(p, status=CounterStartsAt7),
    ),
    Build(
        "silent_after_bus_off",
        "sends no LockStatus any more after the CAN controller was off the bus",
        ("STA-1",),
        lambda p: replace(p, status=SilentAfterBusOff),
    ),
    Build(
        "early_answer",
        "answers that all is done before the latches have moved",
        ("AVL-10",),
        lambda p: replace(p, actions=EarlyAnswer),
    ),
)
