"""The looks at keys that ask for what they may not have; and what a single look does not tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rig.protocol import vcp
from rig.scenario import Fault, Intent, Scenario
from rig.trace import number, word
from rig.world.keylist import DONE, FULL
from tests.world.look import Look
from tests.world.stage import Stage

ROUND_S = 9.0
"""Long enough for two calls of a client that errs every 4 s."""
FAULT = {int(f): f.name for f in vcp.Fault}


async def erring(stage: Stage) -> set[tuple[str, str, str]]:
    """Whose commands, with which flaw, reach the DUT in the next seconds, and how it answers them."""
    since = stage.kernel.now
    await stage.kernel.sleep(ROUND_S - 0.8)
    until = stage.kernel.now
    await stage.kernel.sleep(0.8)
    handed = {h.digest for h in stage.hands(since)}
    answers = {word(e, 3): FAULT[number(e, 4)] for e in stage.of("answer", since)}
    clocks = [(e[0], word(e, 2), number(e, 4)) for e in stage.of("clock")]
    found: set[tuple[str, str, str]] = set()
    for event in stage.of("sign", since):
        name, key, flaw = word(event, 2), word(event, 4), word(event, 10)
        if name not in handed or key in ("keeper", "phone") or event[0] > until:
            continue
        if flaw == "lifetime":
            at, _, seconds = max(c for c in clocks if c[0] <= event[0] and c[1] == "valet")
            left = number(event, 9) - (seconds + (event[0] - at) / 1e6)
            flaw = "zero" if not number(event, 9) else "past" if left < 0 else f"{round(left / 10) * 10} s"
        found.add((key, flaw, answers.get(name, "")))
    return found


async def store(stage: Stage) -> str:
    """Has the second owner enrol one more key, after a while, and take it off again."""
    valet = stage.world.valet
    await stage.kernel.sleep(5.0)
    public = vcp.Identity.from_seed(b"one more").public
    came: list[int] = []

    async def one_more(line: object) -> None:
        await valet._session(line, "keeper")  # type: ignore[arg-type]  # a line it is
        came.append(await valet._operate(line, "enrol", public, "one more"))  # type: ignore[arg-type]
        if came == [DONE]:
            await valet._operate(line, "revoke", public, "one more")  # type: ignore[arg-type]

    await valet._round("bluetooth", one_more)
    return {DONE: "takes", FULL: "full"}.get(came[0] if came else -1, "silent")


async def counters(stage: Stage) -> int:
    """How far apart the counters of two commands of the driver's phone are."""
    since, phone = stage.kernel.now, stage.world.phone
    for _ in range(2):
        now = stage.kernel.now
        await phone.pursue(0, Intent("lock", 0, "bluetooth"), now, now + 4_000_000)
    first, second = (number(e, 8) for e in stage.of("sign", since) if word(e, 4) == "phone")
    return second - first


def errs(key: str, flaw: str, *faults: str) -> Look:
    """A client that errs so, and is refused so."""
    return Look(erring, set(), {(key, flaw, fault) for fault in faults}, takes_s=ROUND_S)


def loses(fault: str) -> Look:
    """A key that has lost its rights and is refused so; nothing is wrong with its commands but that."""
    return Look(erring, set(), {("valet", "", fault)}, takes_s=ROUND_S)


LOOKS: dict[str, Look] = {
    "credential.lifetime_zero": errs("valet", "zero", "TIME_EXPIRED"),
    "credential.lifetime_past": errs("valet", "past", "TIME_EXPIRED"),
    "credential.lifetime_long": errs("valet", "40 s", "TIME_TO_LIVE_TOO_LONG"),
    "credential.other_car": errs("valet", "vin", "INVALID_SIGNATURE"),
    "credential.other_domain": errs("valet", "domain", "INVALID_DOMAINS", "INVALID_SIGNATURE"),
    "credential.wrong_role": errs("monitor", "role", "INSUFFICIENT_PRIVILEGES"),
    "credential.cloud_only": errs("service", "role", "INSUFFICIENT_PRIVILEGES"),
    "credential.service_drives": errs("service", "role", "INSUFFICIENT_PRIVILEGES"),
    "credential.disabled": errs("disabled", "disabled", "INACTIVE_KEY"),
    "credential.not_owner": Look(
        erring,
        set(),
        {("valet", "role", "INSUFFICIENT_PRIVILEGES"), ("spare", "unknown", "UNKNOWN_KEY_ID")},
        takes_s=ROUND_S,
    ),
    "credential.counter_zero": errs("valet", "counter", "INVALID_TOKEN_OR_COUNTER"),
    "credential.counter_behind": Look(
        erring,
        set(),
        {("valet", "role", "INSUFFICIENT_PRIVILEGES"), ("valet", "counter", "INVALID_TOKEN_OR_COUNTER")},
        takes_s=ROUND_S,
    ),
    "credential.counter_rolled_back": Look(
        erring,
        set(),
        {("valet", "role", "INSUFFICIENT_PRIVILEGES"), ("valet", "counter", "INVALID_TOKEN_OR_COUNTER")},
        takes_s=ROUND_S,
    ),
    "credential.counter_ahead": Look(counters, 1, 1001, takes_s=8.0),
    "credential.epoch_old": errs("valet", "epoch", "INCORRECT_EPOCH"),
    # The second owner needs a moment to take a key's rights, and to give them back.
    "credential.revoked": loses("UNKNOWN_KEY_ID"),
    "credential.disabled_midway": loses("INACTIVE_KEY"),
    "credential.demoted": loses("INSUFFICIENT_PRIVILEGES"),
    "credential.rotated": loses("UNKNOWN_KEY_ID"),
    "credential.store_full": Look(store, "takes", "full", takes_s=ROUND_S, lag_s=5.0),
}


