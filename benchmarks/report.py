"""How long a report takes, and how much memory: results to HTML and PDF, each size in a process of its own.

    python benchmarks/report.py            # 1,000, 10,000 and 100,000 results
    python benchmarks/report.py --check    # exit 1 above 4 s for 1,000, or 20 s or 1 GiB for 10,000

The evidence is made up (tests/reports/madeup.py): as many tests as judged runs, with something in every section.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reports.content.evidence import Evidence  # run as a script from anywhere
from reports.report import write_html, write_pdf
from tests.reports.madeup import write_folder

SIZES = (1_000, 10_000, 100_000)
LIMITS = {1_000: (4.0, 1024.0), 10_000: (20.0, 1024.0)}
"""Seconds and MiB."""


def one(folder: Path) -> dict[str, float]:
    """Reads a folder and writes both; seconds of each, and the process's largest memory in MiB."""
    marks = [time.perf_counter()]
    evidence = Evidence.read(folder)
    marks.append(time.perf_counter())
    html = write_html(evidence)
    marks.append(time.perf_counter())
    pdf = write_pdf(evidence)
    marks.append(time.perf_counter())
    return {
        "read": marks[1] - marks[0],
        "html": marks[2] - marks[1],
        "pdf": marks[3] - marks[2],
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "html_mb": html.stat().st_size / 1e6,
        "pdf_mb": pdf.stat().st_size / 1e6,
    }


def main() -> int:
    """Prints a table; with --check compares with the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 above a limit")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        print(json.dumps(one(options.folder)))
        return 0
    slow = False
    print("results     whole     read     HTML      PDF    memory     HTML      PDF")
    for size in SIZES[:2] if options.check else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), tests=size, runs=size)
            began = time.perf_counter()
            run = subprocess.run(
                [sys.executable, __file__, "--folder", folder], capture_output=True, text=True, check=True
            )
            whole = time.perf_counter() - began
        m = json.loads(run.stdout)
        print(
            f"{size:>7,} {whole:>7.2f} s {m['read']:>6.2f} s {m['html']:>6.2f} s {m['pdf']:>6.2f} s "
            f"{m['mib']:>5.0f} MiB {m['html_mb']:>5.1f} MB {m['pdf_mb']:>5.1f} MB"
        )
        limit_s, limit_mib = LIMITS.get(size, (float("inf"), float("inf")))
        slow |= whole > limit_s or m["mib"] > limit_mib
    return int(options.check and slow)


if __name__ == "__main__":
    sys.exit(main())
