"""`rig search`: looks for scenarios that an ECU fails, on all cores, and shrinks what it finds."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table

from fixtures.campaign import Campaign, versions
from fixtures.casefile import write_case
from hardware.bench import load_bench
from hardware.vehicle import emulated_model
from reports.build import BuildError
from reports.journal import JournalError
from rig.cli import defects
from rig.cli.cutsets import jobs
from rig.cli.words import (
    FAIL,
    PASS,
    UNDECIDED,
    USAGE,
    add_command,
    add_defect,
    add_overwrite,
    complain,
    console,
    count,
    seed,
)
from rig.corpus import Corpus, CorpusError, confirm
from rig.judge.judge import REQUIREMENTS
from rig.judge.verdicts import Outcome
from rig.search.findings import Findings, Found
from rig.search.space import class_product, pairs, size
from rig.search.strategies import STRATEGIES
from rig.search.swarm import Swarm, Worker
from rig.shrink import same_failure, shrink

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Looks for scenarios that the emulated ECU fails, at `model` in virtual time: combinations of failures, scripts of what
people want, timings anchored on what happens in the healthy run, attackers. What it finds is run twice, shrunk to the
smallest scenario that still fails, written with its trace and pictures, and kept in a corpus that is tried first next
time. Equal seed and count find the same, on however many cores."""
EPILOG = """\
examples:
  rig search --minutes 1                          the default strategy on all cores
  rig search --scenarios 20000 --seed 7 --jobs 1
  rig search --defect strict_next_counter         see it find something
  rig search --list                               the strategies, and how large the space is

exit codes: 0 nothing found, 1 failures found, 2 the rig itself failed or was stopped, 3 wrong usage"""
MOST_SHRUNK = 12
"""So many failures of different requirements are shrunk and written."""
EVERY_S = 10.0
DEFAULT_SCENARIOS = 20_000


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "search", "look for scenarios that an ECU fails", DESCRIPTION, EPILOG)
    long = command.add_mutually_exclusive_group()
    long.add_argument("--scenarios", type=count, metavar="N", help=f"so many (default: {DEFAULT_SCENARIOS:,})")
    long.add_argument("--minutes", type=_minutes, metavar="M", help="for so long")
    command.add_argument(
        "--strategy", choices=list(STRATEGIES), default="default", metavar="NAME", help="how (default: default)"
    )
    command.add_argument("--seed", type=seed, default=None, metavar="S", help="of every choice (default: a fresh one)")
    cores = os.cpu_count() or 1
    command.add_argument("--jobs", type=jobs, default=cores, metavar="J", help=f"processes (default: {cores})")
    command.add_argument(
        "--out", type=Path, default=Path("out/search"), metavar="DIR", help="where failures go (default: out/search)"
    )
    command.add_argument(
        "--corpus", type=Path, default=Path("corpus"), metavar="DIR", help="kept between runs (default: corpus)"
    )
    command.add_argument("--first", action="store_true", help="stop at the first failure")
    command.add_argument("--list", action="store_true", help="list the strategies and the sizes of the space")
    add_overwrite(command)
    add_defect(command)
    command.set_defaults(run=run)


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes")
    return value


def run(options: argparse.Namespace) -> int:
    """Searches, shows progress, shrinks and writes what was found."""
    if options.list:
        _list()
        return PASS
    if defects.check(options.defect):
        return USAGE
    number = options.seed if options.seed is not None else secrets.randbelow(1 << 32)
    scenarios = options.scenarios
    if scenarios is None and options.minutes is None:
        scenarios = DEFAULT_SCENARIOS
    told = {
        "strategy": options.strategy, "seed": number, "scenarios": scenarios, "minutes": options.minutes,
        "jobs": options.jobs, "defect": options.defect, "first": options.first,
        "corpus": str(options.corpus.resolve()),
    }  # fmt: skip
    out: Path = options.out.resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
        campaign = _campaign(out, told)
        campaign.clear(resumed=False, overwrite=options.overwrite)
    except OSError as error:
        complain(f"--out {options.out}: cannot be written ({error.strerror}); name another folder")
        return USAGE
    except JournalError as error:
        complain(f"--out {error}")
        return USAGE
    return _search(campaign, told, 0.0)


def go_on(out: Path, told: Mapping[str, Any]) -> int:
    """Goes on with a search that broke off.

    Raises:
        JournalError: its journal cannot be gone on with.
    """
    campaign = _campaign(out, told)
    campaign.clear(resumed=True)
    campaign.go_on()
    before = (
        datetime.fromisoformat(last) - datetime.fromisoformat(first)
        for source in campaign.ledger.sources for first, last in source.segments
    )  # fmt: skip
    return _search(campaign, told, sum(t.total_seconds() for t in before))


