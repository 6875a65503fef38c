"""What an attacker without a key can do to bytes: damage a MAC, cut a message short, make up garbage.

Pure; all randomness is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from rig.protocol import vcp

MOST = 900
"""Garbage is up to so long; the longest message of the protocol has 1024 bytes."""


def _with_mac(message: bytes, mac: bytes) -> bytes:
    """The message with another MAC in the place of its own; as it is if it has none."""
    routable = vcp.parse(message)
    signature = routable.signature_data
    kind = signature.WhichOneof("sig_type")
    if kind == "AES_GCM_Personalized_data":
        signature.AES_GCM_Personalized_data.tag = mac
    elif kind == "HMAC_Personalized_data":
        signature.HMAC_Personalized_data.tag = mac
    return routable.SerializeToString()


def mac_of(message: bytes) -> bytes:
    """The MAC of a signed command; empty if it is none."""
    command = vcp.signed(vcp.parse(message))
    return command.tag if command is not None else b""


def truncated(message: bytes) -> Iterator[bytes]:
    """The MAC cut to nothing, one byte, four, half of it, and all but one byte."""
    mac = mac_of(message)
    for length in sorted({0, 1, 4, len(mac) // 2, max(0, len(mac) - 1)}):
        yield _with_mac(message, mac[:length])


def zeroed(message: bytes) -> Iterator[bytes]:
    """Zeros in the MAC's place."""
    yield _with_mac(message, bytes(len(mac_of(message))))


def all_but_first(message: bytes) -> Iterator[bytes]:
    """Only the first byte of the MAC is right."""
    mac = mac_of(message)
    yield _with_mac(message, mac[:1] + bytes(b ^ 0x5A for b in mac[1:]))


def all_but_last(message: bytes) -> Iterator[bytes]:
    """Only the last byte of the MAC is right."""
    mac = mac_of(message)
    yield _with_mac(message, bytes(b ^ 0x5A for b in mac[:-1]) + mac[-1:])


def enumerated(message: bytes, place: int) -> Iterator[bytes]:
    """Every value of one byte of the MAC, all its other bytes being wrong."""
    wrong = bytearray(b ^ 0x5A for b in mac_of(message))
    if not wrong:
        return
    for value in range(256):
        wrong[place % len(wrong)] = value
        yield _with_mac(message, bytes(wrong))


def payload_changed(message: bytes) -> Iterator[bytes]:
    """One bit of what the MAC protects is another: each byte of the payload in turn."""
    routable = vcp.parse(message)
    payload = routable.protobuf_message_as_bytes
    for place in range(len(payload)):
        changed = bytearray(payload)
        changed[place] ^= 1
        routable.protobuf_message_as_bytes = bytes(changed)
        yield routable.SerializeToString()


def malformed(rng: Random, like: bytes) -> bytes:
    """Bytes that a decoder may stumble over: pure garbage, or a message with a part cut, doubled or flipped."""
    kind = rng.randrange(6)
    if kind == 0 or not like:
        return rng.randbytes(rng.randrange(1, MOST))
    if kind == 1:
        return like[: rng.randrange(1, len(like) + 1)]
    if kind == 2:
        at = rng.randrange(len(like))
        return like[:at] + bytes((like[at] ^ (1 << rng.randrange(8)),)) + like[at + 1 :]
    if kind == 3:
        at = rng.randrange(len(like))
        return (like[:at] + rng.randbytes(rng.randrange(1, 40)) + like[at:])[:MOST]
    if kind == 4:
        # A length that promises far more than there is (protobuf field 14, length-delimited).
        return like + b"\x72\xff\xff\xff\xff\x0f" + rng.randbytes(8)
    return (like * (MOST // len(like) + 1))[: rng.randrange(1, MOST)]


def garbage_frame(rng: Random) -> bytes:
    """A CAN frame that ISO-TP may stumble over: any control byte, any length."""
    return bytes((rng.randrange(256),)) + rng.randbytes(rng.randrange(8))
