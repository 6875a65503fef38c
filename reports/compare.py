"""Comparison of two results: what changed between two firmwares or two runs, and what of it is for the worse.

Plain data in, changes out. Differences within the tolerance, or within the uncertainty of both benches, are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reports.results import Latency, Quantile, Rate, Results

FORMAT = "unlock-rig/comparison/1"
Trend = Literal["worse", "better", "other"]
ORDER = (
    "pass", "conditional pass", "not run", "vacuous", "conditional fail", "inconclusive", "error", "fail",
)  # fmt: skip
"""From good to bad; that something is no longer asked is worse than that it passes."""
TOLERANCE = 0.05
LEAST_MS = 1.0
"""Smaller differences of times are never told."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not as it was.

    Attributes:
        what: verdict, requirement, margin, latency, rate, test, coverage, cell, or subject.
        name: of what.
        trend: for the worse, the better, or neither.
        before, after: the values, as JSON has them.
        text: in one sentence.
    """

    what: str
    name: str
    trend: Trend
    before: Any
    after: Any
    text: str


def compare(before: Results, after: Results, tolerance: float = TOLERANCE) -> list[Change]:
    """All changes, the worse ones first.

    Args:
        before, after: the two.
        tolerance: share by which a time, margin or coverage may differ without being told.
    """
    found = [
        *_subject(before, after),
        *_verdict(before, after),
        *_requirements(before, after),
        *_margins(before, after, tolerance),
        *_latencies(before, after, tolerance),
        *_rates(before, after),
        *_tests(before, after),
        *_coverage(before, after, tolerance),
    ]
    return sorted(found, key=lambda c: ("worse", "better", "other").index(c.trend))


def document(before: Results, after: Results, changes: list[Change]) -> dict[str, Any]:
    """The comparison for other programs."""
    return {
        "format": FORMAT,
        "before": {"report_id": before.report_id, "run_id": before.run_id, "verdict": before.verdict},
        "after": {"report_id": after.report_id, "run_id": after.run_id, "verdict": after.verdict},
        "worse": sum(1 for c in changes if c.trend == "worse"),
        "better": sum(1 for c in changes if c.trend == "better"),
        "changes": [asdict(c) for c in changes],
    }


def _trend(before: str, after: str) -> Trend:
    def place(word: str) -> int:
        return ORDER.index(word) if word in ORDER else len(ORDER)

    return "worse" if place(after) > place(before) else "better" if place(after) < place(before) else "other"


def _subject(before: Results, after: Results) -> Iterator[Change]:
    def facts(r: Results) -> dict[str, Any]:
        read = r.item.read if r.item else {}
        return {
            "item": r.dut, "defect": r.defect, **{k: read.get(k) for k in ("firmware", "firmware_sha256")},
            "bench": ", ".join(b.name for b in r.benches) or r.bench, "seed": r.seed,
            **{f"version of {k}": v for k, v in r.versions.items()},
        }  # fmt: skip

    ours, theirs = facts(before), facts(after)
    for key in {**ours, **theirs}:
        if ours.get(key) != theirs.get(key):
            text = f"{key}: {_told(ours.get(key))}, now {_told(theirs.get(key))}"
            yield Change("subject", key, "other", ours.get(key), theirs.get(key), text)


def _told(value: Any) -> str:
    return "none" if value is None else str(value)


def _verdict(before: Results, after: Results) -> Iterator[Change]:
    if before.verdict != after.verdict:
        text = f"verdict {before.verdict}, now {after.verdict}: {after.why}"
        yield Change("verdict", "campaign", _trend(before.verdict, after.verdict), before.verdict, after.verdict, text)


def _requirements(before: Results, after: Results) -> Iterator[Change]:
    ours, theirs = ({r.id: r for r in x.requirements} for x in (before, after))
    for name in {**ours, **theirs}:
        was = ours[name].verdict if name in ours else "not run"
        now = theirs[name].verdict if name in theirs else "not run"
        if was != now:
            yield Change("requirement", name, _trend(was, now), was, now, f"{name} {was}, now {now}")


def _margins(before: Results, after: Results, tolerance: float) -> Iterator[Change]:
    theirs = {r.id: r for r in after.requirements}
    for r in before.requirements:
        other = theirs.get(r.id)
        if r.tightest_ms is None:
            continue
        if other is None or other.tightest_ms is None:
            text = f"{r.id} least margin was measured, {r.tightest_ms:,.1f} ms, now never"
            yield Change("margin", f"{r.id}, measured", "worse", r.tightest_ms, None, text)
            continue
        slack = _slack(before, after, tolerance * abs(r.tightest_ms))
        if abs(other.tightest_ms - r.tightest_ms) > slack:
            trend: Trend = "worse" if other.tightest_ms < r.tightest_ms else "better"
            was, now = f"{r.tightest_ms:,.1f} ms", f"{other.tightest_ms:,.1f} ms"
            text = f"{r.id} least margin {was}, now {now} ({other.tightest_text})"
            yield Change("margin", r.id, trend, r.tightest_ms, other.tightest_ms, text)


def _slack(before: Results, after: Results, allowed_ms: float) -> float:
    """Times differ only beyond the tolerance and the uncertainty of both."""
    u_ms = sum(x.rule.uncertainty_ms if x.rule else 0.0 for x in (before, after))
    return max(allowed_ms, u_ms, LEAST_MS)


def _latencies(before: Results, after: Results, tolerance: float) -> Iterator[Change]:
    ours, theirs = _by_key(before.latencies), _by_key(after.latencies)
    # Another bench measures under its own name: that it is another one is told with the subject.
    benches = {"model", *(b.name for b in after.benches)}
    others = {(t.requirement, t.path, t.bench) for t in after.latencies}
    for key, one in ours.items():
        other = theirs.get(key)
        if other is None:
            if one.bench in benches and (one.requirement, one.path, one.bench) not in others:
                name = f"{one.requirement} {one.path}".strip()
                text = f"{name} on {one.bench}: {one.n:,} measured before, now none"
                yield Change("latency", f"{name}, measured", "worse", one.n, 0, text)
            continue
        for word, read in _FIGURES:
            was, now = read(one), read(other)
            if was is not None and now is not None and abs(now - was) > _slack(before, after, tolerance * was):
                trend: Trend = "worse" if now > was else "better"
                name = f"{one.requirement} {one.path}".strip()
                text = f"{name} on {one.bench}: {word} {was:,.1f} ms, now {now:,.1f} ms (limit {one.limit_ms:,.0f} ms)"
                yield Change("latency", f"{name}, {word}", trend, was, now, text)
    yield from _sampled(before, after)


def _sampled(before: Results, after: Results) -> Iterator[Change]:
    """Sampled quantiles differ if their intervals do not meet."""
    ours = _by_key([t for s in before.sampling for t in s.latencies])
    theirs = _by_key([t for s in after.sampling for t in s.latencies])
    for key, one in ours.items():
        if one.n and not any((t.requirement, t.path) == (one.requirement, one.path) for t in theirs.values()):
            name = f"{one.requirement} {one.path}".strip()
            text = f"{name}, sampled: {one.n:,} measured before, now none"
            yield Change("latency", f"{name}, sampled, measured", "worse", one.n, 0, text)
        for was in one.quantiles:
            now = next((q for q in theirs[key].quantiles if q.p == was.p), None) if key in theirs else None
            trend = _apart(was, now)
            if trend is not None and now is not None:
                name = f"{one.requirement} {one.path} p{was.p * 100:g}"
                text = f"{name}, sampled: {was.value_ms:,.1f} ms, now {now.value_ms:,.1f} ms; intervals do not meet"
                yield Change("latency", f"{name}, sampled", trend, was.value_ms, now.value_ms, text)


def _apart(was: Quantile, now: Quantile | None) -> Trend | None:
    if now is None:
        return None
    if was.high_ms is not None and now.low_ms is not None and now.low_ms > was.high_ms:
        return "worse"
    if was.low_ms is not None and now.high_ms is not None and now.high_ms < was.low_ms:
        return "better"
    return None


def _by_key(some: list[Latency]) -> dict[tuple[str, str, str, float], Latency]:
    return {(t.requirement, t.path, t.bench, t.limit_ms): t for t in some}


def _p99(t: Latency) -> float | None:
    return next((q.value_ms for q in t.quantiles if q.p == 0.99), None)


def _median(t: Latency) -> float | None:
    return next((q.value_ms for q in t.quantiles if q.p == 0.5), None)


def _largest(t: Latency) -> float | None:
    return t.max_ms


_FIGURES: tuple[tuple[str, Callable[[Latency], float | None]], ...] = (
    ("median", _median), ("p99", _p99), ("largest", _largest),
)  # fmt: skip


def _rates(before: Results, after: Results) -> Iterator[Change]:
    ours = {(s.profile_sha256, r.requirement): r for s in before.sampling for r in s.rates}
    theirs = {(s.profile_sha256, r.requirement): r for s in after.sampling for r in s.rates}
    for key, one in ours.items():
        other = theirs.get(key)
        if other is None:
            if one.n:
                yield _no_rate(one, [r for (_, name), r in theirs.items() if name == one.requirement])
            continue
        if (other.lower <= one.upper and one.lower <= other.upper):
            continue
        trend: Trend = "worse" if other.lower > one.upper else "better"
        text = (
            f"{one.requirement} fails in {one.failures:,} of {one.n:,} draws, now {other.failures:,} of {other.n:,};"
            " the intervals do not meet"
        )
        was, now = (r.failures / max(1, r.n) for r in (one, other))
        yield Change("rate", one.requirement, trend, was, now, text)


def _no_rate(one: Rate, elsewhere: list[Rate]) -> Change:
    """A rate that nothing was drawn for any more; of another profile it is another rate."""
    text = f"{one.requirement} sampled rate: was measured in {one.n:,} draws, now never"
    if elsewhere:
        text += f" with that profile ({elsewhere[0].n:,} draws with another)"
    return Change("rate", f"{one.requirement}, measured", "worse", one.n, 0, text)


def _tests(before: Results, after: Results) -> Iterator[Change]:
    ours, theirs = ({t.name: t for t in x.tests} for x in (before, after))
    for name, test in ours.items():
        other = theirs.get(name)
        if other is None:
            yield Change("test", name, "worse", test.outcome, None, f"{name} is gone ({test.outcome} before)")
        elif other.outcome != test.outcome:
            why = f": {other.reason}" if other.reason else ""
            text = f"{name} {test.outcome}, now {other.outcome}{why}"
            yield Change("test", name, _trend(test.outcome, other.outcome), test.outcome, other.outcome, text)
    for name, test in theirs.items():
        if name not in ours:
            trend: Trend = "worse" if test.outcome in ("fail", "error") else "other"
            yield Change("test", name, trend, None, test.outcome, f"{name} is new: {test.outcome}")


def _coverage(before: Results, after: Results, tolerance: float) -> Iterator[Change]:
    theirs = {c.t: c for c in after.coverage}
    for c in before.coverage:
        other = theirs.get(c.t)
        if not c.of:
            continue
        if other is None or not other.of:
            if not c.seen:
                continue
            text = f"{c.t}-way coverage was measured, {c.seen:,} of {c.of:,}, now never"
            yield Change("coverage", f"{c.t}-way, measured", "worse", c.seen, None, text)
            continue
        was, now = c.seen / c.of, other.seen / other.of
        if abs(now - was) > tolerance * max(was, 1e-9):
            text = f"{c.t}-way coverage {c.seen:,} of {c.of:,}, now {other.seen:,} of {other.of:,}"
            yield Change("coverage", f"{c.t}-way", "worse" if now < was else "better", c.seen, other.seen, text)
    for cell in after.cells_missing:
        if cell not in before.cells_missing and before.complete:
            yield Change("cell", cell, "worse", True, False, f"{cell} has no evidence any more")
    for cell in before.cells_missing:
        if cell not in after.cells_missing and after.complete:
            yield Change("cell", cell, "better", False, True, f"{cell} has evidence now")
