"""Logs of real lines are judged again: an insider who makes everything fit that is computed cannot make the log fit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fixtures.rejudge import again
from hardware.vehicle import body_codecs, emulated_model
from reports.build import write_results
from reports.journal import NAME, Journal
from reports.results import BenchResult, Results
from reports.summing import guarded
from rig.brief import brief
from rig.judge import judge
from rig.judge.judge import Rules
from rig.suite.wire_rows import ROWS
from rig.trace import Trace
from rig.tracefile import to_text
from tests.signing import made
from tests.signing.test_tampering import rechained, records

U_US = 20_000
LOG = "wire/card.trace.jsonl"


def make(folder: Path, *, opens: bool = True) -> Results:
    """Evidence of one row; what its lines showed is told by the model."""
    row = next(r for r in ROWS if r.name == "card, healthy")
    played = emulated_model().run(row.scenario)
    kept = [e for e in played.events if opens or e[1] not in ("motor", "latch")]
    trace = Trace(kept, played.origin_us, "wire")
    codecs = body_codecs()
    rules = Rules(
        codecs["LockStatus"].decode, U_US, row.watch_us, None,
        codecs["VehicleState"].decode, codecs["InteriorSwitch"].decode,
    )  # fmt: skip
    judgement = judge(row.scenario, trace, rules)
    bench = BenchResult("lab", "a bench", "wire", "emulated", 1, 50, guarded(20.0))
    (folder / "wire").mkdir(parents=True)
    (folder / LOG).write_text(to_text(trace), encoding="utf-8")
    with Journal.create(folder / NAME) as journal:
        journal.append("start", {**made._start(), "bench": asdict(bench)})
        one = {"row": row.name, "run": 1, "seconds": 9.0, "log": LOG, "trace": trace.hash()}
        journal.append("played", {**one, "sha256": hashlib.sha256((folder / LOG).read_bytes()).hexdigest()})
        journal.append("row", {**one, "outcome": str(judgement.outcome), "text": "", "counts": True})
        told = brief(row.scenario, trace, judgement)
        journal.append("run", {**told, "row": [row.name, 1], "fidelity": "wire", "u": U_US})
        journal.append("end", {"complete": False, "interrupted": False})
    return write_results(folder)


@pytest.mark.parametrize("opens", [True, False])
def test_the_judge_says_the_same_again(tmp_path: Path, opens: bool) -> None:
    results = make(tmp_path / "e", opens=opens)
    assert results.verdict == ("pass" if opens else "fail")
    found = again(tmp_path / "e", results)
    assert (found.findings, found.left) == ([], [])
    assert found.checked == ["logs of real lines judged again give the same verdicts: 1 of 1"]


def test_a_verdict_that_its_log_does_not_give(tmp_path: Path) -> None:
    """No door opened; the journal says that it did, and chain, results and lines are made to fit."""
    folder = tmp_path / "e"
    make(folder, opens=False)
    changed = records(folder)
    run = next(r for r in changed if r["kind"] == "run")["body"]
    verdict = next(v for v in run["verdicts"] if v[0] == "AVL-4")
    assert verdict[1] == "fail"
    verdict[1:] = ["pass", "card unlock", 400_000, 1_000_000, verdict[5]]
    rechained(folder, changed)
    found = again(folder, write_results(folder))
    assert found.findings == [f"{LOG}: judged again, AVL-4 is fail, and results.jsonl says pass"]


def test_a_log_of_something_else(tmp_path: Path) -> None:
    folder = tmp_path / "e"
    results = make(folder)
    (folder / LOG).write_text("nothing\n", encoding="utf-8")
    (finding,) = again(folder, results).findings
    assert "holds no trace" in finding


def test_a_row_that_this_version_does_not_have(tmp_path: Path) -> None:
    folder = tmp_path / "e"
    make(folder)
    text = (folder / NAME).read_text(encoding="utf-8").replace('"card, healthy"', '"card, of old"')
    rechained(folder, [json.loads(line) for line in text.splitlines()])
    found = again(folder, write_results(folder))
    assert found.findings == []
    assert found.left == ["the log of card, of old: this version's table has no such row, or another scenario in it"]


def test_checking_runs_no_code_that_evidence_names(unsigned: Path, tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    results = replace(Results.load(unsigned / "results.json"), defect=f"{code}:NAME")
    found = again(unsigned, results)
    assert not (tmp_path / "ran").exists()
    assert found.findings == []
    assert any("code of its own" in words for words in found.left)
