"""Correct ECUs that take other legal choices: the suite must pass on each, or it raises false alarms.

Every figure lies within what the requirements allow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from hardware.ecu.access import Access, Link
from hardware.ecu.build import Build, variant
from hardware.ecu.cardreader import CardReader, Then
from hardware.ecu.core import Core, Parts
from hardware.ecu.cpu import Cpu
from hardware.ecu.locks import Door, Locks
from hardware.ecu.relock import Relock
from hardware.ecu.report import Report
from hardware.ecu.status import Status


class Poll50(CardReader):
    """Looks for a card 20 times a second."""

    POLL_US = 50_000


class Poll120(CardReader):
    """Five polls of an empty field span 480 ms: a little less must count as half a second."""

    POLL_US = 120_000
    TAP_TOLERANCE_US = 40_000


class Poll300(CardReader):
    """The longest legal poll: half a second without a card may hold but one poll of an empty field."""

    POLL_US = 300_000
    TAP_TOLERANCE_US = 220_000


class ReaderNotRepeated(CardReader):
    """Sets the reader up again at once instead of repeating a command that it did not acknowledge."""

    def command(self, code: int, parameters: bytes, limit_us: int, then: Then) -> None:
        super().command(code, parameters, limit_us, then)
        self._repeated = True


class Status93(Status):
    """LockStatus every 93 ms; 90 to 110 are legal, and other work may delay a frame by 2 ms."""

    CYCLE_US = 93_000


class Status107(Status):
    """LockStatus every 107 ms."""

    CYCLE_US = 107_000


class ExtraAtOnce(Status):
    """An extra LockStatus for every change."""

    GATHER_US = 0


class ExtraLate(Status):
    """The extra LockStatus 17 ms after a change; 20 are legal."""

    GATHER_US = 17_000


class SlowCrypto(Cpu):
    """3 ms for a signature."""

    SIGNATURE_US = 3000


class LateAnswers(Access):
    """Answers come later; what they answer does not."""

    LATER_US = 100_000

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._waiting: deque[tuple[int, Link, bytes]] = deque()
        self._timer = core.timers.timer(self._due)

    def _send(self, link: Link, message: bytes) -> None:
        self._waiting.append((self.core.cpu.now + self.LATER_US, link, message))
        if len(self._waiting) == 1:
            self.core.timers.set(self._timer, self._waiting[0][0])

    def _due(self) -> None:
        _, link, message = self._waiting.popleft()
        super()._send(link, message)
        if self._waiting:
            self.core.timers.set(self._timer, self._waiting[0][0])


class LaterAnswers(LateAnswers):
    """300 ms."""

    LATER_US = 300_000


class AnswerAfterReport(LateAnswers):
    """12 ms: the status push, 5 ms after the last change, goes first."""

    LATER_US = 12_000


class LateReport(Report):
    """Gathers what changes within 80 ms into one push and report."""

    GATHER_US = 80_000


class AnswerCounterGaps(Access):
    """Numbers its sealed answers with gaps; they need only rise."""

    ANSWER_STEP = 17


class ShortPulse(Locks):
    """152 ms: just above what a latch needs."""

    PULSE_US = 152_000


class LongPulse(Locks):
    """200 ms."""

    PULSE_US = 200_000


class LaterRetry(Locks):
    """Drives a latch again after 65 instead of 50 ms."""

    CHECK_US = 65_000


class Staggered(Locks):
    """One motor after the other, so that their inrush currents do not add up."""

    STAGGER_US = 40_000

    def turn(self, door: Door) -> int:
        """When in the row a door is."""
        return door.index

    def _pulse(self, door: Door) -> None:
        if door.pulses == 0 and not self._waited(door):
            # `settling` keeps the door's timer its own until its turn has come.
            door.settling = True
            core = self.core
            core.timers.set(door.timer, core.cpu.now + self.turn(door) * self.STAGGER_US)
            self._turns.add(door.index)
            return
        super()._pulse(door)

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._turns: set[int] = set()

    def _waited(self, door: Door) -> bool:
        if door.index in self._turns:
            self._turns.discard(door.index)
            return True
        return self.turn(door) == 0


class RearFirst(Staggered):
    """From the rear to the front."""

    def turn(self, door: Door) -> int:
        return len(self.doors) - 1 - door.index


class EarlyRelock(Relock):
    """29.3 s; 29 to 31 are legal."""

    RELOCK_US = 29_300_000


class LateRelock(Relock):
    """30.7 s."""

    RELOCK_US = 30_700_000


def _some(parts: Parts) -> Parts:
    return replace(
        parts,
        boot_us=950_000,
        cpu=SlowCrypto,
        reader=Poll120,
        status=ExtraLate,
        access=LateAnswers,
        report=LateReport,
        locks=RearFirst,
        relock=EarlyRelock,
    )


def _others(parts: Parts) -> Parts:
    return replace(
        parts,
        boot_us=50_000,
        reader=Poll300,
        status=ExtraAtOnce,
        access=AnswerAfterReport,
        locks=LongPulse,
        relock=LateRelock,
    )


_PartsOf = Callable[[Parts], Parts]
_ALL: tuple[tuple[str, str, _PartsOf], ...] = (
    ("poll_50ms", "looks for a card every 50 ms", lambda p: replace(p, reader=Poll50)),
    ("poll_120ms", "looks for a card every 120 ms", lambda p: replace(p, reader=Poll120)),
    ("poll_300ms", "looks for a card every 300 ms", lambda p: replace(p, reader=Poll300)),
    (
        "reader_not_repeated",
        "sets a reader that does not acknowledge up again without repeating the command",
        lambda p: replace(p, reader=ReaderNotRepeated),
    ),
    ("boot_50ms", "is ready 50 ms after power-up", lambda p: replace(p, boot_us=50_000)),
    ("boot_950ms", "is ready 950 ms after power-up", lambda p: replace(p, boot_us=950_000)),
    (
        "status_93ms",
        "sends LockStatus every 93 ms",
        lambda p: replace(p, status=Status93, idle_skip=False),
    ),
    (
        "status_107ms",
        "sends LockStatus every 107 ms",
        lambda p: replace(p, status=Status107, idle_skip=False),
    ),
    ("extra_at_once", "sends the extra LockStatus at once", lambda p: replace(p, status=ExtraAtOnce)),
    ("extra_after_17ms", "sends the extra LockStatus after 17 ms", lambda p: replace(p, status=ExtraLate)),
    ("crypto_3ms", "needs 3 ms for a signature", lambda p: replace(p, cpu=SlowCrypto)),
    ("answers_100ms_later", "answers 100 ms later", lambda p: replace(p, access=LateAnswers)),
    ("answers_300ms_later", "answers 300 ms later", lambda p: replace(p, access=LaterAnswers)),
    (
        "report_first",
        "sends the status push before the answer",
        lambda p: replace(p, access=AnswerAfterReport),
    ),
    (
        "report_80ms_later",
        "pushes and reports 80 ms after a movement",
        lambda p: replace(p, report=LateReport),
    ),
    ("answer_counter_gaps", "numbers its answers with gaps", lambda p: replace(p, access=AnswerCounterGaps)),
    ("pulse_152ms", "drives motors for 152 ms", lambda p: replace(p, locks=ShortPulse)),
    ("pulse_200ms", "drives motors for 200 ms", lambda p: replace(p, locks=LongPulse)),
    ("retry_65ms", "drives a stuck latch again after 65 ms", lambda p: replace(p, locks=LaterRetry)),
    ("staggered", "starts the four motors 40 ms apart", lambda p: replace(p, locks=Staggered)),
    ("rear_first", "starts the four motors 40 ms apart, rear first", lambda p: replace(p, locks=RearFirst)),
    ("relock_29_3s", "locks again after 29.3 s", lambda p: replace(p, relock=EarlyRelock)),
    ("relock_30_7s", "locks again after 30.7 s", lambda p: replace(p, relock=LateRelock)),
    (
        "slow_mixture",
        "boots in 950 ms, polls every 120 ms, is slow at crypto, answers, reports and motors, relocks early",
        _some,
    ),
    (
        "quick_mixture",
        "boots in 50 ms, polls every 300 ms, tells changes at once, pushes first, pulses long, relocks late",
        _others,
    ),
)
VARIANTS: Mapping[str, Build] = {name: variant(name, text, build) for name, text, build in _ALL}
