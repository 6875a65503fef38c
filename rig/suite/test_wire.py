"""The fixed table on the bench's real lines: the same actors, the same judge, real time."""

from __future__ import annotations

import pytest

from fixtures.wiretable import WireTable
from rig.suite.wire_rows import ROWS, Row


@pytest.mark.wire
@pytest.mark.parametrize(
    "row",
    [
        # One scenario each: what a requirement says of every instant and combination, no row shows alone.
        pytest.param(row, marks=pytest.mark.requirement(*row.cites, coverage="partial"), id=row.name)
        for row in ROWS
    ],
)
def test_row(wire: WireTable, row: Row) -> None:
    """One row; inconclusive runs are run again, at most twice."""
    wire.check(row)
