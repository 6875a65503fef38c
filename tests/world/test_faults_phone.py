"""The looks at what befalls the driver's phone; and what a single look does not tell."""

from __future__ import annotations

import pytest

from rig.faults import modes
from rig.scenario import Carry, Fault, Intent, Scenario, Via
from rig.trace import number, word
from tests.world.look import Look
from tests.world.stage import Stage

ORIGIN_US = 3_000_000


async def cloud_wish(stage: Stage) -> bool:
    """Wishes by the server: whether the phone sends anything."""
    since = stage.kernel.now
    await stage.world.phone.pursue(0, Intent("lock", 0, "cloud"), since, since + 4_000_000)
    return any(h.channel == "cloud" for h in stage.hands(since))


LOOKS: dict[str, Look] = {name: Look(cloud_wish, True, False, takes_s=4.2) for name in modes("phone")}

DEATHS = ("phone.app_killed", "phone.empty", "phone.locked_after_reboot")


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def wish(via: Via, *faults: Fault, at_s: float = 1.0, warm: bool = True) -> Stage:
    """One wish with these faults."""
    carry = Carry(session="warm" if warm else "cold")
    stage = Stage(Scenario(carry=carry, timeline=(*faults, Intent("unlock", us(at_s), via))))

    async def act() -> None:
        await stage.kernel.sleep((ORIGIN_US - stage.kernel.now) / 1e6 + at_s + 12.0)

    stage.play(act, story=True)
    return stage


@pytest.mark.parametrize("mode", DEATHS)
@pytest.mark.parametrize("via", ["bluetooth", "cloud", "ladder"])
def test_a_phone_that_does_not_run_sends_nothing_and_the_driver_sees_it(mode: str, via: Via) -> None:
    stage = wish(via, Fault(mode, 0, None))
    assert stage.hands(ORIGIN_US) == []
    assert [(at - ORIGIN_US - us(1), what) for at, what, _ in stage.told()] == [(us(10), "refused")]


@pytest.mark.parametrize("mode", DEATHS)
@pytest.mark.parametrize("via", ["bluetooth", "cloud"])
def test_a_wish_goes_on_when_the_app_runs_again_without_its_session(mode: str, via: Via) -> None:
    stage = wish(via, Fault(mode, 0, us(4)))
    assert [what for _, what, _ in stage.told()] == ["opened"]
    kinds = [e[1] for e in stage.trace.events if e[0] >= ORIGIN_US and e[1] in ("clock", "sign")]
    assert kinds == ["clock", "sign"], "it makes a session before it signs"


@pytest.mark.parametrize("mode", DEATHS)
@pytest.mark.parametrize("step", ["connect", "command_write", "command_chunk", "acknowledgement", "command_answer"])
def test_a_phone_that_dies_at_a_step_does_no_more_from_there_on(mode: str, step: str) -> None:
    stage = wish("bluetooth", Fault(mode, 0, None, (), f"bluetooth.{step}"))
    handed = bool(stage.hands(ORIGIN_US))
    assert handed == (step in ("acknowledgement", "command_answer"))
    signed = bool(stage.of("sign", ORIGIN_US))
    assert signed == (step != "connect")
    assert [what for _, what, _ in stage.told()] == ["unknown" if signed else "refused"]
    assert stage.of("answer", ORIGIN_US) == []


@pytest.mark.parametrize(("mode", "noticed_us"), [("phone.app_killed", 30_000), ("phone.empty", 720_000)])
def test_the_system_closes_the_links_of_an_app_and_an_empty_phone_closes_none(mode: str, noticed_us: int) -> None:
    """The module notices by its supervision time-out."""
    stage = wish("bluetooth", Fault(mode, 0, None, (), "bluetooth.command_write"))
    begun = next(e[0] for e in stage.of("fault") if number(e, 4))
    closed = [f.at_us for f in stage.frames(begun, 0x2B0) if f.data[1] == 0xC0]
    assert len(closed) == 1
    assert noticed_us - 30_000 < closed[0] - begun < noticed_us + 5_000


def test_counters_are_not_used_again_after_the_app_was_killed() -> None:
    """They are kept with the key; the vehicle's own word may be older."""
    timeline = (
        Fault("phone.app_killed", us(0), us(4), step="bluetooth.acknowledgement"),
        Fault("bluetooth.lost_before_write", us(10), us(12)),
        Intent("unlock", us(1), "bluetooth"),
        Intent("lock", us(10), "bluetooth"),
    )
    stage = Stage(Scenario(carry=Carry(session="warm"), timeline=timeline))

    async def act() -> None:
        await stage.kernel.sleep(30.0)

    stage.play(act, story=True)
    counters = [number(e, 8) for e in stage.of("sign", ORIGIN_US) if word(e, 4) == "phone"]
    assert len(counters) > 2
    assert counters == sorted(set(counters))
    assert [what for _, what, _ in stage.told()] == ["opened", "locked"]


def test_the_guests_phone_lives_its_own_life() -> None:
    """The faults of phones befall the driver's."""
    for mode in modes("phone"):
        timeline = (Fault(mode, 0, None), Intent("unlock", us(1), "cloud", "guest"))
        stage = Stage(Scenario(timeline=timeline))

        async def act(stage: Stage = stage) -> None:
            await stage.kernel.sleep(12.0)

        stage.play(act, story=True)
        assert [what for _, what, _ in stage.told()] == ["opened"], mode
