"""The vehicle-command protocol: keys, sessions, commands and answers, for phone and ECU alike.

Pure: all randomness (nonce, uuid, routing address) and the time are passed in. Which command is
allowed to whom, and when, is the ECU's business. "Page" in the sources below is the published
pkg/protocol/protocol.md of the vehicle-command SDK.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final, Literal, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.message import DecodeError
from tesla_protocol.command import errors_pb2, keys_pb2, signatures_pb2, universal_message_pb2, vcsec_pb2

Role = keys_pb2.Role
RoutableMessage = universal_message_pb2.RoutableMessage
UnsignedMessage = vcsec_pb2.UnsignedMessage
FromVCSECMessage = vcsec_pb2.FromVCSECMessage

MOST_BYTES: Final = 1024
"""Longest serialised RoutableMessage (vehicle.md section 2)."""
DOMAIN: Final = int(universal_message_pb2.DOMAIN_VEHICLE_SECURITY)
"""The only domain here (vehicle.md section 2)."""
BROADCAST: Final = int(universal_message_pb2.DOMAIN_BROADCAST)
ENCRYPT_RESPONSE: Final = 1 << int(universal_message_pb2.FLAG_ENCRYPT_RESPONSE)
"""Mask of FLAG_ENCRYPT_RESPONSE: the enum numbers bits (page, "Message encoding")."""

UNLOCK: Final = int(vcsec_pb2.RKE_ACTION_UNLOCK)
LOCK: Final = int(vcsec_pb2.RKE_ACTION_LOCK)
REMOTE_DRIVE: Final = int(vcsec_pb2.RKE_ACTION_REMOTE_DRIVE)

TYPE_GCM: Final = int(signatures_pb2.SIGNATURE_TYPE_AES_GCM_PERSONALIZED)
TYPE_HMAC_SESSION: Final = int(signatures_pb2.SIGNATURE_TYPE_HMAC)
TYPE_HMAC: Final = int(signatures_pb2.SIGNATURE_TYPE_HMAC_PERSONALIZED)
TYPE_RESPONSE: Final = int(signatures_pb2.SIGNATURE_TYPE_AES_GCM_RESPONSE)

TAG_SIGNATURE_TYPE: Final = int(signatures_pb2.TAG_SIGNATURE_TYPE)
TAG_DOMAIN: Final = int(signatures_pb2.TAG_DOMAIN)
TAG_PERSONALIZATION: Final = int(signatures_pb2.TAG_PERSONALIZATION)
TAG_EPOCH: Final = int(signatures_pb2.TAG_EPOCH)
TAG_EXPIRES_AT: Final = int(signatures_pb2.TAG_EXPIRES_AT)
TAG_COUNTER: Final = int(signatures_pb2.TAG_COUNTER)
TAG_CHALLENGE: Final = int(signatures_pb2.TAG_CHALLENGE)
TAG_FLAGS: Final = int(signatures_pb2.TAG_FLAGS)
TAG_REQUEST_HASH: Final = int(signatures_pb2.TAG_REQUEST_HASH)
TAG_FAULT: Final = int(signatures_pb2.TAG_FAULT)

STATUS_OK: Final = int(signatures_pb2.SESSION_INFO_STATUS_OK)
STATUS_NOT_ENROLLED: Final = int(signatures_pb2.SESSION_INFO_STATUS_KEY_NOT_ON_WHITELIST)

OPERATION_OK: Final = int(universal_message_pb2.OPERATIONSTATUS_OK)
OPERATION_WAIT: Final = int(universal_message_pb2.OPERATIONSTATUS_WAIT)
OPERATION_ERROR: Final = int(universal_message_pb2.OPERATIONSTATUS_ERROR)

UNLOCKED: Final = int(vcsec_pb2.VEHICLELOCKSTATE_UNLOCKED)
LOCKED: Final = int(vcsec_pb2.VEHICLELOCKSTATE_LOCKED)
SELECTIVE_UNLOCKED: Final = int(vcsec_pb2.VEHICLELOCKSTATE_SELECTIVE_UNLOCKED)

KEY_BYTES: Final = 16
"""K is the first 16 bytes of SHA-1 of the ECDH X (page, "Key Agreement")."""
PUBLIC_BYTES: Final = 65
"""Uncompressed P-256 point (page, "Notation")."""
EPOCH_BYTES: Final = 16
"""Page, "Time"."""
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
"""Page, "AES-GCM encryption"; NIST SP 800-38D, 5.2.1."""
HASHED_TAG_BYTES: Final = 16
"""How much of a request's tag its hash keeps for this domain (page, "Request hash")."""

