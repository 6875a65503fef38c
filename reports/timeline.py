"""One run as a picture: an SVG with a lane for everybody, the faults as bars, and the verdict above.

Reads a scenario and its trace; decides nothing. Colours are those of Okabe and Ito, which people with every
kind of colour vision tell apart, and nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from reports.axis import Axis
from rig.judge.verdicts import Verdict
from rig.scenario import Scenario
from rig.trace import Event, Trace, number, word

BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, RED, PURPLE, GREY = "#E69F00", "#C04F00", "#CC79A7", "#767676"
INK, PAPER, RULE = "#1b1b1b", "#ffffff", "#d9d9d9"

WIDTH = 1120
LABELS = 118
MARGIN = 14
LANE = 34
BAR = 15
TEXT = 11
LETTER = 6.0
"""Mean width of a letter of `TEXT` px; decides which labels fit, so a guess on the wide side."""
FULL_BUS = 4.0
"""Frames a millisecond on a full 500 kbit/s bus."""
ON_MV = 9300
"""Below it the ECU need not act (vehicle.md section 5)."""

LANES = ("driver", "phone", "server, TCU", "Bluetooth module", "attacker", "body CAN", "ECU", "reader")
DOORS = ("FL", "FR", "RL", "RR")
QUIET_KINDS = frozenset({"can", "skip", "end"})
"""Kinds that fill a run and so do not keep a stretch of the axis from being cut out."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one instant."""

    t_us: int
    label: str
    colour: str
    full: str
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasted."""

    start_us: int
    end_us: int
    label: str
    colour: str


@dataclass(slots=True)
class Lane:
    """What is drawn beside one name."""

    name: str
    marks: list[Mark] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)


def timeline_svg(scenario: Scenario, trace: Trace, title: str, verdicts: Sequence[Verdict] = ()) -> str:
    """Draws a run.

    Args:
        scenario: what was played.
        trace: what came of it.
        title: the heading, such as the test's name.
        verdicts: told below the heading; those with an instant are marked in the picture.

    Returns:
        An SVG document that needs nothing else: no style sheet, no script, no font.
    """
    return _Picture(scenario, trace, title, verdicts).svg()


def story(trace: Trace) -> str:
    """The run in words: a line an event, times in seconds from the scenario's origin, bus frames left out."""
    lines: list[str] = []
    for event in trace.events:
        if event[1] not in QUIET_KINDS:
            fields = " ".join(f.hex() if isinstance(f, bytes) else str(f) for f in event[2:])
            lines.append(f"{(event[0] - trace.origin_us) / 1e6:11.6f}  {event[1]:<9}{fields}")
    return "\n".join(lines)


