"""Evidence for the tests of signing: a small campaign with a planted defect, in a journal; results and report of it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fixtures.casefile import write_case
from hardware.vehicle import emulated_model
from reports.build import write_results
from reports.content.evidence import Evidence
from reports.journal import NAME, Journal
from reports.records import FORMAT
from reports.report import write_html, write_trace
from reports.results import BenchResult, DutResult, FailureResult
from reports.summing import VIRTUAL
from rig.brief import brief
from rig.judge.judge import REQUIREMENTS
from rig.scenario import Fault, Intent, Scenario

DEFECT = "bus_off_blocks_card"
FIRMWARE = b"door-lock firmware 1.4.2"
SHA256 = hashlib.sha256(FIRMWARE).hexdigest()
TESTS: tuple[tuple[str, str, Scenario], ...] = (
    ("test_lab.py::test_card", "AVL-4", Scenario(timeline=(Intent("unlock", 0, "card"),))),
    ("test_lab.py::test_bluetooth", "AVL-2", Scenario(timeline=(Intent("unlock", 0, "bluetooth"),))),
    ("test_lab.py::test_cloud", "AVL-3", Scenario(timeline=(Intent("unlock", 0, "cloud"),))),
    (
        "test_lab.py::test_card_with_the_bus_off", "AVL-4",
        Scenario(timeline=(Fault("can.bus_off", 0), Intent("unlock", 500_000, "card"))),
    ),
    (
        "test_lab.py::test_card_without_server", "AVL-4",
        Scenario(timeline=(Fault("server.500", 0), Intent("unlock", 500_000, "card"))),
    ),
)  # fmt: skip
CAMPAIGN = """
[laboratory]
name = "Testhaus GmbH"
address = "Prüfweg 1, 70173 Stuttgart"

[item]
firmware = "1.4.2"
firmware_sha256 = "{sha256}"
"""


def make(folder: Path, *, firmware: bool = True) -> None:
    """A folder of evidence, complete but for signatures."""
    folder.mkdir(parents=True)
    model = emulated_model(DEFECT)
    with Journal.create(folder / NAME) as journal:
        journal.append("start", _start())
        planned = [[name, [[cited, "full"]], None] for name, cited, _ in TESTS]
        journal.append("plan", {"tests": planned, "complete": False})
        for name, cited, scenario in TESTS:
            journal.append("begin", {"test": name})
            result = model.judge(scenario)
            journal.append("run", {**brief(result.scenario, result.trace, result.judgement), "by": name})
            failed = result.judgement.failures
            for verdict in failed:
                if verdict.requirement == cited:
                    case = write_case(folder / "failures", f"{cited}-model", cited, result, "model", DEFECT)
                    failure = _failure(folder, case.scenario, name, result, verdict, case.replay)
                    journal.append("failure", asdict(failure))
            journal.append(
                "test",
                {"test": name, "outcome": "fail" if failed else "pass", "seconds": 0.5,
                 "reason": failed[0].text if failed else ""},
            )  # fmt: skip
        journal.append("end", {"complete": False, "interrupted": False})
    if firmware:
        (folder / "campaign.toml").write_text(CAMPAIGN.format(sha256=SHA256), encoding="utf-8")
    (folder / "pytest.log").write_text("5 tests\n", encoding="utf-8")
    remake(folder)


def remake(folder: Path) -> None:
    """Results and report, made anew from the journal: what whoever tampers with the journal would do next."""
    write_results(folder)
    write_trace(Evidence.read(folder))
    write_html(Evidence.read(folder))


def copied(evidence: Path, to: Path) -> Path:
    """A copy to tamper with."""
    shutil.copytree(evidence, to)
    return to


def _start() -> dict[str, Any]:
    bench = BenchResult("model", "the emulated ECU in virtual time", "model", "emulated", 1, 0, VIRTUAL)
    return {
        "format": FORMAT,
        "run": "0123456789abcdef" * 2,
        "what": "suite",
        "command": "rig certify --bench model",
        "bench": asdict(bench),
        "item": asdict(DutResult("emulated door-lock ECU", "emulated", DEFECT)),
        "seed": 7,
        "versions": {"unlock-rig": "0.1.0"},
        "requirements": list(REQUIREMENTS),
        "capabilities": [],
        "again": f"rig certify --bench model --seed 7 --defect {DEFECT}",
    }


def _failure(folder: Path, file: Path, test: str, result: Any, verdict: Any, replay: str) -> FailureResult:
    names = sorted(f for f in file.parent.iterdir() if f.name.startswith(f"{file.stem}."))
    return FailureResult(
        requirement=verdict.requirement,
        demand="The card alone needs neither phone, server, network, Bluetooth nor CAN.",
        test=test,
        bench="model",
        text=verdict.text,
        entries=len(result.scenario.timeline),
        scenario_file=file.relative_to(folder).as_posix(),
        picture_file=file.with_suffix(".svg").relative_to(folder).as_posix(),
        replay=replay,
        trace_hash=result.trace.hash(),
        files={f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in names},
    )
