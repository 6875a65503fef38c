"""The swarm: the same findings however many processes, all of them counted, stopped when it should be."""

from __future__ import annotations

import time
from functools import partial

import pytest

from hardware.vehicle import emulated_model
from rig.judge.verdicts import Outcome
from rig.model import Model
from rig.search.findings import Findings
from rig.search.hunt import hunt
from rig.search.swarm import BATCH, Swarm, Worker, batches

DEFECT = "lock_ignored"
"""Found by nearly every script that locks."""


def facts(findings: Findings) -> tuple[object, ...]:
    """What must not depend on who ran it."""
    return (
        findings.runs,
        findings.simulated_us,
        findings.outcomes,
        {name: (s.margin_us, s.text) for name, s in findings.slack.items()},
        findings.cells,
        [(f.number, f.failures, f.trace_hash) for f in findings.found],
    )


def search(jobs: int, scenarios: int, defect: str | None = DEFECT) -> Swarm:
    swarm = Swarm(partial(emulated_model, defect), emulated_model, "random", 5, jobs)
    swarm.search(scenarios)
    return swarm


def test_one_process_and_two_find_the_same() -> None:
    one, two = search(1, 60), search(2, 60)
    assert facts(one.findings) == facts(two.findings)
    assert one.findings.found, "a defect that nearly every lock shows was not found"
    assert one.coverage.seen == two.coverage.seen


def test_so_many_as_asked_for() -> None:
    swarm = search(1, 37, None)
    assert swarm.findings.runs == 37 and swarm.exhausted
    total = sum(n for (name, _), n in swarm.findings.outcomes.items() if name == "AVL-6")
    assert total == 37


def test_it_stops_when_there_is_enough() -> None:
    swarm = Swarm(partial(emulated_model, DEFECT), emulated_model, "table", 5)
    swarm.search(enough=lambda findings: bool(findings.found))
    assert swarm.findings.found and not swarm.exhausted


def test_it_stops_when_time_is_up() -> None:
    swarm = Swarm(emulated_model, emulated_model, "random", 5)
    began = time.monotonic()
    swarm.search(seconds=0.01)
    assert swarm.findings.runs and time.monotonic() - began < 30


def test_batches_hold_every_row_once() -> None:
    parts = list(batches("pairs", 1, 1000))
    assert sum(len(b.rows) for b in parts) == 1000
    assert [b.first for b in parts] == [sum(len(b.rows) for b in parts[:n]) for n in range(len(parts))]
    assert max(len(b.rows) for b in parts) <= BATCH


def test_a_failure_of_the_rig_ends_no_search() -> None:
    model = emulated_model()
    broken = Model(model.keys, model.codecs, lambda *_: 1 // 0)  # type: ignore[arg-type,return-value]
    worker = Worker(broken, model)
    findings = worker.run(next(batches("table", 1, 8)))
    assert findings.runs == 0 and len(findings.errors) == 8
    assert "ZeroDivisionError" in findings.errors[0][1]


def test_findings_add_up() -> None:
    one, two = search(1, 20).findings, search(1, 33).findings
    both = Findings()
    both.add(one)
    both.add(two)
    assert both.runs == 53
    name = both.found[0].failures[0][0]
    assert (
        both.outcomes[name, Outcome.FAIL]
        == one.outcomes[name, Outcome.FAIL] + two.outcomes[name, Outcome.FAIL]
    )
    for name_, slack in both.slack.items():
        assert slack.margin_us == min(f.slack[name_].margin_us for f in (one, two) if name_ in f.slack)


@pytest.mark.parametrize("strategy", ["default", "table"])
def test_a_hunt_names_who_caught_it_and_only_what_the_healthy_ecu_passes(strategy: str) -> None:
    caught = hunt(DEFECT, partial(emulated_model, DEFECT), emulated_model, strategy, 1, 60.0, ("AVL-13",))
    assert caught.caught_by == "AVL-13" and caught.scenario is not None
    assert caught.scenarios >= 1 and not caught.errors
    assert emulated_model().judge(caught.scenario).judgement.verdicts["AVL-13"].outcome is not Outcome.FAIL


def test_a_hunt_for_what_is_not_there_finds_nothing() -> None:
    nothing = hunt("healthy", emulated_model, emulated_model, "random", 1, 60.0, scenarios=16)
    assert (nothing.caught_by, nothing.scenario, nothing.scenarios) == ("", None, 16)
