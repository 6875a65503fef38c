"""The house's one-way streets: who may import whom, checked over the whole tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "rig": frozenset({"rig"}),
    "hardware": frozenset({"hardware", "rig"}),
    "reports": frozenset({"reports", "rig"}),
    "fixtures": frozenset({"fixtures", "hardware", "reports", "rig"}),
}
FRONT_DOOR = ("rig/cli/", "rig/suite/", "rig/__main__.py")
"""The command line and the tests that it runs may know every room."""


def files(room: str) -> Iterator[Path]:
    """All modules of a room."""
    yield from sorted((ROOT / room).rglob("*.py"))


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level name of every import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    wrong = []
    for file in files(room):
        place = file.relative_to(ROOT).as_posix()
        allowed = frozenset(ROOMS) if place.startswith(FRONT_DOOR) else ROOMS[room]
        wrong += [
            f"{place}:{line} imports {name}"
            for line, name in imported(file)
            if name in ROOMS and name not in allowed
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_tests(room: str) -> None:
    assert not [f for f in files(room) if any(name == "tests" for _, name in imported(f))]


def test_the_engine_never_imports_asyncio() -> None:
    """Actors and devices wait on the kernel alone; only the pump knows an event loop."""
    assert _importing("asyncio", "socket") == ["rig/pump.py"]


def test_only_workers_have_a_thread_which_waits_for_their_parents_end() -> None:
    assert _importing("threading") == ["rig/processes.py"]


def _importing(*names: str) -> list[str]:
    return sorted(
        f.relative_to(ROOT).as_posix() for f in files("rig") if any(name in names for _, name in imported(f))
    )


def test_the_judge_knows_no_device() -> None:
    """The oracle shares nothing with the ECU, nor with the protocol code that both sides use."""
    for file in files("rig/judge"):
        text = file.read_text(encoding="utf-8")
        assert "rig.protocol" not in text, file
        assert "hardware" not in {name for _, name in imported(file)}, file


def test_every_module_says_what_it_is() -> None:
    silent = [
        f.relative_to(ROOT).as_posix()
        for room in ROOMS
        for f in files(room)
        if len(ast.get_docstring(ast.parse(f.read_text(encoding="utf-8"))) or "") < 10
    ]
    assert not silent, f"no docstring: {silent}"