LABEL_SESSION: Final = b"session info"
"""Page, "Response authentication"."""
LABEL_COMMAND: Final = b"authenticated command"
"""Page, "HMAC-SHA256 authentication"."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order n of P-256 (NIST SP 800-186, 3.2.1.3)."""
_CURVE: Final = ec.SECP256R1()
_ECDH: Final = ec.ECDH()
_COUNTER_PART: Final = struct.Struct(">BBIBBI")
_FLAGS_PART: Final = struct.Struct(">BBI")


class Fault(IntEnum):
    """MessageFault_E of universal_message.proto, without its prefix."""

    NONE = 0
    BUSY = 1
    TIMEOUT = 2
    UNKNOWN_KEY_ID = 3
    INACTIVE_KEY = 4
    INVALID_SIGNATURE = 5
    INVALID_TOKEN_OR_COUNTER = 6
    INSUFFICIENT_PRIVILEGES = 7
    INVALID_DOMAINS = 8
    INVALID_COMMAND = 9
    DECODING = 10
    INTERNAL = 11
    WRONG_PERSONALIZATION = 12
    BAD_PARAMETER = 13
    KEYCHAIN_IS_FULL = 14
    INCORRECT_EPOCH = 15
    IV_INCORRECT_LENGTH = 16
    TIME_EXPIRED = 17
    NOT_PROVISIONED_WITH_IDENTITY = 18
    COULD_NOT_HASH_METADATA = 19
    TIME_TO_LIVE_TOO_LONG = 20
    REMOTE_ACCESS_DISABLED = 21
    REMOTE_SERVICE_ACCESS_DISABLED = 22
    COMMAND_REQUIRES_ACCOUNT_CREDENTIALS = 23
    REQUEST_MTU_EXCEEDED = 24
    RESPONSE_MTU_EXCEEDED = 25
    REPEATED_COUNTER = 26
    INVALID_KEY_HANDLE = 27
    REQUIRES_RESPONSE_ENCRYPTION = 28
    COMMAND_REQUIRES_PHYSICAL_PROXIMITY = 29


_FAULT_NAMES: Final[Mapping[int, str]] = {int(fault): fault.name for fault in Fault}

UNSETTLED: Final = frozenset(
    {Fault.INVALID_TOKEN_OR_COUNTER, Fault.TIME_EXPIRED, Fault.INCORRECT_EPOCH, Fault.BUSY}
)
"""Faults that settle nothing for the phone: they may answer a copy (vehicle.md section 2)."""


def fault_name(number: int) -> str:
    """The name of a fault, such as "UNKNOWN_KEY_ID"; "FAULT_77" for a number that has none."""
    return _FAULT_NAMES.get(number) or f"FAULT_{number}"


class VcpError(ValueError):
    """Bytes that are no message of this protocol, or do not authenticate.

    Args:
        text: what is wrong.
        fault: what an ECU answers to it.
    """

    def __init__(self, text: str, fault: Fault = Fault.DECODING) -> None:
        super().__init__(f"vehicle command: {text}")
        self.fault = fault


# ---------------------------------------------------------------- keys


@lru_cache(maxsize=4096)
def _load(scalar: int) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    # Deriving a key costs some 100 µs; the same test keys come up in every world.
    private = ec.derive_private_key(scalar, _CURVE)
    return private, private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class Identity:
    """A P-256 key pair.

    Args:
        scalar: the private key, 1..n-1.

    Raises:
        ValueError: the scalar is out of range.
    """

    __slots__ = ("_hash", "_private", "public")

    def __init__(self, scalar: int) -> None:
        if not 1 <= scalar < _ORDER:
            raise ValueError("P-256: a private key is a number in 1..n-1")
        self._private, self.public = _load(scalar)
        self._hash = hash(self.public)

    @classmethod
    def from_seed(cls, label: bytes) -> Self:
        """A test key: the scalar is SHA-256 of `label`, modulo n - 1, plus 1."""
        return cls(int.from_bytes(hashlib.sha256(label).digest(), "big") % (_ORDER - 1) + 1)

    def exchange(self, peer: ec.EllipticCurvePublicKey) -> bytes:
        """The X coordinate of the ECDH point, 32 bytes."""
        return self._private.exchange(_ECDH, peer)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.public == other.public

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        # Never the private key: representations end up in logs.
        return f"{type(self).__name__}({self.public[:5].hex()}…)"


