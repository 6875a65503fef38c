"""The key-card applet: APDUs, the answer by an independent computation, forgeries."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from rig.protocol import keycard
from rig.protocol.keycard import CardKey, authenticate_apdu, card_answer, check_answer, parse_apdu
from rig.protocol.vcp import Identity, shared_key

READER = Identity.from_seed(b"reader")
CARD = CardKey.from_seed(b"card")
CHALLENGES = st.binary(min_size=16, max_size=16)
SALTS = st.binary(min_size=4, max_size=4)


def test_apdus() -> None:
    assert keycard.select_apdu(keycard.AID).hex() == "00a404000af465736c614c6f67696300"
    assert keycard.select_apdu(keycard.AID_FALLBACK).hex() == "00a404000a7465736c614c6f67696300"
    assert keycard.public_key_apdu().hex() == "8004000000"
    authenticate = authenticate_apdu(READER.public, bytes(16))
    assert authenticate[:5].hex() == "8011000051"
    command = parse_apdu(authenticate)
    assert command == keycard.Apdu(0x80, 0x11, 0, 0, READER.public + bytes(16))
    with pytest.raises(ValueError, match="key card"):
        authenticate_apdu(READER.public, bytes(15))


@given(st.binary(max_size=300))
def test_arbitrary_apdus_never_raise(data: bytes) -> None:
    command = parse_apdu(data)
    if command is not None:
        assert (command.cla, command.ins, command.p1, command.p2) == tuple(data[:4])


@pytest.mark.parametrize("data", ["", "8004", "80110000510102", "8011000000aa", "801100000201020304"])
def test_apdus_of_wrong_length_are_none(data: str) -> None:
    assert parse_apdu(bytes.fromhex(data)) is None


@given(CHALLENGES, SALTS)
def test_answer_by_the_card_side_alone(challenge: bytes, salt: bytes) -> None:
    # Computed from the description with the key pair's other half, without our key derivation.
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    scalar = int.from_bytes(hashlib.sha256(b"reader").digest(), "big") % (order - 1) + 1
    reader = ec.derive_private_key(scalar, ec.SECP256R1())
    card = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), CARD.public)
    key = hashlib.sha1(reader.exchange(ec.ECDH(), card)).digest()[:16]
    decryptor = Cipher(AES(key), ECB()).decryptor()
    answer = card_answer(CARD, READER.public, challenge, salt)
    assert decryptor.update(answer) + decryptor.finalize() == salt + challenge[4:]


@given(CHALLENGES, SALTS)
def test_the_right_answer_is_taken_whatever_the_salt(challenge: bytes, salt: bytes) -> None:
    assert check_answer(READER, CARD.public, challenge, card_answer(CARD, READER.public, challenge, salt))


@given(CHALLENGES, SALTS, st.integers(0, 127))
def test_wrong_answers_are_refused(challenge: bytes, salt: bytes, bit: int) -> None:
    answer = card_answer(CARD, READER.public, challenge, salt)
    flipped = bytearray(answer)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not check_answer(READER, CARD.public, challenge, bytes(flipped))
    other = bytearray(challenge)
    other[15] ^= 1
    assert not check_answer(READER, CARD.public, bytes(other), answer)
    stranger = CardKey.from_seed(b"stranger")
    assert not check_answer(
        READER, CARD.public, challenge, card_answer(stranger, READER.public, challenge, salt)
    )


@given(st.binary(max_size=80), st.binary(max_size=20), st.binary(max_size=20))
def test_card_data_never_raises(public: bytes, challenge: bytes, answer: bytes) -> None:
    assert not check_answer(READER, public, challenge, answer)


@pytest.mark.parametrize(("challenge", "salt"), [(bytes(15), bytes(4)), (bytes(16), bytes(5))])
def test_wrong_lengths_are_refused(challenge: bytes, salt: bytes) -> None:
    with pytest.raises(ValueError, match="key card"):
        card_answer(CARD, READER.public, challenge, salt)


@pytest.mark.parametrize("place", range(16))
def test_exactly_the_last_12_bytes_are_compared(place: int) -> None:
    block = bytearray(16)
    block[place] = 1
    encryptor = Cipher(AES(shared_key(CARD, READER.public)), ECB()).encryptor()
    assert check_answer(READER, CARD.public, bytes(16), encryptor.update(bytes(block))) == (place < 4)
