"""A trace as a file and back: one event a line, as JSON lists; bytes stand as {"hex": "…"}.

What real lines have shown cannot be had again, so it is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rig.trace import Event, Field, Trace

FORMAT = "unlock-rig/trace/1"


class TraceFileError(ValueError):
    """A file that holds no trace; names the file and why."""


def to_text(trace: Trace) -> str:
    """The trace as text."""
    head = {"format": FORMAT, "fidelity": trace.fidelity, "origin_us": trace.origin_us}
    lines = [head, *([_plain(f) for f in event] for event in trace.events)]
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)


def load(file: Path) -> Trace:
    """Reads a trace.

    Raises:
        TraceFileError: it cannot be read, or is something else.
    """
    try:
        head, *rest = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
        if head["format"] != FORMAT:
            raise ValueError(f'format "{head["format"]}", not "{FORMAT}"')
        events = [_event(line) for line in rest]
        return Trace(events, int(head["origin_us"]), str(head["fidelity"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TraceFileError(f"{file}: holds no trace ({type(error).__name__}: {error})") from None


def _plain(value: Field) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _event(line: list[Any]) -> Event:
    at, kind, *rest = line
    fields: list[Field] = [bytes.fromhex(f["hex"]) if isinstance(f, dict) else f for f in rest]
    return (int(at), str(kind), *fields)
