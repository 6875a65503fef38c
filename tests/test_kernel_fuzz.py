"""Random schedules: two runs equal, nothing lost or doubled."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.kernel_fuzz import play


def test_random_worlds_lose_and_double_nothing_and_run_the_same_twice() -> None:
    lines = 0
    seen: set[str] = set()
    for seed in range(150):
        first, second = play(seed), play(seed)
        assert first == second, seed
        lines += len(first[0])
        seen.update(what.split()[0] for _, _, what in first[0])
    assert lines > 10_000
    assert seen >= {"start", "end", "puts", "got", "time-out", "inner", "first:", "event"}


def test_a_long_random_schedule_is_the_same_in_another_process() -> None:
    """Hash seeds and addresses differ there."""
    log, events = play(7, length_s=2, actors=60, acts=200)
    assert events > 10_000
    here = hashlib.sha256(repr((log, events)).encode()).hexdigest()
    code = (
        "import hashlib; from tests.kernel_fuzz import play;"
        "print(hashlib.sha256(repr(play(7, length_s=2, actors=60, acts=200)).encode()).hexdigest())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert there.stdout.strip() == here
