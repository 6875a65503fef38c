"""The suite looks at itself: every path × mode has evidence, and every requirement was asked."""

from __future__ import annotations

import pytest

from fixtures.campaign import Campaign


@pytest.mark.last
@pytest.mark.no_requirement("judges the suite's own completeness")
def test_every_cell_has_evidence(campaign: Campaign) -> None:
    """A missing cell means that the suite did not show what it claims."""
    if not campaign.complete:
        pytest.skip("only part of the suite was selected: cells are counted over all of it")
    missing = campaign.missing_cells()
    assert not missing, "no evidence for " + ", ".join(f"{path} × {mode}" for path, mode in missing)


@pytest.mark.last
@pytest.mark.no_requirement("judges the suite's own completeness")
def test_every_requirement_was_asked(campaign: Campaign) -> None:
    """A requirement that was vacuous throughout was not tested."""
    if not campaign.complete:
        pytest.skip("only part of the suite was selected: requirements are counted over all of it")
    unasked = campaign.unasked()
    assert not unasked, "nothing was asked of " + ", ".join(unasked)
