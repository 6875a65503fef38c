"""Session info, answers and pushes, built by the vehicle and read by the client.

All randomness is passed in.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError
from tesla_protocol.command import signatures_pb2, universal_message_pb2

from rig.protocol.vcp.keys import Identity, shared_key
from rig.protocol.vcp.numbers import STATUS_OK, TO_ALL, TO_VEHICLE, Fault, RoutableMessage, VcpError
from rig.protocol.vcp.signing import open_response, seal_response, session_info_tag

EXECUTED: Final = b""
"""The empty FromVCSECMessage that reports an executed action (vehicle.md section 2)."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a client needs to sign commands (page, "Handshake", "Response")."""

    counter: int
    public: bytes
    epoch: bytes
    clock_s: int
    status: int = STATUS_OK

    def encode(self) -> bytes:
        """Serialised SessionInfo."""
        return signatures_pb2.SessionInfo(
            counter=self.counter,
            publicKey=self.public,
            epoch=self.epoch,
            clock_time=self.clock_s,
            status=self.status,  # type: ignore[arg-type]
        ).SerializeToString()


def parse_session_info(data: bytes) -> SessionInfo:
    """Reads a serialised SessionInfo, unchecked.

    Raises:
        VcpError: no such message.
    """
    try:
        info = signatures_pb2.SessionInfo.FromString(data)
    except DecodeError:
        raise VcpError("no SessionInfo") from None
    return SessionInfo(info.counter, info.publicKey, info.epoch, info.clock_time, int(info.status))


def _status(fault: int) -> universal_message_pb2.MessageStatus:
    return universal_message_pb2.MessageStatus(
        operation_status=universal_message_pb2.OPERATIONSTATUS_ERROR,
        signed_message_fault=fault,  # type: ignore[arg-type]
    )


def build_session_info(
    shared: bytes, *, vin: str, info: SessionInfo, routing: bytes, uuid: bytes, fault: int = 0
) -> bytes:
    """Answers a handshake, or a command whose fault a client mends by resynchronising.

    Args:
        shared: K with the requesting key.
        vin: the vehicle's.
        info: the session as it is now.
        routing: return address of the request.
        uuid: of the request; it is the challenge.
        fault: MessageFault_E; 0 for a handshake.
    """
    encoded = info.encode()
    message = RoutableMessage(
        to_destination=universal_message_pb2.Destination(routing_address=routing),
        from_destination=TO_VEHICLE,
        session_info=encoded,
        signature_data=signatures_pb2.SignatureData(
            session_info_tag=signatures_pb2.HMAC_Signature_Data(
                tag=session_info_tag(shared, vin, uuid, encoded)
            )
        ),
        request_uuid=uuid,
    )
    if fault:
        message.signedMessageStatus.CopyFrom(_status(fault))
    return message.SerializeToString()


def read_session_info(
    identity: Identity,
    vin: str,
    challenge: bytes,
    message: RoutableMessage,
    vehicle_public: bytes | None = None,
) -> SessionInfo | None:
    """The checked session info in an answer; None if it carries none.

    Args:
        identity: of the client.
        vin: the vehicle's.
        challenge: uuid of the client's request.
        message: the answer.
        vehicle_public: the vehicle's key where the client knows it already.

    Raises:
        VcpError: it does not authenticate, or is of another vehicle key.
    """
    if message.WhichOneof("payload") != "session_info":
        return None
    encoded = message.session_info
    info = parse_session_info(encoded)
    if vehicle_public is not None and not hmac.compare_digest(info.public, vehicle_public):
        raise VcpError("session info of another vehicle key", Fault.INVALID_SIGNATURE)
    expected = session_info_tag(shared_key(identity, info.public), vin, challenge, encoded)
    if not hmac.compare_digest(expected, message.signature_data.session_info_tag.tag):
        raise VcpError("the tag does not authenticate the session info", Fault.INVALID_SIGNATURE)
    return info


@dataclass(frozen=True, slots=True)
class Seal:
    """What an answer is sealed with: K, the request it answers, a counter and a fresh nonce."""

    shared: bytes
    vin: str
    of_request: bytes
    counter: int
    nonce: bytes


def build_response(
    *, routing: bytes, uuid: bytes, payload: bytes | None = EXECUTED, fault: int = 0, seal: Seal | None = None
) -> bytes:
    """An answer to a command: sealed if the request wanted it, else plain.

    Args:
        routing: return address of the request.
        uuid: of the request.
        payload: serialised FromVCSECMessage; EXECUTED for an executed action; None: the fault alone.
        fault: MessageFault_E.
        seal: how to seal; None: plain. A sealed answer always has a payload, if need be an empty one.
    """
    message = RoutableMessage(
        to_destination=universal_message_pb2.Destination(routing_address=routing),
        from_destination=TO_VEHICLE,
        request_uuid=uuid,
    )
    if fault:
        message.signedMessageStatus.CopyFrom(_status(fault))
    if seal is not None:
        payload, tag = seal_response(
            seal.shared,
            vin=seal.vin,
            of_request=seal.of_request,
            counter=seal.counter,
            plaintext=payload or b"",
            nonce=seal.nonce,
            fault=fault,
        )
        message.signature_data.AES_GCM_Response_data.CopyFrom(
            signatures_pb2.AES_GCM_Response_Signature_Data(nonce=seal.nonce, counter=seal.counter, tag=tag)
        )
    if payload is not None:
        message.protobuf_message_as_bytes = payload
    return message.SerializeToString()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says; only a sealed one is known to come from the vehicle."""

    sealed: bool
    fault: int
    counter: int
    payload: bytes | None


def read_response(shared: bytes, vin: str, of_request: bytes, message: RoutableMessage) -> Answer:
    """Reads an answer and opens it if it is sealed.

    The caller must refuse a counter that an answer to the same request has used already
    (page, "Counter verification").

    Raises:
        VcpError: it is sealed and does not authenticate.
    """
    fault = int(message.signedMessageStatus.signed_message_fault)
    has_payload = message.WhichOneof("payload") == "protobuf_message_as_bytes"
    payload = message.protobuf_message_as_bytes if has_payload else None
    signature = message.signature_data
    if signature.WhichOneof("sig_type") != "AES_GCM_Response_data":
        return Answer(False, fault, 0, payload)
    seal = signature.AES_GCM_Response_data
    plaintext = open_response(
        shared,
        vin=vin,
        of_request=of_request,
        counter=seal.counter,
        ciphertext=payload or b"",
        nonce=seal.nonce,
        tag=seal.tag,
        fault=fault,
        flags=message.flags,
        domain=message.from_destination.domain,
    )
    return Answer(True, fault, seal.counter, plaintext)


@lru_cache(maxsize=1024)
def build_push(payload: bytes) -> bytes:
    """A push or report: a plain message to DOMAIN_BROADCAST (vehicle.md section 2)."""
    return RoutableMessage(
        to_destination=TO_ALL, from_destination=TO_VEHICLE, protobuf_message_as_bytes=payload
    ).SerializeToString()
