"""Statistics of draws, against published tables, exact sums, and simulation."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics import (
    binomial_cdf,
    clopper_pearson,
    draws_for,
    drift,
    lag1,
    lower_bound,
    quantile,
    quantile_bounds,
    ranks,
    upper_bound,
)


def exact_cdf(k: int, n: int, p: Fraction) -> Fraction:
    """By definition, without rounding."""
    return sum((math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)), Fraction(0))


@given(st.integers(1, 80), st.data(), st.integers(1, 999))
def test_the_binomial_sum_is_exact(n: int, data: st.DataObject, thousandths: int) -> None:
    k = data.draw(st.integers(-1, n))
    p = Fraction(thousandths, 1000)
    assert binomial_cdf(k, n, float(p)) == pytest.approx(float(exact_cdf(k, n, p)), rel=1e-9, abs=1e-14)


# Clopper-Pearson, 95 %: R's binom.test and the tables of Geigy (Documenta Geigy, 7th edition, p. 85 ff.).
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(0, 10, 0.0, 0.3084971), (1, 10, 0.002528579, 0.4450161), (5, 10, 0.1870860, 0.8129140),
     (10, 10, 0.6915029, 1.0), (0, 1, 0.0, 0.975), (2, 100, 0.002431337, 0.07038393)],
)  # fmt: skip
def test_clopper_pearson_against_tables(k: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(k, n) == pytest.approx((low, high), abs=2e-7)


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_bounds_are_where_the_tail_is_what_it_should_be(n: int, data: st.DataObject, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    upper, lower = upper_bound(k, n, confidence), lower_bound(k, n, confidence)
    assert 0 <= lower <= k / n <= upper <= 1
    if k < n:
        assert binomial_cdf(k, n, upper) == pytest.approx(1 - confidence, abs=1e-9)
    if k > 0:
        assert 1 - binomial_cdf(k - 1, n, lower) == pytest.approx(1 - confidence, abs=1e-9)


def test_the_rule_of_three() -> None:
    assert upper_bound(0, 3000) == pytest.approx(3 / 3000, rel=0.01)
    assert upper_bound(0, 1_000_000) == pytest.approx(2.9957e-6, rel=1e-3)
    assert draws_for(0.01) == 299
    assert upper_bound(0, 299) <= 0.01 < upper_bound(0, 298)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_what_cannot_be_is_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        upper_bound(k, n)


def test_bounds_hold_as_often_as_they_say() -> None:
    rng = random.Random(1)
    held = 0
    for _ in range(2000):
        k = sum(rng.random() < 0.03 for _ in range(120))
        low, high = clopper_pearson(k, 120, 0.9)
        held += low <= 0.03 <= high
    assert held / 2000 >= 0.9 - 0.02


def test_a_sample_that_is_too_small_says_so() -> None:
    # P(max < quantile) = p^n: 58 values bound the 95 % point with less than 95 %, 59 do (Wilks, 1941).
    small = quantile_bounds([float(v) for v in range(58)], 0.95)
    assert (small.upper, small.high, small.needed) == (None, None, 59)
    assert quantile_bounds([float(v) for v in range(59)], 0.95).upper == 58.0
    assert quantile_bounds([1.0], 0.99).needed == 299


def test_the_median_of_ten_has_the_interval_of_the_sign_test() -> None:
    # Textbook: ranks 2 and 9 hold the median of ten with 97.9 %; 3 and 8 only with 89.1 %.
    found = quantile_bounds([float(v) for v in range(1, 11)], 0.5)
    assert (found.low, found.high) == (2.0, 9.0)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_intervals_of_quantiles_hold_as_often_as_they_say(p: float) -> None:
    rng = random.Random(2)
    true = -math.log(1 - p)  # of the exponential distribution
    inside = below = 0
    for _ in range(600):
        ordered = sorted(rng.expovariate(1) for _ in range(500))
        found = quantile_bounds(ordered, p)
        assert found.low is not None
        assert found.upper is not None
        inside += found.low <= true and (found.high is None or true <= found.high)
        below += true <= found.upper
    assert inside / 600 >= 0.93
    assert below / 600 >= 0.93


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 99))
def test_a_quantile_is_a_value_that_so_many_do_not_exceed(values: list[int], percent: int) -> None:
    ordered = sorted(map(float, values))
    found = quantile(ordered, percent / 100)
    assert sum(v <= found for v in ordered) * 100 >= percent * len(ordered)
    assert sum(v < found for v in ordered) * 100 < percent * len(ordered)


def test_ranks_share_ties() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]


def test_drift_is_seen_and_chance_is_not() -> None:
    rng = random.Random(3)
    steady = [rng.random() for _ in range(400)]
    rising = [v + i / 400 for i, v in enumerate(steady)]
    quiet, loud = drift(steady), drift(rising)
    assert quiet is not None
    assert loud is not None
    assert quiet[1] > 0.01
    assert loud[0] > 0.5
    assert loud[1] < 1e-6
    assert drift([1.0] * 50) is None
    assert drift([1.0, 2.0]) is None
    assert drift([float(v) for v in range(20)]) == pytest.approx((1.0, math.erfc(math.sqrt(19 / 2))))


def test_autocorrelation_is_seen_and_chance_is_not() -> None:
    rng = random.Random(4)
    values = [rng.gauss(0, 1) for _ in range(2000)]
    alone = lag1(values)
    assert alone is not None
    assert abs(alone) < 1.96 / math.sqrt(2000) * 1.5
    smooth = [sum(values[i : i + 2]) for i in range(1999)]
    found = lag1(smooth)
    assert found == pytest.approx(0.5, abs=0.06)
    assert lag1([2.0] * 30) is None
