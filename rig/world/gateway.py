"""The central gateway: VehicleState every 100 ms, the inside switch, and the place where idle cycles are skipped.

Restbus simulation of the one sender whose frames the DUT's decisions rest on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.protocol.e2e import Sender
from rig.world.gates import Gate

if TYPE_CHECKING:
    from rig.world.world import World

PERIOD_US = 100_000
MISSED_CYCLES = 3
PRESS_FRAMES = 3
PRESS_GAP_US = 20_000
"""A press of the inside switch is sent 3 times, 20 ms apart (vehicle.md section 1)."""
REQUESTS = {"lock": 1, "unlock": 2}


class Gateway:
    """Sends VehicleState; holds what it says.

    Attributes:
        speed: held while the vehicle drives; the value is in 0.1 km/h.
        contradicted: held while every other frame says that it stands.
        power: held while the power mode is on; driving means that it is.
        silent: held while the gateway sends nothing.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._codec = world.codecs["VehicleState"]
        self._sender = Sender(self._codec.can_id)
        self._switch = world.codecs["InteriorSwitch"]
        self._presses = Sender(self._switch.can_id)
        self._node = world.can.node("gateway", _nobody, frozenset())
        self.speed: Gate = Gate()
        self.contradicted: Gate = Gate()
        self.power: Gate = Gate()
        self.silent: Gate = Gate()
        self._crash_frames = 0
        self._even = False
        self._silent_cycles = 0
        self._said: tuple[int, bool, bool, int] = (-1, False, False, 0)
        self._payload = b""

    def start(self) -> None:
        """Begins the cycle."""
        self._world.kernel.cyclic(self._world.kernel.now + PERIOD_US, self._cycle)

    def skip(self, delta_us: int) -> None:
        """Advances the alive counter as if the cycle had gone on for that long."""
        if not self.silent:
            self._sender.skip(delta_us // PERIOD_US)

    def crash(self, frames: int) -> Callable[[], None]:
        """Has the next `frames` frames carry the crash flag; the function returned ends that early."""
        self._crash_frames = frames

        def release() -> None:
            self._crash_frames = 0

        return release

    def press(self, request: str) -> None:
        """The inside switch is pressed.

        Args:
            request: "lock" or "unlock".
        """
        world = self._world
        world.log("interior", request)
        payload = self._switch.encode({"Request": REQUESTS[request]})
        for number in range(PRESS_FRAMES):
            world.kernel.after(number * PRESS_GAP_US, self._press, payload)

    def _press(self, payload: bytes) -> None:
        self._node.send(self._switch.can_id, self._presses.protect(payload))

    def _cycle(self) -> None:
        kernel = self._world.kernel
        speed = self.speed.value if self.speed else 0
        if self.contradicted:
            self._even = not self._even
            if self._even:
                speed = self.contradicted.value
        said = (speed, self._crash_frames > 0, bool(self.speed or self.power), self._world.plant.supply_mv)
        self._silent_cycles = self._silent_cycles + 1 if self.silent else 0
        # A silence is missed by all before anything is skipped.
        dull = self._silent_cycles > MISSED_CYCLES if self.silent else said == self._said
        if dull and not self._crash_frames:
            skipped_us = self._world.skip_idle(PERIOD_US)
            if skipped_us:
                kernel.cyclic(kernel.now + skipped_us, self._cycle)
                return
        if not self.silent:
            if said != self._said:
                # What is new is told before anything is skipped.
                self._news(said)
            if self._crash_frames:
                self._crash_frames -= 1
            self._node.send(self._codec.can_id, self._sender.protect(self._payload))
        kernel.cyclic(kernel.now + PERIOD_US, self._cycle)

    def _news(self, said: tuple[int, bool, bool, int]) -> None:
        speed, crash, power, supply_mv = said
        before, self._said = self._said, said
        if before[0] >= 0:
            if speed != before[0]:
                self._world.log("speed", speed)
            if crash != before[1]:
                self._world.log("crash", int(crash))
        self._payload = self._codec.encode(
            {"PowerMode": int(power), "Speed": speed, "Crash": int(crash), "Supply_mV": min(supply_mv, 0xFFFF)}
        )


def _nobody(_can_id: int, _data: bytes) -> None:
    """The gateway hears nothing."""
