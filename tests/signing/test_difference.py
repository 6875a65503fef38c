"""Differences are named: the place, what is said, and what should be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.signing.difference import differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_exactly_what_is_unequal_differs(one: Any, two: Any) -> None:
    assert differences(one, one) == []
    # Python holds True and 1 for equal, and JSON does not.
    assert bool(differences(one, two)) == (repr(one) != repr(two) and _sorted(one) != _sorted(two))


def _sorted(value: Any) -> Any:
    """Equal for equal documents: the order of an object's fields says nothing."""
    if isinstance(value, dict):
        return ["object", sorted((k, repr(_sorted(v))) for k, v in value.items())]
    if isinstance(value, list):
        return ["array", [_sorted(v) for v in value]]
    return repr(value)


@pytest.mark.parametrize(
    ("said", "should", "words"),
    [
        ({"verdict": "pass"}, {"verdict": "fail"}, 'verdict says "pass", it should say "fail"'),
        ({"a": {}}, {"a": {"n": 1}}, "a.n is missing; it should be 1"),
        ({"a": {"n": 1}}, {"a": {}}, "a.n should not be there; it says 1"),
        ({"n": 1}, {"n": 1.0}, "n says 1, it should say 1.0"),
        ({"n": True}, {"n": 1}, "n says true, it should say 1"),
        ([1, 2], [1, 3], "[1] says 2, it should say 3"),
        ([1], [1, 3], "[1] is missing; it should be 3"),
        (
            {"requirements": [{"id": "AVL-4", "asked": 3}]}, {"requirements": [{"id": "AVL-4", "asked": 4}]},
            "requirements[AVL-4].asked says 3, it should say 4",
        ),
        ({"f": [{"id": "a"}]}, {"f": [{"id": "a"}, {"id": "b"}]}, "f[b] was removed"),
        ({"f": []}, {"f": [{"id": "b"}]}, "f[b] was removed"),
        ({"f": [{"id": "a"}, {"id": "b"}]}, {"f": [{"id": "b"}, {"id": "a"}]}, "f is in another order"),
    ],
)  # fmt: skip
def test_in_words(said: Any, should: Any, words: str) -> None:
    assert differences(said, should) == [words]


def test_no_more_than_somebody_reads() -> None:
    words = differences(list(range(100)), [0] * 100, most=3)
    assert words[-1] == "… and 96 more"
    assert len(words) == 4