def _campaign(out: Path, told: Mapping[str, Any]) -> Campaign:
    bench = load_bench("model")
    long = f"--minutes {told['minutes']:g}" if told["minutes"] is not None else f"--scenarios {told['scenarios']}"
    defect = f" --defect {told['defect']}" if told["defect"] else ""
    return Campaign(
        bench=bench.name, defect=told["defect"], seed=told["seed"], out=out, capabilities=frozenset(), keep=True,
        described=bench, what="search", command=dict(told),
        again=f"rig search --strategy {told['strategy']} --seed {told['seed']} {long}{defect}",
    )  # fmt: skip


def _search(campaign: Campaign, told: Mapping[str, Any], before_s: float) -> int:
    """Searches from where the journal stands, shows progress, shrinks and writes what was found."""
    screen = console()
    strategy, number, defect = told["strategy"], told["seed"], told["defect"]
    try:
        corpus = Corpus.load(Path(told["corpus"]), warn=complain)
    except CorpusError as error:
        complain(str(error))
        return USAGE
    screen.print(f"strategy {strategy}, seed {number}, {told['jobs']} processes", markup=False)
    try:
        begin = campaign.search_begins(strategy, number, told["scenarios"])
        known = Findings() if begin else _try_corpus(corpus, defect)
        campaign.test = "corpus"
        campaign.absorb(known)
        campaign.test = ""
        if known.runs:
            screen.print(
                f"corpus {told['corpus']}: {known.runs} scenarios tried, {len(known.found)} fail", markup=False
            )
        swarm = Swarm(
            partial(emulated_model, defect), emulated_model, strategy, number, told["jobs"],
            keep=campaign.search_batch(strategy, number), begin=begin,
        )  # fmt: skip
        if begin:
            seen, swarm.findings.found = campaign.searched(strategy, number)
            for names in seen:
                swarm.coverage.add(names)
        stopped = _run(swarm, told, before_s)
        wanted = told["scenarios"]
        exhausted = swarm.exhausted and (wanted is None or begin + swarm.findings.runs < wanted)
        if not stopped:
            campaign.write("searched", {"strategy": strategy, "seed": number, "exhausted": exhausted})
        swarm.findings.found[:0] = known.found
        _summary(swarm)
        shrunk = _keep(swarm.findings.found, campaign, corpus, number)
        campaign.end(stopped, main=True)
    except (JournalError, BuildError) as error:
        complain(str(error))
        return UNDECIDED
    runs = begin + swarm.findings.runs
    again = f"rig search --strategy {strategy} --seed {number} --scenarios {runs}" + (
        f" --defect {defect}" if defect else ""
    )
    screen.print(f"again: {again}", markup=False, soft_wrap=True)
    for scenario, text in swarm.findings.errors[:3]:
        complain(f"the rig failed: {text}\n{scenario.to_json()}")
    if swarm.findings.found:
        screen.print(f"verdict: fail, {len(swarm.findings.found):,} of {runs:,} runs", markup=False)
        return FAIL if shrunk else UNDECIDED
    if swarm.findings.errors or stopped:
        return UNDECIDED
    screen.print(f"verdict: pass, nothing fails in {runs:,} runs", markup=False)
    return PASS


def _run(swarm: Swarm, told: Mapping[str, Any], before_s: float) -> bool:
    """Searches; returns whether Ctrl-C stopped it."""
    minutes = told["minutes"]
    if told["first"] and swarm.findings.found:
        return False
    try:
        with _shown(told["scenarios"], minutes) as show:
            swarm.search(
                told["scenarios"],
                None if minutes is None else max(0.0, minutes * 60 - before_s),
                enough=lambda findings: told["first"] and bool(findings.found),
                progress=show,
            )
    except KeyboardInterrupt:
        complain("stopped by Ctrl-C; this was found until then; `rig resume` goes on")
        return True
    return False


def _list() -> None:
    screen = console()
    for strategy in STRATEGIES.values():
        screen.print(f"{strategy.name}: {strategy.text}", markup=False)
    screen.print(
        f"modes alone {size(1):,}, pairs of two domains {size(2):,} ({len(pairs()):,} with those alone), "
        f"threes of three domains {size(3):,}, server × network × bluetooth {len(class_product()):,}",
        markup=False,
    )


