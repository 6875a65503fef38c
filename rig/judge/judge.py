"""judge(scenario, trace) -> a verdict per requirement, each with its evidence; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from rig.judge.availability import Availability, Baseline
from rig.judge.driving import Authority, Driving
from rig.judge.facts import collect
from rig.judge.oracle import Oracle
from rig.judge.safety import Safety
from rig.judge.security import Security
from rig.judge.status import Decode, Status, remembered
from rig.judge.truth import Truth
from rig.judge.vehicle import conditions, deaf
from rig.judge.verdicts import Cell, Outcome, Verdict, worst
from rig.scenario import Scenario
from rig.trace import Trace

REQUIREMENTS = (
    "AVL-1", "AVL-2", "AVL-3", "AVL-4", "AVL-5", "AVL-6", "AVL-7", "AVL-8", "AVL-9", "AVL-10", "AVL-11", "AVL-12",
    "AVL-13", "ACT-1", "SEC-1", "SEC-2", "SEC-3", "SEC-4", "SEC-5", "SEC-6", "SEC-7", "SEC-8", "SEC-9",
    "SEC-10", "SEC-11", "SEC-12", "SEC-13", "DRV-1", "DRV-2", "SAF-1", "SAF-2", "SAF-3", "STA-1",
)  # fmt: skip
"""The requirements this judge knows, in the order of the list of requirements."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the judge is told beside scenario and trace.

    Attributes:
        decode: decodes LockStatus by the bus description.
        uncertainty_us: the bench's uncertainty U of a time (0 in virtual time).
        opened_us: how long a door must stay open to count as opened.
        baseline: healthy latencies for AVL-5; None: AVL-5 is not judged.
        decode_vehicle: decodes VehicleState; None: the vehicle is taken to stand still, unharmed.
        decode_interior: decodes InteriorSwitch; None: as if nobody pressed it.
    """

    decode: Decode
    uncertainty_us: int = 0
    opened_us: int = 25_000_000
    baseline: Baseline | None = None
    decode_vehicle: Decode | None = None
    decode_interior: Decode | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdicts of one run, one per requirement, and the cells its passes are evidence for."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    cells: frozenset[Cell] = frozenset()

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The verdicts that are fails."""
        return tuple(v for v in self.verdicts.values() if v.outcome is Outcome.FAIL)

    @property
    def outcome(self) -> Outcome:
        """The run as a whole: its worst verdict."""
        return worst(list(self.verdicts.values())).outcome


def judge(scenario: Scenario, trace: Trace, rules: Rules) -> Judgement:
    """Gives a verdict on every requirement.

    A run in which the bench broke (a port or the DUT's process lost, a stall of more than the uncertainty, no
    regular end) is inconclusive throughout: it is never the DUT's failure.
    """
    facts = collect(scenario, trace)
    broken = _broken(facts.lost, facts.stalls, facts.ended)
    if broken:
        return Judgement({r: Verdict(r, Outcome.INCONCLUSIVE, broken) for r in REQUIREMENTS})
    u = rules.uncertainty_us
    facts.vehicle = conditions(facts.restbus, deaf(facts), rules.decode_vehicle, rules.decode_interior)
    oracle = Oracle(facts)
    security = Security(facts, oracle, u)
    availability = Availability(facts, oracle, u, rules.opened_us, rules.baseline)
    found = security.verdicts() + availability.verdicts()
    decode = remembered(rules.decode)
    authority = Authority(facts, oracle, decode)
    found += Truth(facts, security, authority, u).verdicts() + Safety(facts, oracle, security, u).verdicts()
    found += Driving(facts, oracle, authority, u).verdicts()
    found += Status(facts, oracle, decode, u).verdicts()
    by_requirement: dict[str, list[Verdict]] = {}
    for verdict in found:
        by_requirement.setdefault(verdict.requirement, []).append(verdict)
    verdicts = {
        r: worst(by_requirement[r])
        if r in by_requirement
        else Verdict(r, Outcome.VACUOUS, "not asked in this run")
        for r in REQUIREMENTS
    }
    return Judgement(verdicts, frozenset(availability.cells))


def _broken(lost: str, stalls: list[tuple[int, str, int]], ended: bool) -> str:
    if lost:
        return lost
    if stalls:
        at, side, ms = stalls[0]
        return f"the {side} was {ms} ms late at {at / 1e6:.3f} s"
    if not ended:
        return "the run did not come to its end"
    return ""
