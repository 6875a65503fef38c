"""Decoded frames around an instant: what changed, counted silence, transfers on one line."""

from __future__ import annotations

from hardware.dbc import body_dbc_text
from reports.busexcerpt import AFTER, BEFORE, bus_excerpt
from rig.protocol.dbc import load_codecs
from rig.trace import Trace

CODECS = load_codecs(body_dbc_text(), "body.dbc")
STATE = {"CRC": 0, "Counter": 0, "PowerMode": 0, "Crash": 0, "Speed": 0, "Supply_mV": 12_600}


def state(**change: int) -> bytes:
    return CODECS["VehicleState"].encode({**STATE, **change})


def trace(*frames: tuple[int, int, bytes, str]) -> Trace:
    made = Trace()
    made.events.append((0, "origin"))
    made.events += [(at, "can", can_id, data, sender) for at, can_id, data, sender in frames]
    made.events.append((10_000_000, "end"))
    return made


def excerpt(*frames: tuple[int, int, bytes, str], at_us: int | None = None) -> list[str]:
    return bus_excerpt(trace(*frames), body_dbc_text(), at_us).splitlines()


def test_signals_have_names_units_and_no_counters() -> None:
    (line,) = excerpt((1_500_000, 0x1B0, state(Speed=123, Counter=3), "gateway"))
    assert line.startswith("   1.500000  1B0  gateway   VehicleState      PowerMode off, Crash no, Speed 12.3 km/h, ")
    assert line.endswith("Supply_mV 12600 mV")


def test_only_what_changed_is_told_and_the_rest_is_counted() -> None:
    frames = [(100_000 * n, 0x1B0, state(Counter=n), "gateway") for n in range(1, 5)]
    crash = [(n, 0x1B0, state(Counter=5, Crash=1), "gateway") for n in (500_000, 600_000)]
    lines = excerpt(*frames, *crash)
    assert lines[1] == "   0.500000  1B0  gateway   VehicleState      Crash crash   (unchanged before: VehicleState ×3)"
    assert lines[2].strip() == "(then unchanged: VehicleState ×1)"


def test_a_transfer_shares_a_line_until_another_id_comes() -> None:
    frames = [(1000 * n, 0x2B0, bytes((0x20 | n, 1, 2)), "module") for n in range(1, 6)]
    lines = excerpt(*frames, (9000, 0x2B8, bytes((0x30, 0, 0)), "ecu"), (9500, 0x2B0, bytes((0x26, 1)), "module"))
    assert lines[0].endswith("21 01 02  consecutive frame  ×5")
    assert "flow control" in lines[1]
    assert lines[2].endswith("26 01  consecutive frame")
    assert len(lines) == 3


def test_strange_frames_are_shown_raw() -> None:
    lines = excerpt((1000, 0x7FF, b"\xde\xad", "attacker"), (2000, 0x1B0, b"\x01", "gateway"))
    assert "not in the bus description de ad" in lines[0]
    assert lines[1].split()[:5] == ["0.002000", "1B0", "gateway", "VehicleState", "01"]


def test_lines_around_the_instant_are_kept_and_the_others_counted() -> None:
    frames = [(10_000 * n, 0x1B0, state(Speed=n), "gateway") for n in range(200)]
    lines = excerpt(*frames, at_us=1_000_000)
    assert len(lines) == BEFORE + AFTER + 3
    assert lines[0].strip() == f"… {101 - BEFORE} lines before"
    assert lines[BEFORE + 1] == "   1.000000  ▶ the verdict's instant"
    assert "Speed 10 km/h" in lines[BEFORE]
    assert lines[-1].strip() == f"… {99 - AFTER} lines after"


def test_no_frames_no_words() -> None:
    assert excerpt(at_us=5) == []
