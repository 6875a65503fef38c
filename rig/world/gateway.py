"""The central gateway: VehicleState every 100 ms, and the place where idle cycles are skipped.

Restbus simulation of the one sender whose frames the DUT's decisions rest on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.protocol.e2e import Sender

if TYPE_CHECKING:
    from rig.world.world import World

PERIOD_US = 100_000


class Gateway:
    """Sends VehicleState; holds what it says."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._codec = world.codecs["VehicleState"]
        self._sender = Sender(self._codec.can_id)
        self._node = world.edges.bus.node("gateway", _nobody, frozenset())
        self.speed_kmh = 0.0
        self.crash = False
        self.power_mode = 0
        self._said: tuple[float, bool, int, int] | None = None
        self._payload = b""

    def start(self) -> None:
        """Begins the cycle."""
        self._world.kernel.cyclic(self._world.kernel.now + PERIOD_US, self._cycle)

    def skip(self, delta_us: int) -> None:
        """Advances the alive counter as if the cycle had gone on for that long."""
        self._sender.skip(delta_us // PERIOD_US)

    def _cycle(self) -> None:
        kernel = self._world.kernel
        supply_mv = self._world.plant.supply_mv
        said = (self.speed_kmh, self.crash, self.power_mode, supply_mv)
        if said == self._said:
            skipped_us = self._world.skip_idle(PERIOD_US)
            if skipped_us:
                kernel.cyclic(kernel.now + skipped_us, self._cycle)
                return
        else:
            # What is new is told before anything is skipped.
            self._said = said
            self._payload = self._codec.encode(
                {
                    "PowerMode": self.power_mode,
                    "Speed": round(self.speed_kmh * 10),
                    "Crash": int(self.crash),
                    "Supply_mV": min(supply_mv, 0xFFFF),
                }
            )
        self._node.send(self._codec.can_id, self._sender.protect(self._payload))
        kernel.cyclic(kernel.now + PERIOD_US, self._cycle)


def _nobody(_can_id: int, _data: bytes) -> None:
    """The gateway hears nothing."""
