"""The fault tree of a door that does not open, made from the minimal cut sets of its ways in.

Knows gates and events; finds nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rig.cutsets import Cut, CutSets, WayCuts, way_words
from rig.faults import PATHS


@dataclass(frozen=True, slots=True)
class Node:
    """A gate with its inputs, or a basic event.

    Attributes:
        gate: "or", "and"; "event": a need is broken.
        text: what is true then; of an event: the need.
        mode: of an event: the mode that stands for it.
        declared: whether this is as declared; a gate is if all below are.
        inputs: of a gate.
    """

    gate: Literal["or", "and", "event"]
    text: str
    mode: str = ""
    declared: bool = True
    inputs: tuple[Node, ...] = ()


def fault_tree(cuts: CutSets) -> Node:
    """Of the ladder: it is shut when all paths are, a path if any of its minimal cut sets is broken."""
    paths = tuple(_path_tree(cuts.ways[path], cuts.modes) for path in PATHS)
    return Node("and", "the driver is kept out", "", all(p.declared for p in paths), paths)


def _path_tree(way: WayCuts, modes: Mapping[str, str]) -> Node:
    inputs = tuple(_cut_tree(cut, modes, cut in way.declared) for cut in way.found)
    return Node("or", f"{way_words(way.way)} does not open", "", all(n.declared for n in inputs), inputs)


def _cut_tree(cut: Cut, modes: Mapping[str, str], declared: bool) -> Node:
    events = tuple(Node("event", need, modes[need], declared) for need in sorted(cut))
    if len(events) == 1:
        return events[0]
    return Node("and", "all of these" if events else "always", "", declared, events)
