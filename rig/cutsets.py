"""Minimal cut sets: the smallest sets of failures that keep a legitimate driver out, found by trying all of them.

Asks a model of one DUT, and compares what it finds with what the paths are declared to need; draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

from rig.faults import CATALOGUE, NEEDS, PATHS
from rig.judge.facts import collect
from rig.model import Model
from rig.ports import Unsupported
from rig.scenario import Fault, Intent, Scenario, Via
from rig.world.world import Watch

ANY = "any"
"""The ladder: bluetooth, then cloud, then the card."""
WAYS = (*PATHS, ANY)
OUTER = frozenset(
    {"phone", "account", "server", "network phone", "network car", "tcu", "bluetooth", "module"}
)
"""What lies between a driver and the ECU's own lines: no failure in here alone may lock anybody out (AVL-1, AVL-4)."""
WISH_US = 3_000_000
"""When the driver wishes to get in; all failures have lasted since 0."""
LIMIT_US: Mapping[str, int] = {"card": 1_000_000, "bluetooth": 5_000_000, "cloud": 10_000_000, ANY: 30_000_000}
"""AVL-4 (from the tap), AVL-2 (without a session), AVL-3 and AVL-1 (from the wish)."""
NOTICED_AT_BOOT = frozenset({"random"})
"""An ECU tests its random source when it boots and when it uses it; a command may need none."""
BOOT_CUT_US = 500_000
"""For this long the supply is cut at the start then, so that the ECU boots under the failure, well before the wish."""
MOST_RUNS = 40_000
"""Of one way in. A DUT that nothing keeps out would ask for all 2^15 subsets, and that is still below it."""

Cut = frozenset[str]


@dataclass(frozen=True, slots=True)
class Question:
    """Does this way in open while these modes hold?"""

    way: str
    modes: tuple[str, ...] = ()

    def scenario(self) -> Scenario:
        """The modes from 0 for ever, and one wish at 3 s; nothing else happens, but for a boot where it takes one."""
        via: Via = "card" if self.way == "card" else "bluetooth" if self.way == "bluetooth" else "ladder"
        if self.way == "cloud":
            via = "cloud"
        faults = [Fault(mode, 0) for mode in self.modes]
        if any(CATALOGUE[mode].breaks & NOTICED_AT_BOOT for mode in self.modes):
            faults.append(Fault("power.reset", 0, BOOT_CUT_US))
        return Scenario(timeline=(*faults, Intent("unlock", WISH_US, via)))


Ask = Callable[[Sequence[Question]], Sequence[bool | None]]
"""Answers many questions at once: True: it opens; None: this bench cannot make one of the modes."""


def opens(model: Model, question: Question) -> bool | None:
    """Runs one question, and looks at the latches alone: all doors unlocked within the way's limit."""
    scenario = question.scenario()
    try:
        trace = model.run(scenario, Watch(opened_us=0, relock_us=0))
    except Unsupported:
        return None
    facts = collect(scenario, trace)
    wish = facts.wishes[0]
    began = next((at for _path, at in wish.acts), wish.at_us) if question.way == "card" else wish.at_us
    opened = facts.first_in("unlock", began)
    return opened is not None and opened - began <= LIMIT_US[question.way]


def ask_model(model: Model) -> Ask:
    """One after the other, in this process."""
    return lambda questions: [opens(model, q) for q in questions]


@dataclass(frozen=True, slots=True)
class Alone:
    """One mode on its own.

    Attributes:
        mode: its name.
        out: the ways in that it keeps shut.
        may: the ways in that it may keep shut, for they need what it breaks.
    """

    mode: str
    out: tuple[str, ...]
    may: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """Ways in that it keeps shut although they do not need what it breaks."""
        return tuple(way for way in self.out if way not in self.may)


@dataclass(frozen=True, slots=True)
class WayCuts:
    """One way in: its minimal cut sets as found and as declared, in order of size.

    Attributes:
        runs: how many subsets were tried.
        largest: size of the largest subset tried.
        complete: every subset that contains no cut set was tried, so that there are no others.
    """

    way: str
    found: tuple[Cut, ...]
    declared: tuple[Cut, ...]
    runs: int
    largest: int
    complete: bool

    @property
    def undeclared(self) -> tuple[Cut, ...]:
        """Cut sets that should be none: the DUT needs more than is declared."""
        return tuple(cut for cut in self.found if cut not in self.declared)

    @property
    def outdated(self) -> tuple[Cut, ...]:
        """Declared cut sets that keep nobody out: the DUT needs less than is declared."""
        return tuple(cut for cut in self.declared if not any(found <= cut for found in self.found))


