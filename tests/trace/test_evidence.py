"""The gate over evidence: what a run has shown, from its results.json alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.traceability.evidence import shown_by
from rig.cli import main
from tests.signing import made

pytestmark = pytest.mark.xdist_group("evidence")  # they share what takes long to make

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "evidence"
    made.make(folder)
    return folder


@pytest.fixture
def evidence(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return made.copied(made_once, tmp_path / "evidence")


def gate(evidence: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    code = main(["trace", "check", "--evidence", str(evidence), *more])
    return code, capsys.readouterr().out


def change(evidence: Path, how: Change) -> None:
    file = evidence / "results.json"
    raw = json.loads(file.read_text(encoding="utf-8"))
    how(raw)
    file.write_text(json.dumps(raw), encoding="utf-8")


def test_what_was_not_tested_is_named(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = gate(evidence, capsys)
    assert code == 1
    assert "36 requirements, 5 tests (from evidence)" in said
    assert "gap: requirement without test: SEC-1: no test cites it" in said
    assert "gap: thin evidence: AVL-4: 3 judged runs asked for it, its target is 500" in said
    assert "waived: DGN-1" in said
    assert "requirement without test: AVL-4" not in said


def outcome(name: str, word: str, reason: str = "") -> Change:
    def how(raw: dict[str, Any]) -> None:
        for test in raw["tests"]:
            if name in test["name"]:
                test |= {"outcome": word, "reason": reason}

    return how


@pytest.mark.parametrize(
    ("how", "gap"),
    [
        (
            outcome("test_cloud", "not run", "deselected"),
            "only skipped or deselected evidence: AVL-3: its 1 test not executed (test_lab.py::test_cloud: deselected)",
        ),
        (
            outcome("test_cloud", "inconclusive", "the adapter went away"),
            "only skipped or deselected evidence: AVL-3: its 1 test decided nothing (test_lab.py::test_cloud: the",
        ),
        (
            lambda raw: raw["tests"][2].update(requirements=[["AVL-3", "partial"]]),
            "only partial coverage: AVL-3",
        ),
        (lambda raw: raw["tests"][2].update(requirements=[]), "test without requirement: test_lab.py::test_cloud"),
        (lambda raw: raw["tests"][2].update(requirements=[["AVL-33", "full"]]), "unknown requirement"),
        (
            lambda raw: raw["coverage"][0].update(seen=raw["coverage"][0]["of"] - 1),
            "thin evidence: AVL-1: 9",
        ),
    ],
)  # fmt: skip
def test_gaps_of_a_run(evidence: Path, capsys: pytest.CaptureFixture[str], how: Change, gap: str) -> None:
    def cites_the_ladder(raw: dict[str, Any]) -> None:
        raw["tests"][0]["requirements"] = [["AVL-1", "full"]]

    change(evidence, cites_the_ladder)
    change(evidence, how)
    code, said = gate(evidence, capsys)
    assert code == 1
    assert f"gap: {gap}" in said


def test_the_firmware_must_be_the_right_one(evidence: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(made.FIRMWARE)
    assert "gap: wrong firmware" not in gate(evidence, capsys, "--firmware", str(firmware))[1]
    said = gate(evidence, capsys, "--firmware", "00" * 32)[1]
    assert f"gap: wrong firmware: the evidence is about firmware {made.SHA256}, it should be {'00' * 32}" in said
    (evidence / "campaign.toml").unlink()
    assert "what firmware was tested is not determined" in gate(evidence, capsys, "--firmware", str(firmware))[1]


def test_draws_count_only_if_the_sample_is_complete() -> None:
    rates = [{"requirement": "AVL-4", "n": 299}]
    raw: dict[str, Any] = {
        "requirements": [{"id": "AVL-4", "asked": 1000}],
        "sampling": [{"complete": True, "rates": rates}, {"complete": False, "rates": rates}],
    }
    shown = shown_by(raw)
    assert (dict(shown.asked), dict(shown.sampled)) == ({"AVL-4": 1000}, {"AVL-4": 299})


def test_the_matrix_as_csv(evidence: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    assert main(["trace", "matrix", "--evidence", str(evidence), "--csv", str(file)]) == 0
    with file.open(encoding="utf-8", newline="") as reading:
        lines = list(csv.DictReader(reading))
    assert [(r["test"], r["outcome"]) for r in lines if r["requirement"] == "AVL-4"] == [
        ("test_lab.py::test_card", "pass"),
        ("test_lab.py::test_card_with_the_bus_off", "fail"),
        ("test_lab.py::test_card_without_server", "pass"),
    ]
    assert len({r["requirement"] for r in lines}) == 36


@pytest.mark.parametrize("content", ["", "{}", '{"tests": 5}', '{"tests": [{"name": "a"}]}'])
def test_results_that_say_too_little_are_named(
    evidence: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (evidence / "results.json").write_text(content, encoding="utf-8")
    assert main(["trace", "check", "--evidence", str(evidence)]) == 3
    assert "results.json" in capsys.readouterr().err
