"""Qualification of the rig itself: does it find what is wrong, and leave alone what is right?

Hunts every planted defect with every strategy, runs correct variants and the healthy DUT, and mutates the rig.
Knows defects only as models that somebody makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field

from rig.judge.verdicts import Outcome
from rig.model import Model
from rig.processes import worker_pool
from rig.scenario import Scenario
from rig.search.hunt import Hunt, hunt
from rig.search.mutants import MUTANTS
from rig.search.swarm import MakeModel

DEFAULT = "default"
QUICK_S = 10.0
"""The default strategy is to find a defect within this much of one core's time …"""
LATE = 3
"""… but for so many defects."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A build that the rig is tried on.

    Attributes:
        name: of the build.
        requirements: of which one must fail; none: the build is correct and must pass everything.
        make_model: makes it; must be picklable.
    """

    name: str
    requirements: tuple[str, ...]
    make_model: MakeModel


@dataclass(frozen=True, slots=True)
class MutantResult:
    """Whether anything went red when the rig was wrong in one place."""

    name: str
    text: str
    red: str
    """What noticed: a defect that is no longer found, or a healthy DUT that fails; "" if nothing did."""


@dataclass(slots=True)
class Qualification:
    """The whole result.

    Attributes:
        hunts: by (build, strategy).
        variants: hunts of correct builds: nothing may be caught.
        mutants: of the rig.
        seconds: how long a hunt may take.
    """

    seconds: float
    hunts: dict[tuple[str, str], Hunt] = field(default_factory=dict)
    variants: dict[str, Hunt] = field(default_factory=dict)
    mutants: list[MutantResult] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """Defects that no strategy found."""
        names = dict.fromkeys(build for build, _ in self.hunts)
        return [n for n in names if not any(h.caught_by for (b, _), h in self.hunts.items() if b == n)]

    @property
    def late(self) -> list[str]:
        """Defects that the default strategy did not find within 10 s."""
        return [
            b
            for (b, s), h in self.hunts.items()
            if s == DEFAULT and not (h.caught_by and h.seconds <= QUICK_S)
        ]

    @property
    def false_alarms(self) -> list[tuple[str, Scenario, str]]:
        """Failures of correct builds."""
        out = [(h.build, s, t) for h in self.hunts.values() for s, t in h.false_alarms]
        out += [(f"{h.build} (healthy)", s, t) for h in self.variants.values() for s, t in h.false_alarms]
        out += [(h.build, h.scenario, h.caught_by) for h in self.variants.values() if h.scenario is not None]
        return out

    @property
    def errors(self) -> list[tuple[str, Scenario, str]]:
        """Runs in which the rig failed."""
        every = [*self.hunts.values(), *self.variants.values()]
        return [(h.build, s, t) for h in every for s, t in h.errors]

    @property
    def survivors(self) -> list[str]:
        """Mutants of the rig that nothing noticed."""
        return [m.name for m in self.mutants if not m.red]

    def reasons(self) -> list[str]:
        """Why the rig is not fit; empty if it is."""
        out = []
        if self.missed:
            out.append(f"not found by any strategy within {self.seconds:g} s: {', '.join(self.missed)}")
        if len(self.late) > LATE:
            out.append(
                f"not found by the default strategy within {QUICK_S:g} s (at most {LATE}): {', '.join(self.late)}"
            )
        if self.false_alarms:
            names = dict.fromkeys(name for name, _, _ in self.false_alarms)
            out.append(f"{len(self.false_alarms)} false alarms: {', '.join(names)}")
        if self.errors:
            out.append(f"the rig failed in {len(self.errors)} runs")
        if self.survivors:
            out.append(f"mutants of the rig that nothing noticed: {', '.join(self.survivors)}")
        return out


Progress = Callable[[str, int, int], None]
"""Told what was done, how much of it, and of how much."""


