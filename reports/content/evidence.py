"""What a report is made from: a folder's results.json, the files it names, and campaign.toml beside it. "
"Reads, decides nothing."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from reports.campaign import NAME, Particulars, load_campaign
from reports.charts import Latencies, Share
from reports.document import Text
from reports.results import Results, ResultsError
from reports.traceability import gaps, reviewed, waivers
from reports.traceability.evidence import shown_by, tests_of
from reports.traceability.links import TracedTest
from rig.judge.requirements import Requirement, load_requirements

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
class TestLine:
    """One test, as it is listed."""

    name: str
    outcome: str
    time: str
    bench: str
    cites: str


@dataclass(frozen=True, slots=True)
class Ways:
    """Combinations of t failures."""

    t: int
    covered: int
    possible: int
    missing: tuple[tuple[str, ...], ...]


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
        raw: results.json as it stands.
        sha256: of results.json.
        cutsets, qualification: documents that other commands left beside it; None: none did.
    """

    folder: Path
    results: Results
    raw: Mapping[str, Any]
    particulars: Particulars
    sha256: str
    cutsets: Mapping[str, Any] | None
    qualification: Mapping[str, Any] | None

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
            raw=json.loads((folder / "results.json").read_bytes()),
            particulars=load_campaign(campaign) if campaign.exists() else Particulars(),
            sha256=hashlib.sha256((folder / "results.json").read_bytes()).hexdigest(),
            cutsets=_document(folder / "cutsets.json", "unlock-rig/cutsets/1"),
            qualification=_document(folder / "qualification.json", "unlock-rig/qualification/1"),
        )

    @property
    def number(self) -> str:
        """The report id: the lab's own, or one from when it was made and what it holds."""
        if self.particulars.report.number:
            return self.particulars.report.number
        day = self.results.started[:10].replace("-", "")
        return f"UR-{day}-{self.sha256[:8].upper()}"

    @property
    def emulated(self) -> bool:
        """Whether the DUT was the emulated ECU."""
        return self.results.dut.startswith("emulated")

    @property
    def revision(self) -> int:
        """From 1; each amendment makes another."""
        return 1 + len(self.raw.get("amendments", ()))

    @property
    def replaces(self) -> str:
        """The report that this one replaces; "" if none."""
        changes = self.raw.get("amendments", ())
        return f"{self.number}, revision {self.revision - 1}" if changes else ""

    def amendments(self) -> list[tuple[Text, ...]]:
        """Revision, reason, by whom, when, what is replaced."""
        return [
            (str(n), a["reason"], a.get("by", ""), when(a.get("at", "")), str(a.get("replaces", {}).get("report", "")))
            for n, a in enumerate(self.raw.get("amendments", ()), start=2)
        ]

    @property
    def began(self) -> str:
        """When the first test began."""
        return self.results.started

    @property
    def ended(self) -> str:
        """When the last test had ended; the time stamp of everything that is made from it."""
        if "ended" in self.raw:
            return str(self.raw["ended"])
        began = datetime.fromisoformat(self.results.started)
        return (began + timedelta(seconds=round(self.results.seconds))).isoformat(timespec="seconds")

    @property
    def uncertainty_ms(self) -> float | None:
        """The expanded uncertainty of measured times; None: not stated."""
        return 0.0 if self.results.bench == "model" else None

    def rule_words(self) -> list[str]:
        """The decision rule, in sentences."""
        return []

    def bench_facts(self) -> list[tuple[str, Text]]:
        """What the bench file says of itself."""
        return []

    def adapters(self) -> list[tuple[str, str]]:
        """Devices of the bench with the serial numbers that their ports supply."""
        return []

    def read_from_dut(self) -> dict[str, str]:
        """Particulars that were read from the item, by their keys in campaign.toml."""
        return {}

    def exclusions(self) -> list[str]:
        """What the suite has and this campaign left out, by reason."""
        reasons = Counter(n.reason for n in self.results.skipped)
        return [f"{count(number, 'test')} not executed: {reason}" for reason, number in reasons.items()]

    def tests(self) -> list[TestLine]:
        """All tests, in the order they were run."""
        found = self.raw["tests"]
        return [_test_line(t, self.results.bench) for t in found] if isinstance(found, list) else []

    def outcomes(self) -> Counter[str]:
        """How many tests came to what."""
        found = self.raw["tests"]
        if isinstance(found, list):
            return Counter(t["outcome"] for t in found)
        return Counter(found)

    def undone(self) -> Iterator[tuple[str, str, str]]:
        """Outcome, test and reason of all that decided nothing."""
        for n in self.results.undecided:
            yield "inconclusive", n.test, n.reason
        for n in self.results.skipped:
            yield "not run", n.test, n.reason

    def breaks(self) -> list[tuple[Text, ...]]:
        """Where the record was broken off and resumed."""
        return []

    def pairs(self) -> dict[tuple[str, str], Share]:
        """Pairs of failure modes that came up, by pairs of families."""
        return {}

    def t_ways(self) -> list[Ways]:
        """Combinations that came up."""
        return []

    def search_words(self) -> list[str]:
        """What the search says of itself."""
        return []

    def latencies(self) -> list[Latencies]:
        """Distributions of measured times."""
        return []

    def samplings(self) -> list[tuple[str, list[tuple[Text, ...]]]]:
        """Campaigns of independent draws."""
        return []

    def tracing(self) -> Tracing | None:
        """Requirements against tests; None if the results do not say who cites what."""
        if not isinstance(self.raw["tests"], list):
            return None
        requirements = load_requirements()
        tests = tests_of(self.raw)
        found = gaps.check(requirements, tests, reviewed.built_in(), shown_by(self.raw))
        weighed = waivers.weigh(found, waivers.built_in(), date.fromisoformat(self.ended[:10]))
        return Tracing(requirements, tests, weighed.open, weighed.waived)

    def text_of(self, path: str) -> str | None:
        """The text of a file of the folder; None if it is not there."""
        file = self.folder / path
        if not path or not file.is_file() or not file.resolve().is_relative_to(self.folder.resolve()):
            return None
        return file.read_text(encoding="utf-8", errors="replace")

    def files(self) -> Iterator[ListedFile]:
        """All files that the report rests on, by path."""
        for file in sorted(self.folder.rglob("*")):
            path = file.relative_to(self.folder)
            if not file.is_file() or str(path) in OWN or path.parts[0] in LATER:
                continue
            with file.open("rb") as reading:
                digest = hashlib.file_digest(reading, "sha256").hexdigest()
            yield ListedFile(path.as_posix(), file.stat().st_size, digest)


def _test_line(test: Mapping[str, Any], bench: str) -> TestLine:
    took = test.get("seconds")
    return TestLine(
        name=test["name"],
        outcome=test["outcome"],
        time="" if took is None else f"{took:.2f} s",
        bench=test.get("bench", bench),
        cites=" ".join(str(r[0]) for r in test.get("requirements", ())),
    )


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


def count(number: int, what: str) -> str:
    """1 test, 2 tests."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def ms(value: float | None) -> str:
    """A time in ms, as people read it."""
    return "" if value is None else f"{value:,.1f} ms" if abs(value) < 1000 else f"{value:,.0f} ms"


def when(stamp: str) -> str:
    """An ISO 8601 stamp in UTC as date and time."""
    return f"{stamp[:10]} {stamp[11:19]} UTC" if len(stamp) >= 19 else stamp


def hours(seconds: float) -> str:
    """A duration."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
