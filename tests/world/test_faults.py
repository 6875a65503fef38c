"""Every failure mode of the catalogue shows on the wire while it lasts, and at no other time.

One look a mode: it asks the world from outside (an HTTP answer, a link, frames, a motor, a signed command) and
says what it found; the same looks judge onset, end, overlaps and spells without an end.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from rig.faults import CATALOGUE, modes
from rig.scenario import Fault, Intent, Scenario
from rig.world.bluetooth import LinkError, Step
from tests.world import (
    test_faults_actuator,
    test_faults_bluetooth,
    test_faults_can,
    test_faults_common,
    test_faults_credential,
    test_faults_network,
    test_faults_phone,
    test_faults_power,
    test_faults_serial,
    test_faults_server,
    test_faults_vehicle,
)
from tests.world.look import Look
from tests.world.stage import Stage

ORIGIN_S = 3.0


async def online_bits(stage: Stage) -> set[int]:
    """What TelematicsState says of the network."""
    since = stage.kernel.now
    for _ in range(16):
        # In small steps: an idle world skips tenths of a second of cyclic frames.
        await stage.kernel.sleep(0.15)
    codec = stage.world.codecs["TelematicsState"]
    return {codec.decode(f.data)["Online"] for f in stage.frames(since, codec.can_id)}


async def ecu_frames(stage: Stage) -> bool:
    """Whether frames of the ECU are on the bus."""
    since = stage.kernel.now
    await stage.kernel.sleep(0.35)
    return any(f.sender == "ecu" for f in stage.frames(since))


async def log_frames(stage: Stage) -> str:
    """How full of log frames the bus is."""
    since = stage.kernel.now
    await stage.kernel.sleep(0.35)
    count = sum(1 for f in stage.frames(since) if 0x500 <= f.can_id <= 0x50F)
    return "none" if not count else "full" if count > 1000 else f"{count} frames"


LOOKS: dict[str, Look] = {
    "can.bus_off": Look(ecu_frames, True, False),
    # The frame that is on the bus at the end is sent to its end.
    "can.log_flood": Look(log_frames, "none", "full", lag_s=0.0003, spell_s=3.0),
    **test_faults_server.LOOKS,
    **test_faults_network.LOOKS,
    **test_faults_bluetooth.LOOKS,
    **test_faults_phone.LOOKS,
    **test_faults_credential.LOOKS,
    **test_faults_can.LOOKS,
    **test_faults_serial.LOOKS,
    **test_faults_power.LOOKS,
    **test_faults_actuator.LOOKS,
    **test_faults_common.LOOKS,
    **test_faults_vehicle.LOOKS,
}
LASTING = [mode for mode in CATALOGUE if mode not in LOOKS or not LOOKS[mode].momentary]
PASSING = [mode for mode in LOOKS if LOOKS[mode].momentary]
FIRST_S = 12.0
"""When the first spell of a test begins, if a look takes no longer."""


def look_at(scenario: Scenario, *looks: tuple[float, str]) -> list[object]:
    """Plays a scenario and looks by the modes' looks at given seconds from its origin."""
    # A flood that is collapsed shows no frames of its own, and a skipped idle cycle none at all.
    of_frames = any(f.mode.startswith(("can.", "power.", "common.", "vehicle.")) for f in scenario.faults)
    stage = Stage(scenario, collapse=not of_frames)
    found: list[object] = []

    async def act() -> None:
        for at_s, mode in looks:
            now_s = stage.kernel.now / 1e6 - ORIGIN_S
            assert now_s <= at_s, "looks must not overlap"
            await stage.kernel.sleep(at_s - now_s)
            began = stage.kernel.now
            found.append(await LOOKS[mode].look(stage))
            assert stage.kernel.now - began <= LOOKS[mode].takes_s * 1e6, f"the look at {mode} takes too long"

    stage.play(act, story=True)
    return found


def first_s(how: Look) -> float:
    """When the first spell of a test begins: late enough for a look before it."""
    return max(FIRST_S, how.takes_s + 2.0)


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def keeps_running(*faults: Fault) -> Scenario:
    """These faults, and a last one that touches nothing looked at, so that the story lasts."""
    return Scenario(timeline=(*faults, Intent("lock", us(200), "card")))


def test_every_mode_of_the_catalogue_has_its_look() -> None:
    assert set(LOOKS) == set(CATALOGUE)


@pytest.mark.parametrize("mode", PASSING)
def test_what_is_over_by_itself_shows_at_its_onset(mode: str) -> None:
    how = LOOKS[mode]
    begin = first_s(how)
    moments = (begin - how.takes_s - 1, begin + 0.000_001, begin + how.spell_s + how.lag_s)
    fault = Fault(mode, us(begin), us(begin + how.spell_s))
    assert look_at(keeps_running(fault), *((at, mode) for at in moments)) == [
        how.healthy,
        how.broken,
        how.healthy,
    ]


