"""Skipped idle cycles and collapsed floods change no outcome: runs with and without are compared."""

from __future__ import annotations

import pytest

from hardware.vehicle import emulated_model
from rig.faults import CATALOGUE, modes
from rig.judge import judge
from rig.scenario import Attack, Fault, Intent, Scenario
from rig.trace import Trace, number
from tests.randomscenarios import scenario
from tests.world.stage import Stage

CAST = ("intent", "act", "session", "told", "sign", "clock", "hand", "answer", "tap", "untap", "auth", "handle",
        "motor", "latch", "feedback", "stuck", "supply", "fault", "attack", "end")  # fmt: skip
"""Everything that happens but the frames themselves and the skips."""


def story(trace: Trace) -> list[tuple[object, ...]]:
    """What happened, with its times."""
    return [tuple(event) for event in trace.events if event[1] in CAST]


@pytest.mark.parametrize("seed", range(36))
def test_skipping_idle_cycles_changes_nothing(seed: int) -> None:
    """The same events at the same microsecond."""
    one = scenario(seed)
    if any(f.mode == "can.log_flood" for f in one.faults):
        one = one.with_timeline(
            *(e for e in one.timeline if not (isinstance(e, Fault) and e.mode == "can.log_flood"))
        )
    fast, slow = emulated_model(), emulated_model(collapse=False)
    quick, full = fast.run(one), slow.run(one)
    assert story(quick) == story(full)
    assert not list(full.of("skip"))


LASTING = [
    name for domain in ("can", "serial", "power", "actuator", "common", "random") for name in modes(domain)
    if name != "can.log_flood"
]  # fmt: skip


@pytest.mark.parametrize("mode", LASTING)
@pytest.mark.parametrize("how", ["all along", "meanwhile", "at a step"])
def test_skipping_changes_nothing_while_something_fails(mode: str, how: str) -> None:
    """Neither while it lasts nor when it begins and ends."""
    params = tuple((p.name, min(p.high, max(p.low, 3))) for p in CATALOGUE[mode].params if p.name == "every")
    spell = {
        "all along": Fault(mode, 0, None, params),
        "meanwhile": Fault(mode, 6_123_457, 33_456_789, params),
        "at a step": Fault(mode, 1_000_000, 33_000_000, params, "serial.command", 17),
    }[how]
    wishes = [Intent("unlock", 8_000_000, "card"), Intent("lock", 22_000_000, "bluetooth"),
              Intent("unlock", 36_000_000, "cloud")]  # fmt: skip
    one = Scenario(seed=7, timeline=(spell, *wishes))
    fast, slow = emulated_model(), emulated_model(collapse=False)
    assert story(fast.run(one)) == story(slow.run(one))


def test_something_is_skipped() -> None:
    """Else the test above would compare nothing."""
    trace = emulated_model().run(Scenario(timeline=(Intent("unlock", 0, "card"),)))
    assert sum(number(event, 2) for event in trace.of("skip")) > 25_000_000


@pytest.mark.parametrize("via", ["card", "bluetooth", "cloud"])
@pytest.mark.parametrize("start_us", [0, 900_000, 1_137_000])
def test_collapsing_a_flood_changes_no_outcome(via: str, start_us: int) -> None:
    """Verdicts are equal, and latencies within one turn of the processor and one frame of the bus."""
    wish = Intent(
        "unlock", 1_000_000, "card" if via == "card" else "bluetooth" if via == "bluetooth" else "cloud"
    )
    one = Scenario(
        timeline=(
            Fault("can.log_flood", start_us, 6_000_000),
            wish,
            Attack("forge_unsigned_cloud", 5_000_000),
        )
    )
    fast, slow = emulated_model(), emulated_model(collapse=False)
    quick, full = fast.run(one), slow.run(one)
    outcomes = [
        {name: v.outcome for name, v in judge(one, trace, fast.rules()).verdicts.items()}
        for trace in (quick, full)
    ]
    assert outcomes[0] == outcomes[1]
    firsts = [next(event[0] for event in trace.of("motor")) for trace in (quick, full)]
    # A request of 30 frames can lose a turn at each: the latencies differ by less than one in a hundred.
    assert abs(firsts[0] - firsts[1]) < 20_000


@pytest.mark.parametrize("away_us", [501_000, 750_000, 1_000_000, 1_200_000, 1_700_000, 2_400_000])
@pytest.mark.parametrize("phase_us", [0, 60_000, 130_000, 240_000])
def test_a_card_that_comes_back_is_seen_the_same_with_and_without_skipping(
    away_us: int, phase_us: int
) -> None:
    """Between taking a card away and the poll that finds the field empty nothing may be skipped."""
    found: list[list[tuple[object, ...]]] = []
    for collapse in (True, False):
        stage = Stage(collapse=collapse)

        async def act(stage: Stage = stage) -> None:
            await stage.kernel.sleep(phase_us / 1e6)
            for _ in range(3):
                stage.world.reader.place(stage.world.card)
                await stage.kernel.sleep(1.0)
                stage.world.reader.remove(stage.world.card)
                await stage.kernel.sleep(away_us / 1e6)

        stage.play(act)
        found.append([event for kind in ("auth", "motor") for event in stage.values(kind)])
    assert found[0] == found[1]
    assert found[0]
