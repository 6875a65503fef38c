"""The rules of the rig's phone, against a vehicle that answers as each test says (vehicle.md section 2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest

from rig.protocol import vcp
from rig.scenario import Intent, Via
from rig.world.internet import Response
from tests.world.stage import EPOCH, Command, ScriptedVehicle, Stage

SUCCESS_S = 0.2
"""How long the scripted vehicle takes for a movement."""
WINDOW_US = 10_000_000


class Scene:
    """A phone, a scripted vehicle, and one wish."""

    def __init__(self, reply: Callable[[ScriptedVehicle, Command], list[tuple[float, bytes]]]) -> None:
        self.stage = Stage(ecu=False)
        self.vehicle = ScriptedVehicle(self.stage)
        self.vehicle.reply = lambda command: reply(self.vehicle, command)
        self.started_us = 0

    def wish(
        self, via: Via = "bluetooth", *, before: Callable[[], None] | None = None, warm: bool = False
    ) -> None:
        """Pursues an unlock."""

        async def act() -> None:
            stage = self.stage
            if warm:
                await stage.world.phone.warm_up(stage.kernel.now + 2_000_000)
                await stage.kernel.sleep(0.5)
            if before is not None:
                before()
            self.started_us = now = stage.kernel.now
            await stage.world.phone.pursue(0, Intent("unlock", 0, via), now, now + WINDOW_US)
            await stage.kernel.sleep(0.3)

        self.stage.play(act)

    @property
    def told(self) -> tuple[float, str, str]:
        """When (s after the wish) and what the driver was told."""
        assert len(self.stage.told()) == 1, "the driver is told once"
        at, what, detail = self.stage.told()[0]
        return (at - self.started_us) / 1e6, what, detail

    def acts(self) -> list[tuple[float, object]]:
        """First acts on the paths, in s after the wish."""
        return [((at - self.started_us) / 1e6, path) for at, _, path in self.stage.values("act")]  # type: ignore[operator]


def executes(vehicle: ScriptedVehicle, command: Command) -> list[tuple[float, bytes]]:
    return [(SUCCESS_S, vehicle.seal(command))]


def silent(_vehicle: ScriptedVehicle, _command: Command) -> list[tuple[float, bytes]]:
    return []


# -- order and times of the paths ------------------------------------------------------------------------


@pytest.mark.parametrize(("warm", "turns_s"), [(True, 3.0), (False, 5.0)])
def test_ladder_leaves_bluetooth_after_3_s_with_a_session_and_5_s_without(warm: bool, turns_s: float) -> None:
    scene = Scene(silent)
    scene.vehicle.deaf = not warm
    scene.wish("ladder", warm=warm)
    acts = scene.acts()
    assert [path for _, path in acts] == ["bluetooth", "cloud"]
    assert acts[0][0] == 0.0
    assert acts[1][0] == pytest.approx(turns_s, abs=0.001)
    assert scene.told[:2] == (10.0, "unknown" if warm else "refused")


def test_ladder_leaves_bluetooth_at_once_if_the_radio_is_known_to_be_off() -> None:
    scene = Scene(executes)
    scene.wish("ladder", before=lambda: _keep(scene.stage.world.air.radio_off.hold()))
    assert scene.acts() == [(0.0, "bluetooth"), (0.0, "cloud")]
    assert scene.told[1] == "opened"


def _keep(_release: Callable[[], None]) -> None:
    """A fault of the whole test: nobody lets go."""


def test_bluetooth_alone_goes_on_to_the_end_and_never_asks_the_server() -> None:
    scene = Scene(silent)
    scene.wish("bluetooth")
    assert [path for _, path in scene.acts()] == ["bluetooth"]
    assert {c.channel for c in scene.vehicle.commands} == {"bluetooth"}
    assert scene.told == (10.0, "unknown", "no answer in time")


def test_cloud_alone_never_uses_bluetooth() -> None:
    scene = Scene(executes)
    scene.wish("cloud")
    assert [path for _, path in scene.acts()] == ["cloud"]
    assert {channel for _, channel, _, _ in scene.vehicle.messages} == {"cloud"}
    assert scene.told[1] == "opened"


def test_signed_out_means_no_cloud_and_bluetooth_all_the_same() -> None:
    for via, what in (("cloud", "refused"), ("bluetooth", "opened")):
        scene = Scene(executes)
        scene.wish(
            "cloud" if via == "cloud" else "bluetooth",
            before=lambda s=scene: _keep(s.stage.world.phone.signed_out.hold()),  # type: ignore[misc]
        )
        assert scene.told[1] == what
        assert not [m for m in scene.vehicle.messages if m[1] == "cloud"]


# -- lifetimes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("via", ["bluetooth", "cloud", "ladder"])
def test_commands_expire_before_the_intent_does_and_none_is_begun_with_less_than_2_s_left(via: Via) -> None:
    """expires_at = floor(estimated clock + time left) - 1."""
    scene = Scene(silent)
    scene.wish(via)
    clocks = scene.stage.values("clock")
    signs = scene.stage.values("sign")
    assert len(signs) >= 2
    end = scene.started_us + WINDOW_US
    for at, _, _, _, _, _, _, _, expires, _ in signs:
        assert isinstance(at, int) and isinstance(expires, int)
        received, seconds = [(c[0], c[3]) for c in clocks if isinstance(c[0], int) and c[0] <= at][-1]
        assert isinstance(received, int) and isinstance(seconds, int)
        estimate = seconds + (at - received) / 1e6
        assert expires == math.floor(estimate + (end - at) / 1e6) - 1
        assert end - at >= 2_000_000


def test_with_less_than_2_s_left_nothing_is_sent() -> None:
    scene = Scene(executes)

    async def act() -> None:
        stage = scene.stage
        await stage.world.phone.warm_up(stage.kernel.now + 2_000_000)
        now = stage.kernel.now
        for via in ("bluetooth", "cloud"):
            await stage.world.phone.pursue(
                0,
                Intent("unlock", 0, "cloud" if via == "cloud" else "bluetooth"),
                stage.kernel.now,
                stage.kernel.now + 1_990_000,
            )
        assert stage.kernel.now == now + 2 * 1_990_000

    scene.stage.play(act)
    assert scene.vehicle.commands == []
    assert [what for _, what, _ in scene.stage.told()] == ["refused", "refused"]


# -- counters --------------------------------------------------------------------------------------------


def test_counters_rise_over_both_channels_and_are_never_lowered_by_session_info() -> None:
    """The vehicle tells an old counter each time; it is the phone's own that counts."""
    scene = Scene(lambda v, c: [(0.05, v.resync(c, vcp.Fault.INVALID_TOKEN_OR_COUNTER))])
    scene.vehicle.counter = 3
    scene.wish("ladder")
    counters = [c.signed.counter for c in scene.vehicle.commands]
    assert {c.channel for c in scene.vehicle.commands} == {"bluetooth", "cloud"}
    assert counters[0] == 4
    assert all(later > earlier for earlier, later in pairwise(counters))


