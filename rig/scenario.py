"""A scenario: everything that happens to a vehicle in one run, as a small frozen value.

Knows how to become readable JSON and back (equal scenarios give equal bytes); knows nothing of
how it is run, which faults exist, or how it is judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast, get_args

FORMAT = "unlock-rig/scenario/1"

Want = Literal["unlock", "lock", "drive", "revoke", "disable", "demote", "enrol"]
"""What an intent asks for. The last four are the owner's operations on the guest's key: remove it, disable it, give
it a role without rights, put it (back) on the list."""
Who = Literal["driver", "guest"]
Via = Literal["ladder", "bluetooth", "cloud", "card"]
Session = Literal["warm", "cold"]
Doors = Literal["locked", "unlocked"]

LONGEST_US = 40 * 24 * 3_600_000_000
"""AVL-9 speaks of 30 days; a timeline longer than 40 is taken for a slip of units."""


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the text names file, place and mend."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure of one mode of the catalogue, from `start_us` until `end_us` (None: until all is healed at the end).

    With a `step` it is armed from `start_us` on and begins when that protocol step (`rig.faults.steps`) is reached
    for the `nth` time since then; if it is not reached until `end_us`, the fault never happens.
    """

    mode: str
    start_us: int
    end_us: int | None = None
    params: tuple[tuple[str, int], ...] = ()
    step: str = ""
    nth: int = 1

    def param(self, name: str, default: int) -> int:
        """The parameter called `name`, or `default`."""
        for key, value in self.params:
            if key == name:
                return value
        return default


@dataclass(frozen=True, slots=True)
class Intent:
    """One wish of a person, uttered at `at_us`.

    `via` says how: "ladder" is bluetooth, then cloud, then the card; the others use that path alone. `who` is the
    driver, who owns the car, or a guest with a phone and a card of their own.
    """

    want: Want
    at_us: int
    via: Via = "ladder"
    who: Who = "driver"


@dataclass(frozen=True, slots=True)
class Attack:
    """One move of the attacker at `at_us`; the kinds are listed in `rig.world.attacker`."""

    kind: str
    at_us: int
    params: tuple[tuple[str, int], ...] = ()

    def param(self, name: str, default: int) -> int:
        """The parameter called `name`, or `default`."""
        for key, value in self.params:
            if key == name:
                return value
        return default


Entry = Fault | Intent | Attack


@dataclass(frozen=True, slots=True)
class Carry:
    """What the driver has: a phone with a warm or cold session, and an enrolled card or none."""

    session: Session = "cold"
    card: bool = True


