"""Bench files: what is loaded, and that every mistake names file, line and mend."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hardware.bench import BenchError, list_benches, load_bench
from hardware.benchcheck import check_bench
from hardware.benchfile import positions
from hardware.benchlock import hold_bench, lock_folder

GOOD = """\
name = "lab-2"
text = "a bench"
fidelity = "wire"
uncertainty_ms = 20
stall_ms = 15

[dut]
kind = "external"

[can]
interface = "slcan"
channel = "/dev/ttyACM0"

[can.options]
rtscts = true

[reader]
port = "/dev/ttyUSB0"

[console]
port = "/dev/ttyUSB1"
baudrate = 9600

[io]
port = "socket://127.0.0.1:4000"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lab-2.toml"
    path.write_text(text)
    return path


def test_the_benches_that_come_with_the_rig_load() -> None:
    assert {"emulated", "links", "model", "stack", "vcan"} <= set(list_benches())
    emulated, model, vcan = (load_bench(name) for name in ("emulated", "model", "vcan"))
    assert (emulated.fidelity, emulated.dut.kind, emulated.uncertainty_ms) == ("wire", "emulated", 20)
    assert (model.fidelity, model.can, model.shared) == ("model", None, ())
    assert (vcan.uncertainty_ms, vcan.lanes, vcan.shared) == (60, 1, ("can socketcan vcan0",))
    for bench in (emulated, model, vcan):
        assert bench.stall_ms <= bench.uncertainty_ms


