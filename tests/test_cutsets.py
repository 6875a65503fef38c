"""Cut sets: the healthy ECU needs what is declared; an ECU that needs more or less is told of, in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hardware.vehicle import emulated_model
from reports.cutsets import FORMAT, as_document, as_text, fault_tree_svg
from rig.cli import main
from rig.cli.cutsets import asking
from rig.cutsets import (
    ANY,
    OUTER,
    WAYS,
    Ask,
    CutSets,
    Question,
    WayCuts,
    ask_model,
    combined,
    declared_cuts,
    explore,
)
from rig.faults import CATALOGUE, NEEDS, PATHS, check_faults
from rig.faulttree import fault_tree
from rig.scenario import Scenario

pytestmark = pytest.mark.xdist_group("cutsets")  # they share what takes long to make

ALL = frozenset(need for needs in NEEDS.values() for need in needs)


def paper(keeps_out: Callable[[str, frozenset[str]], bool] | None = None) -> Ask:
    """A DUT on paper: each path opens unless a mode breaks one of its needs, or `keeps_out` says so."""

    def ask(questions: Sequence[Question]) -> list[bool]:
        def path_opens(path: str, broken: frozenset[str]) -> bool:
            return not NEEDS[path] & broken and not (keeps_out and keeps_out(path, broken))

        answers = []
        for question in questions:
            broken = frozenset(need for mode in question.modes for need in CATALOGUE[mode].breaks)
            paths = PATHS if question.way == ANY else (question.way,)
            answers.append(any(path_opens(path, broken) for path in paths))
        return answers

    return ask


@pytest.fixture(scope="module")
def healthy() -> CutSets:
    """Of the emulated ECU."""
    return explore(ask_model(emulated_model()))


def test_the_healthy_ecu_needs_what_is_declared(healthy: CutSets) -> None:
    assert healthy.findings == ()
    assert healthy.as_declared
    for way in healthy.ways.values():
        assert way.complete
        assert way.found == way.declared
        assert len(way.found) > 0
    assert not [cut for cut in healthy.ways[ANY].found if cut <= OUTER]
    assert set(healthy.modes) | set(healthy.unbroken) == ALL
    assert "As declared" in as_text(healthy)
    for need in healthy.unbroken:
        assert f"{need:<14} no mode breaks it" in as_text(healthy)


def test_a_regression_is_told_in_words() -> None:
    cuts = explore(ask_model(emulated_model("bus_off_blocks_card")))
    assert not cuts.as_declared
    wanted = "the card does not open when CAN (can.bus_off) is broken, though it does not need it"
    assert f"regression: {wanted}" in cuts.findings
    assert frozenset({"can"}) in cuts.ways["card"].undeclared
    assert "NOT DECLARED" in as_text(cuts, "bus_off_blocks_card")


def test_all_minimal_cut_sets_of_a_dut_on_paper_are_found() -> None:
    cuts = explore(paper())
    assert cuts.as_declared
    broken = frozenset(cuts.modes)
    assert set(cuts.ways["card"].found) == {frozenset({n}) for n in NEEDS["card"] & broken}
    assert cuts.ways[ANY].found == combined({path: cuts.ways[path].found for path in PATHS})


def test_a_larger_hidden_cut_is_found_and_its_supersets_are_not() -> None:
    """The card of this DUT fails only while two things are broken that it needs neither of."""
    pair = frozenset({"server", "bluetooth"})
    cuts = explore(paper(lambda path, broken: path == "card" and pair <= broken))
    assert cuts.ways["card"].undeclared == (pair,)
    assert cuts.ways[ANY].undeclared == (pair,)
    assert any("the card does not open when Bluetooth" in f and "any of them" in f for f in cuts.findings)
    assert any("the ladder" in f and "outside the car's own lines" in f for f in cuts.findings)


def test_the_ladders_cut_sets_are_told_without_repeating_all_that_follows() -> None:
    """The card of this DUT wants the account; with Bluetooth gone nothing is left, which follows in many ways."""
    cuts = explore(paper(lambda path, broken: path == "card" and "account" in broken))
    ladder = [f for f in cuts.findings if "the ladder" in f]
    assert len(cuts.ways[ANY].undeclared) > 2
    assert len(ladder) <= 1 + len([c for c in cuts.ways[ANY].undeclared if c <= OUTER])
    assert any("follow from that" in f for f in ladder)
    assert any("the card does not open when the account" in f for f in cuts.findings)


def test_a_degraded_mode_may_keep_out_whom_it_touches_and_nobody_else() -> None:
    slow = next(n for n, m in CATALOGUE.items() if m.degrades and m.breaks == {"bluetooth"})

    def ask(questions: Sequence[Question]) -> list[bool | None]:
        assert Question("bluetooth", (slow,)) not in questions
        answers = paper()(questions)
        return [False if q == Question("card", (slow,)) else a for q, a in zip(questions, answers, strict=True)]

    (finding,) = explore(ask).findings
    assert finding == f"regression: the card does not open while {slow} alone holds, though it does not need Bluetooth"


def test_no_declaration_may_let_the_outside_lock_the_driver_out() -> None:
    outer = (frozenset({"server"}),)
    ways = {way: WayCuts(way, outer, outer, 2, 1, complete=True) for way in WAYS}
    cuts = CutSets({"server": "server.500"}, (), (), ways)
    (finding,) = cuts.findings
    assert "the ladder does not open when the server (server.500) is broken: declared so" in finding


def test_a_need_that_is_none_dates_the_declaration() -> None:
    """This DUT's Bluetooth works without CAN."""

    def ask(questions: Sequence[Question]) -> list[bool | None]:
        return [
            True if q.way == "bluetooth" and q.modes == ("can.bus_off",) else answer
            for q, answer in zip(questions, paper()(questions), strict=True)
        ]

    cuts = explore(ask)
    if cuts.modes["can"] == "can.bus_off":
        assert frozenset({"can"}) in cuts.ways["bluetooth"].outdated
        assert any("bluetooth opens although CAN" in f and "out of date" in f for f in cuts.findings)


