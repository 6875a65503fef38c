"""Results from the journal: every figure from records, the published schema, memory that does not grow with runs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.campaign import Campaign
from fixtures.identity import bench_result
from hardware.bench import load_bench
from hardware.model import CAPABILITIES
from reports.build import BuildError, attach, build, fill, write_results
from reports.combinations import Combinations
from reports.fromjson import Mismatch, from_json
from reports.journal import NAME, Journal
from reports.ledger import Ledger
from reports.results import Bin, DutResult, Results, ResultsError, RunLine, TestResult, run_lines
from reports.resultsschema import results_schema
from reports.summing import guarded, results_of
from reports.tally import histogram
from rig.brief import measured
from rig.cli import main
from rig.faults import CATALOGUE
from rig.judge.judge import REQUIREMENTS
from rig.search.space import Coverage

ROOT = Path(__file__).parents[2]


def campaign(out: Path, bench: str = "emulated") -> Campaign:
    """A campaign on a bench with an uncertainty of its own."""
    return Campaign(bench, None, 1, out, frozenset(), keep=True, described=load_bench(bench))


def run(verdicts: list[list[Any]], **more: Any) -> dict[str, Any]:
    """A record of a judged run."""
    told = {"by": "t", "scenario": "ab" * 32, "trace": "cd" * 32, "us": 2_000_000, "verdicts": verdicts, "faults": []}
    return {**told, **more}


def tap(value_us: int, outcome: str = "pass", limit_us: int = 1_000_000) -> list[Any]:
    """A verdict on a tap."""
    text = "card unlock" if outcome in ("pass", "conditional pass") else f"card unlock of intent 0 after {value_us} µs"
    return ["AVL-4", outcome, text, value_us, limit_us, 5]


def made(out: Path, *records: tuple[str, dict[str, Any]]) -> Results:
    """Results of some records."""
    ours = campaign(out)
    ours.write_all([*records])
    results = ours.end(False, main=True)
    assert results is not None
    return results


def test_counts_and_margins_come_from_the_records(tmp_path: Path) -> None:
    results = made(
        tmp_path,
        ("run", run([tap(300_000), ["SEC-5", "pass"]])),
        ("run", run([tap(900_000), ["SEC-5", "inconclusive", "the rig was late", None, None, None]])),
        ("run", run([["SEC-5", "pass"]])),
        ("run", run([tap(1_200_000, "fail")], fidelity="wire", u=15_000)),
    )
    by = {r.id: r for r in results.requirements}
    card = by["AVL-4"]
    assert (card.verdict, card.asked, card.held, card.failed, card.undecided, card.vacuous) == ("fail", 3, 2, 1, 0, 1)
    assert (card.tightest_ms, card.tightest_text) == (100.0, "card unlock after 0.900 s, limit 1.000 s")
    assert card.outcomes == {"fail": 1, "pass": 2, "vacuous": 1}
    assert (by["SEC-5"].verdict, by["SEC-5"].undecided) == ("inconclusive", 1)
    assert by["AVL-1"].verdict == "not run"
    assert (results.verdict, results.why) == ("fail", "1 requirement failed: AVL-4")
    assert "U = " in card.rule
    times = {t.bench: (t.path, t.n, t.min_ms, t.max_ms) for t in results.latencies}
    assert times == {"model": ("card unlock", 2, 300.0, 900.0), "emulated": ("card unlock", 1, 1200.0, 1200.0)}
    assert all(q.low_ms is None and q.upper_ms is None for t in results.latencies for q in t.quantiles), "no draws"
    lines = list(run_lines(tmp_path, results))
    assert [line.outcome for line in lines] == ["pass", "inconclusive", "pass", "fail"]
    late = lines[3].verdicts[0]
    assert (late.value_ms, late.limit_ms, late.margin_ms, late.uncertainty_ms) == (1200.0, 1000.0, -200.0, 15.0)


def test_the_decision_rule_is_printed_with_its_uncertainty(tmp_path: Path) -> None:
    bench = load_bench("emulated")
    results = made(tmp_path, ("run", run([tap(300_000)])))
    assert results.rule == guarded(bench.uncertainty_ms) == results.benches[0].rule
    assert f"U = {bench.uncertainty_ms} ms" in results.rule.text
    assert "t <= limit - U" in results.rule.text


def test_what_is_doubled_is_refused(tmp_path: Path) -> None:
    ours = campaign(tmp_path)
    ours.search_begins("default", 1, 9)
    record = run([tap(1)], search=["default", 1, 0])
    ours.write("run", record)
    with pytest.raises(ValueError, match="scenario 0 of default, seed 1, comes twice"):
        ours.write("run", record)
    end = {"test": "t", "outcome": "pass", "reason": "", "seconds": 0}
    ours.write("test", end)
    with pytest.raises(ValueError, match="test t ended twice"):
        ours.write("test", end)
    with pytest.raises(BuildError, match=r"journal.jsonl, record \d+: scenario 0 of default"):
        build(tmp_path)


def test_a_journal_that_does_not_begin_is_none(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="is not there"):
        build(tmp_path)
    with Journal.create(tmp_path / NAME) as journal:
        journal.append("run", run([tap(1)]))
    with pytest.raises(BuildError, match="record 0: the first record is no start"):
        build(tmp_path)


def test_equal_journals_give_equal_files(tmp_path: Path) -> None:
    made(tmp_path, ("run", run([tap(300_000)])), ("note", {"text": "ü"}))
    first = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    write_results(tmp_path)
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == first
    assert Results.load(tmp_path / "results.json").notes == ["ü"]


def test_sampling_and_search_are_never_pooled(tmp_path: Path) -> None:
    sampling = {"profile": "p", "text": "name = 'p'", "sha256": "00", "seed": 1, "planned": 80, "confidence": 0.95}
    draws = [("run", run([tap(200_000 + i)], sample=["p", 1, i])) for i in range(80)]
    results = made(
        tmp_path, ("run", run([tap(900_000)])), ("sampling", sampling), *draws,
        ("sampled", {"profile": "p", "seed": 1, "complete": True}),
    )  # fmt: skip
    assert results.runs == 1
    assert next(r for r in results.requirements if r.id == "AVL-4").asked == 1
    assert [t.n for t in results.latencies] == [1]
    (found,) = results.sampling
    (rate,) = found.rates
    assert (rate.n, rate.failures, rate.lower) == (80, 0, 0.0)
    assert rate.upper_one_sided == pytest.approx(1 - 0.05 ** (1 / 80))
    (times,) = found.latencies
    assert times.independent
    quantiles = {q.p: q for q in times.quantiles}
    assert quantiles[0.95].upper_ms == 200.079
    assert quantiles[0.99].upper_ms is None
    assert "299 draws" in quantiles[0.99].note
    assert times.drift == 1.0, "draws that grow with their number are not independent of it"
    assert "drifts" in times.remark


def test_a_sampling_that_was_stopped_is_undecided(tmp_path: Path) -> None:
    sampling = {"profile": "p", "text": "", "sha256": "00", "seed": 1, "planned": 80, "confidence": 0.95}
    results = made(tmp_path, ("sampling", sampling), ("run", run([tap(1)], sample=["p", 1, 0])))
    assert results.verdict == "inconclusive"
    assert "stopped after 1 of 80 draws" in results.sampling[0].remark


def test_documents_of_other_commands_are_attached(tmp_path: Path) -> None:
    made(tmp_path, ("run", run([tap(1)])))
    before = build(tmp_path)
    (tmp_path / "cutsets.json").write_text("{}", encoding="utf-8")
    attach(tmp_path, "cutsets", "cutsets.json", {"format": "unlock-rig/cutsets/1"})
    results = build(tmp_path)
    assert results.cutsets == {"format": "unlock-rig/cutsets/1"}
    assert results.attachments[0].file == "cutsets.json"
    assert (results.ended, results.seconds) == (before.ended, before.seconds), "the tests were over"


def test_a_document_is_attached_by_its_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, file = tmp_path / "out", tmp_path / "q.json"
    made(out, ("run", run([tap(1)])))
    file.write_text('{"format": "unlock-rig/qualification/1", "fit": true}', encoding="utf-8")
    assert main(["results", str(out), "--attach", str(file)]) == 0
    results = Results.load(out / "results.json")
    assert results.qualification == {"format": "unlock-rig/qualification/1", "fit": True}
    assert (out / "qualification.json").read_bytes() == file.read_bytes()
    file.write_text('{"format": "unlock-rig/bench/1"}', encoding="utf-8")
    assert main(["results", str(out), "--attach", str(file)]) == 3
    assert "q.json: is none of unlock-rig/cutsets/1" in capsys.readouterr().err
    assert main(["results", str(tmp_path)]) == 3
    assert main(["results"]) == 3


def test_a_whole_suite_with_cells_without_evidence_is_undecided(tmp_path: Path) -> None:
    ours = Campaign("model", None, 1, tmp_path, CAPABILITIES, keep=True, described=load_bench("model"), whole=True,
                    plan=[["t", [], None]])  # fmt: skip
    everything = [[name, "pass"] for name in REQUIREMENTS]
    ours.write("run", run(everything))
    ours.write("test", {"test": "t", "outcome": "pass", "reason": "", "seconds": 0})
    results = ours.end(False, main=True)
    assert results is not None
    assert results.verdict == "inconclusive"
    assert results.why.startswith(f"no evidence for {results.cells_required} pairs of path and mode: ")
    assert len(results.cells_missing) == results.cells_required > 100


# -- the schema ------------------------------------------------------------------------------------------


def test_the_published_schema_is_the_one_that_the_code_has() -> None:
    published = json.loads((ROOT / "reports" / "results.schema.json").read_text(encoding="utf-8"))
    assert published == results_schema(), "rig results --schema > reports/results.schema.json"


def faults_of(value: Any, schema: dict[str, Any], top: dict[str, Any], place: str = "$") -> Iterator[str]:
    """What a value has that its schema does not allow; as much of JSON Schema as ours uses."""
    if "$ref" in schema:
        schema = top["$defs"][schema["$ref"].rpartition("/")[2]]
    if "const" in schema and value != schema["const"]:
        yield f"{place}: not {schema['const']}"
    if "anyOf" in schema:
        if all(list(faults_of(value, one, top, place)) for one in schema["anyOf"]):
            yield f"{place}: none of several"
        return
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None), "array": list,
             "object": dict}  # fmt: skip
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{place}: no {kind}"
        return
    if kind == "array":
        for number, one in enumerate(value):
            yield from faults_of(one, schema["items"], top, f"{place}[{number}]")
    if kind == "object":
        known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{place}: {name} is missing"
        for name, one in value.items():
            if name in known:
                yield from faults_of(one, known[name], top, f"{place}.{name}")
            elif more is False:
                yield f"{place}: {name} is not known"
            elif isinstance(more, dict):
                yield from faults_of(one, more, top, f"{place}.{name}")


def test_results_fit_the_schema_and_wrong_ones_do_not(tmp_path: Path) -> None:
    made(tmp_path, ("run", run([tap(300_000)])))
    raw = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    schema = results_schema()
    assert list(faults_of(raw, schema, schema)) == []
    for name in schema["required"]:
        assert list(faults_of({k: v for k, v in raw.items() if k != name}, schema, schema))
    assert list(faults_of({**raw, "runs": "many"}, schema, schema)) == ["$.runs: no integer"]
    assert list(faults_of({**raw, "new": 1}, schema, schema)) == ["$: new is not known"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"runs": "many"}, "runs is 'many'"), ({"tests": [{}]}, r"tests\[0\].name is missing"), ({"new": 1}, "new is not"),
     ({"requirements": {}}, "requirements is no list"), ({"versions": []}, "versions is no object"),
     ({"tests": [{"name": "t", "outcome": True}]}, r"tests\[0\].outcome is True")],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    made(tmp_path, ("run", run([tap(300_000)])))
    raw = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    with pytest.raises(ResultsError, match=said):
        Results.from_raw({**raw, **change}, "r.json")


def test_dataclasses_go_to_json_and_back() -> None:
    for one in (TestResult("t", "pass", requirements=[["A", "full"]]), bench_result(load_bench("emulated")),
                DutResult("x", "external", None, {"a": "b"})):  # fmt: skip
        assert from_json(type(one), json.loads(json.dumps(asdict(one)))) == one
    with pytest.raises(Mismatch):
        from_json(TestResult, [])


# -- pieces ----------------------------------------------------------------------------------------------


def test_combinations_are_counted_as_the_search_counts_them() -> None:
    rng, ours, theirs = random.Random(5), Combinations(), Coverage()
    names = list(CATALOGUE)
    for _ in range(300):
        some = rng.sample(names, rng.randrange(6))
        ours.add([*some, *some[:1]])
        theirs.add(some)
    for c in ours.coverage():
        assert c.seen == len(theirs.seen[c.t])
        assert sum(d.seen for d in c.domains) == c.seen
        assert c.missing_count == c.of - c.seen
        assert not {tuple(sorted(m)) for m in c.missing} & theirs.seen[c.t]
        assert len(c.missing) == min(200, c.missing_count)
    heat = ours.heat_map()
    assert sum(map(sum, heat.seen)) == 2 * len(theirs.seen[2]) + len(theirs.seen[1])
    assert ours.classes[0] == len(theirs.classes)


@pytest.mark.parametrize(
    ("text", "what"),
    [("card unlock of intent 2 after 0.271 s, limit 1.000 s", "card unlock"),
     ("intent 0: in after 0.643 s, limit 30.000 s", "in"),
     ("card unlock during server.500, phone.empty after 0.2 s", "card unlock"), ("relock after 30.0 s", "relock"),
     ("relock 40.150 s late", "relock")],
)  # fmt: skip
def test_what_was_measured_is_told_without_what_varies(text: str, what: str) -> None:
    assert measured(text) == what


def test_a_histogram_holds_every_value_in_bars_of_one_width() -> None:
    values = sorted([213, 250, 12_000, 99_999, 100_000])
    bars = histogram(values)
    assert sum(b.count for b in bars) == 5
    assert len({round(b.to_ms - b.from_ms, 6) for b in bars}) == 1
    assert all(any(b.from_ms <= v / 1000 < b.to_ms for b in bars) for v in values)
    assert len(histogram(range(1000))) <= 40
    assert histogram([5000]) == [Bin(5.0, 5.001, 1)]


BIG = """
import random, resource, sys
from pathlib import Path
from reports.build import write_results
from reports.journal import Journal
from reports.records import FORMAT
out, number = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(1)
with Journal.create(out / "journal.jsonl") as journal:
    journal.append("start", {"format": FORMAT, "run": "0" * 32, "seed": 1, "bench": None, "item": None})
    journal.append("search", {"strategy": "default", "seed": 1, "wanted": number})
    for first in range(0, number, 500):
        journal.extend([("run", {
            "search": ["default", 1, i], "scenario": f"{rng.getrandbits(256):064x}", "trace": "0" * 64, "us": 1000,
            "verdicts": [["AVL-4", "pass", "card unlock", rng.randrange(10**6), 10**6, 7], ["SEC-5", "pass"]],
            "faults": [["server.500", 0, None], ["can.bus_off", 5, 9]],
        }) for i in range(first, first + 500)])
    journal.append("end", {"complete": False, "interrupted": False})
