"""Defects that show only after a while: asleep, offline for days, in a life of weeks, in a write that was cut."""

from __future__ import annotations

from dataclasses import replace

from hardware.ecu.build import Build
from hardware.ecu.cardauth import CardAuth
from hardware.ecu.cardreader import CardReader
from hardware.ecu.config import SECOND_US
from hardware.ecu.core import Core
from hardware.ecu.defects.availability import Shut
from hardware.ecu.memory import MemoryPort, Store
from hardware.ecu.restbus import SlowFrames

DAY_US = 86_400 * SECOND_US


class SleepsWithoutBus(CardReader):
    """Lets CAN frames wake it, a card not."""

    SILENT_US = 2 * SECOND_US

    def _listed(self, payload: bytes | None) -> None:
        heard_us = self.core.vehicle_state.seen_us
        silent = heard_us is None or self.core.cpu.now - heard_us > self.SILENT_US
        if payload and payload[0] and self.core.sleep.asleep and silent:
            return
        super()._listed(payload)


class ShortClock(CardAuth):
    """Counts milliseconds in 32 bits with a sign: after 24.8 days each tap lies before the last one."""

    _last_ms = 0

    def begin(self) -> None:
        counted = (self.core.cpu.now - self.core.boot_us) // 1000 & 0xFFFF_FFFF
        now_ms = counted - (1 << 32) if counted >= 1 << 31 else counted
        if now_ms >= self._last_ms:
            self._last_ms = now_ms
            super().begin()


class ServerGrace(SlowFrames):
    """Lets the keys lapse when the TCU has not been online for 7 days."""

    GRACE_US = 7 * DAY_US

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._healthy = core.admission
        self._timer = core.timers.timer(self._lapse)
        core.timers.set(self._timer, core.cpu.now + self.GRACE_US)

    def telematics(self, data: bytes) -> None:
        super().telematics(data)
        if self.online:
            self.core.admission = self._healthy
            self.core.timers.set(self._timer, self.core.cpu.now + self.GRACE_US)

    def skip(self, delta_us: int) -> None:
        super().skip(delta_us)
        if self.online and self._timer.at is not None:
            self.core.timers.set(self._timer, self._timer.at + delta_us)

    def _lapse(self) -> None:
        self.core.admission = Shut(self.core)


class ForgetsKeyList(Store):
    """Erases both copies before it writes a changed key list."""

    def __init__(self, memory: MemoryPort) -> None:
        super().__init__(memory)
        self._written = self._list()

    def _list(self) -> list[tuple[bytes, int, bool]]:
        return [(key.public, key.role, key.enabled) for key in self.image.keys]

    def commit(self) -> None:
        if self._list() != self._written and not self.damaged:
            for slot in (0, 1):
                self._memory.write(slot, bytes(4))
        super().commit()
        self._written = self._list()


ALL = (
    Build(
        "needs_bus_to_card_after_sleep",
        "does not see cards while it is asleep and the body CAN is silent",
        ("AVL-4",),
        lambda p: replace(p, reader=SleepsWithoutBus),
    ),
    Build(
        "ignores_card_after_30_days",
        "ignores cards after 24.8 days without a reset: its 32-bit clock of milliseconds has turned negative",
        ("AVL-9",),
        lambda p: replace(p, card_auth=ShortClock),
    ),
    Build(
        "server_grace",
        "honours no key when TelematicsState has not said online for 7 days",
        ("AVL-9",),
        lambda p: replace(p, slow_frames=ServerGrace),
    ),
    Build(
        "forgets_key_list",
        "has no keys any more when the power is cut while it writes a changed key list",
        ("AVL-8",),
        lambda p: replace(p, store=ForgetsKeyList),
    ),
)
