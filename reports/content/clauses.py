"""ISO/IEC 17025:2017, clause 7.8: what it asks of a test report, and the section of ours that answers.

The clauses are told in our own words. docs/iso17025.md has the same table, and a test holds both against the report.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports.campaign import Missing
from reports.content.evidence import Evidence
from reports.document import Column, Gap, Para, Section, Table, Text, To


@dataclass(frozen=True, slots=True)
class Clause:
    """One demand.

    Attributes:
        clause: its number.
        demand: what it asks for, in our words.
        sections: anchors of the sections that answer; "cover" is the first page.
        who: who knows it: "rig", "people" (campaign.toml) or "both".
    """

    clause: str
    demand: str
    sections: tuple[str, ...]
    who: str


CLAUSES = (
    Clause("7.8.2.1 a", "a title", ("cover",), "rig"),
    Clause("7.8.2.1 b", "name and address of the laboratory", ("cover",), "people"),
    Clause("7.8.2.1 c", "where the activities were done", ("cover",), "people"),
    Clause("7.8.2.1 d", "a unique identification on every part, and a clear end", ("cover", "end"), "both"),
    Clause("7.8.2.1 e", "name and contact of the customer", ("cover",), "people"),
    Clause("7.8.2.1 f", "the method used", ("scope",), "rig"),
    Clause("7.8.2.1 g", "the item: description, identification, condition", ("item",), "both"),
    Clause("7.8.2.1 h", "dates of receipt and of sampling", ("item", "scope"), "people"),
    Clause("7.8.2.1 i", "dates of the activities", ("cover", "scope"), "rig"),
    Clause("7.8.2.1 j", "date of issue", ("cover",), "people"),
    Clause("7.8.2.1 k", "sampling plan and method, where relevant", ("scope",), "people"),
    Clause("7.8.2.1 l", "that the results relate only to the items tested", ("cover",), "rig"),
    Clause("7.8.2.1 m", "the results, with units", ("conformity", "results", "latency"), "rig"),
    Clause("7.8.2.1 n", "additions to, deviations and exclusions from the method", ("scope", "open"), "both"),
    Clause("7.8.2.1 o", "who authorises the report", ("cover",), "people"),
    Clause("7.8.2.1 p", "results that others provided, marked as such", ("scope",), "people"),
    Clause("7.8.2.2", "what the customer stated, marked; that results apply to the sample as received",
           ("cover", "item"), "people"),
    Clause("7.8.3.1 a", "test conditions", ("bench",), "both"),
    Clause("7.8.3.1 b", "a statement of conformity, where relevant", ("conformity",), "rig"),
    Clause("7.8.3.1 c", "measurement uncertainty, in the unit of what was measured", ("bench", "conformity"), "rig"),
    Clause("7.8.3.1 d", "opinions and interpretations, where appropriate", ("scope",), "people"),
    Clause("7.8.3.1 e", "what else methods, authorities or customers ask for",
           ("trace", "coverage", "cutsets", "qualification", "failures", "reproduction"), "rig"),
    Clause("7.8.3.2", "where the laboratory samples: what 7.8.5 asks for", ("scope",), "people"),
    Clause("7.8.6.1", "the decision rule, with its level of risk, documented and applied", ("conformity",), "rig"),
    Clause("7.8.6.2 a", "to which results a statement of conformity applies", ("conformity",), "rig"),
    Clause("7.8.6.2 b", "which requirements are met and which are not", ("conformity",), "rig"),
    Clause("7.8.6.2 c", "the decision rule that was applied", ("conformity",), "rig"),
    Clause("7.8.7.1", "opinions only from people authorised to give them, with what they rest on", ("scope",),
           "people"),
    Clause("7.8.7.2", "opinions resting on the results from the item, and marked as opinions", ("scope",), "people"),
    Clause("7.8.8.1", "changes to an issued report, marked, with their reason", ("amendments",), "both"),
    Clause("7.8.8.2", "amendments as a further document that says so", ("amendments",), "both"),
    Clause("7.8.8.3", "a new report: uniquely identified, naming the one that it replaces",
           ("cover", "amendments"), "rig"),
)  # fmt: skip


def section(evidence: Evidence, missing: list[Missing]) -> Section:
    """Each clause, where it is answered, and what nobody has said yet."""
    rows: list[tuple[Text, ...]] = []
    for clause in CLAUSES:
        places: list[str | To] = []
        for anchor in clause.sections:
            places += [", "] if places else []
            places.append("cover" if anchor == "cover" else "end mark" if anchor == "end" else To(anchor))
        lacks = [m.key for m in missing if m.clause == clause.clause]
        said: Text = tuple(_joined([Gap(f"not stated: {key}") for key in lacks])) if lacks else _state(clause, evidence)
        rows.append((clause.clause, clause.demand, tuple(places), said))
    text = (
        "Clause 7.8 of ISO/IEC 17025:2017 in the words of this rig, and where each demand is answered. "
        "What only people know comes from campaign.toml; what is missing there is named."
    )
    columns = (Column("clause"), Column("what it asks for", share=3), Column("answered in", share=2),
               Column("state", share=2))  # fmt: skip
    table = Table(columns, rows, "Demands of ISO/IEC 17025:2017, 7.8.2, 7.8.3, 7.8.6, 7.8.7, 7.8.8")
    return Section("clauses", "What ISO/IEC 17025 asks for", (Para(text), table))


STATES: dict[str, tuple[str, ...]] = {
    "7.8.2.1 d": ("report.number",),
    "7.8.2.1 h": ("item.received", "sampling.taken"),
    "7.8.2.1 k": ("sampling.by", "sampling.plan"),
    "7.8.2.1 n": ("method.additions", "method.deviations", "method.exclusions"),
    "7.8.2.1 p": ("external",),
    "7.8.2.2": ("customer.states",),
    "7.8.3.1 a": ("conditions.temperature", "conditions.humidity", "conditions.supply", "conditions.other"),
    "7.8.3.1 d": ("report.opinions",),
    "7.8.3.2": ("sampling.plan",),
    "7.8.7.1": ("report.opinions",),
    "7.8.7.2": ("report.opinions",),
}
"""What may rightly be unsaid: the keys of campaign.toml that say it, if anything does."""


def _state(clause: Clause, evidence: Evidence) -> str:
    """Who said it; and that nobody did, where nobody must."""
    if clause.who == "rig":
        return "by the rig"
    if clause.clause.startswith("7.8.8"):
        return "stated" if evidence.results.amendments else "not applicable: nothing was amended"
    keys = STATES.get(clause.clause)
    if keys is None or any(_is_said(evidence, key) for key in keys):
        return "stated" if clause.who == "people" else "stated, and by the rig"
    if clause.who == "both":
        return "by the rig; people stated nothing more"
    return "nothing stated; not applicable to an emulated ECU" if clause.clause in ITEM and evidence.emulated else (
        "nothing stated: there is none"
    )


ITEM = frozenset({"7.8.2.1 h", "7.8.2.1 k", "7.8.3.2"})


def _is_said(evidence: Evidence, key: str) -> bool:
    table, _, name = key.partition(".")
    part = getattr(evidence.particulars, table)
    return bool(getattr(part, name) if name else part)


def _joined(gaps: list[Gap]) -> list[Gap | str]:
    out: list[Gap | str] = []
    for gap in gaps:
        out += [", "] if out else []
        out.append(gap)
    return out
