"""The suite looks at itself: every path × mode has evidence, and every requirement was asked."""

from __future__ import annotations

import pytest

from fixtures.campaign import Campaign, Undecided
from hardware.bench import Bench


@pytest.mark.last
@pytest.mark.no_requirement("judges the suite's own completeness")
def test_every_cell_has_evidence(campaign: Campaign, bench: Bench) -> None:
    """A missing cell means that the suite did not show what it claims."""
    if campaign.worker:
        pytest.skip("the suite is split over workers: cells are counted when all of them are done")
    if not campaign.complete:
        pytest.skip("only part of the suite was selected: cells are counted over all of it")
    if bench.dut.kind != "emulated":
        pytest.skip(f"bench {bench.name} has a real ECU: cells are filled in virtual time, which says nothing about it")
    missing = campaign.missing_cells()
    assert not missing, "no evidence for " + ", ".join(f"{path} × {mode}" for path, mode in missing)


@pytest.mark.last
@pytest.mark.no_requirement("judges the suite's own completeness")
def test_every_requirement_was_asked(campaign: Campaign, bench: Bench) -> None:
    """A requirement that was vacuous throughout was not tested."""
    if campaign.worker:
        pytest.skip("the suite is split over workers: requirements are counted when all of them are done")
    if not campaign.complete:
        pytest.skip("only part of the suite was selected: requirements are counted over all of it")
    unasked = campaign.unasked()
    if unasked and bench.dut.kind != "emulated":
        # What a bench's lines cannot ask is never the DUT's failure.
        raise Undecided("nothing was asked of " + ", ".join(unasked))
    assert not unasked, "nothing was asked of " + ", ".join(unasked)
