"""The item under test as people describe it and as it was read, and the bench it stood on."""

from __future__ import annotations

from reports.content.evidence import Evidence
from reports.content.front import NOT_STATED, item_said, label_of
from reports.document import Block, Callout, Code, Column, Facts, Gap, Para, Quiet, Section, Table, Text, Word
from reports.results import Adapter, BenchResult

TYPED = (
    "description", "manufacturer", "part_number", "serial_number", "hardware", "firmware", "firmware_sha256",
    "condition", "received",
)  # fmt: skip
NOT_DETERMINED = Gap("not determined")


def item(evidence: Evidence) -> Section:
    """Each particular twice where it can be: typed by people, read from the DUT."""
    read = evidence.read_from_dut()
    rows: list[tuple[Text, ...]] = []
    mismatches = []
    for name in TYPED:
        key = f"item.{name}"
        typed = str(getattr(evidence.particulars.item, name))
        found = read.get(name)
        verdict: Text = ""
        if typed and found is not None:
            same = typed.lower() == found.lower()
            verdict = Word("match" if same else "mismatch")
            if not same:
                mismatches.append(f"{label_of(evidence, key)}: stated “{typed}”, read “{found}”")
        said = item_said(evidence, key)
        if name == "firmware_sha256" and typed:
            said = Code(typed)
        unreadable = name in ("description", "condition", "received")
        readable: Text = "–" if unreadable else NOT_DETERMINED
        if found is not None:
            readable = Code(found) if name == "firmware_sha256" else found
        rows.append((label_of(evidence, key), said, readable, verdict))
    blocks: list[Block] = []
    if evidence.emulated:
        defect = evidence.results.defect
        planted = f", with the defect {defect} planted on purpose" if defect else ""
        text = (
            f"The item is the emulated door-lock ECU of the rig{planted}. It shows that the rig works; it is "
            "no "
            "evidence about any other ECU."
        )
        blocks.append(Callout("open", "An emulated ECU", text))
    if mismatches:
        blocks.append(Callout("bad", "What was stated is not what was read", "; ".join(mismatches) + "."))
    columns = (
        Column("particular"),
        Column("stated", share=3),
        Column("read from the item", share=3),
        Column(""),
    )
    blocks.append(Table(columns, rows, "The item, as stated in campaign.toml and as read from it"))
    received = "Results apply to the item as received."
    if evidence.emulated:
        received = "Nothing was received: the item is the source files of that SHA-256."
    blocks.append(Para(f"“Not determined” means that no port of this bench supplies it. {received}", "note"))
    return Section("item", "Item under test", tuple(blocks))


def bench(evidence: Evidence) -> Section:
    """Where the lines were, with what they were measured, and how well."""
    r, p = evidence.results, evidence.particulars
    about: list[tuple[str, Text]] = []
    for b in evidence.benches:
        about += _bench_facts(b)
    about = about or [("Bench", r.bench)]
    for name in ("temperature", "humidity", "supply", "other"):
        key = f"conditions.{name}"
        if name == "other" and not p.conditions.other:
            continue
        said = item_said(evidence, key)
        about.append((label_of(evidence, key).capitalize(), said))
    equipment: list[tuple[Text, ...]] = [
        (e.name, e.serial_number or NOT_DETERMINED, e.calibrated or NOT_DETERMINED, e.due or NOT_DETERMINED,
         e.certificate or NOT_DETERMINED, e.uncertainty or NOT_DETERMINED)
        for e in p.equipment
    ]  # fmt: skip
    known = {e.name for e in p.equipment}
    equipment += [
        (f"{a.port}: {a.name}", _known(a.serial), *_calibration(a), f"in U = {b.rule.uncertainty_ms:g} ms of the bench")
        for b in evidence.benches
        for a in b.adapters
        if a.name not in known
    ]  # fmt: skip
    columns = (
        Column("device", share=2), Column("serial number"), Column("calibrated"), Column("due"),
        Column("certificate"), Column("uncertainty"),
    )  # fmt: skip
    parts = [
        Section(
            "calibration", "Devices and calibration",
            (
                Table(columns, equipment, "Devices that times and levels were measured with")
                if equipment
                else Para("No device was measured with: all lines were simulated, and time is exact."),
            ),
        ),
        Section("uncertainty", "Measurement uncertainty", tuple(_uncertainty(evidence))),
    ]  # fmt: skip
    return Section("bench", "Bench, calibration, uncertainty", (Facts(tuple(about)),), tuple(parts))


def _bench_facts(b: BenchResult) -> list[tuple[str, Text]]:
    """What the bench file and the computer say of a bench."""
    facts: list[tuple[str, Text]] = [
        ("Bench", f"{b.name}: {b.text}"),
        (
            "Fidelity",
            {
                "model": "virtual time, all lines simulated",
                "stack": "virtual time, all lines simulated; real protocol stacks on the outer links",
            }.get(b.fidelity, "real time, on the ports named here; suite and search in virtual time"),
        ),
        ("DUTs at once", str(b.lanes)),
        ("Stall allowed", f"{b.stall_ms} ms, beyond it a run is inconclusive"),
    ]
    facts += [(f"Port {port}", Code(where)) for port, where in b.ports.items()]
    if b.environment:
        facts.append(("Computer", "; ".join(f"{name}: {said}" for name, said in b.environment.items())))
    if b.file_sha256:
        facts.append(("Bench file, SHA-256", Code(b.file_sha256)))
    return facts


def _calibration(a: Adapter) -> tuple[Text, Text, Text]:
    """When, until when, and by which certificate; what is emulated has nothing to calibrate."""
    if a.calibrated.startswith("emulated"):
        return Quiet("not applicable"), Quiet("not applicable"), Quiet("not applicable")
    return _known(a.calibrated), NOT_DETERMINED, NOT_DETERMINED


def _known(said: str) -> Text:
    return NOT_DETERMINED if said in ("", "not determined") else said


def _uncertainty(evidence: Evidence) -> list[Block]:
    found = [b.rule.uncertainty_ms for b in evidence.benches]
    u_ms = max(found) if found else 0.0 if evidence.results.bench == "model" else None
    if u_ms is None:
        return [Para(("The uncertainty of measured times is ", NOT_STATED, "."))]
    if u_ms == 0:
        return [
            Para(
                "In virtual time every instant is an exact whole number of microseconds, so that measured "
                "times have no "
                "uncertainty, U = 0 ms. What a model leaves out of the real thing is no uncertainty of "
                "measurement."
            )
        ]
    return [
        Para(
            f"Times measured on this bench have the expanded uncertainty U = {u_ms:g} ms (k = 2, about 95 %), from "
            "the instant at the line to the stamp in the record, and back. The bench file states it; no budget of it "
            "is part of this report. It is taken off each limit as the decision rule says. Runs in virtual time "
            "have U = 0 ms. A stall of the rig or of the ECU's process beyond the bench's allowance makes a run "
            "inconclusive rather than late."
        ),
        *_untraceable(evidence),
    ]


def _untraceable(evidence: Evidence) -> list[Block]:
    """What ISO/IEC 17025, 6.5, asks for, where nobody can show it."""
    stated = [e.calibrated for e in evidence.particulars.equipment]
    read = [a.calibrated for b in evidence.benches for a in b.adapters if a.port == "clock"]
    if any(stated) or any(date not in ("", "not determined") for date in read):
        return []
    text = "No calibration of what measured these times is stated: their metrological traceability is not shown."
    return [Callout("open", "Traceability not shown", text)]
