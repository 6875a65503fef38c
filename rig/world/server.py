"""The maker's server: the public Fleet API's paths, tokens and status codes, and what can be wrong with it.

Carries signed commands to the car and never looks into them beyond their addresses. It checks no key: whoever is
revoked is refused by the car. Not trusted by anybody.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rig.protocol import vcp
from rig.protocol.vcp import VcpError, return_address
from rig.world.gates import Gate
from rig.world.internet import CAR_ONE_WAY_US, Response

if TYPE_CHECKING:
    from rig.world.world import World

WORK_US = 8_000
"""The server's own time for a request."""
CAR_TIMEOUT_S = 5.0
"""How long the server waits for the car before it answers 408 (Fleet API: vehicle unavailable)."""
OVERLOAD_US, MOST_OVERLOAD_US = 700_000, 12_000_000
"""What each request under overload adds to the time that all take, and how much it can become."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way to answer everything with an error."""

    status: int
    error: str


REFUSALS: Mapping[str, Refusal] = {
    "500": Refusal(500, "internal server error"),
    "502": Refusal(502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "503": Refusal(503, "service unavailable"),
    "504": Refusal(504, "upstream timed out"),
    "540": Refusal(540, "device unexpected response"),
    "429": Refusal(429, "too many requests"),
    "403": Refusal(403, "forbidden"),
    "408": Refusal(408, "vehicle unavailable: vehicle is offline or asleep"),
    "408_other": Refusal(408, "request timed out"),
    "412": Refusal(412, "the user is not associated with this vehicle"),
    "421": Refusal(421, "user out of region"),
    "422": Refusal(422, "invalid resource"),
}
"""By the last part of the mode's name; codes and words as the public Fleet API lists them."""


NO_JSON = "<html><body><h1>It works!</h1></body></html>"
"""The body of a malformed answer."""


class Server:
    """The server and what can be wrong with it; a gate for each failure."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.refuses: dict[str, Gate] = {name: Gate() for name in REFUSALS}
        """Held with the seconds of a Retry-After, 0 for none."""
        self._refusing = 0
        for gate in self.refuses.values():
            gate.watch(self._count)
        self.hang: Gate = Gate()
        self.token_refused: Gate = Gate()
        self.token_expired: Gate = Gate()
        self.token_expired.watch(self._expire)
        self.slow: Gate = Gate()
        """Held with the milliseconds that a request takes longer."""
        self.trickle: Gate = Gate()
        """Held with the milliseconds that the body of an answer takes."""
        self.truncated: Gate = Gate()
        self.malformed: Gate = Gate()
        self.error_inside: Gate = Gate()
        self.cached_online: Gate = Gate()
        self.answer_lost: Gate = Gate()
        self.wrong_vin: Gate = Gate()
        self.queue_late: Gate = Gate()
        """Held with the milliseconds after which the car gets a command, whether the client still waits or not."""
        self.queue_twice: Gate = Gate()
        self.queue_reordered: Gate = Gate()
        """Held with the milliseconds by which every other command comes late."""
        self.overload: Gate = Gate()
        self._load_us = 0
        self._generation = 0
        self._access = self._token("access")
        self._refresh = self._token("refresh")
        self._spare_refresh = ""

    def _token(self, kind: str) -> str:
        return f"{kind}-{self._generation}-{self._world.rng('server').getrandbits(64):016x}"

    def _count(self, held: bool) -> None:
        self._refusing += 1 if held else -1

    def _expire(self, held: bool) -> None:
        """The access token in use is no longer good; the refresh token is."""
        if held:
            self._access = self._token("expired")

    def sign_in(self) -> tuple[str, str]:
        """What a login by password gives: access token and refresh token."""
        return self._access, self._refresh

    @property
    def takes_reports(self) -> bool:
        """Whether a report from the car would be taken right now."""
        return not (self._refusing or self.hang)

    def _refusal(self) -> Response | None:
        """The error that everything is answered with; the gravest of several."""
        if not self._refusing:
            return None
        for name, refusal in REFUSALS.items():
            gate = self.refuses[name]
            if gate:
                return Response(refusal.status, {"error": refusal.error}, retry_after_s=gate.value)
        return None

    async def answer(self, path: str, token: str, body: Mapping[str, str]) -> Response:
        """What is answered to one request, after the time that takes; how it leaves is another thing."""
        world, kernel = self._world, self._world.kernel
        world.step("cloud.handled")
        await kernel.sleep((WORK_US + self.slow.value * 1000 + self._queue_us()) / 1e6)
        while self.hang:
            await kernel.sleep(600.0)
        response = self._refusal() or await self._answer(path, token, body)
        world.step("cloud.headers")
        while self.hang or self.answer_lost:
            await kernel.sleep(600.0)
        # What went wrong meanwhile is what the client gets to hear, whatever the car has done.
        response = self._refusal() or response
        world.step("cloud.body")
        return response

    def _queue_us(self) -> int:
        """Under overload every request makes all that follow slower: retries feed it."""
        if not self.overload:
            self._load_us = 0
            return 0
        self._load_us = min(self._load_us + OVERLOAD_US, MOST_OVERLOAD_US)
        return self._load_us

    def damaged(self, response: Response) -> Response:
        """The answer as it leaves: slowly, cut short, no JSON, or an error that calls itself a success."""
        if self.trickle:
            response = replace(response, trickle_ms=self.trickle.value)
        if response.status != 200:
            return response
        if self.error_inside:
            body = {"result": "false", "reason": "could not reach the vehicle"}
            return replace(response, body=body)
        if self.malformed:
            # A client that reads such a body finds none of the fields it looks for.
            return replace(response, body={"": NO_JSON})
        return replace(response, cut=True) if self.truncated else response

    async def _answer(self, path: str, token: str, body: Mapping[str, str]) -> Response:
        world = self._world
        if path == "/oauth2/v3/token":
            return self._refreshed(body.get("refresh_token", ""))
        if self.token_refused or token != self._access:
            return Response(401, {"error": "token expired (401)"})
        vehicle = f"/api/1/vehicles/{world.vin}"
        if path == vehicle:
            online = world.tcu.reachable or bool(self.cached_online)
            return Response(200, {"state": "online" if online else "offline"})
        if path == f"{vehicle}/wake_up":
            online = world.tcu.reachable or bool(self.cached_online)
            return Response(200, {"state": "online"}) if online else _offline()
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
        if self.wrong_vin:
            return _of_another_car(message)
        if not self._world.tcu.known_online and not self.cached_online:
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
    return Response(408, {"error": REFUSALS["408"].error})


def _of_another_car(message: bytes) -> Response:
    """What a car says that does not know the key."""
    asked = vcp.parse(message)
    routing, unknown = asked.from_destination.routing_address, int(vcp.Fault.UNKNOWN_KEY_ID)
    answer = vcp.build_response(routing=routing, uuid=asked.uuid, payload=None, fault=unknown)
    return Response(200, {"response": base64.b64encode(answer).decode()})


__all__ = ["CAR_ONE_WAY_US", "Server"]
