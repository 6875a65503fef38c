"""The client's side of the vehicle-command protocol: one key, its session, its commands and their answers.

Sans-I/O. Shares the encoders with the emulated ECU, which is why those are tested against published vectors.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.protocol import vcp
from rig.world.digest import digest
from rig.world.gates import Gate

if TYPE_CHECKING:
    from rig.world.world import World

UNSETTLED = frozenset(int(f) for f in vcp.UNSETTLED)
"""Answers that may belong to a copy of the command; the client goes on waiting and tries again."""
WORDS = {vcp.UNLOCK: "unlock", vcp.LOCK: "lock", vcp.REMOTE_DRIVE: "drive"}
"""What the trace calls the actions."""


@dataclass(slots=True)
class Session:
    """What the client knows of the vehicle's clock, epoch and counter."""

    vehicle_public: bytes
    epoch: bytes
    clock_s: int
    received_us: int

    def clock_at(self, now_us: int) -> float:
        """The vehicle's clock now, in seconds; never ahead of the vehicle's own."""
        return self.clock_s + (now_us - self.received_us) / 1e6


@dataclass(frozen=True, slots=True)
class Request:
    """A handshake under way."""

    message: bytes
    uuid: bytes
    asked_us: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that was signed, and what is needed to recognise and open its answer."""

    message: bytes
    digest: str
    routing: bytes
    uuid: bytes
    shared: bytes
    request_hash: bytes
    channel: str
    action: int
    epoch: bytes
    counter: int
    expires_at: int
    signed_us: int
    command: str = "unlock"

    def log(self, world: World, index: int, key: str, flaw: str = "") -> None:
        """Writes the signing into the trace; `flaw` says what is wrong with the command on purpose."""
        world.log(
            "sign", self.digest, index, key, self.channel, self.command, self.epoch, self.counter, self.expires_at, flaw
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vehicle answered: its fault (0: executed), and whether fresh session info came with it.

    `information` is what the vehicle says of an operation on its key list: 0 for done; None: it says nothing.
    """

    fault: int
    resynchronised: bool
    information: int | None = None


@dataclass(frozen=True, slots=True)
class Twist:
    """What a client does to a command on purpose; what is None is as it should be."""

    vin: str | None = None
    domain: int = vcp.DOMAIN
    addressed: int = vcp.DOMAIN
    epoch: bytes | None = None
    counter: int | None = None


STRAIGHT = Twist()


