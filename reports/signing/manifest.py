"""The list of files of an evidence folder with their hashes, and how another state of the folder differs from it.

Signatures lie beside the files they are about, in a folder of their own that the list leaves out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from reports.signing.keys import SigningError

SIGNATURES = "signatures"
"""The folder of the envelopes."""
RESULT_ENVELOPE = "test-result.dsse.json"
FILES_ENVELOPE = "files.dsse.json"
ENVELOPES = (RESULT_ENVELOPE, FILES_ENVELOPE)
CHUNK = 1 << 20
PLAIN = re.compile(r"(?! )[^\x00-\x1f\x7f\ud800-\udfff\"\\]+(?<! )")
"""File names that a shell's `read` and a JSON string both take as they are."""

Manifest = Mapping[str, str]
"""SHA-256 in hex by file name, relative to the folder, with slashes, in order."""


def manifest(folder: Path) -> dict[str, str]:
    """Hashes every file of a folder but its signatures.

    Raises:
        SigningError: a link, something that is no file, or a name that cannot be listed.
    """
    found = {}
    for file in sorted(_inside(folder), key=lambda f: f.relative_to(folder).as_posix()):
        name = file.relative_to(folder).as_posix()
        if file.is_symlink():
            raise SigningError(f"{file}: is a link; evidence holds the file itself, since a link can change its mind")
        if not file.is_file():
            raise SigningError(f"{file}: is neither file nor folder; evidence holds files")
        if not PLAIN.fullmatch(name):
            raise SigningError(
                f"{name!r}: a name of evidence has no control characters, quotes or backslashes, nor a space at an end;"
                " rename it"
            )
        found[name] = sha256_of(file)
    return found


def _inside(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry == folder / SIGNATURES:
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _inside(entry)
        else:
            yield entry


def inside(name: str) -> bool:
    """Whether a name of a list is one of a file in the folder: relative, with slashes, never a step upwards."""
    return all(part not in ("", ".", "..") for part in name.split("/")) and "\\" not in name and ":" not in name[1:2]


def strangers(folder: Path) -> list[str]:
    """What lies among the signatures and is none."""
    signatures = folder / SIGNATURES
    if not signatures.is_dir():
        return []
    return sorted(
        f.relative_to(folder).as_posix() for f in signatures.iterdir() if f.name not in ENVELOPES or not f.is_file()
    )


def sha256_of(file: Path) -> str:
    """SHA-256 of a file in hex.

    Raises:
        SigningError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as reading:
            while block := reading.read(CHUNK):
                digest.update(block)
    except OSError as error:
        raise SigningError(f"{file}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def differences(signed: Manifest, found: Manifest) -> list[str]:
    """What is no more as it was signed, in words, a file each."""
    words = []
    for name in sorted({*signed, *found}):
        if name not in found:
            words.append(f"{name} is missing; it was signed with SHA-256 {signed[name]}")
        elif name not in signed:
            words.append(f"{name} was not there when the evidence was signed")
        elif signed[name] != found[name]:
            words.append(f"{name} was changed: SHA-256 {found[name]}, signed {signed[name]}")
    return words
