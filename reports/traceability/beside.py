"""What a laboratory lays beside its results: requirements of its own, reviews and waivers; together with the rig's.

Reports and the gate read the same files, and signatures cover them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.traceability import reviewed, waivers
from reports.traceability.reviewed import Review
from reports.traceability.waivers import Waiver
from rig.judge.requirements import Requirement, load_requirements

REQUIREMENTS = "requirements.toml"
REVIEWS = "requirements.reviewed.toml"
WAIVERS = "waivers.toml"


@dataclass(frozen=True, slots=True)
class Rules:
    """What tests and evidence are held against."""

    requirements: Mapping[str, Requirement]
    reviews: Mapping[str, Review]
    waivers: tuple[Waiver, ...]


def rules(
    folder: Path | None, requirements: Sequence[Path] = (), reviews: Path | None = None, answered: Path | None = None
) -> Rules:
    """The rig's own rules, with those of a folder, and with those that are named instead of the folder's.

    Args:
        folder: where files of these names are looked for; None: nowhere.
        requirements: files of requirements; with any, the folder's is not looked for.
        reviews: a file of reviews, likewise.
        answered: a file of waivers, likewise.

    Raises:
        RequirementsError, ReviewsError, WaiversError: a file cannot be used.
    """

    def found(name: str) -> Path | None:
        return folder / name if folder is not None and (folder / name).exists() else None

    own = found(REQUIREMENTS)
    more = list(requirements) or ([] if own is None else [own])
    seen, waived = reviews or found(REVIEWS), answered or found(WAIVERS)
    return Rules(
        load_requirements(more),
        reviewed.built_in() | ({} if seen is None else reviewed.load(seen)),
        waivers.built_in() + (() if waived is None else waivers.load(waived)),
    )


def own_requirements(files: Sequence[Path]) -> str:
    """Files of requirements as one, to be laid beside the results of tests that cite them.

    Raises:
        OSError: one cannot be read.
    """
    return "\n".join(f"# {file.name}\n{file.read_text(encoding='utf-8')}" for file in files)
