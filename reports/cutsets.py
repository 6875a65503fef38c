"""Cut sets and their fault tree as text, as a JSON document and as an SVG picture.

Shows what was found; finds nothing. Colours are those of Okabe and Ito, and nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from rig.cutsets import Alone, CutSets, WayCuts
from rig.faults import CATALOGUE, NEEDS, PATHS
from rig.faults.mode import Mode
from rig.faulttree import Node, fault_tree

FORMAT = "unlock-rig/cutsets/1"

BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#C04F00", "#6b6b6b"
INK, PAPER, RULE = "#1b1b1b", "#ffffff", "#8c8c8c"
WIDTH = 1060
MARGIN = 18
ROW = 26
LETTER = 7.1
"""Mean width of a letter of 12 px, on the wide side."""
TOP_X, GATE_X, INNER_X, LEAF_X = 24.0, 230.0, 470.0, 570.0
GATE = 34.0
"""Side of a gate's box."""


# -- text ----------------------------------------------------------------------------------------------


def as_text(cuts: CutSets, defect: str | None = None) -> str:
    """Cut sets, modes, fault tree and verdict, for people."""
    subject = "the emulated ECU" + (f" with the defect {defect}" if defect else "")
    lines = [f"Cut sets of {subject}: {cuts.runs} runs at model fidelity.", ""]
    for way in cuts.ways.values():
        lines += _way_lines(way)
    lines += ["", "Each need is broken by this mode:"]
    lines += [f"  {need:<14} {mode}: {CATALOGUE[mode].text}" for need, mode in cuts.modes.items()]
    for need in cuts.unbroken:
        lines.append(f"  {need:<14} no mode breaks it, so nothing is said of it")
    if cuts.unsupported:
        lines.append(f"Not tried, since this bench cannot make them: {', '.join(cuts.unsupported)}.")
    lines += ["", "One mode alone keeps out (× out; (×) out, though it does not need what breaks; – gets in):"]
    ways = tuple(cuts.ways)
    lines.append("  " + " ".join(f"{w:^9}" for w in ways))
    for single in cuts.alone:
        signs = ["(×)" if w in single.wrong else "×" if w in single.out else "–" for w in ways]
        if single.out:
            lines.append("  " + " ".join(f"{s:^9}" for s in signs) + f"  {single.mode}")
    harmless = [single.mode for single in cuts.alone if not single.out]
    if harmless:
        lines.append(f"  No way in is kept shut by: {', '.join(harmless)}.")
    lines += ["", "Fault tree:"]
    lines += list(_tree_lines(fault_tree(cuts), 1))
    lines.append("")
    if cuts.as_declared:
        lines.append("As declared: each way in needs just what it says.")
    else:
        lines.append("NOT as declared:")
        lines += [f"  {finding}" for finding in cuts.findings]
    return "\n".join(lines)


def _way_lines(way: WayCuts) -> Iterator[str]:
    size = f"subsets of up to {way.largest} needs tried, {way.runs} runs"
    proof = "there are no others" if way.complete else "NOT complete"
    word = "cut set" if len(way.found) == 1 else "cut sets"
    yield f"{way.way}: {len(way.found)} minimal {word} ({size}: {proof})"
    if way.found:
        yield "  " + "  ".join("{" + ", ".join(sorted(cut)) + "}" for cut in way.found)
    for cut in way.undeclared:
        yield "  not declared: {" + ", ".join(sorted(cut)) + "}"
    for cut in way.outdated:
        yield "  declared, but keeps nobody out: {" + ", ".join(sorted(cut)) + "}"


def _tree_lines(node: Node, depth: int) -> Iterator[str]:
    space = "  " * depth
    mark = "" if node.declared or node.gate != "event" else "   <- NOT DECLARED"
    if node.gate == "event":
        yield f"{space}{node.text} ({node.mode}){mark}"
        return
    how = "all of" if node.gate == "and" else "any of"
    yield f"{space}{node.text} = {how}" if node.inputs else f"{space}{node.text}"
    for below in node.inputs:
        yield from _tree_lines(below, depth + 1)


# -- the document --------------------------------------------------------------------------------------


