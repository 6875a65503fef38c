"""What a search has found: verdicts counted, the tightest margins, coverage, cells, and failures.

Parts of it are made by several processes and added up; knows nothing of who ran what.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rig.brief import Brief
from rig.judge.judge import Judgement
from rig.judge.verdicts import Outcome
from rig.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Slack:
    """The tightest margin of a requirement that still held."""

    margin_us: int
    text: str
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Found:
    """A run that failed: which requirements, and what was seen."""

    number: int
    scenario: Scenario
    failures: tuple[tuple[str, str], ...]
    trace_hash: str


@dataclass(slots=True)
class Findings:
    """Sums over runs."""

    runs: int = 0
    simulated_us: int = 0
    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    slack: dict[str, Slack] = field(default_factory=dict)
    cells: set[tuple[str, str]] = field(default_factory=set)
    modes: list[tuple[str, ...]] = field(default_factory=list)
    """The modes of each run; taken out by who counts coverage."""
    found: list[Found] = field(default_factory=list)
    errors: list[tuple[Scenario, str]] = field(default_factory=list)
    """Runs in which the rig itself failed."""
    briefs: list[tuple[int, Brief]] = field(default_factory=list)
    """Number and brief of each run, if they are wanted; taken out by who keeps records."""

    def record(self, number: int, scenario: Scenario, judgement: Judgement, simulated_us: int, trace_hash: str) -> None:
        """Counts one judged run; `trace_hash` is needed for failures only."""
        self.runs += 1
        self.simulated_us += simulated_us
        self.modes.append(tuple(f.mode for f in scenario.faults))
        failures = []
        for name, verdict in judgement.verdicts.items():
            outcome = verdict.outcome
            self.outcomes[name, outcome] += 1
            if outcome is Outcome.FAIL:
                failures.append((name, verdict.text))
            elif outcome.good:
                margin = verdict.margin_us
                if margin is not None and (name not in self.slack or margin < self.slack[name].margin_us):
                    self.slack[name] = Slack(margin, verdict.text, scenario)
        self.cells.update((c.path, c.mode) for c in judgement.cells)
        if failures:
            self.found.append(Found(number, scenario, tuple(failures), trace_hash))

    def add(self, other: Findings) -> None:
        """Adds what another process found."""
        self.runs += other.runs
        self.simulated_us += other.simulated_us
        self.outcomes += other.outcomes
        for name, slack in other.slack.items():
            if name not in self.slack or slack.margin_us < self.slack[name].margin_us:
                self.slack[name] = slack
        self.cells |= other.cells
        self.modes += other.modes
        self.found += other.found
        self.errors += other.errors
        self.briefs += other.briefs

    def asked(self, requirement: str) -> int:
        """How many runs asked something of a requirement."""
        return sum(n for (name, outcome), n in self.outcomes.items() if name == requirement and outcome.good) + sum(
            n for (name, outcome), n in self.outcomes.items() if name == requirement and outcome is Outcome.FAIL
        )
