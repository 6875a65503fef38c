"""DSSE envelopes (Dead Simple Signing Envelope, protocol v1.0.2) with ed25519 signatures.

Knows bytes, types and signatures; nothing of what is signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from reports.signing.keys import SigningError, key_id


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: what is signed, so that type and payload cannot be told apart otherwise.

    DSSE protocol: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, lengths in bytes, decimal, ASCII.
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the id of the key that it claims to be from; the id is a hint and proves nothing."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is signed, its type, and its signatures."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...] = ()

    def signed(self, key: Ed25519PrivateKey) -> Envelope:
        """This envelope with one more signature.

        Raises:
            SigningError: that key has signed it before.
        """
        mine = key_id(key.public_key())
        if any(s.keyid == mine for s in self.signatures):
            raise SigningError(f"key {mine[:16]} has signed this before; two people sign with two keys")
        signature = Signature(mine, key.sign(pae(self.payload_type, self.payload)))
        return replace(self, signatures=(*self.signatures, signature))

    def holds(self, key: Ed25519PublicKey) -> bool:
        """Whether any signature is this key's over just this payload; key ids are not believed."""
        message = pae(self.payload_type, self.payload)
        for signature in self.signatures:
            try:
                key.verify(signature.sig, message)
            except InvalidSignature:
                continue
            return True
        return False

    def to_json(self) -> str:
        """The envelope as JSON, a value a line, so that `sed` can take it apart."""
        document = {
            "payloadType": self.payload_type,
            "payload": base64.b64encode(self.payload).decode(),
            "signatures": [
                {"keyid": s.keyid, "sig": base64.b64encode(s.sig).decode()} for s in self.signatures
            ],
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Envelope:
        """Reads an envelope.

        Raises:
            SigningError: it cannot be read, or is none.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            signatures = tuple(Signature(str(s.get("keyid", "")), _decode(s["sig"])) for s in raw["signatures"])
            return cls(str(raw["payloadType"]), _decode(raw["payload"]), signatures)
        except OSError as error:
            raise SigningError(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SigningError(f"{path}: is no DSSE envelope ({type(error).__name__}: {error})") from None


def _decode(text: object) -> bytes:
    """Base64, standard or URL-safe: the protocol lets producers choose."""
    if not isinstance(text, str):
        raise ValueError("base64 text is missing")
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"base64: {error}") from None
