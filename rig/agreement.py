"""Whether two fidelities agree on a scenario: what the driver was told, what the locks did, what the judge says.

Equal outcomes agree. **The rule for where they cannot:** they agree too if the reference itself comes to the other's
outcome when something moves by no more than fidelities may differ in, one of these at a time:

- one edge of one fault, by at most `TIE_US`, also of one that began at a protocol step: one way between phone and
  server takes 25 ms and a connection event 30, and fidelities notice a fault at different ends of them;
- its Bluetooth connections, made up to `JITTER_US` later (all by the same time, or each by another), and their packets,
  up to one connection event sooner: a real phone must hear two advertisements, and encrypts;
- the luck of signals that are bad by chance, drawn anew.

Then the scenario hangs on less than that, and neither fidelity is wrong. Nothing else is excused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rig.model import Model, Result
from rig.scenario import Entry, Fault, Scenario
from rig.trace import Trace, number, word
from rig.world.bluetooth import Air, Connection
from rig.world.btlink import CONNECTION_EVENT_US
from rig.world.radio import Radio
from rig.world.world import World

TIE_US = 30_000
"""How far a tie reaches: a fault's edge that meets a protocol step within this time may come before or after it."""
NUDGES_US = (-TIE_US, -TIE_US // 3, -1_000, 1_000, TIE_US // 3, TIE_US)
JITTER_US = 260_000
"""One advertising interval and five connection events, of which encryption takes most."""
STEP_US = 10_000
BY_CHANCE_STEP_US = 130_000
UNEVEN = 150
"""How often each connection is made later by another time; wishes that undo each other depend on all of them."""
DRAWS = 40
"""How often bad signals are drawn anew; only for scenarios that have some."""
BY_CHANCE = ("bluetooth.weak_signal", "bluetooth.interference")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        told: what the driver was told, by the number of the wish.
        doors: the states each latch came to, in order.
        verdicts: of each requirement, if the run was judged.
    """

    told: tuple[tuple[int, str], ...]
    doors: tuple[tuple[str, str], ...]
    verdicts: tuple[tuple[str, str], ...] = ()

    def differs(self, other: Outcome) -> str:
        """In what two outcomes differ, in words; empty if in nothing."""
        return "; ".join(
            f"{name}: {sorted(set(ours) - set(theirs))} against {sorted(set(theirs) - set(ours))}"
            for name, ours, theirs in (
                ("told", self.told, other.told),
                ("doors", self.doors, other.doors),
                ("verdicts", self.verdicts, other.verdicts),
            )
            if ours != theirs
        )


See = Callable[[Model, Scenario], Outcome]
"""Runs a scenario and says what it came to."""


def outcome_of(result: Result) -> Outcome:
    """What a judged run came to."""
    verdicts = result.judgement.verdicts
    return replace(seen_in(result.trace), verdicts=tuple(sorted((r, str(v.outcome)) for r, v in verdicts.items())))


def seen_in(trace: Trace) -> Outcome:
    """What a run came to, before it is judged."""
    doors: dict[str, str] = {}
    for event in trace.of("latch"):
        state = word(event, 3)
        if state in "LU":
            doors[word(event, 2)] = doors.get(word(event, 2), "") + state
    told = {number(event, 2): word(event, 3) for event in trace.of("told")}
    return Outcome(tuple(sorted(told.items())), tuple(sorted(doors.items())))


def judged(model: Model, scenario: Scenario) -> Outcome:
    """Runs and judges."""
    return outcome_of(model.judge(scenario))


@dataclass(slots=True)
class Referee:
    """Compares what others come to with a reference, by the rule above.

    Attributes:
        reference: with models on the outer links.
        see: how it is run to be compared.
        nudges_us: by how much an edge of a fault may be moved; more where time is real and the machine may be late.
        compared, excused: how many scenarios, and how many of those the rule excused.
    """

    reference: Model
    see: See = judged
    nudges_us: Sequence[int] = NUDGES_US
    compared: int = field(default=0, init=False)
    excused: int = field(default=0, init=False)

    def against(self, other: Model, scenario: Scenario) -> str:
        """In what another way of running a scenario differs, in words; empty if in nothing, or in what is excused."""
        return self.disagreement(scenario, self.see(other, scenario))

    def disagreement(self, scenario: Scenario, theirs: Outcome) -> str:
        """In what an outcome differs, in words; empty if in nothing, or in what is excused."""
        self.compared += 1
        difference = self.see(self.reference, scenario).differs(theirs)
        if not difference:
            return ""
        for model, variant in self._variants(scenario):
            if self.see(model, variant) == theirs:
                self.excused += 1
                return ""
        return difference

    def _variants(self, scenario: Scenario) -> Iterator[tuple[Model, Scenario]]:
        begun = _begun(self.reference.run(scenario)) if any(fault.step for fault in scenario.faults) else {}
        for nudged in _nudged(scenario, begun, self.nudges_us):
            yield self.reference, nudged
        by_chance = any(fault.mode in BY_CHANCE for fault in scenario.faults)
        for draw in range(DRAWS if by_chance else 1):
            for late_us in range(0, JITTER_US + 1, BY_CHANCE_STEP_US if by_chance else STEP_US):
                if draw or late_us:
                    yield late(self.reference, late_us, draw=draw), scenario
        for uneven in range(1, UNEVEN + 1):
            yield late(self.reference, 0, uneven=uneven), scenario


def late(model: Model, late_us: int, *, draw: int = 0, uneven: int = 0) -> Model:
    """The same with Bluetooth that is slower to connect, or has other luck.

    Args:
        model: with a model on that link.
        late_us: by how much each connection is made later.
        draw: which luck of signals that are bad by chance; 0: the same.
        uneven: each connection by another time, drawn by this number; 0: all alike.
    """
    air = lambda world: _LateAir(world, late_us, draw, uneven)  # noqa: E731  (it closes over all three)
    return replace(model, models=replace(model.models, air=air))


class _LateAir(Air):
    """The model's links, a little slower to connect, and with other luck."""

    def __init__(self, world: World, late_us: int, draw: int, uneven: int) -> None:
        super().__init__(world)
        self._late_us = late_us
        self._uneven = world.rng(f"uneven {uneven}") if uneven else None
        if draw:
            self.radio = Radio(world.rng(f"air {draw}"))

    async def _establish(self, always: bool, fails: bool) -> Connection:
        if self.radio.bad:
            # The second advertisement that a stack must hear may be missed as often as the first.
            await self._scan(always)
        uneven = self._uneven
        late_us = self._late_us if uneven is None else uneven.randint(0, JITTER_US)
        await self.world.kernel.sleep(late_us / 1e6)
        link = await super()._establish(always, fails)
        if uneven is not None and not self.radio.bad:
            # The model has a packet take a whole connection event; a stack, until the next one.
            link.late_us = lambda: uneven.randint(-CONNECTION_EVENT_US, 0)  # type: ignore[method-assign]  # of this link
        return link


def _begun(trace: Trace) -> dict[int, int]:
    """When each fault began, in µs of the timeline, by its number."""
    on = (event for event in trace.of("fault") if number(event, 4))
    return {number(event, 2): event[0] - trace.origin_us for event in on}


def _nudged(scenario: Scenario, begun: Mapping[int, int], nudges_us: Sequence[int]) -> Iterator[Scenario]:
    """The scenario with one edge of one fault moved a little; a fault at a step then begins at that time instead."""
    fault_number = -1
    for place, entry in enumerate(scenario.timeline):
        if not isinstance(entry, Fault):
            continue
        fault_number += 1
        at_us = begun.get(fault_number) if entry.step else entry.start_us
        timed = entry if at_us is None else replace(entry, start_us=at_us, step="", nth=1)
        for by_us in nudges_us:
            for edge, fault in (("start_us", timed), ("end_us", entry)):
                moved = None if edge == "start_us" and at_us is None else _moved(fault, edge, by_us)
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
