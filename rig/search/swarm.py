"""The swarm: runs the scenarios of a strategy on all cores, in batches, until there are enough or time is up.

The parent makes the combinations and adds up; workers make, run and judge scenarios. What is found depends on seed
and count alone, never on how many workers there were.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import islice

from rig.brief import brief
from rig.model import Model, anchor_run
from rig.processes import worker_pool
from rig.scenario import Scenario
from rig.search.anchors import Anchors, anchors_of
from rig.search.findings import Findings
from rig.search.placing import AFTER_US
from rig.search.scripts import Script
from rig.search.space import Coverage
from rig.search.strategies import SCRIPTS_SHARE, STRATEGIES, Maker, Row

MakeModel = Callable[[], Model]
BATCH = 16 * SCRIPTS_SHARE
"""Scenarios a batch: whole scripts, and about a quarter of a second's work."""
FIRST_BATCH = SCRIPTS_SHARE
"""The first batches are small, so that something is seen at once."""
AHEAD = 2
"""Batches in hand for each worker."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Work for one process: consecutive scenarios of a strategy."""

    strategy: str
    seed: int
    first: int
    rows: tuple[Row, ...]
    briefs: bool = False
    """Whether each run is wanted in brief, for the record."""


@dataclass(slots=True)
class Worker:
    """Runs batches against one kind of DUT."""

    model: Model
    reference: Model
    """A healthy DUT in virtual time: its fault-free runs give the instants that matter."""
    _makers: dict[tuple[str, int], Maker] = field(default_factory=dict)

    def run(self, batch: Batch) -> Findings:
        """Makes, runs and judges the scenarios of a batch."""
        key = (batch.strategy, batch.seed)
        maker = self._makers.get(key)
        if maker is None:
            maker = self._makers[key] = Maker(STRATEGIES[batch.strategy], batch.seed, self.anchors)
        findings = Findings()
        for place, row in enumerate(batch.rows):
            number = batch.first + place
            self.judge(number, maker.make(number, row), findings, batch.briefs)
        return findings

    def judge(self, number: int, scenario: Scenario, findings: Findings, briefs: bool = False) -> None:
        """Runs and judges one scenario; with `briefs`, also writes it down in brief."""
        try:
            result = self.model.judge(scenario)
        except Exception as error:  # the rig's own failure is a finding too, and must not end the search
            findings.errors.append((scenario, f"{type(error).__name__}: {error}"))
            return
        trace_hash = ""
        if briefs:
            short = brief(scenario, result.trace, result.judgement)
            findings.briefs.append((number, short))
            trace_hash = short["trace"]
        elif result.judgement.failures:
            trace_hash = result.trace.hash()
        findings.record(number, scenario, result.judgement, result.trace.end_us, trace_hash)

    def anchors(self, plot: Script) -> Anchors:
        """The instants of the healthy run of a script."""
        scenario = Scenario(plot.seed, plot.carry, plot.doors, plot.phase_us, plot.intents)
        return anchors_of(anchor_run(self.reference, scenario), plot.last_us + AFTER_US)


@dataclass(slots=True)
class Swarm:
    """A search under way.

    Attributes:
        make_model: makes the DUT's model in each process; must be picklable.
        make_reference: makes the healthy DUT's.
        strategy: name of the strategy.
        seed: everything comes from it.
        jobs: processes; 1 works in this one.
        keep: gets the findings of each batch, with every run in brief, in order, before they are added up; None: runs
            are not written down.
        begin: number of the first scenario; those before it were run already.
    """

    make_model: MakeModel
    make_reference: MakeModel
    strategy: str
    seed: int
    jobs: int = 1
    keep: Callable[[Findings], None] | None = None
    begin: int = 0
    findings: Findings = field(default_factory=Findings)
    coverage: Coverage = field(default_factory=Coverage)
    seconds: float = 0.0
    exhausted: bool = False

    def search(
        self,
        scenarios: int | None = None,
        seconds: float | None = None,
        enough: Callable[[Findings], bool] = lambda _findings: False,
        progress: Callable[[Swarm], None] = lambda _swarm: None,
    ) -> Findings:
        """Runs until so many scenarios or seconds are done, the strategy has no more, or `enough` says so.

        Ctrl-C (KeyboardInterrupt) passes through after the workers have stopped; what was found stays in `findings`.
        """
        began = time.monotonic()
        work = batches(self.strategy, self.seed, scenarios, begin=self.begin, briefs=self.keep is not None)

        def over() -> bool:
            self.seconds = time.monotonic() - began
            progress(self)
            return (seconds is not None and self.seconds >= seconds) or enough(self.findings)

        if self.jobs == 1:
            worker = Worker(self.make_model(), self.make_reference())
            with _collector_frozen():
                for batch in work:
                    self._take(worker.run(batch))
                    gc.collect(0)
                    if over():
                        return self.findings
            self.exhausted = True
            return self.findings
        self._in_processes(work, over)
        return self.findings

    def _in_processes(self, work: Iterator[Batch], over: Callable[[], bool]) -> None:
        pool = worker_pool(self.jobs, _start, (self.make_model, self.make_reference))
        waiting: list[Future[Findings]] = []
        pending: set[Future[Findings]] = set()
        try:
            for batch in islice(work, self.jobs * AHEAD):
                waiting.append(pool.submit(_work, batch))
            pending = set(waiting)
            while waiting:
                wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                # In their order, so that what is found depends on no worker's haste.
                while waiting and waiting[0].done():
                    done = waiting.pop(0)
                    pending.discard(done)
                    self._take(done.result())
                    more = next(work, None)
                    if more is not None:
                        future = pool.submit(_work, more)
                        waiting.append(future)
                        pending.add(future)
                if over():
                    return
            self.exhausted = True
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _take(self, part: Findings) -> None:
        if self.keep is not None:
            self.keep(part)
            part.briefs = []
        modes, part.modes = part.modes, []
        for names in modes:
            self.coverage.add(names)
        self.findings.add(part)


def batches(
    strategy: str, seed: int, scenarios: int | None, small: bool = False, begin: int = 0, briefs: bool = False
) -> Iterator[Batch]:
    """The work of a strategy, batch by batch.

    Args:
        strategy, seed: which scenarios.
        scenarios: numbers below this; None: as many as there are.
        small: batches of one script each, for those who stop at the first failure.
        begin: the first number.
        briefs: each run is wanted in brief.
    """
    rows = islice(STRATEGIES[strategy].rows(f"{seed}/{strategy}"), begin, scenarios)
    first, width = begin, FIRST_BATCH
    while True:
        part = tuple(islice(rows, width))
        if not part:
            return
        yield Batch(strategy, seed, first, part, briefs)
        first += len(part)
        if not small:
            width = min(width * 2, BATCH)


class _collector_frozen:  # noqa: N801 (a context manager reads like a function)
    """What is there already is not looked through again and again by the garbage collector."""

    def __enter__(self) -> None:
        gc.collect()
        gc.freeze()

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()


_worker: list[Worker] = []
"""This process's own, if it is a worker of a pool; made once by `_start`."""


def _start(make_model: MakeModel, make_reference: MakeModel) -> None:
    _worker.append(Worker(make_model(), make_reference()))
    gc.collect()
    gc.freeze()


def _work(batch: Batch) -> Findings:
    findings = _worker[0].run(batch)
    gc.collect(0)
    return findings
