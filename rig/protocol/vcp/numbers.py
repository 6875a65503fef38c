"""Numbers, names and errors of the vehicle-command protocol.

Taken from the protobuf messages of tesla_protocol; knows nothing of keys or bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from tesla_protocol.command import keys_pb2, signatures_pb2, universal_message_pb2, vcsec_pb2

Role = keys_pb2.Role
RoutableMessage = universal_message_pb2.RoutableMessage
UnsignedMessage = vcsec_pb2.UnsignedMessage
FromVCSECMessage = vcsec_pb2.FromVCSECMessage

MOST_BYTES: Final = 1024
"""Longest serialised RoutableMessage (vehicle.md section 2)."""
DOMAIN: Final = int(universal_message_pb2.DOMAIN_VEHICLE_SECURITY)
"""The only domain here (vehicle.md section 2)."""
BROADCAST: Final = int(universal_message_pb2.DOMAIN_BROADCAST)
TO_VEHICLE: Final = universal_message_pb2.Destination(domain=universal_message_pb2.DOMAIN_VEHICLE_SECURITY)
TO_ALL: Final = universal_message_pb2.Destination(domain=universal_message_pb2.DOMAIN_BROADCAST)
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
