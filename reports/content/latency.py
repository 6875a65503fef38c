"""Measured times against their limits, and what independent sampling can say of how often and how late."""

from __future__ import annotations

from reports.charts import latency_svg
from reports.content.evidence import Evidence
from reports.document import Block, Column, Figure, Para, Section, Table


def section(evidence: Evidence) -> Section:
    """Distributions with limits; then the sampling campaign, which is never pooled with the search."""
    rows = evidence.latencies()
    blocks: list[Block] = []
    if rows:
        blocks.append(
            Figure(
                latency_svg(rows, "Measured times and their limits"),
                "Times measured in runs that asked, each on a scale of its own; heights go by the square "
                "root of the number, "
                "so that single late ones are seen",
                "; ".join(f"{r.name}: {', '.join(r.said)}" for r in rows),
            )
        )
        blocks.append(
            Para(
                "The scenarios of a search are chosen to be bad, not drawn at random: no share or quantile "
                "of their times "
                "says how often anything happens in the field.",
                "note",
            )
        )
    else:
        blocks.append(Para("No distribution of times was recorded in this campaign."))
    return Section("latency", "Latency distributions", tuple(blocks), (sampling(evidence),))


def sampling(evidence: Evidence) -> Section:
    """Bounds and quantiles of independent draws."""
    tables = evidence.samplings()
    if not tables:
        text = (
            "No sampling campaign belongs to this evidence, so that nothing is said of probabilities; "
            "rig sample draws independently from a stated profile."
        )
        return Section("sampling", "Statistics of sampling", (Para(text),))
    blocks: list[Block] = []
    for words, rows in tables:
        blocks += [Para(words), Table((Column("quantity", share=2), Column("value", share=3)), rows)]
    return Section("sampling", "Statistics of sampling", tuple(blocks))
