"""From the ledger to the results: the verdict, and every figure of the document.

Pure: equal ledgers give equal results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from reports import statistics
from reports.ledger import Ledger, SamplingLedger, SearchLedger, Source
from reports.records import RecordsError
from reports.results import (
    DecisionRule,
    DutResult,
    NotRun,
    Rate,
    RequirementResult,
    Results,
    SamplingResult,
    SearchResult,
    TestResult,
    Verdict,
)
from rig.judge.oracle import required_cells
from rig.judge.requirements import Requirement, load_requirements
from rig.judge.verdicts import Outcome

VIRTUAL = DecisionRule(
    "simple acceptance", 0.0,
    "In virtual time a measured time is exact: it passes up to its limit, and fails beyond it (ILAC-G8:09/2019, simple"
    " acceptance with U = 0).",
)  # fmt: skip


def guarded(uncertainty_ms: float) -> DecisionRule:
    """The rule on real lines."""
    u = f"{uncertainty_ms:g} ms"
    return DecisionRule(
        "guard bands", uncertainty_ms,
        f"A measured time t with expanded uncertainty U = {u} (k = 2, about 95 %) passes if t <= limit - U, passes"
        " conditionally if limit - U < t <= limit, fails conditionally if limit < t <= limit + U, and fails if"
        " t > limit + U (ILAC-G8:09/2019, non-binary statement with a guard band w = U); a conditional fail decides"
        " nothing.",
    )  # fmt: skip


def results_of(ledger: Ledger) -> Results:
    """The whole document, but for the file of runs.

    Raises:
        RecordsError: there is no journal.
    """
    if not ledger.sources:
        raise RecordsError("no journal, no results")
    main = ledger.sources[0]
    tests = ledger.all_tests()
    known = load_requirements()
    seconds = _seconds(main, ledger.sources)
    errors = [NotRun(by, text, bench) for by, text, bench in ledger.errors]
    errors += [NotRun(t.name, t.reason, t.bench) for t in tests if t.outcome == "error"]
    verdict, why = judgement(ledger, tests, errors)
    item = ledger.item or DutResult("not determined", "external")
    wires = [b.rule for b in ledger.benches.values() if b.fidelity == "wire"]
    rule = max(wires, key=lambda r: r.uncertainty_ms, default=VIRTUAL)
    cuts = ledger.attachments.get("cutsets")
    qualified = ledger.attachments.get("qualification")
    tree = ledger.attachments.get("fault tree")
    started = min(s.segments[0][0] for s in ledger.sources)
    cited = Counter(cite[0] for t in tests for cite in t.requirements)
    return Results(
        verdict=str(verdict),
        why=why,
        bench=main.bench or next(iter(ledger.benches), ""),
        dut=item.text,
        defect=item.defect,
        seed=main.start.get("seed", 0),
        again=main.start.get("again", ""),
        started=started,
        ended=max(s.segments[-1][1] for s in ledger.sources),
        seconds=round(seconds, 3),
        versions=main.start.get("versions", {}),
        runs=ledger.runs,
        simulated_s=ledger.simulated_us / 1e6,
        tests=tests,
        test_counts=dict(Counter(t.outcome for t in tests)),
        requirements=[
            _requirement(ledger, name, known.get(name), cited[name]) for name in ledger.tallies
        ],
        cells_required=len(required_cells(ledger.capabilities)) if ledger.capabilities else 0,
        cells_missing=_missing(ledger),
        failures=ledger.failures,
        rows=ledger.rows,
        skipped=[NotRun(t.name, t.reason, t.bench) for t in tests if t.outcome == "not run"],
        undecided=[NotRun(t.name, t.reason, t.bench) for t in tests if t.outcome == "inconclusive"],
        notes=ledger.notes,
        run_id=main.start.get("run", ""),
        report_id=f"UR-{started[:10].replace('-', '')}-{main.start.get('run', '')[:8].upper()}",
        item=item,
        benches=list(ledger.benches.values()),
        rule=rule,
        rig_errors=errors,
        operator=ledger.operator,
        latencies=ledger.times.latencies(independent=False),
        coverage=ledger.combinations.coverage(),
        heat_map=ledger.combinations.heat_map(),
        searches=[_search(s) for s in ledger.searches.values()],
        sampling=[sampling_result(s) for s in ledger.samplings.values()],
        journals=ledger.journals(),
        breaks=ledger.breaks,
        retries=sum(1 for row in ledger.rows if row.run > 1),
        complete=ledger.complete,
        interrupted=_interrupted(ledger),
        attachments=[one for one, _ in ledger.attachments.values()],
        cutsets=cuts[1] if cuts else None,
        qualification=qualified[1] if qualified else None,
        fault_tree=str(tree[1].get("text", "")) if tree else "",
        amendments=ledger.amendments,
    )


def _missing(ledger: Ledger) -> list[str]:
    """Cells without evidence, where the whole suite was to fill them."""
    if not ledger.complete or not ledger.capabilities:
        return []
    return [f"{path} × {mode}" for path, mode in ledger.missing_cells()]


def _interrupted(ledger: Ledger) -> bool:
    return any(s.interrupted or not s.ended for s in ledger.sources)


def judgement(
    ledger: Ledger, tests: Sequence[TestResult], errors: Sequence[NotRun]
) -> tuple[Verdict, str]:
    """The campaign's verdict, and why in one sentence."""
    failed = ledger.failed()
    if failed:
        return Verdict.FAIL, f"{_count(len(failed), 'requirement')} failed: {', '.join(failed)}"
    drawn = {r for s in ledger.samplings.values() for r, t in s.tallies.items() if t.outcomes[Outcome.FAIL]}
    if drawn:
        return Verdict.FAIL, f"{_count(len(drawn), 'requirement')} failed in sampling: {', '.join(sorted(drawn))}"
    bad = sum(1 for t in tests if t.outcome == "fail")
    if bad:
        return Verdict.FAIL, f"{_count(bad, 'test')} failed"
    if errors:
        wrong = sum(1 for t in tests if t.outcome == "error")
        if wrong:
            return Verdict.ERROR, f"{_count(wrong, 'test')} could not be run"
        return Verdict.ERROR, f"the rig failed in {_count(len(errors), 'run')}"
    if _interrupted(ledger):
        return Verdict.ERROR, "stopped before the end"
    undecided = sum(1 for t in tests if t.outcome == "inconclusive")
    if undecided:
        return Verdict.INCONCLUSIVE, f"{_count(undecided, 'test')} could not be decided"
    if ledger.complete and ledger.unasked():
        return Verdict.INCONCLUSIVE, f"nothing was asked of {', '.join(ledger.unasked())}"
    if missing := _missing(ledger):
        return Verdict.INCONCLUSIVE, f"no evidence for {_count(len(missing), 'pair')} of path and mode: {missing[0]}"
    short = [s for s in ledger.samplings.values() if not s.complete]
    if short:
        return Verdict.INCONCLUSIVE, "a sampling was stopped before the number of draws that was fixed beforehand"
    tallies = [*ledger.tallies.values(), *(t for s in ledger.samplings.values() for t in s.tallies.values())]
    open_ = {r for r, t in ledger.tallies.items() if t.verdict in (Outcome.INCONCLUSIVE, Outcome.CONDITIONAL_FAIL)}
    if open_ and not tests:
        return Verdict.INCONCLUSIVE, f"not decided: {', '.join(sorted(open_))}"
    if not any(tally.held for tally in tallies):
        return Verdict.INCONCLUSIVE, "no requirement was asked anything"
    if not ledger.runs:
        asked = len({r for s in ledger.samplings.values() for r, t in s.tallies.items() if t.held})
        return Verdict.PASS, f"all {asked} requirements that were asked hold in every draw"
    asked = sum(1 for tally in ledger.tallies.values() if tally.verdict.good)
    return Verdict.PASS, f"all {asked} requirements that were asked hold"


