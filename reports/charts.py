"""Figures drawn as SVG: latencies against their limits, how much of all combinations came up, a matrix of signs.

Numbers in, a document out that needs nothing else: no style sheet, no script, no font. Shades are of one hue and
nothing is told by colour alone, so that they are read with every kind of colour vision, and printed in grey.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

INK, SOFT, RULE, HAIR, PAPER = "#1b1e22", "#565d66", "#c9ced5", "#e6e9ed", "#ffffff"
BLUE, BAD, BAD_WASH = "#0072B2", "#a83a00", "#fcefe8"
SHADES = ("#deebf7", "#b7d4ea", "#86b8dc", "#4f95c7", "#0b6aa8", "#084a7a")
"""From few to all, of one hue; the darkest three carry white letters."""
WIDTH = 720.0
SLANTED = 44.0
"""Room at the right for the last of the names above a matrix, which lean over."""
NEAR = 28.0
"""Marks this near to each other share one label, in pixels."""
FACE = 'font-family="Inter, system-ui, sans-serif" font-variant-numeric="tabular-nums"'


@dataclass(frozen=True, slots=True)
class Latencies:
    """One distribution of times, in ms.

    Attributes:
        name: whose, such as "card".
        note: a second line below the name.
        bins: from, to and how many, in order and without overlap.
        limit_ms: None if there is none.
        marks: named values, such as ("p50", 412.0), drawn as ticks.
        said: the numbers in words, at the right.
    """

    name: str
    note: str
    bins: tuple[tuple[float, float, int], ...]
    limit_ms: float | None
    marks: tuple[tuple[str, float], ...] = ()
    said: tuple[str, ...] = ()


def latency_svg(rows: Sequence[Latencies], title: str) -> str:
    """A histogram a row, each on a scale of its own that ends a little behind its limit."""
    out: list[str] = []
    y, high, left, plot = 8.0, 62.0, 150.0, 400.0
    for row in rows:
        _latency_row(out, row, y, left, plot)
        y += high + 22
    return _svg(out, WIDTH, y + 2, title)


def _latency_row(out: list[str], row: Latencies, y: float, left: float, plot: float) -> None:
    bottom = y + 46
    last = max((end for _start, end, _count in row.bins), default=1.0)
    most_ms = max(last, (row.limit_ms or 0) * 1.06) or 1.0
    most = max((count for _start, _end, count in row.bins), default=1)

    def x(ms: float) -> float:
        return left + ms / most_ms * plot

    _text(out, 0, y + 18, row.name, INK, 'font-size="12" font-weight="600"')
    _text(out, 0, y + 34, row.note, SOFT, 'font-size="10.5"')
    if row.limit_ms is not None and x(row.limit_ms) < left + plot:
        out.append(
            f'<rect x="{x(row.limit_ms):.1f}" y="{y + 2:.1f}" width="{left + plot - x(row.limit_ms):.1f}" '
            f'height="{bottom - y - 2:.1f}" fill="{BAD_WASH}"/>'
        )
    for start, end, count in row.bins:
        if not count:
            continue
        # By the root, so that a single late one among thousands is still seen.
        tall = max(32 * math.sqrt(count / most), 1.6)
        late = row.limit_ms is not None and start >= row.limit_ms
        out.append(
            f'<rect x="{x(start):.1f}" y="{bottom - tall:.1f}" width="{max(x(end) - x(start) - 0.5, 1.2):.1f}" '
            f'height="{tall:.1f}" fill="{BAD if late else BLUE}">'
            f"<title>{start:g} to {end:g} ms: {count:,}</title></rect>"
        )
    out.append(f'<path d="M{left} {bottom:.1f}h{plot}" stroke="{INK}"/>')
    for at in _ticks(most_ms):
        out.append(f'<path d="M{x(at):.1f} {bottom:.1f}v3" stroke="{INK}"/>')
        _text(out, x(at), bottom + 14, _short(at), SOFT, 'font-size="10" text-anchor="middle"')
    # Where a mark stands near the limit their names go to either side of them.
    crowded = row.limit_ms is not None and any(abs(x(at) - x(row.limit_ms)) < 2 * NEAR for _name, at in row.marks)
    for _name, at in row.marks:
        out.append(f'<path d="M{x(at):.1f} {bottom:.1f}V{y + 4:.1f}" stroke="{INK}" stroke-dasharray="1.5 2"/>')
    for place, (_name, at) in enumerate(row.marks):
        # Of marks too near each other the names stand together, behind the last.
        if place + 1 < len(row.marks) and x(row.marks[place + 1][1]) - x(at) < NEAR:
            continue
        first = place
        while first and x(row.marks[first][1]) - x(row.marks[first - 1][1]) < NEAR:
            first -= 1
        named = ", ".join(name for name, _at in row.marks[first : place + 1])
        if crowded:
            _text(out, x(row.marks[first][1]) - 3, y + 9, named, INK, 'font-size="9.5" text-anchor="end"')
        else:
            _text(out, x(at) + 3, y + 9, named, INK, 'font-size="9.5"')
    if row.limit_ms is not None:
        at = x(row.limit_ms)
        out.append(f'<path d="M{at:.1f} {bottom + 3:.1f}V{y:.1f}" stroke="{BAD}" stroke-width="1.6"/>')
        side = "start" if crowded else "end"
        place_x = at + 3 if crowded else at - 3
        _text(out, place_x, y + 8, "limit", BAD, f'font-size="9.5" font-weight="600" text-anchor="{side}"')
    for place, said in enumerate(row.said):
        look = f'font-size="{11 if place == 0 else 10.5}"' + (' font-weight="600"' if place == 0 else "")
        _text(out, left + plot + 18, y + 12 + 15 * place, said, INK if place == 0 else SOFT, look)


def _ticks(most: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10(most))
    for part in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0):
        if most / (step * part) <= 6:
            step *= part
            break
    return [step * n for n in range(int(most / step) + 1)]


def _short(ms: float) -> str:
    return f"{ms:g} ms" if ms < 1000 and ms else "0" if not ms else f"{ms / 1000:g} s"


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many came up."""

    covered: int
    possible: int

    @property
    def part(self) -> float:
        """From 0 to 1."""
        return self.covered / self.possible if self.possible else 1.0


