"""Which combinations of failures came up: by pairs of families as a heat map, by t = 1, 2, 3, by way in and mode."""

from __future__ import annotations

import math

from reports.charts import heat_svg
from reports.content.evidence import Evidence, count
from reports.document import Block, Column, Figure, Para, Quiet, Section, Table, Text
from reports.results import SearchResult

NAMED = 30
"""Missing combinations named of each t; results.json has up to 200."""
WHAT = (
    "the percentage, rounded down, of all possible pairs of modes that came up in one scenario; on the "
    "diagonal, of single "
    "modes"
)


def section(evidence: Evidence) -> Section:
    """How much of all there is was tried, and what was not."""
    r = evidence.results
    done = r.cells_required - len(r.cells_missing)
    blocks: list[Block] = [
        Para(
            f"{done:,} of {count(r.cells_required, 'pair')} of way in and failure mode were shown to "
            "hold: the way in works while a mode outside its needs holds, and again after one inside them has ended."
            + (" The others failed or were not tried." if r.cells_missing else "")
        )
    ]
    pairs = evidence.pairs()
    if pairs:
        names = list(dict.fromkeys(row for row, _column in pairs))
        blocks.append(
            Figure(
                heat_svg(names, names, pairs, "Pairs of failure modes that came up, by family"),
                f"Combinations of failures, by family: {WHAT}",
                _said(evidence),
            )
        )
    if r.coverage:
        rows: list[tuple[Text, ...]] = [
            (str(c.t), f"{c.seen:,}", f"{c.of:,}", _percent(c.seen, c.of), f"{c.missing_count:,}")
            for c in r.coverage
        ]
        columns = (Column("t"), Column("came up", "right"), Column("possible", "right"), Column("share", "right"),
                   Column("missing", "right"))  # fmt: skip
        blocks.append(
            Table(columns, rows, "Combinations of t failures of different families in one scenario")
        )
        parts = tuple(
            Section(f"missing-{c.t}", f"Never came up, t = {c.t}", (_missing(c.missing, c.missing_count),))
            for c in r.coverage
            if c.missing_count
        )
    else:
        blocks.append(Para("Which combinations came up was not determined in this campaign."))
        parts = ()
    if r.searches:
        parts = (Section("searches", "Searches", tuple(_searches(r.searches))), *parts)
    return Section("coverage", "Coverage of combinations", tuple(blocks), parts)


def _said(evidence: Evidence) -> str:
    return (
        "; ".join(f"t = {c.t}: {c.seen:,} of {c.of:,}" for c in evidence.results.coverage)
        or "pairs of failures"
    )


def _missing(missing: list[list[str]], number: int) -> Block:
    named = missing[:NAMED]
    rest = f" and {number - len(named):,} more" if number > len(named) else ""
    return Para(("; ".join(" + ".join(modes) for modes in named), Quiet(rest)), "note")


def _searches(searches: list[SearchResult]) -> list[Block]:
    rows: list[tuple[Text, ...]] = [
        (s.strategy, str(s.seed), "time" if s.wanted is None else f"{s.wanted:,}", f"{s.runs:,}", f"{s.distinct:,}",
         "yes" if s.exhausted else "no", f"{s.failed:,}", f"{s.errors:,}",
         *[next((_percent(c.seen, c.of) for c in s.coverage if c.t == t), "–") for t in (1, 2, 3)])
        for s in searches
    ]  # fmt: skip
    columns = (
        Column("strategy", share=1), Column("seed", "right"), Column("wanted", "right"), Column("run", "right"),
        Column("distinct", "right"), Column("exhausted"), Column("failed", "right"), Column("errors", "right"),
        Column("t = 1", "right"), Column("t = 2", "right"), Column("t = 3", "right"),
    )  # fmt: skip
    text = (
        "A search chooses scenarios that are likely to be bad. Exhausted: the strategy had no more to offer. "
        "The shares are of "
        "the combinations of t failures."
    )
    return [Para(text), Table(columns, rows, "Searches")]


def _percent(seen: int, of: int) -> str:
    """Rounded down, so that 100 % means all of them."""
    return f"{math.floor(seen / of * 1000) / 10:.1f} %" if of else "–"
