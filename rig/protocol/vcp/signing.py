"""Metadata, and the tags and ciphers that bind it to commands, session info and answers.

Pure; knows nothing of protobuf messages.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag

from rig.protocol.vcp.keys import gcm, hmac_key
from rig.protocol.vcp.numbers import (
    DOMAIN,
    HASHED_TAG_BYTES,
    LABEL_COMMAND,
    LABEL_SESSION,
    NONCE_BYTES,
    TAG_BYTES,
    TAG_CHALLENGE,
    TAG_COUNTER,
    TAG_DOMAIN,
    TAG_EPOCH,
    TAG_EXPIRES_AT,
    TAG_FAULT,
    TAG_FLAGS,
    TAG_PERSONALIZATION,
    TAG_REQUEST_HASH,
    TAG_SIGNATURE_TYPE,
    TYPE_GCM,
    TYPE_HMAC,
    TYPE_HMAC_SESSION,
    TYPE_RESPONSE,
    Fault,
    VcpError,
)

_COUNTER_PART: Final = struct.Struct(">BBIBBI")
_FLAGS_PART: Final = struct.Struct(">BBI")


def metadata(items: Mapping[int, int | bytes]) -> bytes:
    """Serialises metadata: tag, length, value in order of tags, then FF (page, "Metadata serialization").

    Args:
        items: value by tag. Numbers take 4 bytes, signature type and domain 1.

    Raises:
        VcpError: a value has more than 255 bytes, or a number does not fit.
    """
    parts = []
    for tag in sorted(items):
        item = items[tag]
        if isinstance(item, int):
            width = 1 if tag in (TAG_SIGNATURE_TYPE, TAG_DOMAIN) else 4
            try:
                value = item.to_bytes(width, "big")
            except OverflowError:
                raise VcpError(f"metadata tag {tag}: {item} does not fit", Fault.BAD_PARAMETER) from None
        else:
            value = item
        if len(value) > 0xFF:
            raise VcpError(f"metadata tag {tag}: {len(value)} bytes, at most 255", Fault.BAD_PARAMETER)
        parts.append(bytes((tag, len(value))) + value)
    return b"".join(parts) + b"\xff"


@lru_cache(maxsize=4096)
def _command_head(sig_type: int, domain: int, vin: str, epoch: bytes) -> bytes:
    return metadata(
        {
            TAG_SIGNATURE_TYPE: sig_type,
            TAG_DOMAIN: domain,
            TAG_PERSONALIZATION: vin.encode(),
            TAG_EPOCH: epoch,
        }
    )[:-1]


def command_metadata(
    sig_type: int, *, vin: str, domain: int, epoch: bytes, expires_at: int, counter: int, flags: int
) -> bytes:
    """The metadata string M of a command; flags only if not 0 (page, "Metadata").

    Raises:
        VcpError: a number does not fit into 32 bits.
    """
    try:
        part = _COUNTER_PART.pack(TAG_EXPIRES_AT, 4, expires_at, TAG_COUNTER, 4, counter)
        if flags:
            part += _FLAGS_PART.pack(TAG_FLAGS, 4, flags)
    except struct.error:
        raise VcpError("a number of the metadata has more than 32 bits", Fault.BAD_PARAMETER) from None
    return _command_head(sig_type, domain, vin, epoch) + part + b"\xff"


def session_info_tag(shared: bytes, vin: str, challenge: bytes, info: bytes) -> bytes:
    """Authenticates session info, 32 bytes (page, "Response authentication").

    Args:
        shared: K.
        vin: the vehicle's.
        challenge: uuid of the request.
        info: the serialised SessionInfo.
    """
    head = metadata(
        {TAG_SIGNATURE_TYPE: TYPE_HMAC_SESSION, TAG_PERSONALIZATION: vin.encode(), TAG_CHALLENGE: challenge}
    )
    return hmac.digest(hmac_key(shared, LABEL_SESSION), head + info, "sha256")


def sign_gcm(
    shared: bytes,
    *,
    vin: str,
    epoch: bytes,
    expires_at: int,
    counter: int,
    flags: int,
    plaintext: bytes,
    nonce: bytes,
    domain: int = DOMAIN,
) -> tuple[bytes, bytes]:
    """Encrypts a command under K; gives ciphertext and 16-byte tag (page, "AES-GCM encryption")."""
    head = command_metadata(
        TYPE_GCM, vin=vin, domain=domain, epoch=epoch, expires_at=expires_at, counter=counter, flags=flags
    )
    sealed = gcm(shared).encrypt(nonce, plaintext, hashlib.sha256(head).digest())
    return sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]


def open_gcm(
    shared: bytes,
    *,
    vin: str,
    epoch: bytes,
    expires_at: int,
    counter: int,
    flags: int,
    ciphertext: bytes,
    nonce: bytes,
    tag: bytes,
    domain: int = DOMAIN,
) -> bytes:
    """Checks and decrypts a command.

    Raises:
        VcpError: INVALID_SIGNATURE, or IV_INCORRECT_LENGTH if the nonce has not 12 bytes.
    """
    head = command_metadata(
        TYPE_GCM, vin=vin, domain=domain, epoch=epoch, expires_at=expires_at, counter=counter, flags=flags
    )
    return open_sealed(shared, head, ciphertext, nonce, tag)


def open_sealed(shared: bytes, head: bytes, ciphertext: bytes, nonce: bytes, tag: bytes) -> bytes:
    if len(nonce) != NONCE_BYTES:
        raise VcpError(f"the nonce has {len(nonce)} bytes, not 12", Fault.IV_INCORRECT_LENGTH)
    if len(tag) != TAG_BYTES:
        # A shorter tag must never be joined to the ciphertext: its bytes would shift.
        raise VcpError("the tag has not 16 bytes", Fault.INVALID_SIGNATURE)
    try:
        return gcm(shared).decrypt(nonce, ciphertext + tag, hashlib.sha256(head).digest())
    except InvalidTag:
        raise VcpError("the tag does not authenticate the message", Fault.INVALID_SIGNATURE) from None


def sign_hmac(
    shared: bytes,
    *,
    vin: str,
    epoch: bytes,
    expires_at: int,
    counter: int,
    flags: int,
    plaintext: bytes,
    domain: int = DOMAIN,
) -> bytes:
    """The 32-byte tag of a plaintext command (page, "HMAC-SHA256 authentication")."""
    head = command_metadata(
        TYPE_HMAC, vin=vin, domain=domain, epoch=epoch, expires_at=expires_at, counter=counter, flags=flags
    )
    return hmac.digest(hmac_key(shared, LABEL_COMMAND), head + plaintext, "sha256")


def verify_hmac(
    shared: bytes,
    *,
    vin: str,
    epoch: bytes,
    expires_at: int,
    counter: int,
    flags: int,
    plaintext: bytes,
    tag: bytes,
    domain: int = DOMAIN,
) -> bool:
    """Whether `tag` is that of the command."""
    expected = sign_hmac(
        shared,
        vin=vin,
        domain=domain,
        epoch=epoch,
        expires_at=expires_at,
        counter=counter,
        flags=flags,
        plaintext=plaintext,
    )
    return hmac.compare_digest(expected, tag)


def request_hash(sig_type: int, tag: bytes, domain: int = DOMAIN) -> bytes:
    """What binds an answer to its request: type and tag, 17 bytes for this domain (page, "Request hash")."""
    return bytes((sig_type,)) + (tag[:HASHED_TAG_BYTES] if domain == DOMAIN else tag)


def _response_metadata(
    vin: str, domain: int, counter: int, flags: int, of_request: bytes, fault: int
) -> bytes:
    return metadata(
        {
            TAG_SIGNATURE_TYPE: TYPE_RESPONSE,
            TAG_DOMAIN: domain,
            TAG_PERSONALIZATION: vin.encode(),
            TAG_COUNTER: counter,
            TAG_FLAGS: flags,
            TAG_REQUEST_HASH: of_request,
            TAG_FAULT: fault,
        }
    )


def seal_response(
    shared: bytes,
    *,
    vin: str,
    of_request: bytes,
    counter: int,
    plaintext: bytes,
    nonce: bytes,
    fault: int = 0,
    flags: int = 0,
    domain: int = DOMAIN,
) -> tuple[bytes, bytes]:
    """Encrypts an answer under K; gives ciphertext and tag (page, "Response metadata").

    Args:
        shared: K.
        vin: the vehicle's.
        of_request: `request_hash` of the request.
        counter: rises with every answer to the same request.
        plaintext: serialised FromVCSECMessage.
        nonce: 12 fresh bytes.
        fault: MessageFault_E of the answer.
        flags: those of the answer, not of the request.
        domain: of the answering vehicle system.
    """
    head = _response_metadata(vin, domain, counter, flags, of_request, fault)
    sealed = gcm(shared).encrypt(nonce, plaintext, hashlib.sha256(head).digest())
    return sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]


def open_response(
    shared: bytes,
    *,
    vin: str,
    of_request: bytes,
    counter: int,
    ciphertext: bytes,
    nonce: bytes,
    tag: bytes,
    fault: int = 0,
    flags: int = 0,
    domain: int = DOMAIN,
) -> bytes:
    """Checks and decrypts an answer.

    Raises:
        VcpError: it does not authenticate.
    """
    return open_sealed(
        shared, _response_metadata(vin, domain, counter, flags, of_request, fault), ciphertext, nonce, tag
    )
