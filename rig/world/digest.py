"""Names for payloads in the trace."""

from __future__ import annotations

from hashlib import sha256


def digest(message: bytes) -> str:
    """A short name for a payload, in hex; equal payloads have equal names."""
    return sha256(message).hexdigest()[:16]
