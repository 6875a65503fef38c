"""The picture's time axis: order kept, every instant inside, long silence cut out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reports.axis import CUT_WIDTH, MOST_CUTS, Axis

LEFT, WIDTH = 100.0, 900.0
instants = st.lists(st.integers(0, 24 * 3_600_000_000), min_size=1, max_size=60)


@given(instants)
def test_every_instant_lies_inside_and_in_order(times: list[int]) -> None:
    axis = Axis(times, LEFT, WIDTH)
    places = [axis.x(t) for t in sorted(set(times))]
    assert all(LEFT <= x <= LEFT + WIDTH + 1e-6 for x in places)
    assert places == sorted(places)


@given(instants)
def test_stretches_join_without_gap_and_fill_the_width(times: list[int]) -> None:
    stretches = Axis(times, LEFT, WIDTH).stretches
    for a, b in pairwise(stretches):
        assert a.end_us == b.start_us
        assert abs(a.x + a.width - b.x) < 1e-6
        assert a.cut != b.cut
    last = stretches[-1]
    assert abs(last.x + last.width - LEFT - WIDTH) < 1e-6
    assert sum(s.cut for s in stretches) <= MOST_CUTS


@given(instants, st.integers(0, 10_000_000))
def test_ticks_are_round_and_apart(times: list[int], origin_us: int) -> None:
    axis = Axis(times, LEFT, WIDTH)
    ticks = axis.ticks(origin_us)
    assert len(ticks) < 40
    assert all((t - origin_us) % 1000 == 0 for t in ticks)
    assert all(axis.x(b) > axis.x(a) for a, b in pairwise(ticks))


def test_half_a_minute_of_nothing_is_cut_out() -> None:
    axis = Axis([0, 500_000, 31_000_000], LEFT, WIDTH)
    cuts = [s for s in axis.stretches if s.cut]
    assert [s.span_us for s in cuts] == [31_000_000 - 500_000 - 2 * 300_000]
    assert axis.x(31_000_000) - axis.x(500_000) < WIDTH / 2
    assert cuts[0].width == CUT_WIDTH


def test_times_outside_lie_on_the_ends() -> None:
    axis = Axis([1_000_000], LEFT, WIDTH)
    assert axis.x(-5) == LEFT
    assert axis.x(10**12) == LEFT + WIDTH
