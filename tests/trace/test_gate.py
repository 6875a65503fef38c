"""`rig trace` and the plugin, from the outside: a lab's own tests and requirements, the suite, pytest-xdist, JUnit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reports.traceability import links, reviewed
from rig.cli import main
from rig.cli.certify import plugin_options

ROOT = Path(__file__).resolve().parents[2]
OURS = """
["LAB-1"]
text = "The horn sounds."

["LAB-2"]
text = "The horn is silent."
"""
TESTS = """
import pytest


@pytest.mark.requirement("LAB-1")
def test_horn():
    pass


@pytest.mark.requirement("LAB-1", "LAB-2", coverage="partial")
@pytest.mark.requirement("LAB-2")
@pytest.mark.parametrize("times", [1, 2])
def test_silence(times):
    pass


@pytest.mark.no_requirement("looks at the rig itself")
def test_itself():
    pass
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab's folder with requirements that were reviewed, and tests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "ours.toml").write_text(OURS, encoding="utf-8")
    (tmp_path / "test_horn.py").write_text(TESTS, encoding="utf-8")
    assert main(["trace", "lock", "--requirements", "ours.toml", "--by", "A. Smith"]) == 0
    return tmp_path


def gate(*more: str) -> int:
    return main(["trace", "check", "test_horn.py", "--no-suite", "--requirements", "ours.toml", *more])


def pytest_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *plugin_options(), "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--rig-requirements=ours.toml", *arguments], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_the_gate_opens_when_nothing_is_missing(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate() == 0
    assert "2 requirements, 4 tests (as collected, nothing run): no gap" in capsys.readouterr().out
    # Only what the rig has not reviewed itself stands in the lab's own file.
    assert list(reviewed.load(lab / "requirements.reviewed.toml")) == ["LAB-1", "LAB-2"]


def test_the_suite_passes_its_own_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["trace", "check"]) == 0
    said = capsys.readouterr().out
    # What is waived is printed, every time.
    assert [line.split(",")[0] for line in said.splitlines()[:-1]] == [
        "waived: SEC-14", "waived: DGN-1", "waived: DGN-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "gap"),
    [
        ('@pytest.mark.requirement("LAB-1")\n', "", "test without requirement: test_horn.py::test_horn"),
        ('requirement("LAB-1")', 'requirement("LAB-3")', "unknown requirement: test_horn.py::test_horn cites LAB-3"),
        (
            'requirement("LAB-2")', 'requirement("LAB-1")',
            "only partial coverage: LAB-2: of 2 tests that can decide it, none covers all of it",
        ),
    ],
)  # fmt: skip
def test_the_gate_closes_at_a_gap_in_the_tests(
    lab: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, gap: str
) -> None:
    assert old in TESTS
    (lab / "test_horn.py").write_text(TESTS.replace(old, new), encoding="utf-8")
    assert gate() == 1
    assert gap in capsys.readouterr().out


@pytest.mark.parametrize("how", [["-k", "horn and not silence and not itself"], ["-m", "no_requirement"]])
def test_deselected_tests_are_no_evidence(lab: Path, capsys: pytest.CaptureFixture[str], how: list[str]) -> None:
    assert gate(*how) == 1
    assert "only skipped or deselected evidence: LAB-2: its 2 tests not executed" in capsys.readouterr().out


def test_a_text_that_changed_needs_a_second_look(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "ours.toml").write_text(OURS.replace("sounds", "sounds twice"), encoding="utf-8")
    assert gate() == 1
    assert "text changed since reviewed: LAB-1" in capsys.readouterr().out
    assert main(["trace", "lock", "--requirements", "ours.toml", "--by", "B. Jones", "--only", "LAB-1"]) == 0
    assert gate() == 0
    by = {name: review.by for name, review in reviewed.load(lab / "requirements.reviewed.toml").items()}
    assert by == {"LAB-1": "B. Jones", "LAB-2": "A. Smith"}


def test_waivers_are_printed_and_expire(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "ours.toml").write_text(OURS + '\n[LAB-3]\ntext = "Not yet."\n', encoding="utf-8")
    assert main(["trace", "lock", "--requirements", "ours.toml", "--by", "A. Smith"]) == 0
    waiver = '[[waiver]]\nrequirement = "LAB-3"\ngap = "requirement without test"\nreason = "no horn yet"\n'
    for expires, code, says in (("2099-12-31", 0, "waived: LAB-3"), ("2026-01-01", 1, "expired: LAB-3")):
        (lab / "waivers.toml").write_text(f'{waiver}name = "A. Smith"\nexpires = {expires}\n', encoding="utf-8")
        assert gate() == code
        said = capsys.readouterr().out
        assert f"{says}, requirement without test: no horn yet (A. Smith, until {expires})" in said


