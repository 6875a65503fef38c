"""The internet between phone and server, and the cellular link between server and car, at `model` fidelity.

Counts the round trips that DNS, TCP, TLS 1.3 and HTTP make; carries calls, not bytes. Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rig.world.gates import Gate

if TYPE_CHECKING:
    from rig.world.world import World

PHONE_ONE_WAY_US = 25_000
"""Phone to server one way, a usual value of LTE plus internet."""
CAR_ONE_WAY_US = 40_000
"""Server to car one way over its long-lived cellular connection."""
CONNECT_ROUND_TRIPS = 3
"""DNS, TCP, TLS 1.3: one round trip each (RFC 8446 section 2)."""


class NoNetwork(Exception):
    """The phone's operating system has no network."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer: status, JSON body, and the Retry-After seconds if it has any."""

    status: int
    body: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: int = 0


class Internet:
    """Both legs, and what can happen to them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.phone_offline: Gate = Gate()
        self.car_offline: Gate = Gate()
        self.partition: Gate = Gate()
        self.latency: Gate = Gate()
        """Held with the milliseconds added to a round trip."""
        self._kept_alive = False
        self.phone_offline.watch(self._broken)
        self.partition.watch(self._broken)

    def _broken(self, _on: bool) -> None:
        self._kept_alive = False

    async def _way(self, down: bool) -> None:
        """One way between phone and server; never returns if the message gets lost."""
        kernel = self._world.kernel
        await kernel.sleep((PHONE_ONE_WAY_US + self.latency.value * 500) / 1e6)
        if self.phone_offline or (down and self.partition):
            # The message is lost; only the caller's time-out ends this.
            while True:
                await kernel.sleep(60.0)

    async def call(self, path: str, token: str, body: Mapping[str, str]) -> Response:
        """Sends one HTTPS request from the phone and waits for the answer, without a limit of its own.

        Raises:
            NoNetwork: the phone is offline at the start.
        """
        if self.phone_offline:
            raise NoNetwork("the phone has no network")
        if not self._kept_alive:
            for _ in range(CONNECT_ROUND_TRIPS):
                await self._way(down=False)
                # The partition begins mid-request: it lets connections be made and swallows answers.
                await self._way(down=False)
            self._kept_alive = True
        await self._way(down=False)
        answer = await self._world.server.handle(path, token, body)
        await self._way(down=True)
        return answer

    def drop_connection(self) -> None:
        """The phone gave a request up: its connection is of no more use."""
        self._kept_alive = False
