"""The documentation's code works: every code block of README and docs is run, or held against what it describes.

Rules: `python` blocks are tests and run under pytest on the model bench; `json` blocks with a format are scenarios and
are played; `toml` blocks are benches, campaigns, requirements or waivers and are loaded; of `console` and `bash`
blocks every `rig` and `make` command must exist with its options. Blocks called `text` are pictures and output.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.bench import load_bench
from hardware.vehicle import emulated_model
from reports.campaign import load_campaign
from reports.traceability import waivers
from rig.cli import parser
from rig.faults import CATALOGUE
from rig.judge.judge import REQUIREMENTS
from rig.judge.requirements import parse_requirements
from rig.scenario import Scenario
from rig.world.attacker import KINDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
KNOWN = {"python", "json", "toml", "console", "bash", "sh", "text"}


def blocks(*kinds: str) -> Iterator[object]:
    """All code blocks of these kinds, with where they stand."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if match[1] in kinds:
                line = text.count("\n", 0, match.start()) + 1
                yield pytest.param(match[2], id=f"{page.name}:{line}")


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        fences = re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(fences[::2]) <= KNOWN, f"{page.name}: {set(fences[::2]) - KNOWN}"


@pytest.mark.parametrize("block", list(blocks("python")))
def test_python_is_a_test_that_passes(block: str, tmp_path: Path) -> None:
    (tmp_path / "test_docs_block.py").write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--bench=model"]
    if "fixtures.plugin" not in _entry_points():
        command += ["-p", "fixtures.plugin"]
    run = subprocess.run(
        [*command, f"--rootdir={tmp_path}", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\b[1-9]\d* passed", run.stdout), run.stdout


def _entry_points() -> set[str]:
    from importlib.metadata import entry_points

    return {entry.value for entry in entry_points(group="pytest11")}


@pytest.mark.parametrize("block", list(blocks("json")))
def test_json_is_a_scenario_that_plays(block: str) -> None:
    raw = json.loads(block)
    if "format" not in raw:
        return
    result = emulated_model().judge(Scenario.from_json(block, "docs"))
    assert not result.judgement.failures


@pytest.mark.parametrize("block", list(blocks("toml")))
def test_toml_is_read(block: str, tmp_path: Path) -> None:
    """By whom it is for: waivers, campaigns, requirements (known by their texts), or benches."""
    tables = tomllib.loads(block)
    if "laboratory" in tables:
        file = tmp_path / "campaign.toml"
        file.write_text(block, encoding="utf-8")
        assert load_campaign(file).laboratory.name
        return
    if "waiver" in tables:
        assert waivers.parse(block, "docs")
    elif all(isinstance(table, dict) and "text" in table for table in tables.values()):
        assert parse_requirements(block, "docs")
    else:
        file = tmp_path / "bench.toml"
        file.write_text(block, encoding="utf-8")
        assert load_bench(str(file)).name


def commands() -> Iterator[object]:
    """Every rig and make command of the pages."""
    for block in blocks("console", "bash", "sh"):
        for line in block.values[0].splitlines():  # type: ignore[attr-defined]  # a pytest.param
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words and Path(words[0]).name in ("rig", "make") and not line.startswith("  "):
                yield pytest.param(words, id=f"{block.id}:{' '.join(words)[:50]}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", list(commands()))
def test_commands_exist_with_their_options(words: list[str]) -> None:
    if Path(words[0]).name == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        assert {w for w in words[1:] if "=" not in w} <= targets
        return
    assert parser().parse_args([w for w in words[1:] if w not in ("&", "|")])


def test_pages_name_every_mode_attack_defect_and_requirement_that_there_is() -> None:
    scenarios = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    for mode in CATALOGUE:
        name = mode.partition(".")[2]
        assert mode in scenarios or f"`_{name.rpartition('_')[2]}`" in scenarios, mode
    for kind in KINDS:
        assert kind in scenarios or f"{kind.rpartition('_')[0]}_…" in scenarios, kind


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_readme_counts_the_requirements_right() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"all {len(REQUIREMENTS)} requirements" in readme
