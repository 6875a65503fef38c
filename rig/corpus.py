"""A corpus: a folder of failing scenarios that is kept between runs, so that later runs try them first.

Reads and writes files; runs nothing but to confirm that a failure is the same twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from rig.faults import check_faults
from rig.model import Result
from rig.scenario import Scenario, ScenarioError
from rig.trace import Trace
from rig.world.attacker import check_attacks

FORMAT = "unlock-rig/corpus/1"
SIDECAR = ".found.json"
HASH_DIGITS = 10
UNKNOWN = "unknown"
"""Stands for the requirement of a scenario that somebody laid into the folder without saying."""


class CorpusError(Exception):
    """The folder cannot be used; the text names it and the mend."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One failing scenario of the corpus.

    Attributes:
        file: the scenario's.
        scenario: shrunk.
        requirement: that it failed when it was found.
        trace_hash: of that run; "" if unknown. Another one now is no fault: the DUT or the rig has changed.
        versions: of what it was found with.
        found: when, as UTC time in ISO 8601.
        replay: the command that plays it again.
    """

    file: Path
    scenario: Scenario
    requirement: str = UNKNOWN
    trace_hash: str = ""
    versions: Mapping[str, str] | None = None
    found: str = ""
    replay: str = ""


def name_of(requirement: str, scenario: Scenario) -> str:
    """The name of a scenario's file: its requirement and a short hash of itself."""
    return f"{requirement}-{hashlib.sha256(scenario.to_json().encode()).hexdigest()[:HASH_DIGITS]}.json"


@dataclass(slots=True)
class Corpus:
    """All usable scenarios of a folder, in the order of their names, and what was wrong with the others.

        corpus = Corpus.load(Path("corpus"))
        for kept in corpus.kept: ...
        corpus.keep("AVL-4", scenario, trace.hash(), versions)
    """

    folder: Path
    kept: list[Kept]
    warnings: list[str]

    @classmethod
    def load(cls, folder: Path, warn: Callable[[str], None] | None = None) -> Corpus:
        """Reads a folder; a missing one is empty.

        Files that are no scenarios are skipped with a warning that names file, place and mend; those that do not
        end in .json are nobody's business.

        Args:
            folder: of the corpus.
            warn: told each warning at once; they are kept too.

        Raises:
            CorpusError: the folder is none, or may not be read.
        """
        corpus = cls(folder, [], [])
        try:
            files = sorted(f for f in folder.iterdir() if f.suffix == ".json" and not f.name.endswith(SIDECAR))
        except FileNotFoundError:
            return corpus
        except NotADirectoryError:
            raise CorpusError(f"corpus {folder}: is a file; name a folder") from None
        except OSError as error:
            raise CorpusError(f"corpus {folder}: cannot be read ({error.strerror}); check its permissions") from None

        def note(text: str) -> None:
            corpus.warnings.append(text)
            if warn is not None:
                warn(text)

        known: set[tuple[str, Scenario]] = set()
        for file in files:
            try:
                one = _read(file, note)
            except ScenarioError as error:
                note(f"{error}; skipped")
                continue
            if (one.requirement, one.scenario) in known:
                continue
            known.add((one.requirement, one.scenario))
            corpus.kept.append(one)
        return corpus

    def keep(
        self,
        requirement: str,
        scenario: Scenario,
        trace_hash: str,
        versions: Mapping[str, str] | None = None,
        replay: str = "",
        now: datetime | None = None,
    ) -> Kept:
        """Adds a failing scenario to the folder, which is made if need be; what is there already stays as it is.

        A file is there whole or not at all, also if the machine is switched off meanwhile.

        Args:
            requirement: that it fails, such as "AVL-4".
            scenario: shrunk.
            trace_hash: of the run that shows it.
            versions: of what it was found with.
            replay: the command that plays it again; `{file}` stands for the scenario's file.
            now: when it was found; None: now.

        Raises:
            CorpusError: it cannot be written.
        """
        for known in self.kept:
            if (known.requirement, known.scenario) == (requirement, scenario):
                return known
        file = self.folder / name_of(requirement, scenario)
        found = (now or datetime.now(UTC)).isoformat(timespec="seconds")
        replay = replay.replace("{file}", str(file))
        one = Kept(file, scenario, requirement, trace_hash, dict(versions or {}), found, replay)
        about = {
            "format": FORMAT,
            "requirement": requirement,
            "trace": trace_hash,
            "versions": one.versions,
            "found": found,
            "replay": one.replay,
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # The scenario comes last: a file with nothing about it is no loss, the other way round is litter.
            _write(_sidecar(file), json.dumps(about, indent=1, ensure_ascii=False) + "\n")
            _write(file, scenario.to_json())
        except OSError as error:
            raise CorpusError(
                f"corpus {self.folder}: {error.filename}: cannot be written ({error.strerror}); "
                "name a folder of your own that has room"
            ) from None
        self.kept.append(one)
        return one

    def drop(self, kept: Kept) -> None:
        """Takes a scenario out, with its files: it fails no more and nobody wants it tried again."""
        self.kept.remove(kept)
        for file in (kept.file, _sidecar(kept.file)):
            file.unlink(missing_ok=True)


def _sidecar(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".json") + SIDECAR)


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _read(file: Path, note: Callable[[str], None]) -> Kept:
    scenario = Scenario.load(file)
    check_faults(scenario, str(file))
    check_attacks(scenario, str(file))
    one = Kept(file, scenario)
    beside = _sidecar(file)
    try:
        raw = json.loads(beside.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(f'it is not of format "{FORMAT}"')
        versions = raw.get("versions")
        texts = {key: raw.get(key, "") for key in ("requirement", "trace", "found", "replay")}
        if not all(isinstance(t, str) for t in texts.values()) or not isinstance(versions, (dict, type(None))):
            raise ValueError("requirement, trace, found and replay are texts, versions is an object")
    except FileNotFoundError:
        return one
    except (OSError, ValueError, RecursionError) as error:
        note(f"{beside}: cannot be used ({error}); its scenario is tried all the same; delete the file")
        return one
    return Kept(
        file,
        scenario,
        texts["requirement"] or UNKNOWN,
        texts["trace"],
        {str(k): str(v) for k, v in (versions or {}).items()},
        texts["found"],
        texts["replay"],
    )


# -- twice the same --------------------------------------------------------------------------------------


class Judging(Protocol):
    """What plays and judges scenarios, such as `rig.model.Model`."""

    def judge(self, scenario: Scenario) -> Result:
        """Plays and judges one scenario."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A scenario that was run twice.

    Attributes:
        result: of the first run.
        same_hash: whether both left the same trace.
        finding: if not, where they differ, in words: a nondeterministic run is a finding of its own.
    """

    result: Result
    same_hash: bool
    finding: str = ""


def confirm(model: Judging, scenario: Scenario) -> Confirmed:
    """Runs a scenario twice, in fresh worlds."""
    first, second = model.judge(scenario), model.judge(scenario)
    if first.trace.hash() == second.trace.hash():
        return Confirmed(first, same_hash=True)
    return Confirmed(first, same_hash=False, finding=_difference(first.trace, second.trace))


def _difference(one: Trace, other: Trace) -> str:
    texts = one.text().splitlines(), other.text().splitlines()
    place = next((p for p, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    said = [f"“{lines[place]}”" if place < len(lines) else "its end" for lines in texts]
    return (
        f"nondeterministic run: equal scenarios left the traces {one.hash()[:16]} and {other.hash()[:16]}; "
        f"event {place} is {said[0]} in the first and {said[1]} in the second"
    )
