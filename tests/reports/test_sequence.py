"""The sequence picture: well-formed, self-contained, everything told once and legibly, long runs kept short."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest

from hardware.vehicle import emulated_model
from reports.messages import MOST, Message, Rule, messages
from reports.sequence import sequence_svg
from rig.faults import CATALOGUE
from rig.judge.verdicts import Outcome, Verdict
from rig.model import Result
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario
from rig.trace import Trace
from tests.randomscenarios import scenario

S = 1_000_000
SVG = "{http://www.w3.org/2000/svg}"
NARROWEST = 4.6
"""Of a letter of 11 px in common fonts, on the narrow side."""


def play(*timeline: Entry, defect: str | None = None, carry: Carry | None = None) -> Result:
    """A run of the emulated ECU."""
    return emulated_model(defect).judge(Scenario(carry=carry or Carry(), timeline=timeline))


def said(result: Result) -> list[str]:
    """All messages as `source>target text`."""
    return [
        f"{m.source}>{m.target} {m.text}"
        for m in messages(result.scenario, result.trace)
        if isinstance(m, Message)
    ]


def texts(svg: str) -> list[ElementTree.Element]:
    """All text of a picture, after checking that it is well-formed."""
    return list(ElementTree.fromstring(svg).iter(SVG + "text"))


def words(svg: str) -> str:
    """All that is written in a picture."""
    return "\n".join(t.text or "" for t in texts(svg))


def test_a_bluetooth_unlock_is_told_from_wish_to_handle() -> None:
    told = said(play(Intent("unlock", S)))
    wanted = [
        "driver>phone wants: unlock (any way)", "phone> tries bluetooth (cold session)",
        "module>ECU asks for a session", "phone>module unlock #1", "module>ECU unlock #1",
        "ECU>motors all doors: drives to unlock", "motors>ECU all doors: unlocked", "ECU>phone unlock #1: done",
        "phone>driver “opened”", "driver> pulls the handle: it opens",
    ]  # fmt: skip
    places = [told.index(w) for w in wanted]
    assert places == sorted(places), told


def test_a_cloud_lock_and_a_tap() -> None:
    told = said(play(Intent("unlock", 0, "card"), Intent("lock", 5 * S, "cloud")))
    for wanted in (
        "driver>card reader card to the reader", "card reader>ECU card proves itself", "phone>server lock #1",
        "TCU>ECU lock #1", "motors>ECU all doors: locked", "driver> pulls the handle: it opens",
    ):  # fmt: skip
        assert wanted in told, told


def test_what_is_lost_is_shown_where() -> None:
    told = messages_of(play(Fault("bluetooth.lost_after_write", 0, 20 * S), Intent("unlock", S, "bluetooth")))
    lost = [m for m in told if m.lost]
    assert lost
    assert lost[0].text == "no answer to unlock #1 arrives"
    assert lost[0].reply
    cut = messages_of(play(Fault("server.500", 0), Intent("unlock", S, "cloud"), carry=Carry("warm")))
    assert any(m.lost and m.target == "server" and "does not reach the ECU" in m.text for m in cut)


def messages_of(result: Result) -> list[Message]:
    """The messages of a run."""
    return [m for m in messages(result.scenario, result.trace) if isinstance(m, Message)]


def test_the_attacker_has_a_lane_and_hostile_messages() -> None:
    result = play(
        Intent("unlock", 0, "bluetooth"), Attack("replay_cloud", 2 * S), Attack("plain_interior", 3 * S),
    )  # fmt: skip
    hostile = [m for m in messages_of(result) if m.tone == "hostile"]
    assert {m.source for m in hostile} == {"attacker"}
    assert any("unlock #1 once more, by cloud" in m.text for m in hostile)
    assert any("inside switch frame" in m.text for m in hostile)
    assert "attacker" in words(sequence_svg(result.scenario, result.trace))
    quiet = play(Intent("unlock", 0, "bluetooth"))
    assert "attacker" not in words(sequence_svg(quiet.scenario, quiet.trace))


def test_repeats_are_counted() -> None:
    result = play(Fault("bluetooth.lost_after_write", 0), Intent("unlock", 0, "bluetooth"))
    told = messages_of(result)
    repeated = [m for m in told if m.times > 1 and m.target == "module"]
    assert len(repeated) == 1
    assert repeated[0].times >= 5
    assert repeated[0].until_us > repeated[0].t_us
    assert f"×{repeated[0].times}, until" in words(sequence_svg(result.scenario, result.trace))


def test_faults_are_bars_with_their_names_and_times() -> None:
    played = Scenario(
        timeline=(
            Fault("server.429", 0, 9 * S, (("retry_after_s", 7),)),
            Fault("server.500", 0, S, step="cloud.body", nth=3),
            Fault("bluetooth.out_of_range", S, step="bluetooth.command_write"),
        )
    )
    trace = Trace([(0, "origin"), (2_400_000, "fault", 2, "bluetooth.out_of_range", 1), (9 * S, "told", 0, "opened")])
    svg = sequence_svg(played, trace)
    assert "server.429 retry_after_s=7, 0 s to 9 s: answers 429" in words(svg)
    assert "bluetooth.out_of_range, at bluetooth.command_write, 2.4 s to the end" in words(svg)
    assert "server.500, at cloud.body number 3: never, the step was not reached" in words(svg)
    assert svg.count('fill="url(#fault)"') == 2


@pytest.mark.parametrize(
    ("defect", "requirement", "timeline"),
    [
        ("bus_off_blocks_card", "AVL-4", (Fault("can.bus_off", 0), Intent("unlock", 0, "card"))),
        ("online_check", "AVL-1", (Fault("network.car_offline", 0), Intent("unlock", S))),
        ("open_on_plain_frame", "SEC-1", (Attack("plain_interior", S),)),
        ("lying_status", "STA-1", (Intent("unlock", 0, "card"),)),
        ("reset_opens", "SEC-10", (Fault("power.reset", 0, S),)),
        ("no_expiry", "SEC-3", (Fault("credential.lifetime_past", 0, 10 * S),)),
    ],
)
def test_a_failure_is_told_with_demand_verdict_and_instant(
    defect: str, requirement: str, timeline: Sequence[Entry]
) -> None:
    result = play(*timeline, defect=defect)
    verdict = result.judgement.verdicts[requirement]
    assert verdict.outcome is Outcome.FAIL
    svg = sequence_svg(result.scenario, result.trace, [verdict])
    flat = " ".join(words(svg).split())
    assert f"{requirement}: " in flat
    assert verdict.text in flat
    assert f"▶ {requirement}" in flat
    legible(svg)


def legible(svg: str) -> None:
    """No text lies on another, and none leaves the picture."""
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    boxes: list[tuple[float, float, float, str]] = []
    for text in root.iter(SVG + "text"):
        if text.get("transform"):
            continue
        x, y, said_ = float(text.get("x", "0")), float(text.get("y", "0")), text.text or ""
        long = NARROWEST * len(said_) * float(text.get("font-size", "11")) / 11
        start = {"middle": x - long / 2, "end": x - long}.get(text.get("text-anchor", ""), x)
        assert start >= -1, said_
        assert start + long <= width + 1, said_
        assert 0 < y < height, said_
        for start_, end_, y_, other in boxes:
            assert abs(y - y_) > 8 or start >= end_ or start + long <= start_, (said_, other)
        boxes.append((start, start + long, y, said_))


def test_random_runs_are_legible_and_bounded() -> None:
    model = emulated_model()
    for seed in range(25):
        result = model.judge(scenario(seed))
        svg = sequence_svg(result.scenario, result.trace, list(result.judgement.failures))
        legible(svg)
        assert "script" not in svg
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
        assert len(messages(result.scenario, result.trace)) <= MOST + 2


def test_a_long_run_keeps_what_is_around_the_verdict() -> None:
    wishes = [Intent("unlock" if i % 2 == 0 else "lock", i * 15 * S) for i in range(40)]
    result = play(*wishes)
    at = result.trace.origin_us + 300 * S
    shown = messages(result.scenario, result.trace, [(at, "here")])
    assert len(shown) <= MOST + 2
    assert any(isinstance(e, Rule) and e.verdict for e in shown)
    assert any(isinstance(e, Rule) and "before this are left out" in e.text for e in shown)
    legible(sequence_svg(result.scenario, result.trace, [Verdict("AVL-1", Outcome.FAIL, "late", at_us=at)]))


def test_the_closing_phase_is_shown_only_if_the_failure_lies_there() -> None:
    result = play(Intent("unlock", 0))
    healed = next(e[0] for e in result.trace.of("healed"))
    early = messages(result.scenario, result.trace, [(result.trace.origin_us, "here")])
    assert max(e.t_us for e in early) == healed
    late = messages(result.scenario, result.trace, [(healed + 11 * S, "here")])
    assert max(e.t_us for e in late) > healed


def test_silences_are_cut_out_and_said() -> None:
    result = play(Intent("unlock", 0), Intent("lock", 3600 * S))
    svg = sequence_svg(result.scenario, result.trace)
    assert re.search(r"⋮ \d+\.\d s", words(svg))
    assert float(ElementTree.fromstring(svg).get("height", "0")) < 1500


def test_what_the_gateway_says_and_key_changes_are_told() -> None:
    trace = Trace(
        [
            (5, "origin"), (6, "speed", 300), (7, "crash", 1), (8, "interior", "unlock"),
            (9, "keyop", 0, "guest", "revoke", 0), (9, "doubt", "phone", 4), (10, "tap", -1, "unknown"),
            (11, "boot", 2), (12, "hand", "cloud", "ab", "malformed"), (13, "answer", "cloud", "ab", 17),
        ],
        5,
    )  # fmt: skip
    told = [f"{m.source}>{m.target} {m.text}" for m in messages(Scenario(), trace) if isinstance(m, Message)]
    assert told == [
        "gateway>ECU speed 30 km/h", "gateway>ECU crash", "gateway>ECU inside switch: unlock",
        "ECU>phone revoke guest: done", "phone> session info that does not check: left aside",
        "attacker>card reader unknown card to the reader", "ECU> boots (number 2)",
        "attacker>ECU command (malformed), by cloud", "ECU>phone command: time expired",
    ]  # fmt: skip
    legible(sequence_svg(Scenario(), trace))


@pytest.mark.parametrize("mode", CATALOGUE)
def test_every_mode_can_be_drawn(mode: str) -> None:
    result = play(Fault(mode, 0, 5 * S), Intent("unlock", S), Intent("drive", 9 * S, "bluetooth"))
    legible(sequence_svg(result.scenario, result.trace))


def test_unknown_events_broken_benches_and_empty_runs_are_drawn_too() -> None:
    trace = Trace([(5, "origin"), (7, "new kind", 3, "words <&>"), (9, "lost", "adapter gone")], 5, "wire")
    svg = sequence_svg(Scenario(), trace, title="a <title> & more")
    assert "new kind 3 words <&>" in words(svg)
    assert "bench: lost adapter gone" in words(svg)
    assert "a <title> & more" in words(svg)
    assert "nothing was said" in words(sequence_svg(Scenario(), Trace([(5, "origin")], 5)))


def test_equal_runs_give_equal_pictures() -> None:
    one, other = (play(Fault("can.bus_off", 0), Intent("unlock", 0)) for _ in range(2))
    assert sequence_svg(one.scenario, one.trace) == sequence_svg(other.scenario, other.trace)
