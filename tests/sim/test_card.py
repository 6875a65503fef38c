"""The key card: the applet's answers, and the contactless block protocol below them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.protocol.keycard import (
    AID,
    AID_FALLBACK,
    CardKey,
    authenticate_apdu,
    check_answer,
    public_key_apdu,
    select_apdu,
)
from rig.protocol.vcp import Identity
from rig.sim.card import ATS, EXTENSION_US, SHORT_US, BlockProtocol, Card

KEY = CardKey.from_seed(b"card")
READER = Identity.from_seed(b"reader")
CHALLENGE = bytes(range(16))


def selected(card: Card) -> Card:
    assert card.respond(select_apdu(AID), Random(1)) == b"\x90\x00"
    return card


def test_the_applet_gives_its_key_and_answers_a_challenge() -> None:
    seen: list[tuple[bytes, bytes]] = []
    card = selected(Card(KEY, on_auth=lambda *told: seen.append(told)))
    assert card.respond(public_key_apdu(), Random(1)) == KEY.public + b"\x90\x00"
    assert seen == []
    answer = card.respond(authenticate_apdu(READER.public, CHALLENGE), Random(1))
    assert answer[16:] == b"\x90\x00"
    assert check_answer(READER, KEY.public, CHALLENGE, answer[:16])
    assert not check_answer(READER, KEY.public, bytes(16), answer[:16])
    assert seen == [(READER.public, CHALLENGE)]


def test_the_salt_comes_from_the_source_given() -> None:
    card = selected(Card(KEY))
    apdu = authenticate_apdu(READER.public, CHALLENGE)
    rng = Random(7)
    first, second = card.respond(apdu, rng), card.respond(apdu, rng)
    assert first != second
    assert first == card.respond(apdu, Random(7))


@pytest.mark.parametrize("aid", [AID, AID_FALLBACK])
def test_select_finds_the_applet_by_both_names_or_by_one(aid: bytes) -> None:
    assert Card(KEY).respond(select_apdu(aid), Random(1)) == b"\x90\x00"
    old = Card(KEY, aids=frozenset({AID_FALLBACK}))
    assert (old.respond(select_apdu(aid), Random(1)) == b"\x90\x00") == (aid == AID_FALLBACK)


AUTHENTICATE = authenticate_apdu(READER.public, CHALLENGE)


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        (b"", "6700"),
        (b"\x80\x04\x00", "6700"),
        (b"\x80\x11\x00\x00", "6700"),
        (b"\x80\x11\x00\x00\x02\x01\x02", "6700"),
        (AUTHENTICATE[:-2], "6700"),
        (b"\x80\x04\x00\x00\x01\x00", "6700"),
        (b"\x80\x05\x00\x00\x00", "6d00"),
        (b"\x00\xb0\x00\x00\x00", "6d00"),
        (b"\x00\x04\x00\x00\x00", "6d00"),
        (b"\x90\x04\x00\x00\x00", "6e00"),
        (b"\x80\x11\x00\x00\x51" + bytes(81), "6a80"),
    ],
)
def test_what_the_applet_refuses(apdu: bytes, status: str) -> None:
    assert selected(Card(KEY)).respond(apdu, Random(1)).hex() == status


def test_nothing_is_answered_before_selection_nor_after_a_new_activation() -> None:
    card = Card(KEY)
    for apdu in (public_key_apdu(), AUTHENTICATE):
        assert card.respond(apdu, Random(1)).hex() == "6985"
    selected(card).power_up()
    assert card.respond(public_key_apdu(), Random(1)).hex() == "6985"
    selected(card)
    assert card.respond(select_apdu(b"\xa0\x00\x00\x00\x03"), Random(1)).hex() == "6a82"
    assert card.respond(public_key_apdu(), Random(1)).hex() == "6985"


@given(apdus=st.lists(st.binary(max_size=100), max_size=8))
def test_no_command_raises_and_every_answer_has_a_status(apdus: list[bytes]) -> None:
    card = Card(KEY)
    for apdu in apdus:
        assert len(card.respond(apdu, Random(1))) >= 2
        assert card.delay_us(apdu) > 0


def test_cards_have_uids_of_their_own() -> None:
    uids = {Card(CardKey.from_seed(bytes((n,)))).uid for n in range(5)}
    assert len(uids) == 5
    assert all(len(uid) == 7 for uid in uids)


# -- block protocol --------------------------------------------------------------------------------


class Link:
    """A host that speaks the block protocol itself; adds the waiting up."""

    def __init__(self, card: Card, rats: bytes = b"\xe0\x80") -> None:
        self.blocks = BlockProtocol(card, Random(3))
        self.waited_us = 0
        assert self.ask(rats) == ATS
        self.number = 0

    def ask(self, block: bytes) -> bytes | None:
        reply = self.blocks.receive(block)
        if reply is None:
            return None
        self.waited_us += reply[0]
        return reply[1]()

    def transceive(self, apdu: bytes, room: int = 250) -> bytes:
        pieces = [apdu[at : at + room] for at in range(0, len(apdu), room)]
        answer = None
        for piece in pieces[:-1]:
            assert self.ask(bytes((0x12 | self.number,)) + piece) == bytes((0xA2 | self.number,))
            self.number ^= 1
        answer = self.ask(bytes((0x02 | self.number,)) + pieces[-1])
        while answer is not None and answer[0] == 0xF2:
            answer = self.ask(answer)
        out = b""
        while answer is not None:
            assert answer[0] & 1 == self.number
            out += answer[1:]
            self.number ^= 1
            if not answer[0] & 0x10:
                return out
            answer = self.ask(bytes((0xA2 | self.number,)))
        raise AssertionError("the card fell silent")


@pytest.mark.parametrize("rats", [b"\xe0\x80", b"\xe0\x50", b"\xe0\x00"])
@pytest.mark.parametrize("room", [250, 60, 13])
def test_the_applet_works_through_blocks_of_any_size(rats: bytes, room: int) -> None:
    link = Link(Card(KEY), rats)
    assert link.transceive(select_apdu(AID), room) == b"\x90\x00"
    assert link.transceive(public_key_apdu(), room) == KEY.public + b"\x90\x00"
    answer = link.transceive(authenticate_apdu(READER.public, CHALLENGE), room)
    assert check_answer(READER, KEY.public, CHALLENGE, answer[:-2])


def test_a_slow_card_asks_for_more_time_and_takes_no_more_than_its_own() -> None:
    link = Link(Card(KEY, answer_delay_us=200_000))
    link.transceive(select_apdu(AID))
    link.waited_us = 0
    block = bytes((0x02 | link.number,)) + authenticate_apdu(READER.public, CHALLENGE)
    extensions = 0
    answer = link.ask(block)
    while answer == b"\xf2\x01":
        extensions += 1
        answer = link.ask(answer)
    assert answer is not None and answer[-2:] == b"\x90\x00"
    assert extensions == 3
    assert link.waited_us == 200_000
    assert EXTENSION_US < 77_000


def test_blocks_that_were_not_heard_are_repeated_and_presence_is_told() -> None:
    link = Link(Card(KEY))
    first = link.ask(b"\x02" + select_apdu(AID))
    assert first == b"\x02\x90\x00"
    assert link.ask(b"\xb2") == first
    assert link.ask(b"\xb3") == b"\xa2"
    assert link.waited_us == 4 * SHORT_US


@pytest.mark.parametrize(
    "block", [b"", b"\x0a\x00", b"\x06\x00", b"\xf2\x01", b"\xa3", b"\xe0\x80", b"\xff", b"\xc2\x00"]
)
def test_blocks_that_the_standard_forbids_are_not_answered(block: bytes) -> None:
    assert Link(Card(KEY)).blocks.receive(block) is None


def test_a_deselected_card_is_silent_until_it_is_activated_anew() -> None:
    link = Link(Card(KEY))
    assert link.ask(b"\xc2") == b"\xc2"
    assert link.ask(b"\x02" + select_apdu(AID)) is None
    assert link.ask(b"\xe0\x80") == ATS
    assert link.ask(b"\x02" + select_apdu(AID)) == b"\x02\x90\x00"


@given(
    blocks=st.lists(
        st.one_of(st.binary(max_size=6), st.sampled_from((b"\xe0\x80", b"\xb2", b"\xb3", b"\xa3"))),
        max_size=12,
    )
)
def test_no_block_raises(blocks: list[bytes]) -> None:
    link = BlockProtocol(Card(KEY), Random(1))
    for block in blocks:
        reply = link.receive(block)
        if reply is not None:
            assert reply[1]()
