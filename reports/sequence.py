"""One run as a sequence picture: a lane for everybody, an arrow for each message, faults as bars, the verdict above.

Time runs downwards, a line a message, and long silences are cut out. Colours are those of Okabe and Ito, which
people with every kind of colour vision tell apart, and nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from reports.messages import (
    ATTACKER,
    CAN,
    DRIVER,
    ECU,
    GATEWAY,
    MODULE,
    MOTOR,
    PHONE,
    READER,
    SERVER,
    TCU,
    Message,
    Rule,
    messages,
)
from rig.faults import CATALOGUE
from rig.judge.requirements import load_requirements
from rig.judge.verdicts import Verdict
from rig.scenario import Scenario
from rig.trace import Trace, number

BLUE, GREEN, ORANGE, RED, GREY = "#0072B2", "#007355", "#E69F00", "#C04F00", "#6b6b6b"
INK, PAPER, RULE_INK = "#1b1b1b", "#ffffff", "#c9c9c9"
TONES = {"plain": INK, "good": GREEN, "bad": RED, "hostile": RED}

ORDER = (DRIVER, "guest", PHONE, "guest's phone", SERVER, TCU, MODULE, ATTACKER, GATEWAY, CAN, ECU, READER, MOTOR)
"""The lanes from left to right; phones of other keys come after the guest's."""
ALWAYS = frozenset({DRIVER, PHONE, SERVER, TCU, MODULE, CAN, ECU, MOTOR})

