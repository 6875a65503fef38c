"""The networks between phone, server and car."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault
from rig.world.gates import Gate

if TYPE_CHECKING:
    from rig.world.world import World

LATENCY = Param("ms", "ms", 2000, 0, 10_000)
JITTER = Param("ms", "ms", 1500, 1, 10_000)
RATE = Param("bytes_s", "bytes/s", 600, 20, 100_000)
LOSS = Param("percent", "%", 40, 1, 99)
OVERTAKEN = Param("ms", "ms", 1500, 100, 20_000)
PHONE = frozenset({"network phone"})
CAR = frozenset({"network car"})
NOTHING: frozenset[str] = frozenset()


def _gate(
    name: str, text: str, gate: Callable[[World], Gate], *params: Param, breaks: frozenset[str] = PHONE,
    degrades: bool = False,
) -> Mode:  # fmt: skip
    def begin(world: World, fault: Fault) -> Release:
        value = fault.param(params[0].name, params[0].default) if params else 0
        return gate(world).hold(value)

    return Mode(f"network.{name}", text, breaks, begin, params, degrades=degrades)


MODES: tuple[Mode, ...] = (
    _gate("phone_offline", "the phone has no network", lambda w: w.internet.phone_offline),
    _gate("car_offline", "the car has no network", lambda w: w.internet.car_offline, breaks=CAR),
    _gate("partition", "requests reach the server, answers are lost", lambda w: w.internet.partition),
    _gate("partition_request", "requests of the phone are lost", lambda w: w.internet.request_lost),
    _gate("partition_car_request", "messages from the server to the car are lost",
          lambda w: w.internet.car_request_lost, breaks=CAR),
    _gate("partition_car_answer", "messages from the car to the server are lost; it has executed",
          lambda w: w.internet.car_answer_lost, breaks=CAR, degrades=True),
    _gate("latency", "each round trip between phone and server takes longer", lambda w: w.internet.latency, LATENCY,
          degrades=True),
    _gate("jitter", "each way between phone and server takes up to so much longer", lambda w: w.internet.jitter, JITTER,
          degrades=True),
    _gate("rate", "the phone's link carries few bytes a second", lambda w: w.internet.rate, RATE, degrades=True),
    _gate("loss", "so many segments between phone and server are lost and sent again", lambda w: w.internet.loss, LOSS,
          degrades=True),
    _gate("dns_none", "the server's name is not known", lambda w: w.internet.dns_none, degrades=True),
    _gate("dns_hang", "name servers do not answer", lambda w: w.internet.dns_hang, degrades=True),
    _gate("dns_wrong", "the server's name leads to somebody else", lambda w: w.internet.dns_wrong, degrades=True),
    _gate("captive_portal", "a captive portal answers instead of the server", lambda w: w.internet.captive,
          degrades=True),
    _gate("reset", "connections are reset at the next request or answer", lambda w: w.internet.reset),
    _gate("half_open", "a connection that stands is dead, and the phone does not know", lambda w: w.internet.half_open,
          degrades=True),
    _gate("duplicate", "the car gets every message of the server twice", lambda w: w.internet.duplicate,
          breaks=NOTHING),
    _gate("reorder", "every other message of the server is overtaken by the next", lambda w: w.internet.reorder,
          OVERTAKEN, breaks=CAR, degrades=True),
)  # fmt: skip
