"""The maker's server: what it answers, and whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault
from rig.world.gates import Gate
from rig.world.repeating import repeat

if TYPE_CHECKING:
    from rig.world.world import World

RETRY_AFTER = Param("retry_after_s", "s", 3, 1, 60)
MAY_RETRY_AFTER = Param("retry_after_s", "s", 0, 0, 60)
SLOW = Param("ms", "ms", 3000, 100, 20_000)
TRICKLE = Param("ms", "ms", 4000, 100, 20_000)
LATE = Param("ms", "ms", 12_000, 500, 60_000)
OVERTAKEN = Param("ms", "ms", 2500, 500, 20_000)
_SERVER = frozenset({"server"})
_NOTHING: frozenset[str] = frozenset()
BURST_US, EVERY_US = 150_000, 1_000_000
"""Log bursts of an overload: so long, so often."""


def _all(*releases: Release) -> Release:
    def end() -> None:
        for release in releases:
            release()

    return end


def _answers(name: str, text: str, param: Param | None = None) -> Mode:
    """Every request is answered with an error."""

    def begin(world: World, fault: Fault) -> Release:
        return world.server.refuses[name].hold(0 if param is None else fault.param(param.name, param.default))

    return Mode(f"server.{name}", text, _SERVER, begin, () if param is None else (param,))


def _gate(
    name: str, text: str, gate: Callable[[World], Gate], *params: Param, breaks: frozenset[str] = _SERVER,
    degrades: bool = False,
) -> Mode:  # fmt: skip
    def begin(world: World, fault: Fault) -> Release:
        value = fault.param(params[0].name, params[0].default) if params else 0
        return gate(world).hold(value)

    return Mode(f"server.{name}", text, breaks, begin, params, degrades=degrades)


def _region(world: World, _fault: Fault) -> Release:
    return _all(world.internet.region_down.hold(), world.internet.car_offline.hold())


def _everything(world: World, fault: Fault) -> Release:
    return _all(_region(world, fault), world.server.token_refused.hold())


def _overload(world: World, _fault: Fault) -> Release:
    """The 2021 cause: the log grows with the load, retries raise the load, and both slow everything."""
    load = world.server.overload.hold()
    if "can.flood" not in world.edges.capabilities:
        return load
    ends: list[Release] = []

    def burst() -> None:
        end = world.flood.hold()
        ends[:] = [end]
        world.kernel.after(BURST_US, end)

    again = repeat(world.kernel, EVERY_US, burst)

    def end() -> None:
        load()
        again()
        ends[0]()

    return end


MODES: tuple[Mode, ...] = (
    _answers("500", "answers 500 to everything"),
    _answers("502", "answers 502 with an HTML page to everything"),
    _answers("503", "answers 503 to everything, with a Retry-After if there is one", MAY_RETRY_AFTER),
    _answers("504", "answers 504 to everything"),
    _answers("540", "answers 540 (device unexpected response) to everything"),
    _answers("429", "answers 429 with Retry-After to everything", RETRY_AFTER),
    _answers("403", "answers 403 to everything"),
    _answers("408", "answers 408 (vehicle offline) to everything"),
    _answers("408_other", "answers 408 with another body to everything"),
    _answers("412", "answers 412 to everything"),
    _answers("421", "answers 421 (other region) to everything"),
    _answers("422", "answers 422 to everything"),
    _gate("hang", "takes requests and never answers", lambda w: w.server.hang),
    _gate("token_refused", "refuses access and refresh tokens (401, login required)", lambda w: w.server.token_refused),
    _gate(
        "token_expired", "the access token has expired (401); the refresh token is good",
        lambda w: w.server.token_expired, breaks=_NOTHING,
    ),
    _gate("refused", "refuses connections", lambda w: w.internet.refused),
    _gate("slow", "each request takes longer", lambda w: w.server.slow, SLOW, degrades=True),
    _gate("trickle", "the body of each answer trickles", lambda w: w.server.trickle, TRICKLE, degrades=True),
    _gate("truncated", "bodies of answers are cut short; the car has executed", lambda w: w.server.truncated,
          degrades=True),
    _gate("malformed", "bodies of answers are no JSON; the car has executed", lambda w: w.server.malformed,
          degrades=True),
    _gate("error_inside", "answers 200 with an error inside; the car has executed", lambda w: w.server.error_inside,
          degrades=True),
    _gate("cached_online", "believes the car online, from a cache", lambda w: w.server.cached_online, breaks=_NOTHING),
    _gate("queue_late", "passes commands on late, whether anybody still waits or not", lambda w: w.server.queue_late,
          LATE, degrades=True),
    _gate("queue_twice", "passes every command on twice", lambda w: w.server.queue_twice, breaks=_NOTHING),
    _gate("queue_reordered", "passes every other command on late, after its successor",
          lambda w: w.server.queue_reordered, OVERTAKEN, degrades=True),
    _gate("answer_lost", "accepts, has the car execute, and never answers", lambda w: w.server.answer_lost,
          degrades=True),
    _gate("wrong_vin", "passes commands on to another car, which refuses them", lambda w: w.server.wrong_vin),
    _gate("cert_expired", "its certificate has expired", lambda w: w.internet.bad_certificates["expired"]),
    _gate("cert_foreign", "its certificate is of an issuer that the phone does not trust",
          lambda w: w.internet.bad_certificates["foreign"]),
    _gate("cert_wrong_host", "its certificate names another host",
          lambda w: w.internet.bad_certificates["wrong_host"]),
    Mode(
        "server.region_down", "a whole region is gone: no answer to phones or cars",
        frozenset({"server", "network car"}), _region,
    ),
    Mode(
        "server.everything_down", "everything of the maker's is down, the login included",
        frozenset({"server", "network car"}), _everything,
    ),
    Mode(
        "server.overload",
        "an overload that feeds itself: every request slows those after it, and the telematics unit's log bursts",
        _SERVER, _overload, degrades=True,
    ),
)  # fmt: skip
