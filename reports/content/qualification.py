"""Is the rig fit to judge: which planted defects its strategies found, from qualification.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.charts import dots_svg
from reports.content.evidence import Evidence, when
from reports.document import Block, Callout, Code, Column, Figure, Para, Section, Table, Text, Word

COMMAND = "rig qualify --json DIR/qualification.json"


def section(evidence: Evidence) -> Section:
    """Defects by strategies, correct variants, mutants of the rig."""
    found = evidence.qualification
    title = "Qualification of the rig"
    if found is None:
        text = Para(("Not determined in this campaign. ", Code(COMMAND), " adds it; then make the report again."))
        return Section("qualification", title, (text,))
    strategies = list(dict.fromkeys(h["strategy"] for h in found["hunts"]))
    hunts = {(h["defect"], h["strategy"]): h for h in found["hunts"]}
    defects = list(dict.fromkeys(h["defect"] for h in found["hunts"]))
    caught = [d for d in defects if any(hunts[d, s]["caught_by"] for s in strategies if (d, s) in hunts)]
    noticed = sum(1 for m in found["mutants"] if m["noticed_by"])
    blocks: list[Block] = [
        Para(
            "The rig was tried on ECUs that are known to be wrong, on correct variants of the ECU, and with "
            "itself made wrong "
            "in one place after the other. It must find the first, leave the second alone, and notice the "
            "third."
        ),
        Callout(
            "good" if found["fit"] else "bad",
            "The rig is fit" if found["fit"] else "The rig is not fit",
            f"{len(caught)} of {len(defects)} planted defects found; {len(found['false_alarms'])} false "
            "alarms on "
            f"{len(found['variants'])} correct variants; {noticed} of {len(found['mutants'])} mutants of the "
            "rig noticed."
            + ("" if found["fit"] else " " + _sentence("; ".join(found["reasons"]))),
        ),
        Para(_made(found, evidence)),
        *_drawn(defects, strategies, hunts),
        Table(
            (Column("planted defect", share=2), Column("found by", share=2), Column("requirement"),
             Column("scenarios", "right"), Column("time", "right")),
            [_row(defect, [hunts[defect, s] for s in strategies if (defect, s) in hunts]) for defect in defects],
            "The quickest find of each planted defect: the scenarios that were played until then, and how long it took",
        ),
    ]  # fmt: skip
    if found["mutants"]:
        rows: list[tuple[Text, ...]] = [
            (Code(m["mutant"]), m["text"], m["noticed_by"] or Word("missed")) for m in found["mutants"]
        ]
        columns = (Column("mutant of the rig"), Column("what is wrong with it", share=2), Column("noticed by", share=1))
        blocks.append(Table(columns, rows, "The rig made wrong on purpose"))
    return Section("qualification", title, tuple(blocks))


ROWS = 40
"""Defects on one drawing, so that it fits a page."""


def _drawn(defects: list[str], strategies: list[str], hunts: Mapping[tuple[str, str], Any]) -> list[Block]:
    """Which strategy found what; of a single one the table says it all."""
    if len(strategies) < 2:
        return []
    out: list[Block] = []
    for first in range(0, len(defects), ROWS):
        part = defects[first : first + ROWS]
        rows = [(d, [_sign(hunts.get((d, s))) for s in strategies]) for d in part]
        found = sum(1 for _d, signs in rows if "yes" in signs)
        caption = "Planted defects (rows) by search strategies (columns): ● found, ✗ not found within its time"
        said = f"{found} of these {len(part)} defects were found by at least one of {', '.join(strategies)}"
        out.append(Figure(dots_svg(strategies, rows, "Defects by strategies"), caption, said))
    return out


def _made(found: Mapping[str, Any], evidence: Evidence) -> str:
    """Which rig it was that was tried: only that one is qualified."""
    rig, at = found.get("rig", ""), when(found.get("made", ""))
    if not rig:
        return "Which version of the rig was tried, and when, is not determined: this matrix does not say it."
    same = rig == evidence.results.versions.get("unlock-rig", "")
    said = "the version of this campaign." if same else "NOT the version of this campaign, of which it shows nothing."
    return f"Tried was unlock-rig {rig}, {at}: {said}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _sign(hunt: Mapping[str, Any] | None) -> str:
    return "" if hunt is None else "yes" if hunt["caught_by"] else "no"


def _row(defect: str, hunts: list[Mapping[str, Any]]) -> tuple[Text, ...]:
    finds = [h for h in hunts if h["caught_by"]]
    if not finds:
        spent = sum(h["scenarios"] for h in hunts)
        return Code(defect), Word("missed"), "", f"{spent:,}", f"{sum(h['seconds'] for h in hunts):.1f} s"
    best = min(finds, key=lambda h: float(h["seconds"]))
    return Code(defect), best["strategy"], best["caught_by"], f"{best['scenarios']:,}", f"{best['seconds']:.1f} s"
