"""Files of requirements: the rig's own, and a laboratory's; slips are named with file, table and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.traceability import beside
from reports.traceability.reviewed import built_in, digest
from rig.judge.judge import REQUIREMENTS
from rig.judge.requirements import RequirementsError, Target, load_requirements, parse_requirements

GOOD = """
["LAB 7.2"]
text = "The horn sounds."
why = "So that it is heard."
limit_ms = 500
evidence = "presses"
source = "Specification 4711, 8.2"
target = { runs = 300, t_way = 2, quantile = 0.99, confidence = 0.9 }
"""


def test_all_that_is_judged_stands_in_the_list_with_a_target() -> None:
    known = load_requirements()
    assert set(REQUIREMENTS) <= set(known)
    assert all(known[name].target.runs > 1 for name in REQUIREMENTS)


def test_every_text_of_the_rigs_own_was_reviewed() -> None:
    """Whoever changes a text looks at its tests: `rig trace lock --reviews rig/judge/reviewed.toml --by NAME`."""
    reviews = built_in()
    assert {name: digest(r) for name, r in load_requirements().items()} == {n: r.sha256 for n, r in reviews.items()}


def test_a_laboratorys_own() -> None:
    (one,) = parse_requirements(GOOD, "ours.toml").values()
    assert (one.id, one.limit_ms, one.limit_text, one.source) == ("LAB 7.2", 500, "0.5 s", "Specification 4711, 8.2")
    assert one.target == Target(300, 2, 0.99, 0.9)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('text = "The horn sounds."', "", r"ours\.toml: \[LAB 7\.2\] has no text"),
        ('text = "The horn sounds."', "text = 7", "text is no text"),
        ("limit_ms = 500", "limit_ms = 0.5", "limit_ms is no positive whole number"),
        ("limit_ms = 500", "limit_ms = -1", "limit_ms is no positive whole number"),
        ("limit_ms", "limit", "has limit, which is not known"),
        ("runs = 300", "runs = 0", r"\[LAB 7\.2\.target\] runs is no whole number from 1 on"),
        ("t_way = 2", "t_way = 4", "t_way is none of"),
        ("quantile = 0.99", "quantile = 99", "quantile is no number between 0 and 1"),
        ("confidence = 0.9", "confidence = 1.0", "confidence is no number between 0 and 1"),
        ("runs = 300", "draws = 300", "has draws, which is not known"),
        ("target = {", "target = [", "no TOML"),
        ('["LAB 7.2"]', "LAB = 7", "LAB is no table"),
    ],
)
def test_slips_are_named(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(RequirementsError, match=says):
        parse_requirements(GOOD.replace(old, new), "ours.toml")


def test_an_id_that_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('[AVL-4]\ntext = "Another."\n', encoding="utf-8")
    with pytest.raises(RequirementsError, match=r"\[AVL-4\] is there already"):
        load_requirements([tmp_path / "ours.toml"])


def test_what_lies_beside_results_is_found_and_what_is_named_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "requirements.toml").write_text(GOOD, encoding="utf-8")
    assert "LAB 7.2" in beside.rules(tmp_path).requirements
    (tmp_path / "others.toml").write_text('[OTHER-1]\ntext = "Another."\n', encoding="utf-8")
    named = beside.rules(tmp_path, [tmp_path / "others.toml"]).requirements
    assert "OTHER-1" in named
    assert "LAB 7.2" not in named
    assert set(beside.rules(None).requirements) == set(load_requirements())


def test_several_files_become_one(tmp_path: Path) -> None:
    files = [tmp_path / "a.toml", tmp_path / "b.toml"]
    files[0].write_text('[A-1]\ntext = "One."', encoding="utf-8")
    files[1].write_text('[B-1]\ntext = "Two."', encoding="utf-8")
    assert set(parse_requirements(beside.own_requirements(files), "x")) == {"A-1", "B-1"}
