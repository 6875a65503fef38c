"""pytest sessions with the plugin: killed and resumed, split over workers of pytest-xdist, merged, compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reports.build import build
from reports.journal import NAME, read
from reports.results import Results, run_lines
from rig.cli.certify import plugin_options

ROOT = Path(__file__).parents[2]
LAB = '''
import pytest

@pytest.mark.requirement("AVL-4")
@pytest.mark.parametrize("place", range(10))
def test_tap(car, place):
    car.fails("server.500", at=0.0)
    car.driver_wants("unlock", at=1.0 + place / 10, via="card")
    car.run().holds("AVL-4")

@pytest.mark.requirement("AVL-2", coverage="partial")
def test_twice(car):
    car.driver_wants("unlock", at=1.0, via="bluetooth")
    car.run().holds("AVL-2")
    car.run().holds("AVL-2")

@pytest.mark.no_requirement("shows a failure of its own")
def test_fails():
    assert 1 == 2, "arithmetic"

@pytest.mark.skip(reason="no such line here")
def test_skipped(car):
    raise AssertionError

@pytest.mark.parametrize("strategy", ["table"])
def test_search(search, strategy):
    search(strategy)
'''
TESTS = 14


def command(folder: Path, out: Path, *more: str) -> list[str]:
    """pytest on the lab's tests."""
    return [
        sys.executable, "-m", "pytest", str(folder), f"--rootdir={folder}", "-c", os.devnull,
        *plugin_options(), "-p", "no:cacheprovider", "-q", f"--rig-out={out}", "--rig-seed=5", "--rig-scenarios=40",
        f"--junitxml={out}/junit.xml", *more,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Finds the rig where it is not installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder of a lab's tests."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "test_lab.py").write_text(LAB, encoding="utf-8")
    return folder


def session(folder: Path, out: Path, *more: str) -> Results:
    """One session to its end."""
    done = subprocess.run(command(folder, out, *more), capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-2000:]
    return Results.load(out / "results.json")


def runs_of(out: Path, results: Results) -> Counter[tuple[str, str, str]]:
    """The judged runs, as a multiset."""
    return Counter((line.source, line.scenario, line.trace) for line in run_lines(out, results))


def outcomes(results: Results) -> dict[str, str]:
    """Of the tests."""
    return {t.name: t.outcome for t in results.tests}


def test_a_session_that_is_killed_goes_on(lab: Path, tmp_path: Path) -> None:
    whole = session(lab, tmp_path / "whole")
    assert (whole.verdict, whole.why) == ("fail", "1 test failed")
    assert whole.test_counts == {"pass": 12, "fail": 1, "not run": 1}
    assert whole.runs == 12 + 40
    out = tmp_path / "killed"
    for wanted, more in ((4, ()), (11, ("--rig-resume",)), (30, ("--rig-resume",))):
        process = subprocess.Popen(command(lab, out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment(), start_new_session=True)  # fmt: skip
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            lines = (out / NAME).read_bytes().count(b'"kind":"run"') if (out / NAME).exists() else 0
            if lines >= wanted:
                break
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    results = session(lab, out, "--rig-resume")
    assert outcomes(results) == outcomes(whole)
    assert runs_of(out, results) == runs_of(tmp_path / "whole", whole)
    assert 1 <= len(results.breaks) <= 3
    assert results.run_id
    assert {r.id: (r.held, r.failed, r.vacuous) for r in results.requirements} == {
        r.id: (r.held, r.failed, r.vacuous) for r in whole.requirements
    }
    assert results.coverage == whole.coverage
    cases = ElementTree.parse(out / "junit.xml").getroot().iter("testcase")
    assert sum(1 for _ in cases) == TESTS, "the other views have all tests too"


def test_a_session_over_workers_is_one_campaign(lab: Path, tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    whole = session(lab, tmp_path / "whole")
    out = tmp_path / "split"
    results = session(lab, out, "-n", "2")
    assert outcomes(results) == outcomes(whole)
    assert runs_of(out, results) == runs_of(tmp_path / "whole", whole)
    assert [j.file for j in results.journals] == [NAME, "journal-gw0.jsonl", "journal-gw1.jsonl"]
    assert {j.part_of for j in results.journals} == {"", NAME}
    assert {t.worker for t in results.tests} == {"gw0", "gw1"}
    assert results.started < min(r.at for r in read(out / NAME)), "the workers began first"
    assert results.seconds > 0.2
    heads = {r.body["file"]: r.body["head"] for r in read(out / NAME) if r.kind == "shard"}
    assert heads == {j.file: j.head for j in results.journals if j.part_of}
    file = out / "journal-gw0.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(Exception, match="journal-gw0.jsonl: ends with record"):
        build(out)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 64 KiB; skips where none may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no tmpfs may be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=False)


def test_a_full_disk_stops_the_session_with_an_intact_journal(lab: Path, tmp_path: Path, small_disk: Path) -> None:
    whole = session(lab, tmp_path / "whole")
    (small_disk / "other").write_bytes(bytes(52_000))
    elsewhere = f"--junitxml={tmp_path}/junit.xml"
    done = subprocess.run(command(lab, small_disk, elsewhere), capture_output=True, text=True, env=environment(),
                          check=False)  # fmt: skip
    assert done.returncode not in (0, 1)
    said = done.stdout + done.stderr
    assert "journal.jsonl: the disk is full (No space left on device)" in said
    assert "Make room, then `rig resume" in said
    assert "unlock-rig: stopped: " in said
    assert "FAILED" not in said, "no test failed for it"
    assert len(list(read(small_disk / NAME))) > 3
    assert not (small_disk / "results.json").exists()
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    results = session(lab, small_disk, "--rig-resume")
    assert outcomes(results) == outcomes(whole)
    assert runs_of(small_disk, results) == runs_of(tmp_path / "whole", whole)
    assert len(results.breaks) == 1


def test_what_a_person_did_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "def test_x(operator):\n    operator('plugged the reader in again')\n", encoding="utf-8"
    )
    out = tmp_path / "out"
    subprocess.run(command(tmp_path, out), env=environment(), check=True, stdout=subprocess.DEVNULL)
    (action,) = Results.load(out / "results.json").operator
    assert (action.text, action.bench) == ("plugged the reader in again", "model")
    assert action.at.startswith("20")


def rig(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line."""
    return subprocess.run([sys.executable, "-m", "rig", *arguments], capture_output=True, text=True,
                          env=environment(), check=False)  # fmt: skip


def test_merging_and_comparing(lab: Path, tmp_path: Path) -> None:
    one, two, both = tmp_path / "one", tmp_path / "two", tmp_path / "both"
    session(lab, one)
    (lab / "test_lab.py").write_text(LAB.replace("1 == 2", "1 == 1"), encoding="utf-8")
    subprocess.run(command(lab, two, "--rig-seed=6", "-k", "not twice"), env=environment(), check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip

    done = rig("merge", str(one), str(two), "--out", str(both))
    assert done.returncode == 1, done.stdout + done.stderr
    merged = Results.load(both / "results.json")
    assert [b.name for b in merged.benches] == ["model (one)", "model (two)"]
    assert Counter(t.bench for t in merged.tests) == {"model (one)": TESTS, "model (two)": TESTS}
    assert [(n.test, n.reason) for n in merged.skipped if n.reason == "deselected"] == [
        ("test_lab.py::test_twice @ model (two)", "deselected")
    ]
    assert merged.runs == 12 + 40 + 10 + 40
    assert [s.seed for s in merged.searches] == [5, 6]
    apart = [Results.load(folder / "results.json") for folder in (one, two)]
    assert merged.seconds == pytest.approx(sum(r.seconds for r in apart), abs=0.5)
    assert rig("verify", str(both)).returncode == 2, "nothing is wrong, nobody has signed"
    assert merged.journals[1].file == "parts/one/journal.jsonl"
    assert rig("merge", str(one), str(one), "--out", str(tmp_path / "x")).returncode == 3
    assert rig("merge", str(one), str(two), "--out", str(both)).returncode == 3

    better = rig("compare", str(one), str(two), "--tolerance", "1000")
    assert better.returncode == 1, "a test that is left out is for the worse"
    assert "test_lab.py::test_twice pass, now not run: deselected" in better.stdout
    assert "test_lab.py::test_fails fail, now pass" in better.stdout
    told = json.loads(rig("compare", str(two), str(one), "--json", "-").stdout)
    assert told["format"] == "unlock-rig/comparison/1"
    assert any(c["what"] == "verdict" and c["trend"] == "worse" for c in told["changes"])
    same = rig("compare", str(one), str(one))
    assert (same.returncode, same.stdout.strip()) == (0, "0 for the worse, 0 for the better")