def played(*faults: Fault, until_s: float = 40.0, act: Callable[[Stage], Awaitable[None]] | None = None) -> Stage:
    """Plays a story with these faults."""
    stage = Stage(Scenario(timeline=faults))

    async def main() -> None:
        if act is not None:
            await act(stage)
        await stage.kernel.sleep(until_s - stage.kernel.now / 1e6)

    stage.play(main, story=True)
    return stage


@pytest.mark.parametrize("mode", sorted(LOOKS))
def test_nothing_moves(mode: str) -> None:
    for cloud in (0, 1):
        params = (("cloud", cloud),) if mode.split(".")[1] not in PLAIN else ()
        stage = played(Fault(mode, 0, 14_000_000, params))
        assert stage.of("motor") == []


PLAIN = ("cloud_only", "service_drives", "counter_ahead", "store_full")
"""Modes that have no choice of a channel."""


@pytest.mark.parametrize("seconds", [34, 45, 59, 3600])
def test_lifetimes_in_between(seconds: int) -> None:
    stage = played(Fault("credential.lifetime_long", 0, 6_000_000, (("seconds", seconds),)))
    assert {number(e, 4) for e in stage.of("answer")} == {int(vcp.Fault.TIME_TO_LIVE_TOO_LONG)}


@pytest.mark.parametrize("what", ["revoked", "disabled_midway", "demoted", "rotated"])
def test_rights_come_back_at_the_end(what: str) -> None:
    stage = played(Fault(f"credential.{what}", 0, 9_000_000))
    last = {word(e, 3): (word(e, 4), number(e, 5)) for e in stage.of("keyop")}
    assert last["valet"] == ("enrol", 0)
    if what == "rotated":
        assert last["spare"] == ("revoke", 0)


def test_a_rotated_phone_opens_with_its_new_key() -> None:
    async def act(stage: Stage) -> None:
        await stage.kernel.sleep(5.0)
        valet = stage.world.valet

        async def unlock(line: object) -> None:
            await valet._session(line, "spare")  # type: ignore[arg-type]  # a line it is
            await valet._say(line, "spare", "", action=vcp.UNLOCK)  # type: ignore[arg-type]

        await valet._round("bluetooth", unlock)

    stage = played(Fault("credential.rotated", 0, 9_000_000), act=act)
    assert {word(e, 3) for e in stage.of("motor")} == {"U"} | {"L"}
    assert [number(e, 4) for e in stage.of("answer") if word(e, 2) == "bluetooth"].count(0) == 1


def test_a_full_store_holds_19_keys_and_is_emptied_again() -> None:
    stage = played(Fault("credential.store_full", 0, 9_000_000))
    answers = [(word(e, 4), number(e, 5)) for e in stage.of("keyop")]
    added = answers.index(("enrol", FULL))
    assert answers[:added] == [("enrol", DONE)] * added
    assert answers[added + 1 :] == [("revoke", DONE)] * added


def test_a_reset_in_the_middle_does_not_stop_the_second_owner() -> None:
    faults = [Fault("power.reset", 400_000 + i * 3_000_000, 700_000 + i * 3_000_000) for i in range(3)]
    stage = played(Fault("credential.revoked", 0, 9_000_000), *faults)
    last = {word(e, 3): (word(e, 4), number(e, 5)) for e in stage.of("keyop")}
    assert last["valet"] == ("enrol", 0)
    assert stage.of("motor") == []
