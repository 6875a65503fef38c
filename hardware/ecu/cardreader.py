"""The host of a PN532 on the serial line: link, set-up, polling, and what counts as a tap.

Knows nothing of what a card proves; `hardware.ecu.cardauth` talks to it through here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from rig.protocol import pn532
from rig.protocol.keycard import Refusal

if TYPE_CHECKING:
    from hardware.ecu.core import Core

POLL_US = 250_000
"""On a fixed grid from ready; the polls may be 300 ms apart (vehicle.md section 3)."""
ACK_US = 20_000
"""Beyond the time that the frame itself takes; a PN532 acknowledges within 15 ms (UM0701-02, 6.2.2)."""
BYTE_US = 87
"""10 bits at 115200 baud."""
LIST_US = 100_000
EXCHANGE_US = 500_000
TAP_AWAY_US = 500_000
TAP_TOLERANCE_US = 20_000
MAX_TARGETS = 2
POLL_MARGIN_US = 10_000
"""By how much one poll of an empty field may take longer than the one before."""

SETUP: tuple[tuple[int, bytes], ...] = (
    (pn532.SAM_CONFIGURATION, b"\x01\x14\x01"),  # normal mode
    (pn532.GET_FIRMWARE_VERSION, b""),
    # Item 5: MxRtyPassiveActivation 1, so that an empty field is told within some 20 ms.
    (pn532.RF_CONFIGURATION, b"\x05\xff\x01\x01"),
    # Item 2: 410 ms for an answer, since 200 ms of card time are healthy (UM0701-02, 7.3.1).
    (pn532.RF_CONFIGURATION, b"\x02\x00\x0b\x0d"),
)

Then = Callable[[bytes | None], None]


@lru_cache(maxsize=64)
def _frame(code: int, parameters: bytes) -> bytes:
    """The polls repeat themselves."""
    return pn532.frame(pn532.HOST_TO_READER, bytes((code,)) + parameters)


class CardReader:
    """One command at a time; a reader that fails is set up again on the next slot of the grid.

    Attributes:
        POLL_US: the grid of the polls.
        TAP_TOLERANCE_US: by how much the polls of an empty field may span less than the half second without a card.
        working: set up, and answering so far.
    """

    POLL_US = POLL_US
    TAP_TOLERANCE_US = TAP_TOLERANCE_US

    def __init__(self, core: Core) -> None:
        self.core = core
        self.working = False
        self._decoder = pn532.Decoder()
        self._poll = core.timers.timer(self._slot, self.POLL_US)
        self._timer = core.timers.timer(self._timeout)
        self._then: Then | None = None
        self._frame = b""
        self._code = 0
        self._limit_us = 0
        self._acked = False
        self._repeated = False
        self._setup_step = 0
        self._mute_told = False
        self._polled_us = 0
        self._rested_us = 0
        # Since when polls found the field empty; None: a card rests in it, or it was never seen empty.
        self._empty_since_us: int | None = None
        self._ever_polled = False

    def ready(self) -> None:
        """Begins at once, and then on the grid."""
        self.core.timers.set(self._poll, self.core.cpu.now)

    @property
    def exchanging(self) -> bool:
        """A command is under way."""
        return self._then is not None

    @property
    def idle(self) -> bool:
        """Nothing is under way, and further polls of an empty field change nothing."""
        return self._then is None and self.working and self._empty_since_us is not None

    def idle_at(self, us: int) -> bool:
        """Whether no poll will be under way at an instant, if the field stays empty."""
        due_us = self._poll.at
        if due_us is None:
            return False
        took_us = self._rested_us - (due_us - self.POLL_US)
        since_us = (us - due_us) % self.POLL_US
        return not 0 < since_us < took_us + POLL_MARGIN_US

    def command(self, code: int, parameters: bytes, limit_us: int, then: Then) -> None:
        """Sends a command; `then` gets what follows the response code, or None if the reader failed."""
        self._code, self._then, self._limit_us = code, then, limit_us
        self._acked = self._repeated = False
        self._frame = _frame(code, parameters)
        self._write(self._frame)

    def received(self, data: bytes) -> None:
        """Bytes came from the reader."""
        for event in self._decoder.feed(data):
            if self._then is None:
                continue  # Nothing was asked.
            if isinstance(event, pn532.Ack):
                if not self._acked:
                    self._acked = True
                    self.core.timers.set(self._timer, self.core.cpu.now + self._limit_us)
            elif isinstance(event, pn532.Frame):
                payload = event.payload
                if self._acked and event.tfi == pn532.READER_TO_HOST and payload[0] == self._code + 1:
                    self._finish(payload[1:])
            elif isinstance(event, pn532.Nack | pn532.ErrorFrame):
                # A PN532 never sends NACK, and no command here is one that it does not know.
                self._fail()

    # Link

    def _write(self, data: bytes) -> None:
        self.core.cpu.emit(("uart", data))
        self.core.timers.set(self._timer, self.core.cpu.now + ACK_US + len(data) * BYTE_US)

    def _finish(self, payload: bytes | None) -> None:
        then, self._then = self._then, None
        self._rested_us = self.core.cpu.now
        self.core.timers.cancel(self._timer)
        assert then is not None
        then(payload)

    def _timeout(self) -> None:
        self._decoder.reset()
        if not self._acked and not self._repeated:
            # It may have dozed off, or the line lost a byte.
            self._repeated = True
            self._write(pn532.WAKE_UP + self._frame)
        else:
            self._fail()

    def _fail(self) -> None:
        self._decoder.reset()
        self.working = False
        if not self._mute_told:
            self._mute_told = True
            self.core.log("reader fault")
        if self._acked:
            # An ACK from the host makes a PN532 give up what it is at (UM0701-02, 6.2.1.3).
            self.core.cpu.emit(("uart", pn532.ACK))
        self._finish(None)

    # Set-up

    def _set_up(self) -> None:
        self._setup_step = 0
        code, parameters = SETUP[0]
        self.command(code, parameters, LIST_US, self._set_up_next)
        self._repeated = True  # Woken already; the next slot tries again.

    def _set_up_next(self, payload: bytes | None) -> None:
        if payload is None:
            return
        self._setup_step += 1
        if self._setup_step < len(SETUP):
            code, parameters = SETUP[self._setup_step]
            self.command(code, parameters, LIST_US, self._set_up_next)
            return
        self.working = True
        self._mute_told = False
        self.core.log("reader ready")
        self._list()

    # Polling

    def _slot(self) -> None:
        core = self.core
        core.timers.again(self._poll, core.cpu.now)
        if self._then is not None or core.card_auth.active:
            return
        if self.working:
            self._list()
        else:
            core.cpu.emit(("uart", pn532.WAKE_UP))
            self._set_up()

    def _list(self) -> None:
        self._polled_us = self.core.cpu.now
        self.command(pn532.IN_LIST_PASSIVE_TARGET, bytes((MAX_TARGETS, 0x00)), LIST_US, self._listed)

    def _listed(self, payload: bytes | None) -> None:
        if payload is None:
            return
        targets = payload[0] if payload else 0
        first, self._ever_polled = not self._ever_polled, True
        if targets == 0:
            if self._empty_since_us is None:
                # Empty at ready: whoever comes now was not in the field before.
                self._empty_since_us = self._polled_us - TAP_AWAY_US if first else self._polled_us
            return
        since, self._empty_since_us = self._empty_since_us, None
        if since is None or self._polled_us - since < TAP_AWAY_US - self.TAP_TOLERANCE_US:
            return  # It rests, or was not away for long enough.
        self.core.sleep.activity()
        if targets == 1:
            self.core.card_auth.begin()
        else:
            self.core.card_auth.refuse(Refusal.CARD_COLLISION)
