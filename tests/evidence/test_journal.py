"""The journal: what was written is read back, whatever breaks in between is named, a torn end is cut off."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reports import journal as journals
from reports.journal import FIRST, Journal, JournalError, Record, Tail, read


def write(file: Path, count: int = 5) -> list[Record]:
    """A journal of some records."""
    with Journal.create(file) as journal:
        bodies = [{"place": i, "text": "ü \" \\ \n", "none": None} for i in range(count)]
        return [journal.append("run", body) for body in bodies]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "journal.jsonl"
    written, tail = write(file), Tail()
    assert list(read(file, tail)) == written
    assert (tail.records, tail.head, tail.torn, tail.size) == (5, written[-1].sum, 0, file.stat().st_size)
    assert written[0].body["text"] == "ü \" \\ \n"
    assert json.loads(file.read_text(encoding="utf-8").splitlines()[0])["prev"] == FIRST


def test_records_at_one_go_are_like_records_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with Journal.create(file) as journal:
        made = journal.extend([("a", {"x": 1}), ("b", {"y": [1, 2]})])
        assert journal.records == 2
        assert journal.head == made[1].sum
    assert [r.kind for r in read(file)] == ["a", "b"]


def test_one_record_is_one_line_whatever_it_says(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with Journal.create(file) as journal:
        for number in range(0x2100):
            if not 0xD800 <= number < 0xE000:
                journal.append("x", {"text": chr(number)}, lasting=False)
    assert file.read_bytes().count(b"\n") == 0x2100 == len(list(read(file)))


def damage(file: Path, how: str) -> None:
    """Changes a journal of five records."""
    lines = file.read_bytes().splitlines(keepends=True)
    match how:
        case "edited":
            lines[2] = lines[2].replace(b'"place":2', b'"place":7')
        case "dropped":
            del lines[2]
        case "first dropped":
            del lines[0]
        case "doubled":
            lines.insert(2, lines[2])
        case "reordered":
            lines[2], lines[3] = lines[3], lines[2]
        case "blank":
            lines.insert(2, b"\n")
        case "no json":
            lines[2] = b"{\n"
        case "no utf-8":
            lines[2] = lines[2].replace(b"place", b"pl\xffce")
        case "a field more":
            lines[2] = lines[2].replace(b'{"n":2', b'{"x":1,"n":2')
    file.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("how", "line"),
    [("edited", 3), ("dropped", 3), ("first dropped", 1), ("doubled", 4), ("reordered", 3), ("blank", 3),
     ("no json", 3), ("no utf-8", 3), ("a field more", 3)],
)  # fmt: skip
def test_the_first_broken_record_is_named(tmp_path: Path, how: str, line: int) -> None:
    file = tmp_path / "journal.jsonl"
    write(file)
    damage(file, how)
    with pytest.raises(JournalError, match=rf"journal\.jsonl, line {line}: "):
        list(read(file))
    with pytest.raises(JournalError, match=rf"line {line}: "):
        Journal.go_on(file)


def test_an_edited_record_with_a_sum_that_fits_breaks_the_chain(tmp_path: Path) -> None:
    """Whoever can compute a SHA-256 can forge one record, but not the ones after it."""
    import hashlib

    file = tmp_path / "journal.jsonl"
    write(file)
    lines = file.read_bytes().splitlines()
    front = lines[2].rpartition(b',"sum":"')[0].replace(b'"place":2', b'"place":7')
    lines[2] = front + b',"sum":"' + hashlib.sha256(front).hexdigest().encode() + b'"}'
    file.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(JournalError, match="line 4: record 3 does not follow the record before"):
        list(read(file))


def test_a_torn_end_is_cut_off_at_every_byte(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    written = write(file, 3)
    whole = file.read_bytes()
    starts = [0, *(i + 1 for i, b in enumerate(whole) if b == ord("\n"))]
    for size in range(0, len(whole), 3):
        file.write_bytes(whole[:size])
        kept = sum(1 for s in starts[1:] if s <= size)
        journal, tail = Journal.go_on(file)
        with journal:
            assert (tail.records, tail.torn) == (kept, size - starts[kept])
            more = journal.append("resume", {}, lasting=False)
        assert list(read(file)) == [*written[:kept], more]


def test_zeros_that_a_power_cut_left_are_a_torn_end(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    write(file, 3)
    with file.open("ab") as more:
        more.write(bytes(4096))
    journal, tail = Journal.go_on(file)
    journal.close()
    assert (tail.records, tail.torn) == (3, 4096)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with Journal.create(file), pytest.raises(JournalError, match="another process"):
        Journal.go_on(file)
    with pytest.raises(JournalError, match="is there already"):
        Journal.create(file)
    journal, _ = Journal.go_on(file)
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.append("x", {})


FILL = """
import resource, sys
from pathlib import Path
from reports.journal import Journal, JournalError
file, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
journal = Journal.create(file)
try:
    for place in range(100_000):
        journal.append("run", {"place": place, "fill": "x" * (place % 97)}, lasting=place % 50 == 0)
