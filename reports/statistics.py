"""Statistics of independent draws: exact binomial bounds, order-statistic intervals, drift, autocorrelation.

Plain functions of numbers, none of which assumes a distribution. They hold for sampling alone; what a search found is
never put into them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

CONFIDENCE = 0.95
MOST_PAIRS = 10
"""Fewer values than this say nothing of drift."""


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) of n draws with probability p each; summed from the largest term, in logarithms."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0.0:
        return 1.0
    if p >= 1.0:
        return 0.0
    mode = math.floor((n + 1) * p)
    if k > mode:
        # The short tail is the exact one.
        return 1.0 - _upper_tail(k + 1, n, p)
    return _lower_tail(k, n, p)


def _log_term(k: int, n: int, p: float) -> float:
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(p) + (n - k) * math.log1p(-p)


def _lower_tail(k: int, n: int, p: float) -> float:
    term = total = 1.0
    for i in range(k, 0, -1):
        term *= i / (n - i + 1) * (1 - p) / p
        total += term
        if term < total * 1e-18:
            break
    return min(1.0, math.exp(_log_term(k, n, p)) * total)


def _upper_tail(k: int, n: int, p: float) -> float:
    term = total = 1.0
    for i in range(k, n):
        term *= (n - i) / (i + 1) * p / (1 - p)
        total += term
        if term < total * 1e-18:
            break
    return min(1.0, math.exp(_log_term(k, n, p)) * total)


def upper_bound(failures: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper bound of the probability: the largest p that gives so few failures with 1 - confidence.

    Raises:
        ValueError: n is not positive, failures are not within 0 .. n, or the confidence is not between 0 and 1.
    """
    _check(failures, n, confidence)
    if failures == n:
        return 1.0
    return _bisect(lambda p: binomial_cdf(failures, n, p) > 1 - confidence)


def lower_bound(failures: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided lower bound.

    Raises:
        ValueError: as `upper_bound`.
    """
    return 1.0 - upper_bound(n - failures, n, confidence)


def clopper_pearson(failures: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval (Clopper and Pearson, 1934): both tails hold half of 1 - confidence.

    Raises:
        ValueError: as `upper_bound`.
    """
    side = 1 - (1 - confidence) / 2
    return lower_bound(failures, n, side), upper_bound(failures, n, side)


def draws_for(p: float, confidence: float = CONFIDENCE) -> int:
    """How many draws without a failure show that the probability is at most p.

    Raises:
        ValueError: p or confidence is not between 0 and 1.
    """
    if not 0 < p < 1 or not 0 < confidence < 1:
        raise ValueError(f"p {p} and confidence {confidence} must lie between 0 and 1")
    return math.ceil(math.log(1 - confidence) / math.log1p(-p))


def _check(failures: int, n: int, confidence: float) -> None:
    if n < 1 or not 0 <= failures <= n:
        raise ValueError(f"{failures} failures of {n} draws cannot be")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1")


def _bisect(below: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if below(middle):
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class QuantileBounds:
    """A quantile of a sample with what can be said of the distribution's.

    Attributes:
        value: of the sample.
        low, high: two-sided interval; None: n is too small for that side.
        upper: one-sided upper bound; None: n is too small.
        needed: how many draws would bound it from above.
    """

    value: float
    low: float | None
    high: float | None
    upper: float | None
    needed: int


def quantile(ordered: Sequence[float], p: float) -> float:
    """The smallest value of a sorted sample that at least the share p does not exceed.

    Raises:
        ValueError: there are no values.
    """
    if not ordered:
        raise ValueError("no values, no quantile")
    return ordered[max(0, math.ceil(round(p * len(ordered), 9)) - 1)]


def quantile_bounds(ordered: Sequence[float], p: float, confidence: float = CONFIDENCE) -> QuantileBounds:
    """Order-statistic bounds of a quantile, whatever the distribution (David and Nagaraja, Order Statistics, 7.1).

    The r-th smallest of n lies at or above the quantile with P(X <= r - 1), X binomial (n, p); if values tie,
    with that at least.

    Raises:
        ValueError: there are no values, or p or confidence is not between 0 and 1.
    """
    n = len(ordered)
    if not 0 < p < 1 or not 0 < confidence < 1:
        raise ValueError(f"p {p} and confidence {confidence} must lie between 0 and 1")
    value = quantile(ordered, p)
    side = (1 - confidence) / 2
    high = _rank_above(n, p, 1 - side)
    upper = _rank_above(n, p, confidence)
    low = _rank_below(n, p, side)
    return QuantileBounds(
        value,
        None if low is None else ordered[low - 1],
        None if high is None else ordered[high - 1],
        None if upper is None else ordered[upper - 1],
        math.ceil(round(math.log(1 - confidence) / math.log(p), 9)),
    )


def _rank_above(n: int, p: float, sure: float) -> int | None:
    """The smallest rank whose value is at least the quantile with probability `sure`."""
    if binomial_cdf(n - 1, n, p) < sure:
        return None
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        if binomial_cdf(middle - 1, n, p) >= sure:
            high = middle
        else:
            low = middle + 1
    return low


def _rank_below(n: int, p: float, doubt: float) -> int | None:
    """The largest rank whose value is above the quantile with probability `doubt` at most."""
    if binomial_cdf(0, n, p) > doubt:
        return None
    low, high = 1, n
    while low < high:
        middle = (low + high + 1) // 2
        if binomial_cdf(middle - 1, n, p) <= doubt:
            low = middle
        else:
            high = middle - 1
    return low


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = (start + end) / 2 + 1
        start = end + 1
    return found


def drift(values: Sequence[float]) -> tuple[float, float] | None:
    """Spearman's rank correlation of values and their order, and its two-sided p value (normal approximation).

    None: fewer than 10 values, or all are equal.
    """
    n = len(values)
    if n < MOST_PAIRS:
        return None
    ranked = ranks(values)
    mean = (n + 1) / 2
    spread = sum((r - mean) ** 2 for r in ranked)
    if spread == 0:
        return None
    along = sum((r - mean) * (i + 1 - mean) for i, r in enumerate(ranked))
    rho = along / math.sqrt(spread * n * (n * n - 1) / 12)
    return rho, math.erfc(abs(rho) * math.sqrt(n - 1) / math.sqrt(2))


def lag1(values: Sequence[float]) -> float | None:
    """Autocorrelation at lag 1; of independent draws it stays within ±1.96/√n in 95 of 100 cases.

    None: fewer than 10 values, or all are equal.
    """
    n = len(values)
    if n < MOST_PAIRS:
        return None
    mean = math.fsum(values) / n
    spread = math.fsum((v - mean) ** 2 for v in values)
    if spread == 0:
        return None
    return math.fsum((a - mean) * (b - mean) for a, b in pairwise(values)) / spread
