"""Campaigns that are killed at any instant and gone on with: nothing that was finished is lost, nothing is doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest

from fixtures.campaign import Campaign
from hardware.bench import load_bench
from hardware.vehicle import emulated_model
from reports.build import build, write_results
from reports.journal import NAME, JournalError, read
from reports.results import Results, run_lines
from rig.brief import Brief, brief
from rig.model import Result
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.search.findings import Findings

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes that it forked")

TESTS = 12
RUNS = 3
SEARCHED = 40
BATCH = 8
KILLS = 100


@lru_cache
def judged() -> tuple[Result, ...]:
    """Some runs, made once: what is killed here is the writing of records."""
    model = emulated_model()
    return tuple(
        model.judge(Scenario(seed, Carry(), timeline=(Fault("server.500", 0), Intent("unlock", 500_000, "card"))))
        for seed in range(RUNS)
    )


@lru_cache
def briefs() -> tuple[Brief, ...]:
    """The same in brief."""
    return tuple(brief(r.scenario, r.trace, r.judgement) for r in judged())


def campaign(out: Path) -> Campaign:
    """A campaign as the plugin makes it."""
    bench = load_bench("model")
    plan = [[f"test_{i}", [["AVL-4", "full"]], None] for i in range(TESTS)]
    return Campaign("model", None, 1, out, frozenset(), keep=True, described=bench, plan=plan, command={"x": 1})


def play(out: Path, say: int) -> None:
    """Plays the campaign, or what is left of it; says each thing that is finished."""
    ours = campaign(out)
    ours.go_on()
    for place in range(TESTS):
        name = f"test_{place}"
        if name in ours.finished:
            continue
        ours.test = name
        ours.write("begin", {"test": name})
        for result in judged():
            ours.record(result.judgement, result.trace, result.scenario)
        ours.write("test", {"test": name, "outcome": "pass", "reason": "", "seconds": 0.1})
        os.write(say, f"{name}\n".encode())
    ours.test = ""
    begin = ours.search_begins("default", 1, SEARCHED)
    keep = ours.search_batch("default", 1)
    for first in range(begin, SEARCHED, BATCH):
        part = Findings()
        part.briefs = [(n, briefs()[n % RUNS]) for n in range(first, min(first + BATCH, SEARCHED))]
        keep(part)
        os.write(say, f"search {part.briefs[-1][0]}\n".encode())
    ours.write("searched", {"strategy": "default", "seed": 1, "exhausted": False})
    ours.end(False, main=True)


def spawn(out: Path) -> tuple[int, int]:
    """A process that plays; its id, and where it says what is finished."""
    listen, say = os.pipe()
    pid = os.fork()
    if pid:
        os.close(say)
        return pid, listen
    code = 1
    try:
        os.close(listen)
        play(out, say)
        code = 0
    finally:
        os._exit(code)


def said(listen: int) -> list[str]:
    """Everything that was said until the process was gone."""
    data = b""
    while block := os.read(listen, 65536):
        data += block
    os.close(listen)
    return data.decode().splitlines()


def finished(out: Path) -> set[str]:
    """What the journal says was finished."""
    found = set()
    for record in read(out / NAME) if (out / NAME).exists() else ():
        if record.kind == "test":
            found.add(record.body["test"])
        elif record.kind == "run" and "search" in record.body:
            found.add(f"search {record.body['search'][2]}")
    return found


def check(out: Path, results: Results, kills: int) -> None:
    """Every test and every scenario once, and the breaks told."""
    assert results.verdict == "pass", results.why
    assert [t.name for t in results.tests] == [f"test_{i}" for i in range(TESTS)]
    assert {(t.outcome, t.runs) for t in results.tests} == {("pass", RUNS)}
    assert results.runs == TESTS * RUNS + SEARCHED == results.runs_lines
    (search,) = results.searches
    assert (search.runs, search.distinct) == (SEARCHED, RUNS)
    lines = list(run_lines(out, results))
    assert [line.number for line in lines] == list(range(1, results.runs + 1))
    once = Counter((line.source, line.scenario) for line in lines)
    assert set(once.values()) == {1}
    assert len(results.breaks) <= kills
    resumed = [r for r in read(out / NAME) if r.kind == "resume"]
    assert [b.record for b in results.breaks] == [r.n for r in resumed]
    assert build(out) == build(out)


def test_killed_at_a_hundred_instants_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    judged()
    briefs()
    rng = random.Random(7)
    began = time.monotonic()
    pid, listen = spawn(tmp_path / "whole")
    os.waitpid(pid, 0)
    said(listen)
    whole_s = time.monotonic() - began
    kills = campaigns = broken = 0
    while kills < KILLS:
        campaigns += 1
        out, told, mine = tmp_path / str(campaigns), set[str](), 0
        while True:
            pid, listen = spawn(out)
            # A few are let through, so that campaigns come to their end too.
            if mine < 8:
                time.sleep(rng.random() * whole_s)
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            told |= set(said(listen))
            assert told <= finished(out), "something that was finished is not in the journal"
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                break
            kills += 1
            mine += 1
        results = Results.load(out / "results.json")
        check(out, results, mine)
        broken += len(results.breaks)
    assert broken >= KILLS // 3, "most kills must fall into the writing, or this test shows nothing"


def test_results_of_a_campaign_that_was_not_gone_on_with_say_so(tmp_path: Path) -> None:
    ours = campaign(tmp_path)
    ours.test = "test_0"
    ours.write("begin", {"test": "test_0"})
    ours.record(judged()[0].judgement, judged()[0].trace, judged()[0].scenario)
    ours.write("test", {"test": "test_0", "outcome": "pass", "reason": "", "seconds": 0.1})
    ours.write("begin", {"test": "test_1"})
    results = write_results(tmp_path)
    assert (results.verdict, results.why) == ("error", "stopped before the end")
    assert results.interrupted
    assert [(n.test, n.reason) for n in results.skipped][:2] == [
        ("test_1", "broken off, and not gone on with"),
        ("test_2", "not begun when the campaign ended"),
    ]


def test_the_break_is_told_with_what_was_cut_off(tmp_path: Path) -> None:
    ours = campaign(tmp_path)
    ours.write("begin", {"test": "test_0"})
    ours.record(judged()[0].judgement, judged()[0].trace, judged()[0].scenario)
    assert ours._journal is not None
    ours._journal.close()
    file = tmp_path / NAME
    file.write_bytes(file.read_bytes()[:-40])
    again = campaign(tmp_path)
    again.go_on()
    again.end(False, main=True)
    (gap,) = Results.load(tmp_path / "results.json").breaks
    assert gap.torn_bytes > 100
    assert "test_0" in gap.text
    assert "half written" in gap.text


def test_another_campaign_is_not_gone_on_with(tmp_path: Path) -> None:
    ours = campaign(tmp_path)
    ours.begin()
    ours.end(True, main=True)
    other = campaign(tmp_path)
    other.seed = 2
    with pytest.raises(JournalError, match="seed 1; go on with the same"):
        other.go_on()
