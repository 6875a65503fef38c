"""Qualification: it says fit only of a rig that finds what is wrong, and its mutants are noticed."""

from __future__ import annotations

from functools import partial

import pytest

from hardware.vehicle import emulated_model
from rig.faults import CATALOGUE
from rig.scenario import Fault, Intent, Scenario
from rig.search.findings import Findings
from rig.search.hunt import DAY_US, Hunt, Hunter
from rig.search.mutants import MUTANTS
from rig.search.qualify import Candidate, Qualification, qualify, try_mutant

BLOCKS = "bus_off_blocks_card"
SHOWS = Scenario(timeline=(Fault("can.bus_off", 0), Intent("unlock", 1_000_000, "card")))


def found(build: str, by: str, seconds: float = 1.0) -> Hunt:
    return Hunt(build, "default", by, 10, seconds, SHOWS if by else None, (), (), ())


def test_a_rig_is_fit_if_everything_was_found_and_nothing_else() -> None:
    result = Qualification(60.0, {(n, "default"): found(n, "AVL-4") for n in "abcd"}, {"v": found("v", "")})
    assert result.reasons() == []


def test_reasons_name_what_is_wrong() -> None:
    hunts = {(n, "default"): found(n, "AVL-4", 11.0) for n in "abcd"} | {("x", "default"): found("x", "")}
    result = Qualification(60.0, hunts, {"v": found("v", "AVL-5")})
    text = "\n".join(result.reasons())
    assert "not found by any strategy within 60 s: x" in text
    assert "within 10 s" in text and "a, b, c, d, x" in text
    assert "1 false alarms: v" in text


def test_three_may_be_late() -> None:
    hunts = {(n, "default"): found(n, "AVL-4", 11.0) for n in "abc"}
    assert Qualification(60.0, hunts).reasons() == []


@pytest.mark.parametrize("name", ["no_availability", "skip_can.bus_off", "nothing_viable"])
def test_a_mutant_of_the_rig_is_noticed_by_what_it_no_longer_finds(name: str) -> None:
    known = {BLOCKS: ("AVL-4", SHOWS)}
    result = try_mutant(name, known, {BLOCKS: partial(emulated_model, BLOCKS)}, emulated_model, 1)
    assert result.red == f"{BLOCKS} is no longer found"


@pytest.mark.parametrize(("name", "build"), [("no_replay", "no_counter"), ("reusable", "no_counter")])
def test_a_mutant_that_known_failures_do_not_notice_is_noticed_by_its_witness(name: str, build: str) -> None:
    # What neither mistake touches: doors that open by themselves after a boot.
    known = {"opens": ("SEC-10", Scenario())}
    opens = partial(emulated_model, "reset_opens")
    assert try_mutant(name, known, {"opens": opens}, emulated_model, 1).red == ""
    models = iter([opens(), emulated_model(build)])
    red = try_mutant(name, known, {"opens": lambda: next(models)}, emulated_model, 1).red
    assert red.endswith("where it matters most")


def test_a_mutant_that_makes_false_alarms_is_noticed_on_the_healthy_ecu() -> None:
    broken = Scenario(timeline=(Fault("server.500", 0), Intent("unlock", 1_000_000, "cloud")))
    result = try_mutant("all_viable", {"any": ("AVL-3", broken)}, {}, emulated_model, 1)
    assert result.red.startswith("the healthy ECU fails")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_leaves_nothing_behind(name: str) -> None:
    before = emulated_model().judge(SHOWS)
    catalogue = dict(CATALOGUE)
    with MUTANTS[name].applied():
        pass
    assert catalogue == CATALOGUE
    after = emulated_model().judge(SHOWS)
    assert after.trace.hash() == before.trace.hash() and after.judgement == before.judgement


@pytest.mark.parametrize(("build", "runs"), [(None, 1), ("status_107ms", 0)])
def test_a_build_whose_idle_cycles_cannot_be_left_out_is_not_asked_for_days(build: str | None, runs: int) -> None:
    hunter, findings = Hunter(emulated_model(build), emulated_model()), Findings()
    hunter.judge(0, Scenario(timeline=(Intent("unlock", 30 * DAY_US, "card"),)), findings)
    assert findings.runs == runs
    hunter.judge(1, SHOWS, findings)
    assert findings.runs == runs + 1


def test_a_small_qualification_from_end_to_end() -> None:
    said: list[str] = []
    result = qualify(
        [Candidate(BLOCKS, ("AVL-4",), partial(emulated_model, BLOCKS))],
        [Candidate("poll_120ms", (), partial(emulated_model, "poll_120ms"))],
        Candidate("healthy", (), emulated_model),
        ["table"],
        seed=1, seconds=60.0, variant_scenarios=12, jobs=2,
        progress=lambda text, _done, _total: said.append(text),
    )  # fmt: skip
    assert result.hunts[BLOCKS, "table"].caught_by == "AVL-4"
    assert result.variants["poll_120ms"].caught_by == ""
    assert len(result.mutants) == len(MUTANTS)
    assert not result.missed and any(BLOCKS in text for text in said)
