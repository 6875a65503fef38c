"""A report as one page of HTML: no script, nothing loaded from elsewhere, fit for screen and paper.

Writes what the document says; decides nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files

from reports.document import (
    CALLS,
    SIGNS,
    TONES,
    Block,
    Callout,
    Code,
    Cover,
    Document,
    Facts,
    Figure,
    Gap,
    Inline,
    Items,
    Listing,
    Para,
    Quiet,
    Section,
    Strong,
    Table,
    Text,
    To,
    Word,
    parts,
)

FACES = (
    ("Inter", 400, "Inter-Regular.woff2"),
    ("Inter", 600, "Inter-SemiBold.woff2"),
    ("JetBrains Mono", 400, "JetBrainsMono-Regular.woff2"),
)

SHORT = 20
"""Characters of a cell that stays on one line."""

_PLAIN, _FACE = 'font-family="system-ui', 'font-family="Inter, system-ui'
"""Drawings that are files of their own use the face of the machine; here they use the report's."""


def as_html(document: Document) -> str:
    """The whole page, which needs no other file."""
    return "".join(_Page(document).lines())


@cache
def _faces() -> str:
    folder = files("reports.views") / "fonts"
    return "".join(
        f'@font-face{{font-family:"{family}";font-weight:{weight};font-display:block;'
        f"src:url(data:font/woff2;base64,{base64.b64encode((folder / name).read_bytes()).decode()}) "
        'format("woff2")}\n'
        for family, weight, name in FACES
    )


@cache
def _style() -> str:
    return (files("reports.views") / "report.css").read_text(encoding="utf-8")


