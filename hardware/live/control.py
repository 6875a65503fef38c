"""The control endpoint of a live vehicle: a little HTTP on loopback, for scripts that test clients.

    GET /state                     everything at a glance, as JSON
    GET /modes                     what can fail, and its parameters
    GET /events?since=N            the latest events, from number N on
    GET /ca.pem                    the authority that clients must trust
    POST /faults/MODE              a failure begins; a JSON object in the body gives parameters
    DELETE /faults/MODE, /faults   one failure ends, or all
    POST /command                  any command of the console, as plain text
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from hardware.cloud.proxy import LOOPBACK
from hardware.live.commands import CommandError, execute
from rig.faults import CATALOGUE
from rig.ports import Unsupported
from rig.scenario import ScenarioError

if TYPE_CHECKING:
    from hardware.live.vehicle import LiveVehicle

HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names under which a browser may ask: no page of elsewhere gets here by a name that leads to loopback."""


class Control:
    """The endpoint of one vehicle.

        async with Control(vehicle, port=8081) as control: print(control.url)
    """

    def __init__(self, vehicle: LiveVehicle, port: int = 0) -> None:
        self._vehicle = vehicle
        self._port = port
        self.url = ""
        app = web.Application(middlewares=[_only_loopback, _words])
        app.router.add_get("/", self._help)
        app.router.add_get("/state", self._state)
        app.router.add_get("/modes", self._modes)
        app.router.add_get("/events", self._events)
        app.router.add_get("/ca.pem", self._ca)
        app.router.add_post("/faults/{mode}", self._fail)
        app.router.add_delete("/faults/{mode}", self._heal)
        app.router.add_delete("/faults", self._heal)
        app.router.add_post("/command", self._command)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)

    async def __aenter__(self) -> Control:
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self._port)
        await site.start()
        self.url = f"http://{LOOPBACK}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _help(self, _request: web.Request) -> web.Response:
        return web.Response(text=(__doc__ or "") + "\n")

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._vehicle.state())

    async def _modes(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                mode.name: {
                    "text": mode.text,
                    "params": {
                        p.name: {"unit": p.unit, "default": p.default, "from": p.low, "to": p.high} for p in mode.params
                    },
                }
                for mode in CATALOGUE.values()
            }
        )

    async def _events(self, request: web.Request) -> web.Response:
        tail = self._vehicle.tail
        try:
            since = max(int(request.query.get("since", "0")), tail.first)
        except ValueError:
            raise CommandError("since is the number of an event") from None
        events = [[f.hex() if isinstance(f, bytes) else f for f in event] for event in tail[since - tail.first :]]
        return web.json_response({"next": tail.first + len(tail), "events": events})

    async def _ca(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._vehicle.trust.ca_pem, content_type="application/x-pem-file")

    async def _fail(self, request: web.Request) -> web.Response:
        try:
            params = json.loads(await request.text() or "{}")
        except ValueError:
            raise CommandError("parameters are a JSON object with whole numbers") from None
        if not isinstance(params, dict) or not all(type(value) is int for value in params.values()):
            raise CommandError("parameters are a JSON object with whole numbers")
        await self._vehicle.fail(request.match_info["mode"], params)
        return web.json_response(self._vehicle.faults)

    async def _heal(self, request: web.Request) -> web.Response:
        await self._vehicle.heal(request.match_info.get("mode"))
        return web.json_response(self._vehicle.faults)

    async def _command(self, request: web.Request) -> web.Response:
        return web.Response(text=await execute(self._vehicle, await request.text()) + "\n")


Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _only_loopback(request: web.Request, handler: Next) -> web.StreamResponse:
    host = request.host.rpartition(":")[0] if ":" in request.host.rpartition("]")[2] else request.host
    if host not in HOSTS:
        return web.Response(status=403, text="the control endpoint answers on loopback, by its own names, alone\n")
    return await handler(request)


@web.middleware
async def _words(request: web.Request, handler: Next) -> web.StreamResponse:
    """What cannot be done is told in words."""
    try:
        return await handler(request)
    except (CommandError, ScenarioError, Unsupported) as error:
        return web.Response(status=422, text=f"{error}\n")
