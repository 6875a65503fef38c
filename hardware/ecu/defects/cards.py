"""Defects at the reader: what a tap is, what it does, and what becomes of a card or reader that misbehaved."""

from __future__ import annotations

from dataclasses import replace

from hardware.ecu.build import Build
from hardware.ecu.cardauth import CardAuth
from hardware.ecu.cardreader import CardReader
from hardware.ecu.core import Core
from rig.protocol.keycard import Refusal


class GivesReaderUp(CardReader):
    """Takes a reader that failed once for broken."""

    _broken = False

    def _fail(self) -> None:
        self._broken = self._broken or self.working
        super()._fail()

    def _slot(self) -> None:
        if not self._broken:
            super()._slot()


class TapLocksAtOnce(CardAuth):
    """Locks whatever is unlocked, however short a while."""

    LOCKS_AFTER_US = 0


class Sticks(CardAuth):
    """Deals with the next tap as with the refused one before."""

    REASONS: frozenset[Refusal] = frozenset()

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._stuck: Refusal | None = None

    def refuse(self, reason: Refusal) -> None:
        if reason in self.REASONS:
            self._stuck = reason
        super().refuse(reason)

    def begin(self) -> None:
        if self._stuck is None:
            super().begin()
            return
        reason, self._stuck = self._stuck, None
        super().refuse(reason)


class TornCardSticks(Sticks):
    """After a torn card."""

    REASONS = frozenset({Refusal.CARD_TORN})


class UnknownCardSticks(Sticks):
    """After a card that is not enrolled, or whose answer was wrong."""

    REASONS = frozenset({Refusal.CARD_UNKNOWN, Refusal.CARD_WRONG_ANSWER})


ALL = (
    Build(
        "gives_reader_up",
        "never asks a reader again that failed once",
        ("AVL-6",),
        lambda p: replace(p, reader=GivesReaderUp),
    ),
    Build(
        "tap_locks_at_once",
        "locks at a tap however shortly before it was unlocked",
        ("AVL-1", "AVL-4"),
        lambda p: replace(p, card_auth=TapLocksAtOnce),
    ),
    Build(
        "torn_card_sticks",
        "refuses the next tap after a card that was taken away too early",
        ("SEC-13",),
        lambda p: replace(p, card_auth=TornCardSticks),
    ),
    Build(
        "unknown_card_sticks",
        "refuses the next tap after an unknown card",
        ("SEC-13",),
        lambda p: replace(p, card_auth=UnknownCardSticks),
    ),
)
