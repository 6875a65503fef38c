"""One rig at a time holds a bench: locks on its ports, with owner and heartbeat.

The system frees a lock when its holder dies, however it dies. Knows nothing of what the ports are for.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from hardware.bench import Bench
from hardware.benchfile import BenchError

if sys.platform != "win32":
    import fcntl
else:
    import msvcrt

HEARTBEAT_S = 2.0
ENTRY_BYTES = 2_048
OWNER_CHARACTERS = 200


def lock_folder() -> Path:
    """The user's runtime folder for locks, made if it is not there.

    Raises:
        BenchError: somebody else made it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        folder = Path(runtime) / "unlock-rig"
    else:
        folder = Path(tempfile.gettempdir()) / f"unlock-rig-{getpass.getuser()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform != "win32" and folder.stat().st_uid != os.getuid():
        raise BenchError(
            None, None, f"{folder} belongs to somebody else", "set XDG_RUNTIME_DIR to a folder of yours"
        )
    return folder


@contextlib.contextmanager
def hold_bench(bench: Bench, owner: str = "") -> Iterator[None]:
    """Holds a bench for the length of a `with` block.

    What two rigs can fight over is held: ports and memory files, whichever bench file names them. A bench
    that makes everything afresh (model, pseudo-terminals) can be used by any number of rigs.

    Args:
        bench: which.
        owner: what holds it, for the one who finds it held; the command line if empty.

    Raises:
        BenchError: another rig holds it; says who, since when, and when it last gave a sign of life.
    """
    with contextlib.ExitStack() as held:
        # In one order always: two rigs that want the same two ports must not wait for each other.
        for name in sorted(set(bench.shared)):
            held.enter_context(_hold(bench, name, owner or " ".join(sys.argv)))
        yield


@contextlib.contextmanager
def _hold(bench: Bench, name: str, owner: str) -> Iterator[None]:
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    path = lock_folder() / f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.lock"
    path.touch()
    with path.open("r+b", buffering=0) as file:
        if not _lock(file):
            raise BenchError(
                bench.path, None, f"bench {bench.name}: {name} is held by {_holder(path)}",
                "wait for it to end, or end it",
            )  # fmt: skip
        since = time.time()
        stop = threading.Event()
        entry: dict[str, str | int | float] = {
            "bench": bench.name,
            "port": name,
            "owner": owner[:OWNER_CHARACTERS],
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }

        def beat() -> None:
            _write(file, {**entry, "since": since, "heartbeat": time.time()})

        def live() -> None:
            while not stop.wait(HEARTBEAT_S):
                beat()

        beat()
        heart = threading.Thread(target=live, name=f"heartbeat {name}", daemon=True)
        heart.start()
        try:
            yield
        finally:
            stop.set()
            heart.join()
            # Emptied, not removed: else a second and a third rig could each lock a file of this name.
            _write(file, None)


def _lock(file: FileIO) -> bool:
    try:
        if sys.platform == "win32":
            # Far behind the content, which others must be able to read.
            file.seek(1 << 20)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(file: FileIO, entry: dict[str, str | int | float] | None) -> None:
    # One write of one length: who reads at the same time finds the old entry or the new one, whole.
    text = json.dumps(entry) if entry is not None else ""
    file.seek(0)
    file.write(text.encode().ljust(ENTRY_BYTES))


def _holder(path: Path) -> str:
    """Who holds a lock, as far as its file tells."""
    try:
        entry = json.loads(path.read_text("utf-8"))
        since = time.strftime("%H:%M:%S", time.localtime(entry["since"]))
        ago = time.time() - entry["heartbeat"]
        return f"process {entry['pid']} ({entry['owner']}) since {since}, last sign of life {ago:.0f} s ago"
    except (OSError, ValueError, KeyError, TypeError):
        return "another rig"