@pytest.mark.parametrize("mode", LASTING)
def test_mode_shows_from_its_onset_to_its_end_and_no_longer(mode: str) -> None:
    how = LOOKS[mode]
    begin = first_s(how)
    end = begin + how.spell_s
    late = end - how.takes_s
    looks = [(begin - how.takes_s - 1, mode), (begin + 0.000_001, mode)]
    if late > begin + how.takes_s:
        looks.append((late - 0.000_001, mode))
    looks.append((end + how.lag_s + 0.000_001, mode))
    found = look_at(keeps_running(Fault(mode, us(begin), us(end))), *looks)
    assert found[0] == how.healthy
    assert found[1:-1] == [how.broken] * (len(looks) - 2)
    assert found[-1] == how.healthy


@pytest.mark.parametrize("mode", LASTING)
def test_mode_without_an_end_lasts(mode: str) -> None:
    how = LOOKS[mode]
    begin = first_s(how)
    late = 15.0 if mode in ("can.log_flood", "can.babbling") else 150.0
    found = look_at(keeps_running(Fault(mode, us(begin))), (1.0, mode), (late, mode))
    assert found == [how.healthy, how.broken]


@pytest.mark.parametrize("mode", LASTING)
def test_overlapping_spells_of_one_mode_last_to_the_end_of_the_later(mode: str) -> None:
    """The first to begin ends in the middle of the second; a third lies within it."""
    how = LOOKS[mode]
    begin = first_s(how)
    step = how.takes_s + 1
    spells = [(0.0, 2 * step), (step, 5 * step), (2.5 * step, 2.6 * step)]
    faults = [Fault(mode, us(begin + a), us(begin + b)) for a, b in spells]
    moments = [1.1 * step, 3 * step, 5 * step + how.lag_s + 0.01]
    found = look_at(keeps_running(*faults), *((begin + at, mode) for at in moments))
    assert found == [how.broken, how.broken, how.healthy]


NEAR = 2
"""In a large domain each mode is paired with so many neighbours on either side."""
PAIRS = [
    (one, two)
    for domain in dict.fromkeys(m.domain for m in CATALOGUE.values())
    for (i, one), (j, two) in permutations(enumerate(m for m in modes(domain) if m in LASTING), 2)
    if abs(i - j) <= NEAR
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_overlapping_spells_of_two_modes_of_a_domain(first: str, second: str) -> None:
    """Both hurt while both last; the second alone is left when the first ends, and nothing after it."""
    one, two = LOOKS[first], LOOKS[second]
    step = max(one.takes_s, two.takes_s) + max(one.lag_s, two.lag_s) + 1.5
    faults = (
        Fault(first, us(FIRST_S), us(FIRST_S + 3 * step)),
        Fault(second, us(FIRST_S + step), us(FIRST_S + 5 * step)),
    )
    found = look_at(
        keeps_running(*faults),
        (FIRST_S + 0.1, first),
        (FIRST_S + step + 0.1, first),
        (FIRST_S + 2 * step + 0.2, second),
        (FIRST_S + 3 * step + one.lag_s + 0.3, second),
        (FIRST_S + 5 * step + max(one.lag_s, two.lag_s) + 0.3, second),
    )
    assert found[0] == one.broken
    assert found[1] != one.healthy
    assert found[2] != two.healthy
    assert found[3:] == [two.broken, two.healthy]


@pytest.mark.parametrize("order", ["fault first", "intent first"])
def test_a_fault_that_begins_with_an_intent_holds_from_its_first_instant(order: str) -> None:
    """Whichever stands first in the timeline."""
    fault, intent = Fault("bluetooth.radio_off", us(1)), Intent("unlock", us(1), "bluetooth")
    timeline = (fault, intent) if order == "fault first" else (intent, fault)
    stage = Stage(Scenario(timeline=timeline))

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_S + 12)

    stage.play(act, story=True)
    edges = [e[1] for e in stage.trace.events if e[1] in ("fault", "intent")]
    assert edges == ["fault", "intent"]
    assert stage.of("hand") == []
    assert [what for _, what, _ in stage.told()] == ["refused"]


@pytest.mark.parametrize("mode", ["server.500", "bluetooth.out_of_range", "power.reset"])
def test_a_spell_of_no_length_leaves_nothing_behind(mode: str) -> None:
    found = look_at(
        keeps_running(Fault(mode, us(FIRST_S), us(FIRST_S))), (FIRST_S + LOOKS[mode].lag_s + 0.01, mode)
    )
    assert found == [LOOKS[mode].healthy]


