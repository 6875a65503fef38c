"""The other ECUs' frames: vehicle state, what TCU and Bluetooth module say, the inside switch.

All are E2E-checked; decoding is cached by bytes.

Knows nothing of credentials.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hardware.ecu.config import (
    BLUETOOTH_STATE,
    INTERIOR_SWITCH,
    SECOND_US,
    TELEMATICS_STATE,
    VEHICLE_STATE,
    Reason,
    Source,
)
from rig.protocol.dbc import MessageCodec
from rig.protocol.e2e import Receiver

if TYPE_CHECKING:
    from hardware.ecu.core import Core

FRESH_US = 500_000
REMEMBERED_US = 60 * SECOND_US
VEHICLE_STATE_CYCLE_US = 100_000
SLOW_CYCLE_US = 1_000_000
CRASH_FRAMES = 2
SWITCH_BURST_US = 150_000
"""A press is sent 3 times, 20 ms apart; frames closer than this to the one before are the same press."""

_CACHE_LIMIT = 512


def decoded(cache: dict[bytes, dict[str, int]], codec: MessageCodec, data: bytes) -> dict[str, int]:
    """The signals of a frame; the restbus repeats itself, so they are remembered."""
    values = cache.get(data)
    if values is None:
        if len(cache) >= _CACHE_LIMIT:
            cache.clear()
        values = cache[data] = codec.decode(data)
    return values


class Speed:
    """How fast the vehicle is, as far as valid frames tell, in 0.1 km/h."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int]] = deque()
        self._last = (0, -REMEMBERED_US)

    def told(self, now_us: int, speed: int) -> None:
        """A valid frame said so."""
        recent = self._recent
        # Only the latest time of a speed matters for the highest of the window.
        if recent and recent[-1][0] == speed:
            recent[-1] = (speed, now_us)
        else:
            recent.append((speed, now_us))
            while recent[0][1] < now_us - FRESH_US:
                recent.popleft()
        self._last = (speed, now_us)

    def highest(self, now_us: int) -> int:
        """The highest of the last 500 ms; with none, the last for 60 s; then 0."""
        fresh = [s for s, t in self._recent if t >= now_us - FRESH_US]
        if fresh:
            return max(fresh)
        speed, at_us = self._last
        return speed if at_us >= now_us - REMEMBERED_US else 0

    def skip(self, delta_us: int) -> None:
        """Frames like the last went on for that long."""
        speed, at_us = self._last
        if self._recent:
            self._recent[-1] = (speed, at_us + delta_us)
        self._last = (speed, at_us + delta_us)


class VehicleStateFrames:
    """Reads 0x1B0: speed, crash, power mode.

    Attributes:
        CRASH_FRAMES: consecutive valid frames with the crash flag make a crash.
        power_on: power mode of the last valid frame.
        seen_us: when that was.
    """

    CRASH_FRAMES = CRASH_FRAMES

    def __init__(self, core: Core) -> None:
        self.core = core
        self._rx = Receiver(VEHICLE_STATE)
        self._codec = core.codecs["VehicleState"]
        self._cache = core.decoded[VEHICLE_STATE]
        self._crash_frames = 0
        self.power_on = False
        self.seen_us: int | None = None

    def frame(self, data: bytes) -> None:
        """A frame came in."""
        core = self.core
        now = core.cpu.now
        if not self._rx.accept(now, data):
            return
        values = decoded(self._cache, self._codec, data)
        core.speed.told(now, values["Speed"])
        before = self.seen_us
        self.seen_us = now
        self.power_on = values["PowerMode"] != 0
        if self.power_on:
            core.sleep.keep_awake()
        if values["Crash"]:
            core.sleep.activity()
            if before is None or now - before > FRESH_US:
                self._crash_frames = 0
            self._crash_frames += 1
            if self._crash_frames == self.CRASH_FRAMES:
                core.actions.crash()
        else:
            self._crash_frames = 0

    def skip(self, delta_us: int) -> None:
        """Idle cycles are left out; a sender that was alive went on."""
        if self.seen_us is not None and self.core.cpu.now - self.seen_us < 2 * VEHICLE_STATE_CYCLE_US:
            self.seen_us += delta_us
            self.core.speed.skip(delta_us)
            self._rx.skip(delta_us // VEHICLE_STATE_CYCLE_US, delta_us)


class SlowFrames:
    """Reads 0x1C0 and 0x1D0. Nothing that opens a door rests on them.

    Attributes:
        online: what the TCU said last; None: nothing yet.
        connections: Bluetooth connections in use, as the module said last.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._rx = {TELEMATICS_STATE: Receiver(TELEMATICS_STATE), BLUETOOTH_STATE: Receiver(BLUETOOTH_STATE)}
        self.online: bool | None = None
        self.connections = 0

    def telematics(self, data: bytes) -> None:
        """A TelematicsState frame came in."""
        core = self.core
        if self._rx[TELEMATICS_STATE].accept(core.cpu.now, data):
            codec = core.codecs["TelematicsState"]
            self.online = decoded(core.decoded[TELEMATICS_STATE], codec, data)["Online"] != 0

    def bluetooth(self, data: bytes) -> None:
        """A BluetoothState frame came in."""
        core = self.core
        if self._rx[BLUETOOTH_STATE].accept(core.cpu.now, data):
            codec = core.codecs["BluetoothState"]
            self.connections = decoded(core.decoded[BLUETOOTH_STATE], codec, data)["Connections"]

    def skip(self, delta_us: int) -> None:
        """Idle cycles are left out; senders that were alive went on."""
        now = self.core.cpu.now
        for receiver in self._rx.values():
            last = receiver.last_valid_us
            if last is not None and now - last < 2 * SLOW_CYCLE_US:
                # Of a cycle that is longer than what is skipped, a frame may or may not have come.
                frames = (now + delta_us - last) // SLOW_CYCLE_US
                receiver.skip(frames, frames * SLOW_CYCLE_US)


class InteriorSwitch:
    """Reads 0x1E0: lock and unlock from inside. Ignores speed."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._rx = Receiver(INTERIOR_SWITCH)
        self._codec = core.codecs["InteriorSwitch"]
        self._press = 0
        self._frame_us: int | None = None

    def valid(self, data: bytes) -> bool:
        """Whether a frame passes E2E."""
        return self._rx.accept(self.core.cpu.now, data)

    def frame(self, data: bytes) -> None:
        """A frame came in."""
        core = self.core
        now = core.cpu.now
        if not self.valid(data):
            return
        core.sleep.activity()
        request = self._codec.decode(data)["Request"]
        repeated = (
            request == self._press and self._frame_us is not None and now - self._frame_us < SWITCH_BURST_US
        )
        self._press, self._frame_us = request, now
        if repeated:
            return
        if request == 1:
            core.actions.lock(Source.INTERIOR, _always, core.actions.ignored)
        elif request == 2:
            core.actions.unlock(Source.INTERIOR, _always, core.actions.ignored)


def _always() -> Reason | None:
    """The switch is inside: who presses it is in already."""
    return None
