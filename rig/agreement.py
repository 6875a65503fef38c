"""When two fidelities agree on a scenario: the same verdicts, the same movements, the same words to the driver.

In virtual time nothing is excused: model and stacks act in the same connection events and round trips.

**The rule for real time.** A run there may be late, and what is late by a hair waits for the next event. So a
difference is excused only if the *model itself* comes to the other's outcome by one of these:

* *lateness*: one edge of one failure moves by no more than the run may be late.
* *jitter*, where Bluetooth is real: each connection takes longer by at most `JITTER_US`, all by as much or each by
  another time; or bad signals are drawn anew.

One of them at a time, never two together. Then something in the scenario hangs on less than that, and neither
fidelity is wrong. Nothing else is excused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from rig.kernel import Kernel
from rig.model import LONGEST_S, Model, Result
from rig.scenario import Entry, Fault, Scenario
from rig.trace import Trace, number, word
from rig.world.bluetooth import Air, Connection
from rig.world.links import Links
from rig.world.radio import Radio
from rig.world.world import World

JITTER_US = 130_000
"""One advertising interval and one connection event."""
STEP_US = 10_000
BY_CHANCE_STEP_US = 65_000
UNEVEN = 40
"""How often each connection is made later by another time."""
DRAWS = 40
"""How often bad signals are drawn anew; only for scenarios that have some."""
BY_CHANCE = ("bluetooth.weak_signal", "bluetooth.interference")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is compared of a run.

    Attributes:
        told: of each wish, by its number, what the driver was told.
        moves: of each door, the states its latch came to, in their order.
        verdicts: of each requirement, if the run was judged.
    """

    told: tuple[tuple[int, str], ...]
    moves: tuple[tuple[str, str], ...]
    verdicts: tuple[tuple[str, str], ...] = ()

    def differs(self, other: Outcome) -> str:
        """In words, in what; empty if in nothing."""
        mine, theirs = dict(self.verdicts), dict(other.verdicts)
        differing = [r for r in sorted({*mine, *theirs}) if mine.get(r) != theirs.get(r)]
        words = [f"{r} {mine.get(r)} against {theirs.get(r)}" for r in differing]
        if self.moves != other.moves:
            words.append(f"moves {self.moves} against {other.moves}")
        if self.told != other.told:
            words.append(f"told {self.told} against {other.told}")
        return "; ".join(words)


See = Callable[[Model, Scenario], Outcome]
"""Runs a scenario, and says what is compared of the run."""


def outcome_of(result: Result) -> Outcome:
    """What a judged run came to."""
    verdicts = result.judgement.verdicts.items()
    return replace(seen_in(result.trace), verdicts=tuple((r, str(v.outcome)) for r, v in verdicts))


def seen_in(trace: Trace) -> Outcome:
    """What a run came to, before it is judged."""
    moves: dict[str, str] = {}
    for event in trace.of("latch"):
        state = word(event, 3)
        if state in "LU":
            moves[word(event, 2)] = moves.get(word(event, 2), "") + state
    told = sorted((number(event, 2), word(event, 3)) for event in trace.of("told"))
    return Outcome(tuple(told), tuple(sorted(moves.items())))


def judged(model: Model, scenario: Scenario) -> Outcome:
    """Plays and judges a scenario."""
    return outcome_of(model.judge(scenario))


@dataclass(slots=True)
class Referee:
    """Compares what another fidelity came to with what the model comes to, by the rule above.

    Attributes:
        model: the reference.
        bluetooth: Bluetooth is real at the other fidelity; matters in real time only.
        late_us: how late a run there may be; 0 in virtual time.
        excused: how many differences the rule excused.
    """

    model: Model
    bluetooth: bool = True
    late_us: int = 0
    excused: int = 0

    def disagreement(self, other: Model, scenario: Scenario) -> str:
        """In what another way of running a scenario differs, in words; empty if in nothing that is not excused."""
        return self.departs(scenario, judged(other, scenario))

    def departs(self, scenario: Scenario, theirs: Outcome, see: See = judged) -> str:
        """In what a known outcome differs from the model's, in words; empty if in nothing that is not excused.

        Args:
            scenario: what was run.
            theirs: what it came to.
            see: runs a scenario on a model; must compare the same things as were seen there.
        """
        found = see(self.model, scenario).differs(theirs)
        if not found:
            return ""
        for model, one in self._excuses(scenario):
            if not see(model, one).differs(theirs):
                self.excused += 1
                return ""
        return found

    def _excuses(self, scenario: Scenario) -> Iterator[tuple[Model, Scenario]]:
        """What the rule says may explain a difference, the likely first."""
        if not self.late_us:
            return
        for one in _moved_edges(scenario, self.late_us):
            yield self.model, one
        if self.bluetooth:
            for model in late_models(self.model, scenario):
                yield model, scenario


# -- lateness --------------------------------------------------------------------------------------


def _moved_edges(scenario: Scenario, most_us: int) -> Iterator[Scenario]:
    """The scenario with one edge of one failure moved a little."""
    nudges_us = (-most_us, -most_us // 3, -1_000, 1_000, most_us // 3, most_us)
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


# -- jitter ----------------------------------------------------------------------------------------


class _LateAir(Air):
    """The model's links, a little slower to connect, and with other luck."""

    def __init__(self, world: World, late_us: int, draw: int, uneven: int) -> None:
        super().__init__(world)
        self._late_us = late_us
        self._uneven = world.rng(f"uneven {uneven}") if uneven else None
        if draw:
            self.radio = Radio(world.rng(f"air {draw}"))

    async def _establish(self, link: Connection, always: bool, fails: bool) -> None:
        late_us = self._uneven.randint(0, JITTER_US) if self._uneven else self._late_us
        await self.world.kernel.sleep(late_us / 1e6)
        await super()._establish(link, always, fails)


@dataclass(slots=True)
class LateModel(Model):
    """The model, with Bluetooth that jitters.

    Attributes:
        late_us: how much longer each connection takes.
        draw: which new luck bad signals have; 0: the old.
        uneven: which series of jitter connections have; 0: all are late by `late_us`.
    """

    late_us: int = field(default=0, kw_only=True)
    draw: int = field(default=0, kw_only=True)
    uneven: int = field(default=0, kw_only=True)

    def play(self, kernel: Kernel, world: Callable[[Links], World]) -> None:
        """As at `model`, on such links."""
        links = Links(air=lambda world: _LateAir(world, self.late_us, self.draw, self.uneven))
        kernel.run(world(links).story(), until=LONGEST_S)


def late_model(known: Model, late_us: int = 0, draw: int = 0, uneven: int = 0) -> LateModel:
    """A model whose Bluetooth jitters, of the same DUT; it is judged by the same healthy latencies."""
    return LateModel(
        known.keys, known.codecs, known.edges, known.watch, _baselines=known._baselines,
        late_us=late_us, draw=draw, uneven=uneven,
    )  # fmt: skip


def late_models(known: Model, scenario: Scenario) -> Iterator[LateModel]:
    """The model with Bluetooth that jitters as the rule allows."""
    by_chance = any(fault.mode in BY_CHANCE for fault in scenario.faults)
    for draw in range(DRAWS if by_chance else 1):
        for late_us in range(0, JITTER_US + 1, BY_CHANCE_STEP_US if by_chance else STEP_US):
            if draw or late_us:
                yield late_model(known, late_us=late_us, draw=draw)
    for uneven in range(1, UNEVEN + 1):
        yield late_model(known, uneven=uneven)