def qualify(
    defects: Sequence[Candidate],
    variants: Sequence[Candidate],
    healthy: Candidate,
    strategies: Sequence[str],
    *,
    seed: int,
    seconds: float,
    variant_scenarios: int,
    jobs: int,
    progress: Progress,
) -> Qualification:
    """Tries the rig.

    Args:
        defects: to be found.
        variants: correct builds; nothing must be found in them, in so many scenarios of the default strategy.
        healthy: the healthy DUT.
        strategies: names.
        seed: everything comes from it.
        seconds: of one core's time for each hunt.
        variant_scenarios: see `variants`.
        jobs: processes.
        progress: told of every hunt that is over.
    """
    out = Qualification(seconds)
    with worker_pool(jobs) as pool:
        futures: dict[Future[Hunt], bool] = {}
        reference = healthy.make_model
        for strategy in strategies:
            for one in defects:
                job = (one.name, one.make_model, reference, strategy, seed, seconds, one.requirements)
                futures[pool.submit(hunt, *job)] = True
        for one in variants:
            job = (one.name, one.make_model, reference, DEFAULT, seed, 3600.0, one.requirements)
            futures[pool.submit(hunt, *job, variant_scenarios)] = False
        try:
            for done, future in enumerate(as_completed(futures), 1):
                result = future.result()
                if futures[future]:
                    out.hunts[result.build, result.strategy] = result
                else:
                    out.variants[result.build] = result
                progress(_said(result, of_defect=futures[future]), done, len(futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        known = _evidence(out)
        makers = {one.name: one.make_model for one in defects}
        mutated = [
            pool.submit(try_mutant, name, known, {b: makers[b] for b in known}, healthy.make_model, seed)
            for name in MUTANTS
        ]
        for done, waiting in enumerate(mutated, 1):
            found = waiting.result()
            out.mutants.append(found)
            progress(f"mutant {found.name}: {found.red or 'nothing noticed'}", done, len(mutated))
    return out


def _said(h: Hunt, of_defect: bool) -> str:
    what = (
        f"{h.caught_by} after {h.scenarios} scenarios, {h.seconds:.1f} s" if h.caught_by else "nothing found"
    )
    return f"{'' if of_defect else 'variant '}{h.build}, {h.strategy}: {what}"


def _evidence(out: Qualification) -> dict[str, tuple[str, Scenario]]:
    """For each defect that was found, a scenario that shows it."""
    return {
        h.build: (h.caught_by, h.scenario)
        for h in out.hunts.values()
        if h.caught_by and h.scenario is not None
    }


HEALTHY_RUNS = 150


def try_mutant(
    name: str,
    known: Mapping[str, tuple[str, Scenario]],
    makers: Mapping[str, MakeModel],
    make_healthy: MakeModel,
    seed: int,
) -> MutantResult:
    """Runs what is known to fail, and healthy runs, with the rig wrong in one place."""
    mutant = MUTANTS[name]
    with mutant.applied():
        healthy = make_healthy()
        for scenario in _healthy_scenarios(known, seed):
            red = _failure(healthy, scenario)
            if red:
                return MutantResult(name, mutant.text, f"the healthy ECU fails: {red}")
        for build, (requirement, scenario) in known.items():
            model = makers[build]()
            try:
                outcome = model.judge(scenario).judgement.verdicts[requirement].outcome
            except Exception as error:  # a rig that breaks down has been noticed
                return MutantResult(name, mutant.text, f"{build}: {type(error).__name__}")
            if outcome is not Outcome.FAIL:
                return MutantResult(name, mutant.text, f"{build} is no longer found")
    for scenario in mutant.witnesses:
        for build in known:
            model = makers[build]()
            failed = _failed(model, scenario)
            with mutant.applied():
                lost = failed - _failed(model, scenario)
            if lost:
                return MutantResult(name, mutant.text, f"{build} no longer fails {min(lost)} where it matters most")
    return MutantResult(name, mutant.text, "")


def _failed(model: Model, scenario: Scenario) -> set[str]:
    """The requirements that fail; a rig that breaks down shows none."""
    try:
        return {v.requirement for v in model.judge(scenario).judgement.failures}
    except Exception:
        return set()


def _healthy_scenarios(known: Mapping[str, tuple[str, Scenario]], _seed: int) -> list[Scenario]:
    return [scenario for _requirement, scenario in known.values()][:HEALTHY_RUNS]


def _failure(model: Model, scenario: Scenario) -> str:
    try:
        failures = model.judge(scenario).judgement.failures
    except Exception as error:  # a rig that breaks down has been noticed
        return type(error).__name__
    return f"{failures[0].requirement}: {failures[0].text}" if failures else ""