# -- what a single look does not tell ------------------------------------------------------------------


@pytest.mark.parametrize("ms", [0, 400, 2000])
def test_latency_is_added_to_each_round_trip(ms: int) -> None:
    """On a connection that stands there is one."""
    stage = Stage()
    took: list[int] = []

    async def act() -> None:
        world = stage.world
        token, _ = world.server.sign_in()
        for held in (False, True):
            if held:
                CATALOGUE["network.latency"].begin(world, Fault("network.latency", 0, None, (("ms", ms),)))
            await world.internet.call(f"/api/1/vehicles/{world.vin}", token, {})
            since = stage.kernel.now
            await world.internet.call(f"/api/1/vehicles/{world.vin}", token, {})
            took.append(stage.kernel.now - since)

    stage.play(act)
    assert took[1] - took[0] == ms * 1000


@pytest.mark.parametrize("mv", [0, 6_000, 8_000, 9_200])
def test_dip_is_at_the_pin_and_in_the_frames(mv: int) -> None:
    fault = Fault("power.dip", us(1), us(2), (("mv", mv),))
    stage = Stage(Scenario(timeline=(fault,)), collapse=False)

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_S + 2.4)

    stage.play(act, story=True)
    assert stage.values("supply", us(ORIGIN_S)) == [
        (us(ORIGIN_S + 1), mv),
        (us(ORIGIN_S + 2), 12_600),
    ]
    codec = stage.world.codecs["VehicleState"]
    said = {
        codec.decode(f.data)["Supply_mV"]
        for f in stage.frames(us(ORIGIN_S + 1.2), codec.can_id)
        if f.at_us < us(ORIGIN_S + 2)
    }
    assert said == {mv}


def test_of_two_supplies_the_lower_counts() -> None:
    faults = (
        Fault("power.dip", us(1), us(4), (("mv", 7_000),)),
        Fault("power.dip", us(2), us(3), (("mv", 8_000),)),
        Fault("power.reset", us(3.5), us(5)),
    )
    stage = Stage(Scenario(timeline=faults))

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_S + 5.5)

    stage.play(act, story=True)
    assert [mv for _, mv in stage.values("supply", us(ORIGIN_S))] == [7_000, 0, 12_600]


def test_a_reset_starts_the_alive_counter_anew() -> None:
    stage = Stage(Scenario(timeline=(Fault("power.reset", us(1), us(1.3)),)))

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_S + 3)

    stage.play(act, story=True)
    first = next(f for f in stage.frames(us(ORIGIN_S + 1.3)) if f.sender == "ecu")
    assert first.data[1] & 0x0F == 0


def test_car_offline_shows_in_telematics_state() -> None:
    stage = Stage(Scenario(timeline=(Fault("network.car_offline", us(5), us(20)),)))
    found: list[set[int]] = []

    async def act() -> None:
        for at_s in (1.0, 8.0, 26.0):
            await stage.kernel.sleep(ORIGIN_S + at_s - stage.kernel.now / 1e6)
            found.append(await online_bits(stage))

    scenario_end = Intent("lock", us(40), "card")
    stage.scenario = stage.world.scenario = stage.scenario.with_timeline(
        *stage.scenario.timeline, scenario_end
    )
    stage.play(act, story=True)
    assert found == [{1}, {0}, {1}]


@pytest.mark.parametrize("mode", ["bluetooth.radio_off", "bluetooth.out_of_range"])
def test_a_link_that_stands_is_lost_and_the_module_notices_after_its_supervision_time(mode: str) -> None:
    """Nothing passes from the onset on; 720 ms later the module says so."""
    stage = Stage()

    async def act() -> None:
        world, kernel = stage.world, stage.kernel
        one = await world.air.connect(cached=True)
        await kernel.sleep(0.5)
        since = kernel.now
        release = CATALOGUE[mode].begin(world, Fault(mode, 0))
        with pytest.raises(LinkError):
            await one.write(b"nobody hears this", Step.HANDSHAKE)
        knew_us = kernel.now - since
        # A phone without a radio knows at once that nothing was written; one out of range, when it misses the module.
        assert (knew_us < 1_000) if mode == "bluetooth.radio_off" else (719_000 <= knew_us <= 721_000)
        await kernel.sleep(1.0)
        assert not one.up
        closed = [f.at_us for f in stage.frames(since, 0x2B0) if f.data[1] == 0xC0]
        assert len(closed) == 1
        assert 720_000 <= closed[0] - since <= 722_000
        assert stage.of("hand", since) == []
        release()

    stage.play(act)
