"""Which combinations of failures came up: by pairs of families as a heat map, by t = 1, 2, 3, by way in and "
"mode."""

from __future__ import annotations

import math

from reports.charts import heat_svg
from reports.content.evidence import Evidence, count
from reports.document import Block, Column, Figure, Items, Para, Section, Table, Text

NAMED = 40
"""Missing combinations named; results.json has more."""


def section(evidence: Evidence) -> Section:
    """How much of all there is was tried, and what was not."""
    r = evidence.results
    done = r.cells_required - len(r.cells_missing)
    blocks: list[Block] = [
        Para(
            f"{done:,} of {count(r.cells_required, 'pair')} of way in and failure mode have evidence: the way "
            "in works while "
            "a mode outside its needs holds, and again after one inside them has ended."
        )
    ]
    pairs = evidence.pairs()
    if pairs:
        names = list(dict.fromkeys(name for pair in pairs for name in pair))
        covered, possible = sum(s.covered for s in pairs.values()), sum(s.possible for s in pairs.values())
        blocks.append(
            Figure(
                heat_svg(names, names, pairs, "Pairs of failure modes that came up, by family"),
                "Pairs of failures in one scenario, by family of failure: the percentage, rounded down, of "
                "all possible "
                "pairs that came up",
                f"{covered:,} of {possible:,} pairs of failures came up in one scenario",
            )
        )
    ways = evidence.t_ways()
    if ways:
        rows: list[tuple[Text, ...]] = [
            (str(w.t), f"{w.covered:,}", f"{w.possible:,}", _percent(w.covered, w.possible)) for w in ways
        ]
        columns = (Column("t"), Column("came up", "right"), Column("possible", "right"), Column("share", "right"))
        blocks.append(Table(columns, rows, "Combinations of t failures in one scenario"))
        for way in ways:
            if way.missing:
                named = tuple(" + ".join(m) for m in way.missing[:NAMED])
                more = way.possible - way.covered - len(named)
                tail = (f"and {more:,} more",) if more > 0 else ()
                blocks += [Para(f"Never came up, t = {way.t}:"), Items((*named, *tail))]
    if not pairs and not ways:
        blocks.append(Para("Which combinations came up was not determined in this campaign."))
    for line in evidence.search_words():
        blocks.append(Para(line, "note"))
    return Section("coverage", "Coverage of combinations", tuple(blocks))


def _percent(covered: int, possible: int) -> str:
    """Rounded down, so that 100 % means all of them."""
    return f"{math.floor(covered / possible * 1000) / 10:.1f} %" if possible else "–"
