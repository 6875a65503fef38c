"""Asking the vehicle through the maker's server, as the looks at server and network do."""

from __future__ import annotations

import base64

from rig.kernel import Timeout
from rig.protocol import vcp
from rig.world.digest import digest
from rig.world.internet import NoNetwork, Response
from tests.world.look import Look
from tests.world.stage import Stage

REQUEST_S = 6.0
OK = ("200", "handed")


async def _ask(stage: Stage, patience_s: float, fresh: bool = True) -> tuple[Response | str, str]:
    """Sends a handshake: the response or what came of it, and the message's digest."""
    world, kernel = stage.world, stage.kernel
    rng = world.rng(f"look {kernel.now}")
    message = vcp.build_handshake(world.phone.identity, rng.randbytes(16), rng.randbytes(16))
    body = {"routable_message": base64.b64encode(message).decode()}
    token, _ = world.server.sign_in()
    if fresh:
        world.internet.drop_connection()
    try:
        with kernel.timeout(patience_s):
            return await world.internet.call(
                f"/api/1/vehicles/{world.vin}/signed_command", token, body
            ), digest(message)
    except Timeout:
        world.internet.drop_connection()
        return "nothing", digest(message)
    except NoNetwork:
        world.internet.drop_connection()
        return "no network", digest(message)


async def request(stage: Stage, patience_s: float = REQUEST_S) -> tuple[str, str]:
    """What the phone hears over a new connection, and whether the DUT was handed the message."""
    since = stage.kernel.now
    response, name = await _ask(stage, patience_s)
    if isinstance(response, str):
        heard = response
    else:
        heard = str(response.status)
        if response.retry_after_s:
            heard += f" retry after {response.retry_after_s}"
        if response.status == 200 and stage.kernel.now - since > 1_000_000:
            heard += " late"
    handed = any(h.channel == "cloud" and h.digest == name for h in stage.hands(since))
    return heard, "handed" if handed else "not handed"


async def patient_request(stage: Stage) -> tuple[str, str]:
    """The same with time for four slow round trips: a new connection costs three."""
    return await request(stage, 9.0)


async def slowest(stage: Stage) -> str:
    """Whether one of several requests took long, if there is a network."""
    longest = 0
    for _ in range(5):
        since = stage.kernel.now
        response, _ = await _ask(stage, REQUEST_S)
        if response == "no network":
            return "none"
        longest = max(longest, stage.kernel.now - since)
    return "slow" if longest > 1_000_000 else "quick"


async def inside(stage: Stage) -> str:
    """Whether the body has a message of the vehicle's."""
    response, _ = await _ask(stage, REQUEST_S)
    return "an answer" if isinstance(response, Response) and "response" in response.body else "no answer"


async def login(stage: Stage) -> str:
    """What the phone's own token is worth, and what comes of its refresh token."""
    world = stage.world
    path = f"/api/1/vehicles/{world.vin}"
    first = await world.internet.call(path, world.phone._access, {})
    if first.status != 401:
        return str(first.status)
    renewed = await world.internet.call("/oauth2/v3/token", "", {"refresh_token": world.phone._refresh})
    if renewed.status == 200:
        world.phone._access, world.phone._refresh = (
            renewed.body["access_token"],
            renewed.body["refresh_token"],
        )
    return f"401, then {renewed.status}"


async def state(stage: Stage) -> str:
    """What the server says of a car that has no network."""
    world = stage.world
    release = world.internet.car_offline.hold()
    try:
        token, _ = world.server.sign_in()
        return str((await world.internet.call(f"/api/1/vehicles/{world.vin}", token, {})).body.get("state", "none"))
    finally:
        release()


async def when_handed(stage: Stage) -> str:
    """Whether the DUT gets one of two messages late."""
    late = False
    for _ in range(2):
        since = stage.kernel.now
        _, name = await _ask(stage, REQUEST_S)
        late |= not any(h.digest == name and h.at_us < since + 1_000_000 for h in stage.hands(since))
    return "late" if late else "at once"


async def copies(stage: Stage) -> int:
    """How often the DUT gets one message."""
    since = stage.kernel.now
    _, name = await _ask(stage, REQUEST_S)
    await stage.kernel.sleep(0.5)
    return sum(1 for h in stage.hands(since) if h.digest == name)


async def kept_alive(stage: Stage) -> str:
    """What comes over the connection that stands already."""
    response, _ = await _ask(stage, REQUEST_S, fresh=False)
    return response if isinstance(response, str) else str(response.status)


def refused(status: str) -> Look:
    """A server that answers so, and hands nothing on."""
    return Look(request, OK, (status, "not handed"), takes_s=REQUEST_S)
