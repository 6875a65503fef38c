"""Conformity requirement by requirement: limit, decision rule, verdict, margin, and how often it was asked."""

from __future__ import annotations

from reports.content.evidence import Evidence, ms
from reports.document import (
    Block,
    Callout,
    Column,
    Facts,
    Para,
    Quiet,
    Section,
    Strong,
    Table,
    Text,
    To,
    Word,
)
from reports.results import RequirementResult

GUARD = (
    "The rule follows ILAC-G8:09/2019, 4.2. Level of risk: with guard bands of U (about 95 % coverage) a "
    "time that "
    "passes or fails has at most 2.5 % probability of lying on the other side of its limit; within U of the "
    "limit the "
    "verdict is conditional, and says so. In virtual time U is 0 and simple acceptance has no such risk."
)
WHOLE = (
    "A requirement over the whole campaign is met if it was asked and failed in no judged run, not met if it "
    "failed in "
    "one: no failure is averaged away. This says nothing of how often an untested scenario would fail."
)
RISK = (GUARD, WHOLE)


def section(evidence: Evidence) -> Section:
    """The statement of conformity, and what it rests on."""
    r = evidence.results
    tone = {"pass": "good", "fail": "bad", "error": "bad"}.get(r.verdict, "open")
    met = [x.id for x in r.requirements if x.verdict in ("pass", "conditional pass")]
    near = [x.id for x in r.requirements if x.verdict == "conditional pass"]
    not_met = [x.id for x in r.requirements if x.verdict == "fail"]
    untested = evidence.untested()
    open_ = [x.id for x in r.requirements if x.id not in {*met, *not_met, *untested}]
    statement: list[tuple[str, Text]] = [
        ("Met", ", ".join(met) or "none"),
        *([("Of these conditionally", f"{', '.join(near)}: nearer to the limit than U in a run")] if near else []),
        ("Not met", ", ".join(not_met) or "none"),
        ("Asked, not decided", ", ".join(open_) or "none"),
        ("Not tested", _untested(evidence, untested)),
        ("Rests on", ("the judged runs counted below; each of them stands in the file that ", To("results"), " names")),
    ]
    blocks: list[Block] = [
        Callout(
            "good" if tone == "good" else "bad" if tone == "bad" else "open",
            r.verdict.upper(),
            r.why[:1].upper() + r.why[1:] + ".",
        ),
        Facts(tuple(statement)),
        Table(
            (
                Column("id"), Column("verdict"), Column("what must hold, and its limit", share=1),
                Column("held", "right"), Column("failed", "right"), Column("other", "right"),
                Column("not asked", "right"), Column("least margin", "right"),
            ),
            [_row(x) for x in r.requirements],
            "Conformity by requirement; how many judged runs came to it",
        ),
        Para(
            "Held: pass or conditional pass. Other: conditional fail, inconclusive, error. Not asked: the "
            "run put nothing of "
            "the requirement to the test. Least margin: the smallest distance to the limit among the runs "
            "that held.",
            "note",
        ),
    ]  # fmt: skip
    return Section(
        "conformity", "Conformity by requirement", tuple(blocks),
        (Section("rule", "Decision rule", tuple(_rule(evidence))),
         Section("verdicts", "What the verdicts mean", (_verdicts(),))),
        fresh=True,
    )  # fmt: skip


def _untested(evidence: Evidence, untested: list[str]) -> Text:
    """What this report says nothing of."""
    if not untested:
        return "none"
    found = evidence.tracing()
    waived = {g.requirement for g, _waiver in found.waived} if found is not None else set()
    said = "; ".join(f"{name}{' (waived)' if name in waived else ''}" for name in untested)
    return (said, ": no judged run asked for them, so nothing is said of them; see ", To("trace"))


def _row(x: RequirementResult) -> tuple[Text, ...]:
    held = x.outcomes.get("pass", 0) + x.outcomes.get("conditional pass", 0)
    failed, vacuous = x.outcomes.get("fail", 0), x.outcomes.get("vacuous", 0)
    other = sum(x.outcomes.values()) - held - failed - vacuous
    demand: Text = (x.text, Quiet(" Limit: "), Strong(x.limit), Quiet(f" ({x.rule})" if x.rule else ""))
    if not x.limit or x.limit.startswith("none"):
        demand = (x.text, Quiet(" No limit in time."))
        if x.tightest_ms is not None:
            demand = (x.text, Quiet(" No limit of its own in time; limits of its times: "), To("latency"), Quiet("."))
    return (
        Strong(x.id), Word(x.verdict), demand, f"{held:,}", f"{failed:,}",
        f"{other:,}", f"{vacuous:,}", ms(x.tightest_ms),
    )  # fmt: skip


def _rule(evidence: Evidence) -> list[Block]:
    agreed = evidence.particulars.method.decision_rule
    rules: dict[str, list[str]] = {}
    for bench in evidence.results.benches:
        rules.setdefault(bench.rule.text, []).append(bench.name)
    if evidence.results.rule is not None:
        rules.setdefault(evidence.results.rule.text, [])
    blocks: list[Block] = []
    for text, benches in rules.items():
        where = f"On {', '.join(benches)}: " if benches and len(rules) > 1 else ""
        blocks.append(Para((Strong(where), text) if where else text))
    blocks += [Para(text) for text in RISK]
    if agreed:
        blocks.append(Para((Strong("Agreed with the customer: "), agreed)))
    return blocks


def _verdicts() -> Block:
    rows: list[tuple[Text, ...]] = [
        (Word(word), meaning)
        for word, meaning in (
            ("pass", "asked, and held by more than the uncertainty"),
            ("conditional pass", "held, but nearer to the limit than the uncertainty"),
            ("conditional fail", "missed the limit by less than the uncertainty: not decided"),
            ("fail", "asked, and did not hold"),
            ("inconclusive", "the bench broke, not the item"),
            ("error", "the rig failed"),
            ("vacuous", "the run asked nothing of it"),
            ("not run", "left out, with its reason"),
        )
    ]
    return Table((Column("verdict"), Column("means", share=1)), rows)
