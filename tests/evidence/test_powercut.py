"""Power cuts at any instant: what the outside was told is finished is there afterwards, and the campaign goes on.

The disk is played: it keeps of a file what was synced, of what was written later as much as it pleases, and of a file
whose folder was not synced nothing at all.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures.campaign import Campaign
from fixtures.failure import RequirementFailed
from reports import journal as journals
from reports.journal import NAME
from reports.results import Results
from rig.judge.verdicts import Outcome
from rig.search.findings import Findings
from tests.evidence.test_break import BATCH, RUNS, SEARCHED, TESTS, briefs, campaign, check, finished, judged
from tests.pluginargs import plugin

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks /proc which file a number stands for")

CUTS = 100


class PowerCut(BaseException):
    """The power is gone; nobody catches this."""


class Disk:
    """What outlives a power cut, and when it comes.

    Attributes:
        left: calls to the system until the cut.
        kept: what of each file is on the disk for certain.
        folders: folders whose list of names is.
    """

    def __init__(self, left: int) -> None:
        self.left = left
        self.kept: dict[Path, bytes] = {}
        self.folders: set[Path] = set()
        self.real = journals._to_disk, journals._write, journals._sync_folder

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCut

    def sync(self, descriptor: int) -> None:
        self._count()
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.kept[file] = file.read_bytes()
        self._count()

    def write(self, descriptor: int, block: bytes) -> None:
        self._count()
        self.real[1](descriptor, block)
        self._count()

    def sync_folder(self, folder: Path) -> None:
        self._count()
        self.folders.add(folder.resolve())
        self._count()

    def cut(self, file: Path, rng: random.Random) -> None:
        """Leaves of a file what a power cut may leave."""
        if not file.exists():
            return
        if file.parent.resolve() not in self.folders:
            file.unlink()
            return
        kept, written = self.kept.get(file.resolve(), b""), file.read_bytes()
        assert written.startswith(kept)
        more = written[len(kept) :]
        some = more[: rng.randrange(len(more) + 1)]
        # A file system may have made the file longer before it wrote what is in it.
        file.write_bytes(kept + rng.choice((b"", some, some + bytes(len(more) - len(some)))))


@contextmanager
def playing(disk: Disk) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "_to_disk", disk.sync)
        patch.setattr(journals, "_write", disk.write)
        patch.setattr(journals, "_sync_folder", disk.sync_folder)
        yield


def play(ours: Campaign, told: set[str]) -> None:
    """The campaign of the test of kills, or what is left of it; `told` is what the outside hears."""
    ours.go_on()
    for place in range(TESTS):
        name = f"test_{place}"
        if name in ours.finished:
            continue
        ours.test = name
        ours.write("begin", {"test": name})
        for result in judged():
            ours.record(result.judgement, result.trace, result.scenario)
        ours.write("test", {"test": name, "outcome": "pass", "reason": "", "seconds": 0.1})
        told.add(name)
    ours.test = ""
    begin = ours.search_begins("default", 1, SEARCHED)
    keep = ours.search_batch("default", 1)
    for first in range(begin, SEARCHED, BATCH):
        part = Findings()
        part.briefs = [(n, briefs()[n % RUNS]) for n in range(first, min(first + BATCH, SEARCHED))]
        keep(part)
        told.add(f"search {part.briefs[-1][0]}")
    ours.write("searched", {"strategy": "default", "seed": 1, "exhausted": False})
    ours.end(False, main=True)


def release(file: Path) -> None:
    """A machine without power holds no files open."""
    for number in list(Path("/proc/self/fd").iterdir()):
        try:
            if number.readlink() == file.resolve():
                os.close(int(number.name))
        except FileNotFoundError:
            continue


def test_power_cuts_at_any_instant_lose_nothing_that_was_told(tmp_path: Path) -> None:
    rng = random.Random(11)
    cuts = campaigns = 0
    lost = 0
    while cuts < CUTS:
        campaigns += 1
        out, told, mine = tmp_path / str(campaigns), set[str](), 0
        out.mkdir()
        while True:
            disk = Disk(rng.randrange(80) if mine < 8 else 1_000_000)
            if (out / NAME).exists():
                disk.folders.add(out.resolve())
                # A torn end is cut off when the journal is gone on with: nobody misses it.
                whole = (out / NAME).read_bytes()
                disk.kept[(out / NAME).resolve()] = whole[: whole.rfind(b"\n") + 1]
            ours = campaign(out)
            try:
                with playing(disk):
                    play(ours, told)
                break
            except PowerCut:
                release(out / NAME)
            cuts += 1
            mine += 1
            before = (out / NAME).stat().st_size if (out / NAME).exists() else 0
            disk.cut(out / NAME, rng)
            after = (out / NAME).stat().st_size if (out / NAME).exists() else 0
            lost += before > after
            assert told <= finished(out), "something that was told to be finished is gone"
        check(out, Results.load(out / "results.json"), mine)
    assert lost > CUTS // 10, "cuts must take something that was written, or this test shows nothing"


def test_a_failure_is_recorded_after_its_files_are_on_the_disk(tmp_path: Path) -> None:
    result = judged()[0]
    verdict = next(v for v in result.judgement.verdicts.values() if v.outcome is Outcome.PASS)
    disk = Disk(1_000_000)
    ours = campaign(tmp_path)
    order: list[str] = []
    real_sync, real_write = disk.sync, disk.write

    def sync(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_sync(descriptor)

    def write(descriptor: int, block: bytes) -> None:
        if b'"kind":"failure"' in block:
            order.append("the record")
        real_write(descriptor, block)

    disk.sync, disk.write = sync, write  # type: ignore[method-assign]
    with playing(disk):
        ours.keep_failure(RequirementFailed(result, verdict, "model"), "test_0", None)
    release(tmp_path / NAME)
    place = order.index("the record")
    assert {f.name for f in (tmp_path / "failures").iterdir()} <= set(order[:place])
    assert order[place + 1 :] == [NAME]


WATCH = '''
import os
from pathlib import Path

from fixtures import plugin
from reports import journal

kept, said = set(), plugin._say
real = journal._to_disk


def to_disk(descriptor):
    real(descriptor)
    file = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    if file.name == journal.NAME:
        kept.update(r.body["test"] for r in journal.read(file) if r.kind == "test")


def say(news):
    if "done" in news:
        news = {**news, "kept": news["done"] in kept}
    said(news)


journal._to_disk, plugin._say = to_disk, say
'''
SUITE = '''
import pytest

@pytest.mark.no_requirement("shows progress")
@pytest.mark.parametrize("place", range(5))
def test_something(place):
    if place == 3:
        pytest.skip("no")
    assert place != 4
'''


def test_progress_tells_of_a_test_when_its_record_is_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "watch.py").write_text(WATCH, encoding="utf-8")
    (tmp_path / "test_some.py").write_text(SUITE, encoding="utf-8")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "test_some.py", "-c", os.devnull, f"--rootdir={tmp_path}", "-q", *plugin(),
         "-p", "watch", "-p", "no:cacheprovider", "--rig-progress", "--bench=model",
         f"--rig-out={tmp_path / 'out'}"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"},
    )  # fmt: skip
    told: list[dict[str, Any]] = [
        json.loads(line.partition("\x1e")[2]) for line in done.stdout.split("\n") if "\x1e" in line
    ]
    ends = [news for news in told if "done" in news]
    assert [(news["outcome"], news["kept"]) for news in ends] == [
        ("passed", True), ("passed", True), ("passed", True), ("skipped", True), ("failed", True),
    ], done.stdout + done.stderr  # fmt: skip