class Client:
    """One key and its session with one vehicle."""

    def __init__(self, identity: vcp.Identity, vin: str, rng: random.Random) -> None:
        self.identity = identity
        self._vin = vin
        self._rng = rng
        self.session: Session | None = None
        self._counters: dict[bytes, int] = {}
        self._requests: list[Request] = []
        self._used: dict[bytes, set[int]] = {}
        self.skips: Gate = Gate()
        """Held with how many counters the client leaves out before each command."""
        self.on_doubt: Callable[[int], None] | None = None
        """Told when a handshake was made whose answer does not authenticate."""

    def handshake(self, now_us: int) -> Request:
        """A request for session info."""
        request = Request(b"", self._rng.randbytes(16), now_us)
        message = vcp.build_handshake(self.identity, self._rng.randbytes(16), request.uuid)
        request = Request(message, request.uuid, now_us)
        self._requests = [*self._requests[-3:], request]
        return request

    def take_session_info(self, message: vcp.RoutableMessage, now_us: int) -> bool:
        """Takes authentic session info that answers one of the last handshakes."""
        if message.WhichOneof("payload") != "session_info":
            return False
        if any(self._take(message, request.uuid, now_us) for request in self._requests):
            return True
        if self.on_doubt is not None:
            for request in self._requests:
                if request.uuid == message.request_uuid and not self._authentic(message, request.uuid):
                    self.on_doubt(request.asked_us)
        return False

    def borrow(self, session: Session) -> None:
        """Takes over what another client was told, as one does to whom the vehicle gives no session any more.

        Goes on with counters above all it ever used, so that a vehicle refuses it for its rights and nothing else.
        """
        self.session = session
        self._counters[session.epoch] = max(self._counters.values(), default=0)

    def _authentic(self, message: vcp.RoutableMessage, challenge: bytes) -> bool:
        try:
            return vcp.read_session_info(self.identity, self._vin, challenge, message) is not None
        except vcp.VcpError:
            return False

    def _take(self, message: vcp.RoutableMessage, challenge: bytes, now_us: int) -> bool:
        known = self.session.vehicle_public if self.session is not None else None
        try:
            info = vcp.read_session_info(self.identity, self._vin, challenge, message, known)
        except vcp.VcpError:
            return False
        if info is None or info.status != vcp.STATUS_OK:
            return False
        old = self.session
        if old is not None and old.epoch == info.epoch and info.clock_s < old.clock_s:
            return False
        # The counter is never lowered within an epoch (page, "Recovering from synchronization errors").
        self._counters[info.epoch] = max(self._counters.get(info.epoch, 0), info.counter)
        self.session = Session(info.public, info.epoch, info.clock_s, now_us)
        return True

    def command(
        self,
        action: int | None,
        channel: str,
        expires_at: int,
        now_us: int,
        *,
        payload: bytes = b"",
        word: str = "",
        twist: Twist = STRAIGHT,
    ) -> Sent:
        """Signs a command with the next counter.

        Args:
            action: of the RKEActions; None: `payload` says what, and `word` is what the trace calls it.
            channel: "bluetooth" or "cloud".
            expires_at: in seconds of the vehicle's clock.
            now_us: the time.
            payload: a serialised UnsignedMessage.
            word: see `action`.
            twist: what is wrong with it on purpose.
        """
        session = self.session
        assert session is not None, "no command without a session"
        counter = twist.counter
        if counter is None:
            counter = self._counters.get(session.epoch, 0) + 1 + self.skips.value
            self._counters[session.epoch] = counter
        routing, uuid, nonce = self._rng.randbytes(16), self._rng.randbytes(16), self._rng.randbytes(12)
        expires = max(0, expires_at)
        epoch = session.epoch if twist.epoch is None else twist.epoch
        built = vcp.build_command(
            identity=self.identity,
            vehicle_public=session.vehicle_public,
            vin=self._vin if twist.vin is None else twist.vin,
            channel=channel,
            action=action,
            payload=payload,
            epoch=epoch,
            counter=counter,
            expires_at=expires,
            routing=routing,
            uuid=uuid,
            nonce=nonce,
            domain=twist.domain,
            addressed=twist.addressed,
        )
        return Sent(
            built.message, digest(built.message), routing, uuid, built.shared, built.request_hash, channel,
            -1 if action is None else action, epoch, counter, expires, now_us,
            word if action is None else WORDS[action],
        )  # fmt: skip

    def read(self, message: vcp.RoutableMessage, sent: Sent, now_us: int) -> Answer | None:
        """What an answer to a command says; None if it says nothing that may be trusted.

        Success counts only if it is sealed: a plain empty answer can be made by any carrier. A plain fault is
        taken as said, since some cannot be sealed.
        """
        resynchronised = self._take(message, sent.uuid, now_us)
        try:
            answer = vcp.read_response(sent.shared, self._vin, sent.request_hash, message)
        except vcp.VcpError:
            return None
        if answer.fault:
            return Answer(answer.fault, resynchronised)
        if not answer.sealed or answer.payload is None:
            return None
        used = self._used.setdefault(sent.request_hash, set())
        if answer.counter in used:
            return None
        used.add(answer.counter)
        if answer.payload != vcp.EXECUTED:
            return self._application(answer.payload)
        return Answer(0, resynchronised)

    def _application(self, payload: bytes) -> Answer | None:
        """An answer with content: an error of the application, or one to go on waiting after."""
        try:
            message = vcp.parse_from_vcsec(payload)
        except vcp.VcpError:
            return None
        kind = message.WhichOneof("sub_message")
        if kind == "nominalError":
            return Answer(int(vcp.Fault.INTERNAL), False)
        status = message.commandStatus
        if kind == "commandStatus" and status.WhichOneof("sub_message") == "whitelistOperationStatus":
            return Answer(0, False, int(status.whitelistOperationStatus.whitelistOperationInformation))
        return None
