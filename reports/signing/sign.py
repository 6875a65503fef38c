"""Two people sign a folder of evidence: the author makes the statements, the approver signs the same bytes.

Writes the envelopes; judges nothing, and asks nobody for a passphrase.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reports.signing.dsse import Envelope
from reports.signing.keys import SigningError, private_keys_in
from reports.signing.manifest import ENVELOPES, FILES_ENVELOPE, RESULT_ENVELOPE, SIGNATURES, manifest
from reports.signing.statements import PAYLOAD_TYPE, Facts, Firmware, files_statement, test_result
from reports.signing.verifytext import NAME, verify_text


def sign_as_author(
    folder: Path, key: Ed25519PrivateKey, facts: Facts, firmware: Firmware, configuration: Mapping[str, str], at: str
) -> None:
    """Writes VERIFY.txt and both envelopes, with the author's signature.

    Args:
        folder: the evidence; nothing in it may change any more.
        key: the author's.
        facts: what the evidence says of the test.
        firmware: what was tested.
        configuration: SHA-256 by name of what the test was made with.
        at: date and time of the signature, ISO 8601.

    Raises:
        SigningError: it is signed already, a private key lies in it, or a file cannot be listed.
    """
    folder = folder.resolve()
    if any((folder / SIGNATURES / name).exists() for name in ENVELOPES):
        raise SigningError(
            f"{folder}: is signed already; `rig sign --role approver` adds the second signature, `rig amend` makes"
            " a new revision"
        )
    refuse_private_keys(folder)
    try:
        (folder / NAME).write_text(verify_text(facts.report), encoding="utf-8")
        files = manifest(folder)
        result = Envelope(PAYLOAD_TYPE, test_result(facts, firmware, dict(configuration))).signed(key)
        listed = Envelope(PAYLOAD_TYPE, files_statement(files, facts.report, at)).signed(key)
        write_envelopes(folder, result, listed)
    except OSError as error:
        raise SigningError(f"{error.filename}: cannot be written ({error.strerror})") from None


def sign_as_approver(folder: Path, key: Ed25519PrivateKey) -> None:
    """Adds the approver's signatures; what they approve must have been verified before.

    Raises:
        SigningError: nobody has signed it, this key has, or there are two signatures already.
    """
    folder = folder.resolve()
    refuse_private_keys(folder)
    if not all((folder / SIGNATURES / name).exists() for name in ENVELOPES):
        raise SigningError(f"{folder}: the author has not signed yet; `rig sign --role author` comes first")
    signed = []
    for name in (RESULT_ENVELOPE, FILES_ENVELOPE):
        envelope = Envelope.load(folder / SIGNATURES / name)
        if len(envelope.signatures) != 1:
            number = len(envelope.signatures)
            raise SigningError(f"{folder}: {name} has {number} signatures; an approver adds the second")
        signed.append(envelope.signed(key))
    try:
        write_envelopes(folder, *signed)
    except OSError as error:
        raise SigningError(f"{error.filename}: cannot be written ({error.strerror})") from None


def refuse_private_keys(folder: Path) -> None:
    """Raises SigningError if a private key lies in the evidence."""
    for file in private_keys_in(folder):
        raise SigningError(
            f"{file}: is a private key and lies in evidence, which is handed on; take it out, and make another one if"
            " anybody may have seen it"
        )


def write_envelopes(folder: Path, result: Envelope, files: Envelope) -> None:
    """Writes both, each complete or not at all."""
    signatures = folder / SIGNATURES
    signatures.mkdir(exist_ok=True)
    for name, envelope in ((RESULT_ENVELOPE, result), (FILES_ENVELOPE, files)):
        scratch = signatures / f".{name}.new"
        scratch.write_text(envelope.to_json(), encoding="utf-8")
        scratch.replace(signatures / name)
