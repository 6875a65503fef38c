"""The command line as a user meets it: exit codes, clear errors, a run from bench file to report."""

from __future__ import annotations

import html
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rig.cli import main
from rig.faults import CATALOGUE, DOMAINS, STEPS, check_faults, modes
from rig.scenario import Fault, Intent, Scenario
from tests.pluginargs import plugin

ROOT = Path(__file__).resolve().parents[1]


def exit_code(*arguments: str) -> int:
    """Of a command in this process."""
    try:
        return main(arguments)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 1


def rig(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "rig", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


@pytest.fixture
def card_while_bus_off(tmp_path: Path) -> Path:
    """A scenario file in a folder that tries the paths."""
    folder = tmp_path / "mit Leer und ü"
    folder.mkdir()
    file = folder / "card & bus-off.json"
    file.write_text(
        Scenario(timeline=(Fault("can.bus_off", 0), Intent("unlock", 0, "card"))).to_json(), encoding="utf-8"
    )
    return file


COMMANDS = (
    "", "certify", "resume", "sample", "search", "merge", "compare", "results", "replay", "faults", "cutsets", "ecu",
    "defects", "bench", "version",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*filter(None, [command, "--help"])) == 0
    said = capsys.readouterr().out
    assert "usage: rig" in said
    assert len(said) > 100


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("frobnicate",),
        ("certify", "--bench", "nowhere"),
        ("certify", "--defect", "nothing"),
        ("certify", "--seed", "-1"),
        ("certify", "--out", "/proc/no"),
        ("replay", "no such file.json"),
        ("bench", "show", "nowhere"),
        ("ecu", "--defect", "nothing"),
        ("faults", "server.5"),
        ("faults", "--domain", "moon"),
        ("cutsets", "--jobs", "0"),
    ],
)
def test_wrong_usage_is_3_and_says_what_to_do(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*arguments) == 3
    said = capsys.readouterr().err
    assert "rig" in said
    assert "Traceback" not in said


