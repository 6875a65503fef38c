"""The requirements as data: text, reason, limit and evidence of each, from `requirements.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


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
    """

    id: str
    text: str
    why: str
    limit_ms: int | None
    limit_text: str
    evidence: str


def load_requirements() -> Mapping[str, Requirement]:
    """All requirements this version judges, by id, in order."""
    raw = tomllib.loads(files("rig.judge").joinpath("requirements.toml").read_text(encoding="utf-8"))
    return {
        name: Requirement(
            name,
            table["text"],
            table["why"],
            table.get("limit_ms"),
            table.get(
                "limit_text", f"{table['limit_ms'] / 1000:g} s" if "limit_ms" in table else "none in time"
            ),
            table["evidence"],
        )
        for name, table in raw.items()
    }
