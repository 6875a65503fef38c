"""Amendments: a new revision of issued evidence, which says why and what it replaces (ISO/IEC 17025:2017, 7.8.8).

The old folder is left as it is; the new one is a copy with one more record in its journal, unsigned.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from reports.build import BuildError, write_results
from reports.journal import NAME as JOURNAL
from reports.journal import Journal, JournalError
from reports.report import HTML, PDF
from reports.results import FILE
from reports.signing.facts import read
from reports.signing.keys import SigningError
from reports.signing.manifest import ENVELOPES, FILES_ENVELOPE, SIGNATURES, sha256_of
from reports.signing.verifytext import NAME as VERIFY

KIND = "amend"
"""The record of an amendment in the journal."""
REPLACED = "replaced"
"""Where the envelopes of earlier revisions lie: `replaced/r1`."""
NOT_COPIED = (SIGNATURES, HTML, PDF, VERIFY)
"""What belongs to one revision alone."""


def amendment(folder: Path, reason: str, by: str, at: str) -> dict[str, object]:
    """The body of the record: the new revision, why, by whom, and what it replaces.

    Raises:
        SigningError: the folder cannot be read, or reason or name say nothing.
    """
    if not reason.strip():
        raise SigningError("--reason: an amendment says why; customers read it")
    if not by.strip():
        raise SigningError("--by: an amendment has the name of who answers for it")
    evidence = read(folder)
    signed = folder / SIGNATURES / FILES_ENVELOPE
    return {
        "revision": evidence.revision + 1,
        "reason": reason.strip(),
        "by": by.strip(),
        "at": at,
        "replaces": {
            "report": f"{evidence.number}, revision {evidence.revision}",
            "results_sha256": sha256_of(folder / FILE),
            # Everything hangs on this one: it lists all files with their hashes.
            "files_envelope_sha256": sha256_of(signed) if signed.exists() else None,
        },
    }


def next_folder(folder: Path) -> Path:
    """Where the next revision goes unless somebody says otherwise: out/certify, out/certify-r2, out/certify-r3."""
    found = re.fullmatch(r"(.+)-r(\d+)", folder.resolve().name)
    stem, number = (found[1], int(found[2])) if found else (folder.resolve().name, 1)
    return folder.resolve().with_name(f"{stem}-r{number + 1}")


def copy_amended(folder: Path, new: Path, body: dict[str, object]) -> None:
    """Makes the folder of the new revision: a copy, the old envelopes kept, one more record in the journal.

    Raises:
        SigningError: the new folder is there already, or cannot be written.
    """
    if new.exists():
        raise SigningError(f"{new}: is there already; name another folder: --out DIR")
    try:
        shutil.copytree(folder, new, ignore=lambda at, _: NOT_COPIED if Path(at) == folder else (), symlinks=True)
        kept = new / REPLACED / f"r{int(str(body['revision'])) - 1}"
        for name in ENVELOPES:
            if (folder / SIGNATURES / name).exists():
                kept.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / SIGNATURES / name, kept / name)
        journal, _ = Journal.go_on(new / JOURNAL)
        with journal:
            journal.append(KIND, body)
        write_results(new)
    except (OSError, shutil.Error, JournalError, BuildError) as error:
        raise SigningError(f"{new}: cannot be made ({error})") from None
