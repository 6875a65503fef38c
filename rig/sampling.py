"""Sampling: independent draws of scenarios from an operational profile, so that what fails can be given a probability.

Draw number i of a profile and seed is a pure function of the three; nothing is steered to where failures are, which is
what search is for.
"""

from __future__ import annotations

import hashlib
import math
import random
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from rig.brief import Brief, brief
from rig.faults import CATALOGUE, DOMAINS, modes
from rig.generate import RandomSource
from rig.model import Model
from rig.processes import worker_pool
from rig.scenario import Attack, Carry, Entry, Fault, Scenario, Session
from rig.search.anchors import NOTHING
from rig.search.placing import AFTER_US, BUSY_LIMITS_US, BUSY_US, PATIENT, attack
from rig.search.scripts import PHONE_VIAS, PLOTS, VIAS, S

T = TypeVar("T")
DEFAULT = "everyday"
BATCH = 32
AHEAD = 2
TABLES: Mapping[str, tuple[str, ...]] = {
    "scripts": tuple(PLOTS),
    "ways": VIAS,
    "driver": ("warm",),
    "domains": DOMAINS,
    "modes": tuple(CATALOGUE),
    "spells": ("shortest_ms", "longest_ms"),
    "attackers": ("probability",),
}
PROBABILITIES = ("driver", "domains", "modes", "attackers")


class ProfileError(ValueError):
    """A profile that cannot be used; names file, place and mend."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How often what happens.

    Attributes:
        name, about: for people.
        text: the TOML as it was read; its hash is part of every draw's seed.
        tables: numbers by table and key.
    """

    name: str
    about: str
    text: str
    tables: Mapping[str, Mapping[str, float]]

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load_profile(name: str) -> Profile:
    """A profile that comes with the rig, or a file.

    Raises:
        ProfileError: there is none of that name, or the file cannot be used.
    """
    if name.endswith(".toml"):
        try:
            return parse_profile(Path(name).read_text(encoding="utf-8"), name)
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"{name}: cannot be read ({error})") from None
    file = files("rig.profiles").joinpath(f"{name}.toml")
    if not name.isidentifier() or not file.is_file():
        raise ProfileError(f"{name}: no such profile; known is {DEFAULT}, or name a .toml file")
    return parse_profile(file.read_text(encoding="utf-8"), f"{name}.toml")


def parse_profile(text: str, where: str) -> Profile:
    """A profile from its text.

    Raises:
        ProfileError: something is missing, not known or out of range.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{where}: is no TOML ({error})") from None
    name, about = raw.pop("name", ""), raw.pop("text", "")
    if not isinstance(name, str) or not name or not isinstance(about, str):
        raise ProfileError(f'{where}: has no name; write name = "…"')
    for table in raw:
        if table not in TABLES:
            raise ProfileError(f"{where}: [{table}] is not known; known are {', '.join(TABLES)}")
    tables = {table: _table(where, table, raw.get(table, {})) for table in TABLES}
    for table in ("scripts", "ways"):
        if sum(tables[table].values()) <= 0:
            raise ProfileError(f"{where}: [{table}] has no weight above 0")
    if sum(tables["ways"].get(via, 0) for via in PHONE_VIAS) <= 0:
        raise ProfileError(f"{where}: [ways] gives neither {' nor '.join(PHONE_VIAS)} a weight; some scripts need one")
    spells = tables["spells"]
    if not 0 < spells.get("shortest_ms", 0) <= spells.get("longest_ms", 0):
        raise ProfileError(f"{where}: [spells] needs 0 < shortest_ms <= longest_ms")
    return Profile(name, about, text, tables)


def _table(where: str, table: str, raw: Any) -> dict[str, float]:
    if not isinstance(raw, dict):
        raise ProfileError(f"{where}: {table} is no table; write [{table}]")
    for key, value in raw.items():
        if key not in TABLES[table]:
            raise ProfileError(f"{where}: [{table}] {key} is not known; known are {', '.join(TABLES[table][:12])} …")
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (table in PROBABILITIES and value > 1):
            wanted = "a probability, 0 to 1" if table in PROBABILITIES else "a number from 0 on"
            raise ProfileError(f"{where}: [{table}] {key} = {value!r} is not {wanted}")
    return {key: float(value) for key, value in raw.items()}


class _Weighed(RandomSource):
    """Chooses ways in by the profile's weights, everything else evenly."""

    def __init__(self, seed: str, ways: Mapping[str, float]) -> None:
        super().__init__(seed)
        self._ways = ways

    def choice(self, options: Sequence[T]) -> T:
        if tuple(options) in (VIAS, PHONE_VIAS, VIAS[:3]):
            weights = [self._ways.get(str(via), 0.0) for via in options]
            if sum(weights) > 0:
                return self.weighed(options, weights)
        return super().choice(options)

    def weighed(self, options: Sequence[T], weights: Sequence[float]) -> T:
        """One by weight."""
        place: int = self.chance.choices(range(len(options)), weights)[0]
        return options[place]

    @property
    def chance(self) -> random.Random:
        """The generator itself."""
        return self._random


