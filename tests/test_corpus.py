"""The corpus: what is kept comes back, nothing twice, and broken or foreign files stop nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixtures.campaign import Campaign, RequirementFailed
from hardware.vehicle import emulated_model
from rig.corpus import FORMAT, SIDECAR, UNKNOWN, Corpus, CorpusError, confirm, name_of
from rig.judge.judge import Judgement
from rig.judge.verdicts import Outcome, Verdict
from rig.model import Result
from rig.scenario import Fault, Intent, Scenario
from rig.trace import Trace

ONE = Scenario(timeline=(Fault("can.bus_off", 0), Intent("unlock", 0, "card")))
TWO = Scenario(timeline=(Fault("network.car_offline", 0), Intent("unlock", 0, "card")))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "mit Leer und ü" / "corpus"
    corpus = Corpus.load(folder)
    assert corpus.kept == []
    assert not folder.exists(), "looking makes no folder"
    kept = corpus.keep("AVL-4", ONE, "ab" * 32, {"python": "3.11"}, "rig replay {file} --bench model", NOON)
    assert kept.file.name == name_of("AVL-4", ONE)
    assert kept.file.name.startswith("AVL-4-")
    assert Scenario.load(kept.file) == ONE
    again = Corpus.load(folder)
    assert again.warnings == []
    assert again.kept == [kept]
    assert kept.found == "2026-03-01T12:00:00+00:00"
    assert kept.replay == f"rig replay {kept.file} --bench model"
    about = json.loads(kept.file.with_name(kept.file.name.removesuffix(".json") + SIDECAR).read_text("utf-8"))
    assert about["format"] == FORMAT
    assert about["requirement"] == "AVL-4"
    assert about["trace"] == "ab" * 32


def test_the_same_shrunk_scenario_is_kept_once_for_each_requirement(tmp_path: Path) -> None:
    corpus = Corpus.load(tmp_path)
    first = corpus.keep("AVL-4", ONE, "a", now=NOON)
    assert corpus.keep("AVL-4", ONE, "b") is first
    assert Corpus.load(tmp_path).keep("AVL-4", ONE, "c") == first, "a later run neither"
    corpus.keep("AVL-1", ONE, "a")
    corpus.keep("AVL-4", TWO, "a")
    assert len(corpus.kept) == 3
    assert len(list(tmp_path.iterdir())) == 6
    renamed = first.file.with_name("copy.json")
    renamed.write_bytes(first.file.read_bytes())
    assert {k.requirement for k in Corpus.load(tmp_path).kept} == {"AVL-4", "AVL-1", UNKNOWN}


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    corpus = Corpus.load(tmp_path)
    for requirement in ("SEC-2", "AVL-4", "AVL-1"):
        corpus.keep(requirement, ONE, "")
    assert [k.requirement for k in Corpus.load(tmp_path).kept] == ["AVL-1", "AVL-4", "SEC-2"]


BROKEN = {
    "not json.json": b"{",
    "list.json": b"[]",
    "other program.json": b'{"name": "package", "version": 1}',
    "latin.json": "ü".encode("latin-1"),
    "empty.json": b"",
    "deep.json": b"[" * 100_000,
    "new format.json": b'{"format": "unlock-rig/scenario/99"}',
    "mode.json": b'{"format": "unlock-rig/scenario/1", "timeline": [{"fault": "moon.full", "from_ms": 0}]}',
    "range.json": b'{"format": "unlock-rig/scenario/1", "timeline": [{"fault": "power.dip", "from_ms": 0, "mv": -1}]}',
    "attack.json": b'{"format": "unlock-rig/scenario/1", "timeline": [{"attack": "magic", "at_ms": 0}]}',
}


def test_broken_and_foreign_files_are_named_and_skipped(tmp_path: Path) -> None:
    good = Corpus.load(tmp_path).keep("AVL-4", ONE, "", now=NOON)
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "README.md").write_text("ours")
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere")
    told: list[str] = []
    corpus = Corpus.load(tmp_path, told.append)
    assert corpus.kept == [good]
    assert told == corpus.warnings
    for name in [*BROKEN, "folder.json", "dangling.json"]:
        (warning,) = [w for w in told if str(tmp_path / name) in w]
        assert warning.endswith("; skipped")
    assert len(told) == len(BROKEN) + 2


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"format": "unlock-rig/corpus/1", "requirement": 4}', b"[" * 100_000]
)
def test_a_broken_sidecar_costs_only_what_it_said(tmp_path: Path, content: bytes) -> None:
    file = Corpus.load(tmp_path).keep("AVL-4", ONE, "").file
    beside = file.with_name(file.name.removesuffix(".json") + SIDECAR)
    beside.write_bytes(content)
    corpus = Corpus.load(tmp_path)
    assert [k.scenario for k in corpus.kept] == [ONE]
    assert corpus.kept[0].requirement == UNKNOWN
    (warning,) = corpus.warnings
    assert str(beside) in warning


def test_a_scenario_laid_there_by_hand_is_tried(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(TWO.to_json(), "utf-8")
    corpus = Corpus.load(tmp_path)
    assert [(k.scenario, k.requirement) for k in corpus.kept] == [(TWO, UNKNOWN)]
    assert corpus.warnings == []


def test_what_is_dropped_is_gone(tmp_path: Path) -> None:
    corpus = Corpus.load(tmp_path)
    corpus.drop(corpus.keep("AVL-4", ONE, ""))
    assert corpus.kept == []
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(CorpusError, match="is a file; name a folder"):
        Corpus.load(file)
    with pytest.raises(CorpusError, match="cannot be written"):
        Corpus(file / "below", [], []).keep("AVL-4", ONE, "")
    if Path("/proc/self").is_dir():
        with pytest.raises(CorpusError, match="cannot be written"):
            Corpus(Path("/proc/self/corpus"), [], []).keep("AVL-4", ONE, "")


def test_a_run_is_confirmed_by_a_second_one() -> None:
    confirmed = confirm(emulated_model("bus_off_blocks_card"), ONE)
    assert confirmed.same_hash
    assert confirmed.finding == ""
    assert "AVL-4" in {v.requirement for v in confirmed.result.judgement.failures}


class Moody:
    """Does something else each time."""

    runs = 0

    def judge(self, scenario: Scenario) -> Result:
        """Opens once, and never again."""
        self.runs += 1
        events = [(0, "origin"), (5, "told", 0, "opened" if self.runs == 1 else "refused", "")]
        return Result(scenario, Trace(events), Judgement())  # type: ignore[arg-type]  # tuples of mixed kinds


def test_a_nondeterministic_run_is_a_finding() -> None:
    confirmed = confirm(Moody(), ONE)
    assert not confirmed.same_hash
    assert "nondeterministic run" in confirmed.finding
    assert "event 1" in confirmed.finding
    assert "opened" in confirmed.finding
    assert "refused" in confirmed.finding


def test_a_campaign_tells_of_a_nondeterministic_run(tmp_path: Path) -> None:
    campaign = Campaign("model", None, 0, tmp_path, frozenset())
    moody = Moody()
    failed = RequirementFailed(Result(ONE, Trace(), Judgement()), Verdict("AVL-4", Outcome.FAIL), "model")
    campaign.shrunk(failed, moody)  # type: ignore[arg-type]  # all of a model that it uses
    (note,) = campaign.notes
    assert "nondeterministic run" in note
