"""The picture of a run: well-formed, self-contained, and with everything that happened in it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from hardware.vehicle import emulated_model
from reports.timeline import story, timeline_svg
from rig.faults import CATALOGUE
from rig.judge.verdicts import Outcome, Verdict
from rig.model import Result
from rig.scenario import Fault, Intent, Scenario
from rig.trace import Trace

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run() -> Result:
    """A driver who is let down by server and Bluetooth, and locks by card."""
    return emulated_model().judge(
        Scenario(
            timeline=(
                Fault("server.500", 0, None),
                Fault("bluetooth.lost_after_write", 500_000, 9_000_000),
                Intent("unlock", 1_000_000),
                Fault("power.dip", 13_000_000, 13_500_000, (("mv", 7000),)),
                Intent("lock", 20_000_000, "card"),
            )
        )
    )


def texts(svg: str) -> list[str]:
    """Everything written in a picture, after checking that it is well-formed."""
    root = ElementTree.fromstring(svg)
    assert root.tag == SVG + "svg"
    return [t.text or "" for t in root.iter(SVG + "text")]


def picture(result: Result, *verdicts: Verdict) -> str:
    """The picture of a run."""
    return timeline_svg(result.scenario, result.trace, "a run", verdicts)


def test_it_shows_faults_wishes_doors_and_answers(run: Result) -> None:
    written = texts(picture(run))
    for wanted in (
        "a run", "server.500", "bluetooth.lost_after_write", "power.dip mv=7000", "wants to unlock (ladder)",
        "tries bluetooth", "taps card", "card proves itself", "7 V", "door FL", "door RR", "locked", "unlocked",
        "driver", "phone", "Bluetooth module", "body CAN", "ECU", "reader",
    ):  # fmt: skip
        assert wanted in written, wanted


def test_it_tells_the_verdict_and_where_to_look(run: Result) -> None:
    verdict = Verdict(
        "AVL-4", Outcome.FAIL, "opened after 1.532 s", 1_532_000, 1_000_000, run.trace.origin_us
    )
    written = texts(picture(run, verdict))
    assert "AVL-4 FAIL: opened after 1.532 s" in written
    assert "▲ AVL-4" in written


def test_it_needs_nothing_from_outside(run: Result) -> None:
    svg = picture(run)
    assert not re.search(r"<script|<style|<image|<foreignObject|@import|href", svg)
    assert set(re.findall(r"url\(([^)]*)\)", svg)) <= {"#cut", "#moving"}
    assert svg.count("http") == 1, "the name space alone"


def test_equal_runs_give_equal_pictures(run: Result) -> None:
    again = emulated_model().judge(run.scenario)
    assert picture(again) == picture(run)


def test_nothing_leaves_the_picture(run: Result) -> None:
    root = ElementTree.fromstring(picture(run))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for box in root.iter(SVG + "rect"):
        if "x" in box.attrib:
            assert 0 <= float(box.attrib["x"]) <= float(box.attrib["x"]) + float(box.attrib["width"]) <= width
            assert 0 <= float(box.attrib["y"]) <= height
    for text in root.iter(SVG + "text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height


def test_texts_are_escaped(run: Result) -> None:
    title = "<script>alert('x')</script> & more"
    assert title in texts(
        timeline_svg(run.scenario, run.trace, title, [Verdict("AVL-1", Outcome.FAIL, "<b>")])
    )


@pytest.mark.parametrize(
    "events",
    [[], [(0, "origin")], [(4_000_000, "origin"), (4_000_000, "lost", "the ECU's process ended (signal 9)")]],
    ids=["nothing", "origin alone", "process died"],
)
def test_a_run_that_broke_off_can_be_drawn(events: list[tuple[int, str]]) -> None:
    trace = Trace(list(events), origin_us=events[-1][0] if events else 0, fidelity="wire")
    scenario = Scenario(timeline=(Fault("server.500", 0, None), Intent("unlock", 5_000_000)))
    assert texts(
        timeline_svg(scenario, trace, "broken", [Verdict("AVL-1", Outcome.INCONCLUSIVE, "lost", at_us=9)])
    )


@pytest.mark.parametrize("mode", CATALOGUE)
def test_every_mode_can_be_drawn(mode: str) -> None:
    result = emulated_model().judge(Scenario(timeline=(Fault(mode, 0, 2_000_000), Intent("unlock", 500_000))))
    assert mode in texts(picture(result))


def test_the_story_has_a_line_an_event_and_no_bus_frames(run: Result) -> None:
    lines = story(run.trace).splitlines()
    told = [e for e in run.trace.events if e[1] not in ("can", "skip", "end")]
    assert len(lines) == len(told)
    assert any(re.fullmatch(r" +1\.000000  intent +0 unlock ladder", line) for line in lines)
