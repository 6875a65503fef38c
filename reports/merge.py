"""Merging: evidence of several benches or shards becomes one, each result with its bench; nothing is rewritten.

The parts' journals are copied as they are; the merged journal holds their heads, so that its chain stands for them all.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.build import shard_body, write_results
from reports.journal import NAME, Journal, JournalError, read
from reports.records import FORMAT
from reports.results import Results
from reports.signing.manifest import inside

PARTS = "parts"
TAKEN = ("failures", "wire", PARTS)
"""Folders that belong to a part's records."""


class MergeError(ValueError):
    """Evidence that cannot be merged; says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Part:
    """One folder to be merged."""

    folder: Path
    name: str
    start: dict[str, Any]

    @property
    def bench(self) -> str:
        """The bench it says it ran on; "" if it is merged itself."""
        return str((self.start.get("bench") or {}).get("name", ""))


def merge(folders: Sequence[Path], out: Path, versions: dict[str, str], again: str) -> Results:
    """Merges evidence into a new folder.

    Args:
        folders: two or more, each with its journal.
        out: the new folder; must not be there, or be empty.
        versions: of the rig that merges.
        again: the command.

    Raises:
        MergeError: the parts do not belong together, or cannot be read or written.
        JournalError, BuildError: a journal is broken.
    """
    if out.exists() and any(out.iterdir()):
        raise MergeError(f"{out}: is not empty; name a new folder")
    parts = [Part(folder, name, _start(folder)) for folder, name in zip(folders, _names(folders), strict=True)]
    notes = _checked(parts)
    try:
        for part in parts:
            _copy(part.folder, out / PARTS / part.name)
    except OSError as error:
        raise MergeError(f"{error.filename}: cannot be copied ({error.strerror})") from None
    first = parts[0].start
    with Journal.create(out / NAME) as journal:
        journal.append(
            "start",
            {
                "format": FORMAT, "run": secrets.token_hex(16), "what": "merge", "command": {}, "again": again,
                "bench": None, "item": first.get("item"), "seed": first.get("seed", 0), "versions": versions,
                "requirements": first.get("requirements", []), "capabilities": [], "worker": "",
            },
        )  # fmt: skip
        for text in notes:
            journal.append("note", {"text": text})
        for part, bench in zip(parts, _benches(parts), strict=True):
            journal.append("shard", shard_body(out, out / PARTS / part.name / NAME, bench))
        journal.append("end", {"complete": False, "interrupted": False})
    return write_results(out)


def _start(folder: Path) -> dict[str, Any]:
    record = next(iter(read(folder / NAME)), None)
    if record is None or record.body.get("format") != FORMAT:
        raise MergeError(f"{folder / NAME}: does not begin as a journal of a campaign")
    return record.body


def _names(folders: Sequence[Path]) -> list[str]:
    """Short names, all different: the folders' own where that is enough."""
    found: list[str] = []
    for folder in folders:
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-.") or "part"
        name, number = base, 2
        while name in found:
            name, number = f"{base}-{number}", number + 1
        found.append(name)
    return found


def _benches(parts: Sequence[Part]) -> list[str]:
    """Names of benches, all different; "" for parts that are merged themselves and know their own."""
    own = [part.bench for part in parts]
    return [
        bench if not bench or own.count(bench) == 1 else f"{bench} ({part.name})"
        for part, bench in zip(parts, own, strict=True)
    ]


def _checked(parts: Sequence[Part]) -> list[str]:
    runs: dict[str, Part] = {}
    notes = []
    firmware = {_firmware(part): part for part in parts if part.start.get("item")}
    if len(firmware) > 1:
        one, two, *_ = firmware.values()
        raise MergeError(
            f"{one.folder} and {two.folder} tested different items ({_told(one)}; {_told(two)}); `rig compare` tells"
            " them apart"
        )
    seeds: dict[tuple[object, object], Part] = {}
    for part in parts:
        run = str(part.start.get("run"))
        if run in runs:
            raise MergeError(f"{runs[run].folder} and {part.folder} are the same campaign; name it once")
        runs[run] = part
        key = (part.start.get("seed"), part.bench)
        if key in seeds and part.bench:
            notes.append(
                f"{seeds[key].name} and {part.name} used the same seed, {key[0]}: a run in virtual time that both made"
                " is counted twice and says no more than one"
            )
        seeds[key] = part
    return notes


def _firmware(part: Part) -> tuple[object, object]:
    item = part.start["item"]
    return item.get("defect"), item.get("read", {}).get("firmware_sha256", item.get("text"))


def _told(part: Part) -> str:
    item = part.start["item"]
    defect = f", defect {item['defect']}" if item.get("defect") else ""
    return f"{item.get('read', {}).get('firmware', item.get('text'))}{defect}"


def _copy(folder: Path, to: Path) -> None:
    to.mkdir(parents=True)
    for file in sorted(folder.glob("journal*.jsonl")):
        shutil.copy2(file, to / file.name)
        for record in read(file):
            name = record.body.get("file") if record.kind == "attach" else None
            if name and inside(name) and (folder / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / name, to / name)
    for name in TAKEN:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, to / name)


__all__ = ["JournalError", "MergeError", "merge"]
