"""Sums over judged runs: outcomes and tightest margins by requirement, and measured times by what was measured."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reports import statistics
from reports.results import Bin, Latency, Quantile
from rig.brief import measured
from rig.judge.verdicts import WORST_FIRST, Outcome

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
BINS = 40
"""Of a histogram, at most."""
Key = tuple[str, str, str, int]
"""Requirement, what was measured, bench, limit in µs."""


@dataclass(slots=True)
class Tally:
    """How often a requirement came to which outcome, and its tightest margin."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    tightest_us: int | None = None
    tightest_text: str = ""

    @property
    def verdict(self) -> Outcome:
        """The requirement as a whole: failed if it ever failed, passed if it was ever asked and held."""
        for outcome in WORST_FIRST:
            if self.outcomes[outcome] and outcome is not Outcome.VACUOUS:
                return outcome
        return Outcome.NOT_RUN

    @property
    def held(self) -> int:
        """Passes and conditional passes."""
        return self.outcomes[Outcome.PASS] + self.outcomes[Outcome.CONDITIONAL_PASS]

    @property
    def asked(self) -> int:
        """Runs that put it to the test."""
        return sum(n for o, n in self.outcomes.items() if o not in (Outcome.VACUOUS, Outcome.NOT_RUN))

    def add(self, verdict: Sequence[Any]) -> None:
        """Counts one verdict as a record has it."""
        outcome = Outcome(verdict[1])
        self.outcomes[outcome] += 1
        if outcome.good and len(verdict) > 2:
            _, _, what, value, limit, _ = verdict
            if self.tightest_us is None or limit - value < self.tightest_us:
                self.tightest_us = limit - value
                self.tightest_text = f"{what} after {value / 1e6:.3f} s, limit {limit / 1e6:.3f} s"


class Times:
    """Measured times; eight bytes each."""

    def __init__(self) -> None:
        self._values: dict[Key, array[int]] = {}

    def add(self, verdict: Sequence[Any], bench: str) -> None:
        """Takes one verdict as a record has it, if it is of a time."""
        if len(verdict) < 6 or verdict[3] is None or verdict[4] is None:
            return
        # Of what did not hold the record has the whole sentence.
        what = verdict[2] if Outcome(verdict[1]).good else measured(verdict[2])
        key = (verdict[0], what, bench, verdict[4])
        values = self._values.get(key)
        if values is None:
            values = self._values[key] = array("q")
        values.append(verdict[3])

    def latencies(self, *, independent: bool, confidence: float = statistics.CONFIDENCE) -> list[Latency]:
        """All distributions, by requirement."""
        return [
            latency(key, self._values[key], independent=independent, confidence=confidence)
            for key in sorted(self._values)
        ]


def latency(key: Key, values: Sequence[int], *, independent: bool, confidence: float) -> Latency:
    """One distribution.

    Args:
        key: what was measured.
        values: in µs, in the order they were measured.
        independent: they are independent draws: quantiles get intervals, and order is looked at.
        confidence: of the intervals.
    """
    requirement, path, bench, limit = key
    in_us = sorted(values)
    ordered = [v / 1000 for v in in_us]
    found = Latency(
        requirement, path, bench, limit / 1000, len(ordered), ordered[0], ordered[-1],
        round(sum(ordered) / len(ordered), 6), [], histogram(in_us), independent,
    )  # fmt: skip
    if not independent:
        for p in QUANTILES:
            found.quantiles.append(Quantile(p, statistics.quantile(ordered, p), confidence=confidence))
        return found
    for p in QUANTILES:
        b = statistics.quantile_bounds(ordered, p, confidence)
        note = "" if b.upper is not None else f"n too small: {b.needed:,} draws would bound it from above"
        found.quantiles.append(Quantile(p, b.value, b.low, b.high, b.upper, confidence, note))
    moved, again = statistics.drift(values), statistics.lag1(values)
    remarks = []
    if moved is not None and moved[1] < 0.01:
        remarks.append(f"drifts with the order of the draws (rank correlation {moved[0]:+.2f}, p = {moved[1]:.2g})")
    if again is not None and abs(again) > 2.58 / len(values) ** 0.5:
        remarks.append(f"neighbours are alike (autocorrelation {again:+.2f}), so that intervals are too narrow")
    return Latency(
        requirement, path, bench, limit / 1000, found.n, found.min_ms, found.max_ms, found.mean_ms, found.quantiles,
        found.histogram, True,
        None if moved is None else round(moved[0], 6), None if moved is None else round(moved[1], 6),
        None if again is None else round(again, 6), "; ".join(remarks),
    )  # fmt: skip


def histogram(ordered: Sequence[int]) -> list[Bin]:
    """Bars of equal, round width, at most 40, of sorted times in µs; empty ones are left out."""
    width = _round_up((ordered[-1] - ordered[0]) // (BINS - 1) + 1)
    counts = Counter(v // width for v in ordered)
    return [Bin(i * width / 1000, (i + 1) * width / 1000, counts[i]) for i in sorted(counts)]


def _round_up(width_us: int) -> int:
    """To 1, 2 or 5 times a power of ten."""
    power = int("1" + "0" * (len(str(width_us)) - 1))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= width_us)
