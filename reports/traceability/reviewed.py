"""Which text of a requirement was reviewed together with its tests: a hash of each, with name and day, in TOML."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

from rig.judge.requirements import Requirement

HEADER = """\
# Requirements whose text, limit and evidence were reviewed together with the tests that cite them.
# `rig trace lock` writes this file; `rig trace check` says what has changed since.
"""


class ReviewsError(ValueError):
    """A file of reviews that cannot be used; names file and place."""


@dataclass(frozen=True, slots=True)
class Review:
    """What was reviewed (SHA-256 of it, in hex), by whom, and on what day."""

    sha256: str
    by: str
    on: date


def digest(requirement: Requirement) -> str:
    """SHA-256 of what a test must fit: id, text, limits, what counts as evidence, targets; not reason or source."""
    target = requirement.target
    said = [
        requirement.id, requirement.text, requirement.limit_ms, requirement.limit_text, requirement.evidence,
        [target.runs, target.t_way, target.quantile, target.confidence],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def built_in() -> dict[str, Review]:
    """The reviews of the rig's own requirements."""
    text = files("rig.judge").joinpath("reviewed.toml").read_text(encoding="utf-8")
    return parse(text, "reviewed.toml")


def load(path: Path) -> dict[str, Review]:
    """Reads a file of reviews.

    Raises:
        ReviewsError: it cannot be read, or something in it is wrong.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ReviewsError(f"{path}: cannot be read ({error})") from None


def parse(text: str, where: str) -> dict[str, Review]:
    """Reviews from TOML; `where` names it in errors.

    Raises:
        ReviewsError: something in it is wrong.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ReviewsError(f"{where}: is no TOML ({error})") from None
    found = {}
    for name, table in raw.items():
        fields = table if isinstance(table, dict) else {}
        match fields.get("sha256"), fields.get("by"), fields.get("on"), len(fields):
            # datetime is a kind of date: a time of day is none of this.
            case str(sha256), str(by), date() as on, 3 if type(on) is date:
                found[name] = Review(sha256, by, on)
            case _:
                raise ReviewsError(f"{where}: [{name}] needs sha256, by (texts) and on (a date), and nothing else")
    return found


def reviewed(
    requirements: Mapping[str, Requirement], before: Mapping[str, Review], only: frozenset[str], by: str, on: date
) -> dict[str, Review]:
    """Reviews after somebody has looked again: what had not changed keeps its name and day.

    Args:
        requirements: all there are; reviews of others are dropped.
        before: the reviews until now.
        only: ids that were looked at; empty: all.
        by: who looked.
        on: when.
    """
    now = {}
    for name, requirement in requirements.items():
        old, sha256 = before.get(name), digest(requirement)
        if old is not None and (old.sha256 == sha256 or (only and name not in only)):
            now[name] = old
        elif not only or name in only:
            now[name] = Review(sha256, by, on)
    return now


def to_toml(reviews: Mapping[str, Review]) -> str:
    """The file."""
    return HEADER + "".join(
        f"\n[{_key(name)}]\nsha256 = \"{r.sha256}\"\nby = {json.dumps(r.by, ensure_ascii=False)}\non = {r.on}\n"
        for name, r in reviews.items()
    )


def _key(name: str) -> str:
    """A key of TOML: bare if it may be."""
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isascii() and bare.isalnum() else json.dumps(name, ensure_ascii=False)
