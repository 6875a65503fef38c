"""DSSE: the encoding against the protocol's own example, signatures against securesystemslib's, envelopes as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as Oracle
from securesystemslib.signer import CryptoSigner, SSlibKey

from reports.signing.dsse import Envelope, Signature, pae
from reports.signing.keys import SigningError, key_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
TYPE = "application/vnd.in-toto+json"


def test_the_example_of_the_protocol() -> None:
    """DSSE protocol, test vectors: "http://example.com/HelloWorld", "hello world"."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


@given(st.text(max_size=40), st.binary(max_size=300))
def test_the_encoding_is_securesystemslibs(kind: str, payload: bytes) -> None:
    assert pae(kind, payload) == Oracle(payload=payload, payload_type=kind, signatures={}).pae()


@given(st.binary(max_size=300))
def test_each_verifies_what_the_other_has_signed(payload: bytes) -> None:
    public = SSlibKey.from_crypto(KEY.public_key())
    ours = json.loads(Envelope(TYPE, payload).signed(KEY).to_json())
    # It finds keys by the id that the envelope names.
    named = SSlibKey(ours["signatures"][0]["keyid"], public.keytype, public.scheme, public.keyval)
    assert Oracle.from_dict(ours).verify([named], 1)
    theirs = Oracle(payload=payload, payload_type=TYPE, signatures={})
    theirs.sign(CryptoSigner(KEY, public))
    signatures = [Signature(s.keyid, bytes.fromhex(s.signature)) for s in theirs.signatures.values()]
    assert Envelope(TYPE, payload, tuple(signatures)).holds(KEY.public_key())


def test_a_signature_is_for_one_type_and_one_payload() -> None:
    signed = Envelope(TYPE, b"payload").signed(KEY)
    assert signed.holds(KEY.public_key())
    assert not signed.holds(OTHER.public_key())
    assert not replace(signed, payload=b"Payload").holds(KEY.public_key())
    assert not replace(signed, payload_type="text/plain").holds(KEY.public_key())


def test_a_key_id_is_not_believed() -> None:
    mine, theirs = Envelope(TYPE, b"x").signed(KEY).signatures[0], Envelope(TYPE, b"x").signed(OTHER).signatures[0]
    posing = Envelope(TYPE, b"x", (Signature(mine.keyid, theirs.sig),))
    assert not posing.holds(KEY.public_key())
    assert posing.holds(OTHER.public_key())


def test_nobody_signs_twice() -> None:
    signed = Envelope(TYPE, b"x").signed(KEY).signed(OTHER)
    assert [s.keyid for s in signed.signatures] == [key_id(k.public_key()) for k in (KEY, OTHER)]
    with pytest.raises(SigningError, match="signed this before"):
        signed.signed(KEY)


def test_as_a_file(tmp_path: Path) -> None:
    signed = Envelope(TYPE, b"\x00\xff payload").signed(KEY)
    file = tmp_path / "x.json"
    file.write_text(signed.to_json(), encoding="utf-8")
    assert Envelope.load(file) == signed
    # URL-safe base64 is allowed, too.
    raw = json.loads(signed.to_json())
    raw["payload"] = raw["payload"].replace("+", "-").replace("/", "_")
    file.write_text(json.dumps(raw), encoding="utf-8")
    assert Envelope.load(file) == signed


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"payload": 1, "payloadType": "x", "signatures": []}',
        '{"payload": "?", "payloadType": "x", "signatures": []}',
        '{"payload": "", "payloadType": "x", "signatures": [1]}',
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SigningError, match=r"x\.json: is no DSSE envelope"):
        Envelope.load(file)
