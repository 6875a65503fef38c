"""What lies in a folder already: a campaign that broke off, and signed evidence, do not go without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reports.build import write_results
from reports.journal import NAME, Journal
from reports.standing import occupied
from rig.cli import main
from tests.evidence.test_break import campaign
from tests.pluginargs import plugin

ROOT = Path(__file__).parents[2]


def ended(out: Path, *, interrupted: bool = False) -> bytes:
    """A campaign that came to its end, or was stopped with Ctrl-C; returns its journal."""
    ours = campaign(out)
    ours.write("begin", {"test": "test_0"})
    ours.write("test", {"test": "test_0", "outcome": "pass", "reason": "", "seconds": 0.1})
    ours.end(interrupted, main=True)
    return (out / NAME).read_bytes()


def commands(out: Path) -> list[list[str]]:
    return [
        ["certify", "--bench", "model", "--out", str(out)],
        ["search", "--scenarios", "8", "--jobs", "1", "--out", str(out), "--corpus", str(out.parent / "corpus")],
        ["sample", "--n", "4", "--jobs", "1", "--out", str(out)],
    ]  # fmt: skip


def killed(out: Path) -> bytes:
    """A journal without an end, as kill -9 leaves it."""
    whole = ended(out).splitlines(keepends=True)
    (out / NAME).write_bytes(b"".join(whole[:-1]) + whole[-1][:30])
    return (out / NAME).read_bytes()


@pytest.mark.parametrize("how", ["killed", "ctrl-c", "damaged", "no results", "workers"])
def test_a_campaign_that_broke_off_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    out = tmp_path / "out"
    if how == "killed":
        killed(out)
    elif how == "ctrl-c":
        ended(out, interrupted=True)
    else:
        ended(out)
        file = out / NAME
        if how == "damaged":
            file.write_bytes(file.read_bytes().replace(b"test_0", b"test_7"))
        elif how == "no results":
            (out / "results.json").unlink()
        else:
            file.rename(out / "journal-gw0.jsonl")
    before = {f: f.read_bytes() for f in out.rglob("*") if f.is_file()}
    for command in commands(out):
        assert main(command) == 3
        said = capsys.readouterr().err
        assert f"`rig resume {out}`" in said
        assert "--overwrite" in said
        assert "--out" in said
    assert {f: f.read_bytes() for f in out.rglob("*") if f.is_file()} == before, "not a byte of it was touched"


@pytest.mark.parametrize("which", [1, 2])
def test_overwrite_is_the_explicit_word(tmp_path: Path, which: int) -> None:
    out = tmp_path / "out"
    before = killed(out)
    assert main([*commands(out)[which], "--overwrite"]) == 0
    after = (out / NAME).read_bytes()
    assert before[:200] != after[:200]
    assert main(commands(out)[which]) == 0, "one that came to its end is replaced, as before"


def test_nothing_finished_is_nothing_lost(tmp_path: Path) -> None:
    assert occupied(tmp_path / "none") == ""
    (tmp_path / NAME).write_bytes(b'{"n":0,"at"')
    assert occupied(tmp_path) == ""


def test_signed_evidence_stays_even_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    before = ended(out)
    (out / "signatures").mkdir()
    for command in commands(out):
        assert main([*command, "--overwrite"]) == 3
        assert "holds signed evidence" in capsys.readouterr().err
    assert (out / NAME).read_bytes() == before


def test_what_another_process_writes_is_left_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    with Journal.create(out / NAME) as journal:
        journal.append("start", {})
        for command in commands(out):
            assert main([*command, "--overwrite"]) == 3
            assert "another process is writing journal.jsonl" in capsys.readouterr().err
        assert journal.records == 1


def rig(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig", *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip


def test_certify_after_ctrl_c_says_what_can_be_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "certify", "--bench", "model", "--seed", "1", "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("running ")
    assert " tests done" in process.stdout.readline(), "some are finished"
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    before = (out / NAME).read_bytes()
    again = rig("certify", "--bench", "model", "--seed", "1", "--out", str(out))
    assert again.returncode == 3
    assert "holds a campaign that broke off at " in again.stderr
    assert f"`rig resume {out}` goes on with it; --out names another folder; --overwrite deletes it" in again.stderr
    assert (out / NAME).read_bytes() == before
    assert write_results(out).interrupted


def test_pytest_refuses_as_well_and_names_its_own_options(tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = killed(out)
    (tmp_path / "test_none.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "test_none.py", "-c", os.devnull, f"--rootdir={tmp_path}", "-q",
               *plugin(), "-p", "no:cacheprovider", "--bench=model", f"--rig-out={out}"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=environment)
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--rig-resume goes on with it; --rig-out names another folder; --rig-overwrite deletes it" in run.stderr
    assert (out / NAME).read_bytes() == before
    command.append("--rig-overwrite")
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not (out / NAME).exists() or (out / NAME).read_bytes() != before
