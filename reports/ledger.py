"""The ledger: takes the records of journals one by one, and makes the results of them.

The same while a campaign runs and afterwards from its files, in memory that does not grow with the number of runs but
for eight bytes a measured time and a scenario.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reports.combinations import Combinations
from reports.fromjson import from_json
from reports.journal import Record
from reports.records import FORMAT, Body, RecordsError
from reports.results import (
    Attachment,
    BenchResult,
    Break,
    DutResult,
    FailureResult,
    JournalFile,
    OperatorAction,
    RowResult,
    TestResult,
)
from reports.tally import Tally, Times
from rig.faults import CATALOGUE
from rig.judge.oracle import required_cells
from rig.judge.verdicts import WORST_FIRST, Outcome


@dataclass(slots=True)
class Source:
    """A journal, as far as it was read.

    Attributes:
        segments: when each stretch of it began and what it last said; a break lies between two.
    """

    file: str
    part_of: str = ""
    bench: str = ""
    worker: str = ""
    start: Body = field(default_factory=dict)
    records: int = 0
    head: str = ""
    segments: list[list[str]] = field(default_factory=list)
    ended: bool = False
    interrupted: bool = False


@dataclass(slots=True)
class SearchLedger:
    """One search as its records have it."""

    strategy: str
    seed: int
    bench: str
    wanted: int | None = None
    runs: int = 0
    next: int = 0
    exhausted: bool = False
    failed: int = 0
    errors: int = 0
    scenarios: set[int] = field(default_factory=set)
    combinations: Combinations = field(default_factory=Combinations)


@dataclass(slots=True)
class SamplingLedger:
    """One sampling as its records have it."""

    body: Body
    bench: str
    drawn: int = 0
    next: int = 0
    complete: bool = False
    failed: int = 0
    errors: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    times: Times = field(default_factory=Times)
    failures: list[list[str]] = field(default_factory=list)


Test = tuple[str, str]
"""A test's name, and its bench: in merged evidence a test may have run on several."""
RunSink = Callable[[Source, Record, str], None]
"""Gets each judged run that counts: its journal, its record, and its bench."""
MOST_FAILURES = 100
AFTERWARDS = frozenset({"attach", "amend"})
"""Kinds that may come when the tests are long over."""


