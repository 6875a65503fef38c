"""The vehicle-command protocol, ECU's side: handshake, authentication of commands, answers.

Checks every credential itself; knows nothing of motors, and trusts no carrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware.ecu.admission import EntropyFailure
from hardware.ecu.config import MENDED_BY_SESSION_INFO, Reason, Source
from hardware.ecu.connections import MOST, Connection
from hardware.ecu.memory import KeyRecord
from hardware.ecu.whitelist import DONE
from rig.protocol import vcp
from rig.protocol.vcp import Fault, Signed, VcpError

if TYPE_CHECKING:
    from hardware.ecu.core import Core

OPENED, CLOSED = 0x80, 0xC0
CLOUD_HANDLE = 0x00
REPORT_TAKEN = b"\x06"
LONGEST_NAME = 16
"""Routing address and uuid have at most 16 bytes (published protocol page, "Message encoding")."""

_SIGNATURE_OF = {Source.BLUETOOTH: vcp.TYPE_GCM, Source.CLOUD: vcp.TYPE_HMAC}
_NAMES = {vcp.UNLOCK: "unlock", vcp.LOCK: "lock", vcp.REMOTE_DRIVE: "drive"}


@dataclass(frozen=True, slots=True)
class Link:
    """Where a message came from and its answer goes: the cloud, or a Bluetooth connection."""

    source: Source
    connection: Connection | None = None

    def __str__(self) -> str:
        return "cloud" if self.connection is None else f"bluetooth {self.connection.handle}"


@dataclass(frozen=True, slots=True)
class Asked:
    """An authenticated command and what its answer needs."""

    link: Link
    command: Signed
    key: KeyRecord
    shared: bytes


class Access:
    """Takes payloads of both channels.

    Attributes:
        DOMAINS: messages to other domains are refused.
        ANSWER_STEP: between the numbers of two sealed answers; they need only rise.
    """

    DOMAINS = frozenset({vcp.DOMAIN})
    ANSWER_STEP = 1

    def __init__(self, core: Core) -> None:
        self.core = core
        self._answers = 0

    # What comes in

    def bluetooth(self, payload: bytes) -> None:
        """A payload of the Bluetooth channel."""
        head = payload[0]
        connections = self.core.connections
        if len(payload) == 1:
            if head & 0x3F < MOST:
                if head & 0xC0 == OPENED:
                    connections.opened(head & 0x3F)
                elif head & 0xC0 == CLOSED:
                    connections.closed(head & 0x3F)
        elif head < MOST:
            connection = connections.of(head)
            if connection is not None:
                self._message(payload[1:], Link(Source.BLUETOOTH, connection))

    def cloud(self, payload: bytes) -> None:
        """A payload of the cloud channel."""
        if payload == REPORT_TAKEN:
            self.core.report.taken()
        elif len(payload) > 1 and payload[0] == CLOUD_HANDLE:
            self._message(payload[1:], Link(Source.CLOUD))

    def _message(self, data: bytes, link: Link) -> None:
        try:
            message = vcp.parse(data)
        except VcpError as error:
            self.unreadable(link, error)
            return
        routing, uuid = message.from_destination.routing_address, message.uuid
        if not (routing or uuid) or len(routing) > LONGEST_NAME or len(uuid) > LONGEST_NAME:
            return
        if message.to_destination.domain not in self.DOMAINS:
            self._plain(link, routing, uuid, Fault.INVALID_DOMAINS)
            return
        self.core.sleep.activity()
        public = vcp.handshake_key(message)
        if public is not None:
            self._handshake(link, public, routing, uuid)
            return
        command = vcp.signed(message)
        if command is None:
            self._plain(link, routing, uuid, Fault.UNKNOWN_KEY_ID)
        else:
            self._command(link, command)

    def unreadable(self, link: Link, error: VcpError) -> None:
        """A message that is none: it names no return address that could be answered."""
        self.core.log(f"{link} ignored {error.fault.name}")

    # Handshake

    def _handshake(self, link: Link, public: bytes, routing: bytes, uuid: bytes) -> None:
        core = self.core
        if not core.random_works():
            self._plain(link, routing, uuid, Fault.INTERNAL)
            return
        core.cpu.charge(core.cpu.SIGNATURE_US)
        try:
            shared = vcp.shared_key(core.config.identity, public)
            self._send(link, self._session_info(shared, public, routing, uuid, Fault.NONE))
        except VcpError:
            self._plain(link, routing, uuid, Fault.BAD_PARAMETER)
            return
        core.log(f"{link} handshake")

    def _session_info(self, shared: bytes, public: bytes, routing: bytes, uuid: bytes, fault: Fault) -> bytes:
        core = self.core
        key = core.store.image.find(public)
        info = vcp.SessionInfo(
            counter=key.counter if key is not None else 0,
            public=core.config.identity.public,
            epoch=core.epoch,
            clock_s=core.freshness.clock_s,
            status=vcp.STATUS_OK if key is not None else vcp.STATUS_NOT_ENROLLED,
        )
        return vcp.build_session_info(
            shared, vin=core.config.vin, info=info, routing=routing, uuid=uuid, fault=int(fault)
        )

    # Commands

    def _command(self, link: Link, command: Signed) -> None:
        core = self.core
        key = core.store.image.find(command.public)
        if key is None:
            self._plain(link, command.routing, command.uuid, Fault.UNKNOWN_KEY_ID)
            return
        if command.sig_type != _SIGNATURE_OF[link.source]:
            self._plain(link, command.routing, command.uuid, Fault.BAD_PARAMETER)
            return
        if not core.random_works() and not core.epoch:
            # Nothing can be meant for this life yet.
            self._plain(link, command.routing, command.uuid, Fault.INTERNAL)
            return
        asked = Asked(link, command, key, vcp.shared_key(core.config.identity, command.public))
        if command.epoch and command.epoch != core.epoch:
            self._resynchronise(asked, Fault.INCORRECT_EPOCH)
            return
        core.cpu.charge(core.cpu.SIGNATURE_US)
        try:
            plaintext = self.open(asked.shared, command)
        except VcpError as error:
            if error.fault in MENDED_BY_SESSION_INFO:
                self._resynchronise(asked, error.fault)
            else:
                self._plain(link, command.routing, command.uuid, error.fault)
            return
        if link.connection is not None:
            core.connections.proven(link.connection)
        self._authentic(asked, plaintext)

    def open(self, shared: bytes, command: Signed) -> bytes:
        """The plaintext of a command that is genuine.

        Raises:
            VcpError: it is not.
        """
        return vcp.open_command(shared, self.core.config.vin, self.core.epoch, command)

    def _authentic(self, asked: Asked, plaintext: bytes) -> None:
        """The command is genuine: fresh, allowed, understood?"""
        core, command, key = self.core, asked.command, asked.key
        # The counter is used up whatever else is wrong: what was refused once must never be taken later.
        used = core.freshness.counter(key, command.counter)
        if not core.random_works():
            self._plain(asked.link, command.routing, command.uuid, Fault.INTERNAL)
            return
        fault = core.freshness.lifetime(command.expires_at) or used
        if fault is not None:
            self._resynchronise(asked, fault)
            return
        if not key.enabled:
            self._answer(asked, Fault.INACTIVE_KEY)
            return
        try:
            wish = vcp.parse_payload(plaintext)
        except VcpError as error:
            self._answer(asked, error.fault)
            return
        if isinstance(wish, vcp.WhitelistChange):
            self._change_list(asked, wish)
        elif wish in _NAMES:
            self._act(asked, wish)
        else:
            self._answer(asked, Fault.INVALID_COMMAND)

    def _act(self, asked: Asked, action: int) -> None:
        core, source = self.core, asked.link.source

        def permit() -> Reason | None:
            key = core.store.image.find(asked.command.public)
            if key is None:
                return Fault.UNKNOWN_KEY_ID
            if not key.enabled:
                return Fault.INACTIVE_KEY
            if not core.whitelist.allows(source, key.role, action):
                return Fault.INSUFFICIENT_PRIVILEGES
            return core.freshness.expired(asked.command.expires_at)

        def done(reason: Reason | None) -> None:
            if reason is None:
                core.log(f"{asked.link} {_NAMES[action]} done")
            self._answer(asked, Fault.NONE if reason is None else Fault(reason))

        if action == vcp.UNLOCK:
            core.actions.unlock(source, permit, done)
        elif action == vcp.LOCK:
            core.actions.lock(source, permit, done)
        else:
            core.actions.drive(source, permit, done, asked.command.public, asked.link.connection)

    def _change_list(self, asked: Asked, change: vcp.WhitelistChange) -> None:
        core = self.core
        if not core.whitelist.may_change(asked.key.role):
            self._answer(asked, Fault.INSUFFICIENT_PRIVILEGES)
            return
        information = core.whitelist.change(asked.key, change)
        core.log(f"{asked.link} key list {change.kind} {information}")
        status = vcp.OPERATION_OK if information == DONE else vcp.OPERATION_ERROR
        self._answer(asked, Fault.NONE, vcp.whitelist_status_payload(information, status))

    # Answers

    def _resynchronise(self, asked: Asked, fault: Fault) -> None:
        """Refuses, and gives what the client needs to do better."""
        self._refused(asked.link, fault)
        self.core.cpu.charge(self.core.cpu.SIGNATURE_US)
        command = asked.command
        self._send(
            asked.link,
            self._session_info(asked.shared, command.public, command.routing, command.uuid, fault),
        )

    def _answer(self, asked: Asked, fault: Fault, payload: bytes | None = None) -> None:
        if fault in MENDED_BY_SESSION_INFO:
            self._resynchronise(asked, fault)
            return
        core, command = self.core, asked.command
        if fault:
            self._refused(asked.link, fault)
        elif payload is None:
            payload = vcp.EXECUTED
        seal = None
        if command.wants_sealed:
            core.cpu.charge(core.cpu.SIGNATURE_US)
            try:
                nonce = core.entropy.take(vcp.NONCE_BYTES)
            except EntropyFailure:
                core.log(f"{asked.link} unanswered: no randomness")
                return
            self._answers += self.ANSWER_STEP
            seal = vcp.Seal(asked.shared, core.config.vin, command.request_hash, self._answers, nonce)
        self._send(
            asked.link,
            vcp.build_response(
                routing=command.routing, uuid=command.uuid, payload=payload, fault=int(fault), seal=seal
            ),
        )

    def _plain(self, link: Link, routing: bytes, uuid: bytes, fault: Fault) -> None:
        self._refused(link, fault)
        self._send(link, vcp.build_response(routing=routing, uuid=uuid, payload=None, fault=int(fault)))

    def _refused(self, link: Link, fault: Fault) -> None:
        self.core.status.refused(fault)
        self.core.log(f"{link} refused {fault.name}")

    def _send(self, link: Link, message: bytes) -> None:
        connection = link.connection
        if connection is None:
            self.core.cloud.send(bytes((CLOUD_HANDLE,)) + message)
        elif self.core.connections.holds(connection):
            self.core.bluetooth.send(bytes((connection.handle,)) + message)
