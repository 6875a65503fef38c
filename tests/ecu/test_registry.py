"""Builds are found by name, or in a file of the user's; what is wrong is said with the mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hardware.ecu.memory import RamMemory
from hardware.ecu.registry import BUILDS, BuildError, build_ecu, find_build

MINE = """\
from dataclasses import replace

from hardware.ecu.build import Build

SLOW = Build("my_slow_boot", "needs 3 s until ready", ("AVL-8",), lambda p: replace(p, boot_us=3_000_000))
OTHER = 1
"""


def test_names_of_both_kinds() -> None:
    assert {build.kind for build in BUILDS.values()} == {"defect", "variant"}
    for name, build in BUILDS.items():
        assert find_build(name) is build


def test_an_unknown_name_is_refused_with_those_that_are_near(car: Any) -> None:
    with pytest.raises(BuildError, match=r"onlin_check: there is no such .* did you mean online_check"):
        build_ecu(car.provision.config(), RamMemory(), bytes, "onlin_check")
    with pytest.raises(BuildError, match="rig defects"):
        find_build("xyzzy")


def test_a_file_of_the_users(tmp_path: Path, make_car: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE, encoding="utf-8")
    name = f"{file}:SLOW"
    build = find_build(name)
    assert (build.name, build.kind, build.requirements) == ("my_slow_boot", "defect", ("AVL-8",))
    assert find_build(name) is build
    car = make_car(defect=name)

    async def story() -> bool:
        car.power()
        await car.run(2.9)
        early = car.ecu.ready
        await car.run(0.2)
        return car.ecu.ready and not early

    assert car.kernel.run(story(), until=10)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (None, "SLOW", "there is no such file"),
        (MINE, "FAST", "'FAST' is no Build; it has SLOW"),
        (MINE, "OTHER", "'OTHER' is no Build"),
        ("x = 1\n", "X", "it has none: make one with hardware.ecu.build.Build"),
        ("import nowhere_at_all\n", "X", "ModuleNotFoundError when it was loaded"),
        ("def f(:\n", "X", "SyntaxError when it was loaded"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str | None, name: str, said: str) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(BuildError) as raised:
        find_build(f"{file}:{name}")
    assert said in str(raised.value)
    assert str(file) in str(raised.value)
