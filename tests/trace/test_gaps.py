"""The gate: every kind of gap is found and named, and what has none passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from reports.traceability import reviewed
from reports.traceability.gaps import Gap, Kind, check, draws_for
from reports.traceability.links import Link, Shown, TracedTest
from reports.traceability.reviewed import Review, digest
from rig.judge.requirements import Requirement, Target

DAY = date(2026, 11, 23)
FIRMWARE = "ab" * 32


def requirement(name: str = "LAB-1", **more: object) -> Requirement:
    base = Requirement(name, "The horn sounds.", "So that it is heard.", 500, "0.5 s", "presses of the horn")
    return replace(base, **more)  # type: ignore[arg-type]  # fields of the class


def cites(*names: str, outcome: str = "pass", coverage: str = "full", test: str = "test_a") -> TracedTest:
    return TracedTest(test, tuple(Link(n, coverage) for n in names), outcome=outcome)  # type: ignore[arg-type]


def gaps(
    tests: list[TracedTest],
    required: Requirement | None = None,
    shown: Shown | None = None,
    firmware: str | None = None,
    reviews: dict[str, Review] | None = None,
) -> tuple[Gap, ...]:
    one = required or requirement()
    known = {one.id: one}
    seen = {one.id: Review(digest(one), "A. Smith", DAY)} if reviews is None else reviews
    return check(known, tests, seen, shown, firmware)


def only(found: tuple[Gap, ...]) -> Gap:
    assert len(found) == 1, found
    return found[0]


def test_what_is_tested_reviewed_and_shown_has_no_gap() -> None:
    shown = Shown({"LAB-1": 300}, {1: 1.0, 2: 1.0}, {"LAB-1": 299}, FIRMWARE)
    required = requirement(target=Target(300, 2, 0.99, 0.95))
    assert gaps([cites("LAB-1")], required, shown, FIRMWARE) == ()
    # Before anything is run, what was collected is enough.
    assert gaps([cites("LAB-1", outcome="planned")], required) == ()


def test_requirement_without_test() -> None:
    gap = only(gaps([]))
    assert (gap.kind, gap.requirement) == (Kind.UNTESTED, "LAB-1")


def test_test_without_requirement() -> None:
    plain = TracedTest("test_b")
    gap = only(gaps([cites("LAB-1"), plain]))
    assert (gap.kind, gap.test) == (Kind.UNTRACED, "test_b")
    assert gaps([cites("LAB-1"), replace(plain, no_requirement="it looks at the rig itself")]) == ()
    # An empty reason is none.
    assert only(gaps([cites("LAB-1"), replace(plain, no_requirement="  ")])).kind is Kind.UNTRACED


def test_unknown_requirement() -> None:
    gap = only(gaps([cites("LAB-1", "LAB-l")]))
    assert (gap.kind, gap.requirement, gap.test) == (Kind.UNKNOWN, "LAB-l", "test_a")


@pytest.mark.parametrize("outcome", ["not run", "inconclusive", "error", "vacuous"])
def test_only_evidence_that_was_not_executed_or_decided_nothing(outcome: str) -> None:
    test = replace(cites("LAB-1", outcome=outcome), why="the bench has no horn")
    gap = only(gaps([test]))
    assert gap.kind is Kind.NOT_EXECUTED
    assert "the bench has no horn" in gap.text
    # One that was executed is enough.
    assert gaps([test, cites("LAB-1", test="test_b", outcome="fail")]) == ()


def test_only_partial_coverage() -> None:
    part = cites("LAB-1", coverage="partial")
    assert only(gaps([part])).kind is Kind.PARTIAL
    whole = cites("LAB-1", test="test_b")
    assert gaps([part, whole]) == ()
    # What covers all of it but was not executed does not help.
    assert only(gaps([part, replace(whole, outcome="not run")])).kind is Kind.PARTIAL


@pytest.mark.parametrize(
    "change",
    [
        {"text": "The horn sounds twice."},
        {"limit_ms": 600},
        {"limit_text": "600 ms"},
        {"evidence": "any press"},
        {"target": Target(2)},
    ],
)
def test_text_changed_since_reviewed(change: dict[str, object]) -> None:
    seen = {"LAB-1": Review(digest(requirement()), "A. Smith", DAY)}
    assert gaps([cites("LAB-1")], reviews=seen) == ()
    gap = only(gaps([cites("LAB-1")], requirement(**change), reviews=seen))
    assert gap.kind is Kind.CHANGED
    assert "A. Smith" in gap.text
    assert "2026-11-23" in gap.text


def test_a_reason_may_be_worded_better_without_a_review() -> None:
    seen = {"LAB-1": Review(digest(requirement()), "A. Smith", DAY)}
    assert gaps([cites("LAB-1")], requirement(why="Better words.", source="ECE R28"), reviews=seen) == ()


def test_never_reviewed() -> None:
    assert only(gaps([cites("LAB-1")], reviews={})).kind is Kind.CHANGED


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (Shown({"LAB-1": 299}, {1: 1.0, 2: 1.0}, {"LAB-1": 299}), "299 judged runs"),
        (Shown({"LAB-1": 0}, {1: 1.0, 2: 1.0}, {"LAB-1": 299}), "0 judged runs"),
        # Of what the judge does not judge, tests count.
        (Shown({}, {1: 1.0, 2: 1.0}, {"LAB-1": 299}), "1 test decided it"),
        (Shown({"LAB-1": 300}, {1: 1.0, 2: 0.9997}, {"LAB-1": 299}), "99.9 % of the combinations of 2"),
        (Shown({"LAB-1": 300}, {1: 1.0, 2: 1.0}, {"LAB-1": 298}), "298 independent draws"),
        # Runs of the search are no draws: the two are never pooled.
        (Shown({"LAB-1": 9_999}, {1: 1.0, 2: 1.0}, {}), "0 independent draws"),
    ],
)
def test_thin_evidence(shown: Shown, says: str) -> None:
    gap = only(gaps([cites("LAB-1")], requirement(target=Target(300, 2, 0.99, 0.95)), shown))
    assert gap.kind is Kind.THIN
    assert says in gap.text


def test_retired_requirement_cited() -> None:
    retired = requirement(retired="replaced by LAB-2")
    gap = only(gaps([cites("LAB-1")], retired))
    assert gap.kind is Kind.RETIRED
    assert "replaced by LAB-2" in gap.text
    # Nobody needs to test it any more.
    assert gaps([], retired, reviews={}) == ()


def test_wrong_firmware() -> None:
    shown = Shown({"LAB-1": 1}, firmware=FIRMWARE)
    assert gaps([cites("LAB-1")], None, shown, FIRMWARE) == ()
    gap = only(gaps([cites("LAB-1")], None, shown, "cd" * 32))
    assert gap.kind is Kind.FIRMWARE
    assert FIRMWARE in gap.text
    assert "not determined" in only(gaps([cites("LAB-1")], None, Shown({"LAB-1": 1}), FIRMWARE)).text


@pytest.mark.parametrize(
    ("quantile", "confidence", "draws"),
    # ISO 16269-6, and the well-known 59 and 299 of one-sided 95 %/95 % and 99 %/95 %.
    [(0.95, 0.95, 59), (0.99, 0.95, 299), (0.90, 0.95, 29), (0.99, 0.99, 459), (0.5, 0.5, 1)],
)
def test_draws_that_a_bound_takes(quantile: float, confidence: float, draws: int) -> None:
    assert draws_for(quantile, confidence) == draws
    assert 1 - quantile**draws >= confidence - 1e-12
    assert draws == 1 or 1 - quantile ** (draws - 1) < confidence


def test_reviews_survive_their_file_and_keep_what_did_not_change() -> None:
    first, second = requirement(), requirement("LAB 2, new")
    both = {r.id: r for r in (first, second)}
    before = reviewed.reviewed(both, {}, frozenset(), 'A. "Al" Smith', DAY)
    assert reviewed.parse(reviewed.to_toml(before), "x") == before
    changed = {**both, "LAB-1": requirement(text="The horn sounds twice.")}
    later = date(2027, 1, 1)
    after = reviewed.reviewed(changed, before, frozenset(), "B. Jones", later)
    assert after["LAB-1"] == Review(digest(changed["LAB-1"]), "B. Jones", later)
    assert after["LAB 2, new"] == before["LAB 2, new"]
    # Who looked at another one has not reviewed this one.
    assert reviewed.reviewed(changed, before, frozenset({"LAB 2, new"}), "B. Jones", later)["LAB-1"] == before["LAB-1"]


@pytest.mark.parametrize(
    "text", ["[A]\nsha256 = 1\nby = ''\non = 2026-01-01", "[A]\nsha256 = 'x'\nby = 'n'", "A = 1", "[A\n"]
)
def test_a_file_of_reviews_that_is_none_names_itself(text: str) -> None:
    with pytest.raises(reviewed.ReviewsError, match=r"reviews\.toml"):
        reviewed.parse(text, "reviews.toml")
