"""LockStatus on the body CAN: the truth about the latches, every 100 ms and soon after a change.

Frames are cached per content and alive counter, so that an idle cycle costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.ecu.config import DOORS, LOCK_STATUS, Reason
from hardware.ecu.locks import Door
from rig.protocol.e2e import Sender
from rig.protocol.vcp import Fault

if TYPE_CHECKING:
    from hardware.ecu.core import Core

CYCLE_US = 100_000
GATHER_US = 3_000
"""Changes within this time share one extra frame; well below the 20 ms that it may take."""

LOCKED, UNLOCKED, MOVING, FAULTY = 0, 1, 2, 3
Content = tuple[tuple[int, ...], int, bool, int, int]
_BY_FEEDBACK = {"L": LOCKED, "U": UNLOCKED, "X": MOVING}


class Status:
    """The cyclic frame, and an extra one with the same counter after feedback changes.

    Attributes:
        CYCLE_US: of the cyclic frame; 90 to 110 ms are legal.
        GATHER_US: until an extra frame; below the 20 ms that it may take.
        last_refusal: why something was refused last.
    """

    CYCLE_US = CYCLE_US
    GATHER_US = GATHER_US

    def __init__(self, core: Core) -> None:
        self.core = core
        self._codec = core.codecs["LockStatus"]
        self._sender = Sender(LOCK_STATUS)
        self._cycle = core.timers.timer(self._cyclic, self.CYCLE_US)
        self._extra = core.timers.timer(self._extraordinary)
        self._payloads = core.status_payloads
        self._said: Content | None = None
        self.last_refusal: Reason = Fault.NONE

    def ready(self) -> None:
        """Begins the cycle."""
        self.core.timers.set(self._cycle, self.core.cpu.now)

    def refused(self, fault: Reason) -> None:
        """Something was refused."""
        self.last_refusal = fault

    def changed(self) -> None:
        """A latch's feedback changed."""
        if self._extra.at is None and not self.core.sleep.asleep:
            self.core.timers.set(self._extra, self.core.cpu.now + self.GATHER_US)

    def unheard(self) -> None:
        """The bus is back: what was said before it went counts no more."""
        self._said = None

    def pause(self) -> None:
        """Asleep: no frames."""
        self.core.timers.cancel(self._cycle)
        self.core.timers.cancel(self._extra)

    def resume(self) -> None:
        """Awake again: at once, then in a new cycle."""
        self.core.timers.set(self._cycle, self.core.cpu.now)

    def skip(self, delta_us: int) -> None:
        """That much time of idle cycles is left out: the alive counter goes on."""
        if self._cycle.at is not None and not self.core.bus_off:
            self._sender.skip(delta_us // self.CYCLE_US)

    def door_state(self, door: Door) -> int:
        """What is told of a door."""
        return FAULTY if door.fault else _BY_FEEDBACK[door.feedback]

    @property
    def news(self) -> bool:
        """What the next frame of the cycle will say has not been said yet: no cycle may be left out before."""
        return self._cycle.at is not None and not self.core.bus_off and self._content() != self._said

    def _content(self) -> Content:
        core = self.core
        locks = core.locks
        doors = tuple([self.door_state(d) for d in locks.doors])
        return (doors, core.pins.ajar_bits, core.drive.authorised, locks.last_source, self.last_refusal)

    def _payload(self) -> bytes:
        content = self._said = self._content()
        doors = content[0]
        payload = self._payloads.get(content)
        if payload is None:
            values = {"DriveAuthorised": int(content[2]), "LastSource": int(content[3])}
            values["LastRefusal"] = int(content[4])
            for index, name in enumerate(DOORS):
                values[f"Door_{name}"] = doors[index]
                values[f"Ajar_{name}"] = content[1] >> index & 1
            payload = self._payloads[content] = self._codec.encode(values)
        return payload

    def _cyclic(self) -> None:
        core = self.core
        if not core.bus_off:
            core.cpu.emit(("can", LOCK_STATUS, self._sender.protect(self._payload())))
        core.timers.again(self._cycle, core.cpu.now)

    def _extraordinary(self) -> None:
        core = self.core
        if not core.bus_off:
            core.cpu.emit(("can", LOCK_STATUS, self._sender.repeat(self._payload())))
