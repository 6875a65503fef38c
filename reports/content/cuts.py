"""What keeps the driver out: minimal cut sets and fault tree, from results or cutsets.json."""

from __future__ import annotations

from reports.content.evidence import Evidence, count
from reports.cutsets import fault_tree_svg, from_document
from reports.document import Block, Callout, Code, Column, Figure, Para, Section, Table, Text
from rig.faults import CATALOGUE
from rig.faulttree import fault_tree

COMMAND = "rig cutsets --json DIR/cutsets.json"
SIMULATED = ", with all links simulated and without the bench's real protocol stacks"
"""Said on a bench of stacks, whose cut sets are found faster without them."""


def section(evidence: Evidence) -> Section:
    """Ways in, the smallest sets of failures that shut them, and the tree of both."""
    cuts = evidence.cutsets
    title = "Cut sets and fault tree"
    if cuts is None:
        missing = Para(("Not determined in this campaign. ", Code(COMMAND), " adds it; then make the report again."))
        return Section("cutsets", title, (missing,))
    blocks: list[Block] = [
        Para(
            "A minimal cut set is a smallest set of broken needs that shuts a way in. All sets of up to the "
            "stated size "
            f"were tried in virtual time, in {cuts['runs']:,} runs, on the emulated ECU"
            + (f" with the planted defect {cuts['defect']}" if cuts["defect"] else "")
            + (SIMULATED if any(b.fidelity == "stack" for b in evidence.results.benches) else "")
            + "; what was found is compared with what each way in is declared to need."
        )
    ]
    if cuts["as_declared"]:
        blocks.append(Callout("good", "As declared", "Each way in needs just what it is declared to need."))
    else:
        blocks.append(Callout("bad", "Not as declared", "; ".join(cuts["findings"]) + "."))
    rows: list[tuple[Text, ...]] = []
    for name, way in cuts["ways"].items():
        sets = ", ".join("{" + ", ".join(cut) + "}" for cut in way["found"]) or "none"
        size = f"up to {way['largest']}, {way['runs']:,} runs"
        rows.append((name, sets, str(len(way["found"])), size + ("" if way["complete"] else ": NOT complete")))
    blocks.append(
        Table(
            (Column("way in"), Column("minimal cut sets", share=3), Column("number", "right"), Column("tried")),
            rows,
            "Minimal cut sets. “any” is the ladder: Bluetooth, then server, then card",
        )
    )
    if cuts["unbroken"] or cuts["unsupported"]:
        unbroken = ", ".join(cuts["unbroken"]) or "none"
        blocks.append(
            Para(
                f"Needs that no failure mode breaks, of which nothing is said: {unbroken}. Failure modes that "
                "this bench "
                f"cannot make: {', '.join(cuts['unsupported']) or 'none'}.",
                "note",
            )
        )
    read = from_document(cuts)
    findings = count(len(read.findings), "finding") if read.findings else "as declared"
    said = "The driver is kept out when all ways in are shut; each is shut by any of its minimal cut sets"
    if all(mode in CATALOGUE for mode in read.modes.values()):
        drawing = fault_tree_svg(read, fault_tree(read), cuts["defect"])
        blocks.append(Figure(drawing, f"Fault tree of “the driver is kept out”, {findings}", said))
    else:
        blocks.append(Para("The fault tree is not drawn: this version does not know all failure modes of it.", "note"))
    alone = [name for name, single in cuts["alone"].items() if single["out"]]
    blocks.append(
        Para(
            f"Of {len(cuts['alone'])} failure modes tried one at a time, {len(alone)} shut at least one way "
            "in and "
            f"{sum(1 for name in alone if 'any' in cuts['alone'][name]['out'])} shut all of them."
        )
    )
    return Section("cutsets", title, tuple(blocks))