class _Picture:
    def __init__(self, scenario: Scenario, trace: Trace, title: str, verdicts: Sequence[Verdict]) -> None:
        self.trace = trace
        self.origin = trace.origin_us
        self.title = title
        self.verdicts = verdicts
        self.end = trace.end_us
        self.lanes = {name: Lane(name) for name in LANES}
        self.faults = self._faults(scenario)
        self.latches: dict[str, list[tuple[int, str]]] = {
            door: [(0, "L" if scenario.doors == "locked" else "U")] for door in DOORS
        }
        self.motors: dict[str, list[Bar]] = {door: [] for door in DOORS}
        self._open_motor: dict[str, tuple[int, str]] = {}
        self._supply: tuple[int, int] | None = None
        self._tap: int | None = None
        for event in trace.events:
            taker = _TAKERS.get(event[1])
            if taker is not None:
                taker(self, event)
        self._close()
        self.axis = Axis(self._instants(), LABELS, WIDTH - LABELS - MARGIN)
        self.out: list[str] = []

    # -- reading ----------------------------------------------------------------------------------

    def _faults(self, scenario: Scenario) -> list[Bar]:
        """The scenario's faults; where the trace has their edges, at the times they really had."""
        edges = {(e[2], e[4]): e[0] for e in self.trace.of("fault") if len(e) > 4}
        bars = []
        for index, fault in enumerate(scenario.faults):
            start = edges.get((index, 1), self.origin + fault.start_us)
            planned = self.end if fault.end_us is None else self.origin + fault.end_us
            params = "".join(f" {name}={value}" for name, value in fault.params)
            bars.append(Bar(start, edges.get((index, 0), planned), fault.mode + params, RED))
        return bars

    def _instants(self) -> Iterable[int]:
        for event in self.trace.events:
            if event[1] not in QUIET_KINDS and event[0] >= self.origin:
                yield event[0]
        yield self.origin
        for fault in self.faults:
            yield from (t for t in (fault.start_us, fault.end_us) if self.origin <= t <= self.end)
        for verdict in self.verdicts:
            if verdict.at_us is not None:
                yield min(max(verdict.at_us, self.origin), self.end)

    def _mark(self, lane: str, event: Event, label: str, colour: str, hollow: bool = False) -> None:
        shown = [f.hex()[:16] if isinstance(f, bytes) else str(f) for f in event[2:]]
        self.lanes[lane].marks.append(Mark(event[0], label, colour, " ".join([event[1], *shown]), hollow))

    def _close(self) -> None:
        if self._supply is not None:
            self._note_supply(self.end, ON_MV)
        if self._tap is not None:
            self.lanes["reader"].bars.append(Bar(self._tap, self.end, "card", BLUE))
        for door, (since, direction) in self._open_motor.items():
            self.motors[door].append(Bar(since, self.end, direction, ORANGE))

    def _note_supply(self, at_us: int, mv: int) -> None:
        if self._supply is not None:
            since, low = self._supply
            if since < at_us and at_us > self.origin:
                self.lanes["ECU"].bars.append(Bar(since, at_us, f"{low / 1000:g} V", GREY))
        self._supply = (at_us, mv) if mv < ON_MV else None

    def intent(self, e: Event) -> None:
        self._mark("driver", e, f"wants to {word(e, 3)} ({word(e, 4)})", BLUE)

    def told(self, e: Event) -> None:
        self._mark("driver", e, f"told “{word(e, 3)}”", GREEN if word(e, 3) in ("opened", "locked") else RED)

    def handle(self, e: Event) -> None:
        self._mark(
            "driver", e, "door opens" if number(e, 3) else "handle: shut", GREEN if number(e, 3) else RED
        )

    def act(self, e: Event) -> None:
        self._mark(
            "driver" if word(e, 3) == "card" else "phone",
            e,
            "taps card" if word(e, 3) == "card" else f"tries {word(e, 3)}",
            BLUE,
        )

    def session(self, e: Event) -> None:
        self._mark("phone", e, f"{word(e, 3)} session", GREY, hollow=True)

    def sign(self, e: Event) -> None:
        self._mark("phone", e, f"signs {word(e, 6)}", PURPLE)

    def answer(self, e: Event) -> None:
        fine = number(e, 4) == 0
        self._mark(
            "phone",
            e,
            "answer: done" if fine else f"answer: fault {number(e, 4)}",
            GREEN if fine else RED,
            not fine,
        )

    def hand(self, e: Event) -> None:
        lane = "server, TCU" if word(e, 2) == "cloud" else "Bluetooth module"
        origin = word(e, 4)
        genuine = origin == "genuine"
        self._mark(lane, e, "carries to ECU" if genuine else f"carries {origin}", SKY if genuine else RED)
        if origin in ("replay", "forge"):
            self._mark("attacker", e, f"{origin} by {word(e, 2)}", RED)

    def attack(self, e: Event) -> None:
        self._mark("attacker", e, f"{word(e, 3)}: {word(e, 4)}", RED)

    def tap(self, e: Event) -> None:
        self._tap = e[0]

    def untap(self, e: Event) -> None:
        if self._tap is not None:
            self.lanes["reader"].bars.append(Bar(self._tap, e[0], "card", BLUE))
            self._tap = None

    def auth(self, e: Event) -> None:
        self._mark("reader", e, "card proves itself", GREEN)

    def motor(self, e: Event) -> None:
        door, direction, on = word(e, 2), word(e, 3), number(e, 4)
        began = self._open_motor.pop(door, None)
        if began is not None:
            self.motors[door].append(Bar(began[0], e[0], began[1], ORANGE))
        if on:
            self._open_motor[door] = (e[0], direction)

    def latch(self, e: Event) -> None:
        self.latches[word(e, 2)].append((e[0], word(e, 3)))

    def supply(self, e: Event) -> None:
        self._note_supply(e[0], number(e, 2))

    def lost(self, e: Event) -> None:
        self._mark("ECU", e, f"lost: {word(e, 2)}", RED)

    def stall(self, e: Event) -> None:
        self._mark("ECU", e, f"{word(e, 2)} {number(e, 3)} ms late", RED, hollow=True)

    # -- drawing ----------------------------------------------------------------------------------

    def svg(self) -> str:
        used = [lane for lane in self.lanes.values() if lane.marks or lane.bars or lane.name == "body CAN"]
        y = self._heading()
        top = y
        body_at = len(self.out)
        for place, fault in enumerate(self.faults):
            self._name("faults" if place == 0 else "", y + BAR / 2 + 4)
            self._bar(fault, y, BAR)
            y += BAR + 4
        if self.faults:
            y += 6
        for lane in used:
            y = self._can(y) if lane.name == "body CAN" else self._lane(lane, y)
        y = self._doors(y)
        behind = self._grid(top, y)
        self.out[body_at:body_at] = behind
        y += 48
        self._line(LABELS, y, f"seconds from the scenario's origin; {trace_name(self.trace)}", GREY)
        height = y + 12
        summary = escape("; ".join([self.title, *(v.text for v in self.verdicts)]))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="{TEXT}">'
            f"<title>{summary}</title>{_PATTERNS}"
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>' + "".join(self.out) + "</svg>"
        )

    def _heading(self) -> float:
        self.out.append(
            f'<text x="{MARGIN}" y="22" font-size="15" font-weight="600" fill="{INK}">{escape(self.title)}</text>'
        )
        y = 42.0
        for verdict in self.verdicts:
            colour = GREEN if verdict.outcome.good else RED
            text = f"{verdict.requirement} {verdict.outcome.value.upper()}: {verdict.text}"
            self._line(MARGIN, y, text, colour, 'font-weight="600" font-size="12"')
            y += 17
        return y + 4

    def _line(self, x: float, y: float, text: str, colour: str = INK, more: str = "") -> None:
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" {more}>{escape(text)}</text>')

    def _name(self, name: str, y: float) -> None:
        self._line(LABELS - 10, y, name, INK, 'text-anchor="end"')

    def _grid(self, top: float, bottom: float) -> list[str]:
        """Ticks, cuts and verdict lines, to lie behind everything else."""
        kept, self.out = self.out, []
        for t in self.axis.ticks(self.origin):
            x = self.axis.x(t)
            self.out.append(_vertical(x, top, bottom, RULE))
            self._line(x, bottom + 14, f"{(t - self.origin) / 1e6:g}", INK, 'text-anchor="middle"')
        for s in self.axis.stretches:
            if s.cut:
                self.out.append(
                    f'<rect x="{s.x:.1f}" y="{top:.1f}" width="{s.width:.1f}" height="{bottom - top:.1f}" '
                    f'fill="url(#cut)"><title>{s.span_us / 1e6:.1f} s cut out</title></rect>'
                )
                label = f"{s.span_us / 1e6:.0f} s"
                self._line(s.x + s.width / 2, top - 3, label, GREY, 'text-anchor="middle" font-size="10"')
        for verdict in self.verdicts:
            if verdict.at_us is not None:
                x = self.axis.x(verdict.at_us)
                self.out.append(
                    _vertical(x, top - 2, bottom, INK, 'stroke-dasharray="5 3" stroke-width="1.5"')
                )
                self._line(
                    x, bottom + 27, f"▲ {verdict.requirement}", INK, 'text-anchor="middle" font-weight="600"'
                )
        behind, self.out = self.out, kept
        return behind

    def _bar(self, bar: Bar, y: float, height: float) -> None:
        x0, x1 = self.axis.x(bar.start_us), self.axis.x(bar.end_us)
        width = max(x1 - x0, 2.0)
        times = f"{(bar.start_us - self.origin) / 1e6:.3f} to {(bar.end_us - self.origin) / 1e6:.3f} s"
        self.out.append(
            f"<g><title>{escape(bar.label)}: {times}</title>"
            f'<rect x="{x0:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{bar.colour}" '
            f'fill-opacity="0.22" stroke="{bar.colour}"/></g>'
        )
        length = LETTER * len(bar.label)
        # Beside a bar too short for it, so that no mark on the bar hides it.
        at = x0 + 4 if length + 4 <= width else x0 + width + 4
        if length > WIDTH - MARGIN - at:
            at = max(LABELS, min(x0 - 4, WIDTH - MARGIN) - length)
        self._line(at, y + height - 4, bar.label)

    def _lane(self, lane: Lane, y: float) -> float:
        rows, placed = _rows(lane.marks, self.axis)
        height = LANE + 12 * max(0, rows - 1)
        middle = y + height - 10
        self._name(lane.name, middle + 4)
        self.out.append(f'<path d="M{LABELS} {middle:.1f}H{WIDTH - MARGIN}" stroke="{RULE}"/>')
        for bar in lane.bars:
            self._bar(bar, middle - BAR / 2, BAR)
        for mark, row in placed:
            x = self.axis.x(mark.t_us)
            self.out.append(
                f"<g><title>{(mark.t_us - self.origin) / 1e6:.6f} s: {escape(mark.full)}</title>"
                f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="3.6" fill="{PAPER if mark.hollow else mark.colour}" '
                f'stroke="{mark.colour}" stroke-width="1.6"/></g>'
            )
            if row is not None:
                level = middle - 8 - 12 * row
                if row:
                    self.out.append(_vertical(x, level + 2, middle - 4, RULE))
                self._line(_label_x(x, mark.label), level, mark.label)
        return y + height

    def _can(self, y: float) -> float:
        """How full the bus was: a column every few pixels, as high as the share of a full bus."""
        bottom = y + LANE - 8
        self._name("body CAN", bottom)
        step = 4.0
        columns: dict[int, list[int]] = {}
        for event in self.trace.of("can"):
            if self.axis.start_us <= event[0] <= self.axis.end_us:
                column = columns.setdefault(int((self.axis.x(event[0]) - LABELS) / step), [0, 0])
                column[1 if 0x2A0 <= number(event, 2) < 0x500 else 0] += 1
        full = FULL_BUS * step / self.axis.per_us / 1000
        for place, (cyclic, channel) in sorted(columns.items()):
            x = LABELS + place * step
            high = min(22.0, max(2.0, 22.0 * (cyclic + channel) / full))
            colour = BLUE if channel else GREY
            self.out.append(
                f'<rect x="{x:.1f}" y="{bottom - high:.1f}" width="3" height="{high:.1f}" fill="{colour}"/>'
            )
        self.out.append(f'<path d="M{LABELS} {bottom:.1f}H{WIDTH - MARGIN}" stroke="{RULE}"/>')
        return y + LANE

    def _doors(self, y: float) -> float:
        """A strip a door: locked filled, unlocked outlined, moving hatched; motor pulses below it."""
        y += 6
        looks = {
            "L": ("locked", BLUE, 0.55),
            "U": ("unlocked", PAPER, 1.0),
            "X": ("moving", "url(#moving)", 1.0),
        }
        for door in DOORS:
            self._name(f"door {door}", y + 11)
            changes = [*self.latches[door], (self.axis.end_us, "")]
            for (start, state), (end, _next) in pairwise(changes):
                x0, x1 = self.axis.x(start), self.axis.x(end)
                if x1 <= x0:
                    continue
                text, fill, opacity = looks.get(state, (state, GREY, 0.5))
                self.out.append(
                    f'<g><title>{door} {text}</title><rect x="{x0:.1f}" y="{y:.1f}" width="{x1 - x0:.1f}" height="13" '
                    f'fill="{fill}" fill-opacity="{opacity}" stroke="{BLUE}"/></g>'
                )
                if x1 - x0 > LETTER * len(text) + 6:
                    self._line(x0 + 4, y + 10.5, text)
            for pulse in self.motors[door]:
                x0, x1 = self.axis.x(pulse.start_us), self.axis.x(pulse.end_us)
                self.out.append(
                    f"<g><title>motor {door} to {'unlock' if pulse.label == 'U' else 'lock'}, "
                    f"{(pulse.end_us - pulse.start_us) / 1000:.0f} ms</title>"
                    f'<rect x="{x0:.1f}" y="{y + 14:.1f}" width="{max(x1 - x0, 2):.1f}" '
                    f'height="4" fill="{ORANGE}"/></g>'
                )
            y += 22
        return y


