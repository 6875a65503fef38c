"""Tests and the requirements they cite, as data; and what a run has shown of them, as far as the gate asks.

Knows nothing of pytest; its plugin fills these, and a file of them can be read without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

FORMAT = "unlock-rig/links/1"
PLANNED = "planned"
"""The outcome of a test that was collected and is yet to be run."""
NOT_RUN = "not run"
CONCLUSIVE = frozenset({"pass", "conditional pass", "conditional fail", "fail"})
"""Outcomes that say something about the DUT."""

Coverage = Literal["full", "partial"]
COVERAGES: tuple[Coverage, ...] = ("full", "partial")


class LinksError(ValueError):
    """A file of links that cannot be used; names the file and why."""


@dataclass(frozen=True, slots=True)
class Link:
    """A test cites a requirement: its evidence covers all of it, or a part."""

    requirement: str
    coverage: Coverage = "full"


@dataclass(frozen=True, slots=True)
class TracedTest:
    """One test.

    Attributes:
        name: pytest's node id.
        links: what it cites.
        no_requirement: why it cites nothing; None if that was not said.
        outcome: what came of it: `PLANNED`, or an outcome of a verdict.
        why: why it was not run, or not decided.
        file: "path:line" of its function, if known.
    """

    name: str
    links: tuple[Link, ...] = ()
    no_requirement: str | None = None
    outcome: str = PLANNED
    why: str = ""
    file: str = ""

    def cites(self, requirement: str) -> Coverage | None:
        """How this test covers a requirement; None if it does not cite it."""
        return next((link.coverage for link in self.links if link.requirement == requirement), None)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a run has shown beside the outcomes of its tests.

    Attributes:
        asked: judged runs that asked for a requirement, by its id; search only.
        t_way: share of the combinations of t classes of failure that came up, by t; search only.
        sampled: independent draws that asked for a requirement; never added to `asked`.
        firmware: SHA-256 of the tested firmware in hex; None if not determined.
    """

    asked: Mapping[str, int] = field(default_factory=dict)
    t_way: Mapping[int, float] = field(default_factory=dict)
    sampled: Mapping[str, int] = field(default_factory=dict)
    firmware: str | None = None


def to_json(tests: Sequence[TracedTest]) -> str:
    """Tests and links as a file."""
    return (
        json.dumps(
            {
                "format": FORMAT,
                "tests": [
                    {
                        "name": t.name,
                        "requirements": [[link.requirement, link.coverage] for link in t.links],
                        "no_requirement": t.no_requirement,
                        "outcome": t.outcome,
                        "why": t.why,
                        "file": t.file,
                    }
                    for t in tests
                ],
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def load(path: Path) -> tuple[TracedTest, ...]:
    """Reads what `to_json` wrote.

    Raises:
        LinksError: it cannot be read, or is something else.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise ValueError(f'format "{raw["format"]}", not "{FORMAT}"')
        return tuple(
            TracedTest(
                t["name"], links(t["requirements"]), t["no_requirement"], t["outcome"], t["why"], t.get("file", "")
            )
            for t in raw["tests"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LinksError(f"{path}: cannot be read as links of tests ({type(error).__name__}: {error})") from None


def links(pairs: Sequence[Sequence[str]]) -> tuple[Link, ...]:
    """Links from pairs of requirement and coverage, as files have them.

    Raises:
        ValueError: a coverage that is neither full nor partial.
    """
    for _, coverage in pairs:
        if coverage not in COVERAGES:
            raise ValueError(f'coverage "{coverage}" is neither full nor partial')
    return tuple(Link(requirement, cast(Coverage, coverage)) for requirement, coverage in pairs)