def start_of(entry: Entry) -> int:
    """When an entry begins, in µs from the scenario's origin."""
    return entry.start_us if isinstance(entry, Fault) else entry.at_us


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run: times are integer µs from the scenario's origin, when vehicle and world are up and healthy.

    Attributes:
        seed: every random choice of the run (nonces, keys' sessions, phases) comes from it.
        carry: what the driver has.
        doors: how the plant starts.
        phase_us: shifts the whole timeline against the idle cycles of bus and reader (0 .. 999,999).
        timeline: faults, intents and attacks, in order of their start.
    """

    seed: int = 0
    carry: Carry = field(default_factory=Carry)
    doors: Doors = "locked"
    phase_us: int = 0
    timeline: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.timeline, key=start_of))
        if ordered != self.timeline:
            object.__setattr__(self, "timeline", ordered)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults alone."""
        return tuple(e for e in self.timeline if isinstance(e, Fault))

    @property
    def intents(self) -> tuple[Intent, ...]:
        """The driver's intents alone; verdicts count them by their place in this tuple."""
        return tuple(e for e in self.timeline if isinstance(e, Intent))

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """The attacker's moves alone."""
        return tuple(e for e in self.timeline if isinstance(e, Attack))

    def with_timeline(self, *entries: Entry) -> Scenario:
        """The same scenario with another timeline."""
        return replace(self, timeline=entries)

    def to_json(self) -> str:
        """Readable JSON, a line an entry; equal scenarios give equal text."""
        head: dict[str, object] = {
            "format": FORMAT,
            "seed": self.seed,
            "session": self.carry.session,
            "card": self.carry.card,
            "doors": self.doors,
            "phase_ms": _ms(self.phase_us),
        }
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        entries = ",\n".join("    " + json.dumps(_entry_to_dict(e)) for e in self.timeline)
        body = f"[\n{entries}\n  ]" if entries else "[]"
        return "{\n" + "\n".join(lines) + f'\n  "timeline": {body}\n}}\n'

    @classmethod
    def from_json(cls, text: str, source: str = "scenario") -> Scenario:
        """Reads what `to_json` wrote.

        Raises:
            ScenarioError: naming `source`, the place and the mend.
        """
        try:
            raw = json.loads(text)
        except json.JSONDecodeError as error:
            raise ScenarioError(
                f"{source}:{error.lineno}:{error.colno}: not JSON ({error.msg}); "
                "mend the text there, or take a file that rig wrote"
            ) from None
        except RecursionError:
            raise ScenarioError(f"{source}: nested too deeply to be a scenario") from None
        return _Reader(source).scenario(raw)

    @classmethod
    def load(cls, path: Path) -> Scenario:
        """Reads a scenario file; raises ScenarioError naming it."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ScenarioError(f"{path}: there is no such file; check the path") from None
        except IsADirectoryError:
            raise ScenarioError(f"{path}: is a folder; name a scenario file in it") from None
        except PermissionError:
            raise ScenarioError(f"{path}: may not be read; check its permissions") from None
        except UnicodeDecodeError as error:
            raise ScenarioError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
        return cls.from_json(text, str(path))


def _ms(us: int) -> int | float:
    return us // 1000 if us % 1000 == 0 else us / 1000


def _entry_to_dict(entry: Entry) -> dict[str, object]:
    if isinstance(entry, Fault):
        out: dict[str, object] = {"fault": entry.mode, "from_ms": _ms(entry.start_us)}
        if entry.end_us is not None:
            out["to_ms"] = _ms(entry.end_us)
        if entry.step:
            out["step"] = entry.step
        if entry.nth != 1:
            out["nth"] = entry.nth
        out.update(entry.params)
        return out
    if isinstance(entry, Intent):
        out = {"intent": entry.want, "at_ms": _ms(entry.at_us), "via": entry.via}
        if entry.who != "driver":
            out["who"] = entry.who
        return out
    out = {"attack": entry.kind, "at_ms": _ms(entry.at_us)}
    out.update(entry.params)
    return out


class _Reader:
    """Checks raw JSON against the scenario's form; every error names the place."""

    def __init__(self, source: str) -> None:
        self.source = source

    def fail(self, place: str, what: str, mend: str) -> ScenarioError:
        return ScenarioError(f"{self.source}: {place}: {what}; {mend}")

    def scenario(self, raw: object) -> Scenario:
        if not isinstance(raw, dict):
            raise self.fail("top", "is not an object", "take a file that rig wrote as a pattern")
        if raw.get("format") != FORMAT:
            raise self.fail("format", f"is {raw.get('format')!r}", f'this version reads "{FORMAT}"')
        known = {"format", "seed", "session", "card", "doors", "phase_ms", "timeline"}
        for key in raw:
            if key not in known:
                raise self.fail(
                    str(key), "is not a key of a scenario", f"known are {', '.join(sorted(known))}"
                )
        seed = raw.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 1 << 64:
            raise self.fail("seed", f"is {seed!r}", "give a whole number from 0 to 2^64 - 1")
        card = raw.get("card", True)
        if not isinstance(card, bool):
            raise self.fail("card", f"is {card!r}", "give true or false")
        timeline = raw.get("timeline", [])
        if not isinstance(timeline, list):
            raise self.fail("timeline", "is not a list", "give a list of entries")
        phase = self.time(raw.get("phase_ms", 0), "phase_ms")
        if phase >= 1_000_000:
            raise self.fail("phase_ms", "is not below 1000", "it shifts the timeline by less than one second")
        return Scenario(
            seed=seed,
            carry=Carry(
                session=cast(Session, self.choice(raw.get("session", "cold"), get_args(Session), "session")),
                card=card,
            ),
            doors=cast(Doors, self.choice(raw.get("doors", "locked"), get_args(Doors), "doors")),
            phase_us=phase,
            timeline=tuple(self.entry(e, f"timeline[{i}]") for i, e in enumerate(timeline)),
        )

    def choice(self, value: object, allowed: tuple[str, ...], place: str) -> str:
        if value not in allowed or not isinstance(value, str):
            raise self.fail(place, f"is {value!r}", f"give one of {', '.join(allowed)}")
        return value

    def time(self, value: object, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(place, f"is {value!r}", "give milliseconds as a number")
        if not 0 <= value <= LONGEST_US / 1000:
            raise self.fail(place, f"is {value!r} ms", "give milliseconds from 0 to 40 days")
        return round(value * 1000)

    def entry(self, raw: object, place: str) -> Entry:
        if not isinstance(raw, dict):
            raise self.fail(place, "is not an object", 'give e.g. {"intent": "unlock", "at_ms": 0}')
        kinds = [k for k in ("fault", "intent", "attack") if k in raw]
        if len(kinds) != 1:
            raise self.fail(place, "does not say what it is", "give exactly one of fault, intent, attack")
        name = raw[kinds[0]]
        if not isinstance(name, str):
            raise self.fail(f"{place}.{kinds[0]}", f"is {name!r}", "give its name")
        if kinds[0] == "intent":
            self.only(raw, ("intent", "at_ms", "via", "who"), place)
            return Intent(
                want=cast(Want, self.choice(name, get_args(Want), f"{place}.intent")),
                at_us=self.time(raw.get("at_ms"), f"{place}.at_ms"),
                via=cast(Via, self.choice(raw.get("via", "ladder"), get_args(Via), f"{place}.via")),
                who=cast(Who, self.choice(raw.get("who", "driver"), get_args(Who), f"{place}.who")),
            )
        if kinds[0] == "attack":
            params = self.params(raw, ("attack", "at_ms"), place)
            return Attack(kind=name, at_us=self.time(raw.get("at_ms"), f"{place}.at_ms"), params=params)
        start = self.time(raw.get("from_ms"), f"{place}.from_ms")
        end = None if raw.get("to_ms") is None else self.time(raw["to_ms"], f"{place}.to_ms")
        if end is not None and end < start:
            raise self.fail(f"{place}.to_ms", "lies before from_ms", "a fault ends after it began")
        step, nth = raw.get("step", ""), raw.get("nth", 1)
        if not isinstance(step, str):
            raise self.fail(f"{place}.step", f"is {step!r}", "give a step's name; `rig faults --steps` lists them")
        if not isinstance(nth, int) or isinstance(nth, bool) or not 1 <= nth <= 1000:
            raise self.fail(f"{place}.nth", f"is {nth!r}", "give a whole number from 1 to 1000")
        known = ("fault", "from_ms", "to_ms", "step", "nth")
        return Fault(name, start, end, self.params(raw, known, place), step, nth)

    def only(self, raw: dict[str, object], known: tuple[str, ...], place: str) -> None:
        for key in raw:
            if key not in known:
                raise self.fail(f"{place}.{key}", "is not known here", f"known are {', '.join(known)}")

    def params(
        self, raw: dict[str, object], known: tuple[str, ...], place: str
    ) -> tuple[tuple[str, int], ...]:
        out: list[tuple[str, int]] = []
        for key, value in raw.items():
            if key in known:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise self.fail(f"{place}.{key}", f"is {value!r}", "parameters are whole numbers")
            out.append((key, value))
        return tuple(sorted(out))