@lru_cache(maxsize=4096)
def shared_key(identity: Identity, peer_public: bytes) -> bytes:
    """K: the first 16 bytes of SHA-1 of the ECDH X (page, "Key Agreement").

    Raises:
        VcpError: `peer_public` is not an uncompressed point on P-256 (fault UNKNOWN_KEY_ID).
    """
    if len(peer_public) != PUBLIC_BYTES or peer_public[0] != 0x04:
        raise VcpError("a public key is 65 bytes that begin with 04", Fault.UNKNOWN_KEY_ID)
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, peer_public)
    except ValueError:
        raise VcpError("the public key is no point on P-256", Fault.UNKNOWN_KEY_ID) from None
    return hashlib.sha1(identity.exchange(peer), usedforsecurity=False).digest()[:KEY_BYTES]


@lru_cache(maxsize=4096)
def hmac_key(shared: bytes, label: bytes) -> bytes:
    """HMAC-SHA256(K, label): the key for LABEL_SESSION or LABEL_COMMAND."""
    return hmac.digest(shared, label, "sha256")


@lru_cache(maxsize=4096)
def _gcm(shared: bytes) -> AESGCM:
    return AESGCM(shared)


@lru_cache(maxsize=64)
def ble_local_name(vin: str) -> str:
    """The Bluetooth name: S, 16 hex digits of SHA-1 of the VIN, C (page, "BLE")."""
    return f"S{hashlib.sha1(vin.encode(), usedforsecurity=False).hexdigest()[:16]}C"


# ---------------------------------------------------------------- metadata


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


# ---------------------------------------------------------------- signing and checking


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
    sealed = _gcm(shared).encrypt(nonce, plaintext, hashlib.sha256(head).digest())
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
    return _open(shared, head, ciphertext, nonce, tag)


def _open(shared: bytes, head: bytes, ciphertext: bytes, nonce: bytes, tag: bytes) -> bytes:
    if len(nonce) != NONCE_BYTES:
        raise VcpError(f"the nonce has {len(nonce)} bytes, not 12", Fault.IV_INCORRECT_LENGTH)
    if len(tag) != TAG_BYTES:
        # A shorter tag must never be joined to the ciphertext: its bytes would shift.
        raise VcpError("the tag has not 16 bytes", Fault.INVALID_SIGNATURE)
    try:
        return _gcm(shared).decrypt(nonce, ciphertext + tag, hashlib.sha256(head).digest())
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
    sealed = _gcm(shared).encrypt(nonce, plaintext, hashlib.sha256(head).digest())
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
    return _open(
        shared, _response_metadata(vin, domain, counter, flags, of_request, fault), ciphertext, nonce, tag
    )


# ---------------------------------------------------------------- messages: both sides


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


# ---------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class WhitelistChange:
    """One key operation: add, remove, or change the role of the key `public`."""

    kind: Literal["add", "remove", "change"]
    public: bytes
    role: int = 0


@lru_cache(maxsize=256)
def action_payload(action: int) -> bytes:
    """Serialised UnsignedMessage with an RKEAction; UNLOCK (0) is present too, since a oneof has presence."""
    message = UnsignedMessage()
    message.RKEAction = action  # type: ignore[assignment]
    return message.SerializeToString()


def whitelist_payload(change: WhitelistChange) -> bytes:
    """Serialised UnsignedMessage with a WhitelistOperation."""
    key = vcsec_pb2.PublicKey(PublicKeyRaw=change.public)
    operation = vcsec_pb2.WhitelistOperation()
    if change.kind == "remove":
        operation.removePublicKeyFromWhitelist.CopyFrom(key)
    else:
        permission = (
            operation.addKeyToWhitelistAndAddPermissions
            if change.kind == "add"
            else operation.updateKeyAndPermissions
        )
        permission.key.CopyFrom(key)
        permission.keyRole = change.role  # type: ignore[assignment]
    return UnsignedMessage(WhitelistOperation=operation).SerializeToString()


