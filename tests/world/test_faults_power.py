"""The looks at the supply and the telematics unit's clock; and what a single look does not tell."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rig.kernel import Timeout
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.trace import word
from tests.world.look import Look
from tests.world.stage import Stage

ORIGIN_US = 3_000_000
UTC_AT_START = 1_767_225_600
NOMINAL_MV = 12_600


async def ecu_frames(stage: Stage) -> bool:
    """Whether frames of the ECU are on the bus."""
    since = stage.kernel.now
    await stage.kernel.sleep(0.35)
    return any(f.sender == "ecu" for f in stage.frames(since))


async def tap(stage: Stage) -> bool:
    """Taps the card: whether a motor is driven."""
    world, since = stage.world, stage.kernel.now
    world.reader.place(world.card)
    await stage.kernel.sleep(1.0)
    world.reader.remove(world.card)
    await stage.kernel.sleep(0.6)
    return bool(stage.of("motor", since))


async def supply_after_a_command(stage: Stage) -> int:
    """What is left of the supply after a command, which the ECU notes in its memory."""
    now = stage.kernel.now
    try:
        with stage.kernel.timeout(6.0):
            await stage.world.phone.pursue(0, Intent("drive", 0, "bluetooth"), now, now + 5_000_000)
    except Timeout:
        pass
    return stage.world.plant.supply_mv


async def clock(stage: Stage) -> str:
    """How TelematicsState tells the time."""
    since = stage.kernel.now
    await stage.kernel.sleep(3.3)
    codec = stage.world.codecs["TelematicsState"]
    frames = stage.frames(since, codec.can_id)
    told = [codec.decode(f.data)["UtcSeconds"] for f in frames]
    off = [t - UTC_AT_START - f.at_us // 1_000_000 for t, f in zip(told, frames, strict=True)]
    if not any(off):
        return "right"
    steps = {after - before for before, after in pairwise(told)}
    return "stands" if steps == {0} else "wrong by weeks" if set(off) == {-5 * 7 * 86_400} else "jumps"


LOOKS: dict[str, Look] = {
    "power.reset": Look(ecu_frames, True, False, lag_s=1.0),
    "power.dip": Look(tap, True, False, takes_s=1.7),
    "power.low_8v4": Look(tap, True, False, takes_s=1.7),
    "power.double_reset": Look(ecu_frames, True, False, lag_s=1.0),
    "power.cut_in_write": Look(supply_after_a_command, NOMINAL_MV, 0, takes_s=6.1, lag_s=1.0),
    "power.tcu_clock_stopped": Look(clock, "right", "stands", takes_s=3.4),
    "power.tcu_clock_jumps": Look(clock, "right", "jumps", takes_s=3.4),
    "power.tcu_clock_wrong": Look(clock, "right", "wrong by weeks", takes_s=3.4),
}


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def played(*timeline: Fault | Intent, until_s: float = 8.0) -> Stage:
    stage = Stage(Scenario(carry=Carry(session="warm"), timeline=timeline))

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_US / 1e6 + until_s)

    stage.play(act, story=True)
    return stage


def test_double_reset_cuts_comes_back_and_cuts_again() -> None:
    params = (("first_ms", 100), ("up_ms", 250))
    stage = played(Fault("power.double_reset", us(1), us(3), params))
    assert stage.values("supply", ORIGIN_US) == [
        (ORIGIN_US + us(1), 0), (ORIGIN_US + us(1.1), NOMINAL_MV),
        (ORIGIN_US + us(1.35), 0), (ORIGIN_US + us(3), NOMINAL_MV),
    ]  # fmt: skip


@pytest.mark.parametrize("end_s", [1.05, 1.2, 1.34])
def test_double_reset_that_ends_early_leaves_the_supply_on(end_s: float) -> None:
    params = (("first_ms", 100), ("up_ms", 250))
    stage = played(Fault("power.double_reset", us(1), us(end_s), params))
    assert stage.world.plant.supply_mv == NOMINAL_MV
    assert sum(1 for _, mv in stage.values("supply", ORIGIN_US) if mv == 0) == 1


@pytest.mark.parametrize("writes", [0, 1])
def test_a_cut_between_two_writes_leaves_the_old_or_the_new_and_never_nothing(writes: int) -> None:
    """Before the first write of a command's counter, and between its two."""
    stage = played(
        Fault("power.cut_in_write", 0, us(3), (("writes", writes),)),
        Intent("unlock", us(1), "bluetooth"),
        Intent("unlock", us(14), "bluetooth"),
        until_s=25,
    )
    cut = next(at for at, mv in stage.values("supply", ORIGIN_US) if mv == 0)
    assert us(1) < cut - ORIGIN_US < us(3)  # type: ignore[operator]  # times
    assert [what for _, what, _ in stage.told()][-1] == "opened"


def test_a_cut_placed_at_a_write_comes_at_that_write() -> None:
    noted = played(Fault("power.reset", us(30), None, (), "memory.write", 1000), Intent("unlock", us(1), "bluetooth"))
    assert not noted.of("fault")
    stage = played(Fault("power.cut_in_write", 0, us(3), (), "memory.write", 2), Intent("unlock", us(1), "bluetooth"))
    began = stage.of("fault")[0][0]
    assert stage.values("supply", ORIGIN_US)[0] == (began, 0)
    assert [word(e, 3) for e in stage.of("fault")] == ["power.cut_in_write"] * 2
