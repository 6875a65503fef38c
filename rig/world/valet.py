"""Other enrolled keys whose clients err on purpose: bad lifetimes, another car's name, rights they do not have.

They talk to the vehicle over a Bluetooth link of their own that no fault of the driver's phone touches, or through
the telematics unit; one at a time, so that they never take all connections.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tesla_protocol.command import universal_message_pb2

from rig.kernel import Task, Timeout
from rig.ports import Unsupported
from rig.protocol import vcp
from rig.world.bluetooth import Connection, LinkError, Step
from rig.world.client import STRAIGHT, Answer, Client, Sent, Twist
from rig.world.internet import CAR_ONE_WAY_US
from rig.world.keylist import DONE, FULL, OWNER, KeyChange

if TYPE_CHECKING:
    from rig.world.world import Keys, World

AGAIN_S = 4.0
"""How often a bad client tries while its fault lasts."""
PATIENCE_S = 3.0
"""How long one call lasts at most."""
TURN_S = 0.1
ANSWER_S = 0.7
"""How long it waits for one answer: a motor may take three pulses."""
LIFETIME_S = 9
PAST_S = 10
LONG_S = 60
NO_INTENT = -1000
"""Their wishes are nobody's intents: numbered downwards from here in the trace."""
OTHER_VIN = "URIG0000000000002"
INFOTAINMENT = int(universal_message_pb2.DOMAIN_INFOTAINMENT)
FILLERS = 19
"""So many more keys fill every key store."""


class Line(Protocol):
    """A way to the vehicle."""

    channel: str

    async def ask(self, message: bytes, uuid: bytes) -> vcp.RoutableMessage | None:
        """Sends a message; the answer to it, or None.

        Raises:
            LinkError: the way is gone.
        """


class _ByBluetooth:
    channel = "bluetooth"

    def __init__(self, world: World, link: Connection) -> None:
        self._world = world
        self._link = link

    async def ask(self, message: bytes, uuid: bytes) -> vcp.RoutableMessage | None:
        await self._link.write(message, Step.HANDSHAKE)
        kernel = self._world.kernel
        until = kernel.now + ANSWER_S * 1e6
        while kernel.now < until:
            try:
                answer = _parsed(await self._link.receive((until - kernel.now) / 1e6))
            except Timeout:
                return None
            if answer is not None and answer.request_uuid == uuid:
                return answer
        return None


class _ByCloud:
    channel = "cloud"

    def __init__(self, world: World) -> None:
        self._world = world

    async def ask(self, message: bytes, uuid: bytes) -> vcp.RoutableMessage | None:
        kernel, tcu = self._world.kernel, self._world.tcu
        await kernel.sleep(CAR_ONE_WAY_US / 1e6)
        if not tcu.reachable:
            raise LinkError("the car is offline")
        try:
            with kernel.timeout(ANSWER_S):
                answer = _parsed(await tcu.exchange(message))
        except Timeout:
            return None
        return answer if answer is not None and answer.request_uuid == uuid else None


