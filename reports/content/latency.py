"""Measured times against their limits, and what independent sampling can say of how often and how late."""

from __future__ import annotations

from collections.abc import Sequence

from reports.charts import Latencies, latency_svg
from reports.content.evidence import Evidence, ms, share, uncertainty
from reports.document import Block, Callout, Code, Column, Facts, Figure, Listing, Para, Section, Table, Text
from reports.results import Latency, Quantile, SamplingResult

ROWS = 11
"""Distributions on one drawing, so that it fits a page."""
DRAWN = 22
FEWEST = 30
"""Distributions of fewer values are told in the table alone."""
TOO_FEW = (
    "p50 and p99 are of the values measured here; –: n is too small to have one (p50 needs 2 values, p99 needs 100). "
    "Margin: limit less the latest value; below zero a limit was missed. 0.0 ms: it was so before it was asked for."
)
NOT_FIELD = (
    "The scenarios of suite and search are chosen to be bad, not drawn at random: no share or quantile of "
    "their times says "
    "how often anything happens in the field."
)
CAPTION = (
    "Measured times, each on a scale of its own up to its limit; heights go by the square root of the "
    "number, so that "
    "single late ones are seen"
)


def section(evidence: Evidence) -> Section:
    """Distributions with limits; then the sampling campaign, which is never pooled with the search."""
    place = {x.id: number for number, x in enumerate(evidence.results.requirements)}
    found = sorted(evidence.results.latencies, key=lambda x: place.get(x.requirement, len(place)))
    blocks: list[Block] = [*_drawn(found)]
    if found:
        rows: list[tuple[Text, ...]] = [
            (x.requirement, f"{x.path}, {x.bench}" if x.path else x.bench, f"{x.n:,}", ms(x.min_ms), ms(x.mean_ms),
             _quantile(x, 0.5), _quantile(x, 0.99), ms(x.max_ms), ms(x.limit_ms), ms(x.limit_ms - x.max_ms))
            for x in found
        ]  # fmt: skip
        columns = (
            Column("id"), Column("what, and where", share=1), Column("n", "right"), Column("least", "right"),
            Column("mean", "right"), Column("p50", "right"), Column("p99", "right"), Column("most", "right"),
            Column("limit", "right"), Column("margin", "right"),
        )  # fmt: skip
        title = f"Measured times and limits; {uncertainty(evidence.results)}"
        blocks += [Table(columns, rows, title), Para(TOO_FEW, "note"), Para(NOT_FIELD, "note")]
    else:
        blocks.append(Para("No distribution of times was recorded in this campaign."))
    return Section("latency", "Latency distributions", tuple(blocks), (_sampling(evidence),))


def _drawn(found: Sequence[Latency]) -> list[Block]:
    out: list[Block] = []
    shown = _shown(found)
    for first in range(0, len(shown), ROWS):
        rows = [_row(x) for x in shown[first : first + ROWS]]
        said = "; ".join(f"{x.name} {x.note}: {', '.join(x.said)}" for x in rows)
        out.append(Figure(latency_svg(rows, "Measured times and their limits"), CAPTION, said))
    return out


def _shown(found: Sequence[Latency]) -> list[Latency]:
    """Of what was measured against several limits the one with most values; of all of these the largest."""
    most: dict[tuple[str, str, str], Latency] = {}
    for x in found:
        key = (x.requirement, x.path, x.bench)
        if x.n >= FEWEST and (key not in most or x.n > most[key].n):
            most[key] = x
    kept = sorted(most.values(), key=lambda x: -x.n)[:DRAWN]
    return [x for x in found if x in kept] if len(found) > ROWS else list(found)


def _row(x: Latency) -> Latencies:
    marks = tuple((f"p{q.p * 100:g}", q.value_ms) for q in x.quantiles if q.p in (0.5, 0.99) and x.n * (1 - q.p) >= 1)
    bounds = [
        f"p{q.p * 100:g} ≤ {ms(q.upper_ms)} ({share(q.confidence)})"
        for q in x.quantiles
        if q.upper_ms is not None
    ]
    return Latencies(
        name=x.requirement,
        note=" · ".join(word for word in (x.path, x.bench) if word),
        bins=tuple((b.from_ms, b.to_ms, b.count) for b in x.histogram),
        limit_ms=x.limit_ms,
        marks=marks,
        said=(f"max {ms(x.max_ms)}", f"n = {x.n:,}, limit {ms(x.limit_ms)}", *bounds[-1:]),
    )


