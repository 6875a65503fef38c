"""Rows on real lines: every run is kept at once with its trace; what was played before a break is not played again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import fixtures.wiretable
from fixtures.campaign import Campaign
from fixtures.wiretable import WireTable
from hardware.bench import load_bench
from hardware.vehicle import emulated_model
from hardware.wire import WireLane
from reports.results import Results, RowResult
from rig.scenario import Carry, Intent, Scenario
from rig.suite.wire_rows import Row
from rig.trace import Trace
from rig.tracefile import TraceFileError, load, to_text
from rig.world.world import Watch

ROWS = [
    Row(name, ("AVL-4",), Scenario(seed, Carry(), timeline=(Intent("unlock", 200_000, "card"),)), watch_us=1_000_000)
    for seed, name in enumerate(("first: a tap", "second", "third"))
]


def campaign(out: Path) -> Campaign:
    """A campaign on the emulated bench."""
    return Campaign("emulated", None, 1, out, frozenset(), keep=True, described=load_bench("emulated"))


class Cut(Exception):
    """Stands for the end of the process."""


def played(monkeypatch: pytest.MonkeyPatch, stop_at: int, spoil: str = "") -> list[int]:
    """Real lanes, but runs in virtual time; notes which were played, and stops before one of them."""
    found: list[int] = []
    model = emulated_model()

    async def play(_lane: WireLane, scenario: Scenario, watch: Watch) -> Trace:
        if len(found) == stop_at:
            raise Cut
        found.append(scenario.seed)
        trace = model.run(scenario, watch)
        if spoil and len(found) == 1:
            trace.events.append((trace.end_us, "lost", spoil))
        return Trace(trace.events, trace.origin_us, "wire")

    monkeypatch.setattr(fixtures.wiretable, "play", play)
    return found


def test_what_was_played_before_a_break_is_judged_from_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load_bench("emulated")
    before = played(monkeypatch, stop_at=3, spoil="cable pulled")
    ours = campaign(tmp_path)
    with (
        pytest.raises(BaseExceptionGroup),
        WireTable(bench, ours, ROWS, defect=None, seed=1, say=lambda _: None) as table,
    ):
        table.check(ROWS[0])
    assert len(before) == 3
    assert ours._journal is not None
    ours._journal.close()
    assert len(list((tmp_path / "wire").iterdir())) == 3
    assert not ours.rows, "nothing was judged yet"

    after = played(monkeypatch, stop_at=99)
    ours = campaign(tmp_path)
    ours.go_on()
    with WireTable(bench, ours, ROWS, defect=None, seed=1, say=lambda _: None) as table:
        for row in ROWS:
            ours.test = row.name
            table.check(row)
        table.check(ROWS[0])
    ours.end(False, main=True)
    assert len(before) + len(after) == len(ROWS) + 1, "each once, and once more the one whose cable was pulled"
    results = Results.load(tmp_path / "results.json")
    rows: dict[str, list[RowResult]] = {}
    for one in results.rows:
        rows.setdefault(one.name, []).append(one)
    assert sorted(len(runs) for runs in rows.values()) == [1, 1, 2]
    (twice,) = [runs for runs in rows.values() if len(runs) == 2]
    assert [(r.run, r.outcome, r.counts) for r in twice] == [(1, "inconclusive", False), (2, "pass", True)]
    assert "cable pulled" in twice[0].text
    assert (results.runs, results.retries, results.verdict) == (3, 1, "pass")
    for one in results.rows:
        file = tmp_path / one.log_file
        assert hashlib.sha256(file.read_bytes()).hexdigest() == one.log_sha256
        assert load(file).hash() == one.trace_hash
    u_ms = bench.uncertainty_ms
    assert results.rule is not None
    assert results.rule.uncertainty_ms == u_ms


@pytest.mark.parametrize("lines", [0, 1, 5, -1])
def test_a_log_that_was_lost_is_a_run_that_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    bench = load_bench("emulated")
    first = played(monkeypatch, stop_at=1)
    ours = campaign(tmp_path)
    with (
        pytest.raises(BaseExceptionGroup),
        WireTable(bench, ours, ROWS, defect=None, seed=1, say=lambda _: None) as table,
    ):
        table.check(ROWS[0])
    assert ours._journal is not None
    ours._journal.close()
    (log,) = (tmp_path / "wire").iterdir()
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:lines]))
    again = played(monkeypatch, stop_at=99)
    ours = campaign(tmp_path)
    ours.go_on()
    with WireTable(bench, ours, ROWS, defect=None, seed=1, say=lambda _: None) as table:
        table.check(ROWS[0])
    assert first[0] in again


def test_a_trace_as_a_file_is_the_same_trace(tmp_path: Path) -> None:
    trace = emulated_model().run(ROWS[0].scenario)
    file = tmp_path / "t.jsonl"
    file.write_text(to_text(trace), encoding="utf-8")
    assert load(file) == trace
    assert load(file).hash() == trace.hash()


@pytest.mark.parametrize("text", ["", "{}", "[]\n", '{"format": "unlock-rig/trace/9"}\n', "\x00"])
def test_a_file_that_is_no_trace_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TraceFileError, match=r"t\.jsonl: holds no trace"):
        load(file)