def draw(profile: Profile, seed: int, number: int) -> Scenario:
    """Draw number so-and-so: independent of all others."""
    tables = profile.tables
    source = _Weighed(f"{profile.sha256}/{seed}/{number}", tables["ways"])
    chance = source.chance
    plot = source.weighed(list(tables["scripts"]), list(tables["scripts"].values()))
    session: Session = "warm" if chance.random() < tables["driver"].get("warm", 0.0) else "cold"
    intents = PLOTS[plot](source, chance.randrange(500, 4000) * 1000, False)
    last_us = max((i.at_us for i in intents), default=0)
    entries: list[Entry] = [*intents, *_faults(profile, chance, last_us)]
    if chance.random() < tables["attackers"].get("probability", 0.0):
        move: Attack = attack(source, NOTHING, last_us)
        entries.append(move)
    own_seed, phase_us = chance.getrandbits(32), chance.randrange(1_000_000)
    return Scenario(own_seed, Carry(session=session), "locked", phase_us, tuple(entries))


def _faults(profile: Profile, chance: random.Random, last_us: int) -> Iterator[Fault]:
    named = profile.tables["modes"]
    for domain in DOMAINS:
        if chance.random() < profile.tables["domains"].get(domain, 0.0):
            rest = [name for name in modes(domain) if name not in named]
            if rest:
                yield _fault(profile, chance, chance.choice(rest), last_us)
    for name, probability in named.items():
        if chance.random() < probability:
            yield _fault(profile, chance, name, last_us)


def _fault(profile: Profile, chance: random.Random, name: str, last_us: int) -> Fault:
    mode = CATALOGUE[name]
    if mode.state:
        return Fault(name, 0, None)
    spells = profile.tables["spells"]
    length_ms = math.exp(chance.uniform(math.log(spells["shortest_ms"]), math.log(spells["longest_ms"])))
    limit_us = BUSY_LIMITS_US.get(mode.domain, 40 * 24 * 3600 * S if name.startswith(PATIENT) else BUSY_US)
    # It may have begun before anybody wanted anything: the origin is where the scenario can say so.
    start_us = max(0, chance.randrange(-round(length_ms), (last_us + AFTER_US) // 1000) * 1000)
    return Fault(name, start_us, start_us + min(max(1, round(length_ms)) * 1000, limit_us))


# -- running -------------------------------------------------------------------------------------------

Drawn = tuple[int, Brief | None, str]
"""Number, the run in brief, or what went wrong in the rig."""
MakeModel = Callable[[], Model]


def judged(model: Model, profile: Profile, seed: int, numbers: range) -> list[Drawn]:
    """Runs and judges some draws."""
    found: list[Drawn] = []
    for number in numbers:
        scenario = draw(profile, seed, number)
        try:
            result = model.judge(scenario)
        except Exception as error:  # the rig's own failure is a finding too, and must not end the sampling
            found.append((number, None, f"{type(error).__name__}: {error}: {scenario.to_json()}"))
            continue
        found.append((number, brief(scenario, result.trace, result.judgement), ""))
    return found


def sample(
    make_model: MakeModel,
    profile: Profile,
    seed: int,
    numbers: range,
    keep: Callable[[list[Drawn]], None],
    jobs: int = 1,
) -> None:
    """Makes draws on so many processes; `keep` gets them in order, some at a time.

    Ctrl-C (KeyboardInterrupt) passes through after the workers have stopped.
    """
    batches = (numbers[i : i + BATCH] for i in range(0, len(numbers), BATCH))
    if jobs == 1:
        model = make_model()
        for batch in batches:
            keep(judged(model, profile, seed, batch))
        return
    pool = worker_pool(jobs, _start, (make_model, profile, seed))
    waiting: list[Future[list[Drawn]]] = []
    try:
        for batch in batches:
            waiting.append(pool.submit(_work, batch))
            if len(waiting) >= jobs * AHEAD:
                keep(waiting.pop(0).result())
        for future in waiting:
            keep(future.result())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: list[tuple[Model, Profile, int]] = []
"""This process's own, if it is a worker of a pool; made once by `_start`."""


def _start(make_model: MakeModel, profile: Profile, seed: int) -> None:
    _worker.append((make_model(), profile, seed))


def _work(numbers: range) -> list[Drawn]:
    model, profile, seed = _worker[0]
    return judged(model, profile, seed, numbers)
