"""Each failure in detail: what happened, the smallest scenario found, its pictures, what was on the bus."""

from __future__ import annotations

from reports.content.evidence import Evidence, count
from reports.document import (
    Block,
    Callout,
    Code,
    Facts,
    Figure,
    Gap,
    Items,
    Listing,
    Para,
    Section,
    Strong,
    Text,
)
from reports.results import FailureResult
from rig.faults import CATALOGUE
from rig.scenario import Attack, Fault, Intent, Scenario, ScenarioError

MOST_DRAWN = 40
"""Failures with pictures; a report of more says so, and names their files."""

BUS = "Body CAN around the verdict, decoded: time in s, id, sender, name, signals that changed"

PICTURES = (
    ("sequence", "who told whom what", "Sequence of messages between driver, phone, server, buses and ECU"),
    ("picture", "what happened when", "Failures, wishes, messages, bus load and doors over time"),
)


def section(evidence: Evidence) -> Section:
    """All failures, the first of each requirement and fidelity in detail."""
    failures = evidence.results.failures
    if not failures:
        return Section("failures", "Failures in detail", (Para("No requirement failed in any judged run."),))
    text = (
        f"{count(len(failures), 'failure')}: the first of each requirement, shrunk to the smallest scenario "
        "found that still "
        "fails it. The command plays it again; a run in virtual time is the same to the last byte."
    )
    parts = tuple(_one(evidence, failure, place) for place, failure in enumerate(failures, start=1))
    return Section("failures", "Failures in detail", (Para(text),), parts, fresh=True)


def _one(evidence: Evidence, failure: FailureResult, place: int) -> Section:
    entries = "1 entry" if failure.entries == 1 else f"{failure.entries} entries"
    facts: list[tuple[str, Text]] = [
        ("Requirement", f"{failure.requirement}: {failure.demand}"),
        ("Test", Code(failure.test)),
        ("Bench", failure.bench),
        ("Uncertainty of times", _u(evidence, failure)),
        ("Scenario", (Code(failure.scenario_file), f", {entries}")),
        ("Record", Code(failure.trace_hash)),
        ("Again", Code(failure.replay)),
    ]
    blocks: list[Block] = [Callout("bad", f"{failure.requirement} failed", failure.text), Facts(tuple(facts))]
    files = _files(failure)
    lost = []
    for name, caption in (("scenario", "The scenario"), ("bus", BUS)):
        said = evidence.text_of(files[name], failure.files.get(files[name], ""))
        if said is None:
            lost.append(files[name])
        else:
            if name == "scenario":
                blocks += _in_words(said)
            blocks.append(Listing(said.rstrip(), caption))
    if place <= MOST_DRAWN:
        for name, caption, what in PICTURES:
            drawing = evidence.text_of(files[name], failure.files.get(files[name], ""))
            if drawing is None:
                lost.append(files[name])
            else:
                said = f"{what}; {failure.text}"
                blocks.append(Figure(drawing, f"{failure.requirement}: {caption}", said, wide=True))
    else:
        blocks.append(Para(f"Pictures: {files['sequence']}, {files['picture']}.", "note"))
    if lost:
        why = "not in the folder, or not the file that the results name by hash: "
        blocks.insert(2, Para(Gap(why + ", ".join(lost))))
    return Section(f"failure-{place}", f"{failure.requirement}: {_title(failure)}", tuple(blocks), fresh=place > 1)


def _u(evidence: Evidence, failure: FailureResult) -> str:
    """U of the times that this failure tells."""
    for bench in evidence.benches:
        if bench.name == failure.bench and bench.rule.uncertainty_ms:
            return f"U = {bench.rule.uncertainty_ms:g} ms"
    return "U = 0 ms: in virtual time they are exact"


def _in_words(said: str) -> list[Block]:
    """The scenario for somebody who does not read JSON; nothing if this version cannot read it."""
    try:
        scenario = Scenario.from_json(said)
    except ScenarioError:
        return []
    carry = scenario.carry
    card = "a key card" if carry.card else "no key card"
    has = f"the driver has a phone with a {carry.session} session and {card}"
    items: list[Text] = [(Strong("Before: "), f"the doors are {scenario.doors}; {has}; everything is healthy.")]
    wishes = 0
    for entry in scenario.timeline:
        if isinstance(entry, Fault):
            items.append(_fault(entry))
        elif isinstance(entry, Intent):
            how = "by the ladder (Bluetooth, then server, then card)" if entry.via == "ladder" else f"by {entry.via}"
            text = f"intent {wishes}, the {entry.who} wants to {entry.want} {how}."
            items.append((Strong(f"{_at(entry.at_us)}: "), text))
            wishes += 1
        elif isinstance(entry, Attack):
            more = "".join(f", {name} {value}" for name, value in entry.params)
            items.append((Strong(f"{_at(entry.at_us)}: "), "an attacker's move: ", Code(entry.kind), more + "."))
    return [Para("What was played, in words; times from the scenario's origin:"), Items(tuple(items))]


def _fault(fault: Fault) -> Text:
    mode = CATALOGUE.get(fault.mode)
    what = f": {mode.text}" if mode is not None else ""
    until = "until all failures are healed" if fault.end_us is None else f"until {_at(fault.end_us)}"
    when = f", at protocol step {fault.step} number {fault.nth}" if fault.step else ""
    return (Strong(f"{_at(fault.start_us)}: "), "failure ", Code(fault.mode), f"{what}{when}, {until}.")


def _at(us: int) -> str:
    return f"{us / 1e6:.3f} s"


def _title(failure: FailureResult) -> str:
    words = failure.text
    return words if len(words) <= 90 else words[:88].rsplit(" ", 1)[0] + " …"


def _files(failure: FailureResult) -> dict[str, str]:
    """Its files by what they hold; those of older results are found by the scenario's name."""
    stem = failure.scenario_file.removesuffix(".json")
    return {
        "scenario": failure.scenario_file,
        "picture": failure.picture_file,
        "sequence": failure.sequence_file or f"{stem}.sequence.svg",
        "bus": failure.bus_file or f"{stem}.bus.txt",
    }
