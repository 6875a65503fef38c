"""`rig search` leaves evidence: a journal that can be gone on with, results with the failures that it shrank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.journal import NAME, read
from reports.results import Results, run_lines
from rig.cli import main


def search(out: Path, *more: str) -> int:
    """A short search of an ECU with a planted defect, in this process."""
    corpus = str(out.parent / f"{out.name}-corpus")
    return main(["search", "--scenarios", "40", "--seed", "5", "--jobs", "1", "--out", str(out), "--corpus", corpus,
                 "--defect", "early_relock", *more])  # fmt: skip


def test_a_search_leaves_evidence_and_goes_on_after_a_break(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    assert search(whole) == 1
    results = Results.load(whole / "results.json")
    (found,) = results.searches
    assert (found.runs, found.wanted, found.distinct, found.failed > 0, found.exhausted) == (40, 40, 40, True, False)
    assert results.verdict == "fail"
    assert results.item is not None
    assert results.item.defect == "early_relock"
    (failure,) = [f for f in results.failures if f.requirement == "SAF-3"]
    assert failure.test == "search, seed 5, scenario 1"
    for name in failure.files:
        assert (whole / name).is_file()
    full = [r.body for r in read(whole / NAME) if r.kind == "run" and "full" in r.body]
    assert json.loads(full[0]["full"])["format"] == "unlock-rig/scenario/1", "what failed is there in full"

    cut = tmp_path / "cut"
    cut.mkdir()
    lines = (whole / NAME).read_bytes().splitlines(keepends=True)
    part = [i for i, line in enumerate(lines) if b'"kind":"run"' in line][19]
    # Copied to another folder it names its own corpus still, which holds the failures by now: a new one, then.
    assert search(cut) == 1
    (cut / NAME).write_bytes(b"".join((cut / NAME).read_bytes().splitlines(keepends=True)[:part]) + b"{")
    capsys.readouterr()
    assert main(["resume", str(cut)]) == 1
    assert "1 torn bytes" in capsys.readouterr().out
    again = Results.load(cut / "results.json")
    assert [line.trace for line in run_lines(cut, again)] == [line.trace for line in run_lines(whole, results)]
    assert again.searches == results.searches
    assert [f.requirement for f in again.failures] == [f.requirement for f in results.failures]
    assert len(again.breaks) == 1
