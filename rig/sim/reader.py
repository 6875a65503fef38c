"""An emulated PN532 on a serial line, with the cards in its field.

Answers as NXP's UM0701-02 says (commands by chapter 7, frames by chapter 6); knows nothing of its host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from rig.kernel import Handle, Kernel
from rig.ports import SerialLine
from rig.protocol.keycard import INS_AUTHENTICATE
from rig.protocol.pn532 import (
    ACK,
    ERROR,
    HOST_TO_READER,
    NACK,
    READER_TO_HOST,
    STATUS_OK,
    STATUS_TIMEOUT,
    STATUS_WRONG_CONTEXT,
    Ack,
    Decoder,
    Frame,
    Nack,
    frame,
)
from rig.sim.card import ATS, SEL_RES, SENS_RES, BlockProtocol, Card

__all__ = ["Card", "Pn532Reader"]

ACK_US = 300
"""Until the ACK frame begins (the manual demands at most 15 ms)."""
COMMAND_US = 500
"""What a command that needs no card takes (ours)."""
TRY_US = 5_000
"""One try of a passive activation (ours; the manual gives no figure)."""
GONE_US = 50_000
"""After this a card that has left the field is given up: the default time-out 0x0A is 51.2 ms (7.3.1)."""
DEAF_BYTES = 2
"""What a sleeping PN532 does not hear of the burst that wakes it: five rising edges (7.2.11)."""
FIRMWARE = bytes.fromhex("32010607")
"""IC PN532, version 1.6, types A, B and ISO 18092 (7.2.2)."""
BAUD_RATES = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600, 1_288_000)
"""SetSerialBaudRate's codes (7.2.8)."""
FOREVER = 0xFF
"""MxRtyPassiveActivation: tries without end (7.3.1)."""
AUTOMATIC_RATS = 0x10
"""SetParameters: type A cards of part 4 are activated at once (7.2.9)."""
RF_ITEMS = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
"""RFConfiguration's items and how many bytes each has (7.3.1)."""
CIU_VERSION, CIU_FIFO_DATA = 0x6327, 0x6339
SENS_REQ = 0x26
"""Stays in the FIFO when nobody answered; hosts look for it."""


class _SyntaxError(Exception):
    """A command that the PN532 answers by its error frame."""


@dataclass(slots=True)
class _Target:
    """A card as it was activated; `present` ends with the activation, also if the card comes back."""

    card: Card
    blocks: BlockProtocol
    in_part_4: bool
    present: bool = True
    sent: bytes = b""


@dataclass(slots=True)
class _Listing:
    """An InListPassiveTarget under way; `tries` is None if without end."""

    start_us: int
    tries: int | None
    most: int
    type_a: bool
    uid: bytes


