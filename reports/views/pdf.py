"""A report as PDF/A-3b, set by typst, with the results and the campaign file inside.

The same document and files give the same bytes: no font, clock or setting of the machine is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path

from reports.document import (
    CALLS,
    SIGNS,
    TONES,
    Block,
    Callout,
    Code,
    Document,
    Facts,
    Figure,
    Gap,
    Inline,
    Items,
    Listing,
    Para,
    Quiet,
    Strong,
    Table,
    Text,
    To,
    Word,
    parts,
    plain,
)

INSTALL = "pip install 'unlock-rig[report]'"
LINES = 40
"""Lines of a dense table that are set at once; typst's memory and time go by the number of cells."""
DENSE_CHARS = 63
"""Characters of a line of a dense table: half a page of 6 pt (report.typ), 0.6 em each."""
BREAK_AFTER = re.compile(r"(?<=[/_,:.=\[\]@-])")
LONGEST = 20
"""Characters of a name in which no line may end."""


class PdfError(RuntimeError):
    """No PDF could be made; the text says why and what mends it."""


def as_pdf(document: Document, attached: Mapping[str, tuple[bytes, str]], fonts: Sequence[Path] = ()) -> bytes:
    """Sets the document.

    Args:
        document: what to say.
        attached: files to put inside by name, each with a description; their kind is told by the name.
        fonts: folders with further faces, for names in scripts that the report's own faces lack.

    Raises:
        PdfError: typst is not installed, or cannot set the document.
    """
    try:
        import typst  # noqa: PLC0415  # an optional part of the installation
    except ImportError:
        raise PdfError(f"the PDF needs typst, which is not installed; {INSTALL}") from None
    for place in fonts:
        if not place.is_dir():
            raise PdfError(f"{place}: no such folder; fonts are looked for in folders")
    folder = files("reports.views")
    sources = {
        "main.typ": (folder / "report.typ").read_bytes(),
        "document.json": json.dumps(_document(document, attached), ensure_ascii=False).encode(),
        **{f"attached/{name}": content for name, (content, _text) in attached.items()},
    }
    with as_file(folder / "fonts") as own:
        faces = typst.Fonts(include_system_fonts=False, font_paths=[str(own), *map(str, fonts)])
        # Its stub knows files by path only; in memory they come as one dictionary.
        set_: Callable[..., bytes] = typst.compile
        try:
            # Without tags, which would make it three times as large: who hears a report read has the HTML.
            return set_(
                sources, font_paths=faces, ignore_system_fonts=True, pdf_standards=["a-3b"], pdf_tags=False,
                timestamp=datetime.fromisoformat(document.at).replace(microsecond=0),
            )  # fmt: skip
        except typst.TypstError as error:
            raise PdfError(_why(str(error))) from None


def _why(text: str) -> str:
    missing = re.search(r"the text `\"(.*?)\"` could not be displayed", text)
    if missing:
        return (
            f"the PDF's faces have no glyphs for “{missing[1]}”; name a folder with a font that has them: "
            "rig report --fonts DIR"
        )
    return f"typst cannot set the report: {text}"


def _document(document: Document, attached: Mapping[str, tuple[bytes, str]]) -> dict[str, object]:
    cover = document.cover
    tone = TONES.get(cover.verdict, "plain")
    return {
        "number": document.number,
        "revision": document.revision,
        "title": document.title,
        "by": document.by,
        "at": document.at,
        "end": document.end,
        "cover": {
            "kind": cover.kind, "title": cover.title, "subtitle": cover.subtitle, "verdict": cover.verdict,
            "tone": tone, "sign": SIGNS[tone], "why": cover.why, "draft": cover.draft,
            "facts": [[label, _text(text, document)] for label, text in cover.facts],
            "statements": list(cover.statements),
        },
        "sections": [
            {
                "anchor": section.anchor, "number": number, "depth": depth, "title": section.title,
                "fresh": section.fresh, "blocks": [_block(block, document) for block in section.blocks],
            }
            for number, section, depth in document.numbered()
        ],
        "attached": [
            {"name": name, "kind": _KINDS.get(Path(name).suffix, "application/octet-stream"), "text": text}
            for name, (_content, text) in attached.items()
        ],
    }  # fmt: skip


_KINDS = {".json": "application/json", ".toml": "application/toml", ".csv": "text/csv"}