def test_replay_passes_on_the_healthy_ecu_and_fails_on_a_defect(
    card_while_bus_off: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("replay", str(card_while_bus_off)) == 0
    first = capsys.readouterr().out
    assert "AVL-4   pass" in first
    assert exit_code("replay", str(card_while_bus_off)) == 0
    assert capsys.readouterr().out == first, "equal scenarios leave equal traces"
    assert exit_code("replay", str(card_while_bus_off), "--defect", "bus_off_blocks_card", "--trace") == 1
    assert "AVL-4   fail" in capsys.readouterr().out


def test_replay_draws_a_picture(card_while_bus_off: Path) -> None:
    picture = card_while_bus_off.with_suffix(".svg")
    assert exit_code("replay", str(card_while_bus_off), "--picture", str(picture)) == 0
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_replay_draws_a_sequence(card_while_bus_off: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = card_while_bus_off.with_suffix(".sequence.svg")
    command = ("replay", str(card_while_bus_off), "--defect", "bus_off_blocks_card", "--sequence")
    assert exit_code(*command, str(picture)) == 1
    drawn = " ".join(ElementTree.parse(picture).getroot().itertext())
    assert "AVL-4: The card alone needs neither" in drawn
    assert "card to the reader" in drawn
    capsys.readouterr()
    assert exit_code(*command, str(picture / "below.svg")) == 3
    assert "--sequence" in capsys.readouterr().err


def test_a_fault_that_a_bench_cannot_make_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flood.json"
    file.write_text(Scenario(timeline=(Fault("can.log_flood", 0, 1_000_000),)).to_json(), encoding="utf-8")
    assert exit_code("replay", str(file), "--bench", "emulated") == 2
    assert "it lacks can.flood" in capsys.readouterr().err


def test_a_broken_scenario_names_file_and_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "broken.json"
    file.write_text(
        '{"format": "unlock-rig/scenario/1", "timeline": [{"fault": "server.5", "from_ms": 0}]}', "utf-8"
    )
    assert exit_code("replay", str(file)) == 3
    said = capsys.readouterr().err
    assert str(file) in said
    assert "known are server.500" in said


def test_certify_on_the_model_passes_and_leaves_a_report(tmp_path: Path) -> None:
    out = tmp_path / "report ü"
    run = rig("certify", "--bench", "model", "--seed", "7", "--scenarios", "1000", "--out", str(out), cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-2:] == [f"report: {out / 'report.html'}", f"report: {out / 'report.pdf'}"]
    assert "verdict: pass" in run.stdout
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert results["verdict"] == "pass"
    assert results["seed"] == 7
    assert results["cells_missing"] == []
    assert all(r["verdict"] == "pass" for r in results["requirements"])
    assert ElementTree.parse(out / "junit.xml").getroot().tag == "testsuites"
    page = (out / "report.html").read_text("utf-8")
    assert "SAF-3" in page
    assert 'src="http' not in page, "self-contained"
    assert "As declared" in page, "cut sets"
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "SAF-3" in (out / "working.html").read_text("utf-8")


def test_certify_finds_a_defect_and_shrinks_it(tmp_path: Path) -> None:
    run = rig("certify", "--bench", "model", "--defect", "no_expiry", "--scenarios", "100", "--out", str(tmp_path),
              cwd=tmp_path)  # fmt: skip
    assert run.returncode == 1, run.stdout + run.stderr
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    failures = {f["requirement"]: f for f in results["failures"]}
    assert {"SEC-3", "SEC-4"} <= failures.keys()
    for failure in failures.values():
        assert failure["entries"] <= 3
        assert (tmp_path / failure["picture_file"]).is_file()
        assert "viewBox" in (tmp_path / "report.html").read_text("utf-8")
        assert failure["replay"] in html.unescape((tmp_path / "report.html").read_text("utf-8"))
    file = tmp_path / failures["SEC-3"]["scenario_file"]
    assert exit_code("replay", str(file), "--defect", "no_expiry") == 1
    assert exit_code("replay", str(file)) == 0


def test_ctrl_c_ends_it_with_what_it_has(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "certify", "--bench", "model", "--out", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("running ")
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 2, said
    assert "stopped by Ctrl-C" in said
    assert "Traceback" not in said


def test_lists_are_plain_when_piped() -> None:
    for arguments in (("defects",), ("faults",), ("faults", "--steps"), ("bench", "list"), ("version",)):
        run = rig(*arguments)
        assert run.returncode == 0
        assert run.stdout.isascii() or "…" not in run.stdout
        assert "\x1b" not in run.stdout
    assert rig("bench", "show", "emulated").stdout == (ROOT / "hardware/benches/emulated.toml").read_text(
        "utf-8"
    )


def test_faults_lists_every_mode_and_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("faults") == 0
    listed = capsys.readouterr().out
    assert [line.partition(":")[0] for line in listed.splitlines()] == list(CATALOGUE)
    for domain in DOMAINS:
        assert exit_code("faults", "--domain", domain) == 0
        assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == list(modes(domain))
    assert exit_code("faults", "--steps") == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == list(STEPS)


def test_faults_tells_all_of_one_mode(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("faults", "server.429") == 0
    said = capsys.readouterr().out
    assert "retry_after_s = 3 s (1 to 60)" in said
    assert "card      must work all the same" in said
    example = next(line for line in said.splitlines() if line.strip().startswith('{"fault"'))
    whole = f'{{"format": "unlock-rig/scenario/1", "timeline": [{example}]}}'
    check_faults(Scenario.from_json(whole))
    for name in CATALOGUE:
        assert exit_code("faults", name) == 0
        for line in capsys.readouterr().out.splitlines():
            if line.strip().startswith('{"fault"'):
                check_faults(Scenario.from_json(f'{{"format": "unlock-rig/scenario/1", "timeline": [{line}]}}'))


def test_faults_as_json_has_fidelities_and_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("faults", "--json") == 0
    raw = json.loads(capsys.readouterr().out)
    entries = {m["name"]: m for m in raw["modes"]}
    assert list(entries) == list(CATALOGUE)
    assert entries["server.500"]["fidelities"] == ["model", "emulated", "wire"]
    assert entries["can.bus_off"]["fidelities"] == ["model", "emulated"]
    assert entries["can.log_flood"]["fidelities"] == ["model"]
    assert entries["power.dip"]["paths"] == ["card", "bluetooth", "cloud"]
    for entry in entries.values():
        assert entry["kind"] in ("failure", "harmless", "degraded", "state", "condition")
        for p in entry["parameters"]:
            assert p["low"] <= p["default"] <= p["high"]
    assert raw["steps"] == dict(STEPS)


def test_a_test_that_cites_an_unknown_requirement_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        "import pytest\n@pytest.mark.requirement('AVL-99')\ndef test_it(): ...\n", "utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        f"--rootdir={tmp_path}",
        str(tmp_path),
        "--bench=model",
    ]
    command += plugin()
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 4
    assert "cites AVL-99, which is no requirement" in run.stdout + run.stderr
