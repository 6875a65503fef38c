"""A tap: the key-card applet's challenge and response, and what a genuine card does.

Knows the applet and the rule of one tap; nothing of the reader's link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.ecu.admission import EntropyFailure
from hardware.ecu.cardreader import EXCHANGE_US, LIST_US, Then
from hardware.ecu.config import Reason, Source
from rig.protocol import keycard, pn532
from rig.protocol.keycard import Refusal

if TYPE_CHECKING:
    from hardware.ecu.core import Core

LOCKS_AFTER_US = 10_000_000
"""A tap locks only if the last unlock is longer ago (vehicle.md section 3)."""

_TARGET = b"\x01"
_STATUS = 0x3F
_RELEASE_ALL = b"\x00"


class CardAuth:
    """One tap at a time.

    Attributes:
        LOCKS_AFTER_US: a tap locks only if the last unlock is longer ago.
        active: a tap is being dealt with.
    """

    LOCKS_AFTER_US = LOCKS_AFTER_US

    def __init__(self, core: Core) -> None:
        self.core = core
        self.active = False
        self._challenge = b""
        self._public = b""

    def begin(self) -> None:
        """A card was tapped."""
        self.active = True
        self._exchange(keycard.select_apdu(keycard.AID), self._selected)

    def refuse(self, reason: Refusal) -> None:
        """The tap opens nothing; the next good one will."""
        self.core.status.refused(reason)
        self.core.log(f"card refused {reason.name}")
        self._release()

    def challenge(self) -> bytes:
        """A fresh challenge.

        Raises:
            EntropyFailure: there is none to be had.
        """
        return self.core.entropy.take(keycard.CHALLENGE_LENGTH)

    def act(self, public: bytes) -> None:
        """The card proved to be the enrolled one with this public key."""
        core = self.core
        reason = core.admission.refuses(Source.CARD, True)
        if reason is not None:
            core.actions.ignored(reason)
            return
        locks = core.locks
        unlocked = all(d.feedback == "U" and not (d.fault or d.drive or d.settling) for d in locks.doors)
        if unlocked and core.cpu.now - locks.last_unlock_us > self.LOCKS_AFTER_US:
            core.actions.lock(Source.CARD, _permitted, core.actions.ignored)
            return
        core.actions.drive(Source.CARD, _permitted, core.actions.ignored, public, None)
        if not unlocked:
            core.actions.unlock(Source.CARD, _permitted, core.actions.ignored)

    # The applet's dialogue

    def _exchange(self, apdu: bytes, then: Then) -> None:
        self.core.reader.command(pn532.IN_DATA_EXCHANGE, _TARGET + apdu, EXCHANGE_US, then)

    def _answer(self, payload: bytes | None) -> tuple[bytes, bytes] | None:
        """(data, status word) of a card's answer; None, and the tap is over, if it was torn."""
        if payload is None or len(payload) < 3 or payload[0] & _STATUS:
            self.refuse(Refusal.CARD_TORN)
            return None
        return payload[1:-2], payload[-2:]

    def _selected(self, payload: bytes | None) -> None:
        answer = self._answer(payload)
        if answer is None:
            return
        if answer[1] == keycard.SW_OK:
            self._ask_key()
        else:
            self._exchange(keycard.select_apdu(keycard.AID_FALLBACK), self._selected_fallback)

    def _selected_fallback(self, payload: bytes | None) -> None:
        answer = self._answer(payload)
        if answer is None:
            return
        if answer[1] == keycard.SW_OK:
            self._ask_key()
        else:
            self.refuse(Refusal.CARD_NO_APPLET)

    def _ask_key(self) -> None:
        self._exchange(keycard.public_key_apdu(), self._got_key)

    def _got_key(self, payload: bytes | None) -> None:
        answer = self._answer(payload)
        if answer is None:
            return
        self._public, status_word = answer
        if status_word != keycard.SW_OK or self._public not in self.core.store.image.cards:
            self.refuse(Refusal.CARD_UNKNOWN)
            return
        try:
            self._challenge = self.challenge()
        except EntropyFailure:
            self.refuse(Refusal.CARD_NO_CHALLENGE)
            return
        apdu = keycard.authenticate_apdu(self.core.config.identity.public, self._challenge)
        self._exchange(apdu, self._got_proof)

    def _got_proof(self, payload: bytes | None) -> None:
        answer = self._answer(payload)
        if answer is None:
            return
        core = self.core
        core.cpu.charge(core.cpu.SIGNATURE_US)
        proof, status_word = answer
        if status_word != keycard.SW_OK or not keycard.check_answer(
            core.config.identity, self._public, self._challenge, proof
        ):
            self.refuse(Refusal.CARD_WRONG_ANSWER)
            return
        core.log("card accepted")
        self.act(self._public)
        self._release()

    def _release(self) -> None:
        self.active = False
        # One challenge, one answer.
        self._challenge = b""
        if self.core.reader.working:
            self.core.reader.command(pn532.IN_RELEASE, _RELEASE_ALL, LIST_US, _released)


def _released(_: bytes | None) -> None:
    """The next poll lists anew, whatever the reader said."""


def _permitted() -> Reason | None:
    return None