def _try_corpus(corpus: Corpus, defect: str | None) -> Findings:
    """What failed before is tried first."""
    findings = Findings()
    if corpus.kept:
        model = emulated_model(defect)
        worker = Worker(model, model)
        for place, kept in enumerate(corpus.kept):
            worker.judge(-1 - place, kept.scenario, findings, briefs=True)
    return findings


def _keep(found: list[Found], campaign: Campaign, corpus: Corpus, number: int) -> int:
    """Confirms, shrinks and writes the first failure of each requirement; returns how many."""
    screen = console()
    defect = campaign.defect
    model = emulated_model(defect)
    reference = None if defect is None else emulated_model()
    first: dict[str, Found] = {}
    for one in found:
        for requirement, _text in one.failures:
            first.setdefault(requirement, one)
    kept = 0
    for requirement, one in list(first.items())[:MOST_SHRUNK]:
        twice = confirm(model, one.scenario)
        if not twice.same_hash or twice.result.trace.hash() != one.trace_hash:
            text = twice.finding or "nondeterministic run: the trace differs from the one in the search"
            screen.print(f"{requirement}: {text}", markup=False, soft_wrap=True)
        question = same_failure(
            lambda s: model.judge(s).judgement,
            requirement,
            None if reference is None else lambda s: reference.judge(s).judgement,
        )
        if not question(one.scenario):
            screen.print(f"{requirement}: fails on the healthy ECU too: not shrunk", markup=False)
            question = same_failure(lambda s: model.judge(s).judgement, requirement)
        result = model.judge(shrink(one.scenario, question))
        case = write_case(campaign.out / "failures", requirement, requirement, result, "model", defect)
        campaign.keep_case(requirement, f"search, seed {number}, scenario {one.number}", result, case)
        try:
            corpus.keep(requirement, result.scenario, result.trace.hash(), versions(), case.replay)
        except CorpusError as error:
            complain(str(error))
        verdict = result.judgement.verdicts[requirement]
        size_ = len(result.scenario.timeline)
        screen.print(
            f"{requirement} failed: {verdict.text} ({size_} {'entry' if size_ == 1 else 'entries'}, "
            f"seed {number}, scenario {one.number})\n  {case.replay}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
        kept += 1
    return kept


# -- progress --------------------------------------------------------------------------------------------


def _figures(swarm: Swarm) -> str:
    f = swarm.findings
    rate = f.runs / swarm.seconds if swarm.seconds else 0.0
    return (
        f"{f.runs:,} scenarios, {rate:,.0f}/s, {f.simulated_us / 3.6e9:,.0f} simulated hours, "
        f"{len(f.found):,} fail, 2-way {swarm.coverage.share(2):.0%}, 3-way {swarm.coverage.share(3):.0%}"
    )


@contextmanager
def _shown(scenarios: int | None, minutes: float | None) -> Iterator[Callable[[Swarm], None]]:
    screen = console()
    goal = f" of {scenarios:,}" if scenarios is not None else f" in {minutes:g} min"
    if screen.is_terminal:
        with Live(console=screen, refresh_per_second=4, transient=True) as live:

            def draw(swarm: Swarm) -> None:
                table = Table("requirement", "worst slack", "in", title=_figures(swarm) + goal)
                for name in REQUIREMENTS:
                    slack = swarm.findings.slack.get(name)
                    if slack is not None:
                        table.add_row(name, f"{slack.margin_us / 1e6:.3f} s", slack.text)
                live.update(table)

            yield draw
        return
    last = time.monotonic()

    def say(swarm: Swarm) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            screen.print(_figures(swarm) + goal, markup=False, soft_wrap=True)
            sys.stdout.flush()

    yield say


def _summary(swarm: Swarm) -> None:
    screen = console()
    f = swarm.findings
    for name in REQUIREMENTS:
        counts = {o: f.outcomes[name, o] for o in Outcome}
        held = counts[Outcome.PASS] + counts[Outcome.CONDITIONAL_PASS]
        slack = f.slack.get(name)
        tight = f", worst slack {slack.margin_us / 1e6:.3f} s ({slack.text})" if slack is not None else ""
        screen.print(
            f"{name:<7} held {held:,}, failed {counts[Outcome.FAIL]:,}, not asked {counts[Outcome.VACUOUS]:,}{tight}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    screen.print(_figures(swarm) + f" in {swarm.seconds:.1f} s", markup=False, soft_wrap=True)
    screen.print(f"covered: {swarm.coverage.text()}", markup=False, soft_wrap=True)
