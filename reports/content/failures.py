"""Each failure in detail: what happened, the smallest scenario found, its pictures, what was on the bus, "
"the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from reports.content.evidence import Evidence, count
from reports.document import Block, Callout, Code, Facts, Figure, Gap, Listing, Para, Section, Text
from reports.results import FailureResult

MOST_DRAWN = 40
"""Failures with pictures; a report of more says so, and names their files."""

BUS = "Body CAN around the verdict, decoded: time in s, id, sender, name, signals that changed"


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
    return Section("failures", "Failures in detail", (Para(text),), parts)


def _one(evidence: Evidence, failure: FailureResult, place: int) -> Section:
    entries = "1 entry" if failure.entries == 1 else f"{failure.entries} entries"
    facts: list[tuple[str, Text]] = [
        ("Requirement", f"{failure.requirement}: {failure.demand}"),
        ("Test", Code(failure.test)),
        ("Bench", failure.bench),
        ("Scenario", (Code(failure.scenario_file), f", {entries}")),
        ("Record", Code(failure.trace_hash)),
        ("Again", Code(failure.replay)),
    ]
    blocks: list[Block] = [Callout("bad", f"{failure.requirement} failed", failure.text), Facts(tuple(facts))]
    stem = PurePosixPath(failure.scenario_file).with_suffix("").as_posix()
    scenario = evidence.text_of(failure.scenario_file)
    if scenario is None:
        blocks.append(Para((Gap(f"{failure.scenario_file} is not in the folder"), ".")))
    else:
        blocks.append(Listing(scenario.strip(), "The scenario"))
    bus = evidence.text_of(f"{stem}.bus.txt")
    if bus is not None:
        blocks.append(Listing(bus.rstrip(), BUS))
    if place <= MOST_DRAWN:
        blocks += list(_pictures(evidence, failure, stem))
    else:
        blocks.append(Para(f"Pictures: {stem}.sequence.svg, {failure.picture_file}.", "note"))
    return Section(f"failure-{place}", f"{failure.requirement}: {_title(failure)}", tuple(blocks))


def _title(failure: FailureResult) -> str:
    words = failure.text
    return words if len(words) <= 90 else words[:88].rsplit(" ", 1)[0] + " …"


def _pictures(evidence: Evidence, failure: FailureResult, stem: str) -> Iterator[Block]:
    sequence = evidence.text_of(f"{stem}.sequence.svg")
    if sequence is not None:
        said = f"Sequence of messages between driver, phone, server, buses and ECU; {failure.text}"
        yield Figure(sequence, f"{failure.requirement}: who told whom what", said, wide=True)
    timeline = evidence.text_of(failure.picture_file)
    if timeline is not None:
        said = f"Failures, wishes, messages, bus load and doors over time; {failure.text}"
        yield Figure(timeline, f"{failure.requirement}: what happened when", said, wide=True)
