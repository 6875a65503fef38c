"""Whether a folder may take a new campaign: what lies in it already, and what would be lost.

A campaign that came to its end may be replaced, as a compiler replaces what it made. What nobody can make again without
its owner's time must not go without a word: signed evidence, and a campaign that broke off and can be gone on with.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from reports.journal import NAME, JournalError, Tail, in_use, read
from reports.results import FILE
from reports.signing.manifest import SIGNATURES


def occupied(folder: Path, *, overwrite: bool = False, mend: str = "") -> str:
    """Why a new campaign may not begin in a folder, with the mend; "" if it may.

    Args:
        folder: it need not exist.
        mend: what can be done about a campaign that broke off; "": as the commands of the rig have it.
        overwrite: somebody said that a campaign that broke off may go. Signed evidence stays all the same.
    """
    if (folder / SIGNATURES).exists():
        return f"{folder}: holds signed evidence, which is not written over; name another folder"
    journals = sorted(folder.glob("journal*.jsonl"))
    for journal in journals:
        if in_use(journal):
            return f"{folder}: another process is writing {journal.name}; wait for it, or name another folder"
    if overwrite or not journals:
        return ""
    where = _broken_off(folder)
    if not where:
        return ""
    mend = mend or (
        f"`rig resume {shlex.quote(str(folder))}` goes on with it; --out names another folder; --overwrite deletes it"
    )
    return f"{folder}: holds a campaign that {where}; it is not written over. {mend}"


def _broken_off(folder: Path) -> str:
    """How a campaign stopped; "" if it came to its end, or if nothing of it was finished."""
    file, tail = folder / NAME, Tail()
    if not file.exists():
        return "broke off: its workers' journals are there, and none of the whole"
    ended = False
    last = ""
    try:
        for record in read(file, tail):
            if record.kind in ("end", "resume"):
                ended = record.kind == "end" and not record.body["interrupted"]
            last = record.kind
    except (JournalError, KeyError) as error:
        return f"has a journal that is damaged ({error})"
    if not tail.records:
        return ""
    if ended:
        return "" if (folder / FILE).exists() else f"ended at {tail.at}, and was stopped before its results were made"
    return f"broke off at {tail.at} (record {tail.records - 1}, {last})"
