"""A key card: the applet behind its APDUs, and the contactless block protocol below it.

Knows nothing of readers, serial lines or time: it says how long an answer takes, the reader waits.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from random import Random

from rig.protocol.keycard import (
    AID,
    AID_FALLBACK,
    CHALLENGE_LENGTH,
    CLA,
    INS_AUTHENTICATE,
    INS_PUBLIC_KEY,
    INS_SELECT,
    PUBLIC_KEY_LENGTH,
    SALT_LENGTH,
    SW_CONDITIONS,
    SW_NOT_FOUND,
    SW_OK,
    SW_WRONG_CLA,
    SW_WRONG_DATA,
    SW_WRONG_INS,
    SW_WRONG_LENGTH,
    CardKey,
    card_answer,
    parse_apdu,
)
from rig.protocol.vcp import VcpError

ANSWER_US = 30_000
"""A usual card's time for the answer to a challenge (ours; vehicle.md section 3 has up to 200 ms as healthy)."""
SHORT_US = 3_000
"""An answer that needs no computation, with its time on the air: 65 bytes at 106 kbit/s take 6 ms at most."""
SENS_RES = b"\x00\x44"
"""Double-size UID, bit-frame anticollision (ISO/IEC 14443-3, 6.5.2)."""
SEL_RES = b"\x20"
"""UID complete, ISO/IEC 14443-4 (ISO/IEC 14443-3, 6.5.3.4)."""
ATS = bytes.fromhex("0578808000")
"""Frames of 256 bytes, 106 kbit/s only, FWI 8 = 77 ms, no CID (ISO/IEC 14443-4, 5.2)."""
LONGEST_APDU = 261
"""A short command APDU: header, Lc, 255 bytes, Le (ISO/IEC 7816-4, 5.2)."""
EXTENSION_US = 60_000
"""The card asks for more time after this, within its frame waiting time."""


class Card:
    """A key card with the applet.

    Args:
        key: its P-256 key.
        answer_delay_us: how long the answer to a challenge takes; up to 200 ms is healthy. Others take 3 ms.
        on_auth: told (reader's public key, challenge) when the card has answered a challenge.
        aids: names that SELECT finds the applet by.

    Attributes:
        uid: seven bytes that anticollision finds; derived from the key, tells nothing of it.
        overheard: told every answer to a challenge, by whoever listens to the air.
        challenged: told when a challenge has come, before it is answered.
    """

    def __init__(
        self,
        key: CardKey,
        answer_delay_us: int = ANSWER_US,
        on_auth: Callable[[bytes, bytes], object] | None = None,
        aids: frozenset[bytes] = frozenset((AID, AID_FALLBACK)),
    ) -> None:
        self.key = key
        self.answer_delay_us = answer_delay_us
        self.uid = b"\x04" + sha256(b"uid" + key.public).digest()[:6]
        self._on_auth = on_auth
        self._aids = aids
        self._selected = False
        self.overheard: Callable[[bytes], object] | None = None
        self.challenged: Callable[[], object] | None = None

    def power_up(self) -> None:
        """The card has been activated anew: nothing is selected."""
        self._selected = False

    def delay_us(self, apdu: bytes) -> int:
        """How long the answer to `apdu` takes."""
        if apdu[1:2] != bytes((INS_AUTHENTICATE,)):
            return SHORT_US
        if self.challenged is not None:
            self.challenged()
        return self.answer_delay_us

    def respond(self, apdu: bytes, rng: Random) -> bytes:
        """The answer to one command APDU, status word included (ISO 7816-4).

        Args:
            apdu: as it came; anything may come.
            rng: source of the salt.
        """
        command = parse_apdu(apdu)
        if command is None:
            return SW_WRONG_LENGTH
        if command.cla == 0x00 and command.ins == INS_SELECT:
            self._selected = command.p1 == 0x04 and command.data in self._aids
            return SW_OK if self._selected else SW_NOT_FOUND
        if command.cla not in (0x00, CLA):
            return SW_WRONG_CLA
        if command.cla != CLA or command.ins not in (INS_PUBLIC_KEY, INS_AUTHENTICATE):
            return SW_WRONG_INS
        if not self._selected:
            return SW_CONDITIONS
        if command.ins == INS_PUBLIC_KEY:
            return SW_WRONG_LENGTH if command.data else self.key.public + SW_OK
        return self._authenticate(command.data, rng)

    def _authenticate(self, data: bytes, rng: Random) -> bytes:
        if len(data) != PUBLIC_KEY_LENGTH + CHALLENGE_LENGTH:
            return SW_WRONG_LENGTH
        reader_public, challenge = data[:PUBLIC_KEY_LENGTH], data[PUBLIC_KEY_LENGTH:]
        try:
            answer = card_answer(self.key, reader_public, challenge, rng.randbytes(SALT_LENGTH))
        except VcpError:
            return SW_WRONG_DATA
        if self._on_auth is not None:
            self._on_auth(reader_public, challenge)
        if self.overheard is not None:
            self.overheard(answer + SW_OK)
        return answer + SW_OK