class Valet:
    """The bad clients, and the second owner who changes the key list for some of them."""

    def __init__(self, world: World, keys: Keys) -> None:
        self._world = world
        self._identities = {"valet": keys.valet, **keys.more}
        self._clients: dict[str, Client] = {}
        self._wishes = 0
        self._busy = False
        self._wanted: list[str] = []
        self._valet_is = "enrol"
        self._settling = False
        self._fill = 0
        self._full = False
        self._fillers: list[vcp.Identity] = []

    def client(self, name: str) -> Client:
        """The client of one key.

        Raises:
            Unsupported: nobody said which key that is.
        """
        client = self._clients.get(name)
        if client is None:
            identity = self._identities.get(name)
            if identity is None:
                raise Unsupported(f"there is no key called {name} on this vehicle; enrol one to make this fault")
            client = self._clients[name] = Client(identity, self._world.vin, self._world.rng(name))
        return client

    def misbehave(self, manner: str, channel: int = 0, value: int = 0) -> Callable[[], None]:
        """Begins to err; the function returned ends it.

        Args:
            manner: of `MANNERS`.
            channel: 0 Bluetooth, 1 the cloud channel.
            value: what the manner says.

        Raises:
            Unsupported: the key for it is not enrolled.
        """
        for name in _NEEDED.get(manner, ("valet",)):
            self.client(name)
        how = "cloud" if channel else "bluetooth"
        task: Task[None] = self._world.kernel.spawn(self._insist(manner, how, value), name=f"valet {manner}", keep=True)
        return task.cancel

    async def _insist(self, manner: str, channel: str, value: int) -> None:
        kernel = self._world.kernel
        while True:
            await self._round(channel, lambda line: MANNERS[manner](self, line, value))
            await kernel.sleep(AGAIN_S)

    async def _round(self, channel: str, act: Callable[[Line], Coroutine[Any, Any, None]]) -> None:
        """One call on the vehicle, given up after a while; one at a time."""
        world = self._world
        while self._busy:
            await world.kernel.sleep(TURN_S)
        self._busy = True
        try:
            with world.kernel.timeout(PATIENCE_S):
                if channel == "cloud":
                    await act(_ByCloud(world))
                    return
                link = await world.air.connect(cached=True, always=True)
                try:
                    await act(_ByBluetooth(world, link))
                finally:
                    link.close()
        except (Timeout, LinkError):
            pass
        finally:
            self._busy = False

    # -- what all of them do -----------------------------------------------------------------------

    async def _session(self, line: Line, name: str) -> Client:
        """A fresh session each time: what these clients do wrong is what they do on purpose, and nothing else."""
        world, client = self._world, self.client(name)
        client.session = None
        request = client.handshake(world.kernel.now)
        answer = await line.ask(request.message, request.uuid)
        if answer is None or not client.take_session_info(answer, world.kernel.now):
            raise LinkError("no session")
        session = client.session
        assert session is not None, "session info was just taken"
        world.log("clock", name, session.epoch, session.clock_s, request.asked_us)
        return client

    async def _borrowed(self, line: Line, name: str, of: str) -> Client:
        """For a key that the vehicle gives no session: what another key's session info tells."""
        lender = await self._session(line, of)
        client = self.client(name)
        assert lender.session is not None, "it has just made one"
        client.borrow(lender.session)
        return client

    async def _send(self, line: Line, name: str, sent: Sent, index: int, flaw: str) -> Answer | None:
        world, client = self._world, self.client(name)
        sent.log(world, index, name, flaw)
        message = await line.ask(sent.message, sent.uuid)
        answer = client.read(message, sent, world.kernel.now) if message is not None else None
        if answer is not None and answer.information is None:
            world.log("answer", line.channel, sent.digest, answer.fault)
        return answer

    def _index(self) -> int:
        self._wishes += 1
        return NO_INTENT - self._wishes

    async def _say(
        self, line: Line, name: str, flaw: str, *, expires: int | None = None, twist: Twist = STRAIGHT, action: int = 0
    ) -> None:
        """Signs one command, sends it and hears the answer."""
        now, client = self._world.kernel.now, self.client(name)
        sent = client.command(action, line.channel, self._expires(client, expires), now, twist=twist)
        await self._send(line, name, sent, self._index(), flaw)

    def _expires(self, client: Client, expires: int | None) -> int:
        assert client.session is not None, "commands are signed in a session"
        return int(client.session.clock_at(self._world.kernel.now)) + LIFETIME_S if expires is None else expires

    async def _change(
        self, line: Line, name: str, change: KeyChange, subject: str, flaw: str = "", payload: bytes = b""
    ) -> int | None:
        """One operation on the key list; what it came to, or None if the vehicle did not say it for good."""
        now, client, index = self._world.kernel.now, self.client(name), self._index()
        sent = client.command(
            None, line.channel, self._expires(client, None), now, payload=payload or change.payload, word=change.what
        )
        answer = await self._send(line, name, sent, index, flaw)
        if answer is None or answer.information is None:
            return None
        done = change.answered(answer.information)
        if done is not None:
            self._world.log("keyop", index, subject, change.what, done)
        return done

    async def _all_wishes(self, line: Line, name: str, flaw: str, twist: Twist = STRAIGHT) -> None:
        """Unlock, and each second time drive or lock besides."""
        await self._say(line, name, flaw, twist=twist, action=vcp.UNLOCK)
        await self._say(line, name, flaw, twist=twist, action=(vcp.REMOTE_DRIVE, vcp.LOCK)[self._wishes // 2 % 2])

    # -- manners -----------------------------------------------------------------------------------

    def _clock(self, name: str) -> int:
        session = self.client(name).session
        assert session is not None, "a session was just made"
        return int(session.clock_at(self._world.kernel.now))

    async def _lifetime(self, line: Line, how: str, value: int) -> None:
        await self._session(line, "valet")
        for action in (vcp.UNLOCK, vcp.LOCK):
            clock = self._clock("valet")
            if how == "past" and clock <= PAST_S:
                # There is no such past yet.
                return
            expires = {"zero": 0, "past": clock - PAST_S, "long": clock + (value or LONG_S)}[how]
            await self._say(line, "valet", "lifetime", expires=expires, action=action)

    async def _zero(self, line: Line, value: int) -> None:
        await self._lifetime(line, "zero", value)

    async def _past(self, line: Line, value: int) -> None:
        await self._lifetime(line, "past", value)

    async def _long(self, line: Line, value: int) -> None:
        await self._lifetime(line, "long", value)

    async def _other_vin(self, line: Line, _value: int) -> None:
        await self._session(line, "valet")
        await self._all_wishes(line, "valet", "vin", Twist(vin=OTHER_VIN))

    async def _other_domain(self, line: Line, _value: int) -> None:
        await self._session(line, "valet")
        await self._all_wishes(line, "valet", "domain", Twist(domain=INFOTAINMENT, addressed=INFOTAINMENT))
        await self._all_wishes(line, "valet", "domain", Twist(domain=INFOTAINMENT))

    async def _monitor(self, line: Line, _value: int) -> None:
        await self._session(line, "monitor")
        await self._all_wishes(line, "monitor", "role")

    async def _cloud_only(self, line: Line, value: int) -> None:
        name = ("service", "fm")[value]
        await self._session(line, name)
        await self._all_wishes(line, name, "role")

    async def _service_drives(self, line: Line, _value: int) -> None:
        await self._session(line, "service")
        await self._say(line, "service", "role", action=vcp.REMOTE_DRIVE)

    async def _disabled(self, line: Line, _value: int) -> None:
        await self._session(line, "disabled")
        await self._all_wishes(line, "disabled", "disabled")

    async def _not_owner(self, line: Line, _value: int) -> None:
        """A driver's key enrols another one, makes itself an owner, takes an owner off; then the new one is used."""
        await self._session(line, "valet")
        spare, own = self.client("spare").identity.public, self.client("valet").identity.public
        keeper = self.client("keeper").identity.public
        for subject, what, change in (
            ("spare", "enrol", vcp.WhitelistChange("add", spare, OWNER)),
            ("valet", "enrol", vcp.WhitelistChange("change", own, OWNER)),
            ("keeper", "revoke", vcp.WhitelistChange("remove", keeper)),
        ):
            payload = vcp.whitelist_payload(change)
            await self._change(line, "valet", KeyChange(what, change.public), subject, "role", payload)
        await self._borrowed(line, "spare", "valet")
        await self._all_wishes(line, "spare", "unknown")

    async def _burn(self, line: Line) -> int:
        """Uses one counter up by a command that is genuine and not allowed; returns it.

        Raises:
            LinkError: the vehicle did not say that it took it.
        """
        client, index = self.client("valet"), self._index()
        change = KeyChange("enrol", self.client("spare").identity.public)
        now, expires = self._world.kernel.now, self._expires(client, None)
        sent = client.command(None, line.channel, expires, now, payload=change.payload, word=change.what)
        answer = await self._send(line, "valet", sent, index, "role")
        if answer is None or answer.fault != int(vcp.Fault.INSUFFICIENT_PRIVILEGES):
            raise LinkError("the counter may not have been used")
        return sent.counter

    async def _counter_zero(self, line: Line, _value: int) -> None:
        await self._session(line, "valet")
        await self._all_wishes(line, "valet", "counter", Twist(counter=0))

    async def _counter_behind(self, line: Line, _value: int) -> None:
        await self._session(line, "valet")
        used = await self._burn(line)
        await self._all_wishes(line, "valet", "counter", Twist(counter=used))

    async def _counter_rolled_back(self, line: Line, _value: int) -> None:
        await self._session(line, "valet")
        await self._burn(line)
        used = await self._burn(line)
        await self._all_wishes(line, "valet", "counter", Twist(counter=max(1, used - 1)))

    async def _epoch_old(self, line: Line, _value: int) -> None:
        client = await self._session(line, "valet")
        assert client.session is not None, "it has just made one"
        gone = bytes(b ^ 0xA5 for b in client.session.epoch)
        await self._all_wishes(line, "valet", "epoch", Twist(epoch=gone))

    async def _off_the_list(self, line: Line, _value: int) -> None:
        """The valet's key, after the second owner has taken its rights and the vehicle has said so.

        What the key may then is told by the answers of the key list; these commands have no other flaw.
        """
        if self._valet_is == "enrol" or self._valet_is != self._want_valet():
            return
        await self._borrowed(line, "valet", "monitor")
        await self._all_wishes(line, "valet", "")

    # -- the second owner --------------------------------------------------------------------------

    def lose_rights(self, what: str, channel: int = 0) -> Callable[[], None]:
        """The second owner revokes, disables, demotes or rotates the valet's key, which goes on trying.

        The function returned ends the trying and gives the key its rights back.

        Raises:
            Unsupported: there is no second owner on this vehicle.
        """
        for name in ("keeper", "monitor", "spare"):
            self.client(name)
        self._wanted.append(what)
        self._reconcile()
        stop = self.misbehave("off_the_list", channel)

        def end() -> None:
            stop()
            if what in self._wanted:
                self._wanted.remove(what)
            self._reconcile()

        return end

    def fill_the_store(self) -> Callable[[], None]:
        """The second owner enrols keys until the vehicle takes no more; at the end they are taken off again."""
        self.client("keeper")
        self._fill += 1
        self._reconcile()

        def end() -> None:
            self._fill -= 1
            self._reconcile()

        return end

    def _want_valet(self) -> str:
        return self._wanted[-1] if self._wanted else "enrol"

    def _settled(self) -> bool:
        stored = self._full if self._fill else not self._fillers
        return stored and self._valet_is == self._want_valet()

    def _reconcile(self) -> None:
        if not self._settling and not self._settled():
            self._settling = True
            self._world.kernel.spawn(self._settle(), name="second owner", keep=True)

    async def _settle(self) -> None:
        while not self._settled():
            await self._round("bluetooth", self._work)
            if not self._settled():
                await self._world.kernel.sleep(0.5)
        self._settling = False

    async def _work(self, line: Line) -> None:
        await self._session(line, "keeper")
        if self._valet_is != self._want_valet():
            await self._move_valet(line, self._want_valet())
        while self._fill and not self._full:
            filler = vcp.Identity.from_seed(b"filler %d" % len(self._fillers))
            answer = await self._operate(line, "enrol", filler.public, f"filler {len(self._fillers)}")
            self._full = answer == FULL
            if answer == DONE:
                self._fillers.append(filler)
        while not self._fill and self._fillers:
            name = f"filler {len(self._fillers) - 1}"
            if await self._operate(line, "revoke", self._fillers[-1].public, name) == DONE:
                self._fillers.pop()
            self._full = False

    async def _move_valet(self, line: Line, want: str) -> None:
        valet, spare = self.client("valet").identity.public, self.client("spare").identity.public
        if self._valet_is == "rotate" and await self._operate(line, "revoke", spare, "spare") != DONE:
            return
        if want in ("disable", "demote") and await self._operate(line, "enrol", valet, "valet") != DONE:
            # It may have been off the list; there it could be given no role.
            return
        if await self._operate(line, "revoke" if want == "rotate" else want, valet, "valet") != DONE:
            return
        # The new key takes the old one's place, so that a full store stays as full as it was.
        if want != "rotate" or await self._operate(line, "enrol", spare, "spare") == DONE:
            self._valet_is = want

    async def _operate(self, line: Line, what: str, public: bytes, subject: str) -> int:
        """One operation, until it is answered for good.

        Raises:
            LinkError: no answer that says so.
        """
        change = KeyChange(what, public)
        while True:
            sent = change.change
            done = await self._change(line, "keeper", change, subject)
            if done is not None:
                return done
            if change.change == sent:
                raise LinkError("the operation was not answered")


Manner = Callable[[Valet, Line, int], Coroutine[Any, Any, None]]

MANNERS: Mapping[str, Manner] = {
    "zero": Valet._zero,
    "past": Valet._past,
    "long": Valet._long,
    "other_vin": Valet._other_vin,
    "other_domain": Valet._other_domain,
    "monitor": Valet._monitor,
    "cloud_only": Valet._cloud_only,
    "service_drives": Valet._service_drives,
    "disabled": Valet._disabled,
    "not_owner": Valet._not_owner,
    "counter_zero": Valet._counter_zero,
    "counter_behind": Valet._counter_behind,
    "counter_rolled_back": Valet._counter_rolled_back,
    "epoch_old": Valet._epoch_old,
    "off_the_list": Valet._off_the_list,
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "monitor": ("monitor",),
    "cloud_only": ("service", "fm"),
    "service_drives": ("service",),
    "disabled": ("disabled",),
    "not_owner": ("valet", "spare", "keeper"),
    "counter_behind": ("valet", "spare"),
    "counter_rolled_back": ("valet", "spare"),
}


def _parsed(raw: bytes) -> vcp.RoutableMessage | None:
    try:
        return vcp.parse(raw)
    except vcp.VcpError:
        return None


__all__ = ["MANNERS", "NO_INTENT", "Valet"]
