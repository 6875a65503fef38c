"""Evidence and keys, made once; every test tampers with a copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from reports.signing.facts import configuration_of, facts_of, firmware_of, read
from reports.signing.keys import load_private, new_keys
from reports.signing.sign import sign_as_approver, sign_as_author
from reports.signing.verify import Verification, verify
from tests.signing import made

PHRASE = "correct horse battery"


@dataclass(frozen=True)
class Keys:
    """Author, approver, and somebody else."""

    folder: Path
    author: Ed25519PrivateKey
    approver: Ed25519PrivateKey
    foreign: Ed25519PrivateKey

    @property
    def roles(self) -> dict[str, Ed25519PublicKey]:
        return {"author": self.author.public_key(), "approver": self.approver.public_key()}

    def check(self, folder: Path, firmware: str | None = None) -> Verification:
        return verify(folder, self.roles, firmware)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("author", "approver", "foreign"):
        new_keys(folder / name, PHRASE)
    (folder / "phrase").write_text(PHRASE + "\n", encoding="utf-8")
    (folder / "phrase").chmod(0o600)
    return Keys(folder, *(load_private(folder / f"{n}.key", PHRASE) for n in ("author", "approver", "foreign")))


def sign(folder: Path, author: Ed25519PrivateKey, approver: Ed25519PrivateKey | None) -> None:
    """Both signatures; without an approver only the author's."""
    evidence = read(folder)
    firmware = firmware_of(evidence)
    assert firmware is not None
    sign_as_author(
        folder, author, facts_of(evidence), firmware, configuration_of(evidence), "2026-11-23T12:00:00+00:00"
    )
    if approver is not None:
        sign_as_approver(folder, approver)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "evidence"
    made.make(folder)
    return folder


@pytest.fixture(scope="session")
def signed_once(made_once: Path, keys: Keys) -> Path:
    folder = made.copied(made_once, made_once.with_name("signed"))
    sign(folder, keys.author, keys.approver)
    return folder


@pytest.fixture
def unsigned(made_once: Path, tmp_path: Path) -> Path:
    """Evidence that nobody has signed."""
    return made.copied(made_once, tmp_path / "evidence")


@pytest.fixture
def evidence(signed_once: Path, tmp_path: Path) -> Path:
    """Evidence that author and approver have signed."""
    return made.copied(signed_once, tmp_path / "evidence")
