"""Signing keys: ed25519 in PEM files that OpenSSL reads, the private half encrypted and readable by its owner alone.

Refuses whatever would leave a private key where others can read it, an evidence folder above all.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

SHORTEST_PASSPHRASE = 12
"""Characters. The file's key derivation is PBKDF2 (OpenSSL's own figures), so a short phrase can be tried out."""
OWNER_ONLY = 0o600
EVIDENCE = ("journal.jsonl", "results.json", "signatures")
"""What a folder of evidence has, as soon as a run has begun."""
PRIVATE = b"PRIVATE KEY-----"
"""How the first line of every PEM file with a private key ends, encrypted or not."""
PEM_LARGEST = 64 * 1024
"""Bytes of a file that are looked at for a private key; keys are shorter by far."""


class SigningError(ValueError):
    """Something cannot be signed or a key not be used; names the file, why, and the mend."""


def key_id(public: Ed25519PublicKey) -> str:
    """SHA-256 of the public key in DER (SubjectPublicKeyInfo), in hex; OpenSSL prints the same."""
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def check_new(path: Path) -> tuple[Path, Path]:
    """Where a new pair goes, before anybody is asked for a passphrase.

    Raises:
        SigningError: a file is there already, or the folder holds evidence.
    """
    private_file, public_file = path.with_name(f"{path.name}.key"), path.with_name(f"{path.name}.pub")
    evidence = evidence_folder(path)
    if evidence is not None:
        raise SigningError(
            f"{private_file}: {evidence} holds evidence, which is handed on; keep keys elsewhere, as in ~/.rig-keys"
        )
    for file in (private_file, public_file):
        if file.exists():
            raise SigningError(f"{file}: is there already and is not overwritten; take another name")
    return private_file, public_file


def new_keys(path: Path, passphrase: str) -> tuple[Path, Path]:
    """Makes a pair of keys: `path` with ".key" (private, encrypted PKCS#8, mode 0600) and with ".pub" (public).

    Returns:
        The two files, private one first.

    Raises:
        SigningError: a file is there already, the folder is missing or holds evidence, the passphrase is short.
    """
    private_file, public_file = check_new(path)
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise SigningError(
            f"{private_file}: the passphrase has {len(passphrase)} characters; take {SHORTEST_PASSPHRASE} or more"
        )
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        # Created with its mode, so that it is at no instant readable by others.
        with os.fdopen(os.open(private_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as out:
            out.write(pem)
        public_file.write_bytes(public)
    except OSError as error:
        raise SigningError(f"{error.filename}: cannot be written ({error.strerror})") from None
    return private_file, public_file


def load_private(path: Path, passphrase: str) -> Ed25519PrivateKey:
    """Reads a private key.

    Raises:
        SigningError: it lies in evidence, others may read it, it is not encrypted, or it is no ed25519 key.
    """
    check_private_file(path)
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except TypeError:
        raise SigningError(
            f"{path}: is not encrypted; `openssl pkcs8 -topk8 -v2 aes-256-cbc -in {path} -out NEW.key` mends it"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SigningError(
            f"{path}: cannot be opened; is the passphrase right, and is it a private key in PEM?"
        ) from None
    except OSError as error:
        raise SigningError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(f"{path}: is no ed25519 key; `rig keys new` makes one")
    return key


def check_private_file(path: Path) -> None:
    """Whether a private key may be used, before anybody is asked for its passphrase.

    Raises:
        SigningError: it is not there, lies in evidence, or others may read it.
    """
    evidence = evidence_folder(path)
    if evidence is not None:
        raise SigningError(
            f"{path}: lies in {evidence}, which holds evidence; a key that was there is not secret: make another"
        )
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SigningError(f"{path}: cannot be read ({error.strerror}); `rig keys new` makes keys") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise SigningError(
            f"{path}: others may read it (mode {stat.S_IMODE(mode):04o}); `chmod 600 {path}`, and make another key"
            " if somebody may have done so"
        )


def load_public(path: Path) -> Ed25519PublicKey:
    """Reads a public key.

    Raises:
        SigningError: it cannot be read, is a private one, or no ed25519 key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SigningError(f"{path}: cannot be read ({error.strerror}); the laboratory gives its public keys") from None
    if PRIVATE in text:
        raise SigningError(f"{path}: is a private key; name the public one, {path.with_suffix('.pub').name}")
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise SigningError(f"{path}: is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SigningError(f"{path}: is no ed25519 key")
    return key


def evidence_folder(path: Path) -> Path | None:
    """The folder of evidence that a file lies in, at whatever depth; None if it lies in none."""
    for folder in path.absolute().resolve().parents:
        if any((folder / name).exists() for name in EVIDENCE):
            return folder
    return None


def private_keys_in(folder: Path) -> Iterator[Path]:
    """Files of a folder that hold a private key: what must never be handed on."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as reading:
                if PRIVATE in reading.read(PEM_LARGEST):
                    yield file
