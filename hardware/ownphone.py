"""A phone client that others wrote, in the place of the rig's phone: the adapter, and what the judge needs to see.

The client is asked to unlock or to lock and reports what it tells its driver; the rig watches from outside. Knows no
client; real time only, since clients look at the wall clock.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal, Protocol

import aiohttp

from hardware.bridge import Bridge
from hardware.cloud.certs import HOST
from hardware.cloud.phone import CloudInternet, Connector
from rig.kernel import Timeout
from rig.protocol import vcp
from rig.scenario import Intent
from rig.world.digest import digest
from rig.world.phone import Phone

if TYPE_CHECKING:
    import ssl

    from cryptography.hazmat.primitives.asymmetric import ec

    from rig.world.world import World

Told = Literal["opened", "locked", "refused", "unknown"]
WANTS = ("unlock", "lock")
"""What a client is asked for; all else the rig's own phone does."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a client tells its driver.

    Attributes:
        told: opened or locked: it is done; refused: it is not, for sure; unknown: the driver must look.
        detail: in the client's own words.
    """

    told: Told
    detail: str = ""


class PhoneClient(Protocol):
    """What an adapter makes of a client."""

    async def act(self, want: str, via: str) -> Report:
        """Does one wish, "unlock" or "lock", over "cloud", "bluetooth" or, as it likes, "ladder"; has 10 s."""

    async def close(self) -> None:
        """Ends whatever it holds open."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a client gets to work with.

    Attributes:
        vin: the vehicle's name.
        key: the private key that is enrolled.
        server: the server's address, without a slash at its end.
        session: an HTTP session whose names, connections and certificates are the rig's network.
        token: gives the access token that the account has now.
    """

    vin: str
    key: ec.EllipticCurvePrivateKey
    server: str
    session: aiohttp.ClientSession
    token: Callable[[], Awaitable[str | None]]


MakeClient = Callable[[Access], PhoneClient]


class OwnPhone(Phone):
    """The client in the world."""

    def __init__(self, world: World, identity: vcp.Identity, name: str, bridge: Bridge) -> None:
        super().__init__(world, identity, name)
        self._bridge = bridge
        self._client: PhoneClient | None = None
        self._make: Callable[[], PhoneClient] | None = None
        self._pursued: tuple[int, str] | None = None
        self._carried: dict[bytes, str] = {}
        world.witnesses.append(self._sees)

    def use(self, make: Callable[[], PhoneClient]) -> None:
        """Has the client made as soon as it is asked for something."""
        self._make = make

    async def pursue(self, index: int, intent: Intent, started_us: int, deadline_us: int) -> None:
        """Has the client do it, until it reports or the time is over, then tells the driver what it said."""
        if intent.want not in WANTS or self._make is None:
            await super().pursue(index, intent, started_us, deadline_us)
            return
        if self._client is None:
            self._client = self._make()
        self._act_on(index, intent.via)
        self._pursued, known = (index, intent.want), len(self._carried)
        try:
            with self._kernel.timeout((deadline_us - self._kernel.now) / 1e6):
                report = await self._bridge.task(self._client.act(intent.want, intent.via), f"{self.name}'s client")
        except Timeout:
            sent = len(self._carried) > known
            report = Report("unknown" if sent else "refused", "no answer in time" if sent else "nothing could be sent")
        finally:
            self._pursued = None
        self._world.log("told", index, report.told, report.detail)

    def _act_on(self, index: int, via: str) -> None:
        for path in ("bluetooth", "cloud") if via == "ladder" else (via,):
            self._world.log("act", index, path)

    async def close(self) -> None:
        """Ends the client."""
        if self._client is not None:
            await self._client.close()

    # -- what is seen from outside -----------------------------------------------------------------

    def _sees(self, channel: str, message: bytes) -> None:
        """A carrier hands something to the DUT: if it is a new command of this client's, it was signed by it."""
        try:
            parsed = vcp.parse(message)
        except vcp.VcpError:
            return
        command = vcp.signed(parsed)
        mark = digest(message)
        if command is None or self._pursued is None or mark in self._carried.values():
            return
        if command.public != self.identity.public:
            return
        self._carried[parsed.from_destination.routing_address] = mark
        index, want = self._pursued
        self._world.log(
            "sign", mark, index, self.name, channel, want, command.epoch, command.counter, command.expires_at, ""
        )

    def answered(self, body: bytes) -> None:
        """An HTTP answer has reached the client."""
        try:
            fields = json.loads(body)
            message = vcp.parse(base64.b64decode(fields["response"], validate=True))
        except (ValueError, KeyError, TypeError, binascii.Error, vcp.VcpError):
            return
        mark = self._carried.get(message.to_destination.routing_address)
        if mark is not None and not self._bridge.over:
            fault = int(message.signedMessageStatus.signed_message_fault)
            self._world.log("answer", "cloud", mark, fault)


def own_phone(
    bridge: Bridge, context: ssl.SSLContext, make: MakeClient, who: str = "phone"
) -> Callable[[World, vcp.Identity, str], Phone]:
    """For `Links.phone`: a client in the place of one person's phone, over the rig's network.

    Args:
        bridge: to the world's kernel.
        context: what the client trusts.
        make: makes the client from what it gets.
        who: "phone" is the driver's, "guest" the guest's.
    """

    def phone(world: World, identity: vcp.Identity, name: str) -> Phone:
        if name != who:
            return Phone(world, identity, name)
        own = OwnPhone(world, identity, name, bridge)
        own.use(lambda: make(access(world, own, identity, context)))
        return own

    return phone


def access(world: World, phone: OwnPhone, identity: vcp.Identity, context: ssl.SSLContext) -> Access:
    """What a client gets: an account, a key, and the rig's network."""
    internet = world.internet
    assert isinstance(internet, CloudInternet), "a client of one's own needs real HTTP between phone and server"
    seen = aiohttp.TraceConfig()

    async def chunk(
        _s: aiohttp.ClientSession, _c: SimpleNamespace, what: aiohttp.TraceResponseChunkReceivedParams
    ) -> None:
        phone.answered(what.chunk)

    seen.on_response_chunk_received.append(chunk)

    async def token() -> str:
        return world.server.sign_in()[0]

    session = aiohttp.ClientSession(connector=Connector(internet, context), trace_configs=[seen])
    return Access(world.vin, identity.private, f"https://{HOST}", session, token)