def test_session_info_that_is_ahead_lifts_the_counter() -> None:
    def reply(vehicle: ScriptedVehicle, command: Command) -> list[tuple[float, bytes]]:
        if command.signed.counter < 50:
            vehicle.counter = 60
            return [(0.05, vehicle.resync(command, vcp.Fault.INVALID_TOKEN_OR_COUNTER))]
        return executes(vehicle, command)

    scene = Scene(reply)
    scene.wish("bluetooth")
    assert [c.signed.counter for c in scene.vehicle.commands] == [1, 61]
    assert scene.told[1] == "opened"


def test_a_new_epoch_has_its_own_counter() -> None:
    other = bytes(reversed(EPOCH))

    def reply(vehicle: ScriptedVehicle, command: Command) -> list[tuple[float, bytes]]:
        if command.signed.epoch == EPOCH:
            vehicle.epoch, vehicle.counter = other, 0
            return [(0.05, vehicle.resync(command, vcp.Fault.INCORRECT_EPOCH))]
        return executes(vehicle, command)

    scene = Scene(reply)
    scene.vehicle.counter = 20
    scene.wish("bluetooth")
    assert [(c.signed.epoch, c.signed.counter) for c in scene.vehicle.commands] == [(EPOCH, 21), (other, 1)]
    assert scene.told[1] == "opened"