def _quantile(x: Latency, p: float) -> str:
    """Of the values measured; "–" where there are too few of them to have such a quantile."""
    if x.n * (1 - p) < 1:
        return "–"
    return next((ms(q.value_ms) for q in x.quantiles if q.p == p), "–")


def _sampling(evidence: Evidence) -> Section:
    """Bounds and quantiles of independent draws."""
    found = evidence.results.sampling
    title = "Statistics of sampling"
    if not found:
        text = (
            "No sampling campaign belongs to this evidence, so that nothing is said of probabilities. "
        )
        said = Para((text, Code("rig sample"), " draws independently from a stated profile."))
        return Section("sampling", title, (said,))
    parts = tuple(_campaign(s, place) for place, s in enumerate(found, start=1))
    text = "Independent draws from a printed profile, their number fixed beforehand; never pooled with the search."
    return Section("sampling", title, (Para(text),), parts)


def _campaign(s: SamplingResult, place: int) -> Section:
    facts: list[tuple[str, Text]] = [
        ("Profile", f"{s.profile}, seed {s.seed}, bench {s.bench}"),
        ("Stop rule", f"{s.planned:,} draws, fixed before the first"),
        (
            "Drawn",
            f"{s.drawn:,}, of which {s.failed:,} failed a requirement and {s.errors:,} were errors of the rig",
        ),
    ]
    blocks: list[Block] = [Facts(tuple(facts))]
    if not s.complete or s.remark:
        blocks.append(Callout("open", "Remark", s.remark or "Not all planned draws were made."))
    if s.rates:
        rates: list[tuple[Text, ...]] = [
            (x.requirement, f"{x.n:,}", f"{x.failures:,}", f"{x.undecided:,}", f"{share(x.lower)} to {share(x.upper)}",
             f"≤ {share(x.upper_one_sided)}", f"{share(x.confidence)}", x.remark)
            for x in s.rates
        ]  # fmt: skip
        columns = (
            Column("requirement"), Column("n", "right"), Column("failures", "right"), Column("undecided", "right"),
            Column("probability of failure"), Column("one-sided"), Column("confidence"), Column("remark", share=1),
        )  # fmt: skip
        blocks.append(
            Table(columns, rates, "Probability of failure a draw, exact binomial bounds (Clopper–Pearson)")
        )
    if s.latencies:
        blocks += _drawn(s.latencies)
        rows = [_sampled(x, q) for x in s.latencies for q in x.quantiles]
        heads = (
            Column("requirement"), Column("what"), Column("n", "right"), Column("quantile"),
            Column("of the sample", "right"),
            Column("interval"), Column("upper bound", "right"), Column("remark", share=1),
        )  # fmt: skip
        blocks.append(Table(heads, rows, "Quantiles with order-statistic intervals"))
        drift = [_drift(x) for x in s.latencies if x.drift is not None or x.lag1 is not None]
        if drift:
            looks = (Column("requirement"), Column("what", share=1), Column("n", "right"),
                     Column("drift, Spearman", "right"),
                     Column("p", "right"), Column("autocorrelation at lag 1", "right"))  # fmt: skip
            blocks.append(Table(looks, drift, "Drift and autocorrelation: independent draws have neither"))
    blocks.append(Listing(s.profile_text.strip(), f"The operational profile, SHA-256 {s.profile_sha256}"))
    return Section(f"sampling-{place}", f"Profile {s.profile}", tuple(blocks))


def _sampled(x: Latency, q: Quantile) -> tuple[Text, ...]:
    interval = (
        "–"
        if q.low_ms is None or q.high_ms is None
        else f"{ms(q.low_ms)} to {ms(q.high_ms)}, {share(q.confidence)}"
    )
    upper = "–" if q.upper_ms is None else f"≤ {ms(q.upper_ms)}"
    return x.requirement, x.path, f"{x.n:,}", f"p{q.p * 100:g}", ms(q.value_ms), interval, upper, q.note


def _drift(x: Latency) -> tuple[Text, ...]:
    def said(value: float | None) -> str:
        return "–" if value is None else f"{value:+.3f}"

    p = "–" if x.drift_p is None else f"{x.drift_p:.3f}"
    return x.requirement, x.path, f"{x.n:,}", said(x.drift), p, said(x.lag1)
