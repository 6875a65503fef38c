"""The requirements as data: text, reason, limit, evidence and target of each, from TOML: the rig's own, and a lab's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

KNOWN = frozenset({"text", "why", "limit_ms", "limit_text", "evidence", "source", "retired", "target"})
KNOWN_TARGETS = frozenset({"runs", "t_way", "quantile", "confidence"})


class RequirementsError(ValueError):
    """A file of requirements that cannot be used; names file, table and mend."""


@dataclass(frozen=True, slots=True)
class Target:
    """How much evidence a requirement needs before it counts as tested.

    Attributes:
        runs: judged runs that asked for it, at least.
        t_way: all combinations of so many classes of failure came up in the search (1, 2 or 3; 0: not asked).
        quantile: of the latency, that sampling can bound from above with `confidence`; None: not asked.
        confidence: of that bound, between 0 and 1.
    """

    runs: int = 1
    t_way: int = 0
    quantile: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement.

    Attributes:
        id: such as "AVL-1".
        text: what must hold.
        why: the reason.
        limit_ms: the limit in ms, or None if there is none in time.
        limit_text: the limit in words.
        evidence: what counts as having asked for it.
        source: document and clause it comes from; "" for the rig's own list.
        retired: why it holds no more, and what replaces it; "" while it holds.
        target: how much evidence it needs.
    """

    id: str
    text: str
    why: str
    limit_ms: int | None
    limit_text: str
    evidence: str
    source: str = ""
    retired: str = ""
    target: Target = Target()


@cache
def _built_in() -> Mapping[str, Requirement]:
    text = files("rig.judge").joinpath("requirements.toml").read_text(encoding="utf-8")
    return parse_requirements(text, "requirements.toml")


def load_requirements(more: Sequence[Path] = ()) -> Mapping[str, Requirement]:
    """All requirements by id, in order: the rig's own, then those of a lab's files.

    Raises:
        RequirementsError: a file cannot be used, or names an id that is there already.
    """
    found = dict(_built_in())
    for file in more:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RequirementsError(f"{file}: cannot be read ({error})") from None
        for name, requirement in parse_requirements(text, str(file)).items():
            if name in found:
                raise RequirementsError(f"{file}: [{name}] is there already; give it an id of its own")
            found[name] = requirement
    return found


def parse_requirements(text: str, where: str) -> dict[str, Requirement]:
    """Requirements from the text of a TOML file; `where` names it in errors.

    Raises:
        RequirementsError: something in it is missing, of a wrong type, or not known.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequirementsError(f"{where}: is no TOML ({error})") from None
    return {name: _requirement(name, table, where) for name, table in raw.items()}


def _requirement(name: str, table: Any, where: str) -> Requirement:
    if not isinstance(table, dict):
        raise RequirementsError(f"{where}: {name} is no table; write [{name}] and text = … below it")
    place = f"{where}: [{name}]"
    _check_keys(place, table, KNOWN)
    for key in ("text", "why", "evidence", "limit_text", "source", "retired"):
        if not isinstance(table.get(key, ""), str):
            raise RequirementsError(f"{place} {key} is no text")
    if not table.get("text"):
        raise RequirementsError(f'{place} has no text; say what must hold: text = "…"')
    limit_ms = table.get("limit_ms")
    if limit_ms is not None and (not isinstance(limit_ms, int) or limit_ms <= 0):
        raise RequirementsError(f"{place} limit_ms is no positive whole number of ms")
    limit = "none in time" if limit_ms is None else f"{limit_ms / 1000:g} s"
    return Requirement(
        name,
        table["text"],
        table.get("why", ""),
        limit_ms,
        table.get("limit_text", limit),
        table.get("evidence", ""),
        table.get("source", ""),
        table.get("retired", ""),
        _target(f"{where}: [{name}.target]", table.get("target", {})),
    )


def _target(place: str, table: Any) -> Target:
    if not isinstance(table, dict):
        raise RequirementsError(f"{place} is no table")
    _check_keys(place, table, KNOWN_TARGETS)
    target = Target(**table)
    if not isinstance(target.runs, int) or target.runs < 1:
        raise RequirementsError(f"{place} runs is no whole number from 1 on")
    if target.t_way not in (0, 1, 2, 3):
        raise RequirementsError(f"{place} t_way is none of 0, 1, 2, 3")
    for key, value in (("quantile", target.quantile), ("confidence", target.confidence)):
        if value is not None and (not isinstance(value, float) or not 0 < value < 1):
            raise RequirementsError(f"{place} {key} is no number between 0 and 1")
    return target


def _check_keys(place: str, table: Mapping[str, object], known: frozenset[str]) -> None:
    strange = sorted(set(table) - known)
    if strange:
        names = ", ".join(strange)
        raise RequirementsError(f"{place} has {names}, which is not known; known: {', '.join(sorted(known))}")