def trace_name(trace: Trace) -> str:
    """Fidelity and hash, which name a run."""
    return f"fidelity {trace.fidelity}, trace {trace.hash()[:16]}"


def _vertical(x: float, top: float, bottom: float, colour: str, more: str = "") -> str:
    return f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" stroke="{colour}" {more}/>'


def _label_x(x: float, label: str) -> float:
    """Labels begin at their mark; at the right edge they end at the margin instead."""
    return min(x + 2, WIDTH - MARGIN - LETTER * len(label))


def _rows(marks: list[Mark], axis: Axis, most: int = 5) -> tuple[int, list[tuple[Mark, int | None]]]:
    """Spreads labels over rows so that none covers another; a label that fits nowhere is left to its tooltip."""
    ends = [0.0] * most
    placed: list[tuple[Mark, int | None]] = []
    rows = 1
    for mark in sorted(marks, key=lambda m: m.t_us):
        if not axis.start_us <= mark.t_us <= axis.end_us:
            continue
        x = _label_x(axis.x(mark.t_us), mark.label)
        row = next((r for r, end in enumerate(ends) if end <= x), None)
        if row is not None:
            ends[row] = x + LETTER * len(mark.label) + 4
            rows = max(rows, row + 1)
        placed.append((mark, row))
    return rows, placed


_TAKERS = {
    "intent": _Picture.intent, "told": _Picture.told, "handle": _Picture.handle, "act": _Picture.act,
    "session": _Picture.session, "sign": _Picture.sign, "answer": _Picture.answer, "hand": _Picture.hand,
    "attack": _Picture.attack, "tap": _Picture.tap, "untap": _Picture.untap, "auth": _Picture.auth,
    "motor": _Picture.motor, "latch": _Picture.latch, "supply": _Picture.supply, "lost": _Picture.lost,
    "stall": _Picture.stall,
}  # fmt: skip

_PATTERNS = (
    '<defs><pattern id="moving" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="5" height="5" fill="{PAPER}"/><path d="M0 0V5" stroke="{BLUE}" stroke-width="2"/></pattern>'
    '<pattern id="cut" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    f'<rect width="6" height="6" fill="#f4f4f4"/><path d="M0 0V6" stroke="{RULE}" stroke-width="1.5"/></pattern></defs>'
)
