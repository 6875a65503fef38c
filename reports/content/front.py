"""The cover, and the section on scope, method and deviations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from reports.campaign import Missing
from reports.content.evidence import Evidence, count, hours, when
from reports.document import (
    Block,
    Callout,
    Code,
    Cover,
    Facts,
    Gap,
    Items,
    Para,
    Quiet,
    Section,
    Strong,
    Text,
    To,
    parts,
)

TITLE = "Test report: can the driver get in?"
NOT_STATED = Gap("not stated")
NOT_APPLICABLE = Quiet("not applicable: an emulated ECU")
STATED_BY_CUSTOMER = Quiet(" (stated by the customer)")
NOT_A_CERTIFICATE = (
    "This report is evidence that a laboratory or technical service can adopt and answer for. It is not a "
    "certificate, "
    "and neither the rig nor its makers certify anything."
)
ONLY_THE_ITEM = "The results relate only to the item tested, as received."
FROM_CUSTOMER = (
    "What is marked “stated by the customer” comes from the customer, can affect the validity of the results, and is "
    "not answered for by the laboratory."
)
EMULATED = (
    "The item was the emulated ECU that comes with the rig. Nothing in this report says anything about any "
    "real ECU."
)
WHOLE = "It may be passed on only as a whole, unless the laboratory agrees in writing."


def cover(evidence: Evidence, missing: list[Missing]) -> Cover:
    """The first page: verdict, who, what, when."""
    r, p = evidence.results, evidence.particulars
    draft = ""
    if missing:
        named = ", ".join(m.key for m in missing[:6])
        named += f" and {len(missing) - 6} more, listed in the last section" if len(missing) > 6 else ""
        draft = f"ISO/IEC 17025:2017 asks for {count(len(missing), 'thing')} that nobody has stated: {named}."
    planted = f", with the planted defect {r.defect}" if r.defect else ""
    item: Text = (r.dut, planted)
    if p.item.description:
        item = (*parts(_said(evidence, "item.description")), Quiet(f"; {r.dut}"), planted)
    near = [x.id for x in r.requirements if x.verdict == "conditional pass"]
    facts: list[tuple[str, Text]] = [
        ("Laboratory", _lines(evidence, "laboratory.name", "laboratory.address", "laboratory.contact")),
        ("Place of the activities", _said(evidence, "laboratory.place")),
        ("Customer", _lines(evidence, "customer.name", "customer.address", "customer.contact")),
        ("Order", _said(evidence, "customer.order")),
        ("Item under test", item),
        ("Bench", f"{r.bench}: {_where(evidence)}" if r.rows else r.bench),
        *([("Only conditionally met", f"{', '.join(near)}: a time was nearer to its limit than U")] if near else []),
        ("Not tested", _not_tested(evidence)),
        ("Tested", f"{when(evidence.began)} to {when(evidence.ended)}"),
        ("Issued", _issued(evidence)),
        ("Author", _people(evidence, "author")),
        ("Authorised by", _people(evidence, "approver")),
        ("Replaces", evidence.replaces or "–"),
        ("results.json, SHA-256", Code(evidence.sha256)),
    ]
    if p.laboratory.accreditation:
        facts.insert(1, ("Accreditation", _said(evidence, "laboratory.accreditation")))
    statements = [
        ONLY_THE_ITEM, *([EMULATED] if evidence.emulated else []), *([FROM_CUSTOMER] if p.customer.states else []),
        NOT_A_CERTIFICATE, WHOLE,
    ]  # fmt: skip
    return Cover(
        kind="Test report" if evidence.revision == 1 else f"Test report, revision {evidence.revision}",
        title="Can the driver get in?",
        subtitle="Availability and security of a door-lock ECU under failures of server, network and Bluetooth",
        verdict=r.verdict,
        why=r.why[:1].upper() + r.why[1:] + ".",
        draft=draft,
        facts=tuple(facts),
        statements=tuple(statements),
    )


def scope(evidence: Evidence) -> Section:
    """What was tested, how, and what was done otherwise."""
    r, p = evidence.results, evidence.particulars
    blocks: list[Block] = [
        Para(
            "The question is whether a driver with a valid credential gets in, and nobody else does, while "
            "server, network, "
            "Bluetooth, buses, supply and actuators fail in every combination.",
            "lead",
        ),
        Para(
            f"{count(r.runs, 'judged run')} of scenarios, {hours(r.simulated_s)} of vehicle time, were played "
            f"in {hours(r.seconds)} on bench {r.bench}: {_where(evidence)}. A scenario is a list of failures, of the "
            "driver's wishes and of attacks, each at its instant; the rig plays everything around the ECU, records "
            "every message, motor pulse and latch, and a judge that shares no code with the ECU holds the record "
            "against each requirement."
        ),
    ]
    standards: Text = "; ".join(p.method.standards) or (
        "unlock-rig suite, requirements as listed in this report; verdicts after TTCN-3"
    )
    facts: list[tuple[str, Text]] = [
        ("Method", standards),
        ("Rig", "; ".join(f"{name} {version}" for name, version in evidence.versions.items())),
        ("Dates of the tests", f"{when(evidence.began)} to {when(evidence.ended)}"),
        ("Sampled by", _item_said(evidence, "sampling.by")),
        ("Sampling plan and method", _item_said(evidence, "sampling.plan")),
        ("Date of sampling", _item_said(evidence, "sampling.taken", wanted=False)),
    ]
    blocks.append(Facts(tuple(facts)))
    otherwise: list[Text] = []
    for label, said in (("Addition", p.method.additions), ("Deviation", p.method.deviations),
                        ("Exclusion", p.method.exclusions)):  # fmt: skip
        otherwise += [(Strong(f"{label}: "), text) for text in said]
    otherwise += [(Strong("Exclusion: "), text) for text in evidence.exclusions()]
    none = "No addition to, deviation or exclusion from the method is stated."
    below = [
        Section(
            "deviations", "Additions, deviations, exclusions",
            (Items(tuple(otherwise)),) if otherwise else (Para(none),),
        ),
        Section("external", "Results from others", (_external(evidence),)),
    ]  # fmt: skip
    if p.report.opinions or p.report.remarks:
        below.append(Section("opinions", "Opinions and remarks", tuple(_opinions(evidence))))
    for note in r.notes:
        blocks.append(Callout("open", "Note", note))
    return Section("scope", "Scope, method, deviations", tuple(blocks), tuple(below))


def _opinions(evidence: Evidence) -> Iterator[Block]:
    """Marked as what they are, with who gives them and on what grounds (7.8.7)."""
    report = evidence.particulars.report
    if report.opinions:
        yield Para((Strong("Opinions and interpretations, not results: "), report.opinions))
        grounds = ("Given by ", report.opinions_by or NOT_STATED, "; resting on ", report.opinions_basis or NOT_STATED)
        yield Para((*grounds, "."))
    if report.remarks:
        yield Para((Strong("Remarks: "), report.remarks))


def _external(evidence: Evidence) -> Block:
    others = evidence.particulars.external
    if not others:
        return Para("No result is stated to have been provided by others.")
    return Items(tuple((Strong(o.provider), ": ", o.results or NOT_STATED) for o in others))


def said_at(evidence: Evidence, key: str) -> str:
    """What campaign.toml says at `table.key`."""
    table, _, name = key.partition(".")
    value = getattr(getattr(evidence.particulars, table), name)
    return value if isinstance(value, str) else "; ".join(value)


def label_of(evidence: Evidence, key: str) -> str:
    """What a key is called."""
    table, _, name = key.partition(".")
    fields = dataclasses.fields(getattr(evidence.particulars, table))
    return next(str(f.metadata["label"]) for f in fields if f.name == name)


def _said(evidence: Evidence, key: str) -> Text:
    value = said_at(evidence, key)
    if not value:
        return NOT_STATED
    return (value, STATED_BY_CUSTOMER) if evidence.particulars.by_customer(key) else value


def _item_said(evidence: Evidence, key: str, *, wanted: bool = True) -> Text:
    """Of a thing that was delivered; an emulated one never was."""
    if not said_at(evidence, key) and evidence.emulated:
        return NOT_APPLICABLE
    if not said_at(evidence, key) and not wanted:
        return "–"
    return _said(evidence, key)


item_said = _item_said
"""For the sections on item and bench."""


def _lines(evidence: Evidence, *keys: str) -> Text:
    said = [said_at(evidence, key) for key in keys]
    if not said[0]:
        return NOT_STATED
    whole = ", ".join(s for s in said if s)
    return whole if said[1] else (whole, "; ", Gap("address not stated"))


def _issued(evidence: Evidence) -> Text:
    """The date of issue; one before the end of the tests cannot be right."""
    issued = evidence.particulars.report.issued
    said = _said(evidence, "report.issued")
    if issued and issued < evidence.ended[:10]:
        return (*parts(said), " ", Gap("before the last test ended"))
    return said


def _where(evidence: Evidence) -> str:
    """How many of the runs were on real lines: on a bench of real lines the suite and the search are not."""
    r = evidence.results
    real = sum(1 for row in r.rows if row.counts)
    if not real:
        return "all of them in virtual time, none on real lines"
    return f"{count(real, 'run')} on its lines, in real time; all others in virtual time, with simulated lines"


def _not_tested(evidence: Evidence) -> Text:
    """On the first page, so that nobody takes the verdict for more than it is."""
    r = evidence.results
    untested, left = evidence.untested(), len(r.skipped)
    said: list[str | To] = []
    if untested:
        said += [f"{', '.join(untested)}: no judged run asked for them (", To("conformity"), ")"]
    if left:
        said += ["; " if said else "", f"{left:,} of {count(len(r.tests), 'test')} not executed (", To("open"), ")"]
    said += ["; " if said else "", "combinations of failures that never came up (", To("coverage"), ")"]
    return tuple(said)


def _people(evidence: Evidence, role: str) -> Text:
    people = [p for p in evidence.particulars.person if p.role == role]
    if not people:
        return NOT_STATED
    return "; ".join(f"{p.name}, {p.function}" if p.function else p.name for p in people)
