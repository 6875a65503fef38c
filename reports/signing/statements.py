"""The two in-toto statements that are signed: the test result about the firmware, and the files of the evidence.

Pure: facts in, statement out; and back, for verification.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.signing.manifest import Manifest

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
FILES = "urn:unlock-rig:evidence-files:1"
"""Ours: in-toto has no predicate for "these files, all of them, and no other"."""
EXTENSION = "unlockRig"
"""Test Result lists passed, warned and failed tests; what was not run or not decided stands under this name."""


class StatementError(ValueError):
    """A signed payload that is not the statement it should be."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """What was tested: a name for people, and the SHA-256 of the file that was flashed."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the evidence says of the test, as the statement repeats it.

    Attributes:
        report: the report's id, with its revision.
        verdict: pass, fail, inconclusive or error.
        why: the verdict's reason, in one sentence.
        tests: outcome by name of test.
        conditional: requirements that passed, but within the uncertainty of the measurement.
    """

    report: str
    verdict: str
    why: str
    tests: Mapping[str, str]
    conditional: tuple[str, ...] = ()


def test_result(facts: Facts, firmware: Firmware, configuration: Manifest) -> bytes:
    """The Test Result statement over the firmware, as it is signed.

    Whatever decided nothing is FAILED for consumers that know only in-toto's three words: a release gate must not
    open for evidence that is inconclusive. The verdict in our own words stands beside it.
    """
    of: dict[str, list[str]] = {"passed": [], "warned": [], "failed": [], "inconclusive": [], "notRun": []}
    for name, outcome in sorted(facts.tests.items()):
        of[_list_of(outcome)].append(name)
    if facts.verdict != "pass":
        result = "FAILED"
    else:
        result = "WARNED" if of["warned"] or facts.conditional else "PASSED"
    return _payload(
        {
            "_type": STATEMENT,
            "subject": [{"name": firmware.name, "digest": {"sha256": firmware.sha256}}],
            "predicateType": TEST_RESULT,
            "predicate": {
                "result": result,
                "configuration": [{"name": n, "digest": {"sha256": h}} for n, h in configuration.items()],
                "passedTests": of["passed"],
                "warnedTests": of["warned"],
                "failedTests": of["failed"],
                EXTENSION: {
                    "report": facts.report,
                    "verdict": facts.verdict,
                    "why": facts.why,
                    "conditionalRequirements": list(facts.conditional),
                    "inconclusiveTests": of["inconclusive"],
                    "notRunTests": of["notRun"],
                },
            },
        }
    )


def _list_of(outcome: str) -> str:
    """Which list a test belongs to; what is not known is not good."""
    return {
        "pass": "passed",
        "conditional pass": "warned",
        "fail": "failed",
        "not run": "notRun",
    }.get(outcome, "inconclusive")


def files_statement(files: Manifest, report: str, signed_at: str) -> bytes:
    """The statement over all files of the evidence; one subject a line, so that `sed` can list them."""
    subjects = ",\n".join(
        f'  {{"name": {json.dumps(name, ensure_ascii=False)}, "digest": {{"sha256": "{sha256}"}}}}'
        for name, sha256 in files.items()
    )
    rest = json.dumps(
        {"predicateType": FILES, "predicate": {"report": report, "signedAt": signed_at}}, ensure_ascii=False, indent=1
    )
    return f'{{\n "_type": "{STATEMENT}",\n "subject": [\n{subjects}\n ],{rest[1:]}\n'.encode()


def parse(payload_type: str, payload: bytes, predicate_type: str) -> dict[str, Any]:
    """A statement of that type.

    Raises:
        StatementError: it is something else.
    """
    if payload_type != PAYLOAD_TYPE:
        raise StatementError(f'payload type "{payload_type}" instead of "{PAYLOAD_TYPE}"')
    try:
        raw = json.loads(payload)
    except ValueError as error:
        raise StatementError(f"no JSON ({error})") from None
    if not isinstance(raw, dict) or raw.get("_type") != STATEMENT:
        raise StatementError(f"no in-toto statement ({STATEMENT})")
    if raw.get("predicateType") != predicate_type:
        raise StatementError(f'predicate "{raw.get("predicateType")}" instead of "{predicate_type}"')
    if not isinstance(raw.get("predicate"), dict) or not isinstance(raw.get("subject"), list):
        raise StatementError("subject or predicate is missing")
    return raw


def subjects(statement: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 by name of a statement's subjects.

    Raises:
        StatementError: a subject without name or SHA-256, or a name that comes twice.
    """
    found: dict[str, str] = {}
    for subject in statement["subject"]:
        try:
            name, sha256 = str(subject["name"]), str(subject["digest"]["sha256"])
        except (KeyError, TypeError):
            raise StatementError("a subject has no name or no SHA-256") from None
        if name in found:
            raise StatementError(f"{name} is listed twice")
        found[name] = sha256
    return found


def _payload(statement: Mapping[str, Any]) -> bytes:
    return (json.dumps(statement, ensure_ascii=False, indent=1) + "\n").encode()
