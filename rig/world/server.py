"""The maker's server: accounts, rotating tokens, the public Fleet API's paths and status codes.

Carries signed commands to the car and never looks into them beyond their addresses. Not trusted by anybody.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rig.protocol.vcp import VcpError, return_address
from rig.world.gates import Gate
from rig.world.internet import CAR_ONE_WAY_US, Response

if TYPE_CHECKING:
    from rig.world.world import World

WORK_US = 8_000
"""The server's own time for a request."""
CAR_TIMEOUT_S = 5.0
"""How long the server waits for the car before it answers 408 (Fleet API: vehicle unavailable)."""


class Server:
    """The server and what can be wrong with it; a gate for each failure."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.error_500: Gate = Gate()
        self.error_503: Gate = Gate()
        self.error_429: Gate = Gate()
        """Held with the seconds of its Retry-After."""
        self.hang: Gate = Gate()
        self.token_refused: Gate = Gate()
        self._generation = 0
        self._access = self._token("access")
        self._refresh = self._token("refresh")
        self._spare_refresh = ""

    def _token(self, kind: str) -> str:
        return f"{kind}-{self._generation}-{self._world.rng('server').getrandbits(64):016x}"

    def sign_in(self) -> tuple[str, str]:
        """What a login by password gives: access token and refresh token."""
        return self._access, self._refresh

    @property
    def takes_reports(self) -> bool:
        """Whether a report from the car would be taken right now."""
        return not (self.error_500 or self.error_503 or self.error_429 or self.hang)

    async def handle(self, path: str, token: str, body: Mapping[str, str]) -> Response:
        """Answers one request, after the time that takes."""
        kernel = self._world.kernel
        await kernel.sleep(WORK_US / 1e6)
        while self.hang:
            await kernel.sleep(600.0)
        if self.error_500:
            return Response(500, {"error": "internal server error"})
        if self.error_503:
            return Response(503, {"error": "service unavailable"})
        if self.error_429:
            return Response(429, {"error": "too many requests"}, retry_after_s=self.error_429.value)
        if path == "/oauth2/v3/token":
            return self._refreshed(body.get("refresh_token", ""))
        if self.token_refused or token != self._access:
            return Response(401, {"error": "token expired (401)"})
        vehicle = f"/api/1/vehicles/{self._world.vin}"
        if path == vehicle:
            return Response(200, {"state": "online" if self._world.tcu.reachable else "offline"})
        if path == f"{vehicle}/wake_up":
            return Response(200, {"state": "online"}) if self._world.tcu.reachable else _offline()
        if path in (f"{vehicle}/command/door_unlock", f"{vehicle}/command/door_lock"):
            return Response(403, {"error": "this vehicle takes signed commands only"})
        if path == f"{vehicle}/signed_command":
            return await self._signed(body)
        return Response(412 if path.startswith("/api/1/vehicles/") else 404, {"error": "not found"})

    def _refreshed(self, refresh: str) -> Response:
        """Rotates the tokens; the predecessor works again until its successor is first used."""
        if self.token_refused or refresh not in (self._refresh, self._spare_refresh) or not refresh:
            return Response(401, {"error": "login_required"})
        if refresh == self._refresh:
            self._spare_refresh = refresh
            self._generation += 1
            self._access, self._refresh = self._token("access"), self._token("refresh")
        return Response(200, {"access_token": self._access, "refresh_token": self._refresh})

    async def _signed(self, body: Mapping[str, str]) -> Response:
        try:
            message = base64.b64decode(body.get("routable_message", ""), validate=True)
        except binascii.Error:
            return Response(422, {"error": "routable_message is not base64"})
        try:
            addressed = bool(return_address(message, of_answer=False))
        except VcpError:
            addressed = False
        if not addressed:
            return Response(422, {"error": "routable_message is missing or no message with a return address"})
        if not self._world.tcu.known_online:
            return _offline()
        answer = await self._world.tcu.ask(message, CAR_TIMEOUT_S)
        if answer is None:
            return _offline()
        return Response(200, {"response": base64.b64encode(answer).decode()})

    async def report(self, _report: bytes) -> bool:
        """A report from the car arrives; True if it was taken."""
        await self._world.kernel.sleep(WORK_US / 1e6)
        return self.takes_reports


def _offline() -> Response:
    return Response(408, {"error": "vehicle unavailable: vehicle is offline or asleep"})


__all__ = ["CAR_ONE_WAY_US", "Server"]
