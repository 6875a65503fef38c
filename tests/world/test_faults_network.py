"""The looks at the networks between phone, server and car."""

from __future__ import annotations

import pytest

from tests.world.look import Look
from tests.world.online import (
    OK,
    REQUEST_S,
    copies,
    kept_alive,
    patient_request,
    refused,
    request,
    slowest,
    when_handed,
)
from tests.world.stage import Stage

CONNECTED_S = 3 * 4.05

LOOKS: dict[str, Look] = {
    "network.phone_offline": refused("no network"),
    # The server gives the car 5 s, the car's unit makes a new connection within 5 s and three round trips.
    "network.car_offline": Look(request, OK, ("408", "not handed"), takes_s=REQUEST_S, lag_s=5.5),
    "network.partition": Look(request, OK, ("nothing", "handed"), takes_s=REQUEST_S),
    "network.partition_request": refused("nothing"),
    "network.partition_car_request": refused("408"),
    "network.partition_car_answer": Look(request, OK, ("408", "handed"), takes_s=REQUEST_S),
    "network.latency": Look(patient_request, OK, ("200 late", "handed"), takes_s=9.0),
    "network.jitter": Look(slowest, "quick", "slow", takes_s=30.0, spell_s=70.0),
    "network.rate": Look(patient_request, OK, ("200 late", "handed"), takes_s=9.0),
    "network.loss": Look(slowest, "quick", "slow", takes_s=30.0, spell_s=70.0),
    "network.dns_none": refused("no network"),
    "network.dns_hang": refused("nothing"),
    "network.dns_wrong": refused("no network"),
    "network.captive_portal": refused("no network"),
    "network.reset": refused("no network"),
    "network.half_open": Look(kept_alive, "200", "nothing", takes_s=REQUEST_S, momentary=True),
    "network.duplicate": Look(copies, 1, 2, takes_s=REQUEST_S + 0.5),
    "network.reorder": Look(when_handed, "at once", "late", takes_s=13.0, lag_s=3.0),
}


@pytest.mark.parametrize("lost", [False, True])
def test_a_request_on_its_way_arrives_though_the_phone_has_given_it_up(lost: bool) -> None:
    """Unless the network loses it: whoever stops waiting takes nothing back."""
    stage = Stage()
    world = stage.world

    async def act() -> None:
        world.internet.latency.hold(4000)
        # Name, port and TLS take three round trips; then the request is on its way for two seconds.
        assert await request(stage, CONNECTED_S + 1.0) == ("nothing", "not handed")
        given_up = stage.kernel.now
        if lost:
            world.internet.request_lost.hold()
        await stage.kernel.sleep(3.0)
        assert [hand.channel for hand in stage.hands(given_up)] == ([] if lost else ["cloud"])

    stage.play(act)
