"""Requirement by test: the trace matrix with its gaps and waivers."""

from __future__ import annotations

from collections import Counter

from reports.content.evidence import Evidence, Tracing, count
from reports.document import Block, Callout, Code, Column, Para, Quiet, Section, Strong, Table, Text, Word

MOST_NAMED = 4
"""Test functions named with a requirement, the worst first; trace.csv and results.json have all tests."""
WORST = ("fail", "error", "inconclusive", "conditional fail", "conditional pass", "pass", "not run")


def section(evidence: Evidence) -> Section:
    """What each requirement rests on, and what is missing."""
    found = evidence.tracing()
    title = "Trace matrix and gaps"
    if found is None:
        text = "Not determined: these results do not say which test cites which requirement."
        return Section("trace", title, (Para(text),))
    named = {g.requirement for g in found.open if g.requirement}
    blocks: list[Block] = [
        Para(
            f"{count(len(found.requirements), 'requirement')}, {count(len(found.tests), 'test')}. A gap is a "
            "requirement "
            "without a test, a test without a requirement, evidence that was never executed, covers only a "
            "part, is thin, "
            "or is about a text that has changed since it was reviewed."
        ),
        Callout(
            "bad" if found.open else "open" if found.waived else "good",
            f"{count(len(found.open), 'open gap')}, {len(found.waived)} waived",
            f"Open gaps in {', '.join(sorted(named))}." if named else "They are listed below." if found.open
            else "Waived gaps are no evidence: somebody answers for them by name, below." if found.waived
            else "Nothing is missing.",
        ),
        Table(
            (Column("requirement"), Column("tests", "right"), Column("came to", share=3), Column("rests on", share=8),
             Column("gaps", share=3)),
            _rows(found),
            "Trace matrix: a line a requirement; test functions with their number of cases, the worst first",
        ),
    ]  # fmt: skip
    blocks.append(
        Para(
            "Here a test counts for each requirement that it cites: one that fails stands as a failure with all of "
            "them, whichever it was that failed. Which requirement failed, and in how many judged runs, is said in "
            "the statement of conformity.",
            "note",
        )
    )
    parts: list[Section] = []
    if found.open:
        gaps: list[tuple[Text, ...]] = [(Word("gap"), str(g.kind), g.text) for g in found.open]
        table = Table((Column(""), Column("kind"), Column("what is missing", share=1)), gaps)
        parts.append(Section("gaps", "Gaps", (table,)))
    if found.waived:
        waivers: list[tuple[Text, ...]] = [
            (Strong(w.requirement), str(w.gap), w.reason, w.name, w.expires.isoformat())
            for _gap, w in found.waived
        ]
        columns = (Column("requirement"), Column("gap"), Column("reason", share=1), Column("answered for by"),
                   Column("until"))  # fmt: skip
        parts.append(Section("waivers", "Waivers", (Table(columns, waivers),)))
    return Section("trace", title, tuple(blocks), tuple(parts))


def _rows(found: Tracing) -> list[tuple[Text, ...]]:
    citing: dict[str, list[tuple[str, str, str]]] = {name: [] for name in found.requirements}
    for test in found.tests:
        for link in test.links:
            if link.requirement in citing:
                citing[link.requirement].append((test.outcome, test.name, link.coverage))
    out: list[tuple[Text, ...]] = []
    for name in found.requirements:
        tests = citing[name]
        counts = Counter(outcome for outcome, _test, _coverage in tests)
        came = ", ".join(f"{number:,} {outcome}" for outcome, number in counts.most_common()) or "no test"
        gaps = [str(g.kind) for g in found.open if g.requirement == name]
        gaps += [f"{g.kind} (waived)" for g, _waiver in found.waived if g.requirement == name]
        out.append((Strong(name), f"{len(tests):,}", came, _named(tests), "; ".join(gaps) or "–"))
    return out


def _named(tests: list[tuple[str, str, str]]) -> Text:
    """The functions behind the tests, those with the worst outcomes first; each stands for all its parameters."""
    functions: dict[tuple[str, str], list[int]] = {}
    for outcome, test, coverage in tests:
        worst = WORST.index(outcome) if outcome in WORST else 0
        functions.setdefault((test.partition("[")[0].removeprefix("rig/suite/"), coverage), []).append(worst)
    listed = sorted(functions.items(), key=lambda f: (min(f[1]), -len(f[1]), f[0]))
    pieces: list[Code | Quiet | str] = []
    for (function, coverage), worsts in listed[:MOST_NAMED]:
        pieces += [", "] if pieces else []
        pieces.append(Code(function))
        many = f" ×{len(worsts):,}" if len(worsts) > 1 else ""
        part = " (a part)" if coverage == "partial" else ""
        pieces.append(Quiet(f"{many}{part}"))
    if len(listed) > MOST_NAMED:
        pieces.append(Quiet(f" and {len(listed) - MOST_NAMED:,} more"))
    return tuple(pieces) or "–"
