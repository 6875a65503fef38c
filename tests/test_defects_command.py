"""`rig defects` lists defects and variants and tells of one; `--defect` takes a file of the user's as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.ecu.registry import BUILDS
from rig.cli import main

MINE = """\
from dataclasses import replace

from hardware.ecu.build import Build

SLOW = Build("my_slow_boot", "needs 3 s until ready", ("AVL-8",), lambda p: replace(p, boot_us=3_000_000))
"""


def run(*arguments: str) -> int:
    """The exit code of a command."""
    try:
        return main(list(arguments))
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1


def test_lists_both_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("defects") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(BUILDS)
    assert "slow_boot: defect: needs 4 s until ready (AVL-8)" in lines
    assert "poll_50ms: variant: looks for a card every 50 ms" in lines


def test_tells_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("defects", "slow_boot") == 0
    assert capsys.readouterr().out.splitlines() == [
        "slow_boot (defect)",
        "the ECU needs 4 s until ready",
        "must fail one of AVL-8",
    ]
    assert run("defects", "poll_50ms") == 0
    assert "must pass everything" in capsys.readouterr().out


def test_a_wrong_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("defects", "slow_bot") == 3
    assert "did you mean slow_boot" in capsys.readouterr().err
    for command in (("certify",), ("ecu",)):
        assert run(*command, "--defect", "nowhere.py:X") == 3
        assert "nowhere.py: there is no such file" in capsys.readouterr().err


def test_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE, encoding="utf-8")
    assert run("defects", f"{file}:SLOW") == 0
    assert "my_slow_boot (defect)" in capsys.readouterr().out
