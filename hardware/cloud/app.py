"""The maker's server as an aiohttp application: the Fleet API's paths, and the line of the telematics unit.

What is answered is decided by `rig.world.server`; here it becomes HTTP, with everything that can be wrong with that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Protocol

from aiohttp import WSMsgType, web

from rig.world.internet import KEEP_ALIVE_US, TRICKLES, Response
from rig.world.server import NO_JSON
from rig.world.tcu import UTC_AT_START

if TYPE_CHECKING:
    from hardware.bridge import Bridge
    from rig.world.world import World

KEEP_ALIVE_S = KEEP_ALIVE_US / 1e6
"""How long the server keeps a connection on which nothing is asked."""
TCU_PATH = "/tcu/{vin}"


class CarLine(Protocol):
    """What the server's end of the telematics unit's line tells."""

    def connected(self, line: web.WebSocketResponse) -> None:
        """The unit has called in."""

    def disconnected(self, line: web.WebSocketResponse) -> None:
        """The line is gone, or the server has noticed that it was."""

    def from_car(self, data: bytes) -> None:
        """The unit says something."""


class CloudApp:
    """The application, for one world.

    Args:
        world: whose server decides.
        bridge: to its kernel.
        car: told of the telematics unit's line.
    """

    def __init__(self, world: World, bridge: Bridge, car: CarLine) -> None:
        self._world = world
        self._bridge = bridge
        self._car = car
        self.app = web.Application(client_max_size=64 * 1024)
        self.app.router.add_get(TCU_PATH, self._line)
        self.app.router.add_route("*", "/{path:.*}", self._api)
        self._runner = web.AppRunner(
            self.app, access_log=None, handle_signals=False, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=0.5
        )

    async def start(self) -> web.Server:
        """Makes it ready; returns the factory of its protocol, one a connection."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        return server

    async def stop(self) -> None:
        """Closes all connections."""
        await self._runner.cleanup()

    # -- the phone's side --------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.StreamResponse:
        body = await _fields(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self._note("request", f"{request.method} {request.path}", json.dumps(body, sort_keys=True))
        answer = await self._bridge.actor(
            self._world.server.answer(request.path, token, body), "server request"
        )
        return await self._send(request, answer)

    async def _send(self, request: web.Request, response: Response) -> web.StreamResponse:
        server = self._world.server
        response = server.damaged(response)
        text, kind = rendered(response)
        data = text.encode()
        headers = {"Content-Type": kind, "Date": self._date(), "Content-Length": str(len(data))}
        if response.retry_after_s:
            headers["Retry-After"] = str(response.retry_after_s)
        self._note("response", str(response.status), text)
        trickle_s = response.trickle_ms / 1e3
        if not trickle_s and not response.cut:
            return web.Response(status=response.status, body=data, headers=headers)
        stream = web.StreamResponse(status=response.status, headers=headers)
        # Whoever hangs up in the middle of it does not hear the rest.
        with contextlib.suppress(ConnectionError):
            await stream.prepare(request)
            if response.cut:
                await asyncio.sleep(trickle_s)
                await stream.write(data[: len(data) // 2])
                if request.transport is not None:
                    request.transport.close()
                return stream
            size = -(-len(data) // TRICKLES)
            for piece in (data[place : place + size] for place in range(0, len(data), size)):
                await asyncio.sleep(trickle_s / -(-len(data) // size))
                await stream.write(piece)
        return stream

    # -- the car's side ----------------------------------------------------------------------------

    async def _line(self, request: web.Request) -> web.StreamResponse:
        line = web.WebSocketResponse(autoping=True, compress=False, timeout=1.0)
        line.headers["Date"] = self._date()
        await line.prepare(request)
        self._note("line", "up", "")
        self._car.connected(line)
        try:
            async for message in line:
                if message.type is WSMsgType.BINARY:
                    self._car.from_car(message.data)
        finally:
            self._note("line", "down", "")
            self._car.disconnected(line)
        return line

    def _date(self) -> str:
        """The scenario's calendar: the wall clock would differ from run to run."""
        now = UTC_AT_START + self._world.kernel.now // 1_000_000
        return format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)

    def _note(self, what: str, which: str, body: str) -> None:
        """One HTTP event, for the trace."""
        if not self._bridge.over:
            self._world.log("http", "server", what, which, hashlib.sha256(body.encode()).hexdigest()[:16])


def rendered(response: Response) -> tuple[str, str]:
    """The body's text and its content type."""
    body = response.body
    plain = body.get("", "") or body.get("error", "")
    if plain.startswith("<html"):
        return plain, "text/html"
    wrapped: Mapping[str, object] = {"response": dict(body)} if "state" in body else body
    return json.dumps(wrapped), "application/json"


def read_fields(text: str) -> dict[str, str]:
    """The fields of an answer's body; what cannot be read stands under the empty name."""
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if isinstance(fields, dict) and isinstance(fields.get("response"), dict):
        fields = fields["response"]
    if not isinstance(fields, dict):
        return {"": text[: len(NO_JSON)]}
    return {str(name): str(value) for name, value in fields.items()}


async def _fields(request: web.Request) -> dict[str, str]:
    """What a request carries, as JSON or as a form; nothing if it cannot be read."""
    if request.content_type == "application/x-www-form-urlencoded":
        return {str(name): str(value) for name, value in (await request.post()).items()}
    try:
        fields = json.loads(await request.text() or "{}")
    except (ValueError, UnicodeDecodeError):
        return {}
    return {str(name): str(value) for name, value in fields.items()} if isinstance(fields, dict) else {}
