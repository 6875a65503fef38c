"""Comparison: what got worse is found and named, what lies within tolerance or uncertainty is not told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.campaign import Campaign
from hardware.bench import load_bench
from reports.compare import Change, compare
from reports.results import Results


def results(out: Path, times_ms: list[float], bench: str = "model", **more: Any) -> Results:
    """Results of taps that took so long."""
    ours = Campaign(bench, None, 1, out, frozenset(), keep=True, described=load_bench(bench))
    fidelity = {} if bench == "model" else {"fidelity": "wire", "u": 15_000}
    for place, ms in enumerate(times_ms):
        verdict = ["AVL-4", "pass", "card unlock", round(ms * 1000), 1_000_000, 0]
        ours.write("run", {"by": "t", "scenario": f"{place:064x}", "trace": "0" * 64, "us": 1, "verdicts": [verdict],
                           "faults": more.get("faults", []), **fidelity})  # fmt: skip
    made = ours.end(False, main=True)
    assert made is not None
    return made


def found(changes: list[Change], what: str) -> list[tuple[str, str]]:
    """Trend and text of the changes of one kind."""
    return [(c.trend, c.text) for c in changes if c.what == what]


def test_equal_results_differ_in_nothing(tmp_path: Path) -> None:
    one = results(tmp_path / "a", [100, 200, 300])
    assert compare(one, one) == []


def test_slower_is_worse_and_faster_is_better(tmp_path: Path) -> None:
    slow, fast = results(tmp_path / "a", [400] * 10), results(tmp_path / "b", [300] * 10)
    worse = compare(fast, slow)
    text = "AVL-4 card unlock on model: p99 300.0 ms, now 400.0 ms (limit 1,000 ms)"
    assert ("worse", text) in found(worse, "latency")
    assert found(worse, "margin")[0][0] == "worse"
    assert {c.trend for c in compare(slow, fast)} == {"better"}


@pytest.mark.parametrize(("after", "told"), [(104.0, False), (106.0, True)])
def test_the_tolerance_is_a_share(tmp_path: Path, after: float, told: bool) -> None:
    before, now = results(tmp_path / "a", [100.0] * 3), results(tmp_path / "b", [after] * 3)
    assert bool(found(compare(before, now, 0.05), "latency")) is told


def test_within_the_uncertainty_of_both_benches_nothing_is_told(tmp_path: Path) -> None:
    u_ms = load_bench("emulated").uncertainty_ms
    before = results(tmp_path / "a", [100.0] * 3, "emulated")
    near = results(tmp_path / "b", [100.0 + 2 * u_ms - 1] * 3, "emulated")
    far = results(tmp_path / "c", [100.0 + 2 * u_ms + 1] * 3, "emulated")
    assert found(compare(before, near, 0.0), "latency") == []
    assert found(compare(before, far, 0.0), "latency")


def test_a_requirement_that_is_no_longer_asked_is_worse(tmp_path: Path) -> None:
    one = results(tmp_path / "a", [100.0])
    requirements = [replace(r, verdict="not run") if r.id == "AVL-4" else r for r in one.requirements]
    (change,) = compare(one, replace(one, requirements=requirements))
    assert (change.trend, change.text) == ("worse", "AVL-4 pass, now not run")
    assert compare(replace(one, requirements=requirements), one)[0].trend == "better"


@pytest.mark.parametrize("word", ["fail", "error", "inconclusive", "conditional fail"])
def test_every_other_verdict_is_worse_than_pass(tmp_path: Path, word: str) -> None:
    one = results(tmp_path / "a", [100.0])
    other = replace(one, requirements=[replace(r, verdict=word) for r in one.requirements if r.id == "AVL-4"])
    assert ("worse", f"AVL-4 pass, now {word}") in found(compare(one, other), "requirement")


def test_coverage_and_cells_that_are_gone_are_worse(tmp_path: Path) -> None:
    wide = results(tmp_path / "a", [100.0], faults=[["server.500", 0, None], ["can.bus_off", 0, None]])
    narrow = results(tmp_path / "b", [100.0], faults=[["server.500", 0, None]])
    assert [t for t, _ in found(compare(wide, narrow), "coverage")] == ["worse", "worse"]
    assert [t for t, _ in found(compare(narrow, wide), "coverage")] == ["better", "better"], "t = 1 and t = 2"
    wide, narrow = (replace(r, complete=True) for r in (wide, narrow))
    lost = replace(narrow, cells_missing=["card × can.bus_off"])
    assert found(compare(wide, lost), "cell") == [("worse", "card × can.bus_off has no evidence any more")]


def test_another_firmware_is_told_and_is_neither(tmp_path: Path) -> None:
    one = results(tmp_path / "a", [100.0])
    assert one.item is not None
    other = replace(one, item=replace(one.item, read={**one.item.read, "firmware_sha256": "00"}), defect="x")
    assert {c.name for c in compare(one, other)} == {"firmware_sha256", "defect"}
    assert {c.trend for c in compare(one, other)} == {"other"}


def sampled(out: Path, failures: int, profile: str = "0") -> Results:
    """Results of sixty draws, and of a time in each."""
    ours = Campaign("model", None, 1, out, frozenset(), keep=True, described=load_bench("model"))
    body = {"profile": "p", "text": "", "sha256": profile, "seed": 1, "planned": 60, "confidence": 0.95}
    ours.write("sampling", body)
    for place in range(60):
        verdict = ["SEC-5", "fail", "twice", None, None, None] if place < failures else ["SEC-5", "pass"]
        tap = ["AVL-4", "pass", "card unlock", 300_000, 1_000_000, 0]
        ours.write("run", {"sample": ["p", 1, place], "scenario": "0" * 64, "trace": "0" * 64, "us": 1,
                           "verdicts": [verdict, tap], "faults": []})  # fmt: skip
    ours.write("sampled", {"profile": "p", "seed": 1, "complete": True})
    made = ours.end(False, main=True)
    assert made is not None
    return made


def test_sampled_rates_differ_only_if_their_intervals_do_not_meet(tmp_path: Path) -> None:
    none, few, many = (sampled(tmp_path / str(n), n) for n in (0, 1, 30))
    assert found(compare(none, few), "rate") == []
    assert found(compare(none, many), "rate")[0][0] == "worse"
    assert found(compare(many, none), "rate")[0][0] == "better"


def test_what_is_no_longer_measured_is_worse(tmp_path: Path) -> None:
    before = results(tmp_path / "a", [300.0] * 4)
    after = replace(before, latencies=[])
    told = "AVL-4 card unlock on model: 4 measured before, now none"
    assert found(compare(before, after), "latency") == [("worse", told)]
    assert found(compare(after, before), "latency") == []


def test_another_bench_measures_under_its_own_name(tmp_path: Path) -> None:
    before = results(tmp_path / "a", [300.0] * 4, "emulated")
    assert found(compare(before, replace(before, latencies=[], benches=[])), "latency") == []


def test_a_rate_that_is_no_longer_sampled_is_worse(tmp_path: Path) -> None:
    before = sampled(tmp_path / "a", 1)
    after = replace(before, sampling=[])
    told = ("worse", "SEC-5 sampled rate: was measured in 60 draws, now never")
    assert told in found(compare(before, after), "rate")
    times = ("worse", "AVL-4 card unlock, sampled: 60 measured before, now none")
    assert times in found(compare(before, after), "latency")
    assert [c for c in compare(after, before) if c.trend == "worse"] == []
    less = [replace(s, rates=[r for r in s.rates if r.requirement != "SEC-5"]) for s in before.sampling]
    assert found(compare(before, replace(before, sampling=less)), "rate") == [told]


def test_a_rate_of_another_profile_is_another_rate(tmp_path: Path) -> None:
    before, after = sampled(tmp_path / "a", 1), sampled(tmp_path / "b", 1, "1")
    told = "SEC-5 sampled rate: was measured in 60 draws, now never with that profile (60 draws with another)"
    assert ("worse", told) in found(compare(before, after), "rate")
    assert found(compare(before, after), "latency") == []


def test_coverage_that_is_no_longer_counted_is_worse(tmp_path: Path) -> None:
    before = results(tmp_path / "a", [100.0], faults=[["server.500", 0, None], ["can.bus_off", 0, None]])
    after = replace(before, coverage=[c for c in before.coverage if c.t != 2])
    ((trend, text),) = found(compare(before, after), "coverage")
    assert trend == "worse"
    assert text.startswith("2-way coverage was measured, ")
    assert text.endswith(", now never")
    assert found(compare(after, before), "coverage") == []


@pytest.mark.parametrize("how", ["without", "gone"])
def test_a_margin_that_is_no_longer_measured_is_worse(tmp_path: Path, how: str) -> None:
    before = results(tmp_path / "a", [100.0])
    rest = [replace(r, tightest_ms=None) if how == "without" else r for r in before.requirements]
    after = replace(before, requirements=[r for r in rest if how == "without" or r.id != "AVL-4"])
    changes = compare(before, after)
    assert found(changes, "margin") == [("worse", "AVL-4 least margin was measured, 900.0 ms, now never")]
    assert found(compare(after, before), "margin") == []


def test_the_command_ends_with_1_for_what_is_no_longer_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rig.cli import main

    sampled(tmp_path / "a", 0)
    results(tmp_path / "b", [300.0])
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    said = capsys.readouterr().out
    assert "SEC-5 sampled rate: was measured in 60 draws, now never" in said
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "a")]) == 0
