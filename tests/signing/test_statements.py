"""The two statements: what in-toto demands of them, and what a reader who knows only in-toto must not get wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.signing.statements import (
    FILES,
    PAYLOAD_TYPE,
    TEST_RESULT,
    Facts,
    Firmware,
    StatementError,
    files_statement,
    parse,
    subjects,
    test_result,
)

make_result = test_result
del test_result  # pytest would take it for a test

FIRMWARE = Firmware("1.4.2", "ab" * 32)


def result(verdict: str, **tests: str) -> dict[str, Any]:
    payload = make_result(Facts("R-1, revision 1", verdict, "because", tests), FIRMWARE, {"results.json": "cd" * 32})
    return parse(PAYLOAD_TYPE, payload, TEST_RESULT)


def test_it_is_a_test_result_about_the_firmware() -> None:
    statement = result("pass", a="pass", b="pass")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert subjects(statement) == {"1.4.2": "ab" * 32}
    predicate = statement["predicate"]
    assert predicate["configuration"] == [{"name": "results.json", "digest": {"sha256": "cd" * 32}}]
    assert (predicate["result"], predicate["passedTests"]) == ("PASSED", ["a", "b"])


def test_every_test_is_in_one_list() -> None:
    outcomes = {
        "a": "pass", "b": "conditional pass", "c": "fail", "d": "not run", "e": "inconclusive", "f": "error",
        "g": "conditional fail", "h": "some word of a later version",
    }  # fmt: skip
    predicate = result("fail", **outcomes)["predicate"]
    more = predicate["unlockRig"]
    assert (predicate["passedTests"], predicate["warnedTests"], predicate["failedTests"]) == (["a"], ["b"], ["c"])
    # What is not known to be good is not good.
    assert (more["notRunTests"], more["inconclusiveTests"]) == (["d"], ["e", "f", "g", "h"])


@pytest.mark.parametrize(
    ("verdict", "outcome", "word"),
    [
        ("pass", "pass", "PASSED"),
        ("pass", "conditional pass", "WARNED"),
        ("fail", "pass", "FAILED"),
        ("inconclusive", "pass", "FAILED"),
        ("error", "pass", "FAILED"),
        ("", "pass", "FAILED"),
    ],
)
def test_a_gate_that_knows_three_words_opens_for_a_pass_alone(verdict: str, outcome: str, word: str) -> None:
    statement = result(verdict, a=outcome)
    assert statement["predicate"]["result"] == word
    assert statement["predicate"]["unlockRig"]["verdict"] == verdict


def test_a_requirement_that_passed_within_the_uncertainty_is_a_warning() -> None:
    payload = make_result(Facts("R-1, revision 1", "pass", "because", {"a": "pass"}, ("AVL-4",)), FIRMWARE, {})
    predicate = parse(PAYLOAD_TYPE, payload, TEST_RESULT)["predicate"]
    assert predicate["result"] == "WARNED"
    assert predicate["unlockRig"]["conditionalRequirements"] == ["AVL-4"]


def test_files_one_a_line() -> None:
    files = {"a b/ü.txt": "ab" * 32, "results.json": "cd" * 32}
    payload = files_statement(files, "R-1, revision 1", "2026-11-23T12:00:00+00:00")
    statement = parse(PAYLOAD_TYPE, payload, FILES)
    assert subjects(statement) == files
    assert statement["predicate"] == {"report": "R-1, revision 1", "signedAt": "2026-11-23T12:00:00+00:00"}
    assert sum(b'"digest"' in line for line in payload.splitlines()) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "no in-toto statement"),
        (lambda s: s.update(predicateType=FILES), "predicate"),
        (lambda s: s.pop("predicate"), "missing"),
        (lambda s: s.update(subject={}), "missing"),
    ],
)
def test_what_is_something_else_is_refused(change: Any, says: str) -> None:
    statement = result("pass", a="pass")
    change(statement)
    with pytest.raises(StatementError, match=says):
        parse(PAYLOAD_TYPE, json.dumps(statement).encode(), TEST_RESULT)
    with pytest.raises(StatementError, match="payload type"):
        parse("text/plain", json.dumps(statement).encode(), TEST_RESULT)
    with pytest.raises(StatementError, match="no JSON"):
        parse(PAYLOAD_TYPE, b"{", TEST_RESULT)


@pytest.mark.parametrize("subject", [[{}], [{"name": "a"}], ["a"], [{"name": "a", "digest": {"sha256": "x"}}] * 2])
def test_subjects_without_name_or_hash_or_twice_are_refused(subject: list[Any]) -> None:
    with pytest.raises(StatementError):
        subjects({"subject": subject})
