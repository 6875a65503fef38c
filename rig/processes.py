"""Worker processes that end with the process that started them, however that ends.

Knows nothing of what they work on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def worker_pool(
    jobs: int, start: Callable[..., object] | None = None, args: tuple[object, ...] = ()
) -> ProcessPoolExecutor:
    """A pool of processes, started anew so that they are the same on every system.

    Args:
        jobs: how many.
        start: called in each with `args`, before its first work.
        args: what for.
    """
    return ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (start, args))


def _begin(start: Callable[..., object] | None, args: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_parent, name="ends with its parent", daemon=True).start()
    if start is not None:
        start(*args)


def _end_with_parent() -> None:
    """A worker waits for work for ever, also when who could give it was killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