def _block(block: Block, document: Document) -> dict[str, object]:
    match block:
        case Para(text, look):
            return {"k": "para", "look": look, "text": _text(text, document)}
        case Callout(tone, title, text):
            return {"k": "callout", "tone": tone, "sign": CALLS[tone], "title": title, "text": _text(text, document)}
        case Facts(rows):
            return {"k": "facts", "rows": [[label, _text(text, document)] for label, text in rows]}
        case Items(items):
            return {"k": "items", "items": [_text(item, document) for item in items]}
        case Listing(text, caption):
            return {"k": "listing", "text": text, "caption": caption}
        case Figure(svg, caption, said, wide):
            width, height = _size(svg)
            return {"k": "figure", "svg": svg, "caption": caption, "said": said, "wide": wide,
                    "width": width, "height": height}  # fmt: skip
        case Table() if block.dense:
            return {"k": "dense", "caption": block.caption, "head": _head(block), "parts": list(_lines(block))}
        case Table():
            return {
                "k": "table", "caption": block.caption,
                "columns": [[c.title, c.align, c.share] for c in block.columns],
                "cells": [_text(cell, document) for row in block.rows for cell in row],
            }  # fmt: skip


def _size(svg: str) -> tuple[float, float]:
    """Width and height of a drawing, in its own units."""
    box = re.search(r'viewBox="([-\d.]+) ([-\d.]+) ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise PdfError("a drawing of the report has no viewBox, so that its size is not known")
    return float(box[3]), float(box[4])


def _head(table: Table) -> str:
    return "  ".join(_padded(c.title, c.chars, c.align) for c in table.columns).rstrip()


def _lines(table: Table) -> Iterator[dict[str, str]]:
    """The lines of a dense table, those alike together, those to be seen alone."""
    together: list[str] = []
    for row in table.rows:
        first = row[0]
        tone = first.tone if isinstance(first, Word) else "plain"
        sign = f"{SIGNS[tone] or ' '} " if isinstance(first, Word) else ""
        cells = [sign + plain(row[0]), *(plain(cell) for cell in row[1:])]
        begin = "".join(
            _padded(cell, c.chars, c.align) + "  " for cell, c in zip(cells[:-1], table.columns[:-1], strict=True)
        )
        line = _wrapped(begin, cells[-1])
        if tone in ("bad", "open"):
            if together:
                yield {"tone": "plain", "text": "\n".join(together)}
                together = []
            yield {"tone": tone, "text": line}
            continue
        together.append(line)
        if len(together) == LINES:
            yield {"tone": "plain", "text": "\n".join(together)}
            together = []
    if together:
        yield {"tone": "plain", "text": "\n".join(together)}


def _wrapped(begin: str, text: str) -> str:
    """A line whose last cell goes on below itself, since typst finds no place to break names."""
    room = max(DENSE_CHARS - len(begin), 12)
    out: list[str] = []
    while len(text) > room:
        cut = max((text.rfind(sign, 0, room) for sign in "+-_./ ,"), default=-1) + 1
        cut = cut if cut > room // 2 else room
        out.append(text[:cut])
        text = text[cut:]
    out.append(text)
    return (begin + ("\n" + " " * len(begin)).join(out)).rstrip()


def _padded(text: str, chars: int, align: str) -> str:
    """What is longer than its column stands out of line, but whole."""
    return text.rjust(chars) if align == "right" else text.ljust(chars)


def _text(text: Text, document: Document) -> object:
    if isinstance(text, str):
        return text
    return [_inline(one, document) for one in parts(text)]


def _inline(one: Inline, document: Document) -> object:
    match one:
        case str():
            return one
        case Code(text):
            return {"k": "code", "t": _broken(text)}
        case Strong(text):
            return {"k": "strong", "t": text}
        case Quiet(text):
            return {"k": "quiet", "t": text}
        case Gap(text):
            return {"k": "gap", "t": text}
        case Word(text):
            return {"k": "v", "t": text, "tone": one.tone, "sign": SIGNS[one.tone]}
        case To(anchor):
            return {"k": "to", "t": anchor, "n": document.number_of(anchor)}


def _broken(text: str) -> list[str]:
    """A name in pieces between which a line may end."""
    if len(text) <= LONGEST:
        return [text]
    out: list[str] = []
    for piece in BREAK_AFTER.split(text):
        out += [piece[at : at + LONGEST] for at in range(0, len(piece), LONGEST)]
    return out