def _requirement(ledger: Ledger, name: str, known: Requirement | None, cited: int) -> RequirementResult:
    tally = ledger.tallies[name]
    asked = tally.asked
    vacuous = ledger.runs - asked
    outcomes = {str(o): n for o, n in sorted(tally.outcomes.items()) if n}
    if vacuous:
        outcomes["vacuous"] = vacuous
    failed = tally.outcomes[Outcome.FAIL]
    return RequirementResult(
        id=name,
        text=known.text if known else "",
        limit=known.limit_text if known else "",
        verdict=str(tally.verdict),
        outcomes=outcomes,
        tests=cited,
        tightest_ms=None if tally.tightest_us is None else tally.tightest_us / 1000,
        tightest_text=tally.tightest_text,
        limit_ms=None if known is None or known.limit_ms is None else float(known.limit_ms),
        asked=asked,
        held=tally.held,
        failed=failed,
        undecided=asked - tally.held - failed,
        vacuous=vacuous,
        rule=_rule_in_short(ledger),
    )


def _rule_in_short(ledger: Ledger) -> str:
    """To be printed beside a limit; benches of merged evidence may have different uncertainties."""
    benches: dict[float, list[str]] = {}
    for bench in ledger.benches.values():
        if bench.fidelity == "wire":
            benches.setdefault(bench.rule.uncertainty_ms, []).append(bench.name)
    if not benches:
        return "in virtual time simple acceptance, U = 0"
    told = ", ".join(
        f"U = {u_ms:g} ms" + (f" ({', '.join(names)})" if len(benches) > 1 else "") for u_ms, names in benches.items()
    )
    return f"in virtual time simple acceptance, U = 0; on real lines guard bands, {told}"