def as_document(cuts: CutSets, tree: Node, defect: str | None = None) -> dict[str, object]:
    """The same as a document of format `unlock-rig/cutsets/1`; docs/cutsets.md describes it."""
    return {
        "format": FORMAT,
        "defect": defect,
        "fidelity": "model",
        "runs": cuts.runs,
        "as_declared": cuts.as_declared,
        "findings": list(cuts.findings),
        "needs": {path: sorted(NEEDS[path]) for path in PATHS},
        "modes": dict(cuts.modes),
        "unbroken": list(cuts.unbroken),
        "unsupported": list(cuts.unsupported),
        "ways": {
            way.way: {
                "found": [sorted(cut) for cut in way.found],
                "declared": [sorted(cut) for cut in way.declared],
                "undeclared": [sorted(cut) for cut in way.undeclared],
                "outdated": [sorted(cut) for cut in way.outdated],
                "runs": way.runs,
                "largest": way.largest,
                "complete": way.complete,
            }
            for way in cuts.ways.values()
        },
        "alone": {
            single.mode: {"out": list(single.out), "may": list(single.may)} for single in cuts.alone
        },
        "tree": _node_document(tree),
    }


def from_document(document: Mapping[str, Any]) -> CutSets:
    """Cut sets again from what `as_document` made of them; what was found stays as it was found."""
    ways = {
        name: WayCuts(
            way=name,
            found=tuple(frozenset(cut) for cut in way["found"]),
            declared=tuple(frozenset(cut) for cut in way["declared"]),
            runs=way["runs"],
            largest=way["largest"],
            complete=way["complete"],
        )
        for name, way in document["ways"].items()
    }
    alone = tuple(Alone(mode, tuple(a["out"]), tuple(a["may"])) for mode, a in document["alone"].items())
    cuts = CutSets(
        document["modes"], tuple(document["unbroken"]), alone, ways, tuple(document["unsupported"]), document["runs"]
    )
    # Not as this version would judge it, but as it was judged.
    object.__setattr__(cuts, "findings", tuple(document["findings"]))
    return cuts


def _node_document(node: Node) -> dict[str, object]:
    out: dict[str, object] = {"gate": node.gate, "text": node.text, "declared": node.declared}
    if node.mode:
        out["mode"] = node.mode
    if node.gate != "event":
        out["inputs"] = [_node_document(below) for below in node.inputs]
    return out


# -- the picture ---------------------------------------------------------------------------------------


def fault_tree_svg(cuts: CutSets, tree: Node, defect: str | None = None) -> str:
    """Draws the fault tree, from left to right: the driver, the ways in, and what shuts each.

    Gates are those of IEC 60617: & is shut by all its inputs together, ≥1 by any of them.

    Returns:
        An SVG document that needs nothing else: no style sheet, no script, no font.
    """
    return _Tree(cuts, tree, defect).svg()


