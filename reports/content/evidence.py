"""What a report is made from: a folder's results.json, the files it names, and campaign.toml beside it.

Reads and puts into words; decides nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from reports.campaign import NAME, Particulars, load_campaign
from reports.charts import Share
from reports.results import BenchResult, Results, ResultsError
from reports.traceability import beside, gaps, waivers
from reports.traceability.evidence import shown_by, tests_of
from reports.traceability.links import TracedTest
from rig.judge.requirements import Requirement

OWN = frozenset({"report.html", "report.pdf", "VERIFY.txt"})
"""Files that cannot list themselves, or that come after the report."""
LATER = frozenset({"signatures"})
"""Folders of such files."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the evidence, by its bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tracing:
    """Requirements and tests held against each other."""

    requirements: Mapping[str, Requirement]
    tests: tuple[TracedTest, ...]
    open: tuple[gaps.Gap, ...]
    waived: tuple[tuple[gaps.Gap, waivers.Waiver], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A folder of evidence, read.

    Attributes:
        sha256: of results.json.
        cutsets, qualification: what other commands found, from the results or left beside them; None: none did.
    """

    folder: Path
    results: Results
    particulars: Particulars
    sha256: str
    cutsets: Mapping[str, Any] | None
    qualification: Mapping[str, Any] | None
    _traced: list[Tracing | None] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """Reads a folder.

        Raises:
            ResultsError: results.json, or a document beside it, cannot be used.
            CampaignError: campaign.toml cannot be used.
        """
        campaign = folder / NAME
        results = Results.load(folder / "results.json")
        return cls(
            folder=folder,
            results=results,
            particulars=load_campaign(campaign) if campaign.exists() else Particulars(),
            sha256=hashlib.sha256((folder / "results.json").read_bytes()).hexdigest(),
            cutsets=results.cutsets or _document(folder / "cutsets.json", "unlock-rig/cutsets/1"),
            qualification=results.qualification
            or _document(folder / "qualification.json", "unlock-rig/qualification/1"),
        )

    @property
    def number(self) -> str:
        """The report id: the lab's own, the campaign's, or one from when it was made and what it holds."""
        if self.particulars.report.number:
            return self.particulars.report.number
        day = self.results.started[:10].replace("-", "")
        return self.results.report_id or f"UR-{day}-{self.sha256[:8].upper()}"

    @property
    def revision(self) -> int:
        """From 1; each amendment makes another."""
        return 1 + len(self.results.amendments)

    @property
    def replaces(self) -> str:
        """The report that this one replaces; "" if none."""
        if not self.results.amendments:
            return ""
        # As it was called then: a laboratory may number its revisions.
        replaced = self.results.amendments[-1].get("replaces", {})
        return str(replaced.get("report", "")) or f"{self.number}, revision {self.revision - 1}"

    @property
    def emulated(self) -> bool:
        """Whether the DUT was the emulated ECU."""
        item = self.results.item
        return item.kind == "emulated" if item is not None else self.results.dut.startswith("emulated")

    @property
    def began(self) -> str:
        """When the first test began."""
        return self.results.started

    @property
    def ended(self) -> str:
        """When the last test had ended; the time stamp of everything that is made from it."""
        if self.results.ended:
            return self.results.ended
        began = datetime.fromisoformat(self.results.started)
        return (began + timedelta(seconds=round(self.results.seconds))).isoformat(timespec="seconds")

    @property
    def benches(self) -> list[BenchResult]:
        """All benches that results come from."""
        return self.results.benches

    @property
    def versions(self) -> dict[str, str]:
        """What the runs rest on, the rig first; its own version is named even where nobody wrote it down."""
        own = self.results.versions.get("unlock-rig", "not determined")
        return {"unlock-rig": own, **self.results.versions}

    def untested(self) -> list[str]:
        """Requirements of the suite that nothing in these results says anything of: no test, or never asked."""
        found = self.tracing()
        known = found.requirements if found is not None else {}
        asked = {x.id for x in self.results.requirements if set(x.outcomes) - {"vacuous"}}
        ids = dict.fromkeys([*known, *(x.id for x in self.results.requirements)])
        return [name for name in ids if name not in asked]

    def read_from_dut(self) -> Mapping[str, str]:
        """Particulars that were read from the item, by their keys in campaign.toml's [item]."""
        return self.results.item.read if self.results.item is not None else {}

    def exclusions(self) -> list[str]:
        """What the suite has and this campaign left out, by reason."""
        reasons = Counter(n.reason for n in self.results.skipped)
        return [f"{count(number, 'test')} not executed: {reason}" for reason, number in reasons.items()]

    def undone(self) -> Iterator[tuple[str, str, str]]:
        """Outcome, test and reason of all that decided nothing."""
        r = self.results
        for outcome, some in (("error", r.rig_errors), ("inconclusive", r.undecided), ("not run", r.skipped)):
            for n in some:
                yield outcome, n.test, n.reason

    def pairs(self) -> dict[tuple[str, str], Share]:
        """Pairs of failure modes that came up, by pairs of families, each pair of families once."""
        heat = self.results.heat_map
        if heat is None:
            return {}
        return {
            (row, column): Share(heat.seen[i][j], heat.of[i][j])
            for i, row in enumerate(heat.domains)
            for j, column in enumerate(heat.domains)
            if j <= i
        }

    def tracing(self) -> Tracing | None:
        """Requirements against tests; None if the results do not say who cites what."""
        if not self._traced:
            self._traced.append(self._trace())
        return self._traced[0]

    def _trace(self) -> Tracing | None:
        if not any(t.requirements for t in self.results.tests):
            return None
        raw = asdict(self.results)
        try:
            rules = beside.rules(self.folder)
        except ValueError as error:
            raise ResultsError(str(error)) from None
        tests = tests_of(raw)
        found = gaps.check(rules.requirements, tests, rules.reviews, shown_by(raw))
        weighed = waivers.weigh(found, rules.waivers, date.fromisoformat(self.ended[:10]))
        return Tracing(rules.requirements, tests, weighed.open, weighed.waived)

    def text_of(self, path: str, sha256: str = "") -> str | None:
        """The text of a file of the folder; None if it is not there, or is not the one of that hash."""
        file = self.folder / path
        if not path or not file.is_file() or not file.resolve().is_relative_to(self.folder.resolve()):
            return None
        content = file.read_bytes()
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            return None
        return content.decode("utf-8", errors="replace")

    def files(self) -> Iterator[ListedFile]:
        """All files that the report rests on, by path."""
        for file in sorted(self.folder.rglob("*")):
            path = file.relative_to(self.folder)
            if not file.is_file() or str(path) in OWN or path.parts[0] in LATER:
                continue
            with file.open("rb") as reading:
                digest = hashlib.file_digest(reading, "sha256").hexdigest()
            yield ListedFile(path.as_posix(), file.stat().st_size, digest)


def _document(file: Path, kind: str) -> Mapping[str, Any] | None:
    if not file.exists():
        return None
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{file}: cannot be read ({error}); make it again, or take it away") from None
    if not isinstance(raw, dict) or raw.get("format") != kind:
        raise ResultsError(f'{file}: is not of format "{kind}"; make it again with this version, or take it away')
    return raw


def uncertainty(results: Results) -> str:
    """U of measured times of each bench; times in virtual time are exact."""
    stated = [f"{b.name}: U = {b.rule.uncertainty_ms:g} ms" for b in results.benches]
    if any(b.rule.uncertainty_ms for b in results.benches):
        stated.append("in virtual time: U = 0 ms")
    return "; ".join(dict.fromkeys(stated)) or "U = 0 ms, in virtual time"


def count(number: int, what: str) -> str:
    """1 test, 2 tests."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def ms(value: float | None) -> str:
    """A time in ms, as people read it."""
    if value is None:
        return ""
    said = f"{value:,.1f} ms" if abs(value) < 1000 else f"{value:,.0f} ms"
    return said.replace("-", "\u2212")


def when(stamp: str) -> str:
    """An ISO 8601 stamp in UTC as date and time."""
    return f"{stamp[:10]} {stamp[11:19]} UTC" if len(stamp) >= 19 else stamp


def hours(seconds: float) -> str:
    """A duration."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def share(part: float) -> str:
    """A probability, as people read it."""
    return f"{part * 100:.3g} %"
