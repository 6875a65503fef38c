"""The maker's server: status codes, rotating tokens, reports; and the telematics unit that carries for it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from rig.protocol import vcp
from rig.world.internet import Response
from tests.world.stage import Command, ScriptedVehicle, Stage


class Api:
    """Asks the server as an app does, and notes what it answers."""

    def __init__(self) -> None:
        self.stage = Stage(ecu=False)
        self.vehicle = ScriptedVehicle(self.stage)
        self.world = self.stage.world
        self.token, self.refresh = self.world.server.sign_in()
        self.took_s = 0.0

    async def ask(
        self,
        what: str,
        body: Mapping[str, str] | None = None,
        token: str | None = None,
        vin: str | None = None,
    ) -> Response:
        """One request to the server."""
        path = (
            what if what.startswith("/") else f"/api/1/vehicles/{vin or self.world.vin}{what and '/' + what}"
        )
        began = self.stage.kernel.now
        server = self.world.server
        response = server.damaged(await server.answer(path, self.token if token is None else token, body or {}))
        await self.stage.kernel.sleep(response.trickle_ms / 1e3)
        self.took_s = (self.stage.kernel.now - began) / 1e6
        return response

    async def renew(self, refresh: str) -> tuple[int, str, str]:
        """Uses a refresh token: status and the tokens it gives."""
        response = await self.ask("/oauth2/v3/token", {"refresh_token": refresh}, token="")
        return response.status, response.body.get("access_token", ""), response.body.get("refresh_token", "")

    def handshake(self) -> dict[str, str]:
        """The body of a signed command's request."""
        rng = self.world.rng(f"handshake {self.stage.kernel.now}")
        message = vcp.build_handshake(self.world.phone.identity, rng.randbytes(16), rng.randbytes(16))
        return {"routable_message": base64.b64encode(message).decode()}


# -- status codes ----------------------------------------------------------------------------------------


def test_status_codes_of_a_healthy_server() -> None:
    api = Api()

    async def act() -> None:
        cases = {
            "the vehicle": (await api.ask("")).status,
            "wake up": (await api.ask("wake_up")).status,
            "unsigned unlock": (await api.ask("command/door_unlock")).status,
            "unsigned lock": (await api.ask("command/door_lock")).status,
            "signed": (await api.ask("signed_command", api.handshake())).status,
            "another car": (await api.ask("", vin="URIG0000000000002")).status,
            "no token": (await api.ask("", token="")).status,
            "another's token": (await api.ask("signed_command", api.handshake(), token="mine")).status,
            "no message": (await api.ask("signed_command")).status,
            "not base64": (await api.ask("signed_command", {"routable_message": "?"})).status,
            "no such page": (await api.ask("/favicon.ico")).status,
        }
        assert cases == {
            "the vehicle": 200,
            "wake up": 200,
            "unsigned unlock": 403,
            "unsigned lock": 403,
            "signed": 200,
            "another car": 412,
            "no token": 401,
            "another's token": 401,
            "no message": 422,
            "not base64": 422,
            "no such page": 404,
        }
        assert (await api.ask("")).body == {"state": "online"}

    api.stage.play(act)


def test_bytes_that_are_no_message_are_refused_and_not_carried() -> None:
    """Whoever has an account may post anything."""
    api = Api()

    async def act() -> None:
        for raw in (b"\xff", b"\x0a\xff", bytes(2000), vcp.build_push(b"\x01")):
            body = {"routable_message": base64.b64encode(raw).decode()}
            assert (await api.ask("signed_command", body)).status == 422

    api.stage.play(act)
    assert api.vehicle.messages == []


@pytest.mark.parametrize(
    ("gate", "status"), [("500", 500), ("503", 503), ("429", 429), ("token_refused", 401)]
)
def test_a_failing_server_answers_so_to_everything(gate: str, status: int) -> None:
    api = Api()

    async def act() -> None:
        server = api.world.server
        release = server.refuses.get(gate, server.token_refused).hold(7)
        for what, body in (("", {}), ("wake_up", {}), ("signed_command", api.handshake())):
            response = await api.ask(what, body)
            assert response.status == status
            assert response.retry_after_s == (7 if gate in server.refuses else 0)
        assert (await api.renew(api.refresh))[0] == status
        release()
        assert (await api.ask("")).status == 200

    api.stage.play(act)
    assert api.vehicle.messages == []


def test_a_vehicle_that_answers_nothing_is_408_after_5_s() -> None:
    api = Api()
    api.vehicle.deaf = True

    async def act() -> None:
        assert (await api.ask("signed_command", api.handshake())).status == 408
        assert api.took_s == pytest.approx(5.008)

    api.stage.play(act)
    assert len(api.vehicle.messages) == 1