MARGIN = 16.0
TIMES = 74.0
"""Width of the column of times."""
BAR = 20.0
LANE = 118.0
ROW = 25.0
GAP = 22.0
"""Height of a silence that was cut out."""
SILENCE_US = 1_000_000
LETTER = 6.1
"""Mean width of a letter of 11 px, on the wide side."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """A fault: `name` F1, F2, ..., and from when to when (None: to the end)."""

    name: str
    label: str
    start_us: int
    end_us: int | None


def sequence_svg(scenario: Scenario, trace: Trace, verdicts: Sequence[Verdict] = (), title: str = "") -> str:
    """Draws a run.

    Args:
        scenario: what was played.
        trace: what came of it.
        verdicts: told above with the requirement's text; their instants are marked.
        title: a heading, such as the file's name.

    Returns:
        An SVG document that needs nothing else: no style sheet, no script, no font.
    """
    return _Sequence(scenario, trace, verdicts, title).svg()


def _marks(verdicts: Sequence[Verdict]) -> Iterator[tuple[int, str]]:
    """Where to look: the instant of each verdict, and of one on a time, where its limit lay."""
    for v in verdicts:
        if v.at_us is None:
            continue
        if v.limit_us is None or not v.requirement.startswith(("AVL", "ACT")):
            # The limits of availability are counted from the instant the verdict names; others need not be.
            yield v.at_us, f"{v.requirement} {v.outcome.value}"
            continue
        yield v.at_us, f"{v.requirement}: the time runs"
        if not v.outcome.good:
            yield v.at_us + v.limit_us, f"{v.requirement} {v.outcome.value}: limit {_seconds(v.limit_us)}"


class _Sequence:
    def __init__(self, scenario: Scenario, trace: Trace, verdicts: Sequence[Verdict], title: str) -> None:
        self.scenario = scenario
        self.trace = trace
        self.verdicts = verdicts
        self.title = title
        self.entries = messages(scenario, trace, list(_marks(verdicts)))
        self.bars = self._faults()
        self.lanes = self._lanes()
        self.left = MARGIN + TIMES + BAR * len(self.bars) + (14 if self.bars else 0)
        self.width = max(self.left + LANE * len(self.lanes) + MARGIN, 760.0)
        self.out: list[str] = []
        self.places: list[tuple[int, float]] = []
        """Time and height of every line, for what begins or ends between lines."""

    def _faults(self) -> list[_Bar]:
        """The scenario's faults at the times they really had; those whose step never came are named so."""
        edges = {(number(e, 2), number(e, 4)): e[0] for e in self.trace.of("fault")}
        origin = self.trace.origin_us
        bars = []
        for index, fault in enumerate(self.scenario.faults):
            started = edges.get((index, 1), None if fault.step else origin + fault.start_us)
            planned = None if fault.end_us is None else origin + fault.end_us
            end = edges.get((index, 0), planned)
            label = fault.mode + "".join(f" {name}={value}" for name, value in fault.params)
            if fault.step:
                label += f", at {fault.step}" + (f" number {fault.nth}" if fault.nth != 1 else "")
            if started is None:
                bars.append(_Bar(f"F{index + 1}", label + ": never, the step was not reached", -1, None))
                continue
            until = "the end" if end is None else _seconds(end - origin)
            label += f", {_seconds(started - origin)} to {until}"
            bars.append(_Bar(f"F{index + 1}", label, started, end))
        return bars

    def _lanes(self) -> list[str]:
        used = set(ALWAYS)
        for entry in self.entries:
            if isinstance(entry, Message):
                used |= {entry.source, *entry.via} | ({entry.target} if entry.target else set())
        known = [lane for lane in ORDER if lane in used]
        others = sorted(used - set(ORDER))
        place = known.index(PHONE) + 1
        return known[:place] + others + known[place:]

    # -- layout -----------------------------------------------------------------------------------------

    def svg(self) -> str:
        y = self._heading()
        y = self._names(y + 14) + 12
        behind_at = len(self.out)
        bottom = self._lines(y)
        behind, self.out = self.out, []
        self._lane_lines(y - 6, bottom)
        self._fault_bars(y - 6, bottom)
        lanes, self.out = self.out, behind
        self.out[behind_at:behind_at] = lanes
        bottom = self._names(bottom + 16) + 24
        self._text(MARGIN, bottom, self._foot(), GREY)
        height = bottom + 14
        told = (f"{v.requirement} {v.outcome.value}: {v.text}" for v in self.verdicts)
        summary = "; ".join([self.title or "a run", *told])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {height:.0f}" '
            f'width="{self.width:.0f}" height="{height:.0f}" role="img" font-family="system-ui, sans-serif" '
            f'font-size="11"><title>{escape(summary)}</title>{_DEFS}'
            f'<rect width="{self.width:.0f}" height="{height:.0f}" fill="{PAPER}"/>' + "".join(self.out) + "</svg>\n"
        )

    def _foot(self) -> str:
        return (
            "seconds from the scenario's origin; dashed: an answer; dots: who carries it; a cross: it does not arrive; "
            f"fidelity {self.trace.fidelity}, trace {self.trace.hash()[:16]}"
        )

    def _heading(self) -> float:
        y = 26.0
        most = int((self.width - 2 * MARGIN) / 8.5)
        known = load_requirements()
        for verdict in self.verdicts:
            demand = known[verdict.requirement].text if verdict.requirement in known else ""
            for part in _wrapped(f"{verdict.requirement}: {demand}" if demand else verdict.requirement, most):
                self._text(MARGIN, y, part, INK, 'font-size="14" font-weight="600"')
                y += 19
            sign = "✓" if verdict.outcome.good else "✗"
            for part in _wrapped(f"{sign} {verdict.outcome.value}: {verdict.text}", int(most * 1.12)):
                colour = GREEN if verdict.outcome.good else RED
                self._text(MARGIN, y, part, colour, 'font-size="12.5" font-weight="600"')
                y += 17
            y += 3
        if self.title or not self.verdicts:
            self._text(MARGIN, y, self.title or "a run", INK)
            y += 16
        carry = self.scenario.carry
        has = f"{carry.session} session, {'a key card' if carry.card else 'no key card'}, doors {self.scenario.doors}"
        self._text(MARGIN, y, f"The driver: {has} at the start.", GREY)
        for bar in self.bars:
            y += 16
            self._text(MARGIN, y, bar.name, RED, 'font-weight="600"')
            text = CATALOGUE[bar.label.split()[0].rstrip(",:")].text
            for place, part in enumerate(_wrapped(f"{bar.label}: {text}", int((self.width - 60) / LETTER))):
                y += 14 if place else 0
                self._text(MARGIN + 24, y, part, INK)
        return y + 10

    def _x(self, lane: str) -> float:
        return self.left + LANE * (self.lanes.index(lane) + 0.5)

    def _names(self, y: float) -> float:
        for lane in self.lanes:
            x = self._x(lane)
            strong = lane == ECU
            self.out.append(
                f'<rect x="{x - LANE / 2 + 6:.1f}" y="{y - 14:.1f}" width="{LANE - 12:.1f}" height="20" rx="3" '
                f'fill="{"#e3edf4" if strong else "#f3f3f3"}" stroke="{BLUE if strong else RULE_INK}"/>'
            )
            self._text(x, y, lane, INK, 'text-anchor="middle" font-weight="600"')
        return y

    def _lines(self, y: float) -> float:
        """All entries, downwards; returns where they end."""
        before: int | None = None
        shown = ""
        for entry in self.entries:
            if before is not None and entry.t_us - before > SILENCE_US:
                y = self._silence(y, entry.t_us - before)
            y += ROW
            self.places.append((entry.t_us, y))
            stamp = f"{(entry.t_us - self.trace.origin_us) / 1e6:.3f}"
            if stamp != shown:
                self._text(MARGIN + TIMES - 16, y + 3.5, stamp, GREY, 'text-anchor="end" font-size="10.5"')
                shown = stamp
            if isinstance(entry, Rule):
                self._rule(entry, y)
                before = entry.t_us
            else:
                self._message(entry, y)
                before = max(entry.until_us, entry.t_us)
        if not self.entries:
            y += ROW
            self._text(self.left, y, "nothing was said", GREY)
        return y + 14

    def _silence(self, y: float, us: int) -> float:
        middle = y + GAP / 2 + 5
        right = self.width - MARGIN
        x = self.left - 4
        turns = int((right - x) / 6)
        wave = f"M{x:.1f} {middle:.1f}" + "".join(f"q3 {-3 if turn % 2 else 3} 6 0" for turn in range(turns))
        self.out.append(f'<rect x="{x:.1f}" y="{middle - 4:.1f}" width="{right - x:.1f}" height="8" fill="{PAPER}"/>')
        self.out.append(f'<path d="{wave}" fill="none" stroke="{RULE_INK}"/>')
        text = f"{us / 1e6:.1f} s" if us < 3_600_000_000 else f"{us / 3.6e9:.1f} h"
        look = 'text-anchor="end" font-size="10.5" font-style="italic"'
        self._text(MARGIN + TIMES - 16, middle + 3.5, f"⋮ {text}", GREY, look)
        return y + GAP

    def _rule(self, rule: Rule, y: float) -> None:
        colour = RED if rule.verdict else GREY
        dash = "" if rule.verdict else 'stroke-dasharray="2 3"'
        self.out.append(
            f'<path d="M{self.left - 4:.1f} {y:.1f}H{self.width - MARGIN:.1f}" stroke="{colour}" '
            f'stroke-width="{2 if rule.verdict else 1}" {dash}/>'
        )
        text = f"▶ {rule.text}" if rule.verdict else rule.text
        length = LETTER * 1.12 * len(text) + 12
        x = self.width - MARGIN - length - 20 if rule.verdict else self.left + 20
        self.out.append(
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="{length:.1f}" height="18" rx="3" fill="{PAPER}" '
            f'stroke="{colour}"/>'
        )
        self._text(x + 6, y + 4, text, colour, 'font-weight="600"')

    def _message(self, m: Message, y: float) -> None:
        colour = TONES[m.tone]
        text = m.text
        if m.times > 1:
            text += f"  ×{m.times}, until {(m.until_us - self.trace.origin_us) / 1e6:.3f}"
        at = (m.t_us - self.trace.origin_us) / 1e6
        hops = f" by {', '.join(m.via)}" if m.via else ""
        full = f"{at:.6f} s: {m.source}{f' to {m.target}' if m.target else ''}{hops}: {text}"
        self.out.append(f"<g><title>{escape(full)}</title>")
        if m.target:
            self._arrow(m, y, colour, text)
        else:
            self._note(m, y, colour, text)
        self.out.append("</g>")

    def _note(self, m: Message, y: float, colour: str, text: str) -> None:
        length = LETTER * len(text) + 12
        x = self._clamped(self._x(m.source) - length / 2, length)
        self.out.append(
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="{length:.1f}" height="18" rx="9" fill="#fbfbf4" '
            f'stroke="{colour}" {_LOOK[m.tone]}/>'
        )
        self._text(x + length / 2, y + 3.8, text, colour, 'text-anchor="middle"')

    def _arrow(self, m: Message, y: float, colour: str, text: str) -> None:
        x0, x1 = self._x(m.source), self._x(m.target)
        way = 1 if x1 > x0 else -1
        line = y + 5
        # A command that gets no further ends at its carrier, an answer nobody knows where.
        stop = (x0 + x1) / 2 if m.lost and m.via else x1 - 2 * way
        dash = 'stroke-dasharray="6 3"' if m.reply else ""
        head = "" if m.lost else f'marker-end="url(#{m.tone})"'
        self.out.append(
            f'<path d="M{x0:.1f} {line:.1f}H{stop:.1f}" fill="none" stroke="{colour}" {_LOOK[m.tone]} {dash} {head}/>'
        )
        if m.lost:
            self.out.append(
                f'<path d="M{stop - 4:.1f} {line - 4:.1f}l8 8m0 -8l-8 8" stroke="{RED}" stroke-width="2.2" '
                'fill="none"/>'
            )
        for lane in m.via:
            x = self._x(lane)
            if min(x0, stop) < x < max(x0, stop):
                self.out.append(f'<circle cx="{x:.1f}" cy="{line:.1f}" r="2.8" fill="{colour}"/>')
        length = LETTER * len(text)
        middle = (x0 + x1) / 2
        x = self._clamped(middle - length / 2, length)
        self._text(
            x + length / 2, line - 5, text, colour,
            f'text-anchor="middle" paint-order="stroke" stroke="{PAPER}" stroke-width="3"',
        )  # fmt: skip

    def _clamped(self, x: float, length: float) -> float:
        return max(self.left - 2, min(x, self.width - MARGIN - length))

    # -- behind the messages ----------------------------------------------------------------------------

    def _lane_lines(self, top: float, bottom: float) -> None:
        for lane in self.lanes:
            x = self._x(lane)
            self.out.append(f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" stroke="{RULE_INK}"/>')

    def _height(self, t_us: int, top: float, bottom: float) -> float:
        """Where an instant lies: between the lines before and after it."""
        before, after = top, bottom
        for at, y in self.places:
            if at < t_us:
                before = y
            else:
                after = y
                break
        else:
            return min(before + ROW / 2, bottom)
        return max(top, (before + after) / 2 if before > top else after - ROW / 2)

    def _fault_bars(self, top: float, bottom: float) -> None:
        for place, bar in enumerate(self.bars):
            x = MARGIN + TIMES + BAR * place
            if bar.start_us < 0:
                continue
            y0 = self._height(bar.start_us, top, bottom)
            y1 = bottom if bar.end_us is None else self._height(bar.end_us, top, bottom)
            height = max(y1 - y0, 4.0)
            self.out.append(
                f"<g><title>{escape(f'{bar.name} {bar.label}')}</title>"
                f'<rect x="{x + 2:.1f}" y="{y0:.1f}" width="{BAR - 5:.1f}" height="{height:.1f}" fill="url(#fault)" '
                f'stroke="{RED}"/>'
            )
            # F1, F2 stand on the bar's head; the name beside it, if the bar is long enough.
            self._text(x + BAR / 2 - 0.5, max(y0 - 3, top + 8) if y0 > top + 10 else y0 + 11, bar.name, RED,
                       'text-anchor="middle" font-size="10" font-weight="600" paint-order="stroke" '
                       f'stroke="{PAPER}" stroke-width="3"')  # fmt: skip
            name = bar.label.split(",")[0].split()[0]
            if height > LETTER * len(name) + 34:
                middle = y0 + 22 + LETTER * len(name) / 2
                self._text(x + BAR / 2 + 3, middle, name, INK,
                           f'text-anchor="middle" transform="rotate(-90 {x + BAR / 2 + 3:.1f} {middle:.1f})" '
                           f'paint-order="stroke" stroke="{PAPER}" stroke-width="3"')  # fmt: skip
            self.out.append("</g>")

    def _text(self, x: float, y: float, text: str, colour: str, more: str = "") -> None:
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" {more}>{escape(text)}</text>')


def _seconds(us: int) -> str:
    return f"{us / 1e6:.3f}".rstrip("0").rstrip(".") + " s"


def _wrapped(text: str, most: int) -> Iterator[str]:
    line = ""
    for part in text.split():
        if line and len(line) + 1 + len(part) > most:
            yield line
            line = ""
        line += f" {part}" if line else part
    if line:
        yield line


_LOOK = {
    "plain": "", "good": 'stroke-width="1.6"', "bad": 'stroke-width="1.6"', "hostile": 'stroke-width="2.4"',
}  # fmt: skip

_DEFS = (
    "<defs>"
    + "".join(
        f'<marker id="{tone}" viewBox="0 0 10 10" refX="9" refY="5" markerUnits="userSpaceOnUse" markerWidth="9" '
        f'markerHeight="9" orient="auto"><path d="M0 1L9 5L0 9z" fill="{colour}"/></marker>'
        for tone, colour in TONES.items()
    )
    + '<pattern id="fault" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="6" height="6" fill="#fdf0d5"/><path d="M0 0V6" stroke="{ORANGE}" stroke-width="2"/></pattern></defs>'
)
