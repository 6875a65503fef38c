"""The journal: an append-only file of records, one a line, each chained to the one before by its SHA-256.

Written while a campaign runs, so that a kill, a power cut or a full disk loses nothing that was finished. Knows
nothing of what the records say (`reports.records` does).

A line is `{"n":17,"at":"…Z","kind":"run","body":{…},"prev":"…","sum":"…"}`, without blanks, in this order: number
from 0; time in UTC; what it is; what it says; the sum of the record before (64 zeros before the first); and the SHA-256
of all bytes of the line before `,"sum":`. So the last sum stands for the whole file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

try:
    import fcntl
except ImportError:  # Windows has no such lock; there two writers are not kept apart
    fcntl = None  # type: ignore[assignment]

NAME = "journal.jsonl"
FIRST = "0" * 64
"""What stands in place of a sum before the first record."""
LONGEST = 64 << 20
"""Bytes of a line; more is no journal."""
_SUM = b',"sum":"'
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class JournalError(ValueError):
    """A journal that is broken, in use, or cannot be written; names file, line and mend."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line.

    Attributes:
        n: its number, from 0.
        at: when it was written, ISO 8601 in UTC, to the ms.
        kind: what it is.
        body: what it says.
        sum: SHA-256 of the chain up to here, in hex.
    """

    n: int
    at: str
    kind: str
    body: dict[str, Any]
    sum: str


@dataclass(slots=True)
class Tail:
    """How a journal ends.

    Attributes:
        records: whole records.
        head: the sum of the last one.
        at: its time; "" if there is none.
        size: bytes up to its end.
        torn: bytes after it: a record that was only half written when the writer died.
    """

    records: int = 0
    head: str = FIRST
    at: str = ""
    size: int = 0
    torn: int = 0


def canonical(value: Any) -> str:
    """JSON without blanks, keys as they come, texts as they are: equal values in equal order give equal text."""
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def read(file: Path, tail: Tail | None = None) -> Iterator[Record]:
    """The records of a journal, each verified against the one before.

    Args:
        file: the journal.
        tail: filled while reading; tells of a torn end.

    Raises:
        JournalError: it cannot be read, or a record is broken; names the first one that is.
    """
    tail = Tail() if tail is None else tail
    try:
        with file.open("rb") as lines:
            yield from _records(file, lines, tail)
    except OSError as error:
        raise JournalError(f"{file}: cannot be read ({error.strerror})") from None


def _records(file: Path, lines: BinaryIO, tail: Tail) -> Iterator[Record]:
    while line := lines.readline(LONGEST):
        if len(line) == LONGEST and not line.endswith(b"\n"):
            # Not torn: nobody writes so much in a line, so what follows must not be cut off with it.
            raise JournalError(
                f"{file}, line {tail.records + 1}: is longer than {LONGEST:,} bytes, as no record is; it was changed"
                " after it was written"
            )
        if not line.endswith(b"\n"):
            # Nobody ends a line that is not whole; what follows the last end of a line was cut off in writing.
            rest = len(line) + sum(len(more) for more in iter(lambda: lines.read(1 << 20), b""))
            tail.torn = rest
            return
        record = _record(file, tail, line[:-1])
        tail.records, tail.head, tail.at = record.n + 1, record.sum, record.at
        tail.size += len(line)
        yield record


def _record(file: Path, tail: Tail, line: bytes) -> Record:
    place = f"{file}, line {tail.records + 1}"
    cut = line.rfind(_SUM)
    try:
        raw = json.loads(line)
        record = Record(raw["n"], raw["at"], raw["kind"], raw["body"], raw["sum"])
        prev = raw["prev"]
        if list(raw) != ["n", "at", "kind", "body", "prev", "sum"] or not isinstance(record.body, dict):
            raise ValueError("its fields are not n, at, kind, body, prev, sum")
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{place}: is no record ({error}); it was changed after it was written") from None
    if cut < 0 or hashlib.sha256(line[:cut]).hexdigest() != record.sum:
        raise JournalError(f"{place}: record {record.n} does not fit its sum: it was changed after it was written")
    if record.n != tail.records:
        raise JournalError(
            f"{place}: record {record.n} stands where record {tail.records} should be: records were dropped, added or"
            " put in another order"
        )
    if prev != tail.head:
        raise JournalError(
            f"{place}: record {record.n} does not follow the record before it: that one was changed or exchanged"
        )
    return record


class Journal:
    """Writes a journal; use as a context manager, or close it.

    A record is handed to the operating system whole before `append` returns, so that nothing is lost with the process.
    A `lasting` one is on the disk before `append` returns, so that nothing is lost with the power either: whoever says
    that something is finished says so afterwards.
    """

    def __init__(self, file: Path, descriptor: int, tail: Tail) -> None:
        self.file = file
        self._fd = descriptor
        self._tail = tail
        self._failed: OSError | None = None
        self.closed = False

    @classmethod
    def create(cls, file: Path) -> Self:
        """Begins a journal.

        Raises:
            JournalError: there is one, or it cannot be made.
        """
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            raise JournalError(
                f"{file}: is there already; `rig resume {file.parent}` goes on with it, or name another folder"
            ) from None
        except OSError as error:
            raise JournalError(f"{file}: cannot be made ({error.strerror}); name another folder") from None
        _hold(file, fd)
        _sync_folder(file.parent)
        return cls(file, fd, Tail())

    @classmethod
    def go_on(cls, file: Path, look: Callable[[Record], None] = lambda _record: None) -> tuple[Self, Tail]:
        """Goes on with a journal: verifies it, cuts off a torn end, and shows every record to `look`.

        Returns:
            the journal, and how it ended.

        Raises:
            JournalError: it is broken, or somebody else is writing it.
        """
        try:
            fd = os.open(file, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise JournalError(f"{file}: cannot be gone on with ({error.strerror})") from None
        try:
            _hold(file, fd)
            tail = Tail()
            for record in read(file, tail):
                look(record)
            os.ftruncate(fd, tail.size)
        except OSError as error:
            os.close(fd)
            raise JournalError(f"{file}: its torn end cannot be cut off ({error.strerror})") from None
        except BaseException:
            os.close(fd)
            raise
        was = Tail(tail.records, tail.head, tail.at, tail.size, tail.torn)
        return cls(file, fd, tail), was

    @property
    def head(self) -> str:
        """The sum of the last record."""
        return self._tail.head

    @property
    def records(self) -> int:
        """How many there are."""
        return self._tail.records

    def append(self, kind: str, body: Mapping[str, Any], *, lasting: bool = True) -> Record:
        """Writes one record.

        Raises:
            JournalError: it cannot be written; the journal then ends with the record before, whole.
        """
        made = self.extend([(kind, body)])
        if lasting:
            self.sync()
        return made[0]

    def extend(self, several: list[tuple[str, Mapping[str, Any]]]) -> list[Record]:
        """Writes some records at one go.

        Raises:
            JournalError: they cannot be written; the journal then ends with the record before them, whole.
        """
        if self.closed:
            raise JournalError(f"{self.file}: is closed")
        at, n, prev = now(), self._tail.records, self._tail.head
        made, lines = [], []
        for kind, body in several:
            plain = dict(body)
            front = f'{{"n":{n},"at":"{at}","kind":"{kind}","body":{canonical(plain)},"prev":"{prev}"'
            # Half a surrogate pair, as names of files may have it, is no text; it must not end the campaign.
            line = front.encode(errors="replace")
            prev = hashlib.sha256(line).hexdigest()
            lines.append(line + _SUM + prev.encode() + b'"}\n')
            if len(lines[-1]) >= LONGEST:
                raise JournalError(
                    f"{self.file}: a record ({kind}) of {len(lines[-1]):,} bytes is too long (at most {LONGEST:,});"
                    f" {self._whole()}. Keep what it says in a file of its own"
                )
            made.append(Record(n, at, kind, plain, prev))
            n += 1
        block = b"".join(lines)
        try:
            _write(self._fd, block)
            # One assignment: Ctrl-C comes before it or after it, never with half of it done.
            self._tail = Tail(n, prev, at, self._tail.size + len(block))
        except OSError as error:
            self._cut_back()
            raise self._cannot(error) from None
        except BaseException:
            self._cut_back()
            raise
        return made

    def _cut_back(self) -> None:
        """What was written of records that do not count must not stay, or nothing could follow it.

        Raises:
            JournalError: it stays; the journal is then closed, and whoever goes on with it cuts it off.
        """
        try:
            os.ftruncate(self._fd, self._tail.size)
        except OSError as error:
            with contextlib.suppress(JournalError):
                self.close()
            raise self._cannot(error) from None

    def sync(self) -> None:
        """What was written so far outlives a power cut. May be called from another thread than the one that writes.

        Raises:
            JournalError: the disk says no, or has said so before.
        """
        if self._failed is None:
            try:
                _to_disk(self._fd)
            except OSError as error:
                # The system tells of a page that it could not write once; that the next sync succeeds means nothing.
                self._failed = error
        if self._failed is not None:
            raise self._cannot(self._failed)

    def _whole(self) -> str:
        return f"the journal is whole up to record {self._tail.records - 1}"

    def _cannot(self, error: OSError) -> JournalError:
        told = self._whole()
        if error.errno in _FULL:
            return JournalError(
                f"{self.file}: the disk is full ({error.strerror}); {told}. Make room, then"
                f" `rig resume {self.file.parent}` goes on from there"
            )
        return JournalError(f"{self.file}: cannot be written ({error.strerror}); {told}")

    def close(self) -> None:
        """Ends writing, with everything on the disk; the file can then be gone on with.

        Raises:
            JournalError: the disk says no.
        """
        if self.closed:
            return
        self.closed = True
        try:
            self.sync()
        finally:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _to_disk(fd: int) -> None:
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)


def keep_file(file: Path) -> None:
    """A file that was written, and its name, outlive a power cut.

    Raises:
        OSError: the disk says no.
    """
    fd = os.open(file, os.O_RDWR)
    try:
        _to_disk(fd)
    finally:
        os.close(fd)
    _sync_folder(file.parent)


def _write(fd: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(fd, view) :]


def _hold(file: Path, fd: int) -> None:
    """One writer at a time; the lock goes with its holder."""
    if fcntl is None:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise JournalError(f"{file}: another process is writing it; wait for it, or end it") from None


def in_use(file: Path) -> bool:
    """Whether some process is writing a journal just now; where there are no such locks, it is never known."""
    if fcntl is None:
        return False
    try:
        fd = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _sync_folder(folder: Path) -> None:
    """A new file's name outlives a power cut only if its folder was written too."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
