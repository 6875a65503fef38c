"""Mutants of the rig: a checker dropped, a failure that does not happen, a clock that is wrong.

A rig whose mutants nobody notices would not notice its own mistakes either. Each mutant is a patch that holds for a
while, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from rig.faults import CATALOGUE
from rig.judge import availability, matching, oracle, safety, security, status
from rig.judge.facts import Movement
from rig.judge.verdicts import Verdict
from rig.scenario import Attack, Carry, Fault, Intent, Scenario
from rig.world.attacker import KINDS
from rig.world.client import Session
from rig.world.world import World


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake in the rig.

    Attributes:
        name: for the list.
        text: what is wrong.
        applied: while it is entered, the rig is wrong.
        witnesses: scenarios in which the mistake matters most, to be tried with every defect that is known.
    """

    name: str
    text: str
    applied: Callable[[], AbstractContextManager[object]]
    witnesses: tuple[Scenario, ...] = ()


def _no_verdicts(_self: object) -> list[Verdict]:
    return []


def _dropped(checker: type) -> Mutant:
    name = checker.__name__.lower()
    return Mutant(
        f"no_{name}", f"the checker {checker.__module__.rpartition('.')[2]}.{checker.__name__} is left out",
        lambda: patch.object(checker, "verdicts", _no_verdicts),
    )  # fmt: skip


def _nothing(_world: World, _fault: Fault) -> Callable[[], None]:
    return lambda: None


def _skipped(mode: str) -> Mutant:
    @contextmanager
    def applied() -> Iterator[None]:
        broken = {**CATALOGUE, mode: replace(CATALOGUE[mode], begin=_nothing)}
        with ExitStack() as stack:
            for module in ("rig.world.world", "rig.faults"):
                stack.enter_context(patch(f"{module}.CATALOGUE", broken))
            yield

    return Mutant(f"skip_{mode}", f"the failure {mode} does not happen", applied)


def _patched(name: str, text: str, owner: Any, attribute: str, value: object) -> Mutant:
    return Mutant(name, text, lambda: patch.object(owner, attribute, value))


_healthy_clock = Session.clock_at


def _fast_clock(self: Session, now_us: int) -> float:
    return _healthy_clock(self, now_us) + 40.0


def _late_log(self: World, kind: str, *fields: int | str | bytes) -> None:
    self.trace.events.append((self.kernel.now + (2_000_000 if kind == "act" else 0), kind, *fields))


def _never(*_args: object, **_kwargs: object) -> bool:
    return False


def _always(*_args: object, **_kwargs: object) -> bool:
    return True


_injective_unmatched = matching.Matching.unmatched


def _forgetful_unmatched(self: matching.Matching) -> list[tuple[Movement, list[matching.Candidate]]]:
    self._executed = {}
    return _injective_unmatched(self)


@contextmanager
def _reusable() -> Iterator[None]:
    """Neither an earlier movement, nor the DUT's own word, nor being a copy makes a request spent."""
    with (
        patch.object(matching.Matching, "_unspent", _always),
        patch.object(matching.Matching, "_delivers", _always),
        patch.object(matching.Matching, "unmatched", _forgetful_unmatched),
    ):
        yield


def _no_attack(*_args: object) -> str:
    return "sent"


def _no_replays() -> AbstractContextManager[object]:
    idle = {name: replace(kind, move=_no_attack) for name, kind in KINDS.items() if name.startswith("replay_")}
    return patch.dict(KINDS, idle)


THERE_AND_BACK = (Intent("unlock", 500_000, "bluetooth"), Intent("lock", 3_000_000, "bluetooth"))
REPLAYED = (Scenario(carry=Carry("warm"), timeline=(*THERE_AND_BACK, Attack("replay_bluetooth", 6_000_000))),)


_ALL = (
    _dropped(availability.Availability),
    _dropped(security.Security),
    _dropped(safety.Safety),
    _dropped(status.Status),
    _skipped("can.bus_off"),
    _skipped("can.log_flood"),
    _skipped("power.reset"),
    _skipped("power.dip"),
    _skipped("network.car_offline"),
    _patched("fast_clock", "the phone believes the vehicle's clock to be 40 s ahead", Session, "clock_at", _fast_clock),
    _patched("late_log", "the trace notes the driver's acts 2 s late", World, "log", _late_log),
    _patched("nothing_viable", "the oracle takes no path for viable", oracle.Oracle, "viable", _never),
    _patched("all_viable", "the oracle takes every path for viable", oracle.Oracle, "viable", _always),
    _patched("patient_card", "the card may take a minute", availability, "CARD_US", 60_000_000),
    _patched("no_independence", "AVL-5 allows 20 s more", availability, "SLOWER_US", 20_000_000),
    Mutant("reusable", "one request may authorise any number of movements", _reusable, REPLAYED),
    Mutant("no_replay", "the attacker's replays are not sent", _no_replays, REPLAYED),
    _patched("expiry_ignored", "the judge takes no request for expired", matching, "CLOCK_EDGE_US", 1 << 50),
    _patched("relock_any_time", "the relock may come within a minute", safety, "TOLERANCE_US", 60_000_000),
)
MUTANTS: Mapping[str, Mutant] = {m.name: m for m in _ALL}
