"""What LockStatus has not yet said is said before idle cycles are left out."""

from __future__ import annotations

import pytest

from hardware.vehicle import body_codecs, emulated_model
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.trace import Trace, number, octets, word
from rig.world.world import Watch

S = 1_000_000
CYCLE_US = 110_000


def run(*timeline: Fault | Intent) -> Trace:
    scenario = Scenario(carry=Carry(session="warm"), timeline=timeline)
    return emulated_model().run(scenario, Watch(relock_us=0, opened_us=0))


def first_frame(trace: Trace, from_us: int) -> int:
    """When the ECU's next LockStatus came."""
    return next(e[0] for e in trace.of("can") if number(e, 2) == 0x1A0 and e[0] >= from_us)


def test_the_authority_to_drive_shows_before_the_world_falls_still() -> None:
    trace = run(Intent("drive", S, "bluetooth"), Fault("server.500", 20 * S, 21 * S))
    told = next(e[0] for e in trace.of("told") if word(e, 3) == "driving")
    decode = body_codecs()["LockStatus"].decode
    frames = [(e[0], decode(octets(e, 3))["DriveAuthorised"]) for e in trace.of("can") if number(e, 2) == 0x1A0]
    shown = next(at for at, on in frames if on)
    assert shown - told <= CYCLE_US
    assert not any(e[0] < shown for e in trace.of("skip") if e[0] > told)


@pytest.mark.parametrize("end_ms", [3000, 3030, 3060, 3090])
def test_it_is_heard_again_before_the_world_falls_still(end_ms: int) -> None:
    trace = run(Fault("can.bus_off", S, end_ms * 1000), Fault("server.500", 20 * S, 21 * S))
    back = trace.origin_us + end_ms * 1000
    assert first_frame(trace, back) - back <= CYCLE_US
    assert not any(back <= e[0] < first_frame(trace, back) for e in trace.of("skip"))