def test_tests_that_cannot_be_collected_decide_nothing(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "test_horn.py").write_text("import nowhere_at_all", encoding="utf-8")
    assert gate() == 2
    assert "nowhere_at_all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--requirements", "not_there.toml"], "not_there.toml: cannot be read"),
        (["check", "--no-suite"], "name requirements of your own"),
        (["check", "--evidence", "nowhere"], "nowhere/results.json: cannot be read"),
        (["check", "--evidence", "nowhere", "test_horn.py"], "not both"),
        (["check", "--waivers", "ours.toml"], "holds [[waiver]] tables"),
        (["lock", "--by", "  "], "needs the name"),
        (["lock", "--by", "A. Smith", "--only", "LAB-9"], "no such requirement"),
        (["reqif", "--from", "x.reqif"], "--toml"),
        (["reqif", "--from", "x.reqif", "--toml", "x.toml"], "cannot be read"),
    ],
)
def test_wrong_usage_is_named(
    lab: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["trace", *arguments]) == 3
    assert says in capsys.readouterr().err


def test_requirements_from_another_tool_and_back(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "reqif", "--requirements", "ours.toml", "--to", "all.reqif"]) == 0
    assert main(["trace", "reqif", "--from", "all.reqif", "--toml", "all.toml"]) == 0
    assert "wrote all.toml: 38 requirements" in capsys.readouterr().out


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_links_and_junit_are_the_same_under_xdist(lab: Path, workers: list[str]) -> None:
    run = pytest_run("--rig-links=links.json", "--junitxml=junit.xml", "-k", "not itself", *workers)
    assert "3 passed" in run.stdout, run.stdout + run.stderr
    tests = {t.name: t for t in links.load(lab / "links.json")}
    assert len(tests) == 4
    silence = tests["test_horn.py::test_silence[2]"]
    assert {link.requirement: link.coverage for link in silence.links} == {"LAB-1": "partial", "LAB-2": "full"}
    itself = tests["test_horn.py::test_itself"]
    assert (itself.outcome, itself.why, itself.no_requirement) == ("not run", "deselected", "looks at the rig itself")
    cases = {c.get("name"): c for c in ET.parse(lab / "junit.xml").iter("testcase")}
    found = [(p.get("name"), p.get("value")) for p in cases["test_silence[1]"].iter("property")]
    assert sorted(found) == [
        ("requirement", "LAB-1"), ("requirement", "LAB-2"), ("requirement.partial", "LAB-1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ('requirement("LAB-1", coverage="some")', "coverage"),
        ("requirement()", "write requirement"),
        ("no_requirement()", "says no reason"),
        ('requirement("LAB-l")', "LAB-l, which is no requirement"),
    ],
)
def test_a_marker_that_says_nothing_is_refused(lab: Path, marker: str, says: str) -> None:
    (lab / "test_horn.py").write_text(
        f"import pytest\n\n@pytest.mark.{marker}\ndef test_horn():\n    pass\n", encoding="utf-8"
    )
    run = pytest_run("test_horn.py")
    assert run.returncode == 4, run.stdout
    assert says in run.stderr


def test_a_labs_own_requirements_are_in_its_evidence(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the run to the gate, without naming anything twice."""
    (lab / "test_horn.py").write_text(
        'import pytest\n\n\n@pytest.mark.requirement("LAB-1", "AVL-4")\ndef test_horn(car):\n'
        '    car.driver_wants("unlock", at=1.0, via="card")\n    assert car.run().opened_after() < 1.0\n',
        encoding="utf-8",
    )
    run = pytest_run("--rig-out=out", "--bench=model", "test_horn.py")
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    (lab / "requirements.reviewed.toml").rename(lab / "out" / "requirements.reviewed.toml")
    assert main(["trace", "check", "--evidence", "out"]) == 1
    said = capsys.readouterr().out
    assert "38 requirements, 1 test (from evidence)" in said
    assert "requirement without test: LAB-2: no test cites it" in said
    assert "LAB-1" not in said
    assert main(["report", "out", "--html"]) == 0
    assert "LAB-1" in (lab / "out" / "report.html").read_text(encoding="utf-8")
    assert main(["verify", "out"]) == 2
