"""The key-card applet: its APDUs, and the challenge-response between reader and card.

Pure; knows nothing of readers, fields or which cards are enrolled.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from rig.protocol.vcp import Identity, VcpError, shared_key

AID: Final = bytes.fromhex("f465736c614c6f676963")
"""Application identifier that is selected first (vehicle.md section 3)."""
AID_FALLBACK: Final = bytes.fromhex("7465736c614c6f676963")
"""Application identifier that is selected if the card does not know the first (vehicle.md section 3)."""
CLA: Final = 0x80
INS_PUBLIC_KEY: Final = 0x04
"""`80 04`: gives the card's public key (vehicle.md section 3)."""
INS_AUTHENTICATE: Final = 0x11
"""`80 11`: reader's public key and challenge in, encrypted challenge out (vehicle.md section 3)."""
INS_SELECT: Final = 0xA4
PUBLIC_KEY_LENGTH: Final = 65
CHALLENGE_LENGTH: Final = 16
SALT_LENGTH: Final = 4
"""The card replaces this many first bytes of the challenge (vehicle.md section 3)."""
ANSWER_LENGTH: Final = 16

# Status words (ISO 7816-4:2020, table 6).
SW_OK: Final = b"\x90\x00"
SW_WRONG_LENGTH: Final = b"\x67\x00"
SW_CONDITIONS: Final = b"\x69\x85"
SW_WRONG_DATA: Final = b"\x6a\x80"
SW_NOT_FOUND: Final = b"\x6a\x82"
SW_WRONG_INS: Final = b"\x6d\x00"
SW_WRONG_CLA: Final = b"\x6e\x00"


class Refusal(IntEnum):
    """Why something without a vehicle-command fault was refused: the values of LastRefusal from 0x80 on."""

    CARD_UNKNOWN = 0x80
    CARD_WRONG_ANSWER = 0x81
    CARD_TORN = 0x82
    CARD_COLLISION = 0x83
    CARD_LOW_SUPPLY = 0x84
    CARD_NO_CHALLENGE = 0x85
    CARD_NO_APPLET = 0x86
    INTERIOR_LOW_SUPPLY = 0x90


class CardKey(Identity):
    """The P-256 key inside a card."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Apdu:
    """A command APDU in short form (ISO 7816-4:2020, 5.2); Le is not kept."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes


@lru_cache(maxsize=64)
def select_apdu(aid: bytes) -> bytes:
    """SELECT by name, first occurrence (ISO 7816-4:2020, 11.2.2)."""
    return bytes((0x00, INS_SELECT, 0x04, 0x00, len(aid))) + aid + b"\x00"


def public_key_apdu() -> bytes:
    """Asks for the card's public key."""
    return bytes((CLA, INS_PUBLIC_KEY, 0x00, 0x00, 0x00))


def authenticate_apdu(reader_public: bytes, challenge: bytes) -> bytes:
    """Challenges the card: 81 bytes of data, the reader's public key and 16 challenge bytes."""
    data = reader_public + challenge
    if len(data) != PUBLIC_KEY_LENGTH + CHALLENGE_LENGTH:
        raise ValueError(
            f"key card: 65 bytes of key and 16 of challenge are needed, not {len(data)} together"
        )
    return bytes((CLA, INS_AUTHENTICATE, 0x00, 0x00, len(data))) + data + b"\x00"


def parse_apdu(data: bytes) -> Apdu | None:
    """Reads a short command APDU, with or without data and Le; None if the lengths do not fit."""
    if len(data) < 4:
        return None
    if len(data) <= 5:
        body = b""
    else:
        length = data[4]
        if length == 0 or len(data) - 5 not in (length, length + 1):
            return None
        body = bytes(data[5 : 5 + length])
    return Apdu(data[0], data[1], data[2], data[3], body)


@lru_cache(maxsize=4096)
def _cipher(key: bytes) -> Cipher[ECB]:
    # One block of fresh challenge and salt under a key of its own: the applet's published scheme.
    return Cipher(AES(key), ECB())


def card_answer(card: Identity, reader_public: bytes, challenge: bytes, salt: bytes) -> bytes:
    """What a card answers: AES-128-ECB of the challenge whose first 4 bytes are `salt`.

    The key is the first 16 bytes of SHA-1 of the ECDH X (vehicle.md section 3).

    Raises:
        ValueError: challenge or salt has the wrong length.
        VcpError: the reader's public key is no point on P-256.
    """
    if len(challenge) != CHALLENGE_LENGTH or len(salt) != SALT_LENGTH:
        raise ValueError(
            f"key card: 16 bytes of challenge and 4 of salt, not {len(challenge)} and {len(salt)}"
        )
    encryptor = _cipher(shared_key(card, reader_public)).encryptor()
    return encryptor.update(salt + challenge[SALT_LENGTH:]) + encryptor.finalize()


def check_answer(reader: Identity, card_public: bytes, challenge: bytes, answer: bytes) -> bool:
    """Whether `answer` is that of the card with `card_public` to `challenge`; never raises on card data.

    Decrypts and compares the last 12 bytes (vehicle.md section 3).
    """
    if len(answer) != ANSWER_LENGTH or len(challenge) != CHALLENGE_LENGTH:
        return False
    try:
        key = shared_key(reader, card_public)
    except VcpError:
        return False
    decryptor = _cipher(key).decryptor()
    block = decryptor.update(answer) + decryptor.finalize()
    return hmac.compare_digest(block[SALT_LENGTH:], challenge[SALT_LENGTH:])
