"""Handshakes and commands as a client builds them.

All randomness is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from tesla_protocol.command import signatures_pb2, universal_message_pb2

from rig.protocol.vcp.keys import Identity, shared_key
from rig.protocol.vcp.numbers import (
    DOMAIN,
    ENCRYPT_RESPONSE,
    TO_VEHICLE,
    TYPE_GCM,
    TYPE_HMAC,
    RoutableMessage,
)
from rig.protocol.vcp.payloads import action_payload
from rig.protocol.vcp.signing import request_hash, sign_gcm, sign_hmac


def build_handshake(identity: Identity, routing: bytes, uuid: bytes) -> bytes:
    """A session_info_request (page, "Handshake", "Request").

    Args:
        identity: whose session; only the public key is used.
        routing: 16 random bytes, the return address.
        uuid: 16 unpredictable bytes, the challenge.
    """
    return RoutableMessage(
        to_destination=TO_VEHICLE,
        from_destination=universal_message_pb2.Destination(routing_address=routing),
        session_info_request=universal_message_pb2.SessionInfoRequest(public_key=identity.public),
        uuid=uuid,
    ).SerializeToString()


@dataclass(frozen=True, slots=True)
class Command:
    """A signed command ready to send, and what its answer is checked with."""

    message: bytes
    request_hash: bytes
    shared: bytes


def build_command(
    *,
    identity: Identity,
    vehicle_public: bytes,
    vin: str,
    channel: str,
    epoch: bytes,
    counter: int,
    expires_at: int,
    routing: bytes,
    uuid: bytes,
    nonce: bytes = b"",
    action: int | None = None,
    payload: bytes = b"",
    flags: int = ENCRYPT_RESPONSE,
    claimed_public: bytes | None = None,
    tag: bytes | None = None,
    domain: int = DOMAIN,
    addressed: int = DOMAIN,
) -> Command:
    """Builds and signs a command: AES-GCM over Bluetooth, HMAC over the cloud (vehicle.md section 2).

    Args:
        identity: who signs.
        vehicle_public: the vehicle's key.
        vin: the vehicle's.
        channel: "bluetooth" or "cloud".
        epoch: of the session, 16 bytes.
        counter: above all used in this epoch.
        expires_at: in seconds of the vehicle's clock.
        routing: 16 random bytes, the return address.
        uuid: 16 random bytes.
        nonce: 12 random bytes; unused on the cloud.
        action: UNLOCK, LOCK or REMOTE_DRIVE; None: `payload` says what.
        payload: serialised UnsignedMessage, such as `whitelist_payload` gives.
        flags: mask; our phone always asks for sealed answers.
        claimed_public: a forger names this key as signer.
        tag: a forger puts this in the tag's place.
        domain: which the command is signed for; a client that errs takes another.
        addressed: to which domain it is sent.

    Raises:
        VcpError: the vehicle's key is no point, or a number does not fit.
        ValueError: there is no such channel.
    """
    plaintext = payload if action is None else action_payload(action)
    shared = shared_key(identity, vehicle_public)
    signature = signatures_pb2.SignatureData(
        signer_identity=signatures_pb2.KeyIdentity(public_key=claimed_public or identity.public)
    )
    if channel == "bluetooth":
        sig_type = TYPE_GCM
        plaintext, genuine = sign_gcm(
            shared,
            vin=vin,
            epoch=epoch,
            expires_at=expires_at,
            counter=counter,
            flags=flags,
            plaintext=plaintext,
            nonce=nonce,
            domain=domain,
        )
        tag = genuine if tag is None else tag
        signature.AES_GCM_Personalized_data.CopyFrom(
            signatures_pb2.AES_GCM_Personalized_Signature_Data(
                epoch=epoch, nonce=nonce, counter=counter, expires_at=expires_at, tag=tag
            )
        )
    elif channel == "cloud":
        sig_type = TYPE_HMAC
        if tag is None:
            tag = sign_hmac(
                shared,
                vin=vin,
                epoch=epoch,
                expires_at=expires_at,
                counter=counter,
                flags=flags,
                plaintext=plaintext,
                domain=domain,
            )
        signature.HMAC_Personalized_data.CopyFrom(
            signatures_pb2.HMAC_Personalized_Signature_Data(
                epoch=epoch, counter=counter, expires_at=expires_at, tag=tag
            )
        )
    else:
        raise ValueError(f"vehicle command: there is no channel {channel!r}; use bluetooth or cloud")
    to = TO_VEHICLE
    if addressed != DOMAIN:
        to = universal_message_pb2.Destination(domain=addressed)  # type: ignore[arg-type]
    message = RoutableMessage(
        to_destination=to,
        from_destination=universal_message_pb2.Destination(routing_address=routing),
        protobuf_message_as_bytes=plaintext,
        signature_data=signature,
        uuid=uuid,
        flags=flags,
    )
    return Command(message.SerializeToString(), request_hash(sig_type, tag, domain), shared)


def unsigned_command(action: int, routing: bytes, uuid: bytes) -> bytes:
    """A command without a signature, as a forger sends it."""
    return RoutableMessage(
        to_destination=TO_VEHICLE,
        from_destination=universal_message_pb2.Destination(routing_address=routing),
        protobuf_message_as_bytes=action_payload(action),
        uuid=uuid,
    ).SerializeToString()
