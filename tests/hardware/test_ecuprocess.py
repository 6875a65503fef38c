"""The ECU's process from outside: what it prints, how it ends, what its lines say."""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from hardware.ecuprocess import EcuOptions, add_arguments, options_of

ROOT = str(Path(__file__).resolve().parents[2])
START_S = 1.0
SLOW = 4
"""Other jobs share the machine: only several times the promised time is a failure here."""


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hardware.ecuprocess", *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip


@pytest.fixture
def ecu() -> Iterator[subprocess.Popen[str]]:
    process = start()
    with process:
        yield process
        process.kill()


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    made: dict[str, Any] = json.loads(process.stdout.readline())
    return made


def read_until(port: serial.Serial, wanted: bytes, seconds: float) -> bytes:
    got = b""
    end = time.monotonic() + seconds
    while wanted not in got and time.monotonic() < end:
        if select.select([port], [], [], 0.1)[0]:
            got += port.read(4096)
    return got


def test_it_names_its_lines_soon(ecu: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    lines = ready(ecu)
    assert time.monotonic() - began < START_S * SLOW
    assert lines["pid"] == ecu.pid
    assert set(lines) == {"ecu", "pid", "can", "reader", "console", "io"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, None], ids=["term", "int", "stdin"])
def test_it_ends_cleanly(ecu: subprocess.Popen[str], how: signal.Signals | None) -> None:
    ready(ecu)
    assert ecu.stdin is not None
    if how is None:
        ecu.stdin.close()
    else:
        ecu.send_signal(how)
    assert ecu.wait(3) == 0
    assert ecu.stderr is not None
    assert ecu.stderr.read() == ""


def test_it_is_off_until_the_io_line_brings_a_supply(ecu: subprocess.Popen[str]) -> None:
    lines = ready(ecu)
    with serial.Serial(lines["reader"], timeout=0) as reader, serial.Serial(lines["io"]) as io:
        assert read_until(reader, b"\x00\x00\xff", 0.3) == b""
        io.write(b"V 12600\n")
        # The ECU is the reader's host: the first thing it does is to talk to it.
        assert b"\x00\x00\xff" in read_until(reader, b"\x00\x00\xff", 3)


def test_it_tells_the_console_of_its_own_stalls(ecu: subprocess.Popen[str]) -> None:
    lines = ready(ecu)
    with serial.Serial(lines["console"], timeout=0) as console, serial.Serial(lines["io"]) as io:
        io.write(b"V 12600\n")
        time.sleep(0.6)
        ecu.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        ecu.send_signal(signal.SIGCONT)
        told = (read_until(console, b"stall ", 2) + read_until(console, b"\n", 0.2)).decode()
    stalls = [line.split() for line in told.splitlines() if line.startswith("stall")]
    assert max(int(words[1]) for words in stalls) >= 150


def test_its_memory_outlives_it(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    for boots in (1, 2):
        with start("--memory", str(memory)) as process:
            lines = ready(process)
            with serial.Serial(lines["console"], timeout=0) as console, serial.Serial(lines["io"]) as io:
                before = memory.read_bytes()
                io.write(b"V 12600\n")
                assert read_until(console, b"\n", 3)
                time.sleep(0.6)
            process.terminate()
            process.wait(3)
        assert memory.read_bytes() != before, f"boot {boots} was not counted"


def test_what_cannot_be_opened_is_named() -> None:
    with start("--reader", "/dev/none-such") as process:
        out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (2, "")
    assert "reader: /dev/none-such cannot be opened" in err


def test_a_defect_that_does_not_exist_is_a_usage_error() -> None:
    with start("--defect", "none_such") as process:
        _, err = process.communicate(timeout=5)
    assert process.returncode == 2
    assert "none_such" in err


def options(*words: str) -> EcuOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_of(parser.parse_args(words))


def test_options() -> None:
    assert options() == EcuOptions()
    given = options(
        "--can", "socketcan:vcan0", "--can-option", "fd=false", "--can-option", "n=3", "--seed", "7"
    )
    assert (given.can_interface, given.can_channel, given.seed) == ("socketcan", "vcan0", 7)
    assert given.can_options == {"fd": False, "n": 3}


@pytest.mark.parametrize(
    "words", [("--can", "vcan0"), ("--vin", "short"), ("--can-option", "x"), ("--stall-ms", "0")]
)
def test_wrong_options_say_what_is_right(words: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=words[0]):
        options(*words)
