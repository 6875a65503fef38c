"""What a folder of evidence says of its test, as far as the signed statement repeats it. Reads, decides nothing."""

from __future__ import annotations

from pathlib import Path

from reports.content.evidence import Evidence
from reports.signing.keys import SigningError
from reports.signing.manifest import manifest
from reports.signing.statements import Facts, Firmware

CONFIGURATION = ("campaign.toml", "requirements.toml", "results.json", "waivers.toml")
"""Files of the folder that say what was tested with what; seed and versions stand in results.json."""


class FactsError(SigningError):
    """A folder that is no evidence; names the file and why."""


def read(folder: Path) -> Evidence:
    """Reads a folder's results.json, and campaign.toml if it has one.

    Raises:
        FactsError: one of them cannot be used.
    """
    try:
        return Evidence.read(folder)
    except (ValueError, OSError) as error:
        raise FactsError(str(error)) from None


def facts_of(evidence: Evidence) -> Facts:
    """Report, verdict and tests."""
    results = evidence.results
    return Facts(
        f"{evidence.number}, revision {evidence.revision}",
        results.verdict,
        results.why,
        {test.name: test.outcome for test in results.tests},
        tuple(r.id for r in results.requirements if r.verdict == "conditional pass"),
    )


def firmware_of(evidence: Evidence) -> Firmware | None:
    """What was tested: as read from the DUT, or else as the laboratory stated it; None if nobody says."""
    read_from = evidence.results.item.read if evidence.results.item is not None else {}
    stated = evidence.particulars.item
    sha256 = read_from.get("firmware_sha256") or stated.firmware_sha256
    if not sha256:
        return None
    name = read_from.get("firmware") or stated.firmware or evidence.results.dut
    return Firmware(name, sha256.lower())


def configuration_of(evidence: Evidence) -> dict[str, str]:
    """SHA-256 by name of what the test was made with: bench files, and the folder's files that say the rest."""
    benches = {f"bench {b.name}": b.file_sha256 for b in evidence.results.benches if b.file_sha256}
    return benches | {n: sha256 for n, sha256 in manifest(evidence.folder).items() if n in CONFIGURATION}