def test_a_door_that_never_opens_and_one_that_nothing_keeps_shut() -> None:
    shut = explore(lambda questions: [False] * len(questions))
    assert all(way.found == (frozenset(),) for way in shut.ways.values())
    assert any("although nothing is broken" in f for f in shut.findings)
    assert fault_tree_svg(shut, fault_tree(shut)).startswith("<svg")
    open_ = explore(lambda questions: [True] * len(questions), most_runs=50)
    assert all(way.found == () for way in open_.ways.values())
    assert not open_.as_declared
    assert any("not all subsets were tried" in f for f in open_.findings) or len(open_.modes) < 6
    assert fault_tree_svg(open_, fault_tree(open_)).startswith("<svg")


def test_what_the_bench_cannot_make_is_said_and_not_taken_for_open() -> None:
    def ask(questions: Sequence[Question]) -> list[bool | None]:
        answers = paper()(questions)
        return [None if "can.bus_off" in q.modes else a for q, a in zip(questions, answers, strict=True)]

    cuts = explore(ask)
    assert cuts.unsupported == ("can.bus_off",)
    assert "can.bus_off" not in cuts.modes.values()
    assert "cannot make them: can.bus_off" in as_text(cuts)


def test_a_mode_stands_only_for_the_one_need_it_breaks(healthy: CutSets) -> None:
    for need, name in healthy.modes.items():
        mode = CATALOGUE[name]
        assert mode.breaks == {need}
        assert not mode.degrades


def test_questions_are_scenarios_that_can_be_replayed() -> None:
    for way in WAYS:
        scenario = Question(way, ("server.500", "can.bus_off")).scenario()
        check_faults(scenario)
        assert Scenario.from_json(scenario.to_json()) == scenario
    for name, mode in CATALOGUE.items():
        faults = [f.mode for f in Question("card", (name,)).scenario().faults]
        assert faults == ([name, "power.reset"] if "random" in mode.breaks else [name])


def test_combined_is_minimal() -> None:
    a, b, c = frozenset("a"), frozenset("b"), frozenset("c")
    assert combined({"x": [a, b], "y": [a, c]}) == (a, b | c)
    assert combined({"x": [], "y": [a]}) == ()
    assert declared_cuts(ANY, frozenset({"power", "server"})) == (frozenset({"power"}),)


def test_the_command_writes_document_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, picture = tmp_path / "cuts.json", tmp_path / "tree.svg"
    code = main(["cutsets", "--defect", "online_check", "--json", str(document), "--svg", str(picture)])
    assert code == 1
    said = capsys.readouterr().out
    assert "NOT as declared" in said
    for way in ("the card", "bluetooth", "the ladder"):
        assert f"regression: {way} does not open when the car's network (network.car_offline) is broken" in said
    assert "outside the car's own lines" in said
    raw = json.loads(document.read_text(encoding="utf-8"))
    assert raw["format"] == FORMAT
    assert raw["as_declared"] is False
    assert ["network car"] in raw["ways"]["card"]["undeclared"]
    assert raw["tree"]["gate"] == "and"
    assert [branch["gate"] for branch in raw["tree"]["inputs"]] == ["or"] * 3
    drawn = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    words = " ".join("".join(e.itertext()) for e in drawn.iter())
    assert "NOT DECLARED" in words
    assert "script" not in {e.tag.rpartition("}")[2] for e in drawn.iter()}


def test_several_processes_answer_the_same() -> None:
    questions = [Question(way, (mode,)) for way in WAYS for mode in ("can.bus_off", "server.500", "power.reset")]
    with asking("bus_off_blocks_card", 1) as one, asking("bus_off_blocks_card", 2) as two:
        assert list(one(questions)) == list(two(questions))


def test_wrong_usage_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cutsets", "--defect", "nothing"]) == 3
    assert main(["cutsets", "--svg", str(tmp_path / "no" / "file.svg")]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_the_document_has_all_that_docs_say(healthy: CutSets) -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "cutsets.md").read_text(encoding="utf-8")
    for key in as_document(healthy, fault_tree(healthy)):
        assert f"`{key}`" in page, key
