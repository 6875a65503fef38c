"""A folder of evidence with something in every field, made up: for tests of the report, and for its benchmark."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict
from pathlib import Path

from reports.cutsets import as_document
from reports.results import (
    RUNS_FILE,
    Adapter,
    BenchResult,
    Bin,
    Break,
    Coverage,
    DecisionRule,
    DomainsCovered,
    DutResult,
    FailureResult,
    HeatMap,
    JournalFile,
    Judged,
    Latency,
    NotRun,
    OperatorAction,
    Quantile,
    Rate,
    RequirementResult,
    Results,
    RowResult,
    RunLine,
    SamplingResult,
    SearchResult,
    TestResult,
)
from rig.cutsets import Alone, CutSets, WayCuts
from rig.faults import CATALOGUE
from rig.faulttree import fault_tree
from rig.judge.requirements import load_requirements

CAMPAIGN = Path(__file__).resolve().parents[2] / "docs" / "example" / "campaign.toml"
DOMAINS = ("server", "network", "bluetooth", "phone", "credential", "can", "serial", "power", "actuator", "vehicle")
GUARD = DecisionRule("guard bands", 20.0, "Pass at or below limit − U, fail above limit + U; U = 20 ms (guard bands).")
FAILED = "card unlock of intent 0: never, limit 1.000 s"
PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 300" width="1120" height="300" '
    'font-family="system-ui, sans-serif"><rect width="1120" height="300" fill="#fff"/>'
    '<text x="20" y="40">SAID IN THE PICTURE</text></svg>\n'
)


def made_up(tests: int = 60, **change: object) -> Results:
    """Results with everything in them."""
    draw = random.Random(5)
    known = load_requirements()
    cited = list(known)
    outcomes = {"pass": 1200, "vacuous": 300}
    requirements = [
        RequirementResult(
            id=name, text=r.text, limit=r.limit_text, verdict="fail" if name == "AVL-4" else "pass",
            outcomes={**outcomes, "fail": 2} if name == "AVL-4" else outcomes, tests=12,
            tightest_ms=411.002 if r.limit_ms else None, tightest_text="card unlock after 0.589 s, limit 1.000 s",
            limit_ms=r.limit_ms, asked=1200, held=1200, failed=2 if name == "AVL-4" else 0, vacuous=300,
            rule="U = 20 ms",
        )
        for name, r in known.items()
        if not r.retired
    ]  # fmt: skip
    listed = [
        TestResult(
            name=f"rig/suite/test_cells.py::test_path_works[{number}-card-server.500]"
            if number != 21
            else f"rig/suite/test_product.py::test_in[server.everything_down+{'network.partition_car_request+' * 3}x]",
            outcome={7: "fail", 11: "inconclusive", 13: "not run"}.get(number, "pass"),
            seconds=draw.random() * 2, requirements=[[cited[number % len(cited)], "full"], ["AVL-6", "partial"]],
            bench="emulated", runs=1 + number % 4,
        )
        for number in range(tests)
    ]  # fmt: skip
    whole: dict[str, object] = {
        "verdict": "fail", "why": "1 requirement failed: AVL-4", "bench": "emulated", "dut": "emulated door-lock ECU",
        "defect": "bus_off_blocks_card", "seed": 7, "again": "rig certify --bench emulated --seed 7",
        "started": "2026-11-23T04:07:22+00:00", "ended": "2026-11-23T04:08:35+00:00", "seconds": 73.0,
        "versions": {"python": "3.11.7", "unlock-rig": "0.1.0"}, "runs": 8992, "simulated_s": 75_000.0,
        "tests": listed, "requirements": requirements, "cells_required": 453, "cells_missing": ["card × can.log_flood"],
        "failures": [failure()], "skipped": [NotRun("rig/suite/test_wire.py::test_row[13]", "bench lacks can.flood")],
        "undecided": [NotRun("rig/suite/test_wire.py::test_row[11]", "serial line: adapter gone")],
        "rig_errors": [NotRun("rig/suite/test_wire.py::test_row[12]", "the rig stumbled: KeyError")],
        "rows": [
            RowResult("card, quiet", 1, "inconclusive", "ECU process late by 31 ms", 2.1, "ab" * 32, "emulated", False),
            RowResult("card, quiet", 2, "pass", "in after 0.601 s", 2.0, "cd" * 32, "emulated", True),
        ],
        "notes": ["a note of the rig"], "test_counts": {"pass": tests - 3, "fail": 1, "inconclusive": 1, "not run": 1},
        "run_id": "0f" * 16, "report_id": "UR-20261123-0F0F0F0F",
        "item": DutResult("emulated door-lock ECU", "emulated", "bus_off_blocks_card", {"firmware": "1.4.2"}),
        "benches": [bench()], "rule": GUARD,
        "operator": [OperatorAction("2026-11-23T04:07:50+00:00", "pressed the emergency stop", "emulated")],
        "latencies": [latency("AVL-4", "card unlock", 1000), latency("AVL-2", "bluetooth unlock", 3000)],
        "coverage": coverage(), "heat_map": heat(draw),
        "searches": [SearchResult("default", 7, 10_000, 6000, 5900, False, 2, 0, "model", coverage(), 90, 96)],
        "sampling": [sampling()],
        "journals": [JournalFile("journal.jsonl", 12_345, "ef" * 32, "emulated")],
        "breaks": [Break("journal.jsonl", 4711, "2026-11-23T04:07:40+00:00", "2026-11-23T04:07:45+00:00", 17,
                         "17 torn bytes were cut off and the campaign went on")],
        "retries": 1, "complete": True, "cutsets": cutsets(), "qualification": qualification(),
        "amendments": [{"revision": 2, "reason": "serial number corrected", "by": "A. Author",
                        "at": "2026-11-25T10:00:00+00:00", "replaces": {"report": "EL-2026-0117, revision 1"}}],
    }  # fmt: skip
    return Results(**{**whole, **change})  # type: ignore[arg-type]  # the maker's own keys


def failure() -> FailureResult:
    """One, with files."""
    return FailureResult(
        requirement="AVL-4", demand="The card alone needs nothing else.",
        test="rig/suite/test_cells.py::test_path_works",
        bench="model", text=FAILED, entries=2, scenario_file="failures/AVL-4-model.json",
        picture_file="failures/AVL-4-model.svg", sequence_file="failures/AVL-4-model.sequence.svg",
        bus_file="failures/AVL-4-model.bus.txt", trace_file="failures/AVL-4-model.trace.txt",
        replay="rig replay failures/AVL-4-model.json --bench model --defect bus_off_blocks_card", trace_hash="12" * 32,
        at_ms=1000.0,
    )  # fmt: skip


def bench() -> BenchResult:
    """A bench on real lines."""
    return BenchResult(
        "emulated", "emulated ECU process; slcan on pseudo-terminals", "wire", "emulated", 14, 20, GUARD,
        {"can": "slcan:pty", "reader": "pty"}, [Adapter("can", "slcan over a pseudo-terminal")],
        {"system": "Linux 6.1", "processor": "2 cores"}, "aa" * 32,
    )  # fmt: skip


def latency(requirement: str, path: str, limit_ms: float) -> Latency:
    """A hump below its limit."""
    bins = [Bin(limit_ms * n / 40, limit_ms * (n + 1) / 40, max(0, 60 - (n - 20) ** 2)) for n in range(40)]
    quantiles = [Quantile(0.5, limit_ms * 0.5), Quantile(0.99, limit_ms * 0.66, note="n too small")]
    number = sum(b.count for b in bins)
    least, most, mean = limit_ms * 0.3, limit_ms * 0.68, limit_ms * 0.5
    return Latency(requirement, path, "model", limit_ms, number, least, most, mean, quantiles, bins)


def coverage() -> list[Coverage]:
    """Three kinds of combinations, of which some are missing."""
    return [
        Coverage(1, 161, 161, [], [], 0),
        Coverage(2, 9_500, 10_000, [DomainsCovered(["server", "network"], 590, 594)],
                 [["server.500", "can.bus_off"]], 500),
        Coverage(3, 90_000, 400_000, [], [["server.500", "can.bus_off", "power.reset"]], 310_000),
    ]  # fmt: skip


def heat(draw: random.Random) -> HeatMap:
    """Pairs of domains, some without a single pair."""
    size = len(DOMAINS)
    of = [[0 if i == j == 3 else 100 for j in range(size)] for i in range(size)]
    seen = [[min(of[i][j], draw.choice([0, 30, 99, 100])) for j in range(size)] for i in range(size)]
    return HeatMap(list(DOMAINS), seen, of)


def sampling() -> SamplingResult:
    """A campaign of draws with bounds."""
    drawn = latency("AVL-4", "card unlock", 1000)
    quantile = Quantile(0.99, 660.0, 640.0, 690.0, 685.0, 0.95, "")
    drawn = Latency(**{**_fields(drawn), "quantiles": [quantile], "independent": True, "drift": 0.01, "drift_p": 0.8,
                       "lag1": -0.02})  # fmt: skip
    rate = Rate("AVL-4", 3000, 0, 0, 0.0, 0.00123, 0.000998, 0.95, 0.999, "")
    return SamplingResult("everyday", "[draw]\nvia = { card = 1.0 }\n", "bb" * 32, 3, "model", 3000, 3000, True, 0, 0,
                          0.95, [rate], [drawn])  # fmt: skip


def _fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]  # a slots dataclass


def cutsets() -> dict[str, object]:
    """As `rig cutsets --json` writes them, of two ways in."""
    card = WayCuts("card", (frozenset({"reader"}),), (frozenset({"reader"}),), 12, 3, True)
    none = {way: WayCuts(way, (), (), 1, 1, True) for way in ("bluetooth", "cloud", "any")}
    mode = next(n for n, m in CATALOGUE.items() if "reader" in m.breaks)
    cuts = CutSets({"reader": mode}, (), (Alone(mode, ("card",), ("card",)),), {"card": card, **none}, (), 15)
    return as_document(cuts, fault_tree(cuts), None)


def qualification() -> dict[str, object]:
    """As `rig qualify --json` writes it."""
    hunts = [
        {"defect": name, "strategy": strategy, "caught_by": found, "scenarios": 42, "seconds": 1.5}
        for name, strategy, found in (
            ("no_expiry", "default", "SEC-3"), ("no_expiry", "random", ""),
            ("sleeps_too_long", "default", ""), ("sleeps_too_long", "random", ""),
        )
    ]  # fmt: skip
    return {
        "format": "unlock-rig/qualification/1", "fit": False, "reasons": ["sleeps_too_long was not found"],
        "hunts": hunts,
        "variants": [{"variant": "slow_reader", "scenarios": 400, "caught_by": ""}], "false_alarms": [],
        "mutants": [{"mutant": "deaf_judge", "text": "the judge hears nothing", "noticed_by": "no_expiry"}],
    }  # fmt: skip


def run_lines(number: int) -> list[RunLine]:
    """Judged runs, of which the eighth failed."""
    return [
        RunLine(
            n, "tests", f"default/7/{n}", "model", outcome, f"{n:064x}", f"{n * 7:064x}", 12.5,
            [Judged("AVL-4", outcome, 589.0, 1000.0, 411.0, 0.0, 1000.0, FAILED if outcome == "fail" else "")],
            [["server.500", 0, None]], "journal.jsonl", n,
        )
        for n in range(1, number + 1)
        for outcome in ["fail" if n == 8 else "pass"]
    ]  # fmt: skip


def write_folder(folder: Path, tests: int = 60, runs: int = 40, *, campaign: bool = True, **change: object) -> Results:
    """Writes results, runs, a failure's files and campaign.toml into a folder."""
    (folder / "failures").mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(asdict(line)) + "\n" for line in run_lines(runs))
    (folder / RUNS_FILE).write_text(lines, encoding="utf-8")
    digest = hashlib.sha256(lines.encode()).hexdigest()
    found = made_up(tests, **{"runs_file": RUNS_FILE, "runs_sha256": digest, "runs_lines": runs, **change})
    (folder / "results.json").write_text(found.to_json(), encoding="utf-8")
    for name, content in (
        ("json", '{"format": "unlock-rig/scenario/1", "timeline": []}\n'), ("svg", PICTURE), ("sequence.svg", PICTURE),
        ("bus.txt", "   0.272168  1A0  ecu       LockStatus        DriveAuthorised yes\n"), ("trace.txt", "AVL-4\n"),
    ):  # fmt: skip
        (folder / "failures" / f"AVL-4-model.{name}").write_text(content, encoding="utf-8")
    if campaign:
        (folder / "campaign.toml").write_bytes(CAMPAIGN.read_bytes())
    return found