def _search(found: SearchLedger) -> SearchResult:
    seen, of = found.combinations.classes
    return SearchResult(
        found.strategy, found.seed, found.wanted, found.runs, len(found.scenarios), found.exhausted, found.failed,
        found.errors, found.bench, found.combinations.coverage(), seen, of,
    )  # fmt: skip


def sampling_result(found: SamplingLedger) -> SamplingResult:
    """Bounds and quantiles of one sampling."""
    body = found.body
    confidence = float(body["confidence"])
    known = load_requirements()
    remark = ""
    if not found.complete:
        remark = (
            f"stopped after {found.drawn:,} of {body['planned']:,} draws: the number was not the one fixed beforehand,"
            " so that bounds and intervals say less than they seem to"
        )
    return SamplingResult(
        body["profile"], body["text"], body["sha256"], body["seed"], found.bench, body["planned"], found.drawn,
        found.complete, found.failed, found.errors, confidence,
        [
            rate(name, tally.outcomes, confidence, known.get(name))
            for name, tally in sorted(found.tallies.items(), key=lambda pair: list(known).index(pair[0]))
        ],
        found.times.latencies(independent=True, confidence=confidence),
        found.failures,
        remark,
    )  # fmt: skip


def rate(name: str, outcomes: Counter[Outcome], confidence: float, known: Requirement | None) -> Rate:
    """How often a requirement fails, bounded."""
    held = outcomes[Outcome.PASS] + outcomes[Outcome.CONDITIONAL_PASS]
    failures = outcomes[Outcome.FAIL]
    n = held + failures
    undecided = sum(outcomes.values()) - n - outcomes[Outcome.VACUOUS]
    target = known.target.quantile if known is not None else None
    if n == 0:
        return Rate(name, 0, 0, undecided, 0.0, 1.0, 1.0, confidence, target, "n too small: no draw was decided")
    low, high = statistics.clopper_pearson(failures, n, confidence)
    upper = statistics.upper_bound(failures, n, confidence)
    remark = ""
    if target is not None and upper > 1 - target:
        if failures == 0:
            needed = statistics.draws_for(1 - target, confidence)
            remark = f"n too small: {needed:,} draws without a failure would show {target:g}"
        else:
            remark = f"does not show {target:g}"
    elif failures == 0 and n < MINIMUM:
        remark = f"n too small to say much: below {MINIMUM} draws"
    return Rate(name, n, failures, undecided, low, high, upper, confidence, target, remark)


MINIMUM = 59
"""Fewer draws without a failure do not show 95 % with 95 % confidence."""


def _seconds(source: Source, sources: Sequence[Source]) -> float:
    """How long a campaign took, breaks left out: workers run side by side, parts of merged evidence do not."""
    own = sum(
        (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
        for first, last in source.segments
    )
    below = [s for s in sources if s.part_of == source.file and s is not source]
    workers = [_seconds(s, sources) for s in below if s.worker]
    return max([own, *workers]) + sum(_seconds(s, sources) for s in below if not s.worker)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

