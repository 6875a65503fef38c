"""results.json: what a campaign found out, as one document that every view is made from.

Plain data with readers and writers; decides nothing. Made from the journal alone (`reports.build`); its schema is
results.schema.json; what is said of each single run stands beside it in results.jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from reports.fromjson import Mismatch, from_json

FORMAT = "unlock-rig/results/2"
FILE = "results.json"
RUNS_FILE = "results.jsonl"
"""One line for each judged run, beside results.json: too many for one document in memory."""
NOT_DETERMINED = "not determined"
"""What stands where no port supplies what should be there."""


class Verdict(StrEnum):
    """The campaign as a whole."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 inconclusive or error."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1}.get(self, 2)


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How a measured time becomes a verdict (ILAC-G8:09/2019, section 4.2).

    Attributes:
        kind: "simple acceptance" (the uncertainty is nothing beside the limit, as in virtual time) or "guard bands"
            (pass and fail need a distance of U from the limit).
        uncertainty_ms: U, expanded, of a measured time on this bench.
        text: the rule in one sentence, to be printed beside limits.
    """

    kind: str
    uncertainty_ms: float
    text: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """A device between rig and DUT.

    Attributes:
        port: "can", "reader", "console", "io", "bluetooth", "power" or "clock".
        name: what it is, such as "slcan over /dev/ttyACM0".
        serial: its serial number, or "not determined".
        firmware: its firmware, or "not determined".
        calibrated: date and certificate of its calibration, or "not determined".
    """

    port: str
    name: str
    serial: str = NOT_DETERMINED
    firmware: str = NOT_DETERMINED
    calibrated: str = NOT_DETERMINED


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One bench that results come from.

    Attributes:
        name: as results name it; in merged evidence made unique.
        text: what it is, in one line.
        fidelity: "model" or "stack" (virtual time), or "wire" (real lines, but the search of its campaign is at model).
        dut: who played the DUT: "emulated" or "external".
        lanes: DUTs used at once.
        stall_ms: from this lateness of rig or ECU host on, a run is inconclusive.
        rule: how times measured at `wire` are decided; at model it is simple acceptance with U = 0.
        ports: where each line was, by port.
        adapters: devices, with what is known of them.
        environment: of the computer: system, machine, processor, cores, Python, host.
        file_sha256: of the bench file.
    """

    name: str
    text: str
    fidelity: str
    dut: str
    lanes: int
    stall_ms: int
    rule: DecisionRule
    ports: dict[str, str] = field(default_factory=dict)
    adapters: list[Adapter] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    file_sha256: str = ""


