"""The gate: what is missing between requirements, tests and evidence. Pure; nothing is forgiven here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reports.traceability.links import CONCLUSIVE, NOT_RUN, PLANNED, Shown, TracedTest
from reports.traceability.reviewed import Review, digest
from rig.judge.requirements import Requirement, Target


class Kind(StrEnum):
    """The kinds of gaps, in the words that waivers and reports use."""

    UNTESTED = "requirement without test"
    UNTRACED = "test without requirement"
    UNKNOWN = "unknown requirement"
    NOT_EXECUTED = "only skipped or deselected evidence"
    PARTIAL = "only partial coverage"
    CHANGED = "text changed since reviewed"
    THIN = "thin evidence"
    RETIRED = "retired requirement cited"
    FIRMWARE = "wrong firmware"


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that is missing; `text` says what, and what mends it."""

    kind: Kind
    requirement: str
    test: str
    text: str


def check(
    requirements: Mapping[str, Requirement],
    tests: Sequence[TracedTest],
    reviews: Mapping[str, Review],
    shown: Shown | None = None,
    firmware: str | None = None,
) -> tuple[Gap, ...]:
    """All gaps, those of the tests first, then by requirement in their order.

    Args:
        requirements: what must hold.
        tests: all that were collected, deselected and skipped ones included.
        reviews: which texts were reviewed, by requirement.
        shown: what a run has shown; None: only what can be known before one is checked.
        firmware: SHA-256 of the firmware that the evidence must be about; None: any.
    """
    gaps = list(_of_tests(requirements, tests))
    citing: dict[str, list[TracedTest]] = {name: [] for name in requirements}
    for test in tests:
        for link in test.links:
            if link.requirement in citing:
                citing[link.requirement].append(test)
    for name, requirement in requirements.items():
        gaps += _of_requirement(requirement, citing[name], reviews.get(name), shown)
    if firmware is not None and shown is not None:
        gaps += _of_firmware(firmware, shown.firmware)
    return tuple(gaps)


def _of_tests(requirements: Mapping[str, Requirement], tests: Sequence[TracedTest]) -> Iterator[Gap]:
    for test in tests:
        if not test.links and not (test.no_requirement or "").strip():
            yield Gap(
                Kind.UNTRACED, "", test.name,
                f"{test.name} cites no requirement; mark it requirement(id), or no_requirement(reason)",
            )  # fmt: skip
        for link in test.links:
            requirement = requirements.get(link.requirement)
            if requirement is None:
                yield Gap(
                    Kind.UNKNOWN, link.requirement, test.name,
                    f"{test.name} cites {link.requirement}, which is in no list of requirements",
                )  # fmt: skip
            elif requirement.retired:
                yield Gap(
                    Kind.RETIRED, link.requirement, test.name,
                    f"{test.name} cites {link.requirement}, which is retired: {requirement.retired}",
                )  # fmt: skip


def _of_requirement(
    requirement: Requirement, citing: Sequence[TracedTest], review: Review | None, shown: Shown | None
) -> Iterator[Gap]:
    if requirement.retired:
        return
    name = requirement.id
    if review is None:
        yield Gap(Kind.CHANGED, name, "", f"{name}: its text was never reviewed; `rig trace lock` notes that it was")
    elif review.sha256 != digest(requirement):
        yield Gap(
            Kind.CHANGED, name, "",
            f"{name}: text, limit or evidence changed since {review.by} reviewed it on {review.on}; look at the tests"
            f" that cite it, then `rig trace lock --only {name}`",
        )  # fmt: skip
    if not citing:
        yield Gap(Kind.UNTESTED, name, "", f"{name}: no test cites it")
        return
    run = [t for t in citing if t.outcome == PLANNED or t.outcome in CONCLUSIVE]
    if not run:
        yield Gap(Kind.NOT_EXECUTED, name, "", f"{name}: {_why_not(citing)}")
        return
    if all(t.cites(name) == "partial" for t in run):
        yield Gap(
            Kind.PARTIAL, name, "", f"{name}: of {_tests(len(run))} that can decide it, none covers all of it"
        )
    if shown is not None:
        decided = sum(1 for t in run if t.outcome in CONCLUSIVE)
        thin = _thin(name, requirement.target, shown, decided)
        yield from (Gap(Kind.THIN, name, "", f"{name}: {text}") for text in thin)


def _why_not(citing: Sequence[TracedTest]) -> str:
    undecided = [t for t in citing if t.outcome != NOT_RUN]
    first = undecided[0] if undecided else citing[0]
    why = f" ({first.name}: {first.why})" if first.why else f" ({first.name})"
    if undecided:
        return f"its {_tests(len(citing))} decided nothing{why}"
    return f"its {_tests(len(citing))} not executed{why}"


def _thin(name: str, target: Target, shown: Shown, decided: int) -> Iterator[str]:
    """Too little of what; of what the judge does not judge, the tests that decided it count."""
    asked = shown.asked.get(name)
    if asked is None and decided < target.runs:
        yield f"{_tests(decided)} decided it, its target is {target.runs:,}"
    elif asked is not None and asked < target.runs:
        yield f"{asked:,} judged runs asked for it, its target is {target.runs:,}"
    for t in range(1, target.t_way + 1):
        share = shown.t_way.get(t, 0.0)
        if share < 1.0:
            # Rounded down: 99.97 % must not read as all.
            yield (
                f"{math.floor(share * 1000) / 10:.1f} % of the combinations of {t} came up,"
                f" its target is all of them up to {target.t_way}"
            )
    if target.quantile is not None:
        needed = draws_for(target.quantile, target.confidence)
        drawn = shown.sampled.get(name, 0)
        if drawn < needed:
            yield (
                f"{drawn:,} independent draws asked for it; to bound its {target.quantile:g} quantile with"
                f" {target.confidence * 100:g} % confidence takes {needed:,} (`rig sample`)"
            )


def draws_for(quantile: float, confidence: float) -> int:
    """Independent draws whose largest one bounds a quantile from above with that confidence.

    The smallest n with 1 − quantile^n ≥ confidence: the order statistics' bound, free of any distribution
    (Wilks 1941; ISO 16269-6).
    """
    # 1e-12: 0.99 and 0.95 are not exact in binary, and must not cost a draw where they meet the bound exactly.
    return math.ceil(math.log(1 - confidence) / math.log(quantile) - 1e-12)


def _of_firmware(expected: str, tested: str | None) -> Iterator[Gap]:
    if tested is None:
        yield Gap(Kind.FIRMWARE, "", "", f"what firmware was tested is not determined; it should be {expected}")
    elif tested != expected:
        yield Gap(Kind.FIRMWARE, "", "", f"the evidence is about firmware {tested}, it should be {expected}")


def _tests(number: int) -> str:
    return f"{number} test{'' if number == 1 else 's'}"
