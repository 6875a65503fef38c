"""results.json and the page made of it: what is written can be read, what is wrong is named, all of it is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from reports.page import failure_html, summary_html
from reports.results import (
    FailureResult,
    NotRun,
    RequirementResult,
    Results,
    ResultsError,
    RowResult,
    TestResult,
    Verdict,
)

FAILURE = FailureResult(
    requirement="AVL-4", demand="The card alone.", test="test_cells.py::test_x[card-can.bus_off]", bench="model",
    text="a < b & stays shut", entries=2, scenario_file="failures/AVL-4-model.json", picture_file="",
    replay="rig replay failures/AVL-4-model.json --bench model", trace_hash="ab" * 32,
)  # fmt: skip
RESULTS = Results(
    verdict="fail", why="1 requirement failed", bench="emulated", dut="emulated door-lock ECU",
    defect="bus_off_blocks_card", seed=7, again="rig certify --seed 7", started="2026-01-01T00:00:00+00:00",
    seconds=12.5, versions={"unlock-rig": "0.1.0"}, runs=3, simulated_s=99.5,
    tests=[TestResult("test_x", "pass", "", 1.5, [["AVL-4", "full"]]), TestResult("test_y", "fail", "stays shut")],
    test_counts={"passed": 1, "failed": 1},
    requirements=[
        RequirementResult("AVL-4", "The card.", "1 s", "fail", {"pass": 1, "fail": 1, "vacuous": 1}, 2, 12.5, "tight"),
        RequirementResult("SEC-2", "No replay.", "none", "not run", {}, 0, None, ""),
    ],
    cells_required=5, cells_missing=["card × can.bus_off"], failures=[FAILURE],
    rows=[RowResult("healthy", 1, "inconclusive", "the rig was 80 ms late", 5.0, "cd" * 32)],
    skipped=[NotRun("test_wire.py::test_flood", "no arbitration on slcan")],
    undecided=[NotRun("test_wire.py::test_x", "ECU process died")],
)  # fmt: skip


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(RESULTS.to_json(), encoding="utf-8")
    assert Results.load(file) == RESULTS


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "unlock-rig/results/1"}', '{"format": "other/9"}', "\x00"]
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ResultsError, match=re.escape(str(file))):
        Results.load(file)


@pytest.mark.parametrize(("word", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 2), ("error", 2)])
def test_exit_codes(word: str, code: int) -> None:
    assert Verdict(word).exit_code == code


def test_the_page_shows_all_of_it() -> None:
    page = summary_html(RESULTS)
    for wanted in (
        "1 requirement failed", "AVL-4", "SEC-2", "not run", "card × can.bus_off", "bus_off_blocks_card",
        "rig certify --seed 7", FAILURE.replay, "the rig was 80 ms late", "no arbitration on slcan",
        "ECU process died", "a &lt; b &amp; stays shut",
    ):  # fmt: skip
        assert wanted in page, wanted
    assert "<script" not in page


def test_a_page_without_failures_says_nothing_of_any() -> None:
    assert "Failures" not in summary_html(replace(RESULTS, failures=[]))


def test_a_failure_has_its_command_and_its_picture() -> None:
    assert "<details>" not in failure_html(FAILURE, "<svg/>")
    assert "<details><summary>Who told whom what</summary><svg id=" in failure_html(FAILURE, "<svg/>", "<svg id='s'/>")
    piece = failure_html(FAILURE, "<svg/>")
    assert FAILURE.replay in piece
    assert "<svg/>" in piece
    assert "a &lt; b" in piece
