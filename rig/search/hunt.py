"""A hunt: one strategy against one build of a DUT, until it fails what it must fail, or time is up.

A failure counts only if the healthy DUT passes the same requirement in the same scenario.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from rig.judge.verdicts import Outcome
from rig.scenario import Intent, Scenario, start_of
from rig.search.findings import Findings
from rig.search.swarm import MakeModel, Worker, batches


@dataclass(frozen=True, slots=True)
class Hunt:
    """What came of it.

    Attributes:
        build: the DUT's name.
        strategy: how it was looked for.
        caught_by: the requirement that failed; "" if none did.
        scenarios: how many were run until then.
        seconds: of one core's time until then.
        scenario: the one that failed.
        others: further requirements that failed on the way, and hold on the healthy DUT.
        false_alarms: scenarios in which the healthy DUT failed too, with requirement and text.
        errors: scenarios in which the rig failed.
    """

    build: str
    strategy: str
    caught_by: str
    scenarios: int
    seconds: float
    scenario: Scenario | None
    others: tuple[str, ...]
    false_alarms: tuple[tuple[Scenario, str], ...]
    errors: tuple[tuple[Scenario, str], ...]


DAY_US = 86_400_000_000
IDLE_HOUR = Scenario(timeline=(Intent("drive", 3_600_000_000, "bluetooth"),))
MOST_EVENTS = 10_000
"""An hour in which nothing happens leaves far fewer, if its idle cycles can be left out."""


class Hunter(Worker):
    """Asks a build for no days if it must live through each of their cycles, as one with an odd cycle must."""

    _leaps: bool | None = None

    def judge(self, number: int, scenario: Scenario, findings: Findings, briefs: bool = False) -> None:
        if max((start_of(e) for e in scenario.timeline), default=0) > DAY_US:
            if self._leaps is None:
                self._leaps = len(self.model.run(IDLE_HOUR).events) < MOST_EVENTS
            if not self._leaps:
                return
        Worker.judge(self, number, scenario, findings, briefs)


def hunt(
    build: str,
    make_model: MakeModel,
    make_reference: MakeModel,
    strategy: str,
    seed: int,
    seconds: float,
    expected: Collection[str] = (),
    scenarios: int | None = None,
) -> Hunt:
    """Looks for a scenario in which the build fails one of `expected`, or anything if nothing is named.

    Args:
        build: its name, for the result.
        make_model: makes it.
        make_reference: makes the healthy DUT.
        strategy: one of `rig.search.strategies.STRATEGIES`.
        seed: everything comes from it.
        seconds: of processor time, at most.
        expected: requirements of which one must fail.
        scenarios: how many at most.
    """
    worker = Hunter(make_model(), make_reference())
    began = time.process_time()
    runs, others = 0, dict[str, None]()
    alarms: list[tuple[Scenario, str]] = []
    errors: list[tuple[Scenario, str]] = []

    def over(caught_by: str, scenario: Scenario | None) -> Hunt:
        spent = time.process_time() - began
        return Hunt(
            build, strategy, caught_by, runs, spent, scenario, tuple(others), tuple(alarms), tuple(errors)
        )

    for batch in batches(strategy, seed, scenarios, small=True):
        findings: Findings = worker.run(batch)
        errors += findings.errors
        for one in findings.found:
            healthy = worker.reference.judge(one.scenario).judgement.verdicts
            for requirement, text in one.failures:
                if healthy[requirement].outcome is Outcome.FAIL:
                    alarms.append((one.scenario, f"{requirement}: {text}"))
                elif not expected or requirement in expected:
                    runs = one.number + 1
                    return over(requirement, one.scenario)
                else:
                    others[requirement] = None
        runs += findings.runs
        if time.process_time() - began >= seconds:
            break
    return over("", None)
