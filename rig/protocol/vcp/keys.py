"""P-256 identities and the keys that two of them share.

Pure; knows nothing of messages.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rig.protocol.vcp.numbers import KEY_BYTES, PUBLIC_BYTES, Fault, VcpError

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order n of P-256 (NIST SP 800-186, 3.2.1.3)."""
_CURVE: Final = ec.SECP256R1()
_ECDH: Final = ec.ECDH()


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

    @property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """The private key, for clients that bring their own cryptography."""
        return self._private

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
def gcm(shared: bytes) -> AESGCM:
    return AESGCM(shared)


@lru_cache(maxsize=64)
def ble_local_name(vin: str) -> str:
    """The Bluetooth name: S, 16 hex digits of SHA-1 of the VIN, C (page, "BLE")."""
    return f"S{hashlib.sha1(vin.encode(), usedforsecurity=False).hexdigest()[:16]}C"