def test_a_car_that_is_offline_is_408_at_once_when_the_server_has_noticed() -> None:
    api = Api()

    async def act() -> None:
        release = api.world.internet.car_offline.hold()
        assert (await api.ask("signed_command", api.handshake())).status == 408
        assert api.took_s > 4
        assert (await api.ask("signed_command", api.handshake())).status == 408
        assert api.took_s < 0.1
        assert (await api.ask("")).body == {"state": "offline"}
        assert (await api.ask("wake_up")).status == 408
        release()
        await api.stage.kernel.sleep(5.5)
        assert (await api.ask("signed_command", api.handshake())).status == 200

    api.stage.play(act)
    assert len(api.vehicle.messages) == 1


def test_an_answer_that_comes_when_the_car_has_gone_is_lost() -> None:
    api = Api()
    executed: list[Command] = []

    def reply(command: Command) -> list[tuple[float, bytes]]:
        executed.append(command)
        api.world.internet.car_offline.hold()
        return [(0.1, api.vehicle.seal(command))]

    api.vehicle.reply = reply

    async def act() -> None:
        client, now = api.world.phone.client, api.stage.kernel.now
        info = api.vehicle.session_info(client.identity.public, b"r" * 16, client.handshake(now).uuid)
        assert client.take_session_info(vcp.parse(info), now)
        sent = client.command(vcp.UNLOCK, "cloud", 200, now)
        body = {"routable_message": base64.b64encode(sent.message).decode()}
        assert (await api.ask("signed_command", body)).status == 408

    api.stage.play(act)
    assert len(executed) == 1


def test_answers_go_to_who_asked() -> None:
    """Two requests under way, answered the other way round."""
    api = Api()
    api.vehicle.deaf = True

    async def act() -> None:
        answers: dict[str, bytes] = {}

        async def one(name: str, after_s: float) -> None:
            await api.stage.kernel.sleep(after_s)
            response = await api.ask("signed_command", api.handshake())
            answers[name] = base64.b64decode(response.body["response"])

        api.stage.kernel.spawn(one("first", 0.0))
        api.stage.kernel.spawn(one("second", 0.1))
        await api.stage.kernel.sleep(0.5)
        asked = [vcp.parse(raw) for _, _, _, raw in api.vehicle.messages]
        public = api.world.phone.identity.public
        for message in reversed(asked):
            info = api.vehicle.session_info(public, message.from_destination.routing_address, message.uuid)
            api.vehicle.say("cloud", 0, info)
        await api.stage.kernel.sleep(0.5)
        for name, message in zip(("first", "second"), asked, strict=True):
            assert vcp.parse(answers[name]).request_uuid == message.uuid

    api.stage.play(act)


# -- tokens ----------------------------------------------------------------------------------------------


def test_a_refresh_token_gives_new_tokens_and_the_old_access_token_ends() -> None:
    api = Api()

    async def act() -> None:
        status, access, refresh = await api.renew(api.refresh)
        assert status == 200
        assert access not in ("", api.token)
        assert refresh not in ("", api.refresh)
        assert (await api.ask("", token=api.token)).status == 401
        assert (await api.ask("", token=access)).status == 200

    api.stage.play(act)


def test_a_refresh_token_works_again_until_its_successor_is_first_used() -> None:
    api = Api()

    async def act() -> None:
        first = await api.renew(api.refresh)
        # The answer was lost: the same token brings the same successor, as often as need be.
        for _ in range(3):
            assert await api.renew(api.refresh) == first
        second = await api.renew(first[2])
        assert second[0] == 200 and second[2] != first[2]
        # Now its successor was used: whoever still has it must log in.
        assert (await api.renew(api.refresh))[0] == 401
        # The successor in turn works again.
        assert await api.renew(first[2]) == second
        assert (await api.ask("", token=second[1])).status == 200

    api.stage.play(act)


@pytest.mark.parametrize("refresh", ["", "guess", "access"])
def test_no_tokens_for_what_is_no_refresh_token(refresh: str) -> None:
    api = Api()

    async def act() -> None:
        assert (await api.renew(api.token if refresh == "access" else refresh))[0] == 401

    api.stage.play(act)


# -- reports ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", ["", "500", "503", "429", "hang", "car_offline"])
def test_a_report_is_acknowledged_within_200_ms_if_the_server_took_it(gate: str) -> None:
    """0x06 on the cloud channel, and nothing while it was not taken."""
    api = Api()

    async def act() -> None:
        world, kernel = api.world, api.stage.kernel
        if gate:
            gates = {"hang": world.server.hang, "car_offline": world.internet.car_offline, **world.server.refuses}
            gates[gate].hold(3)
        since = kernel.now
        api.vehicle.say("cloud", 0xFE, vcp.build_push(b"\x01"))
        await kernel.sleep(1.0)
        taken = [at for at, byte in api.vehicle.signals if byte == 0x06]
        assert len(taken) == (0 if gate else 1)
        assert all(at - since < 200_000 for at in taken)

    api.stage.play(act)
