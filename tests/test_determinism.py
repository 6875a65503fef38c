"""The same seed gives the same trace, to the byte: in one process, in two, and in every Python that is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from hardware.vehicle import emulated_model
from rig.scenario import Scenario
from tests.tracehashes import EVERYTHING, hashes, scenarios

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
NEEDED = "import cantools, cryptography, tesla_protocol.command"


def candidates() -> list[Path]:
    """Interpreters of the supported versions, under pyenv and on PATH, this one left out."""
    found = [p for v in VERSIONS for p in Path.home().glob(f".pyenv/versions/{v}*/bin/python")]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for version in VERSIONS:
            one = shutil.which(f"python{version}", path=folder)
            if one is not None:
                found.append(Path(one))
    # Links are not followed: a virtual environment's Python is a link to one without its packages.
    return [p for p in dict.fromkeys(found) if p.parent != Path(sys.executable).parent]


def others() -> list[Path]:
    """Those of them that have the dependencies."""
    checks = [
        (path, subprocess.Popen([path, "-c", NEEDED], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for path in candidates()
    ]
    return [path for path, check in checks if check.wait(timeout=60) == 0]


@cache
def in_a_process(python: Path, hash_seed: str) -> list[str]:
    """What `tests.tracehashes` prints in a process of its own."""
    done = subprocess.run(
        [python, "-m", "tests.tracehashes"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.split()


def test_two_runs_in_one_process() -> None:
    assert hashes() == hashes()


def test_what_ran_before_leaves_no_trace() -> None:
    """One model for all runs, in another order: no state is carried from world to world."""
    model = emulated_model()
    backwards = [model.run(one).hash() for one in reversed(scenarios())]
    assert backwards[::-1] == hashes()


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_two_processes_with_different_hash_seeds(hash_seed: str) -> None:
    found = in_a_process(Path(sys.executable), hash_seed)
    assert len(found) == len(scenarios())
    assert found == hashes()


@pytest.mark.parametrize("python", [Path(sys.executable), *others()], ids=str)
def test_every_python_that_is_here(python: Path) -> None:
    """This one among them, so that there is always one."""
    assert in_a_process(python, "7") == in_a_process(Path(sys.executable), "0")


def test_another_seed_gives_another_trace() -> None:
    """Else equality would say nothing."""
    model = emulated_model()
    assert len({model.run(one).hash() for one in scenarios()}) == len(scenarios())
    other = Scenario(
        seed=EVERYTHING.seed + 1,
        carry=EVERYTHING.carry,
        phase_us=EVERYTHING.phase_us,
        timeline=EVERYTHING.timeline,
    )
    assert model.run(other).hash() != model.run(EVERYTHING).hash()


def test_json_gives_the_same_trace() -> None:
    model = emulated_model()
    again = Scenario.from_json(EVERYTHING.to_json())
    assert model.run(again).hash() == model.run(EVERYTHING).hash()
