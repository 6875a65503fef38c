"""The judge shares nothing with what it judges: neither its code, nor its protocol, nor its clock."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rig.faults
import rig.judge
from rig.judge import oracle

JUDGE = sorted(Path(rig.judge.__file__).parent.glob("*.py"))
ALLOWED = ("rig.judge", "rig.trace", "rig.scenario", "rig.faults", "rig.world.attacker")
"""Beside the standard library: traces, scenarios, and the two catalogues that say what a scenario's words mean."""


def imports(path: Path) -> list[str]:
    """Modules that a file imports, wherever it does."""
    out: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            out += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            out.append(node.module or "")
    return out


@pytest.mark.parametrize("path", JUDGE, ids=lambda p: p.stem)
def test_the_judge_knows_nothing_of_hardware_or_of_the_dut(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        assert top not in ("hardware", "fixtures", "reports", "tests"), f"{path.name} imports {name}"
        if top == "rig":
            assert name.startswith(ALLOWED), f"{path.name} imports {name}"


def test_no_import_hides_in_a_call() -> None:
    for path in JUDGE:
        names = {
            n.id for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Name)
        }
        assert not names & {"__import__", "importlib", "exec", "eval"}, path.name


def test_the_oracle_reads_no_frame_and_no_answer_of_the_dut() -> None:
    """Of the facts it takes what the rig itself did: scenario, wishes, faults, supply, and what its gateway said."""
    tree = ast.parse(Path(oracle.__file__).read_text(encoding="utf-8"))
    taken = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("facts", "self._facts")
    }
    assert taken == {"scenario", "origin_us", "wishes", "supplies", "fault_edges", "healed_us", "vehicle"}


def test_the_catalogue_declares_needs_without_the_dut() -> None:
    assert not [name for name in imports(Path(rig.faults.__file__)) if name.startswith("hardware")]
