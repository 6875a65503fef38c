"""Defects of lifetime and counter: old, spent and long-lived commands that are taken after all."""

from __future__ import annotations

from dataclasses import replace

from hardware.ecu.access import Access, Asked
from hardware.ecu.actions import Actions, Done, Permit
from hardware.ecu.build import Build
from hardware.ecu.config import CREDENTIALS, TELEMATICS_STATE, Reason, Source
from hardware.ecu.core import Core
from hardware.ecu.freshness import Freshness
from hardware.ecu.memory import KeyRecord
from hardware.ecu.restbus import SlowFrames, decoded
from rig.protocol import vcp
from rig.protocol.vcp import Fault


class NoCounter(Freshness):
    """Takes any counter."""

    def counter(self, key: KeyRecord, counter: int) -> Fault | None:
        super().counter(key, counter)
        return None


class NoExpiry(Freshness):
    """Takes any lifetime."""

    def expired(self, expires_at: int) -> Fault | None:
        return None

    def lifetime(self, expires_at: int) -> Fault | None:
        return None


class ExecutesLate(Freshness):
    """Is generous with clocks."""

    GRACE_S = 20

    def expired(self, expires_at: int) -> Fault | None:
        return super().expired(expires_at + self.GRACE_S if expires_at else 0)


class LongLifetimes(Freshness):
    """45 s instead of 31."""

    LONGEST_S = 45


class WallClock(Freshness):
    """Goes by the clock of TelematicsState once it has seen it."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._ahead_s: int | None = None
        self._utc_s = 0

    def told(self, utc_s: int) -> None:
        """The TCU says how late it is."""
        if self._ahead_s is None:
            self._ahead_s = utc_s - super().clock_s
        self._utc_s = utc_s

    @property
    def clock_s(self) -> int:
        return super().clock_s if self._ahead_s is None else max(0, self._utc_s - self._ahead_s)


class TrustsWallClock(SlowFrames):
    """Sets the ECU's clock by the TCU's."""

    def telematics(self, data: bytes) -> None:
        super().telematics(data)
        core = self.core
        if self._rx[TELEMATICS_STATE].last_valid_us != core.cpu.now:
            return
        utc_s = decoded(core.decoded[TELEMATICS_STATE], core.codecs["TelematicsState"], data)["UtcSeconds"]
        if not isinstance(core.freshness, WallClock):
            core.freshness = WallClock(core)
        if utc_s:
            core.freshness.told(utc_s)


class TakesExpiredLock(Access):
    """Thinks that locking late does no harm."""

    def _authentic(self, asked: Asked, plaintext: bytes) -> None:
        if plaintext == vcp.action_payload(vcp.LOCK):
            fresh = replace(asked.command, expires_at=self.core.freshness.clock_s + 1)
            asked = replace(asked, command=fresh)
        super()._authentic(asked, plaintext)


class LateQueue(Actions):
    """Keeps an unlock for which the supply is too low, and asks nothing more when it has come back."""

    LOOK_US = 100_000

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._kept: Source | None = None
        self._timer = core.timers.timer(self._look)

    def unlock(self, source: Source, permit: Permit, done: Done) -> None:
        if self.core.supply.low and source in CREDENTIALS and permit() is None:
            self._kept = source
            self.core.timers.set(self._timer, self.core.cpu.now + self.LOOK_US)
        super().unlock(source, permit, done)

    def _look(self) -> None:
        if self.core.supply.low:
            self.core.timers.set(self._timer, self.core.cpu.now + self.LOOK_US)
        elif self._kept is not None:
            super().unlock(self._kept, lambda: None, self.ignored)
            self._kept = None


def forget_counters(core: Core) -> None:
    """All counters of all keys are as new."""
    for key in core.store.image.keys:
        key.counter = 0
    core.store.commit()


class ReplayAfterLock(Actions):
    """Begins a new story when the doors were locked."""

    def lock(self, source: Source, permit: Permit, done: Done) -> None:
        def finished(fault: Reason | None) -> None:
            if fault is None:
                forget_counters(self.core)
            done(fault)

        super().lock(source, permit, finished)


class ResyncRewinds(Access):
    """Resynchronises itself with the client, not the client with itself."""

    def _resynchronise(self, asked: Asked, fault: Fault) -> None:
        if fault is Fault.INVALID_TOKEN_OR_COUNTER and asked.command.counter:
            asked.key.counter = min(asked.key.counter, asked.command.counter - 1)
        super()._resynchronise(asked, fault)


ALL = (
    Build("no_counter", "takes any command counter", ("SEC-2",), lambda p: replace(p, freshness=NoCounter)),
    Build(
        "no_expiry",
        "takes any lifetime, also one that is over",
        ("SEC-3", "SEC-4"),
        lambda p: replace(p, freshness=NoExpiry),
    ),
    Build(
        "executes_late",
        "takes commands until 20 s after their expiry",
        ("SEC-3", "SEC-4"),
        lambda p: replace(p, freshness=ExecutesLate),
    ),
    Build(
        "long_lifetimes",
        "takes commands that are valid for 45 s",
        ("SEC-3",),
        lambda p: replace(p, freshness=LongLifetimes),
    ),
    Build(
        "trusts_wall_clock",
        "judges expiry by the clock of TelematicsState",
        ("SEC-3", "SEC-4"),
        lambda p: replace(p, slow_frames=TrustsWallClock),
    ),
    Build(
        "takes_expired_lock",
        "takes lock commands after their expiry",
        ("SEC-3", "SEC-4"),
        lambda p: replace(p, access=TakesExpiredLock),
    ),
    Build(
        "late_queue",
        "keeps an unlock that it refused below 9 V, and does it when the supply is back, however late",
        ("SEC-4", "SEC-10"),
        lambda p: replace(p, actions=LateQueue),
    ),
    Build(
        "replay_after_lock",
        "forgets the keys' counters when the doors were locked on request",
        ("SEC-2",),
        lambda p: replace(p, actions=ReplayAfterLock),
    ),
    Build(
        "resync_rewinds",
        "goes back to the counter of a command that it refused as spent, and takes it the second time",
        ("SEC-9", "SEC-2"),
        lambda p: replace(p, access=ResyncRewinds),
    ),
)