class Pn532Reader:
    """The reader. It begins asleep, as after power-on.

    Args:
        kernel: the clock and queue.
        line: its end of the serial line.
        rng: source of the cards' salt.
        on_baudrate: told the rate when the host has changed it.

    Attributes:
        commands: how many commands have been taken.
        on_step: told of each protocol step before it has its effect.
        fails: how it fails: "" (it does not), dead, nack, error.
        companion: comes and goes with every other card.
        tears: asked of each card that is about to answer a challenge whether it leaves instead.
    """

    def __init__(
        self,
        kernel: Kernel,
        line: SerialLine,
        rng: Random,
        on_baudrate: Callable[[int], None] | None = None,
    ) -> None:
        self._kernel = kernel
        self._line = line
        self._rng = rng
        self._on_baudrate = on_baudrate
        self._field: list[Card] = []
        self.commands = 0
        self.on_step: Callable[[str], None] | None = None
        self.fails = ""
        self.companion: Card | None = None
        self.tears: Callable[[Card], bool] | None = None
        self._decoder = Decoder()
        self._commands: dict[int, Callable[[bytes], None]] = {
            0x00: self._diagnose,
            0x02: self._get_firmware_version,
            0x06: self._read_register,
            0x08: self._write_register,
            0x10: self._set_serial_baud_rate,
            0x12: self._set_parameters,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
            0x40: self._in_data_exchange,
            0x42: self._in_communicate_thru,
            0x44: self._in_deselect,
            0x4A: self._in_list_passive_target,
            0x52: self._in_release,
        }
        self._job: Handle | None = None
        self._listing: _Listing | None = None
        self._exchange: _Target | None = None
        self._targets: dict[int, _Target] = {}
        self.reset()
        line.on_bytes(self._bytes)

    def reset(self) -> None:
        """Power-on: everything the host has set is lost, and the chip sleeps until it is woken."""
        self._abort()
        self._decoder.reset()
        self._command = 0
        self._last = b""
        self._asleep = True
        self._deaf = 0
        self._new_baud: int | None = None
        self._parameters = AUTOMATIC_RATS | 0x04
        self._retries = FOREVER
        self._patience_us: int | None = 51_200
        self._registers = {CIU_VERSION: 0x80}
        self._let_go()

    # -- the field ---------------------------------------------------------------------------------

    @property
    def field(self) -> tuple[Card, ...]:
        """The cards in the field, in the order they came."""
        return tuple(self._field)

    @property
    def idle_field(self) -> bool:
        """True if there is no card in the field and no exchange with one under way."""
        return not self._field and self._exchange is None

    def place(self, card: Card) -> None:
        """Brings a card into the field; one that is there stays."""
        if card not in self._field:
            self._field.append(card)
            if self.companion is not None and self.companion not in self._field:
                self._field.append(self.companion)
            self._schedule_try()

    def remove(self, card: Card) -> None:
        """Takes a card out of the field; an exchange with it ends in a time-out."""
        if card not in self._field:
            return
        self._field.remove(card)
        for target in self._targets.values():
            if target.card is card:
                target.present = False
        exchange = self._exchange
        if exchange is not None and not exchange.present and exchange.card is card:
            self._give_up(GONE_US)
        if self.companion is not None and card is not self.companion and self._field == [self.companion]:
            self.remove(self.companion)
        self._schedule_try()

    # -- the host's link ---------------------------------------------------------------------------

    def fail(self, how: str) -> None:
        """Begins to fail (dead, nack, error), or works again (""); what was dead starts as after power-on."""
        before, self.fails = self.fails, how
        if "dead" in (before, how):
            self.reset()

    def _bytes(self, data: bytes) -> None:
        if self.fails == "dead":
            return
        if self._asleep:
            self._asleep = False
            self._deaf = DEAF_BYTES
        if self._deaf:
            deaf = min(self._deaf, len(data))
            self._deaf -= deaf
            data = data[deaf:]
        for event in self._decoder.feed(data):
            if isinstance(event, Frame):
                if event.tfi == HOST_TO_READER:
                    # A new command ends the one under way (6.2.2).
                    self._abort()
                    if self.on_step is not None:
                        self.on_step("serial.command")
                        if self.fails == "dead":
                            return
                    self._job = self._kernel.after(ACK_US, self._take, event.payload)
            elif isinstance(event, Ack):
                self._host_acknowledged()
            elif isinstance(event, Nack) and self._last and self._job is None:
                self._line.write(self._last)

    def _host_acknowledged(self) -> None:
        """Confirms what was answered, or ends the command under way (6.2.1.3)."""
        self._abort()
        if self._new_baud is not None:
            baud, self._new_baud = self._new_baud, None
            if self._on_baudrate is not None:
                self._on_baudrate(baud)

    def _abort(self) -> None:
        if self._job is not None:
            self._kernel.cancel(self._job)
            self._job = None
        self._listing = None
        self._exchange = None

    def _take(self, payload: bytes) -> None:
        self._job = None
        if self.on_step is not None:
            self.on_step("serial.ack")
        if self.fails:
            if self.fails != "dead":
                self._line.write(NACK if self.fails == "nack" else ERROR)
            return
        self._line.write(ACK)
        self.commands += 1
        self._command = payload[0]
        command = self._commands.get(self._command)
        try:
            if command is None:
                raise _SyntaxError
            command(payload[1:])
        except _SyntaxError:
            self._job = self._kernel.after(COMMAND_US, self._send, ERROR)

    def _answer(self, body: bytes = b"", after_us: int = COMMAND_US) -> None:
        answer = frame(READER_TO_HOST, bytes((self._command + 1,)) + body)
        if after_us:
            self._job = self._kernel.after(after_us, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        self._job = None
        if self.on_step is not None:
            self.on_step("serial.response")
            if self.fails == "dead":
                return
        self._last = answer
        self._line.write(answer)

    # -- commands that need no card (7.2) ----------------------------------------------------------

    def _diagnose(self, data: bytes) -> None:
        _demand(len(data) >= 1)
        match data[0]:
            case 0x00:  # communication line: gives all back
                self._answer(data)
            case 0x01 | 0x02 | 0x07:  # ROM, RAM, antenna: good
                self._answer(b"\x00")
            case 0x06:  # is the card still there?
                target = self._targets.get(1)
                if target is None:
                    self._answer(bytes((STATUS_WRONG_CONTEXT,)))
                else:
                    self._answer(bytes((STATUS_OK if target.present else STATUS_TIMEOUT,)))
            case _:
                raise _SyntaxError

    def _get_firmware_version(self, data: bytes) -> None:
        _demand(not data)
        self._answer(FIRMWARE)

    def _read_register(self, data: bytes) -> None:
        _demand(len(data) >= 2 and len(data) % 2 == 0)
        addresses = (data[at] << 8 | data[at + 1] for at in range(0, len(data), 2))
        self._answer(bytes(self._registers.get(address, 0) for address in addresses))

    def _write_register(self, data: bytes) -> None:
        _demand(len(data) >= 3 and len(data) % 3 == 0)
        for at in range(0, len(data), 3):
            address = data[at] << 8 | data[at + 1]
            if address != CIU_VERSION:
                self._registers[address] = data[at + 2]
        self._answer()

    def _set_serial_baud_rate(self, data: bytes) -> None:
        _demand(len(data) == 1 and data[0] < len(BAUD_RATES))
        # Holds from the host's ACK to the answer on.
        self._new_baud = BAUD_RATES[data[0]]
        self._answer()

    def _set_parameters(self, data: bytes) -> None:
        _demand(len(data) == 1)
        self._parameters = data[0]
        self._answer()

    def _sam_configuration(self, data: bytes) -> None:
        _demand(1 <= len(data) <= 3 and 1 <= data[0] <= 4)
        self._answer()

    def _power_down(self, data: bytes) -> None:
        _demand(1 <= len(data) <= 2)
        self._let_go()
        self._job = self._kernel.after(COMMAND_US, self._sleep)

    def _sleep(self) -> None:
        self._answer(bytes((STATUS_OK,)), after_us=0)
        self._asleep = True
        self._decoder.reset()

    # -- commands of the field (7.3) ---------------------------------------------------------------

    def _rf_configuration(self, data: bytes) -> None:
        _demand(len(data) >= 1 and len(data) - 1 == RF_ITEMS.get(data[0]))
        match data[0]:
            case 0x01 if not data[1] & 1:
                self._let_go()
            case 0x02:
                _demand(data[3] <= 0x10)
                self._patience_us = 100 << data[3] - 1 if data[3] else None
            case 0x05:
                self._retries = data[3]
        self._answer()

    def _in_list_passive_target(self, data: bytes) -> None:
        _demand(len(data) >= 2 and 1 <= data[0] <= 2 and data[1] <= 4)
        most, kind, uid = data[0], data[1], data[2:]
        _demand(kind != 0 or len(uid) in (0, 4, 7, 8, 10, 12))
        self._let_go()
        tries = None if self._retries == FOREVER else self._retries + 1
        self._listing = _Listing(self._kernel.now, tries, most, kind == 0, uid)
        self._schedule_try()

    def _schedule_try(self) -> None:
        """Sets the next try that can matter: the first that can find a card, else the last."""
        listing = self._listing
        if listing is None:
            return
        if self._job is not None:
            self._kernel.cancel(self._job)
            self._job = None
        number = listing.tries
        if self._found(listing):
            number = (self._kernel.now - listing.start_us) // TRY_US + 1
            if listing.tries is not None:
                number = min(number, listing.tries)
        if number is not None:
            self._job = self._kernel.at(listing.start_us + number * TRY_US, self._try)

    def _found(self, listing: _Listing) -> list[Card]:
        if not listing.type_a:
            return []
        # A UID of seven bytes may be given with its cascade tag (ISO/IEC 14443-3, 6.5.4).
        return [card for card in self._field if listing.uid in (b"", card.uid, b"\x88" + card.uid)]

    def _try(self) -> None:
        self._job = None
        listing = self._listing
        assert listing is not None
        self._listing = None
        cards = self._found(listing)[: listing.most]
        if not cards:
            self._registers[CIU_FIFO_DATA] = SENS_REQ
        in_part_4 = bool(self._parameters & AUTOMATIC_RATS)
        body = bytes((len(cards),))
        for number, card in enumerate(cards, 1):
            card.power_up()
            self._targets[number] = _Target(card, BlockProtocol(card, self._rng), in_part_4)
            body += bytes((number,)) + SENS_RES + SEL_RES + bytes((len(card.uid),)) + card.uid
            if in_part_4:
                body += ATS
        self._answer(body, after_us=0)

    def _in_data_exchange(self, data: bytes) -> None:
        _demand(len(data) >= 1)
        target = self._targets.get(data[0] & 0x3F)
        if target is None or not target.in_part_4:
            self._answer(bytes((STATUS_WRONG_CONTEXT,)))
            return
        target.sent += data[1:]
        if data[0] & 0x40:  # more of the APDU comes
            self._answer(bytes((STATUS_OK,)))
            return
        apdu, target.sent = target.sent, b""
        self._exchange = target
        if target.present:
            self._job = self._kernel.after(target.card.delay_us(apdu), self._exchanged, target, apdu)
        else:
            self._give_up(GONE_US)

    def _exchanged(self, target: _Target, apdu: bytes) -> None:
        self._job = self._exchange = None
        if self.tears is not None and apdu[1:2] == bytes((INS_AUTHENTICATE,)) and self.tears(target.card):
            self._exchange = target
            self.remove(target.card)
            return
        self._answer(bytes((STATUS_OK,)) + target.card.respond(apdu, self._rng), after_us=0)

    def _in_communicate_thru(self, data: bytes) -> None:
        target = self._targets.get(1)
        reply = target.blocks.receive(data) if target is not None and target.present else None
        if target is not None:
            self._exchange = target
        patience = self._patience_us
        if reply is None or (patience is not None and reply[0] > patience):
            # Without a time-out the command stays until the host ends it.
            if patience is not None:
                self._give_up(patience)
            return
        self._job = self._kernel.after(reply[0], self._communicated, reply[1])

    def _communicated(self, block: Callable[[], bytes]) -> None:
        self._job = self._exchange = None
        self._answer(bytes((STATUS_OK,)) + block(), after_us=0)

    def _give_up(self, after_us: int) -> None:
        if self._job is not None:
            self._kernel.cancel(self._job)
        self._job = self._kernel.after(after_us, self._given_up)

    def _given_up(self) -> None:
        self._job = self._exchange = None
        self._answer(bytes((STATUS_TIMEOUT,)), after_us=0)

    def _in_deselect(self, data: bytes) -> None:
        _demand(len(data) == 1)
        self._answer(bytes((self._release(data[0], False),)))

    def _in_release(self, data: bytes) -> None:
        _demand(len(data) == 1)
        self._answer(bytes((self._release(data[0], True),)))

    def _release(self, number: int, forget: bool) -> int:
        """Lets one target go, or all (0); a deselected one is known but cannot be talked to."""
        if number and number not in self._targets:
            return STATUS_WRONG_CONTEXT
        for one in [number] if number else list(self._targets):
            self._targets[one].in_part_4 = False
            self._targets[one].blocks.deselect()
            if forget:
                del self._targets[one]
        return STATUS_OK

    def _let_go(self) -> None:
        """The field has been off, or is searched anew."""
        self._targets.clear()


def _demand(sound: bool) -> None:
    if not sound:
        raise _SyntaxError
