"""Tables in docs/interop.md that tests fill: between two marks, never by hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interop.md"
WRITE = "UNLOCK_RIG_WRITE_TABLES"
"""Set in the environment, tests write the tables instead of comparing them."""


def filled(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(line(cells) for cells in lines)


def line(cells: Sequence[str]) -> str:
    """One row of it."""
    return f"| {' | '.join(cells)} |"


def check(name: str, text: str) -> None:
    """Compares what stands between a table's marks with what was found, or writes it there.

    Raises:
        AssertionError: the page says something else.
    """
    begin, end = f"<!-- filled by a test: {name} -->", f"<!-- end of {name} -->"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{PAGE.name} has no marks for {name}"
    new = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    if os.environ.get(WRITE):
        PAGE.write_text(new, encoding="utf-8")
        return
    wrong = [one for one in text.splitlines() if one not in page.splitlines()]
    assert new == page, f"docs/{PAGE.name} is out of date, set {WRITE}=1 and run this test again; new: {wrong}"