def test_a_lab_bench_loads_from_a_path_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = load_bench(write(tmp_path, GOOD))
    assert bench.can is not None
    assert (bench.can.bitrate, dict(bench.can.options)) == (500_000, {"rtscts": True})
    assert bench.console is not None
    assert bench.console.baudrate == 9600
    (tmp_path / "benches").mkdir()
    write(tmp_path / "benches", GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_bench("lab-2").name == "lab-2"
    assert "lab-2" in list_benches()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("stall_ms = 15", "stal_ms = 15", 5, 'unknown key "stal_ms"; did you mean "stall_ms"?'),
        ("fidelity", "fidelty", 3, 'unknown key "fidelty"; did you mean "fidelity"?'),
        ("stall_ms = 15", "stall_ms = 21", 5, "is above uncertainty_ms (20)"),
        ("= 20", '= "20"', 4, "uncertainty_ms is a text in quotes; it must be a whole number"),
        ("= 20", "= true", 4, "uncertainty_ms is true or false; it must be a whole number"),
        ("= 20", "= 0", 4, "uncertainty_ms is 0; it may be from 1 to 1000"),
        ('"wire"', '"wires"', 3, 'fidelity is "wires"; did you mean "wire"?'),
        ('"slcan"', '"socketcn"', 11, 'did you mean "socketcan"?'),
        ('interface = "slcan"\n', "", 10, "can.interface is missing; add interface = …"),
        ('[reader]\nport = "/dev/ttyUSB0"\n', "", None, "reader is missing; add [reader]"),
        ('[reader]\nport = "/dev/ttyUSB0"\n', "[reader]\n", 17, "reader.port is missing"),
        ("baudrate = 9600", "baudrate = 9600\nbits = 8", 23, 'unknown key "bits"; [console] may have'),
        ("rtscts = true", "receive_own_messages = true", 14, "remove receive_own_messages"),
        ("rtscts = true", "rtscts = [1]", 15, "can.options.rtscts is not a plain value"),
        ("/dev/ttyUSB1", "/dev/ttyUSB0", 20, "console and reader are both /dev/ttyUSB0"),
        ("/dev/ttyUSB1", "pty", 20, "nobody makes one for an external DUT"),
        ("uncertainty_ms = 20", "uncertainty_ms = 20\nlanes = 2", None, "put {lane} in its name"),
        ('kind = "external"', 'kind = "external"\nmemory = "x"', 9, "an external DUT has no memory"),
        ("[can.options]", "bitrate = 333_333\n[can.options]", 14, "slcan has no code for"),
        ('name = "lab-2"', 'name = "lab-2', 1, "not TOML"),
        ('text = "a bench"', 'text = "a bench"\nname = "again"', 3, "not TOML"),
        ("[io]", "[io", 24, "not TOML"),
    ],
)  # fmt: skip
def test_mistakes_name_file_line_and_mend(
    tmp_path: Path, old: str, new: str, line: int | None, says: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(BenchError) as caught:
        load_bench(path)
    text = str(caught.value)
    assert says in text
    assert str(path) in text
    assert caught.value.mend
    if line is not None:
        assert f"line {line}:" in text


def test_a_name_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(BenchError, match="emulated, links, model, stack, vcan"):
        load_bench("emulatd")


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be read"):
        load_bench(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(BenchError, match="UTF-8"):
        load_bench(path)


def test_positions_survive_texts_and_lists_over_several_lines() -> None:
    text = 'a = """\n[b]\nc = 1\n"""\n\n# d = 1\n[t.u]\n"k.x" = [\n  1,\n]\nl = { m = 1 }\n'
    assert positions(text) == {
        ("a",): 1, ("t", "u"): 7, ("t", "u", "k.x"): 8, ("t", "u", "l"): 11, ("t", "u", "l", "m"): 11,
    }  # fmt: skip


def test_a_check_finds_what_is_missing_and_says_how_to_mend_it(tmp_path: Path) -> None:
    findings = {one.port: one for one in check_bench(load_bench(write(tmp_path, GOOD)))}
    assert set(findings) == {"dut", "can", "reader", "console", "io"}
    for port in ("can", "reader", "console"):
        assert not findings[port].ok
        assert "is not there" in findings[port].text
        assert "plugged in" in findings[port].mend
    assert findings["io"].ok


def test_a_check_of_the_embedded_benches() -> None:
    assert all(one.ok for one in check_bench(load_bench("model")))
    assert all(one.ok for one in check_bench(load_bench("emulated")))
    vcan = {one.port: one for one in check_bench(load_bench("vcan"))}
    assert vcan["can"].ok or "ci/vcan.sh" in vcan["can"].mend


HOLD = """
import sys, time
from pathlib import Path
from hardware.bench import load_bench
from hardware.benchlock import hold_bench
with hold_bench(load_bench(Path(sys.argv[1])), "night run"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_one_rig_at_a_time_and_free_again_when_its_holder_is_killed(runtime: Path) -> None:
    path = write(runtime, GOOD)
    bench = load_bench(path)
    root = str(Path(__file__).resolve().parents[2])
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BenchError) as caught, hold_bench(bench):
            pass
        text = str(caught.value)
        assert f"is held by process {holder.pid} (night run) since" in text
        assert "last sign of life" in text
        holder.send_signal(signal.SIGKILL)
    with hold_bench(bench):
        locks = list(lock_folder().glob("*.lock"))
        assert len(locks) == len(bench.shared)
        assert all(json.loads(lock.read_text())["pid"] == os.getpid() for lock in locks)
    with hold_bench(bench):
        pass


def test_benches_that_share_an_adapter_exclude_each_other(runtime: Path) -> None:
    first = load_bench(write(runtime, GOOD))
    other = runtime / "other.toml"
    other.write_text(GOOD.replace("lab-2", "lab-3").replace("/dev/ttyUSB", "/dev/ttyS"))
    with (
        hold_bench(first),
        pytest.raises(BenchError, match="slcan /dev/ttyACM0 is held"),
        hold_bench(load_bench(other)),
    ):
        pass


def test_benches_of_pseudo_terminals_need_no_lock(runtime: Path) -> None:
    with hold_bench(load_bench("emulated")), hold_bench(load_bench("emulated")):
        assert not (runtime / "unlock-rig").exists()


def test_the_bench_file_in_the_docs_loads(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "benches.md").read_text()
    block = page.split("```toml\n")[1].split("```")[0]
    assert load_bench(write(tmp_path, block)).name == "lab-2"


def test_the_link_to_the_server_is_real_if_the_bench_says_so(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "hardware" / "benches" / "emulated.toml").read_text(encoding="utf-8")
    file = tmp_path / "mine.toml"
    for told, https in (("", False), ('[cloud]\nserver = "https"\n', True), ('[cloud]\nserver = "model"\n', False)):
        file.write_text(f"{text}\n{told}", encoding="utf-8")
        assert load_bench(file).https is https
    file.write_text(f'{text}\n[cloud]\nserver = "http"\n', encoding="utf-8")
    with pytest.raises(BenchError, match="server"):
        load_bench(file)


def test_stack_is_virtual_time_and_has_no_lines(tmp_path: Path) -> None:
    bench = load_bench("stack")
    assert bench.fidelity == "stack" and bench.can is None and not bench.shared
    file = tmp_path / "mine.toml"
    file.write_text('fidelity = "stack"\n[dut]\nkind = "emulated"\n[cloud]\nserver = "https"\n', encoding="utf-8")
    with pytest.raises(BenchError, match="real time"):
        load_bench(file)
