"""What the journal costs: a share of a run, and the time and memory to make results of very many.

    python benchmarks/journal.py                 the share; and what it takes to have the end of a test on the disk
    python benchmarks/journal.py --runs 100000   writes so many records, then makes results.json of them
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fixtures.campaign import Campaign
from hardware.bench import load_bench
from hardware.vehicle import emulated_model
from reports.build import write_results
from rig.brief import brief
from rig.faults import CATALOGUE
from rig.model import Result
from rig.search.findings import Findings
from rig.search.strategies import STRATEGIES, Maker
from rig.search.swarm import Worker, batches

SCENARIOS = 200
TESTS = 500
BATCH = 128


def campaign(out: Path) -> Campaign:
    """A campaign that writes."""
    return Campaign("model", None, 1, out, frozenset(), keep=True, described=load_bench("model"))


def runs() -> tuple[list[Result], float]:
    """Scenarios of the default strategy, judged; and the seconds of the processor that took."""
    model = emulated_model()
    maker = Maker(STRATEGIES["default"], 1, Worker(model, emulated_model()).anchors)
    scenarios = [maker.make(b.first + i, row) for b in batches("default", 1, SCENARIOS) for i, row in enumerate(b.rows)]
    model.judge(scenarios[0])
    began = time.process_time()
    found = [model.judge(s) for s in scenarios]
    return found, time.process_time() - began


def share(out: Path) -> None:
    """What recording a run takes of what running and judging it takes."""
    found, judging = runs()
    ours = campaign(out)
    ours.begin()
    began = time.process_time()
    for result in found:
        ours.record(result.judgement, result.trace, result.scenario)
    recording = time.process_time() - began
    print(
        f"run and judge {judging / SCENARIOS * 1e3:.2f} ms, record {recording / SCENARIOS * 1e3:.2f} ms:"
        f" {recording / (judging + recording):.1%}"
    )


def durable(out: Path) -> None:
    """Seconds on the clock, not of the processor: who waits for a disk computes nothing."""
    ours = campaign(out)
    ours.begin()
    took = []
    for number in range(TESTS):
        began = time.perf_counter()
        ours.write("test", {"test": f"t{number}", "outcome": "pass", "reason": "", "seconds": 0.1})
        took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    print(
        f"the end of a test on the disk of {out}: median {took[TESTS // 2]:.2f} ms, mean {sum(took) / TESTS:.2f} ms,"
        f" p99 {took[TESTS * 99 // 100]:.2f} ms"
    )


def many(out: Path, number: int) -> None:
    """Records with random times and modes, written and summed up."""
    rng, names = random.Random(1), list(CATALOGUE)
    result = runs()[0][0]
    short = brief(result.scenario, result.trace, result.judgement)
    ours = campaign(out)
    ours.search_begins("default", 1, number)
    keep = ours.search_batch("default", 1)
    began = time.process_time()
    for first in range(0, number, BATCH):
        part = Findings()
        for i in range(first, min(first + BATCH, number)):
            one = {**short, "scenario": f"{rng.getrandbits(256):064x}", "trace": f"{rng.getrandbits(256):064x}"}
            one["faults"] = [[rng.choice(names), rng.randrange(10**7), None] for _ in range(rng.randrange(4))]
            part.briefs.append((i, one))
        keep(part)
    size = ours.file.stat().st_size
    print(f"{number:,} records of {size / number:.0f} bytes written in {time.process_time() - began:.1f} s")
    began = time.process_time()
    results = write_results(out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"results of {results.runs:,} runs in {time.process_time() - began:.1f} s, at most {peak:.0f} MiB")


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.runs:
            many(Path(folder), options.runs)
        else:
            share(Path(folder) / "share")
            durable(Path(folder) / "durable")


if __name__ == "__main__":
    main()