def test_session_info_that_is_older_is_not_taken() -> None:
    """A copy of an earlier answer would set the clock back."""
    scene = Scene(executes)

    async def act() -> None:
        client, vehicle, now = scene.stage.world.phone.client, scene.vehicle, scene.stage.kernel.now
        request = client.handshake(now)

        def info(clock_s: int) -> vcp.RoutableMessage:
            vehicle.clock_s = clock_s
            return vcp.parse(vehicle.session_info(client.identity.public, b"r" * 16, request.uuid))

        assert client.take_session_info(info(200), now)
        assert not client.take_session_info(info(150), now)
        assert client.session is not None and client.session.clock_s == 200
        assert client.take_session_info(info(201), now)

    scene.stage.play(act)


# -- what settles ----------------------------------------------------------------------------------------

UNSETTLED = (
    vcp.Fault.INVALID_TOKEN_OR_COUNTER,
    vcp.Fault.TIME_EXPIRED,
    vcp.Fault.INCORRECT_EPOCH,
    vcp.Fault.BUSY,
)


@pytest.mark.parametrize("via", ["bluetooth", "cloud"])
@pytest.mark.parametrize("fault", UNSETTLED)
def test_four_faults_settle_nothing(fault: int, via: Via) -> None:
    """The phone resynchronises and repeats; the second command opens."""

    def reply(vehicle: ScriptedVehicle, command: Command) -> list[tuple[float, bytes]]:
        first = len(vehicle.commands) == 1
        return [(0.05, vehicle.resync(command, fault))] if first else executes(vehicle, command)

    scene = Scene(reply)
    scene.wish(via)
    assert len(scene.vehicle.commands) == 2
    assert scene.told[1] == "opened"


@pytest.mark.parametrize("fault", UNSETTLED)
def test_the_genuine_answer_may_follow_the_one_that_settled_nothing(fault: int) -> None:
    """The refusal was for a copy: success of the first command still counts, even when a second is out."""

    def reply(vehicle: ScriptedVehicle, command: Command) -> list[tuple[float, bytes]]:
        if len(vehicle.commands) == 1:
            return [(0.05, vehicle.plain(command, fault)), (1.0, vehicle.seal(command))]
        return []

    scene = Scene(reply)
    scene.wish("bluetooth")
    at, what, _ = scene.told
    assert what == "opened"
    assert at < 3.0


@pytest.mark.parametrize("via", ["bluetooth", "cloud"])
@pytest.mark.parametrize(
    "fault",
    [f for f in vcp.Fault if f not in UNSETTLED and f != vcp.Fault.NONE],
)
def test_every_other_fault_is_a_refusal(fault: vcp.Fault, via: Via) -> None:
    scene = Scene(lambda v, c: [(0.05, v.plain(c, fault))])
    scene.wish(via)
    assert len(scene.vehicle.commands) == 1
    assert scene.told[1:] == ("refused", fault.name)


def test_a_refusal_after_an_unanswered_command_is_unknown() -> None:
    """The first may have been done: the driver must not be told that nothing was."""

    def reply(vehicle: ScriptedVehicle, command: Command) -> list[tuple[float, bytes]]:
        first = len(vehicle.commands) == 1
        return [] if first else [(0.05, vehicle.plain(command, vcp.Fault.INSUFFICIENT_PRIVILEGES))]

    scene = Scene(reply)
    scene.wish("bluetooth")
    assert scene.told[1] == "unknown"


Forgery = Callable[[ScriptedVehicle, Command], bytes]


def _turned(message: bytes) -> bytes:
    parsed = vcp.parse(message)
    seal = parsed.signature_data.AES_GCM_Response_data
    seal.tag = bytes((seal.tag[0] ^ 1,)) + seal.tag[1:]
    return parsed.SerializeToString()


def _for_another(vehicle: ScriptedVehicle, command: Command) -> bytes:
    other = vcp.Identity.from_seed(b"another phone")
    seal = vcp.Seal(
        vehicle.shared(other.public), vehicle.stage.world.vin, command.signed.request_hash, 1, bytes(12)
    )
    return vcp.build_response(routing=command.signed.routing, uuid=command.signed.uuid, seal=seal)


NO_SUCCESS: dict[str, Forgery] = {
    "plain": lambda v, c: v.plain(c),
    "sealed for another request": lambda v, c: v.seal(c, of_request=b"\x05" + bytes(16)),
    "a push to all": lambda v, c: vcp.build_push(b""),
    "sealed, one bit turned": lambda v, c: _turned(v.seal(c)),
    "sealed for another phone": _for_another,
}


