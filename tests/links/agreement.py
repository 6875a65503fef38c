"""When two fidelities agree on a scenario: the same verdicts, the same movements, the same words to the driver.

**The rule for where they cannot.** The stack makes a connection up to `JITTER_US` later than the model: the phone
must hear two advertisements (one to find the module, one to connect), and encrypts. Its bad signals are bad at other
packets, since they are drawn packet by packet, and may hide the second advertisement too. So a difference is excused
only if the *model itself* comes to the stack's outcome when each of its connections takes a little longer, by no more
than `JITTER_US`, and each packet comes up to one connection event sooner, or when its bad signals are drawn anew: then
something in the scenario hangs on less than the jitter, and neither fidelity is wrong. Nothing else is excused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hardware.vehicle import emulated_model
from rig.kernel import Kernel
from rig.model import LONGEST_S, Model, Result
from rig.scenario import Scenario
from rig.trace import number, word
from rig.world.bluetooth import Air, Connection
from rig.world.btlink import CONNECTION_EVENT_US
from rig.world.links import Links
from rig.world.radio import Radio
from rig.world.world import World

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
    """What is compared of a run.

    Attributes:
        verdicts: of each requirement.
        moves: of each door, the latch's states in their order.
        told: of each wish, what the driver was told.
    """

    verdicts: tuple[tuple[str, str], ...]
    moves: tuple[tuple[str, tuple[str, ...]], ...]
    told: tuple[tuple[int, str], ...]

    def differs(self, other: Outcome) -> str:
        """In words, in what; empty if in nothing."""
        theirs = dict(other.verdicts)
        words = [f"{r} {v} / {theirs[r]}" for r, v in self.verdicts if theirs[r] != v]
        if self.moves != other.moves:
            words.append(f"moves {self.moves} / {other.moves}")
        if self.told != other.told:
            words.append(f"told {self.told} / {other.told}")
        return "; ".join(words)


def outcome_of(result: Result) -> Outcome:
    """What is compared of a judged run."""
    moves: dict[str, list[str]] = {}
    for event in result.trace.of("latch"):
        if word(event, 3) != "X":
            moves.setdefault(word(event, 2), []).append(word(event, 3))
    return Outcome(
        tuple((r, str(v.outcome)) for r, v in result.judgement.verdicts.items()),
        tuple((door, tuple(states)) for door, states in sorted(moves.items())),
        tuple(sorted((number(e, 2), word(e, 3)) for e in result.trace.of("told"))),
    )


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
            # The second advertisement that the stack must hear may be missed as often as the first.
            await self._scan(always)
        late_us = self._uneven.randint(0, JITTER_US) if self._uneven else self._late_us
        await self.world.kernel.sleep(late_us / 1e6)
        link = await super()._establish(always, fails)
        if self._uneven is not None and not self.radio.bad:
            # The model has a packet take a whole connection event; the stack, until the next one.
            link.late_us = lambda: self._uneven.randint(-CONNECTION_EVENT_US, 0)
        return link


@dataclass(slots=True)
class LateModel(Model):
    """The model, with such links."""

    late_us: int = 0
    draw: int = 0
    uneven: int = 0

    def play(self, kernel: Kernel, world: object) -> None:
        make = world
        assert callable(make)
        links = Links(air=lambda world: _LateAir(world, self.late_us, self.draw, self.uneven))
        kernel.run(make(links).story(), until=LONGEST_S)


@dataclass(slots=True)
class Referee:
    """Compares the model with another fidelity.

    Attributes:
        other: that runs the same scenarios.
        excused: how many differences the rule excused.
    """

    other: Model
    model: Model = field(default_factory=emulated_model)
    excused: int = 0

    def disagreement(self, scenario: Scenario) -> str:
        """In what the two disagree, in words; empty if in nothing, or in what the rule excuses."""
        theirs = outcome_of(self.other.judge(scenario))
        difference = outcome_of(self.model.judge(scenario)).differs(theirs)
        if not difference:
            return ""
        for variant in self.variants(scenario):
            if not outcome_of(variant.judge(scenario)).differs(theirs):
                self.excused += 1
                return ""
        return difference

    def variants(self, scenario: Scenario) -> Iterator[Model]:
        """The model with links that jitter as the rule allows."""
        yield from self._even(scenario)
        known = self.model
        for uneven in range(1, UNEVEN + 1):
            yield LateModel(
                known.keys, known.codecs, known.edges, uneven=uneven, _baselines=known._baselines
            )

    def _even(self, scenario: Scenario) -> Iterator[Model]:
        by_chance = any(fault.mode in BY_CHANCE for fault in scenario.faults)
        for draw in range(DRAWS if by_chance else 1):
            for late_us in range(0, JITTER_US + 1, BY_CHANCE_STEP_US if by_chance else STEP_US):
                if draw or late_us:
                    known = self.model
                    yield LateModel(
                        known.keys, known.codecs, known.edges,
                        late_us=late_us, draw=draw, _baselines=known._baselines,
                    )  # fmt: skip
