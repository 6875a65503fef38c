"""Verification of a whole folder of evidence: signatures, files, chain, recomputation, statements.

Each check is a function of its own; what it finds is told in words. Nothing here writes, and nothing stops at the first
finding: whoever reads them shall see all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from reports.content.evidence import Evidence
from reports.results import FILE
from reports.signing.difference import differences
from reports.signing.envelopes import Signed, check_envelopes, check_files, check_unsigned, signed_files
from reports.signing.facts import FactsError, configuration_of, facts_of, firmware_of, read
from reports.signing.keys import SigningError
from reports.signing.manifest import RESULT_ENVELOPE, SIGNATURES
from reports.signing.recompute import recompute
from reports.signing.statements import Firmware, StatementError, subjects, test_result

ROLES = ("author", "approver")


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it.

    Attributes:
        report: id and revision of the report, as results.json has them; "" if it cannot be read.
        verdict: its verdict and why.
        firmware: what the signed statement is about; None if there is none.
        checked: what holds, in words.
        findings: what does not, in words.
        left: what could not be checked, and why.
        notes: what was not made again, and need not be: its bytes were signed.
    """

    report: str
    verdict: str
    firmware: Firmware | None
    checked: tuple[str, ...]
    findings: tuple[str, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Nothing was found, and nothing was left out."""
        return not self.findings and not self.left


def verify(
    folder: Path,
    roles: dict[str, Ed25519PublicKey],
    firmware_sha256: str | None = None,
    fonts: Sequence[Path] = (),
    *,
    unsigned: bool = False,
) -> Verification:
    """Checks everything that can be.

    Args:
        folder: the evidence.
        roles: public key by role ("author", "approver"); who is not in it is not looked for.
        firmware_sha256: the firmware that the evidence must be about, in hex; None: any.
        fonts: the laboratory's own, if the PDF was set with such.
        unsigned: nobody was to have signed; that signatures are missing is then nothing that was left out.
    """
    findings: list[str] = []
    checked: list[str] = []
    absent = [] if unsigned else [role for role in ROLES if role not in roles]
    left = [f"whether the {role} has signed: no public key was named" for role in absent]
    signed = Signed()
    if roles:
        signed = check_envelopes(folder, roles)
        findings += signed.findings
        checked += signed.checked
    if unsigned:
        findings += check_unsigned(folder)
    listed, wrong = signed_files(signed)
    findings += wrong
    if listed:
        changed = check_files(folder, listed)
        findings += changed
        if not changed:
            checked.append(f"all {len(listed):,} files are as they were signed")
    computed = recompute(folder, fonts)
    findings += computed.findings
    checked += computed.checked
    left += computed.left
    try:
        evidence = read(folder)
    except FactsError as error:
        if str(error) not in findings:
            findings.append(str(error))
        return Verification("", "", None, tuple(checked), tuple(findings), tuple(left), tuple(computed.notes))
    facts, firmware = facts_of(evidence), None
    if signed.result:
        firmware, more = _of_statement(signed.result, evidence, firmware_sha256)
        findings += more
        if not more:
            checked.append(f"the signed test result says what {FILE} says")
    elif firmware_sha256 is not None:
        left.append("whether it is about that firmware: nobody has signed what it is about")
    verdict = f"{facts.verdict}, {facts.why}"
    said = tuple(checked), tuple(findings), tuple(left), tuple(computed.notes)
    return Verification(facts.report, verdict, firmware, *said)


def _of_statement(
    statement: Mapping[str, Any], evidence: Evidence, wanted: str | None
) -> tuple[Firmware | None, list[str]]:
    """Whether the Test Result repeats what the evidence says, and is about the right firmware."""
    place = f"{SIGNATURES}/{RESULT_ENVELOPE}"
    try:
        about = subjects(statement)
    except StatementError as error:
        return None, [f"{place}: {error}"]
    if len(about) != 1:
        return None, [f"{place}: is about {len(about)} things, and not about one firmware"]
    ((name, sha256),) = about.items()
    firmware = Firmware(name, sha256)
    findings = []
    if wanted is not None and sha256 != wanted:
        findings.append(f"{place}: is about firmware {sha256}, and not about {wanted}")
    known = firmware_of(evidence)
    if known is not None and known.sha256 != sha256:
        findings.append(f"{place}: is about firmware {sha256}, and the evidence about {known.sha256}")
    try:
        should = json.loads(test_result(facts_of(evidence), firmware, configuration_of(evidence)))
    except SigningError as error:
        return firmware, [*findings, str(error)]
    findings += [f"{place}: {words}" for words in differences(dict(statement), should)]
    return firmware, findings
