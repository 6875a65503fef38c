"""RoutableMessages taken apart: what came in, from whom, and whether it authenticates.

What arbitrary bytes can raise here is VcpError.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from tesla_protocol.command import universal_message_pb2

from rig.protocol.vcp.numbers import (
    ENCRYPT_RESPONSE,
    MOST_BYTES,
    TYPE_GCM,
    TYPE_HMAC,
    Fault,
    RoutableMessage,
    VcpError,
)
from rig.protocol.vcp.signing import open_gcm, request_hash, verify_hmac


def parse(data: bytes) -> RoutableMessage:
    """Reads a RoutableMessage.

    Raises:
        VcpError: longer than 1024 bytes (REQUEST_MTU_EXCEEDED), or no such message (DECODING).
    """
    if len(data) > MOST_BYTES:
        raise VcpError(f"{len(data)} bytes, at most {MOST_BYTES}", Fault.REQUEST_MTU_EXCEEDED)
    try:
        return RoutableMessage.FromString(data)
    except DecodeError:
        raise VcpError("no RoutableMessage") from None


def return_address(data: bytes, *, of_answer: bool) -> bytes:
    """The routing address by which a carrier brings an answer to its request; b"" if there is none.

    Args:
        data: serialised RoutableMessage.
        of_answer: whether it is an answer (addressed to it) or a request (sent from it).

    Raises:
        VcpError: no such message.
    """
    message = parse(data)
    return (message.to_destination if of_answer else message.from_destination).routing_address


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed command, taken apart but not checked."""

    sig_type: int
    public: bytes
    epoch: bytes
    counter: int
    expires_at: int
    nonce: bytes
    tag: bytes
    payload: bytes
    flags: int
    domain: int
    routing: bytes
    uuid: bytes

    @property
    def request_hash(self) -> bytes:
        """What binds the answer to it."""
        return request_hash(self.sig_type, self.tag, self.domain)

    @property
    def wants_sealed(self) -> bool:
        """Whether FLAG_ENCRYPT_RESPONSE is set."""
        return bool(self.flags & ENCRYPT_RESPONSE)


def signed(message: RoutableMessage) -> Signed | None:
    """Takes a command with a GCM or HMAC signature apart; None if it has neither or no payload."""
    if message.WhichOneof("payload") != "protobuf_message_as_bytes":
        return None
    signature = message.signature_data
    kind = signature.WhichOneof("sig_type")
    if kind == "AES_GCM_Personalized_data":
        gcm = signature.AES_GCM_Personalized_data
        sig_type, epoch, counter, expires_at = TYPE_GCM, gcm.epoch, gcm.counter, gcm.expires_at
        nonce, tag = gcm.nonce, gcm.tag
    elif kind == "HMAC_Personalized_data":
        mac = signature.HMAC_Personalized_data
        sig_type, epoch, counter, expires_at = TYPE_HMAC, mac.epoch, mac.counter, mac.expires_at
        nonce, tag = b"", mac.tag
    else:
        return None
    return Signed(
        sig_type,
        signature.signer_identity.public_key,
        epoch,
        counter,
        expires_at,
        nonce,
        tag,
        message.protobuf_message_as_bytes,
        message.flags,
        message.to_destination.domain,
        message.from_destination.routing_address,
        message.uuid,
    )


def open_command(shared: bytes, vin: str, epoch: bytes, command: Signed) -> bytes:
    """The authentic plaintext of a command under the ECU's own epoch.

    Raises:
        VcpError: INVALID_SIGNATURE, IV_INCORRECT_LENGTH or BAD_PARAMETER.
    """
    if command.sig_type == TYPE_GCM:
        return open_gcm(
            shared,
            vin=vin,
            domain=command.domain,
            epoch=epoch,
            expires_at=command.expires_at,
            counter=command.counter,
            flags=command.flags,
            ciphertext=command.payload,
            nonce=command.nonce,
            tag=command.tag,
        )
    if not verify_hmac(
        shared,
        vin=vin,
        domain=command.domain,
        epoch=epoch,
        expires_at=command.expires_at,
        counter=command.counter,
        flags=command.flags,
        plaintext=command.payload,
        tag=command.tag,
    ):
        raise VcpError("the tag does not authenticate the message", Fault.INVALID_SIGNATURE)
    return command.payload


def is_command(data: bytes) -> bool:
    """Whether the bytes are a signed command, authentic or not; never raises."""
    try:
        return signed(parse(data)) is not None
    except VcpError:
        return False


def handshake_key(message: RoutableMessage) -> bytes | None:
    """The public key of a session_info_request; None if the message is something else."""
    if message.WhichOneof("payload") != "session_info_request":
        return None
    return message.session_info_request.public_key


def is_push(message: RoutableMessage) -> bool:
    """Whether a message of the vehicle is for all, not an answer."""
    return (
        message.to_destination.WhichOneof("sub_destination") == "domain"
        and message.to_destination.domain == universal_message_pb2.DOMAIN_BROADCAST
    )