@dataclass(frozen=True, slots=True)
class CutSets:
    """Everything found out of one DUT.

    Attributes:
        modes: the mode that stands for each need: of those that break it alone, the one that keeps out most.
        unbroken: needs that no mode of the catalogue breaks for good; nothing is said of them.
        alone: each mode on its own.
        ways: card, bluetooth, cloud, and any of them.
        unsupported: modes that the bench cannot make.
        runs: all runs together.
    """

    modes: Mapping[str, str]
    unbroken: tuple[str, ...]
    alone: tuple[Alone, ...]
    ways: Mapping[str, WayCuts]
    unsupported: tuple[str, ...] = ()
    runs: int = 0
    findings: tuple[str, ...] = field(default=(), init=False)
    """What differs from the declaration, in words; empty: as declared."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", tuple(dict.fromkeys(_findings(self))))

    @property
    def as_declared(self) -> bool:
        """Whether the DUT needs just what is declared."""
        return not self.findings


def explore(ask: Ask, most_runs: int = MOST_RUNS, say: Callable[[str], None] = lambda _text: None) -> CutSets:
    """Finds the minimal cut sets of every way in.

    Args:
        ask: answers questions about one DUT, the same each time.
        most_runs: bound for each way in; beyond it the sets found so far are given, not complete.
        say: told what is under way.
    """
    names = tuple(CATALOGUE)
    # A degraded mode may be got through, or not: it is asked only of the ways in that it must not touch.
    questions = [
        Question(way, (name,))
        for name in names
        for way in WAYS
        if not (CATALOGUE[name].degrades and _may(name, way))
    ]
    say(f"{len(names)} modes alone, {len(questions)} questions")
    answers = dict(zip(questions, ask(questions), strict=True))
    runs = len(questions)
    unsupported = tuple(n for n in names if any(answers.get(Question(w, (n,)), True) is None for w in WAYS))
    alone = tuple(
        Alone(
            name,
            tuple(way for way in WAYS if answers.get(Question(way, (name,))) is False),
            tuple(way for way in WAYS if _may(name, way)),
        )
        for name in names
        if name not in unsupported
    )
    modes = _representatives(alone)
    ways: dict[str, WayCuts] = {}
    for way in WAYS:
        ways[way] = _cuts(way, modes, ask, most_runs)
        runs += ways[way].runs
        say(f"{way}: {len(ways[way].found)} minimal cut sets, {ways[way].runs} subsets tried")
    every = dict.fromkeys(need for path in PATHS for need in sorted(NEEDS[path]))
    return CutSets(modes, tuple(n for n in every if n not in modes), alone, ways, unsupported, runs)


def _may(mode: str, way: str) -> bool:
    """Whether a mode may keep a way in shut."""
    entry = CATALOGUE[mode]
    return all(entry.breaks_path(path) for path in PATHS) if way == ANY else entry.breaks_path(way)


def _representatives(alone: Sequence[Alone]) -> dict[str, str]:
    """The mode that stands for each need.

    Of the modes that break that need and no other, the one that keeps out most ways in, so that the worst is
    tried; of equals failures before states and conditions, then in the catalogue's order.
    """
    best: dict[str, tuple[tuple[int, bool], str]] = {}
    for single in alone:
        mode = CATALOGUE[single.mode]
        if len(mode.breaks) != 1 or mode.degrades:
            continue
        (need,) = mode.breaks
        rank = (-len(single.out), mode.state or mode.condition)
        if need not in best or rank < best[need][0]:
            best[need] = (rank, single.mode)
    order = dict.fromkeys(need for path in PATHS for need in sorted(NEEDS[path]))
    return {need: best[need][1] for need in order if need in best}


def _cuts(way: str, modes: Mapping[str, str], ask: Ask, most_runs: int) -> WayCuts:
    """All subsets by increasing size, but for those that contain a cut set already."""
    found: list[Cut] = []
    runs = largest = 0
    complete = True
    for size in range(len(modes) + 1):
        batch = [c for c in map(frozenset, combinations(modes, size)) if not any(cut <= c for cut in found)]
        if not batch:
            break
        if runs + len(batch) > most_runs:
            complete = False
            break
        answers = ask([Question(way, tuple(modes[need] for need in modes if need in cut)) for cut in batch])
        found += [cut for cut, opened in zip(batch, answers, strict=True) if opened is False]
        runs += len(batch)
        largest = size
    declared = declared_cuts(way, frozenset(modes))
    return WayCuts(way, _ordered(found), declared, runs, largest, complete)


def declared_cuts(way: str, breakable: frozenset[str]) -> tuple[Cut, ...]:
    """The minimal cut sets that follow from the declared needs, of the needs that some mode breaks."""
    single = {path: [frozenset({need}) for need in NEEDS[path] if need in breakable] for path in PATHS}
    return _ordered(single[way]) if way != ANY else combined(single)


def combined(paths: Mapping[str, Sequence[Cut]]) -> tuple[Cut, ...]:
    """The minimal cut sets of all paths together: each of them must be cut."""
    out: set[Cut] = {frozenset()}
    for cuts in paths.values():
        out = _minimal({one | other for one, other in product(out, cuts)})
    return _ordered(out)


def _minimal(cuts: set[Cut]) -> set[Cut]:
    kept: list[Cut] = []
    for cut in sorted(cuts, key=len):
        if not any(smaller <= cut for smaller in kept):
            kept.append(cut)
    return set(kept)


def _ordered(cuts: Sequence[Cut] | set[Cut]) -> tuple[Cut, ...]:
    return tuple(sorted(cuts, key=lambda cut: (len(cut), sorted(cut))))


# -- in words ------------------------------------------------------------------------------------------

NEED_WORDS: Mapping[str, str] = {
    "network phone": "the phone's network",
    "network car": "the car's network",
    "tcu": "the telematics unit",
    "module": "the Bluetooth module",
    "can": "CAN",
    "bluetooth": "Bluetooth",
    "standing": "standing still",
    "random": "randomness",
    "serial": "the serial line",
    "power": "the supply",
    "actuator": "the lock motor",
}


def words_of(need: str) -> str:
    """What a need is called in a sentence."""
    return NEED_WORDS.get(need, f"the {need}")


def _findings(cuts: CutSets) -> Iterator[str]:
    told: set[tuple[str, str]] = set()
    for way in cuts.ways.values():
        told |= {(way.way, cuts.modes[need]) for cut in way.undeclared for need in cut if len(cut) == 1}
        # Of the ladder's, those of several inner needs follow from what is said of the paths.
        said = [c for c in way.undeclared if way.way != ANY or len(c) < 2 or c <= OUTER]
        for cut in said:
            yield _regression(way.way, cut, cuts.modes)
        if len(said) < len(way.undeclared):
            more = len(way.undeclared) - len(said)
            yield f"regression: {more} more undeclared cut sets of the ladder follow from that"
        for cut in way.found:
            if way.way == ANY and cut in way.declared and cut <= OUTER:
                yield (
                    f"{way_words(ANY)} does not open when {_broken(cut, cuts.modes)}: declared so, but no "
                    "declaration may let what lies outside the car's own lines lock all cars at once"
                )
        for cut in way.outdated:
            yield (
                f"{way_words(way.way)} opens although {_broken(cut, cuts.modes)}, which by the declaration keeps the "
                "driver out: the declared needs are out of date"
            )
        if not way.complete:
            yield f"{way_words(way.way)}: not all subsets were tried, only those of up to {way.largest} needs"
    for single in cuts.alone:
        for way_name in single.wrong:
            if (way_name, single.mode) not in told:
                yield _wrong_alone(way_name, single.mode)
    together = combined({path: cuts.ways[path].found for path in PATHS})
    if together != cuts.ways[ANY].found and all(way.complete for way in cuts.ways.values()):
        yield (
            "the ladder is not its paths together: by their cut sets it is kept shut by "
            f"{_sets(together)}; tried, it is by {_sets(cuts.ways[ANY].found)}"
        )


def _regression(way: str, cut: Cut, modes: Mapping[str, str]) -> str:
    start = f"regression: {way_words(way)} does not open "
    if not cut:
        return start + "although nothing is broken"
    start += f"when {_broken(cut, modes)}, though "
    if way != ANY:
        needed = _list([words_of(need) for need in sorted(NEEDS[way] & cut)])
        return start + (f"{needed} alone should do" if needed else f"it does not need {_that(cut)}")
    free = [path for path in PATHS if not NEEDS[path] & cut]
    start += f"{_list([way_words(p) for p in free])} {'does' if len(free) == 1 else 'do'} not need {_that(cut)}"
    if cut <= OUTER:
        start += "; that lies outside the car's own lines: it is how all cars at once are locked"
    return start


def _wrong_alone(way: str, mode: str) -> str:
    breaks = CATALOGUE[mode].breaks
    what = _list([words_of(need) for need in sorted(breaks)])
    why = f"it does not need {what}" if breaks else "that must harm nobody"
    if way == ANY and breaks:
        why = f"not every way in needs {what}"
    return f"regression: {way_words(way)} does not open while {mode} alone holds, though {why}"


def way_words(way: str) -> str:
    """What a way in is called in a sentence."""
    return "the ladder" if way == ANY else "the card" if way == "card" else way


def _that(cut: Cut) -> str:
    return "it" if len(cut) == 1 else "any of them"


def _broken(cut: Cut, modes: Mapping[str, str]) -> str:
    parts = [f"{words_of(need)} ({modes[need]})" for need in sorted(cut)]
    return f"{_list(parts)} {'is' if len(parts) == 1 else 'are'} broken"


def _sets(cuts: Sequence[Cut]) -> str:
    return "; ".join("{" + ", ".join(sorted(cut)) + "}" for cut in cuts) or "nothing"


def _list(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
