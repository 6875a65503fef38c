"""The trace matrix: every pair of requirement and test, and what has no partner."""

from __future__ import annotations

import csv
import io
from datetime import date

from reports.traceability.gaps import check
from reports.traceability.links import Link, Shown, TracedTest
from reports.traceability.matrix import COLUMNS, rows, to_csv, to_text
from reports.traceability.reviewed import reviewed
from reports.traceability.waivers import parse, weigh
from rig.judge.requirements import parse_requirements

REQUIREMENTS = parse_requirements(
    """
["LAB-1"]
text = "=SUM(1;2) sounds, \\"loud\\"."
["LAB-2"]
text = "Nobody tests this."
""",
    "ours.toml",
)
TESTS = (
    TracedTest("test_a", (Link("LAB-1"), Link("LAB-9")), outcome="pass"),
    TracedTest("test_b", (Link("LAB-1", "partial"),), outcome="not run", why="deselected"),
    TracedTest("test_c", no_requirement="looks at the rig"),
)
WAIVER = """
[[waiver]]
requirement = "LAB-2"
gap = "requirement without test"
reason = "next year"
name = "A. Smith"
expires = 2027-12-31
"""
SHOWN = Shown({"LAB-1": 17})


def weighed():  # type: ignore[no-untyped-def]
    seen = reviewed(REQUIREMENTS, {}, frozenset(), "A. Smith", date(2026, 1, 1))
    return weigh(check(REQUIREMENTS, TESTS, seen, SHOWN), parse(WAIVER, "w"), date(2026, 1, 1))


def table() -> list[dict[str, str]]:
    text = to_csv(rows(REQUIREMENTS, TESTS, weighed(), SHOWN))
    assert text.count("\r\n") == 6  # header and five lines
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_pair_has_a_line_and_what_has_no_partner_too() -> None:
    pairs = [(row["requirement"], row["test"], row["coverage"], row["outcome"]) for row in table()]
    assert pairs == [
        ("LAB-1", "test_a", "full", "pass"),
        ("LAB-1", "test_b", "partial", "not run"),
        ("LAB-2", "", "", ""),
        ("LAB-9", "test_a", "full", "pass"),
        ("", "test_c", "", "planned"),
    ]


def test_lines_say_why_and_what_is_missing() -> None:
    lines = table()
    assert list(lines[0]) == list(COLUMNS)
    assert [row["asked"] for row in lines] == ["17", "17", "0", "", ""]
    assert lines[1]["why"] == "deselected"
    assert lines[4]["why"] == "looks at the rig"
    assert lines[2]["gaps"] == "requirement without test"
    assert "A. Smith" in lines[2]["waivers"]
    assert lines[3]["gaps"] == "unknown requirement"


def test_a_spreadsheet_takes_no_text_for_a_formula() -> None:
    assert table()[0]["text"] == "'=SUM(1;2) sounds, \"loud\"."


def test_in_words() -> None:
    text = to_text(REQUIREMENTS, TESTS, weighed(), SHOWN).splitlines()
    assert text[0] == "LAB-1  1 not run, 1 pass (1 of them partial); asked in 17 runs"
    assert text[1] == "LAB-2  no test; asked in 0 runs; requirement without test (waived until 2027-12-31)"
