"""Every planted defect is wrong in the way its text says, and only by one part."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

import pytest

from hardware.ecu.core import Parts
from hardware.ecu.defects import DEFECTS
from tests.ecu.symptoms import paths, security, vehicle

SYMPTOMS: dict[str, Callable[[Any], Awaitable[bool]]] = {
    name: function
    for scenes in (paths, security, vehicle)
    for name, function in vars(scenes).items()
    if inspect.iscoroutinefunction(function) and name in DEFECTS
}
LONG_S = 40 * 86_400
NO_CARD = {
    "slow_boot",  # needs longer than the story waits
    "reset_opens",  # is open before the tap
    "ignores_card_after_30_days",
}


def test_every_defect_has_its_scene() -> None:
    assert set(SYMPTOMS) == set(DEFECTS)


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_the_healthy_ecu_passes_and_the_defect_shows(make_car: Any, name: str) -> None:
    healthy, defective = make_car(), make_car(defect=name)
    assert healthy.kernel.run(SYMPTOMS[name](healthy), until=LONG_S)
    assert not defective.kernel.run(SYMPTOMS[name](defective), until=LONG_S)


@pytest.mark.parametrize("name", sorted(set(DEFECTS) - NO_CARD))
def test_every_defect_leaves_the_card_working(make_car: Any, name: str) -> None:
    car = make_car(defect=name)

    async def story() -> None:
        await car.boot()
        await car.tap()
        assert car.latches == "UUUU"

    car.kernel.run(story(), until=20)


def test_one_part_each_with_text_and_requirement() -> None:
    healthy = Parts()
    for name, defect in DEFECTS.items():
        parts = defect.build(healthy)
        changed = [f.name for f in fields(Parts) if getattr(parts, f.name) != getattr(healthy, f.name)]
        assert len(changed) == 1, name
        assert defect.name == name
        assert defect.kind == "defect"
        assert defect.text
        assert defect.requirements
        assert getattr(parts, changed[0]).__doc__ or changed == ["boot_us"], name