assert write_results(out).runs == number
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_number_of_runs(tmp_path: Path) -> None:
    used = {}
    for number in (2_000, 22_000):
        done = subprocess.run(
            [sys.executable, "-c", BIG, str(tmp_path / str(number)), str(number)], capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
        )  # fmt: skip
        used[number] = int(done.stdout)
    # Held in memory, the journal alone would be 10 MB of text and ten times that as objects.
    assert used[22_000] - used[2_000] < 20, used


def test_a_line_of_results_jsonl_can_be_read_alone(tmp_path: Path) -> None:
    made(tmp_path, ("run", run([tap(1)], faults=[["server.500", 0, None]])))
    (line,) = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert from_json(RunLine, json.loads(line)).faults == [["server.500", 0.0, None]]


def test_benches_of_different_uncertainty_are_both_printed_beside_the_limit(tmp_path: Path) -> None:
    made(tmp_path, ("run", run([tap(300_000)])))
    ledger = Ledger(REQUIREMENTS)
    fill(ledger, tmp_path)
    assert results_of(ledger).requirements[0].rule.count("U = ") == 2
    (bench,) = ledger.benches.values()
    ledger.benches["other"] = replace(bench, name="other", rule=guarded(bench.rule.uncertainty_ms + 5))
    results = results_of(ledger)
    u_ms = bench.rule.uncertainty_ms
    both = f"guard bands, U = {u_ms:g} ms ({bench.name}), U = {u_ms + 5:g} ms (other)"
    assert all(r.rule.endswith(both) for r in results.requirements)
    assert results.rule == guarded(u_ms + 5)
