"""The driver's ladder: phone, handle, card; what a driver with nothing but a card does; two wishes at once."""

from __future__ import annotations

import pytest

from rig.scenario import Carry, Intent, Scenario, Via, Want
from tests.world.stage import Stage

HANDLE_S, TAP_S, BETWEEN_S, LAST_S = 10.5, 1.5, 1.0, 30.0


def walk(
    via: Via = "ladder",
    want: Want = "unlock",
    *,
    card: bool = True,
    doors_turn: tuple[tuple[float, str], ...] = (),
) -> list[tuple[float, str, object]]:
    """A wish with a phone that gets nowhere: what the driver does, in s after the wish.

    Args:
        via: the ways the driver goes.
        want: the wish.
        card: whether there is one.
        doors_turn: when somebody turns all latches by hand, and how.
    """
    stage = Stage(Scenario(carry=Carry(card=card)), ecu=False)
    started = 0

    async def act() -> None:
        nonlocal started
        started = stage.kernel.now
        stage.world.air.radio_off.hold()
        stage.world.internet.phone_offline.hold()
        for at_s, state in doors_turn:
            stage.kernel.after(round(at_s * 1e6), stage.world.plant.set_latches, state)
        await stage.world.driver.pursue(0, Intent(want, 0, via))

    stage.play(act)
    kinds = ("intent", "told", "handle", "act", "tap", "untap")
    return [
        ((e[0] - started) / 1e6, e[1], e[3] if len(e) > 3 else "")
        for e in stage.trace.events
        if e[1] in kinds
    ]


def at(events: list[tuple[float, str, object]], kind: str) -> list[float]:
    return [when for when, what, _ in events if what == kind]


def test_the_ladder_to_its_end() -> None:
    """Handle at 10.5 s and before every tap; no tap that could not end by 30 s."""
    events = walk()
    pulls, taps, untaps = at(events, "handle"), at(events, "tap"), at(events, "untap")
    assert pulls[0] == HANDLE_S
    assert taps == pulls[: len(taps)]
    assert untaps == [t + TAP_S for t in taps]
    assert [b - a for a, b in zip(untaps, taps[1:], strict=False)] == [BETWEEN_S] * (len(taps) - 1)
    assert len(taps) == 8
    assert all(t + TAP_S <= LAST_S for t in taps)
    assert [value for _, kind, value in events if kind == "handle"] == [0] * len(pulls)


def test_a_tap_is_the_first_act_on_the_card_path() -> None:
    events = walk()
    assert [when for when, kind, path in events if kind == "act" and path == "card"] == at(events, "tap")


def test_an_open_door_needs_no_card() -> None:
    """The phone may have been told nothing: the handle tells."""
    events = walk(doors_turn=((9.0, "U"),))
    assert [(when, value) for when, kind, value in events if kind == "handle"] == [(HANDLE_S, 1)]
    assert at(events, "tap") == []


def test_the_card_is_taken_away_as_soon_as_the_door_is_open() -> None:
    events = walk(doors_turn=((10.9, "U"),))
    assert at(events, "tap") == [HANDLE_S]
    assert at(events, "untap") == [pytest.approx(10.95)]
    assert at(events, "handle") == [HANDLE_S, pytest.approx(11.95)]
    assert [value for _, kind, value in events if kind == "handle"] == [0, 1]


def test_a_door_that_locks_again_is_tapped_again() -> None:
    events = walk(doors_turn=((10.9, "U"), (11.5, "L")))
    assert len(at(events, "tap")) > 1
    assert at(events, "tap")[1] == pytest.approx(11.95)


def test_without_a_card_the_ladder_ends_with_the_phone() -> None:
    events = walk(card=False)
    assert at(events, "told") == [10.0]
    assert not at(events, "handle")
    assert not at(events, "tap")


@pytest.mark.parametrize("via", ["bluetooth", "cloud"])
def test_the_phone_alone_pulls_no_handle(via: Via) -> None:
    events = walk(via)
    assert [kind for _, kind, _ in events if kind != "act"] == ["intent", "told"]


def test_the_card_alone_is_tapped_at_once_and_the_handle_pulled_before_any_further_tap() -> None:
    events = walk("card")
    kinds = [(when, kind) for when, kind, _ in events if kind in ("tap", "handle", "told")]
    assert kinds[0] == (0.0, "tap")
    assert kinds[1:3] == [(2.5, "handle"), (2.5, "tap")]
    assert at(events, "tap") == [0.0, 2.5]
    assert not at(events, "told")


def test_who_wants_to_lock_pulls_and_is_content_with_a_shut_door() -> None:
    events = walk("ladder", "lock")
    assert [(when, value) for when, kind, value in events if kind == "handle"] == [(HANDLE_S, 0)]
    assert at(events, "tap") == []
    events = walk("ladder", "lock", doors_turn=((0.5, "U"), (11.0, "L")))
    assert [value for _, kind, value in events if kind == "handle"] == [1, 0]
    assert at(events, "tap") == [HANDLE_S]


def test_one_hand_holds_the_card_at_a_time() -> None:
    """Two wishes that both come to the card: their taps do not overlap."""
    stage = Stage(ecu=False)

    async def act() -> None:
        for index in range(2):
            stage.kernel.spawn(stage.world.driver.pursue(index, Intent("unlock", 0, "card")))
        await stage.kernel.sleep(12.0)

    stage.play(act)
    order = [e[1] for e in stage.trace.events if e[1] in ("tap", "untap")]
    assert order == ["tap", "untap"] * (len(order) // 2)
    assert len(order) >= 6
