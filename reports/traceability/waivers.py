"""Waivers: gaps that somebody has answered for by name, with a reason, until a day; always shown, never for ever."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from reports.traceability.gaps import Gap, Kind

NEVER = frozenset({Kind.UNTRACED, Kind.UNKNOWN, Kind.FIRMWARE})
"""What nobody can answer for: a marker says it better, a slip is mended, and other firmware is other evidence."""
FIELDS = ("requirement", "gap", "reason", "name", "expires")


class WaiversError(ValueError):
    """A file of waivers that cannot be used; names file, entry and mend."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody answers for a gap until the end of a day."""

    requirement: str
    gap: Kind
    reason: str
    name: str
    expires: date

    def covers(self, gap: Gap) -> bool:
        """Whether it is about that gap."""
        return (self.requirement, self.gap) == (gap.requirement, gap.kind)

    def expired(self, today: date) -> bool:
        """Its last day is over."""
        return today > self.expires

    @property
    def text(self) -> str:
        """In one line."""
        return f"{self.requirement}, {self.gap}: {self.reason} ({self.name}, until {self.expires})"


@dataclass(frozen=True, slots=True)
class Weighed:
    """Gaps held against waivers.

    Attributes:
        open: gaps that nobody answers for, those of expired waivers included.
        waived: gaps that somebody answers for, with the waiver.
        expired: waivers whose day is over and whose gap is still there.
        idle: waivers that fit no gap.
    """

    open: tuple[Gap, ...]
    waived: tuple[tuple[Gap, Waiver], ...]
    expired: tuple[Waiver, ...]
    idle: tuple[Waiver, ...]


def weigh(gaps: Sequence[Gap], waivers: Sequence[Waiver], today: date) -> Weighed:
    """Which gaps are waived today."""
    open_, waived, used = [], [], set()
    for gap in gaps:
        fitting = [w for w in waivers if w.covers(gap)]
        used.update(fitting)
        holding = next((w for w in fitting if not w.expired(today)), None)
        if holding is None:
            open_.append(gap)
        else:
            waived.append((gap, holding))
    return Weighed(
        tuple(open_),
        tuple(waived),
        tuple(w for w in waivers if w in used and w.expired(today)),
        tuple(w for w in waivers if w not in used),
    )


def built_in() -> tuple[Waiver, ...]:
    """The waivers of the rig's own suite: what it does not test yet."""
    text = files("rig.judge").joinpath("waivers.toml").read_text(encoding="utf-8")
    return parse(text, "waivers.toml")


def load(path: Path) -> tuple[Waiver, ...]:
    """Reads a file of waivers.

    Raises:
        WaiversError: it cannot be read, or something in it is wrong.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise WaiversError(f"{path}: cannot be read ({error})") from None


def parse(text: str, where: str) -> tuple[Waiver, ...]:
    """Waivers from TOML; `where` names it in errors.

    Raises:
        WaiversError: something in it is wrong.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WaiversError(f"{where}: is no TOML ({error})") from None
    tables = raw.get("waiver", [])
    if set(raw) - {"waiver"} or not isinstance(tables, list):
        raise WaiversError(f"{where}: holds [[waiver]] tables and nothing else")
    return tuple(_waiver(f"{where}: waiver {number}", table) for number, table in enumerate(tables, 1))


def _waiver(place: str, table: Mapping[str, Any]) -> Waiver:
    missing = [f for f in FIELDS if not str(table.get(f, "")).strip()]
    if missing:
        raise WaiversError(f"{place} lacks {', '.join(missing)}; a waiver says all of {', '.join(FIELDS)}")
    strange = sorted(set(table) - set(FIELDS))
    if strange:
        raise WaiversError(f"{place} has {', '.join(strange)}, which is not known; known: {', '.join(FIELDS)}")
    if any(not isinstance(table[f], str) for f in FIELDS[:-1]):
        raise WaiversError(f"{place}: {', '.join(FIELDS[:-1])} are texts")
    if type(table["expires"]) is not date:
        raise WaiversError(f"{place}: expires is a date without quotes, such as 2027-06-30")
    waivable = [k for k in Kind if k not in NEVER]
    if table["gap"] not in waivable:
        raise WaiversError(f'{place}: gap "{table["gap"]}" cannot be waived; one of: {"; ".join(waivable)}')
    return Waiver(table["requirement"], Kind(table["gap"]), table["reason"], table["name"], table["expires"])
