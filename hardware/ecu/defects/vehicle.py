"""Defects towards the moving, crashed or driven-away vehicle: speed, crash, authority to drive."""

from __future__ import annotations

from dataclasses import replace

from hardware.ecu.actions import Actions, Done, Permit
from hardware.ecu.admission import Admission
from hardware.ecu.build import Build
from hardware.ecu.config import SECOND_US, Reason, Source
from hardware.ecu.connections import Connection
from hardware.ecu.drive import Drive
from hardware.ecu.relock import Relock
from hardware.ecu.restbus import VehicleStateFrames
from rig.protocol.vcp import Fault


class UnlocksAtSpeed(Admission):
    """Knows no speed that is too high."""

    SPEED_LIMIT = 1 << 16


class CardRefusedAtSpeed(Admission):
    """Minds the speed for cards and the inside switch, too."""

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        too_fast = opens and self.core.speed.highest(self.core.cpu.now) > self.SPEED_LIMIT
        if too_fast and source in (Source.CARD, Source.INTERIOR):
            return Fault.INSUFFICIENT_PRIVILEGES
        return super().refuses(source, opens)


class NoCrashUnlock(Actions):
    """Notes a crash, and that is all."""

    def crash(self) -> None:
        self.core.log("crash")


class CrashOnOneFrame(VehicleStateFrames):
    """Believes the first frame that says crash."""

    CRASH_FRAMES = 1


class CrashIgnoredAsleep(VehicleStateFrames):
    """Sleeps on."""

    def frame(self, data: bytes) -> None:
        if not self.core.sleep.asleep:
            super().frame(data)


class CrashRelocks(Relock):
    """Takes a crash for somebody with a key."""

    def unlocking(self, source: Source) -> None:
        super().unlocking(Source.CARD if source is Source.CRASH else source)

    def unlocked(self, source: Source) -> None:
        super().unlocked(Source.CARD if source is Source.CRASH else source)


class DriveNeedsServer(Actions):
    """Asks for the server before it lets somebody drive."""

    def drive(
        self, source: Source, permit: Permit, done: Done, key: bytes, connection: Connection | None
    ) -> None:
        if self.core.slow_frames.online is False:
            done(Fault.INTERNAL)
        else:
            super().drive(source, permit, done, key, connection)


class DrivesOn(Drive):
    """Takes authority back only from a revoked key."""

    def connection_closed(self, connection: int) -> None:
        pass

    def _lapse(self) -> None:
        pass


class DriveAfterClose(Drive):
    """Gives a driver whose phone has gone another minute."""

    GRACE_US = 60 * SECOND_US

    def connection_closed(self, connection: int) -> None:
        key = self._connections.pop(connection, None)
        if key is not None:
            self._until[key] = max(self._until.get(key, 0), self.core.cpu.now + self.GRACE_US)
            self._arm()


class DriveSurvivesRevocation(Drive):
    """Asks for the key once."""

    def key_revoked(self, key: bytes) -> None:
        pass


ALL = (
    Build(
        "unlocks_at_speed",
        "unlocks on a phone's or the server's request at any speed",
        ("SAF-1",),
        lambda p: replace(p, admission=UnlocksAtSpeed),
    ),
    Build(
        "card_refused_at_speed",
        "unlocks neither by card nor by the inside switch above 5 km/h",
        ("SAF-1", "AVL-4"),
        lambda p: replace(p, admission=CardRefusedAtSpeed),
    ),
    Build(
        "no_crash_unlock",
        "does not unlock after a crash",
        ("SAF-2",),
        lambda p: replace(p, actions=NoCrashUnlock),
    ),
    Build(
        "crash_on_one_frame",
        "takes a single frame with the crash flag for a crash, and unlocks",
        ("SEC-1", "SAF-2"),
        lambda p: replace(p, vehicle_state=CrashOnOneFrame),
    ),
    Build(
        "crash_ignored_asleep",
        "does not unlock after a crash while it is asleep",
        ("SAF-2",),
        lambda p: replace(p, vehicle_state=CrashIgnoredAsleep),
    ),
    Build(
        "crash_relocks",
        "locks again 30 s after a crash unlocked the doors",
        ("SAF-3",),
        lambda p: replace(p, relock=CrashRelocks),
    ),
    Build(
        "drive_needs_server",
        "lets nobody drive while TelematicsState says offline",
        ("DRV-1",),
        lambda p: replace(p, actions=DriveNeedsServer),
    ),
    Build(
        "drives_on",
        "never lets the authority to drive lapse",
        ("DRV-2",),
        lambda p: replace(p, drive=DrivesOn),
    ),
    Build(
        "drive_after_close",
        "lets drive for 60 s more after the authorising Bluetooth connection has closed",
        ("DRV-2",),
        lambda p: replace(p, drive=DriveAfterClose),
    ),
    Build(
        "drive_survives_revocation",
        "lets a key drive on that has been revoked",
        ("DRV-2",),
        lambda p: replace(p, drive=DriveSurvivesRevocation),
    ),
)
