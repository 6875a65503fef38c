"""The driver's phone: an app with a key, that tries Bluetooth first and then the server.

Tells the driver what it knows and nothing else. Its rules are those of the vehicle-command protocol's clients;
the crypto is in `rig.world.client`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rig.kernel import Kernel, Task, Timeout
from rig.protocol import vcp
from rig.scenario import Intent, Via
from rig.world.bluetooth import Connection, LinkError, Step
from rig.world.client import UNSETTLED, Answer, Client, Sent, Session
from rig.world.gates import Gate
from rig.world.internet import NoNetwork, Response
from rig.world.keylist import KEYOPS, KeyChange

if TYPE_CHECKING:
    from rig.world.world import World

BLUETOOTH_WARM_US = 3_000_000
BLUETOOTH_COLD_US = 5_000_000
"""How long the ladder stays with Bluetooth, with and without a session (vehicle.md section 2)."""
NEEDED_US = 2_000_000
"""No command is started with less time left than this: it could not be done before it expires."""
ANSWER_US = 2_000_000
"""After this long without an answer the app sends the wish again, as a new command."""
REQUEST_US = 6_000_000
"""The app's own limit for one request to the server."""
BACK_OFF_FIRST_S = 0.5
BACK_OFF_LONGEST_S = 5.0
RESYNC_S = 0.1
HOLD_US = 20_000_000
"""How long the app keeps the connection that authorised driving, if nobody wishes anything more: ours."""
LAPSE_WATCH_US = 3_000_000
"""What is left of a run after that: the authority lapses within 2 s (DRV-2)."""
ACTIONS = {"unlock": vcp.UNLOCK, "lock": vcp.LOCK, "drive": vcp.REMOTE_DRIVE}
DONE_WORDS = {"unlock": "opened", "lock": "locked", "drive": "driving"}
"""What the app tells when the vehicle has answered that it is done."""


@dataclass(slots=True)
class Attempt:
    """One wish being pursued."""

    index: int
    want: str
    via: Via
    started_us: int
    deadline_us: int
    change: KeyChange | None = None
    """The owner's wish on the guest's key; None: an action."""
    sent: list[Sent] = field(default_factory=list)
    acted: set[str] = field(default_factory=set)
    outcome: str = ""
    detail: str = ""

    @property
    def settled(self) -> bool:
        """Whether the app knows how it ended."""
        return bool(self.outcome)

    def find(self, answer_to: bytes) -> Sent | None:
        """The command an answer belongs to, by the return address it was sent with."""
        for sent in reversed(self.sent):
            if sent.routing == answer_to:
                return sent
        return None


