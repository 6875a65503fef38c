"""A judged run in brief: what of it goes into records; plain values, small, and equal for equal runs.

The run itself comes back from its scenario, and the hash of its trace tells whether it is the same.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any

from rig.judge.judge import Judgement
from rig.judge.verdicts import Outcome, Verdict
from rig.scenario import Scenario
from rig.trace import Trace, number, word

Brief = dict[str, Any]
"""Fields: `scenario` (SHA-256 of its JSON), `trace` (hash), `us` (vehicle time in µs), `verdicts` (of requirements that
were asked: id, outcome, then, of times and of what did not hold, what it is, value, limit and instant in µs), `faults`
(mode, begin, end in µs from the scenario's origin; null: it did not end), and `full` (the scenario as text, if anything
did not hold)."""

_VARIABLE = re.compile(r" (?:during .*|of intent \d+|\d[\d.,]* m?s\b.*)|intent \d+: ")


def brief(scenario: Scenario, trace: Trace, judgement: Judgement) -> Brief:
    """A judged run in brief."""
    verdicts = [_verdict(v) for v in judgement.verdicts.values() if v.outcome is not Outcome.VACUOUS]
    text = scenario.to_json()
    short: Brief = {
        "scenario": hashlib.sha256(text.encode()).hexdigest(),
        "trace": trace.hash(),
        "us": trace.end_us,
        "verdicts": verdicts,
        "faults": spells(trace),
    }
    if any(v[1] not in ("pass", "conditional pass") for v in verdicts):
        short["full"] = text
    return short


def _verdict(verdict: Verdict) -> list[Any]:
    told = [verdict.requirement, str(verdict.outcome)]
    if not verdict.outcome.good:
        return [*told, verdict.text, verdict.value_us, verdict.limit_us, verdict.at_us]
    if verdict.value_us is None or verdict.limit_us is None:
        return told
    return [*told, measured(verdict.text), verdict.value_us, verdict.limit_us, verdict.at_us]


@lru_cache(4096)
def measured(text: str) -> str:
    """What was measured, from a verdict's text: "card unlock of intent 2 after 0.271 s, …" is "card unlock"."""
    return _VARIABLE.sub("", text.partition(" after ")[0])


def spells(trace: Trace) -> list[list[Any]]:
    """When faults held: mode, begin and end, in the order they began; an end of None: until the run's."""
    found: list[list[Any]] = []
    open_: dict[int, list[Any]] = {}
    for event in trace.of("fault"):
        index, at_us = number(event, 2), event[0] - trace.origin_us
        if number(event, 4):
            spell: list[Any] = [word(event, 3), at_us, None]
            open_[index] = spell
            found.append(spell)
        elif index in open_:
            open_.pop(index)[2] = at_us
    return found
