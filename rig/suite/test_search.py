"""The search: every mode and attack in plain scripts, then combinations anywhere, on all cores, from one seed."""

from __future__ import annotations

import pytest

from fixtures.searcher import Searcher
from rig.judge.judge import REQUIREMENTS

ENOUGH = 5000
"""In so many scenarios every mode comes up."""


@pytest.mark.requirement(*REQUIREMENTS, coverage="partial")
def test_known_failures_first(search: Searcher) -> None:
    """What failed in an earlier run is tried before anything else."""
    if not search.known_failures():
        pytest.skip("no corpus of earlier failures was named; --rig-corpus names one")


@pytest.mark.requirement(*REQUIREMENTS)
def test_default_search_finds_nothing(search: Searcher) -> None:
    """The default strategy; `--rig-scenarios` says how many."""
    swarm = search("default")
    if swarm.findings.runs >= ENOUGH:
        assert swarm.coverage.share(1) == 1.0, f"not every mode came up: {swarm.coverage.text()}"
