"""The report as a value: sections of paragraphs, facts, tables, figures and listings, before it is HTML or PDF.

One content, two renderers, so that both always say the same. Knows nothing of results and of how anything looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["good", "bad", "open", "quiet", "plain"]
"""How something is to be seen: held, failed, undecided, of less weight, as any other."""

TONES: dict[str, Tone] = {
    "pass": "good", "conditional pass": "good", "held": "good", "found": "good", "match": "good",
    "fail": "bad", "error": "bad", "missed": "bad", "mismatch": "bad", "gap": "bad",
    "inconclusive": "open", "conditional fail": "open", "interrupted": "open", "waived": "open",
    "not run": "quiet", "vacuous": "quiet", "not asked": "quiet",
}  # fmt: skip
SIGNS: dict[Tone, str] = {"good": "✓", "bad": "✗", "open": "?", "quiet": "–", "plain": ""}
"""Nothing is told by colour alone."""
CALLS: dict[Tone, str] = {**SIGNS, "open": "!"}
"""The signs of paragraphs that must not be overlooked."""


@dataclass(frozen=True, slots=True)
class Code:
    """A command, a name, a hash: set in a monospaced face."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Words of weight."""

    text: str


@dataclass(frozen=True, slots=True)
class Quiet:
    """Words of less weight."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """A verdict: its sign, its colour, its word."""

    text: str

    @property
    def tone(self) -> Tone:
        """How it is to be seen."""
        return TONES.get(self.text, "plain")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that should stand here and does not: "not stated", "not determined"."""

    text: str


@dataclass(frozen=True, slots=True)
class To:
    """A pointer to a section, by its anchor; renderers write its number."""

    anchor: str


Inline = str | Code | Strong | Quiet | Word | Gap | To
Text = Inline | tuple[Inline, ...]
"""What stands in a cell or paragraph."""


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph."""

    text: Text
    look: Literal["plain", "lead", "note"] = "plain"


@dataclass(frozen=True, slots=True)
class Callout:
    """A paragraph that must not be overlooked."""

    tone: Tone
    title: str
    text: Text


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and what is said of each."""

    rows: tuple[tuple[str, Text], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        share: of the width that is left; 0: as wide as its content.
        chars: how many characters a dense table gives it.
    """

    title: str
    align: Literal["left", "right", "center"] = "left"
    share: float = 0
    chars: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its head is repeated on every page.

    Attributes:
        dense: thousands of rows, set small and monospaced; then cells are text or verdicts, and the first column
            is the verdict.
    """

    columns: tuple[Column, ...]
    rows: Sequence[tuple[Text, ...]]
    caption: str = ""
    dense: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing.

    Attributes:
        svg: the drawing, as a document of its own.
        said: what it shows, for those who cannot see it.
        wide: it is better seen on a page turned sideways.
    """

    svg: str
    caption: str
    said: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines as a program said them."""

    text: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Text, ...]


Block = Para | Callout | Facts | Table | Figure | Listing | Items


@dataclass(frozen=True, slots=True)
class Section:
    """A section, with sections below it.

    Attributes:
        anchor: its name in links; stays the same from report to report.
        fresh: it begins on a page of its own.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...] = ()
    parts: tuple[Section, ...] = ()
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Cover:
    """The first page.

    Attributes:
        draft: why the report is not one to rely on yet; "" if it is issued.
    """

    kind: str
    title: str
    subtitle: str
    verdict: str
    why: str
    draft: str
    facts: tuple[tuple[str, Text], ...]
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report.

    Attributes:
        number: the report id, which stands on every page.
        revision: from 1.
        at: date and time of the results, ISO 8601 in UTC; all that a PDF says of its time.
        end: the end mark.
    """

    number: str
    revision: int
    title: str
    by: str
    at: str
    cover: Cover
    sections: tuple[Section, ...]
    end: str
    numbers: dict[str, str] = field(default_factory=dict)

    def numbered(self) -> Iterator[tuple[str, Section, int]]:
        """All sections with their numbers and depths, in order."""
        for place, section in enumerate(self.sections, start=1):
            yield from _numbered(section, str(place), 1)

    def number_of(self, anchor: str) -> str:
        """The number of a section.

        Raises:
            KeyError: no section has that anchor.
        """
        if not self.numbers:
            self.numbers.update({section.anchor: number for number, section, _depth in self.numbered()})
        return self.numbers[anchor]


def _numbered(section: Section, number: str, depth: int) -> Iterator[tuple[str, Section, int]]:
    yield number, section, depth
    for place, part in enumerate(section.parts, start=1):
        yield from _numbered(part, f"{number}.{place}", depth + 1)


def parts(text: Text) -> tuple[Inline, ...]:
    """A text as a tuple, whatever it was."""
    return text if isinstance(text, tuple) else (text,)


def plain(text: Text) -> str:
    """A text without its looks."""
    return "".join(one if isinstance(one, str) else "" if isinstance(one, To) else one.text for one in parts(text))
