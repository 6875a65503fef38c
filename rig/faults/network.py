"""The networks between phone, server and car."""

from __future__ import annotations

from rig.faults.mode import Mode, Param

LATENCY = Param("ms", "ms", 2000, 0, 10_000)

MODES: tuple[Mode, ...] = (
    Mode(
        "network.phone_offline",
        "the phone has no network",
        frozenset({"network phone"}),
        lambda w, f: w.internet.phone_offline.hold(),
    ),
    Mode(
        "network.car_offline",
        "the car has no network",
        frozenset({"network car"}),
        lambda w, f: w.internet.car_offline.hold(),
    ),
    Mode(
        "network.partition",
        "requests reach the server, answers are lost",
        frozenset({"network phone"}),
        lambda w, f: w.internet.partition.hold(),
    ),
    Mode(
        "network.latency",
        "each round trip between phone and server takes longer",
        frozenset({"network phone"}),
        lambda w, f: w.internet.latency.hold(f.param("ms", LATENCY.default)),
        (LATENCY,),
    ),
)
