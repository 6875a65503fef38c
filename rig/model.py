"""Runs scenarios at `model` fidelity: virtual time, the DUT in process, one fresh world a run.

Gets the DUT's edges from a factory, so that it knows nothing of which DUT that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rig.faults import check_faults
from rig.judge.facts import collect
from rig.judge.judge import Judgement, Rules, judge
from rig.kernel import Kernel, collector_paused
from rig.ports import Edges
from rig.protocol.dbc import Codecs
from rig.scenario import Carry, Doors, Intent, Scenario, Session, Via, Want
from rig.trace import Trace
from rig.world.attacker import check_attacks
from rig.world.links import MODELS, Links
from rig.world.world import Keys, Watch, World

FrameLog = Callable[[int, int, bytes, str], None]
EdgesFactory = Callable[[Kernel, Scenario, FrameLog], Edges]

LONGEST_S = 41 * 24 * 3600.0
"""Bound on simulated time; a timeline is at most 40 days."""
POLL_US = 250_000
PHASES = 8
"""AVL-5: healthy latencies are taken over 8 phases of the reader poll."""


@dataclass(frozen=True, slots=True)
class Result:
    """One judged run."""

    scenario: Scenario
    trace: Trace
    judgement: Judgement


@dataclass(slots=True)
class Model:
    """A way to run scenarios against one kind of DUT in virtual time.

    Attributes:
        keys: who is enrolled.
        codecs: the bus description.
        edges: makes a fresh DUT and its lines on a kernel.
        watch: how long outcomes are watched, unless a run says otherwise.
        runs: how many worlds were run.
        simulated_us: how much simulated time they took together.
        fidelity: what its traces are called.
    """

    keys: Keys
    codecs: Codecs
    edges: EdgesFactory
    watch: Watch = field(default_factory=lambda: Watch(closing=True))
    runs: int = 0
    simulated_us: int = 0
    fidelity: str = "model"
    _baselines: dict[tuple[str, str, bool], int] = field(default_factory=dict)

    def run(self, scenario: Scenario, watch: Watch | None = None) -> Trace:
        """Plays one scenario in a fresh world and returns its trace.

        Raises:
            ScenarioError: an unknown fault or attack.
            Unsupported: a fault that these edges cannot make.
        """
        check_faults(scenario)
        check_attacks(scenario)
        # A run is short and what it leaves is small: the collector's turn comes between runs, when nothing holds the
        # world any more. If it came while a frame of the run did, it would go through the world in vain, and again.
        with collector_paused():
            trace = self._run(scenario, watch or self.watch)
        self.runs += 1
        self.simulated_us += trace.end_us
        return trace

    def _run(self, scenario: Scenario, watch: Watch) -> Trace:
        kernel = Kernel()
        trace = Trace(fidelity=self.fidelity)
        events = trace.events

        def frame(at_us: int, can_id: int, data: bytes, sender: str) -> None:
            events.append((at_us, "can", can_id, data, sender))

        edges = self.edges(kernel, scenario, frame)
        self.play(
            kernel, lambda links: World(kernel, edges, scenario, self.keys, self.codecs, trace, watch, links)
        )
        return trace

    def play(self, kernel: Kernel, world: Callable[[Links], World]) -> None:
        """Builds the world with its outer links and plays its story; other hosts of the kernel do it otherwise."""
        kernel.run(world(MODELS).story(), until=LONGEST_S)

    def rules(self) -> Rules:
        """What the judge is told of runs made here."""
        codecs = self.codecs
        return Rules(
            decode=codecs["LockStatus"].decode,
            baseline=self.baseline,
            decode_vehicle=codecs["VehicleState"].decode,
            decode_interior=codecs["InteriorSwitch"].decode,
        )

    def judge(self, scenario: Scenario) -> Result:
        """Plays and judges one scenario."""
        trace = self.run(scenario)
        return Result(scenario, trace, judge(scenario, trace, self.rules()))

    def baseline(self, path: str, want: str, warm: bool) -> int:
        """The largest healthy latency in µs over 8 phases of the reader poll; measured once."""
        key = (path, want, warm)
        known = self._baselines.get(key)
        if known is None:
            known = self._baselines[key] = max(
                self._latency(healthy(path, want, warm, phase)) for phase in range(PHASES)
            )
        return known

    def _latency(self, scenario: Scenario) -> int:
        return latency_of(scenario, self.run(scenario, Watch(relock_us=0, opened_us=0)))


def healthy(path: str, want: str, warm: bool, phase: int) -> Scenario:
    """The fault-free scenario that AVL-5 compares with."""
    session: Session = "warm" if warm else "cold"
    doors: Doors = "locked" if want == "unlock" else "unlocked"
    # A tap locks only if the last unlock, or being ready, is over 10 s old.
    at_us = 12_000_000 if (path, want) == ("card", "lock") else 0
    via: Via = "bluetooth" if path == "bluetooth" else "cloud" if path == "cloud" else "card"
    wish: Want = "unlock" if want == "unlock" else "lock"
    return Scenario(
        seed=phase,
        carry=Carry(session=session),
        doors=doors,
        phase_us=phase * POLL_US // PHASES,
        timeline=(Intent(wish, at_us, via),),
    )


def anchor_run(model: Model, scenario: Scenario) -> Trace:
    """The fault-free run of a scenario's intents, with every protocol step noted in its trace."""
    return model.run(scenario, Watch(relock_us=0, opened_us=0, note_steps=True))


def latency_of(scenario: Scenario, trace: Trace) -> int:
    """From the first act of the first intent until the doors were as wanted; a far time if never."""
    facts = collect(scenario, trace)
    wish = facts.wishes[0]
    if not wish.acts:
        return 0
    acted = wish.acts[0][1]
    done = facts.first_in(wish.intent.want, acted)
    # A DUT that does not even work when healthy fails other requirements; here it must not excuse slowness.
    return done - acted if done is not None else 0