class _Page:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.figures = 0
        self.tables = 0

    def lines(self) -> Iterator[str]:
        d = self.document
        title = escape(f"{d.title} {d.number}")
        yield "<!doctype html>\n"
        yield f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        yield f'<meta name="author" content="{escape(d.by)}">\n<meta name="dcterms.date" content="{escape(d.at)}">\n'
        yield f"<style>\n{_faces()}{_style()}{_running(d)}</style>\n</head>\n<body>\n"
        yield from self.contents()
        yield "<main>\n"
        yield from self.cover(d.cover)
        yield from self.short_contents()
        for section in d.sections:
            yield from self.section(section, 1)
        yield f'<p class="end">{escape(d.end)}</p>\n</main>\n</body>\n</html>\n'

    def contents(self) -> Iterator[str]:
        d = self.document
        yield '<nav aria-label="Contents"><div>\n'
        yield f'<p class="id">{escape(d.number)}</p>\n<p>{self.inline(Word(d.cover.verdict))}</p>\n<ol>\n'
        for number, section, depth in d.numbered():
            if depth == 1:
                title = escape(section.title)
                yield f'<li><a href="#{section.anchor}"><b>{number}</b> {title}</a></li>\n'
        yield "</ol>\n</div></nav>\n"

    def short_contents(self) -> Iterator[str]:
        """For windows without room beside the page, and for paper."""
        yield '<nav class="short" aria-label="Contents of the report"><h2>Contents</h2>\n<ol>\n'
        for number, section, depth in self.document.numbered():
            if depth == 1:
                yield f'<li><a href="#{section.anchor}"><b>{number}</b>{escape(section.title)}</a></li>\n'
        yield "</ol></nav>\n"

    def cover(self, cover: Cover) -> Iterator[str]:
        tone = TONES.get(cover.verdict, "plain")
        yield '<header class="cover">\n'
        yield f'<p class="kind">{escape(cover.kind)}</p>\n<h1>{escape(cover.title)}</h1>\n'
        yield f'<p class="subtitle">{escape(cover.subtitle)}</p>\n'
        yield f'<div class="verdict {tone}"><b><i>{SIGNS[tone]}</i>{escape(cover.verdict.capitalize())}</b>'
        yield f"<span>{escape(cover.why)}</span></div>\n"
        if cover.draft:
            yield f'<div class="draft"><b>Draft.</b> {escape(cover.draft)}</div>\n'
        yield self.facts(Facts(cover.facts))
        yield '<div class="statements">\n'
        for statement in cover.statements:
            yield f"<p>{escape(statement)}</p>\n"
        yield "</div>\n</header>\n"

    def section(self, section: Section, depth: int) -> Iterator[str]:
        number = self.document.number_of(section.anchor)
        look = ' class="fresh"' if section.fresh else ""
        yield f'<section id="{section.anchor}"{look}>\n'
        yield f"<h{depth + 1}><b>{number}</b>{escape(section.title)}</h{depth + 1}>\n"
        for block in section.blocks:
            yield from self.block(block)
        for part in section.parts:
            yield from self.section(part, depth + 1)
        yield "</section>\n"

    def block(self, block: Block) -> Iterator[str]:
        match block:
            case Para(text, look):
                yield f"<p{'' if look == 'plain' else f' class={look}'}>{self.text(text)}</p>\n"
            case Callout(tone, title, text):
                sign = CALLS[tone]
                yield f'<div class="callout {tone}"><b>{f"<i>{sign}</i> " if sign else ""}{escape(title)}</b>'
                yield f"<p>{self.text(text)}</p></div>\n"
            case Facts():
                yield self.facts(block)
            case Items(items):
                yield "<ul>\n" + "".join(f"<li>{self.text(item)}</li>\n" for item in items) + "</ul>\n"
            case Listing(text, caption):
                if caption:
                    yield f'<p class="caption">{escape(caption)}</p>\n'
                yield f'<pre tabindex="0">{escape(text)}</pre>\n'
            case Figure():
                yield from self.figure(block)
            case Table():
                yield from self.table(block)

    def facts(self, facts: Facts) -> str:
        rows = "".join(f"<dt>{escape(label)}</dt><dd>{self.text(text)}</dd>\n" for label, text in facts.rows)
        return f"<dl>\n{rows}</dl>\n"

    def figure(self, figure: Figure) -> Iterator[str]:
        self.figures += 1
        # Names inside a drawing hold for the whole page, so each drawing gets names of its own.
        svg = _own_names(figure.svg, f"f{self.figures}-").replace(_PLAIN, _FACE)
        wide = ' class="wide"' if figure.wide else ""
        scroll = ' tabindex="0"' if figure.wide else ""
        yield f'<figure{wide}>\n<div role="img" aria-label="{escape(figure.said)}"{scroll}>{svg.strip()}</div>\n'
        yield f"<figcaption><b>Figure {self.figures}</b> {escape(figure.caption)}</figcaption>\n</figure>\n"

    def table(self, table: Table) -> Iterator[str]:
        look = " dense" if table.dense else ""
        name = f"Table {self.tables + 1}" if table.caption else "Table without a number"
        # What scrolls is reached by keyboard, and has a name.
        yield f'<div class="table{look}" role="region" aria-label="{name}" tabindex="0">\n<table>\n'
        if table.caption:
            self.tables += 1
            yield f"<caption><b>Table {self.tables}</b> {escape(table.caption)}</caption>\n"
        columns = table.columns
        yield "<thead><tr>"
        for column in columns:
            yield f"<th scope=col{_align(column.align)}>{escape(column.title)}</th>"
        yield "</tr></thead>\n<tbody>\n"
        looks = [_align(column.align) for column in columns]
        # Where another column has the room, ids and short words are not broken.
        whole = [not column.share and column.align == "left" for column in columns]
        whole = whole if any(column.share for column in columns) else [False] * len(columns)
        text = self.text
        for row in table.rows:
            cells = "".join([
                f"<td class=n>{text(cell)}</td>" if keep and isinstance(cell, str) and len(cell) <= SHORT
                else f"<td{look}>{text(cell)}</td>"
                for look, keep, cell in zip(looks, whole, row, strict=True)
            ])  # fmt: skip
            yield f"<tr>{cells}</tr>\n"
        yield "</tbody>\n</table>\n</div>\n"

    def text(self, text: Text) -> str:
        if isinstance(text, str):
            return escape(text, quote=False)
        return "".join([self.inline(one) for one in parts(text)])

    def inline(self, one: Inline) -> str:
        match one:
            case str():
                return escape(one, quote=False)
            case Code(text):
                return f"<code>{escape(text, quote=False)}</code>"
            case Strong(text):
                return f"<strong>{escape(text, quote=False)}</strong>"
            case Quiet(text):
                return f'<span class="quiet">{escape(text, quote=False)}</span>'
            case Gap(text):
                return f'<span class="gap">{escape(text, quote=False)}</span>'
            case Word(text):
                return f'<span class="v {one.tone}"><i>{SIGNS[one.tone]}</i> {escape(text, quote=False)}</span>'
            case To(anchor):
                return f'<a href="#{anchor}">section {self.document.number_of(anchor)}</a>'


def _align(align: str) -> str:
    return "" if align == "left" else f" class={align[0]}"


def _own_names(svg: str, prefix: str) -> str:
    """The drawing with its own names, where it names anything."""
    svg = re.sub(r"<\?xml[^>]*\?>", "", svg)
    if ' id="' not in svg:
        return svg
    svg = re.sub(r' id="', f' id="{prefix}', svg)
    svg = svg.replace("url(#", f"url(#{prefix}")
    return re.sub(r'((?:xlink:)?href)="#', rf'\1="#{prefix}', svg)


def _running(document: Document) -> str:
    """What stands on every printed page: report id, and page x of y."""
    words = _css(f"{document.number} · revision {document.revision}")
    return (
        f'@page{{@top-left{{content:{_css(document.title)}}}@top-right{{content:{words}}}'
        f"@bottom-left{{content:{_css(document.by)}}}"
        '@bottom-right{content:"page " counter(page) " of " counter(pages)}}\n'
    )


def _css(text: str) -> str:
    """A text as a string of CSS, in a page where it cannot end the style."""
    safe = "".join(c if c.isalnum() or c in " .,·-/()" else f"\\{ord(c):x} " for c in text)
    return f'"{safe}"'
