"""The looks at causes that take several things at once, and at the DUT's randomness."""

from __future__ import annotations

import pytest

from rig.scenario import Carry, Fault, Intent, Scenario, Via
from tests.world import test_faults_serial
from tests.world.look import Look
from tests.world.stage import Stage

ORIGIN_US = 3_000_000


async def everything(stage: Stage) -> tuple[bool, bool, bool, str]:
    """Whether ECU, telematics unit and module are on the bus, and what the reader says."""
    since = stage.kernel.now
    said = await test_faults_serial.reader(stage)
    await stage.kernel.sleep((since + 1_200_000 - stage.kernel.now) / 1e6)
    frames = stage.frames(since)
    ecu, unit, module = (any(f.can_id == i for f in frames) for i in (0x1A0, 0x1C0, 0x1D0))
    return ecu, unit, module, said


async def network(stage: Stage) -> tuple[bool, bool, bool]:
    """Whether phone and car have a network, and whether the telematics unit is on the bus."""
    world, since = stage.world, stage.kernel.now
    await stage.kernel.sleep(1.2)
    unit = any(f.can_id == 0x1C0 for f in stage.frames(since))
    return not world.internet.phone_offline, world.tcu.reachable, unit


async def wish(stage: Stage) -> bool:
    """Whether a command over Bluetooth is executed."""
    now = stage.kernel.now
    await stage.world.phone.pursue(0, Intent("lock", 0, "bluetooth"), now, now + 5_000_000)
    return stage.told()[-1][1] == "locked"


def link(phone: bool, car: bool, unit: bool) -> Look:
    return Look(network, (True, True, True), (phone, car, unit), takes_s=1.3, lag_s=6.0)


LOOKS: dict[str, Look] = {
    "common.power_kills_reader_module_tcu": Look(
        everything, (True, True, True, "its version"), (False, False, False, "nothing, asleep"), takes_s=1.3, lag_s=1.5
    ),
    "common.tcu_reboots": link(True, False, False),
    "common.tcu_dead": link(True, True, False),
    "common.tunnel": link(False, False, True),
    "random.fails": Look(wish, True, False, takes_s=5.2),
}


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def played(*timeline: Fault | Intent, until_s: float) -> Stage:
    stage = Stage(Scenario(carry=Carry(session="warm"), timeline=timeline))

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_US / 1e6 + until_s)

    stage.play(act, story=True)
    return stage


@pytest.mark.parametrize("mode", ["common.tcu_reboots", "common.tcu_dead"])
def test_a_unit_that_is_away_carries_nothing(mode: str) -> None:
    stage = played(Fault(mode, 0, us(12)), Intent("unlock", us(1), "cloud"), until_s=12)
    assert not stage.hands(ORIGIN_US)
    assert not stage.frames(ORIGIN_US, 0x2A0)
    assert [what for _, what, _ in stage.told()] != ["opened"]


@pytest.mark.parametrize("via", ["bluetooth", "cloud"])
def test_without_randomness_remote_wishes_are_refused_and_with_it_they_are_fulfilled(via: Via) -> None:
    stage = played(
        Fault("random.fails", 0, us(13)), Intent("unlock", us(1), via), Intent("unlock", us(24), via), until_s=36
    )
    assert [what for _, what, _ in stage.told()] in (["refused", "opened"], ["unknown", "opened"])


def test_a_card_is_never_asked_the_same_twice() -> None:
    stage = played(Fault("random.fails", 0, us(13)), Intent("unlock", us(1), "card"), until_s=12)
    assert not stage.of("motor", ORIGIN_US)
    assert not stage.of("auth", ORIGIN_US)


@pytest.mark.parametrize("via", ["bluetooth", "cloud", "card"])
def test_a_boot_without_randomness_is_made_up_for_when_it_is_back(via: Via) -> None:
    stage = played(
        Fault("random.fails", 0, us(5)), Fault("power.reset", us(1), us(2)), Intent("unlock", us(16), via), until_s=28
    )
    assert set(stage.world.plant.latches.values()) == {"U"}