@dataclass(frozen=True, slots=True)
class DutResult:
    """The item under test as the rig knows it.

    Attributes:
        text: in words, such as "emulated door-lock ECU".
        kind: "emulated" or "external".
        defect: the planted defect; None: none.
        read: what was read from it, by the keys of campaign.toml's [item] (manufacturer, part_number,
            serial_number, hardware, firmware, firmware_sha256); what no port supplies is missing here.
    """

    text: str
    kind: str
    defect: str | None = None
    read: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bin:
    """Bar of a histogram: `count` values from `from_ms` (included) to `to_ms`."""

    from_ms: float
    to_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of measured times.

    Attributes:
        p: which, such as 0.99.
        value_ms: of the sample (the smallest value that at least the share p does not exceed).
        low_ms, high_ms: order-statistic interval of the distribution's quantile, two-sided; None: there is none
            (the draws are not independent, or n is too small).
        upper_ms: one-sided upper bound at `confidence`; None likewise.
        confidence: of interval and bound.
        note: "" or why there is no interval, such as "n too small: 59 draws bound it from above".
    """

    p: float
    value_ms: float
    low_ms: float | None = None
    high_ms: float | None = None
    upper_ms: float | None = None
    confidence: float = 0.95
    note: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """Times measured for one requirement on one bench against one limit.

    Attributes:
        requirement: its id.
        path: the way in or the thing measured, in words, such as "card unlock"; "" if there is only one.
        bench: where; runs in virtual time say "model".
        limit_ms: the limit they were held against.
        n: how many.
        independent: they are independent draws, so that quantiles have intervals (sampling only).
        drift: Spearman's rank correlation of value and order; None for what is not sampled, or n < 10.
        drift_p: its two-sided p value (normal approximation).
        lag1: autocorrelation at lag 1; None likewise. Independent draws stay within ±1.96/√n in 95 of 100 cases.
        remark: "" or what is to be said of it.
    """

    requirement: str
    path: str
    bench: str
    limit_ms: float
    n: int
    min_ms: float
    max_ms: float
    mean_ms: float
    quantiles: list[Quantile]
    histogram: list[Bin]
    independent: bool = False
    drift: float | None = None
    drift_p: float | None = None
    lag1: float | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class RequirementResult:
    """One requirement over the whole campaign, sampling not included.

    Attributes:
        verdict: fail if it ever failed, else the worst that came of it; "not run" if nothing was asked.
        outcomes: how often it came to each outcome, vacuous ones included.
        tests: how many tests cite it.
        tightest_ms: the smallest margin to the limit among passes; None if it has no limit in time.
        limit_ms: the limit; None: none in time, or not one (see `limit`).
        asked: judged runs that put it to the test: held + failed + undecided.
        held: pass and conditional pass.
        failed: fail.
        undecided: conditional fail, inconclusive and error.
        vacuous: runs that asked nothing of it.
        rule: the decision rule that was applied, in short, to be printed beside the limit.
    """

    id: str
    text: str
    limit: str
    verdict: str
    outcomes: dict[str, int]
    tests: int
    tightest_ms: float | None
    tightest_text: str
    limit_ms: float | None = None
    asked: int = 0
    held: int = 0
    failed: int = 0
    undecided: int = 0
    vacuous: int = 0
    rule: str = ""


@dataclass(frozen=True, slots=True)
class FailureResult:
    """One failed requirement with its shrunk scenario; files are named from the folder of results.json.

    Attributes:
        text: what was seen.
        entries: how many entries the shrunk scenario's timeline has.
        replay: the command that plays it again, to be typed in that folder.
        value_ms, limit_ms: what was measured and its limit, if it was a time.
        at_ms: where in the trace to look.
        sequence_file: who told whom what, as SVG; picture_file: along its time, as SVG.
        bus_file: decoded bus frames around the verdict; trace_file: all that happened, as text.
        files: SHA-256 of each of these files, by name.
        test: name of the test that found it, or the strategy, seed and number of the search.
    """

    requirement: str
    demand: str
    test: str
    bench: str
    text: str
    entries: int
    scenario_file: str
    picture_file: str
    replay: str
    trace_hash: str
    sequence_file: str = ""
    bus_file: str = ""
    trace_file: str = ""
    value_ms: float | None = None
    limit_ms: float | None = None
    at_ms: float | None = None
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowResult:
    """One run of one row at `wire`; of several runs the last conclusive one counts, and all are listed.

    Attributes:
        name: of the row.
        run: from 1; above 1 it is a repeat.
        outcome, text: what came of it and why.
        seconds: how long it took.
        counts: this is the run that counts.
        log_file: its trace as JSON lines (`rig.tracefile`), beside results.json; "" if none was kept.
        log_sha256: of that file; `trace_hash` is of the trace itself, however it is written.
    """

    name: str
    run: int
    outcome: str
    text: str
    seconds: float
    trace_hash: str
    bench: str = ""
    counts: bool = True
    log_file: str = ""
    log_sha256: str = ""


@dataclass(frozen=True, slots=True)
class NotRun:
    """A test that was not executed or not decided, and why."""

    test: str
    reason: str
    bench: str = ""


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test.

    Attributes:
        name: pytest's node id.
        outcome: "pass", "fail", "inconclusive", "error" or "not run".
        reason: why, if it is not a pass.
        seconds: how long it took.
        requirements: pairs of id and "full" or "partial".
        no_requirement: why it cites none; None if it cites some or does not say.
        bench: where it ran.
        worker: which worker of pytest-xdist ran it; "" without.
        runs: judged runs that it made.
        attempts: how often it was begun; above 1 it was cut off (see `breaks`) and begun again.
    """

    __test__ = False  # it is no test, whatever pytest thinks of its name

    name: str
    outcome: str
    reason: str = ""
    seconds: float = 0.0
    requirements: list[list[str]] = field(default_factory=list)
    no_requirement: str | None = None
    bench: str = ""
    worker: str = ""
    runs: int = 0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class DomainsCovered:
    """Combinations of the modes of some domains: how many came up in one scenario, of how many there are."""

    domains: list[str]
    seen: int
    of: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Combinations of t failure modes, each of another domain, that were in one scenario together.

    Attributes:
        t: 1, 2 or 3.
        seen, of: how many came up, of how many there are.
        domains: the same by combination of domains; for t = 2 it is the heat map.
        missing: some that never came up, at most 200, as lists of modes.
        missing_count: how many never came up.
    """

    t: int
    seen: int
    of: int
    domains: list[DomainsCovered]
    missing: list[list[str]]
    missing_count: int


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Pairs of failure modes by pairs of domains: `seen[i][j]` of `of[i][j]`; on the diagonal: single modes."""

    domains: list[str]
    seen: list[list[int]]
    of: list[list[int]]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One search: scenarios chosen to be bad; its shares say nothing of how often anything happens.

    Attributes:
        strategy, seed: which; scenario number i of them is the same everywhere.
        wanted: how many scenarios were asked for; None: as many as the time allowed.
        runs: how many were run and judged.
        distinct: how many of them are different scenarios.
        exhausted: the strategy had no more to offer.
        failed: runs in which a requirement failed.
        errors: runs in which the rig itself failed.
        coverage: for t = 1, 2, 3, of this search alone.
        classes_seen, classes_of: of the full product server × network × bluetooth, none included.
    """

    strategy: str
    seed: int
    wanted: int | None
    runs: int
    distinct: int
    exhausted: bool
    failed: int
    errors: int
    bench: str
    coverage: list[Coverage] = field(default_factory=list)
    classes_seen: int = 0
    classes_of: int = 0


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a requirement fails, among independent draws that asked for it.

    Attributes:
        requirement: its id.
        n: draws that asked for it and were decided.
        failures: of these.
        undecided: draws that asked, and came to conditional fail, inconclusive or error; not in `n`.
        lower, upper: exact binomial bounds (Clopper-Pearson), two-sided.
        upper_one_sided: exact upper bound, one-sided; what "at most so often" rests on.
        confidence: of all three.
        target: the quantile or probability that the requirement wants shown; None: none.
        remark: "" or what is to be said, such as "n too small for the target".
    """

    requirement: str
    n: int
    failures: int
    undecided: int
    lower: float
    upper: float
    upper_one_sided: float
    confidence: float
    target: float | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class SamplingResult:
    """Independent draws from a profile, the number fixed beforehand; never pooled with the search.

    Attributes:
        profile: its name; profile_text: the TOML as it was used; profile_sha256: of that text.
        seed: draw number i of profile and seed is the same everywhere.
        planned: the stop rule: so many draws, fixed before the first.
        drawn: how many were made.
        complete: all planned draws were made. If not, bounds hold for no fixed n, and the remark says so.
        failed: draws in which any requirement failed; errors: in which the rig did.
        rates: by requirement.
        latencies: with order-statistic intervals, drift and autocorrelation.
        failures: number of the draw, requirement and what was seen, at most 100.
        remark: "" or what is to be said of the campaign.
    """

    profile: str
    profile_text: str
    profile_sha256: str
    seed: int
    bench: str
    planned: int
    drawn: int
    complete: bool
    failed: int
    errors: int
    confidence: float
    rates: list[Rate] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    failures: list[list[str]] = field(default_factory=list)
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Break:
    """Where the record broke off and was gone on with.

    Attributes:
        file: the journal.
        record: number of the first record after the break.
        broken_at: time of the last record before it, ISO 8601 in UTC.
        resumed_at: when it went on.
        torn_bytes: of a record that was only half written, cut off.
        text: what was done, in a sentence.
    """

    file: str
    record: int
    broken_at: str
    resumed_at: str
    torn_bytes: int
    text: str


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """What a person did at the bench during the campaign."""

    at: str
    text: str
    bench: str = ""


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal that these results rest on.

    Attributes:
        file: its name from the folder of results.json.
        records: how many.
        head: SHA-256 of the chain at its last record; it stands for the whole journal.
        bench: whose it is.
        worker: of pytest-xdist; "" without.
        part_of: the journal whose record holds this one's head; "" for the first.
    """

    file: str
    records: int
    head: str
    bench: str = ""
    worker: str = ""
    part_of: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document of another command that belongs to the evidence; `name`: its key in the results ("cutsets")."""

    name: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Results:
    """The whole document.

    Attributes:
        verdict, why: of the campaign, and why in one sentence.
        bench: name of the (first) bench; `benches` has all.
        dut: the item in words; `item` has all.
        defect: the planted one; None: none.
        again: the command for the same campaign.
        started, ended: of the tests, ISO 8601 in UTC.
        seconds: how long it took, breaks left out.
        runs: judged runs that count, sampling left out.
        test_counts: how many tests came to which outcome.
        cells_missing: pairs "path × mode" without evidence.
        rows: all runs at `wire`, repeats included.
        skipped, undecided: tests without a verdict; rig_errors: where the rig itself failed.
        latencies: measured in tests, search and rows; sampled ones stand in `sampling`.
        coverage: over everything but sampling, t = 1, 2, 3; heat_map: pairs by domains.
        run_id: of the campaign, 32 hex digits; report_id: derived from it, unless campaign.toml gives a number.
        journals: what all this was made from; the first is the main one.
        breaks: where the record broke off; retries: how many runs at `wire` were repeats.
        cutsets, qualification: documents as `rig cutsets --json` and `rig qualify --json` write them; None: not made.
        fault_tree: the cut sets and the tree as text; "" without.
        amendments: of `rig amend`, as it writes them.
        runs_file, runs_sha256: one line a judged run, made from the journal; "" if there is none.
    """

    verdict: str
    why: str
    bench: str
    dut: str
    defect: str | None
    seed: int
    again: str
    started: str
    seconds: float
    versions: dict[str, str]
    runs: int
    simulated_s: float
    tests: list[TestResult]
    requirements: list[RequirementResult]
    cells_required: int
    cells_missing: list[str]
    failures: list[FailureResult]
    rows: list[RowResult]
    skipped: list[NotRun]
    undecided: list[NotRun]
    notes: list[str] = field(default_factory=list)
    test_counts: dict[str, int] = field(default_factory=dict)
    ended: str = ""
    run_id: str = ""
    report_id: str = ""
    item: DutResult | None = None
    benches: list[BenchResult] = field(default_factory=list)
    rule: DecisionRule | None = None
    rig_errors: list[NotRun] = field(default_factory=list)
    operator: list[OperatorAction] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    heat_map: HeatMap | None = None
    searches: list[SearchResult] = field(default_factory=list)
    sampling: list[SamplingResult] = field(default_factory=list)
    journals: list[JournalFile] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    retries: int = 0
    complete: bool = False
    interrupted: bool = False
    attachments: list[Attachment] = field(default_factory=list)
    cutsets: dict[str, Any] | None = None
    qualification: dict[str, Any] | None = None
    fault_tree: str = ""
    amendments: list[dict[str, Any]] = field(default_factory=list)
    runs_file: str = ""
    runs_sha256: str = ""
    runs_lines: int = 0

    def to_json(self) -> str:
        """Readable JSON; equal results give equal text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads a results.json.

        Raises:
            ResultsError: it cannot be read, or is of another format.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path}: cannot be read as results ({error})") from None
        return cls.from_raw(raw, str(path))

    @classmethod
    def from_raw(cls, raw: Any, where: str) -> Results:
        """Results from parsed JSON; `where` names it in errors.

        Raises:
            ResultsError: it is of another format, or a field is missing, of a wrong type or not known.
        """
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            found = raw.get("format") if isinstance(raw, dict) else None
            mend = "; it is of an older version: run the campaign again" if found == "unlock-rig/results/1" else ""
            raise ResultsError(f'{where}: is not of format "{FORMAT}"{mend}')
        try:
            return from_json(cls, {key: value for key, value in raw.items() if key != "format"})
        except Mismatch as error:
            raise ResultsError(f"{where}: {error}") from None


@dataclass(frozen=True, slots=True)
class Judged:
    """What one judged run came to for one requirement it asked.

    Attributes:
        requirement: its id.
        outcome: pass, conditional pass, conditional fail, fail, inconclusive or error.
        value_ms, limit_ms, margin_ms: what was measured, its limit, and what was left; None if it is no time.
        uncertainty_ms: U of the value.
        at_ms: where in the trace to look.
        text: in words; only of what did not hold.
    """

    requirement: str
    outcome: str
    value_ms: float | None = None
    limit_ms: float | None = None
    margin_ms: float | None = None
    uncertainty_ms: float = 0.0
    at_ms: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A line of results.jsonl: one judged run; of requirements, those it asked.

    Attributes:
        number: from 1, over the whole evidence.
        campaign: "tests", "search", "wire" or "sample".
        source: the test's name, or "STRATEGY/SEED/NUMBER", or the row's name and run, or "PROFILE/SEED/NUMBER".
        outcome: its worst.
        scenario: SHA-256 of the scenario's JSON.
        trace: hash of the trace.
        simulated_s: vehicle time.
        faults: modes with the times they began and ended, in ms from the scenario's origin; None: it did not.
        record: number of its record in the journal; journal: which one.
    """

    number: int
    campaign: str
    source: str
    bench: str
    outcome: str
    scenario: str
    trace: str
    simulated_s: float
    verdicts: list[Judged]
    faults: list[list[Any]]
    journal: str
    record: int


def run_lines(folder: Path, results: Results) -> Iterator[RunLine]:
    """The judged runs of a folder of evidence, one after the other.

    Raises:
        ResultsError: the file is missing, or a line cannot be read.
    """
    if not results.runs_file:
        return
    file = folder / results.runs_file
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield from_json(RunLine, json.loads(line))
                except (ValueError, Mismatch) as error:
                    raise ResultsError(f"{file}, line {number}: {error}") from None
    except OSError as error:
        raise ResultsError(f"{file}: cannot be read ({error.strerror}); `rig results` makes it anew") from None


class ResultsError(ValueError):
    """A results file that cannot be used; names the file and why."""