@pytest.mark.parametrize("via", ["bluetooth", "cloud"])
@pytest.mark.parametrize("kind", NO_SUCCESS)
def test_only_a_sealed_answer_is_success(kind: str, via: Via) -> None:
    scene = Scene(lambda v, c: [(0.05, NO_SUCCESS[kind](v, c))])
    scene.wish(via)
    assert scene.told == (10.0, "unknown", "no answer in time")


def test_a_forged_success_does_not_hide_the_genuine_one() -> None:
    scene = Scene(lambda v, c: [(0.05, v.plain(c)), (0.2, v.seal(c))])
    scene.wish("bluetooth")
    assert scene.told[1] == "opened"


def test_no_command_over_the_air_asks_for_a_plain_answer() -> None:
    scene = Scene(silent)
    scene.wish("ladder")
    assert scene.vehicle.commands
    assert all(c.signed.wants_sealed for c in scene.vehicle.commands)


# -- the server ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 3, 4])
def test_retry_after_is_kept(seconds: int) -> None:
    """No request before it is over, and one soon after."""
    scene = Scene(executes)
    requests: list[int] = []
    _spy(scene.stage, requests)

    def begin() -> None:
        release = scene.stage.world.server.refuses["429"].hold(seconds)
        scene.stage.kernel.after(500_000, release)

    scene.wish("cloud", before=begin)
    assert scene.told[1] == "opened"
    gap = (requests[1] - requests[0]) / 1e6
    assert seconds < gap < seconds + 0.3


def _spy(stage: Stage, requests: list[int]) -> None:
    """Notes when requests reach the server."""
    server = stage.world.server
    answer = server.answer

    async def handled(path: str, token: str, body: dict[str, str]) -> Response:
        requests.append(stage.kernel.now)
        return await answer(path, token, body)

    server.answer = handled  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("status", ["500", "503"])
def test_back_off_doubles_and_is_at_most_5_s(status: str) -> None:
    """Watched over a wish of two minutes."""
    stage = Stage(ecu=False)
    ScriptedVehicle(stage)
    requests: list[int] = []
    _spy(stage, requests)

    async def act() -> None:
        stage.world.server.refuses[status].hold()
        now = stage.kernel.now
        await stage.world.phone.pursue(0, Intent("unlock", 0, "cloud"), now, now + 120_000_000)

    stage.play(act)
    # A round trip on a standing connection and the server's work come on top.
    waits = [round((b - a) / 1e6 - 0.058, 3) for a, b in pairwise(requests)]
    assert waits[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
    assert set(waits[5:]) == {5.0}


def test_an_expired_access_token_is_renewed_and_the_same_request_sent_again() -> None:
    scene = Scene(executes)
    scene.wish("cloud", before=lambda: setattr(scene.stage.world.phone, "_access", "worn out"))
    assert scene.told[1] == "opened"
    assert len(scene.vehicle.commands) == 1


def test_refused_tokens_do_not_sign_the_app_out() -> None:
    """When the server takes them again, the same account works."""
    scene = Scene(executes)

    def begin() -> None:
        release = scene.stage.world.server.token_refused.hold()
        scene.stage.kernel.after(4_000_000, release)

    scene.wish("cloud", before=begin)
    assert scene.told[1] == "opened"


def test_a_rotation_whose_answer_was_lost_does_not_lock_the_app_out() -> None:
    """The predecessor works again until its successor is first used."""
    scene = Scene(executes)
    world = scene.stage.world

    def begin() -> None:
        server = world.server
        world.phone._access = "worn out"
        refreshed = server._refreshed(world.phone._refresh)
        assert refreshed.status == 200

    scene.wish("cloud", before=begin)
    assert scene.told[1] == "opened"
    assert (world.phone._access, world.phone._refresh) == world.server.sign_in()


@pytest.mark.parametrize("text", ["not base64!", "", "AAAA"])
def test_an_answer_of_200_that_says_nothing_is_tried_again(text: str) -> None:
    scene = Scene(executes)
    server = scene.stage.world.server
    answer = server.answer
    asked = 0

    async def handled(path: str, token: str, body: dict[str, str]) -> Response:
        nonlocal asked
        asked += 1
        return Response(200, {"response": text}) if asked == 1 else await answer(path, token, body)

    server.answer = handled  # type: ignore[method-assign,assignment]
    scene.wish("cloud")
    assert scene.told[1] == "opened"
