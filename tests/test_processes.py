"""Worker processes end with the process that started them."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STARTS = """
import os, sys
from rig.processes import worker_pool

if __name__ == "__main__":
    with worker_pool(2, os.nice, (0,)) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(50)}, flush=True)
        sys.stdin.read()
"""
ENDS_S = 10.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_workers_of_a_killed_process_end(tmp_path: Path) -> None:
    script = tmp_path / "starts.py"
    script.write_text(STARTS)
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        workers = [int(number) for number in parent.stdout.readline().split()]
        assert workers
        ends = [os.pidfd_open(worker) for worker in workers]
        parent.kill()
    limit = time.monotonic() + ENDS_S
    for end in ends:
        assert select.select([end], [], [], max(0.0, limit - time.monotonic()))[0], "a worker lives on"
        os.close(end)
