"""What is installed: the lock file covers everything, and the wheel holds all that the rig reads."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = ("rig", "fixtures", "hardware", "reports")
KINDS = frozenset({".py", ".dbc", ".toml", ".css", ".json", ".typ", ".otf", ".ttf", ".woff2", ".txt", ".typed"})


def locked() -> dict[str, str]:
    """Name and version of everything in the lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))


def named() -> list[str]:
    """Names of all direct dependencies, those of the project's own checks included."""
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]]
    return [
        re.split(r"[^A-Za-z0-9.-]", w)[0].lower() for w in [*wanted, *PROJECT["build-system"]["requires"]]
    ]


def test_the_lock_file_covers_every_dependency() -> None:
    assert set(named()) <= set(locked())


def test_everything_locked_has_hashes() -> None:
    for name, rest in re.findall(r"^([a-z0-9-]+)==(.*(?:\n    .*)*)", LOCK, re.MULTILINE):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), name


def test_the_lock_file_names_no_host() -> None:
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    """Built from a copy: building leaves files beside the sources."""
    pytest.importorskip("setuptools", minversion="77", reason="the build backend is not installed")
    source = tmp_path / "source"
    wanted = set()
    for room in ROOMS:
        for file in (ROOT / room).rglob("*"):
            if file.suffix in KINDS and "__pycache__" not in file.parts:
                wanted.add(file.relative_to(ROOT).as_posix())
    for name in (*wanted, "pyproject.toml", "README.md", "LICENSE"):
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert wanted <= held, sorted(wanted - held)
    assert {n.partition("/")[0] for n in held if ".dist-info/" not in n} == set(ROOMS)
