"""Waivers: who answers for a gap, until when, and what nobody can answer for."""

from __future__ import annotations

from datetime import date

import pytest

from reports.traceability.gaps import Gap, Kind
from reports.traceability.waivers import NEVER, Waiver, WaiversError, built_in, parse, weigh

GOOD = """
[[waiver]]
requirement = "LAB-1"
gap = "thin evidence"
reason = "the climate chamber is booked until March"
name = "A. Smith"
expires = 2027-03-31
"""
THIN = Gap(Kind.THIN, "LAB-1", "", "LAB-1: 3 judged runs asked for it, its target is 300")


def test_a_gap_is_waived_until_the_end_of_a_day() -> None:
    (waiver,) = parse(GOOD, "waivers.toml")
    on_the_day = weigh([THIN], [waiver], date(2027, 3, 31))
    assert (on_the_day.open, on_the_day.waived) == ((), ((THIN, waiver),))
    day_after = weigh([THIN], [waiver], date(2027, 4, 1))
    assert (day_after.open, day_after.expired) == ((THIN,), (waiver,))


def test_it_covers_that_gap_of_that_requirement_alone() -> None:
    (waiver,) = parse(GOOD, "waivers.toml")
    others = [Gap(Kind.THIN, "LAB-2", "", ""), Gap(Kind.PARTIAL, "LAB-1", "", "")]
    weighed = weigh(others, [waiver], date(2027, 1, 1))
    assert (list(weighed.open), weighed.idle) == (others, (waiver,))


def test_a_second_waiver_takes_over_when_the_first_has_expired() -> None:
    (first,) = parse(GOOD, "waivers.toml")
    second = Waiver("LAB-1", Kind.THIN, "the chamber is late", "B. Jones", date(2027, 12, 31))
    weighed = weigh([THIN], [first, second], date(2027, 6, 1))
    assert (weighed.open, weighed.waived) == ((), ((THIN, second),))
    assert weighed.expired == (first,)


@pytest.mark.parametrize("field", ["requirement", "gap", "reason", "name", "expires"])
def test_a_waiver_says_everything(field: str) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(field))
    with pytest.raises(WaiversError, match=f"waiver 1 lacks {field}"):
        parse(text, "waivers.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"A. Smith"', '"  "', "lacks name"),
        ("2027-03-31", '"2027-03-31"', "without quotes"),
        ("2027-03-31", "2027-03-31T10:00:00", "without quotes"),
        ("thin evidence", "thin", "cannot be waived"),
        ("reason", "because", "lacks reason"),
        ("[[waiver]]", "[[waver]]", "and nothing else"),
        ("name =", "approved = true\nname =", "approved, which is not known"),
        ("[[waiver]]", "[[waiver", "no TOML"),
    ],
)
def test_slips_are_named(old: str, new: str, says: str) -> None:
    with pytest.raises(WaiversError, match=says):
        parse(GOOD.replace(old, new), "waivers.toml")


@pytest.mark.parametrize("kind", sorted(NEVER))
def test_what_nobody_can_answer_for(kind: Kind) -> None:
    """A test without requirement has a marker for its reason; a slip is mended; other firmware is other evidence."""
    with pytest.raises(WaiversError, match="cannot be waived"):
        parse(GOOD.replace("thin evidence", kind), "waivers.toml")


def test_the_rigs_own_waivers_say_everything() -> None:
    assert {w.requirement for w in built_in()} == {"SEC-14", "DGN-1", "DGN-2"}
