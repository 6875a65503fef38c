"""Keys: made safely, kept from others' eyes and out of evidence, and read by OpenSSL too."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from reports.signing.keys import SigningError, key_id, load_private, load_public, new_keys, private_keys_in

PHRASE = "correct horse battery"


def test_a_new_pair_is_encrypted_and_its_private_half_its_owners_alone(tmp_path: Path) -> None:
    private_file, public_file = new_keys(tmp_path / "author", PHRASE)
    assert (private_file.name, public_file.name) == ("author.key", "author.pub")
    assert stat.S_IMODE(private_file.stat().st_mode) == 0o600
    assert private_file.read_text(encoding="ascii").startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert key_id(load_private(private_file, PHRASE).public_key()) == key_id(load_public(public_file))


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_file, _ = new_keys(tmp_path / "author", PHRASE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(private_file.stat().st_mode) == 0o600


def test_openssl_reads_both_and_says_the_same_id(tmp_path: Path) -> None:
    private_file, public_file = new_keys(tmp_path / "author", PHRASE)
    of_private = subprocess.run(
        ["openssl", "pkey", "-in", private_file, "-passin", f"pass:{PHRASE}", "-pubout"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert of_private == public_file.read_bytes()
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", public_file, "-outform", "DER"], capture_output=True, check=True
    ).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der, capture_output=True, check=True).stdout
    assert digest.decode().split()[0] == key_id(load_public(public_file))


@pytest.mark.parametrize("name", ["journal.jsonl", "results.json", "signatures"])
def test_never_in_evidence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    deep = tmp_path / "below" / "deeper"
    deep.mkdir(parents=True)
    with pytest.raises(SigningError, match="holds evidence"):
        new_keys(deep / "author", PHRASE)
    assert list(deep.iterdir()) == []


def test_a_key_that_lay_in_evidence_is_not_used(tmp_path: Path) -> None:
    private_file, _ = new_keys(tmp_path / "author", PHRASE)
    (tmp_path / "results.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SigningError, match="make another"):
        load_private(private_file, PHRASE)
    assert list(private_keys_in(tmp_path)) == [private_file]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    private_file, public_file = new_keys(tmp_path / "author", PHRASE)
    before = private_file.read_bytes(), public_file.read_bytes()
    with pytest.raises(SigningError, match="not overwritten"):
        new_keys(tmp_path / "author", PHRASE)
    assert (private_file.read_bytes(), public_file.read_bytes()) == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    private_file, _ = new_keys(tmp_path / "author", PHRASE)
    private_file.chmod(mode)
    with pytest.raises(SigningError, match="chmod 600"):
        load_private(private_file, PHRASE)


def test_short_passphrases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="11 characters"):
        new_keys(tmp_path / "author", "elevenchars")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_passphrase_and_a_key_without_one(tmp_path: Path) -> None:
    private_file, public_file = new_keys(tmp_path / "author", PHRASE)
    with pytest.raises(SigningError, match="is the passphrase right"):
        load_private(private_file, "correct horse batterx")
    plain = load_private(private_file, PHRASE)
    from cryptography.hazmat.primitives.serialization import NoEncryption

    private_file.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SigningError, match="openssl pkcs8"):
        load_private(private_file, PHRASE)
    with pytest.raises(SigningError, match=r"is a private key; name the public one, author\.pub"):
        load_public(private_file)
    assert key_id(load_public(public_file)) == key_id(plain.public_key())


def test_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    encryption = BestAvailableEncryption(PHRASE.encode())
    (tmp_path / "p256.key").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    (tmp_path / "p256.key").chmod(0o600)
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "p256.pub").write_bytes(public)
    with pytest.raises(SigningError, match="no ed25519 key"):
        load_private(tmp_path / "p256.key", PHRASE)
    with pytest.raises(SigningError, match="no ed25519 key"):
        load_public(tmp_path / "p256.pub")


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.pub").write_text(text, encoding="ascii")
    with pytest.raises(SigningError, match=r"x\.pub"):
        load_public(tmp_path / "x.pub")
    with pytest.raises(SigningError, match=r"y\.pub: cannot be read"):
        load_public(tmp_path / "y.pub")
