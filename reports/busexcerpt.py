"""The frames around an instant of a run, decoded by the bus description, one line each; cyclic ones that tell
nothing new are counted on the next line that does, and so are the consecutive frames of one transfer.

Reads a trace; decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

import cantools
from cantools.database.can import Database, Message
from cantools.database.errors import DecodeError

from rig.trace import Trace, number, octets

BEFORE, AFTER = 24, 10
"""Lines before and after the instant. Not a stretch of time: idle cycles may be left out of a run, and a bus may be
full."""
PROTECTION = frozenset({"CRC", "Counter"})
"""Signals that differ in every frame and tell nothing of the car (AUTOSAR E2E profile 1)."""
CONSECUTIVE = "consecutive frame"
FRAMES = {0: "single frame", 1: "first frame", 2: CONSECUTIVE, 3: "flow control"}
"""ISO 15765-2, table 9: the high half of the first byte."""


def bus_excerpt(trace: Trace, dbc_text: str, at_us: int | None) -> str:
    """Decoded frames around an instant.

    Args:
        trace: the run.
        dbc_text: the bus description.
        at_us: the instant, on the trace's clock; None: the run's end.

    Returns:
        Lines of time from the scenario's origin in s, id, sender, name and signals; "" if there were no frames.
    """
    middle = trace.end_us if at_us is None else at_us
    database = _database(dbc_text)
    last: dict[int, dict[str, str]] = {}
    quiet: Counter[str] = Counter()
    lines: list[tuple[int, str]] = []
    transfer = (0, 0)  # whose consecutive frames share a line: its id, and how many there are
    for event in trace.of("can"):
        can_id, data = number(event, 2), octets(event, 3)
        sender = str(event[4]) if len(event) > 4 else ""
        message = _message(database, can_id)
        said = _signals(message, data)
        told = {name: value for name, value in said.items() if last.get(can_id, {}).get(name) != value}
        last[can_id] = said
        name = message.name if message is not None else "not in the bus description"
        if said and not told:
            quiet[name] += 1
            continue
        unchanged = f"   (unchanged before: {_counts(quiet)})" if quiet else ""
        quiet.clear()
        if not said and _kind(data) == CONSECUTIVE:
            if transfer[0] == can_id and not unchanged:
                transfer = (can_id, transfer[1] + 1)
                at, line = lines[-1]
                lines[-1] = (at, f"{line.partition('  ×')[0]}  ×{transfer[1]}")
                continue
            transfer = (can_id, 1)
        else:
            transfer = (0, 0)
        text = ", ".join(f"{n} {v}" for n, v in told.items()) or _raw(data)
        at_s = (event[0] - trace.origin_us) / 1e6
        lines.append((event[0], f"{at_s:11.6f}  {can_id:03X}  {sender:<9} {name:<17} {text}{unchanged}"))
    before = [line for at, line in lines if at <= middle]
    after = [line for at, line in lines if at > middle]
    if not lines:
        return ""
    mark = [] if at_us is None else [f"{(middle - trace.origin_us) / 1e6:11.6f}  ▶ the verdict's instant"]
    out = before[-BEFORE:] + mark + after[:AFTER]
    if len(before) > BEFORE:
        out.insert(0, f"{'':11}  … {len(before) - BEFORE} lines before")
    if len(after) > AFTER:
        out.append(f"{'':11}  … {len(after) - AFTER} lines after")
    elif quiet:
        out.append(f"{'':11}  (then unchanged: {_counts(quiet)})")
    return "\n".join(out)


def _counts(quiet: Counter[str]) -> str:
    return ", ".join(f"{name} ×{times}" for name, times in quiet.items())


@lru_cache(maxsize=2)
def _database(dbc_text: str) -> Database:
    found = cantools.database.load_string(dbc_text, "dbc")
    assert isinstance(found, Database)
    return found


def _message(database: Database, can_id: int) -> Message | None:
    try:
        return database.get_message_by_frame_id(can_id)
    except KeyError:
        return None


def _signals(message: Message | None, data: bytes) -> dict[str, str]:
    """Signals with their units; none of frames that carry a transport protocol's bytes, or that do not decode."""
    if message is None or {s.name for s in message.signals} & {"Frame", "Text"}:
        return {}
    try:
        values = message.decode(data)
    except DecodeError:
        return {}
    assert isinstance(values, Mapping)
    units = {s.name: s.unit or "" for s in message.signals}
    out = {}
    for name, value in values.items():
        if name not in PROTECTION:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            out[name] = f"{shown} {units[name]}".rstrip()
    return out


def _kind(data: bytes) -> str:
    return FRAMES.get(data[0] >> 4, "") if data else ""


def _raw(data: bytes) -> str:
    kind = _kind(data)
    return f"{data.hex(' ')}  {kind}".rstrip()