class Ledger:
    """Sums of everything that was recorded.

    Attributes:
        judged: ids of the requirements that a judge judges; what a run does not mention of them is vacuous.
        on_run: called with each judged run.
    """

    def __init__(self, judged: tuple[str, ...], on_run: RunSink | None = None) -> None:
        self.judged = judged
        self.on_run = on_run
        self.sources: list[Source] = []
        self.benches: dict[str, BenchResult] = {}
        self.item: DutResult | None = None
        self.capabilities: frozenset[str] = frozenset()
        self.tallies: dict[str, Tally] = {name: Tally() for name in judged}
        self.times = Times()
        self.combinations = Combinations()
        self.cells: set[tuple[str, str]] = set()
        self.runs = 0
        self.simulated_us = 0
        self.planned: dict[Test, TestResult] = {}
        self.tests: dict[Test, TestResult] = {}
        self.begun: Counter[Test] = Counter()
        self.runs_of: Counter[Test] = Counter()
        self.complete = False
        self.rows: list[RowResult] = []
        self.played: dict[tuple[str, int], Body] = {}
        self.row_runs: set[str] = set()
        self.failures: list[FailureResult] = []
        self.errors: list[tuple[str, str, str]] = []
        self.notes: list[str] = []
        self.operator: list[OperatorAction] = []
        self.searches: dict[tuple[str, int, str], SearchLedger] = {}
        self.samplings: dict[tuple[str, int, str], SamplingLedger] = {}
        self.breaks: list[Break] = []
        self.attachments: dict[str, tuple[Attachment, Any]] = {}
        self.shards: list[Body] = []
        self.amendments: list[Body] = []

    # -- taking ------------------------------------------------------------------------------------

    def source(self, file: str, part_of: str = "", bench: str = "") -> Source:
        """A further journal; `bench` renames its bench, where two have the same name."""
        made = Source(file, part_of, bench)
        self.sources.append(made)
        return made

    def take(self, source: Source, record: Record) -> None:
        """Takes one record.

        Raises:
            RecordsError: it cannot be; names the journal and the record.
        """
        body = record.body
        try:
            if not source.segments:
                if record.kind != "start" or body.get("format") != FORMAT:
                    raise RecordsError(f'the first record is no start of format "{FORMAT}"')
                source.segments.append([record.at, record.at])
            taker = _TAKERS.get(record.kind)
            if taker is not None:
                taker(self, source, record, body)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f"{type(error).__name__}: {error}" if not isinstance(error, RecordsError) else str(error)
            raise RecordsError(f"{source.file}, record {record.n}: {what}") from None
        if record.kind not in AFTERWARDS:
            source.segments[-1][1] = record.at
        source.records, source.head = record.n + 1, record.sum

    def _start(self, source: Source, _record: Record, body: Body) -> None:
        bench = from_json(BenchResult, body["bench"]) if body.get("bench") else None
        source.start = body
        source.worker = body.get("worker", "")
        if bench is not None:
            source.bench = source.bench or bench.name
            if source.bench not in self.benches:
                self.benches[source.bench] = replace(bench, name=source.bench)
        if self.item is None and body.get("item"):
            self.item = from_json(DutResult, body["item"])
        self.capabilities |= frozenset(body.get("capabilities", ()))

    def _plan(self, source: Source, _record: Record, body: Body) -> None:
        self.complete = self.complete or bool(body["complete"])
        for name, cited, reason in body["tests"]:
            test = TestResult(name, "not run", "", 0.0, cited, reason, source.bench)
            self.planned.setdefault((name, source.bench), test)
        for name, cited, reason in body.get("deselected", ()):
            test = TestResult(name, "not run", "deselected", 0.0, cited, reason, source.bench)
            self.planned.setdefault((name, source.bench), test)

    def _begin(self, source: Source, _record: Record, body: Body) -> None:
        self.begun[body["test"], source.bench] += 1

    def _run(self, source: Source, record: Record, body: Body) -> None:
        bench = source.bench if body.get("fidelity", "model") != "model" else "model"
        if "sample" in body:
            self._draw(source, record, body, bench)
        else:
            self._count(source, body, bench)
        if self.on_run is not None:
            self.on_run(source, record, bench)

    def _count(self, source: Source, body: Body, bench: str) -> None:
        self.runs += 1
        self.simulated_us += body["us"]
        for verdict in body["verdicts"]:
            tally = self.tallies.get(verdict[0])
            if tally is None:
                tally = self.tallies[verdict[0]] = Tally()
            tally.add(verdict)
            self.times.add(verdict, bench)
        modes = [spell[0] for spell in body["faults"]]
        self.combinations.add(modes)
        self._cells(body)
        if "by" in body:
            self.runs_of[body["by"], source.bench] += 1
        if "row" in body:
            self.row_runs.add(body["row"][0])
        if "search" in body:
            strategy, seed, number = body["search"]
            search = self.searches[strategy, seed, source.file]
            if number < search.next:
                raise RecordsError(f"scenario {number} of {strategy}, seed {seed}, comes twice")
            search.next = number + 1
            search.runs += 1
            search.failed += any(v[1] == "fail" for v in body["verdicts"])
            search.scenarios.add(int(body["scenario"][:16], 16))
            search.combinations.add(modes)

    def _cells(self, body: Body) -> None:
        for path, names in body.get("cells", {}).items():
            self.cells.update((path, name) for name in names)

    def _draw(self, source: Source, record: Record, body: Body, bench: str) -> None:
        profile, seed, number = body["sample"]
        sampling = self.samplings[profile, seed, source.file]
        if number < sampling.next:
            raise RecordsError(f"draw {number} of profile {profile}, seed {seed}, comes twice")
        sampling.next = number + 1
        sampling.drawn += 1
        bad = [v for v in body["verdicts"] if v[1] == "fail"]
        sampling.failed += bool(bad)
        for verdict in body["verdicts"]:
            sampling.tallies.setdefault(verdict[0], Tally()).add(verdict)
            sampling.times.add(verdict, bench)
        for verdict in bad[: max(0, MOST_FAILURES - len(sampling.failures))]:
            sampling.failures.append([str(number), verdict[0], verdict[2]])

    def _played(self, _source: Source, _record: Record, body: Body) -> None:
        self.played[body["row"], body["run"]] = body

    def _row(self, source: Source, _record: Record, body: Body) -> None:
        self.rows.append(
            RowResult(
                body["row"], body["run"], body["outcome"], body["text"], body["seconds"], body["trace"], source.bench,
                body["counts"], _beside(source, body.get("log", "")),
                self.played.get((body["row"], body["run"]), {}).get("sha256", "") if body.get("log") else "",
            )
        )  # fmt: skip

    def _test(self, source: Source, _record: Record, body: Body) -> None:
        key = (body["test"], source.bench)
        if key in self.tests:
            raise RecordsError(f"test {body['test']} ended twice")
        self.tests[key] = TestResult(
            body["test"], body["outcome"], body["reason"], body["seconds"], [], None, source.bench, source.worker
        )

    def _search(self, source: Source, _record: Record, body: Body) -> None:
        key = (body["strategy"], body["seed"], source.file)
        search = self.searches.setdefault(key, SearchLedger(body["strategy"], body["seed"], source.bench))
        search.wanted = body["wanted"]

    def _batch(self, source: Source, _record: Record, body: Body) -> None:
        search = self.searches[body["strategy"], body["seed"], source.file]
        search.next = max(search.next, body["next"])
        self._cells(body)
        for text in body["errors"]:
            search.errors += 1
            self.errors.append((f"search {search.strategy}, seed {search.seed}", text, source.bench))

    def _searched(self, source: Source, _record: Record, body: Body) -> None:
        self.searches[body["strategy"], body["seed"], source.file].exhausted = body["exhausted"]

    def _sampling(self, source: Source, _record: Record, body: Body) -> None:
        key = (body["profile"], body["seed"], source.file)
        known = self.samplings.get(key)
        if known is not None and (known.body["planned"], known.body["sha256"]) != (body["planned"], body["sha256"]):
            raise RecordsError(f"sampling of {body['profile']}: its profile or its number was changed after it began")
        self.samplings.setdefault(key, SamplingLedger(body, source.bench))

    def _drawn(self, source: Source, _record: Record, body: Body) -> None:
        sampling = self.samplings[body["profile"], body["seed"], source.file]
        sampling.next = max(sampling.next, body["next"])
        for text in body["errors"]:
            sampling.errors += 1
            self.errors.append((f"sampling {body['profile']}, seed {body['seed']}", text, source.bench))

    def _sampled(self, source: Source, _record: Record, body: Body) -> None:
        self.samplings[body["profile"], body["seed"], source.file].complete = body["complete"]

    def _failure(self, source: Source, _record: Record, body: Body) -> None:
        one = from_json(FailureResult, body)
        self.failures.append(
            replace(
                one,
                scenario_file=_beside(source, one.scenario_file),
                picture_file=_beside(source, one.picture_file),
                sequence_file=_beside(source, one.sequence_file),
                bus_file=_beside(source, one.bus_file),
                trace_file=_beside(source, one.trace_file),
                files={_beside(source, name): digest for name, digest in one.files.items()},
                replay=one.replay.replace(one.scenario_file, _beside(source, one.scenario_file)),
                bench=one.bench if one.bench == "model" else source.bench,
            )
        )

    def _error(self, source: Source, _record: Record, body: Body) -> None:
        self.errors.append((body["by"], body["text"], source.bench))

    def _note(self, _source: Source, _record: Record, body: Body) -> None:
        if body["text"] not in self.notes:
            self.notes.append(body["text"])

    def _operator(self, source: Source, record: Record, body: Body) -> None:
        self.operator.append(OperatorAction(record.at, body["text"], source.bench))

    def _attach(self, source: Source, _record: Record, body: Body) -> None:
        one = Attachment(body["name"], _beside(source, body["file"]), body["sha256"])
        self.attachments[body["name"]] = (one, body["content"])

    def _shard(self, _source: Source, _record: Record, body: Body) -> None:
        # One that was gone on with after a break is listed again.
        self.shards = [s for s in self.shards if s["file"] != body["file"]] + [body]

    def _amend(self, _source: Source, _record: Record, body: Body) -> None:
        self.amendments.append(body)

    def _resume(self, source: Source, record: Record, body: Body) -> None:
        source.segments.append([record.at, record.at])
        source.ended = source.interrupted = False
        self.breaks.append(
            Break(source.file, record.n, body["broken_at"], record.at, body["torn"], body["text"])
        )  # fmt: skip

    def _end(self, source: Source, _record: Record, body: Body) -> None:
        source.ended, source.interrupted = True, body["interrupted"]

    # -- asking ------------------------------------------------------------------------------------

    def missing_cells(self) -> list[tuple[str, str]]:
        """Pairs of path and mode without evidence, in the catalogue's order."""
        order = {name: place for place, name in enumerate(CATALOGUE)}
        missing = required_cells(self.capabilities) - self.cells
        return sorted(missing, key=lambda c: (c[0], order[c[1]]))

    def unasked(self) -> list[str]:
        """Requirements that no run asked anything of."""
        return [r for r in self.judged if self.tallies[r].verdict is Outcome.NOT_RUN]

    def failed(self) -> list[str]:
        """Requirements that failed in some run, sampled ones apart."""
        return [r for r, tally in self.tallies.items() if tally.verdict is Outcome.FAIL]

    def all_tests(self) -> list[TestResult]:
        """Those that ended, in that order, then those that were planned and never did.

        A test that ran on several benches has the bench in its name, from the second on.
        """
        found = dict(self.tests)
        for key, test in self.planned.items():
            if key not in found:
                why = "broken off, and not gone on with" if self.begun[key] else "not begun when the campaign ended"
                found[key] = replace(test, outcome="not run", reason=test.reason or why)
        names: Counter[str] = Counter()
        tests = []
        for key, test in found.items():
            planned = self.planned.get(key, test)
            names[test.name] += 1
            tests.append(
                replace(
                    test,
                    name=test.name if names[test.name] == 1 else f"{test.name} @ {test.bench}",
                    runs=self.runs_of[key],
                    attempts=max(1, self.begun[key]),
                    requirements=planned.requirements,
                    no_requirement=planned.no_requirement,
                )
            )
        return tests

    def journals(self) -> list[JournalFile]:
        """The journals that were read."""
        return [JournalFile(s.file, s.records, s.head, s.bench, s.worker, s.part_of) for s in self.sources]

    def worst(self, requirement: str) -> Outcome:
        """What a requirement came to over the campaign."""
        return self.tallies[requirement].verdict


def _beside(source: Source, name: str) -> str:
    """A file that a journal names, from the folder of the main one."""
    folder = posixpath.dirname(source.file)
    return f"{folder}/{name}" if folder and name else name


def outcome_of(body: Mapping[str, Any]) -> str:
    """A run as a whole: its worst verdict."""
    outcomes = [Outcome(v[1]) for v in body["verdicts"]]
    return str(min(outcomes, key=WORST_FIRST.index)) if outcomes else str(Outcome.VACUOUS)


_TAKERS: Mapping[str, Callable[[Ledger, Source, Record, Body], None]] = {
    name: getattr(Ledger, f"_{name}")
    for name in (
        "start", "plan", "begin", "run", "played", "row", "test", "search", "batch", "searched", "sampling", "drawn",
        "sampled", "failure", "error", "note", "operator", "attach", "shard", "amend", "resume", "end",
    )
}  # fmt: skip