@lru_cache(maxsize=4096)
def _unsigned(data: bytes) -> tuple[int | None, WhitelistChange | None]:
    try:
        message = UnsignedMessage.FromString(data)
    except DecodeError:
        raise VcpError("no UnsignedMessage") from None
    kind = message.WhichOneof("sub_message")
    if kind == "RKEAction":
        return int(message.RKEAction), None
    if kind != "WhitelistOperation":
        return None, None
    operation = message.WhitelistOperation
    which = operation.WhichOneof("sub_message")
    if which == "addPublicKeyToWhitelist":
        return None, WhitelistChange("add", operation.addPublicKeyToWhitelist.PublicKeyRaw)
    if which == "removePublicKeyFromWhitelist":
        return None, WhitelistChange("remove", operation.removePublicKeyFromWhitelist.PublicKeyRaw)
    if which == "addKeyToWhitelistAndAddPermissions":
        change = operation.addKeyToWhitelistAndAddPermissions
        return None, WhitelistChange("add", change.key.PublicKeyRaw, int(change.keyRole))
    if which == "updateKeyAndPermissions":
        change = operation.updateKeyAndPermissions
        return None, WhitelistChange("change", change.key.PublicKeyRaw, int(change.keyRole))
    return None, None


def parse_payload(data: bytes) -> int | WhitelistChange | None:
    """What a command asks for: the number of an RKEAction, a key operation, or None for anything else.

    An empty message is None, never UNLOCK.

    Raises:
        VcpError: no UnsignedMessage.
    """
    action, change = _unsigned(data)
    return change if action is None else action


def build_handshake(identity: Identity, routing: bytes, uuid: bytes) -> bytes:
    """A session_info_request (page, "Handshake", "Request").

    Args:
        identity: whose session; only the public key is used.
        routing: 16 random bytes, the return address.
        uuid: 16 unpredictable bytes, the challenge.
    """
    return RoutableMessage(
        to_destination=_TO_VEHICLE,
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
            )
        signature.HMAC_Personalized_data.CopyFrom(
            signatures_pb2.HMAC_Personalized_Signature_Data(
                epoch=epoch, counter=counter, expires_at=expires_at, tag=tag
            )
        )
    else:
        raise ValueError(f"vehicle command: there is no channel {channel!r}; use bluetooth or cloud")
    message = RoutableMessage(
        to_destination=_TO_VEHICLE,
        from_destination=universal_message_pb2.Destination(routing_address=routing),
        protobuf_message_as_bytes=plaintext,
        signature_data=signature,
        uuid=uuid,
        flags=flags,
    )
    return Command(message.SerializeToString(), request_hash(sig_type, tag), shared)


def unsigned_command(action: int, routing: bytes, uuid: bytes) -> bytes:
    """A command without a signature, as a forger sends it."""
    return RoutableMessage(
        to_destination=_TO_VEHICLE,
        from_destination=universal_message_pb2.Destination(routing_address=routing),
        protobuf_message_as_bytes=action_payload(action),
        uuid=uuid,
    ).SerializeToString()


def handshake_key(message: RoutableMessage) -> bytes | None:
    """The public key of a session_info_request; None if the message is something else."""
    if message.WhichOneof("payload") != "session_info_request":
        return None
    return message.session_info_request.public_key


# ---------------------------------------------------------------- answers


_TO_VEHICLE: Final = universal_message_pb2.Destination(domain=universal_message_pb2.DOMAIN_VEHICLE_SECURITY)
_TO_ALL: Final = universal_message_pb2.Destination(domain=universal_message_pb2.DOMAIN_BROADCAST)

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
        from_destination=_TO_VEHICLE,
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
        from_destination=_TO_VEHICLE,
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

    The caller must refuse a counter that an answer to the same request has used (page, "Counter verification").

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


# ---------------------------------------------------------------- payloads of answers and pushes


def lock_state(latches: Iterable[str]) -> int:
    """LOCKED if all latches are "L", UNLOCKED if all are "U", else SELECTIVE_UNLOCKED (vehicle.md section 2)."""
    states = set(latches)
    if states == {"L"}:
        return LOCKED
    return UNLOCKED if states == {"U"} else SELECTIVE_UNLOCKED


@dataclass(frozen=True, slots=True)
class VehicleStatus:
    """A VehicleStatus: state of the locks, doors ajar in the order FL, FR, RL, RR, asleep or not."""

    lock: int
    ajar: tuple[bool, bool, bool, bool] = (False, False, False, False)
    asleep: bool = False