def heat_svg(rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Share], title: str) -> str:
    """A square a pair of rows and columns: shade and number say how much of it came up."""
    left = 14 + 6.6 * max(len(r) for r in rows)
    side = min(58.0, (WIDTH - SLANTED - left) / len(columns))
    tall = max(min(side, 34.0), 20.0)
    top = 12 + 5.2 * max(len(c) for c in columns)
    out: list[str] = []
    for place, name in enumerate(columns):
        at = left + side * (place + 0.5)
        _text(out, 0, 0, name, INK, f'font-size="10.5" transform="translate({at + 3:.1f} {top - 6:.1f}) rotate(-52)"')
    for line, row in enumerate(rows):
        y = top + tall * line
        _text(out, left - 8, y + tall / 2 + 4, row, INK, 'font-size="11" text-anchor="end"')
        for place, column in enumerate(columns):
            share = cells.get((row, column))
            if share is not None:
                _square(out, left + side * place, y, side, tall, share, f"{row} with {column}")
    y = top + tall * len(rows) + 18
    _text(out, left, y + 10, "few", SOFT, 'font-size="10"')
    for place, shade in enumerate(SHADES):
        out.append(f'<rect x="{left + 26 + 22 * place:.1f}" y="{y:.1f}" width="21" height="12" fill="{shade}"/>')
    x = left + 26 + 22 * len(SHADES)
    _text(out, x + 6, y + 10, "all: the whole percentage of those possible; ✗ none", SOFT, 'font-size="10"')
    return _svg(out, WIDTH, y + 20, title)


def _square(out: list[str], x: float, y: float, side: float, tall: float, share: Share, name: str) -> None:
    shade = 0 if share.part < 1 / 6 else min(int(share.part * len(SHADES)), len(SHADES) - 1)
    none = not share.covered and share.possible
    fill = BAD_WASH if none else PAPER if not share.possible else SHADES[shade]
    words = f"{name}: {share.covered:,} of {share.possible:,}" if share.possible else f"{name}: not possible"
    out.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{side - 1.5:.1f}" height="{tall - 1.5:.1f}" fill="{fill}">'
        f"<title>{escape(words)}</title></rect>"
    )
    colour = PAPER if shade > 2 and not none and share.possible else INK
    # Rounded down: 100 means all of them.
    text = "✗" if none else "·" if not share.possible else f"{int(share.part * 100)}"
    look = 'font-size="10" text-anchor="middle"' + (' font-weight="600"' if none else "")
    _text(out, x + (side - 1.5) / 2, y + tall / 2 + 3, text, BAD if none else colour, look)


def dots_svg(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], title: str) -> str:
    """A matrix of signs: filled for "yes", a ring for "part", a cross for "no", nothing for ""."""
    listed = list(rows)
    left = 16 + 6.4 * max((len(name) for name, _signs in listed), default=1)
    side = min(54.0, (WIDTH - SLANTED - left) / max(len(columns), 1))
    top = 12 + 5.2 * max((len(c) for c in columns), default=1)
    out: list[str] = []
    for place, name in enumerate(columns):
        at = left + side * (place + 0.5)
        _text(out, 0, 0, name, INK, f'font-size="10.5" transform="translate({at + 3:.1f} {top - 4:.1f}) rotate(-52)"')
    for line, (name, signs) in enumerate(listed):
        y = top + 17 * line
        if line % 2 == 0:
            out.append(
                f'<rect x="0" y="{y:.1f}" width="{left + side * len(columns):.1f}" height="17" fill="#f6f7f9"/>'
            )
        _text(out, left - 10, y + 12, name, INK, 'font-size="10.5" text-anchor="end"')
        for place, sign in enumerate(signs):
            x, middle = left + side * (place + 0.5), y + 8.5
            if sign == "yes":
                out.append(f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="4.6" fill="{BLUE}"/>')
            elif sign == "part":
                out.append(
                    f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="4" fill="{PAPER}" stroke="{BLUE}" stroke-width="1.6"/>'
                )
            elif sign == "no":
                out.append(
                    f'<path d="M{x - 3.6:.1f} {middle - 3.6:.1f}l7.2 7.2m0 -7.2l-7.2 7.2" stroke="{BAD}" '
                    'stroke-width="2"/>'
                )
    return _svg(out, max(left + side * len(columns) + SLANTED, 300), top + 17 * len(listed) + 6, title)


def _text(out: list[str], x: float, y: float, text: str, colour: str, more: str = "") -> None:
    if text:
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" {more}>{escape(text)}</text>')


def _svg(out: list[str], width: float, height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" {FACE}><title>{escape(title)}</title>' + "".join(out) + "</svg>\n"
    )
