"""Checks the two envelopes of a folder against the keys of author and approver, and the files against what was signed.

Says in words what does not hold; recomputes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from reports.signing.dsse import Envelope
from reports.signing.keys import SigningError, key_id, private_keys_in
from reports.signing.manifest import (
    FILES_ENVELOPE,
    RESULT_ENVELOPE,
    SIGNATURES,
    Manifest,
    differences,
    inside,
    manifest,
    strangers,
)
from reports.signing.statements import FILES, TEST_RESULT, StatementError, parse, subjects

TYPES = {RESULT_ENVELOPE: TEST_RESULT, FILES_ENVELOPE: FILES}


@dataclass(frozen=True, slots=True)
class Signed:
    """What the envelopes hold, whoever signed them; empty where there is nothing to read.

    Attributes:
        result: the Test Result statement.
        files: the statement over the files.
        findings: what does not hold, in words.
        checked: what does, in words.
    """

    result: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()


def check_envelopes(folder: Path, roles: dict[str, Ed25519PublicKey]) -> Signed:
    """Checks that both envelopes are signed by everybody in `roles`, and by nobody else.

    Args:
        folder: the evidence.
        roles: public key by role ("author", "approver").
    """
    findings: list[str] = []
    if len({key_id(key) for key in roles.values()}) < len(roles):
        findings.append("author and approver have one and the same key; two people sign with two keys")
    statements: dict[str, dict[str, Any]] = {RESULT_ENVELOPE: {}, FILES_ENVELOPE: {}}
    for name, predicate in TYPES.items():
        place = f"{SIGNATURES}/{name}"
        if not (folder / place).is_file():
            findings.append(f"{place} is missing: nobody has signed this evidence")
            continue
        try:
            envelope = Envelope.load(folder / place)
        except SigningError as error:
            findings.append(str(error))
            continue
        findings += _of_signatures(place, envelope, roles)
        try:
            statements[name] = parse(envelope.payload_type, envelope.payload, predicate)
        except StatementError as error:
            findings.append(f"{place}: {error}")
    checked = () if findings else (f"both statements are signed by {' and '.join(roles)}",)
    return Signed(statements[RESULT_ENVELOPE], statements[FILES_ENVELOPE], tuple(findings), checked)


def _of_signatures(place: str, envelope: Envelope, roles: dict[str, Ed25519PublicKey]) -> list[str]:
    findings = []
    ids = {key_id(key): role for role, key in roles.items()}
    claimed = {s.keyid for s in envelope.signatures}
    for role, key in roles.items():
        if envelope.holds(key):
            continue
        if key_id(key) in claimed:
            findings.append(
                f"{place}: the signature of the {role} (key {key_id(key)[:16]}) does not fit: what was signed was"
                " changed, or it is not their signature"
            )
        else:
            findings.append(f"{place}: the {role} (key {key_id(key)[:16]}) has not signed")
    findings += [
        f"{place}: a foreign key has signed, {s.keyid[:16] or 'without an id'}, of neither {' nor '.join(roles)}"
        for s in envelope.signatures
        if s.keyid not in ids
    ]
    if len(claimed) < len(envelope.signatures):
        findings.append(f"{place}: two signatures claim the same key")
    return findings


def check_unsigned(folder: Path) -> tuple[str, ...]:
    """What must not lie in unsigned evidence either: private keys, links, names that cannot be listed."""
    secret = [file.relative_to(folder) for file in private_keys_in(folder)]
    findings = [f"{name} is a private key; it must not be handed on" for name in secret]
    try:
        manifest(folder)
    except SigningError as error:
        findings.append(str(error))
    return tuple(findings)


def check_files(folder: Path, signed: Manifest) -> tuple[str, ...]:
    """How the files differ from those that were signed, in words; also what must not lie among them."""
    secret = [file.relative_to(folder) for file in private_keys_in(folder)]
    findings = [f"{name} is a private key; it must not be handed on" for name in secret]
    findings += [f"{name} lies among the signatures and is none" for name in strangers(folder)]
    try:
        findings += differences(signed, manifest(folder))
    except SigningError as error:
        findings.append(str(error))
    return tuple(findings)


def signed_files(signed: Signed) -> tuple[dict[str, str], tuple[str, ...]]:
    """The list of files that was signed, and what is wrong with the list itself."""
    if not signed.files:
        return {}, ()
    place = f"{SIGNATURES}/{FILES_ENVELOPE}"
    try:
        listed = subjects(signed.files)
    except StatementError as error:
        return {}, (f"{place}: {error}",)
    outside = [name for name in listed if not inside(name)]
    if outside:
        words = "which lies outside of the evidence; it is not read"
        return {}, tuple(f"{place}: lists {name!r}, {words}" for name in outside)
    return listed, ()