except JournalError as error:
    print(journal.records, error)
"""


def fill(file: Path, limit: int) -> str:
    """Writes until it can no more; returns what was said."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", FILL, str(file), str(limit)], capture_output=True, text=True,
                          cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=True)  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("limit", [20_000, 20_001, 20_113])
def test_a_file_that_may_not_grow_leaves_an_intact_journal(tmp_path: Path, limit: int) -> None:
    file = tmp_path / "journal.jsonl"
    count, _, said = fill(file, limit).partition(" ")
    assert "the disk is full" in said
    assert f"whole up to record {int(count) - 1}" in said
    assert "rig resume" in said
    tail = Tail()
    assert len(list(read(file, tail))) == int(count) > 50
    assert tail.torn == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A tmpfs of 256 KiB; skips where none may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=False,
                          capture_output=True, text=True)  # fmt: skip
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {done.stderr.strip()}")
    return disk


def test_a_full_disk_leaves_an_intact_journal_that_goes_on_when_there_is_room(small_disk: Path) -> None:
    try:
        other = small_disk / "other"
        other.write_bytes(bytes(100_000))
        file = small_disk / "journal.jsonl"
        count, _, said = fill(file, 0).partition(" ")
        assert "the disk is full (No space left on device)" in said
        other.unlink()
        journal, tail = Journal.go_on(file)
        with journal:
            assert (tail.records, tail.torn) == (int(count), 0)
            journal.append("resume", {})
        assert len(list(read(file))) == int(count) + 1
    finally:
        subprocess.run(["umount", small_disk], check=False)


def test_a_shell_can_check_a_record(tmp_path: Path) -> None:
    """The commands of docs/evidence.md."""
    record = write(tmp_path / "journal.jsonl", 20)[17]
    script = """line=$(sed -n 18p journal.jsonl)\nprintf %s "${line%,\\"sum\\":*}" | sha256sum"""
    page = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert all(line in page for line in script.splitlines())
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == record.sum


@pytest.mark.parametrize("share", [1, 2, 7])
def test_what_ctrl_c_cuts_off_leaves_a_journal_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    file = tmp_path / "j"

    def interrupted(descriptor: int, block: bytes) -> None:
        os.write(descriptor, block[: len(block) // share])
        raise KeyboardInterrupt

    with Journal.create(file) as journal:
        journal.append("start", {})
        with monkeypatch.context() as patch:
            patch.setattr(journals, "_write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                journal.append("run", {"place": 1})
        journal.append("end", {})
    assert [(r.n, r.kind) for r in read(file)] == [(0, "start"), (1, "end")]


def test_what_the_disk_refused_once_is_told_at_once_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells of a page that it could not write once; that the next sync succeeds means nothing."""
    real, refused = journals._to_disk, threading.Event()

    def refuse_once(descriptor: int) -> None:
        if refused.is_set():
            real(descriptor)
        else:
            refused.set()
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journals, "_to_disk", refuse_once)
    journal = Journal.create(tmp_path / "j")
    with pytest.raises(JournalError, match="Input/output error"):
        journal.append("start", {})
    with pytest.raises(JournalError, match="Input/output error"):
        journal.close()


def test_a_line_that_is_too_long_is_refused_and_never_taken_for_a_torn_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "j"
    with Journal.create(file) as journal:
        for place in range(3):
            journal.append("run", {"fill": "x" * (2000 if place == 1 else 10)})
    before = file.read_bytes()
    monkeypatch.setattr(journals, "LONGEST", 1000)
    with pytest.raises(JournalError, match=r"line 2: is longer than 1,000 bytes"):
        Journal.go_on(file)
    assert file.read_bytes() == before
    with Journal.create(tmp_path / "other") as journal:
        journal.append("start", {})
        with pytest.raises(JournalError, match=r"\(attach\) of 2,\d+ bytes is too long"):
            journal.append("attach", {"fill": "x" * 2000})
        journal.append("end", {})
    assert [r.kind for r in read(tmp_path / "other")] == ["start", "end"]


def test_half_a_surrogate_pair_does_not_end_a_campaign(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with Journal.create(file) as journal:
        journal.append("test", {"reason": "no file 'a\udc80b'"})
    assert [r.body["reason"] for r in read(file)] == ["no file 'a?b'"]
