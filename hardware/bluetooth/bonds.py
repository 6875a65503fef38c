"""Addresses and bonds: who has exchanged which keys with whom before the run began.

Bonds of a run come from its seed, as if the pairing had been made long ago. Knows Bumble's key store.
"""

from __future__ import annotations

import random

from bumble import crypto, hci
from bumble.keys import KeyStore, PairingKeys


def static_address(rng: random.Random) -> hci.Address:
    """A static random address: its two top bits are set, and not all others equal (Core, vol 6 part B 1.3.2.1)."""
    octets = bytearray(rng.randbytes(6))
    octets[5] |= 0xC0
    return hci.Address(bytes(octets), hci.Address.RANDOM_DEVICE_ADDRESS)


def private_address(irk: bytes, rng: random.Random) -> hci.Address:
    """A resolvable private address: only who has the key can tell whose it is (Core, vol 6 part B 1.3.2.2)."""
    prand = bytearray(rng.randbytes(3))
    prand[2] = prand[2] & 0x3F | 0x40
    return hci.Address(crypto.ah(irk, bytes(prand)) + bytes(prand), hci.Address.RANDOM_DEVICE_ADDRESS)


def resolves(irk: bytes, address: hci.Address) -> bool:
    """Whether a private address is of the device that has this key."""
    octets = bytes(address)
    return address.is_resolvable and crypto.ah(irk, octets[3:]) == octets[:3]


class Bonds(KeyStore):
    """A key store in memory whose entries can be lost and spoilt, and come back.

    Attributes:
        lost: peers whose keys it does not find.
        wrong: peers whose keys are not those that the peer has.
    """

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.wrong: set[str] = set()
        self._keys: dict[str, PairingKeys] = {}

    def add(self, peer: hci.Address, ltk: bytes, irk: bytes) -> None:
        """A bond made by LE Secure Connections: both ends have the same key."""
        self._keys[str(peer)] = PairingKeys(
            address_type=peer.address_type, ltk=PairingKeys.Key(ltk), irk=PairingKeys.Key(irk)
        )

    async def get(self, name: str) -> PairingKeys | None:
        """The keys of a peer, as faults leave them."""
        keys = self._keys.get(name)
        if keys is None or name in self.lost:
            return None
        if name in self.wrong and keys.ltk is not None:
            spoilt = bytes(byte ^ 0xFF for byte in keys.ltk.value)
            return PairingKeys(address_type=keys.address_type, ltk=PairingKeys.Key(spoilt), irk=keys.irk)
        return keys

    async def update(self, name: str, keys: PairingKeys) -> None:
        """Keeps the keys of a new bond."""
        self._keys[name] = keys

    async def delete(self, name: str) -> None:
        """Forgets a peer."""
        self._keys.pop(name, None)

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        """Every peer's keys."""
        return list(self._keys.items())