class _Tree:
    def __init__(self, cuts: CutSets, tree: Node, defect: str | None) -> None:
        self.cuts = cuts
        self.tree = tree
        self.defect = defect
        self.out: list[str] = []

    def svg(self) -> str:
        y = self._heading()
        bottom, _root = self._top(y)
        height = self._legend(bottom + 12)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="12">'
            f"<title>{escape(self._title())}</title>"
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>' + "".join(self.out) + "</svg>\n"
        )

    def _title(self) -> str:
        return "What keeps the driver out" + (f", with the defect {self.defect}" if self.defect else "")

    def _heading(self) -> float:
        self._text(MARGIN, 28, self._title(), INK, 'font-size="16" font-weight="600"')
        y = 50.0
        if self.cuts.as_declared:
            self._text(MARGIN, y, f"as declared, by {self.cuts.runs} runs", BLUE, 'font-weight="600"')
            return y + 22
        for finding in self.cuts.findings:
            for part in _wrapped(finding, int((WIDTH - 2 * MARGIN) / LETTER)):
                self._text(MARGIN, y, part, RED, 'font-weight="600"')
                y += 17
        return y + 12

    def _top(self, y: float) -> tuple[float, float]:
        """The root and all below; returns where they end, and the root's height."""
        ways: list[tuple[float, Node]] = []
        for way in self.tree.inputs:
            y, middle = self._way(way, y)
            ways.append((middle, way))
            y += 18
        middle = sum(at for at, _way in ways) / max(len(ways), 1)
        self._gate(TOP_X + 72, middle, "&", self.tree.declared)
        for part, text in enumerate(("the driver", "is kept out")):
            self._text(TOP_X + 66, middle - 3 + 15 * part, text, INK, 'text-anchor="end" font-weight="600"')
        # What is not declared lies above the rest.
        for at, way in sorted(ways, key=lambda w: not w[1].declared):
            self._wire(TOP_X + 72 + GATE, middle, GATE_X + 160, at, way.declared)
        return y, middle

    def _way(self, way: Node, y: float) -> tuple[float, float]:
        places: list[tuple[float, Node]] = []
        top = y
        for node in way.inputs:
            if node.gate == "event":
                self._event(node, LEAF_X, y + ROW / 2)
                places.append((y + ROW / 2, node))
                y += ROW
                continue
            first = y
            for event in node.inputs:
                self._event(event, LEAF_X, y + ROW / 2)
                y += ROW
            middle = (first + max(y, first + ROW)) / 2
            for place, _event in enumerate(node.inputs):
                self._wire(INNER_X + GATE, middle, LEAF_X - 10, first + ROW * (place + 0.5), node.declared)
            self._gate(INNER_X, middle, "&" if node.inputs else "1", node.declared)
            y = max(y, first + ROW) + 8
            places.append((middle, node))
        y = max(y, top + 2 * ROW)
        middle = (top + y) / 2
        for at, node in sorted(places, key=lambda p: not p[1].declared):
            self._wire(GATE_X + 160 + GATE, middle, LEAF_X - 10 if node.gate == "event" else INNER_X, at, node.declared)
        self._text(GATE_X + 154, middle - 7, way.text, INK, 'text-anchor="end" font-weight="600"')
        self._gate(GATE_X + 160, middle, "≥1", way.declared)
        return y, middle

    def _event(self, node: Node, x: float, y: float) -> None:
        colour = INK if node.declared else RED
        mode: Mode = CATALOGUE[node.mode]
        self.out.append(
            f"<g><title>{escape(f'{node.text}: {mode.name}, {mode.text}')}</title>"
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="{PAPER}" stroke="{colour}" '
            f'stroke-width="{1.3 if node.declared else 3}"/></g>'
        )
        self._text(x + 14, y + 4, node.text, colour, 'font-weight="600"')
        self._text(
            x + 14 + 125, y + 4, node.mode + ("" if node.declared else "  NOT DECLARED"), GREY if node.declared else RED
        )

    def _gate(self, x: float, y: float, sign: str, declared: bool) -> None:
        colour = INK if declared else RED
        self.out.append(
            f'<rect x="{x:.1f}" y="{y - GATE / 2:.1f}" width="{GATE}" height="{GATE}" rx="3" fill="#f3f6f9" '
            f'stroke="{colour}" stroke-width="{1.3 if declared else 2.5}"/>'
        )
        self._text(x + GATE / 2, y + 5, sign, colour, 'text-anchor="middle" font-size="14" font-weight="600"')

    def _wire(self, x0: float, y0: float, x1: float, y1: float, declared: bool) -> None:
        bend = x0 + 20
        look = f'stroke="{RULE}"' if declared else f'stroke="{RED}" stroke-width="2.5"'
        self.out.append(f'<path d="M{x0:.1f} {y0:.1f}H{bend:.1f}V{y1:.1f}H{x1:.1f}" fill="none" {look}/>')

    def _legend(self, y: float) -> float:
        words = "& all inputs together    ≥1 any input    ○ a need is broken, by the mode beside it"
        self._text(MARGIN, y, words, GREY)
        if self.cuts.unbroken:
            y += 17
            self._text(MARGIN, y, f"no mode breaks: {', '.join(self.cuts.unbroken)}", GREY)
        outdated = [f"{way.way} by {' and '.join(sorted(c))}" for way in self.cuts.ways.values() for c in way.outdated]
        if outdated:
            for part in _wrapped(f"declared, but not so: {'; '.join(outdated)}", int((WIDTH - 2 * MARGIN) / LETTER)):
                y += 17
                self._text(MARGIN, y, part, RED)
        return y + 16

    def _text(self, x: float, y: float, text: str, colour: str, more: str = "") -> None:
        self.out.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" xml:space="preserve" {more}>{escape(text)}</text>'
        )


def _wrapped(text: str, most: int) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > most:
            yield line
            line = ""
        line += f" {word}" if line else word
    if line:
        yield line
