"""What a vehicle is given in the factory: its name, its key, and who is enrolled.

Knows how to make an ECU's first memory image of it; knows nothing of benches or scenarios.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.ecu.config import EcuConfig
from hardware.ecu.memory import Image, KeyRecord, encode_image
from rig.protocol.vcp import Identity

DEFAULT_VIN = "URIG0000000000001"


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    """One phone or cloud key on the list.

    Attributes:
        public: uncompressed P-256 point, 65 bytes.
        role: number of `Keys.Role` (2 owner, 3 driver, …).
        enabled: False: enrolled but disabled.
    """

    public: bytes
    role: int
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Provision:
    """The identities of one vehicle."""

    identity: Identity
    keys: tuple[EnrolledKey, ...] = ()
    cards: tuple[bytes, ...] = ()
    vin: str = DEFAULT_VIN

    def config(self) -> EcuConfig:
        """What the ECU has besides its memory."""
        return EcuConfig(vin=self.vin, identity=self.identity)

    def memory_image(self) -> bytes:
        """The first content of both memory slots."""
        keys = [KeyRecord(k.public, k.role, k.enabled) for k in self.keys]
        return encode_image(Image(keys=keys, cards=list(self.cards)), generation=1)