class Phone:
    """The app, its key and its account.

    Attributes:
        identity: its key.
        name: "phone" is the driver's, whom the faults of phones and their Bluetooth befall.
        killed: the app does not run; what it had in memory is lost.
        empty: the phone is off.
        locked: it has started anew and nobody has unlocked it yet: the key cannot be used.
        signed_out: the app has no account.
    """

    def __init__(self, world: World, identity: vcp.Identity, name: str = "phone") -> None:
        self._world = world
        self._kernel: Kernel = world.kernel
        self.identity = identity
        self.name = name
        self.client: Client = Client(identity, world.vin, world.rng(name))
        self.client.on_doubt = lambda asked_us: world.log("doubt", name, asked_us)
        self.killed: Gate = Gate()
        self.empty: Gate = Gate()
        self.locked: Gate = Gate()
        self.signed_out: Gate = Gate()
        self._drivers = name == "phone"
        self._access, self._refresh = world.server.sign_in()
        self._cached = False
        self._tries: list[Task[None]] = []
        self._held: Connection | None = None
        self.killed.watch(self._app_ends)
        self.empty.watch(self._power_ends)
        self.locked.watch(self._power_ends)

    @property
    def session(self) -> Session | None:
        """The session with the vehicle, if there is one."""
        return self.client.session

    async def warm_up(self, until_us: int) -> None:
        """Makes a session over Bluetooth, as an app does that was used lately."""
        try:
            with self._kernel.timeout((until_us - self._kernel.now) / 1e6):
                link = await self._world.air.connect(cached=False, always=not self._drivers)
                try:
                    self._cached = True
                    await self._handshake(link)
                finally:
                    link.close()
        except (Timeout, LinkError):
            self._world.log("session", -1, "none")

    async def pursue(self, index: int, intent: Intent, started_us: int, deadline_us: int) -> None:
        """Tries what the intent allows until it is settled or the time is over, then tells the driver.

        An app that dies meanwhile goes on when it runs again; if it does not, the driver sees that nothing came of it.
        """
        kernel = self._kernel
        self._let_go(self._held)
        change = KeyChange(intent.want, self._world.guest.identity.public) if intent.want in KEYOPS else None
        attempt = Attempt(index, intent.want, intent.via, started_us, deadline_us, change)
        while not attempt.settled and await self._runs(deadline_us):
            task = kernel.spawn(self._try(attempt), name=f"{self.name} wish {index}")
            self._tries.append(task)
            try:
                await task.join()
            finally:
                self._tries.remove(task)
            if not task.cancelled:
                break
        if not attempt.settled:
            await kernel.sleep(max(0, deadline_us - kernel.now) / 1e6)
            attempt.outcome = "unknown" if attempt.sent else "refused"
            attempt.detail = "no answer in time" if attempt.sent else "nothing could be sent"
        self._world.log("told", index, attempt.outcome, attempt.detail)

    async def _try(self, attempt: Attempt) -> None:
        """Bluetooth, then the server, as the intent allows."""
        if attempt.via in ("ladder", "bluetooth"):
            warm = self.session is not None
            if "bluetooth" not in attempt.acted:
                first = ("first",) if warm and not self._cached else ()
                self._world.log("session", attempt.index, "warm" if warm else "cold", *first)
            self._act(attempt, "bluetooth")
            window = BLUETOOTH_WARM_US if warm else BLUETOOTH_COLD_US
            until = attempt.deadline_us if attempt.via == "bluetooth" else attempt.started_us + window
            await self._bluetooth(attempt, until, give_up_if_off=attempt.via == "ladder")
        if attempt.via in ("ladder", "cloud") and not attempt.settled and not self.signed_out:
            self._act(attempt, "cloud")
            await self._cloud(attempt)

    def _act(self, attempt: Attempt, path: str) -> None:
        """Notes the first act on a path."""
        if path not in attempt.acted:
            attempt.acted.add(path)
            self._world.log("act", attempt.index, path)

    # -- the app's life ----------------------------------------------------------------------------

    async def _runs(self, until_us: int) -> bool:
        """Waits until the app runs; False if it does not in time."""
        kernel = self._kernel
        try:
            with kernel.timeout(max(0, until_us - kernel.now) / 1e6):
                while self.killed or self.empty or self.locked:
                    for gate in (self.killed, self.empty, self.locked):
                        await gate.cleared(kernel)
        except Timeout:
            return False
        return kernel.now < until_us

    def _app_ends(self, killed: bool) -> None:
        """Its links are closed by the system, in order."""
        if killed:
            if self._drivers:
                self._world.air.phone_closes()
            self._forget_all()

    def _power_ends(self, off: bool) -> None:
        """Its radio is gone with it, without a word."""
        if off:
            if self._drivers:
                self._world.air.phone_off()
            self._forget_all()

    def _forget_all(self) -> None:
        """What was in memory is lost; counters are kept with the key, since they must never be used again."""
        self.client.session = None
        self._held = None
        self._world.internet.drop_connection()
        for task in list(self._tries):
            task.cancel()

    # -- bluetooth ---------------------------------------------------------------------------------

    async def _bluetooth(self, attempt: Attempt, until_us: int, give_up_if_off: bool) -> None:
        kernel = self._kernel
        air = self._world.air
        try:
            with kernel.timeout(max(0, until_us - kernel.now) / 1e6):
                while not attempt.settled:
                    if give_up_if_off and self._drivers and air.radio_off:
                        return
                    try:
                        link = await air.connect(self._cached, always=not self._drivers)
                    except LinkError:
                        await kernel.sleep(BACK_OFF_FIRST_S)
                        continue
                    try:
                        self._cached = True
                        if self.session is None:
                            await self._handshake(link)
                        await self._command_over(link, attempt)
                        return
                    except LinkError:
                        pass
                    finally:
                        if attempt.want == "drive" and attempt.outcome == DONE_WORDS["drive"]:
                            self._hold(link)
                        else:
                            link.close()
        except Timeout:
            pass

    def _hold(self, link: Connection) -> None:
        """Driving stays authorised as long as the connection lives: the app keeps it."""
        self._let_go(self._held)
        self._held = link
        self._world.outlast(HOLD_US + LAPSE_WATCH_US)
        self._kernel.after(HOLD_US, self._let_go, link)

    def _let_go(self, link: Connection | None) -> None:
        """Closes the connection that was kept, if it still is."""
        if link is not None and link is self._held:
            self._held = None
            link.close()

    async def _handshake(self, link: Connection) -> None:
        """Asks for session info until it has come."""
        kernel = self._kernel
        while self.session is None:
            request = self.client.handshake(kernel.now)
            await link.write(request.message, Step.HANDSHAKE)
            until = kernel.now + ANSWER_US
            while self.session is None and kernel.now < until:
                message = await self._receive(link, until)
                if message is not None and self.client.take_session_info(message, kernel.now):
                    self._log_clock(request.asked_us)

    async def _receive(self, link: Connection, until_us: int) -> vcp.RoutableMessage | None:
        """The next message that can be read; None if time is up. Raises LinkError if the link goes."""
        try:
            raw = await link.receive(max(0, until_us - self._kernel.now) / 1e6)
        except Timeout:
            return None
        try:
            return vcp.parse(raw)
        except vcp.VcpError:
            return None

    async def _command_over(self, link: Connection, attempt: Attempt) -> None:
        """Sends the wish and waits; sends it anew when an answer settles nothing or none comes."""
        kernel = self._kernel
        while not attempt.settled and self.session is not None and attempt.deadline_us - kernel.now >= NEEDED_US:
            sent = self._sign(attempt, "bluetooth")
            await link.write(sent.message, Step.COMMAND)
            until = kernel.now + ANSWER_US
            while kernel.now < until:
                message = await self._receive(link, until)
                if message is None:
                    continue
                answer, of = self._read(message, attempt)
                if answer is None or of is None:
                    continue
                self._log_answer("bluetooth", of, answer)
                self._settle(attempt, answer, of)
                if attempt.settled:
                    return
                await kernel.sleep(RESYNC_S)
                break

    # -- cloud -------------------------------------------------------------------------------------

    async def _cloud(self, attempt: Attempt) -> None:
        kernel = self._kernel
        back_off_s = BACK_OFF_FIRST_S
        try:
            with kernel.timeout(max(0, attempt.deadline_us - kernel.now) / 1e6):
                while not attempt.settled and not self.signed_out and kernel.now < attempt.deadline_us:
                    wait_s = await self._cloud_round(attempt, back_off_s)
                    if attempt.settled:
                        return
                    await kernel.sleep(wait_s)
                    back_off_s = min(back_off_s * 2, BACK_OFF_LONGEST_S) if wait_s > RESYNC_S else back_off_s
        except Timeout:
            pass

    async def _cloud_round(self, attempt: Attempt, back_off_s: float) -> float:
        """One request to the vehicle through the server; returns how long to wait before the next."""
        kernel = self._kernel
        if self.session is None:
            request = self.client.handshake(kernel.now)
            message = await self._post(request.message)
            if isinstance(message, float):
                return max(message, back_off_s)
            if message is not None and self.client.take_session_info(message, kernel.now):
                self._log_clock(request.asked_us)
                return 0.0
            return back_off_s
        if attempt.deadline_us - kernel.now < NEEDED_US:
            return max(0, attempt.deadline_us - kernel.now) / 1e6
        sent = self._sign(attempt, "cloud")
        message = await self._post(sent.message)
        if isinstance(message, float):
            return max(message, back_off_s)
        if message is None:
            return back_off_s
        answer, of = self._read(message, attempt)
        if answer is None or of is None:
            return back_off_s
        self._log_answer("cloud", of, answer)
        self._settle(attempt, answer, of)
        return RESYNC_S

    async def _post(self, message: bytes) -> vcp.RoutableMessage | float | None:
        """Posts a signed command; the vehicle's answer, None for none, or seconds the server asks to wait."""
        path = f"/api/1/vehicles/{self._world.vin}/signed_command"
        body = {"routable_message": base64.b64encode(message).decode()}
        response = await self._call(path, self._access, body)
        if response is not None and response.status == 401:
            token = await self._call("/oauth2/v3/token", "", {"refresh_token": self._refresh})
            fresh = token.body if token is not None and token.status == 200 else {}
            if "access_token" in fresh and "refresh_token" in fresh:
                self._access, self._refresh = fresh["access_token"], fresh["refresh_token"]
                response = await self._call(path, self._access, body)
        if response is None:
            return None
        if response.status != 200:
            return float(response.retry_after_s)
        try:
            return vcp.parse(base64.b64decode(response.body.get("response", ""), validate=True))
        except (binascii.Error, vcp.VcpError):
            return None

    async def _call(self, path: str, token: str, body: dict[str, str]) -> Response | None:
        """One request; None if it failed or took too long."""
        internet = self._world.internet
        try:
            with self._kernel.timeout(REQUEST_US / 1e6):
                return await internet.call(path, token, body)
        except (Timeout, NoNetwork):
            internet.drop_connection()
            return None

    # -- both --------------------------------------------------------------------------------------

    def _sign(self, attempt: Attempt, channel: str) -> Sent:
        """Signs the wish so that it expires before the intent does."""
        now = self._kernel.now
        session = self.client.session
        assert session is not None, "no command without a session"
        expires = int(session.clock_at(now) + (attempt.deadline_us - now) / 1e6) - 1
        if attempt.change is not None:
            sent = self.client.command(None, channel, expires, now, payload=attempt.change.payload, word=attempt.want)
        else:
            sent = self.client.command(ACTIONS[attempt.want], channel, expires, now)
        attempt.sent.append(sent)
        sent.log(self._world, attempt.index, self.name)
        return sent

    def _read(self, message: vcp.RoutableMessage, attempt: Attempt) -> tuple[Answer | None, Sent | None]:
        sent = attempt.find(message.to_destination.routing_address)
        if sent is None:
            return None, None
        return self.client.read(message, sent, self._kernel.now), sent

    def _settle(self, attempt: Attempt, answer: Answer, sent: Sent) -> None:
        if attempt.change is not None and answer.fault == 0:
            self._settle_change(attempt, attempt.change, answer)
        elif answer.fault == 0:
            attempt.outcome = DONE_WORDS[attempt.want]
        elif answer.fault not in UNSETTLED:
            unanswered = len(attempt.sent) > 1
            attempt.outcome = "unknown" if unanswered else "refused"
            attempt.detail = vcp.fault_name(answer.fault)
        if answer.resynchronised:
            self._log_clock(sent.signed_us)

    def _settle_change(self, attempt: Attempt, change: KeyChange, answer: Answer) -> None:
        """What the vehicle says of the key list; it may be that another operation is to be tried."""
        done = change.answered(answer.information) if answer.information is not None else None
        if done is None:
            return
        self._world.log("keyop", attempt.index, "guest", change.what, done)
        attempt.outcome = "refused" if done else "done"
        attempt.detail = f"key list {done}" if done else ""

    def _log_answer(self, channel: str, sent: Sent, answer: Answer) -> None:
        self._world.log("answer", channel, sent.digest, answer.fault)

    def _log_clock(self, asked_us: int) -> None:
        session = self.client.session
        if session is not None:
            self._world.log("clock", self.name, session.epoch, session.clock_s, asked_us)
