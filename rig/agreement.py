"""Whether two fidelities agree on a scenario: what the driver was told, what the locks did, what the judge says.

Knows no fidelity; compares what two ways of running the same scenario come to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rig.judge.verdicts import Outcome as Verdict
from rig.model import Model, Result
from rig.scenario import Entry, Fault, Scenario
from rig.trace import Trace, number, word

TIE_US = 30_000
"""How far a tie reaches: a fault's edge that meets a protocol step within this time may come before or after it. One
way between phone and server takes 25 ms, and fidelities notice a fault at different ends of it."""
NUDGES_US = (-TIE_US, -TIE_US // 3, -1_000, 1_000, TIE_US // 3, TIE_US)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        told: what the driver was told, by the number of the wish.
        doors: the states each latch came to, in order.
        failed: the requirements that failed, if the run was judged.
        passed: those that were asked something and held.
    """

    told: tuple[tuple[int, str], ...]
    doors: tuple[tuple[str, str], ...]
    failed: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

    def differs(self, other: Outcome) -> str:
        """In what two outcomes differ, in words; empty if in nothing."""
        names = ("told", "doors", "failed", "passed")
        return "; ".join(
            f"{name}: {getattr(self, name)} against {getattr(other, name)}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        )


def outcome_of(result: Result) -> Outcome:
    """What a judged run came to."""
    verdicts = result.judgement.verdicts.values()
    return replace(
        seen_in(result.trace),
        failed=tuple(sorted(v.requirement for v in verdicts if v.outcome is Verdict.FAIL)),
        passed=tuple(sorted(v.requirement for v in verdicts if v.outcome is Verdict.PASS)),
    )


def seen_in(trace: Trace) -> Outcome:
    """What a run came to, before it is judged."""
    doors: dict[str, str] = {}
    for event in trace.of("latch"):
        state = word(event, 3)
        if state in "LU":
            doors[word(event, 2)] = doors.get(word(event, 2), "") + state
    told = {number(event, 2): word(event, 3) for event in trace.of("told")}
    return Outcome(tuple(sorted(told.items())), tuple(sorted(doors.items())))


def disagreement(reference: Model, other: Model, scenario: Scenario) -> str:
    """In what two ways of running a scenario differ, in words; empty if they agree.

    The rule for ties: they agree too if the reference itself comes to the other's outcome as soon as one edge of one
    fault is moved by at most `TIE_US`. Nothing else is forgiven.
    """
    wanted = outcome_of(other.judge(scenario))
    return departs(lambda one: outcome_of(reference.judge(one)), scenario, wanted, NUDGES_US)


def departs(
    reference: Callable[[Scenario], Outcome], scenario: Scenario, wanted: Outcome, nudges_us: Sequence[int]
) -> str:
    """In what a known outcome differs from the reference's, in words; empty if in nothing, or by a tie.

    Args:
        reference: runs a scenario the other way.
        scenario: what was run.
        wanted: what it came to.
        nudges_us: by how much an edge may be moved.
    """
    found = reference(scenario).differs(wanted)
    if not found:
        return ""
    if any(reference(nudged) == wanted for nudged in _nudged(scenario, nudges_us)):
        return ""
    return found


def _nudged(scenario: Scenario, nudges_us: Sequence[int]) -> Iterator[Scenario]:
    """The scenario with one edge of one fault moved a little."""
    for place, entry in enumerate(scenario.timeline):
        if not isinstance(entry, Fault):
            continue
        for by_us in nudges_us:
            for edge in ("start_us", "end_us"):
                moved = _moved(entry, edge, by_us)
                if moved is not None:
                    timeline = (*scenario.timeline[:place], moved, *scenario.timeline[place + 1 :])
                    yield replace(scenario, timeline=timeline)


def _moved(fault: Fault, edge: str, by_us: int) -> Entry | None:
    at = getattr(fault, edge)
    if at is None:
        return None
    moved = at + by_us
    if moved < 0 or (edge == "start_us" and fault.end_us is not None and moved >= fault.end_us):
        return None
    if edge == "end_us" and moved <= fault.start_us:
        return None
    return replace(fault, start_us=moved) if edge == "start_us" else replace(fault, end_us=moved)
