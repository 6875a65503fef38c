"""What an ECU is built with, and the names that all its parts share.

Knows nothing of behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from rig.protocol.keycard import Refusal
from rig.protocol.vcp import Fault, Identity

DOORS = ("FL", "FR", "RL", "RR")

LOCK_STATUS = 0x1A0
VEHICLE_STATE = 0x1B0
TELEMATICS_STATE = 0x1C0
BLUETOOTH_STATE = 0x1D0
INTERIOR_SWITCH = 0x1E0
CLOUD_REQUEST, CLOUD_RESPONSE = 0x2A0, 0x2A8
BLUETOOTH_REQUEST, BLUETOOTH_RESPONSE = 0x2B0, 0x2B8

SECOND_US = 1_000_000


class Source(IntEnum):
    """Who moved the locks last (LockStatus.LastSource)."""

    NONE = 0
    CLOUD = 1
    BLUETOOTH = 2
    CARD = 3
    INTERIOR = 4
    CRASH = 5
    RELOCK = 6


REMOTE = frozenset({Source.CLOUD, Source.BLUETOOTH})
CREDENTIALS = frozenset({Source.CLOUD, Source.BLUETOOTH, Source.CARD})


Reason = Fault | Refusal
"""Why something was refused: a vehicle-command fault, or what card and inside switch have (LastRefusal)."""


MENDED_BY_SESSION_INFO = frozenset(
    {
        Fault.INVALID_SIGNATURE,
        Fault.INVALID_TOKEN_OR_COUNTER,
        Fault.INCORRECT_EPOCH,
        Fault.TIME_EXPIRED,
        Fault.TIME_TO_LIVE_TOO_LONG,
    }
)


@dataclass(frozen=True, slots=True)
class EcuConfig:
    """Fixed data of one ECU.

    Attributes:
        vin: 17 characters.
        identity: the ECU's own P-256 key, for phones and cards.
    """

    vin: str
    identity: Identity
