"""Sampling: profiles are read or refused with the mend, draws are independent and repeatable, breaks are mended."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hardware.vehicle import emulated_model
from reports.results import Results
from rig.cli import main
from rig.faults import check_faults
from rig.sampling import DEFAULT, Drawn, ProfileError, draw, load_profile, parse_profile, sample
from rig.scenario import Scenario

TEXT = load_profile(DEFAULT).text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("server = 0.05", "server = 1.5", r"\[domains\] server = 1.5 is not a probability"),
        ("server = 0.05", "servers = 0.05", r"\[domains\] servers is not known; known are"),
        ('"server.slow" = 0.02', '"server.slack" = 0.02', r"\[modes\] server.slack is not known"),
        ("shortest_ms = 50", "shortest_ms = 500000", r"\[spells\] needs 0 < shortest_ms"),
        ("[attackers]", "[attacker]", r"\[attacker\] is not known"),
        ("bluetooth = 75", "bluetooth = true", r"\[ways\] bluetooth = True"),
        ('name = "everyday"', "", "has no name"),
        ('name = "everyday"', "name = ", "is no TOML"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(ProfileError, match=f"mine.toml: .*{said}"):
        parse_profile(TEXT.replace(old, new), "mine.toml")


@pytest.mark.parametrize("name", ["nothing", "../everyday", "nothing.toml"])
def test_a_profile_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ProfileError, match=name):
        load_profile(name)


def test_a_draw_depends_on_profile_seed_and_number_alone() -> None:
    profile = load_profile(DEFAULT)
    first = [draw(profile, 7, i) for i in range(50)]
    assert [draw(profile, 7, i) for i in reversed(range(50))] == first[::-1]
    assert len({s.to_json() for s in first}) == 50
    assert [draw(profile, 8, i) for i in range(50)] != first
    other = parse_profile(TEXT + "\n# another text\n", "x")
    assert [draw(other, 7, i) for i in range(50)] != first


def test_draws_come_as_often_as_the_profile_says() -> None:
    profile = load_profile(DEFAULT)
    draws = [draw(profile, 1, i) for i in range(4000)]
    modes = Counter(f.mode for s in draws for f in s.faults)
    # Four standard deviations; server.slow has its own share beside that of its domain.
    assert modes["bluetooth.weak_signal"] / 4000 == pytest.approx(0.05, abs=0.014)
    server = sum(any(f.mode.startswith("server.") and f.mode != "server.slow" for f in s.faults) for s in draws)
    assert server / 4000 == pytest.approx(0.05, abs=0.014)
    assert sum(s.carry.session == "warm" for s in draws) / 4000 == pytest.approx(0.7, abs=0.03)
    vias = Counter(s.intents[0].via for s in draws if len(s.intents) == 1)
    assert vias["bluetooth"] / vias.total() == pytest.approx(0.75, abs=0.06)
    for s in draws[:200]:
        check_faults(s)
        assert Scenario.from_json(s.to_json(), "x") == s


def test_processes_give_the_same_as_one() -> None:
    profile = load_profile(DEFAULT)

    def drawn(jobs: int) -> list[Drawn]:
        found: list[Drawn] = []
        sample(emulated_model, profile, 3, range(5, 75), found.extend, jobs)
        return found

    assert drawn(2) == drawn(1)


def test_a_run_that_the_rig_cannot_make_is_its_error_and_no_end() -> None:
    class Broken:
        def judge(self, scenario: Scenario) -> None:
            raise RuntimeError("no")

    found: list[Drawn] = []
    sample(Broken, load_profile(DEFAULT), 1, range(3), found.extend)  # type: ignore[arg-type]
    assert [(n, short, text.partition(": {")[0]) for n, short, text in found] == [
        (i, None, "RuntimeError: no") for i in range(3)
    ]


def test_the_command_tells_bounds_and_goes_on_after_a_break(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s"
    arguments = ["sample", "--n", "70", "--seed", "5", "--jobs", "1", "--out", str(out)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "70 draws, fixed beforehand; seed 5" in said
    assert "AVL-6   failed 0 of 70: at most 0.042 (95 %)" in said
    assert "n too small: 299 draws would bound it from above" in said
    whole = Results.load(out / "results.json")
    assert (whole.sampling[0].drawn, whole.sampling[0].complete, whole.runs) == (70, True, 0)

    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if b'"kind":"drawn"' in line) + 11
    (out / "journal.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][:50])
    assert main(["resume", str(out)]) == 0
    again = Results.load(out / "results.json")
    assert again.sampling == whole.sampling, "the same draws, whatever broke"
    assert again.breaks[0].torn_bytes == 50
    assert main(["resume", str(out)]) == 0
    assert "nothing to go on with" in capsys.readouterr().out

    (out / "results.json").unlink()
    assert main(["resume", str(out)]) == 0, "it ended, and was killed before its results were made"
    assert Results.load(out / "results.json") == again

    (out / "signatures").mkdir()
    for command in (arguments, ["search", "--out", str(out)], ["certify", "--bench", "model", "--out", str(out)]):
        assert main(command) == 3
        assert "holds signed evidence" in capsys.readouterr().err
    assert Results.load(out / "results.json") == again
    assert main(["sample", "--profile", "nothing", "--out", str(out)]) == 3
    assert main(["sample", "--print"]) == 0
    assert capsys.readouterr().out == TEXT


def test_a_planted_defect_is_a_failure_with_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "s")
    assert main(["sample", "--n", "64", "--seed", "1", "--jobs", "1", "--defect", "late_relock", "--out", out]) == 1
    found = Results.load(tmp_path / "s" / "results.json")
    rate = next(r for r in found.sampling[0].rates if r.requirement == "SAF-3")
    assert rate.failures > 0
    assert 0 < rate.lower < rate.failures / rate.n <= rate.upper <= 1
    assert found.verdict == "fail"
    assert any(f[1] == "SAF-3" for f in found.sampling[0].failures)
    assert "in sampling" in capsys.readouterr().out