Reply = tuple[int, Callable[[], bytes]]
"""After how many µs a block comes, and what gives it then."""


class BlockProtocol:
    """The card's side of ISO/IEC 14443-4, for hosts that speak it themselves through InCommunicateThru."""

    def __init__(self, card: Card, rng: Random) -> None:
        self._card = card
        self._rng = rng
        self._active = False
        self._room = 0
        self._number = 1
        self._in = b""
        self._out: list[bytes] = []
        self._last = b""
        self._waiting: tuple[bytes, int] | None = None

    def receive(self, block: bytes) -> Reply | None:
        """Takes one block in (without its checksum); None: the card does not answer."""
        if not block:
            return None
        pcb = block[0]
        if not self._active:
            return (SHORT_US, lambda: self._activate(block[1])) if pcb == 0xE0 and len(block) == 2 else None
        if pcb & 0xEE == 0x02:  # I-block without CID and NAD (7.1.1)
            return self._information(pcb, block[1:])
        if pcb & 0xEE == 0xA2 and len(block) == 1:  # R(ACK), R(NAK)
            return self._acknowledge(pcb)
        if pcb == 0xC2 and len(block) == 1:  # S(DESELECT)
            return SHORT_US, self.deselect
        if pcb == 0xF2 and len(block) == 2 and self._waiting is not None:  # S(WTX)
            apdu, left = self._waiting
            return self._work(apdu, left)
        return None

    def deselect(self) -> bytes:
        """Halts the card, until it is activated anew; gives its S(DESELECT) block."""
        self._active = False
        return b"\xc2"

    def _activate(self, parameter: int) -> bytes:
        # FSDI to FSD (5.1); start byte and two checksum bytes belong to the frame.
        sizes = (16, 24, 32, 40, 48, 64, 96, 128, 256)
        self._room = sizes[min(parameter >> 4, 8)] - 3
        self._active = True
        self._number = 1
        self._in, self._out, self._last, self._waiting = b"", [], b"", None
        self._card.power_up()
        return ATS

    def _information(self, pcb: int, body: bytes) -> Reply | None:
        if len(self._in) + len(body) > LONGEST_APDU:
            # A chain without end: the card goes mute, as if it had not understood the block.
            self._in = b""
            return None
        self._number = pcb & 1
        self._in += body
        if pcb & 0x10:
            return SHORT_US, lambda: self._say(bytes((0xA2 | self._number,)))
        apdu, self._in = self._in, b""
        return self._work(apdu, self._card.delay_us(apdu))

    def _work(self, apdu: bytes, left: int) -> Reply:
        if left > EXTENSION_US:
            self._waiting = (apdu, left - EXTENSION_US)
            return EXTENSION_US, lambda: self._say(b"\xf2\x01")
        self._waiting = None
        return left, lambda: self._answer(apdu)

    def _answer(self, apdu: bytes) -> bytes:
        answer = self._card.respond(apdu, self._rng)
        self._out = [answer[at : at + self._room] for at in range(0, len(answer), self._room)]
        return self._next()

    def _next(self) -> bytes:
        body = self._out.pop(0)
        return self._say(bytes((0x02 | self._number | (0x10 if self._out else 0),)) + body)

    def _acknowledge(self, pcb: int) -> Reply | None:
        if pcb & 1 == self._number and self._last:  # rule 11: not heard, again
            return SHORT_US, lambda: self._last
        if pcb & 0x10:  # rule 12: R(NAK) of the next block asks whether the card is there
            return SHORT_US, lambda: bytes((0xA2 | self._number,))
        if self._out:  # rule 13: go on with the chain
            self._number = pcb & 1
            return SHORT_US, self._next
        return None

    def _say(self, block: bytes) -> bytes:
        self._last = block
        return block