@lru_cache(maxsize=1024)
def status_payload(status: VehicleStatus) -> bytes:
    """Serialised FromVCSECMessage with a VehicleStatus; never empty, since an empty one reads as unlocked."""
    shut, ajar = vcsec_pb2.CLOSURESTATE_CLOSED, vcsec_pb2.CLOSURESTATE_AJAR
    front_left, front_right, rear_left, rear_right = (ajar if door else shut for door in status.ajar)
    return FromVCSECMessage(
        vehicleStatus=vcsec_pb2.VehicleStatus(
            closureStatuses=vcsec_pb2.ClosureStatuses(
                frontDriverDoor=front_left,
                frontPassengerDoor=front_right,
                rearDriverDoor=rear_left,
                rearPassengerDoor=rear_right,
            ),
            vehicleLockState=status.lock,  # type: ignore[arg-type]
            vehicleSleepStatus=(
                vcsec_pb2.VEHICLE_SLEEP_STATUS_ASLEEP
                if status.asleep
                else vcsec_pb2.VEHICLE_SLEEP_STATUS_AWAKE
            ),
        )
    ).SerializeToString()


def parse_from_vcsec(payload: bytes) -> FromVCSECMessage:
    """Reads a FromVCSECMessage.

    Raises:
        VcpError: no such message.
    """
    try:
        return FromVCSECMessage.FromString(payload)
    except DecodeError:
        raise VcpError("no FromVCSECMessage") from None


def parse_status(payload: bytes) -> VehicleStatus | None:
    """The VehicleStatus in a payload; None if it carries none, or one without its sleep status.

    The ECU always says whether it sleeps; a status without it is empty or cut, and would read as unlocked.

    Raises:
        VcpError: no FromVCSECMessage.
    """
    message = parse_from_vcsec(payload)
    if message.WhichOneof("sub_message") != "vehicleStatus":
        return None
    status = message.vehicleStatus
    if status.vehicleSleepStatus == vcsec_pb2.VEHICLE_SLEEP_STATUS_UNKNOWN:
        return None
    doors = status.closureStatuses
    shut = vcsec_pb2.CLOSURESTATE_CLOSED
    return VehicleStatus(
        int(status.vehicleLockState),
        (
            doors.frontDriverDoor != shut,
            doors.frontPassengerDoor != shut,
            doors.rearDriverDoor != shut,
            doors.rearPassengerDoor != shut,
        ),
        status.vehicleSleepStatus == vcsec_pb2.VEHICLE_SLEEP_STATUS_ASLEEP,
    )


@lru_cache(maxsize=1024)
def build_push(payload: bytes) -> bytes:
    """A push or report: a plain message to DOMAIN_BROADCAST (vehicle.md section 2)."""
    return RoutableMessage(
        to_destination=_TO_ALL, from_destination=_TO_VEHICLE, protobuf_message_as_bytes=payload
    ).SerializeToString()


def is_push(message: RoutableMessage) -> bool:
    """Whether a message of the vehicle is for all, not an answer."""
    return (
        message.to_destination.WhichOneof("sub_destination") == "domain"
        and message.to_destination.domain == universal_message_pb2.DOMAIN_BROADCAST
    )


def wait_payload() -> bytes:
    """Serialised FromVCSECMessage: busy with another request, try again (page, "VCSEC application-layer responses")."""
    return FromVCSECMessage(
        commandStatus=vcsec_pb2.CommandStatus(operationStatus=vcsec_pb2.OPERATIONSTATUS_WAIT)
    ).SerializeToString()


def whitelist_status_payload(information: int, operation_status: int = OPERATION_OK) -> bytes:
    """Serialised FromVCSECMessage that ends a key operation; information 0 is success."""
    return FromVCSECMessage(
        commandStatus=vcsec_pb2.CommandStatus(
            operationStatus=operation_status,  # type: ignore[arg-type]
            whitelistOperationStatus=vcsec_pb2.WhitelistOperation_status(
                whitelistOperationInformation=information,  # type: ignore[arg-type]
                operationStatus=operation_status,  # type: ignore[arg-type]
            ),
        )
    ).SerializeToString()


def nominal_error_payload(error: int) -> bytes:
    """Serialised FromVCSECMessage with a GenericError_E: the action could not be executed."""
    return FromVCSECMessage(
        nominalError=errors_pb2.NominalError(genericError=error)  # type: ignore[arg-type]
    ).SerializeToString()
