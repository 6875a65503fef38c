"""The emulated PN532: link, commands, searches, and cards that come and go."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rig.kernel import Kernel
from rig.protocol.keycard import AID, CardKey, authenticate_apdu, check_answer, public_key_apdu, select_apdu
from rig.protocol.pn532 import ACK, ERROR, NACK, WAKE_UP, Ack, Decoder, ErrorFrame, Frame, frame
from rig.protocol.vcp import Identity
from rig.sim.card import ATS, Card
from rig.sim.reader import Pn532Reader
from rig.sim.uart import SimUart

READER = Identity.from_seed(b"reader")
CHALLENGE = bytes(range(16))
FINITE = b"\x32\x05\xff\x01\x01"
LIST = b"\x4a\x02\x00"


def card(name: str = "driver", answer_delay_us: int = 30_000) -> Card:
    return Card(CardKey.from_seed(name.encode()), answer_delay_us)


def sending_us(data: bytes) -> int:
    """What bytes take on the line."""
    return -(-len(data) * 10_000_000 // 115_200)


class Host:
    """The other end of the line, and a clock that moves by hand."""

    def __init__(self, awake: bool = True) -> None:
        self.kernel = Kernel()
        self.line = SimUart(self.kernel)
        self.rates: list[int] = []
        self.reader = Pn532Reader(self.kernel, self.line.b, Random(1), on_baudrate=self.rates.append)
        self.log: list[tuple[int, object]] = []
        decoder = Decoder()
        self.line.a.on_bytes(
            lambda data: self.log.extend((self.kernel.now, event) for event in decoder.feed(data))
        )
        if awake:
            self.line.a.write(WAKE_UP)

    def send(self, us: int, payload: bytes) -> None:
        self.kernel.at(us, self.line.a.write, frame(0xD4, payload))

    def run(self, seconds: float = 2.0) -> list[tuple[int, object]]:
        async def main() -> None:
            await self.kernel.sleep(seconds)

        self.kernel.run(main(), until=seconds + 1)
        return self.log

    def play(self, *payloads: bytes, gap_us: int = 400_000) -> list[bytes | None]:
        """Sends commands, each after the last was answered; gives the answers, None for an error frame."""
        for number, payload in enumerate(payloads, 1):
            self.send(number * gap_us, payload)
        self.run((len(payloads) + 1) * gap_us / 1e6)
        answers: list[bytes | None] = []
        for (_, ack), (_, answer) in zip(self.log[::2], self.log[1::2], strict=True):
            assert ack == Ack()
            answers.append(answer.payload if isinstance(answer, Frame) else None)
        assert len(answers) == len(payloads)
        return answers


# -- the link --------------------------------------------------------------------------------------


def test_a_command_is_acknowledged_within_1_ms_and_then_answered() -> None:
    host = Host()
    host.send(10_000, b"\x02")
    (ack_us, ack), (answer_us, answer) = host.run()
    assert ack == Ack()
    assert answer == Frame(0xD5, b"\x03\x32\x01\x06\x07")
    arrived = 10_000 + sending_us(frame(0xD4, b"\x02"))
    assert ack_us - sending_us(ACK) - arrived <= 1000
    assert answer_us > ack_us


def test_it_sleeps_after_power_on_and_whatever_comes_first_wakes_it() -> None:
    host = Host(awake=False)
    host.send(1000, b"\x02")
    assert host.run() == []
    for preamble in (WAKE_UP, b"\x55\x55\x00\x00\x00", bytes(10)):
        host = Host(awake=False)
        host.kernel.at(1000, host.line.a.write, preamble + frame(0xD4, b"\x02"))
        assert len(host.run()) == 2


def test_unknown_and_malformed_commands_get_the_error_frame() -> None:
    host = Host()
    codes = "99 8c00 00 0055 0200 06 0663 086302 1009 10 12 14 1405 1400 16 32 320300 3205ff01 3202000b11"
    cards = "40 44 4a 4a0000 4a0300 4a0105 4a010001 52 520102"
    bad = [bytes.fromhex(one) for one in f"{codes} {cards}".split(" ")]
    assert host.play(*bad, gap_us=20_000) == [None] * len(bad)
    assert all(isinstance(event, Ack | ErrorFrame) for _, event in host.log)


@given(
    noise=st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.binary(min_size=1, max_size=20).map(lambda payload: frame(0xD4, payload)),
            st.sampled_from((ACK, NACK, ERROR, WAKE_UP)),
        ),
        max_size=10,
    )
)
def test_it_never_sends_nack_never_fails_and_works_again_after_any_noise(noise: list[bytes]) -> None:
    host = Host()
    sent: list[bytes] = []

    def listen(data: bytes) -> bytes:
        sent.append(data)
        return data

    host.line.b.tamper = listen
    for number, data in enumerate(noise, 1):
        host.kernel.at(number * 30_000, host.line.a.write, data)
    # Longer than any frame that the noise may have begun.
    host.kernel.at(500_000, host.line.a.write, bytes(300) + frame(0xD4, b"\x52\x00"))
    host.kernel.at(600_000, host.line.a.write, bytes(300) + frame(0xD4, b"\x02"))
    host.run()
    assert NACK not in sent
    assert host.log[-1][1] == Frame(0xD5, b"\x03\x32\x01\x06\x07")


def test_a_damaged_frame_is_not_answered_and_the_next_is() -> None:
    host = Host()
    damaged = bytearray(frame(0xD4, b"\x02"))
    damaged[-2] ^= 1
    host.kernel.at(1000, host.line.a.write, bytes(damaged))
    host.kernel.at(3000, host.line.a.write, frame(0xD5, b"\x02"))
    host.send(50_000, b"\x02")
    log = host.run()
    assert len(log) == 2
    assert log[0][0] > 50_000


def test_the_host_gets_the_last_answer_again_by_nack() -> None:
    host = Host()
    host.send(10_000, b"\x02")
    host.kernel.at(20_000, host.line.a.write, NACK)
    assert [event for _, event in host.run()][1:] == [Frame(0xD5, b"\x03\x32\x01\x06\x07")] * 2


def test_the_hosts_ack_ends_a_command_under_way_and_a_new_command_does_too() -> None:
    host = Host()
    host.send(10_000, LIST)  # searches without end
    host.kernel.at(200_000, host.line.a.write, ACK)
    host.kernel.at(300_000, host.reader.place, card())
    host.send(400_000, b"\x4a\x01\x01")
    host.send(500_000, b"\x02")
    assert [event for _, event in host.run()] == [Ack(), Ack(), Ack(), Frame(0xD5, b"\x03\x32\x01\x06\x07")]


def test_a_command_without_need_of_cards_each() -> None:
    host = Host()
    line = b"\x00\x00" + bytes(n & 0xFF for n in range(262))
    answers = host.play(
        line, b"\x00\x01", b"\x00\x02", b"\x00\x06",
        b"\x08\x63\x01\x3b\x63\x02\x80", b"\x06\x63\x02\x63\x01\x63\x27\x12\x34",
        b"\x12\x14", b"\x14\x01", b"\x14\x01\x14\x01", FINITE, b"\x32\x02\x00\x0b\x0a", b"\x32\x01\x02",
        b"\x32\x0a" + bytes(11), b"\x32\x0b" + bytes(8), b"\x32\x0c" + bytes(3), b"\x32\x0d" + bytes(9),
        b"\x52\x00", b"\x52\x01", b"\x44\x01",
    )  # fmt: skip
    assert answers == [
        b"\x01" + line[1:], b"\x01\x00", b"\x01\x00", b"\x01\x27",
        b"\x09", b"\x07\x80\x3b\x80\x00",
        b"\x13", b"\x15", b"\x15", b"\x33", b"\x33", b"\x33",
        b"\x33", b"\x33", b"\x33", b"\x33",
        b"\x53\x00", b"\x53\x27", b"\x45\x27",
    ]  # fmt: skip


def test_the_baud_rate_changes_when_the_host_has_acknowledged() -> None:
    host = Host()
    host.send(10_000, b"\x10\x07")
    host.kernel.at(100_000, lambda: host.rates.append(0))
    host.kernel.at(200_000, host.line.a.write, ACK)
    host.kernel.at(300_000, host.line.a.write, ACK)
    assert [event for _, event in host.run()] == [Ack(), Frame(0xD5, b"\x11")]
    assert host.rates == [0, 921_600]


def test_power_down_sleeps_until_something_comes() -> None:
    host = Host()
    host.send(10_000, b"\x16\xf0")
    host.send(100_000, b"\x02")
    host.send(200_000, b"\x02")
    events = [event for _, event in host.run()]
    assert events == [Ack(), Frame(0xD5, b"\x17\x00"), Ack(), Frame(0xD5, b"\x03\x32\x01\x06\x07")]
    assert host.log[2][0] > 200_000


# -- searching -------------------------------------------------------------------------------------


def listed(*cards: Card, ats: bool = True) -> bytes:
    body = bytes((0x4B, len(cards)))
    for number, one in enumerate(cards, 1):
        body += bytes((number, 0x00, 0x44, 0x20, 7)) + one.uid + (ATS if ats else b"")
    return body


@pytest.mark.parametrize("retries", [0, 1, 7])
def test_an_empty_field_is_told_after_n_plus_1_tries_of_5_ms(retries: int) -> None:
    host = Host()
    host.send(10_000, b"\x32\x05\xff\x01" + bytes((retries,)))
    host.send(50_000, LIST)
    log = host.run()
    assert log[-1][1] == Frame(0xD5, b"\x4b\x00")
    acknowledged, answered = log[-2][0], log[-1][0]
    began, ended = acknowledged - sending_us(ACK), answered - sending_us(frame(0xD5, b"\x4b\x00"))
    assert ended - began == (retries + 1) * 5000


@given(
    placed_us=st.integers(0, 60_000), away_us=st.integers(1, 60_000), retries=st.sampled_from((0, 3, 0xFF))
)
def test_a_card_is_found_at_the_next_try_and_only_at_a_try(
    placed_us: int, away_us: int, retries: int
) -> None:
    # In the very microsecond of a try either order is right.
    assume(placed_us % 5000 and (placed_us + away_us) % 5000)
    host, one = Host(), card()
    host.send(10_000, b"\x32\x05\xff\x01" + bytes((retries,)))
    host.send(20_000, LIST)
    begin = 20_000 + sending_us(frame(0xD4, LIST)) + 300
    host.kernel.at(begin + placed_us, host.reader.place, one)
    host.kernel.at(begin + placed_us + away_us, host.reader.remove, one)
    log = host.run()
    answers = [(us, event) for us, event in log[2:] if isinstance(event, Frame)]
    tries = range(5000, 5000 * (retries + 1) + 1, 5000) if retries != 0xFF else range(5000, 200_000, 5000)
    hit = next((at for at in tries if placed_us <= at < placed_us + away_us), None)
    if hit is None and retries == 0xFF:
        assert answers == []
    else:
        payload = listed() if hit is None else listed(one)
        ended = begin + (tries[-1] if hit is None else hit)
        assert answers == [(ended + sending_us(frame(0xD5, payload)), Frame(0xD5, payload))]


def test_a_search_of_an_empty_field_costs_the_kernel_no_event_a_try() -> None:
    host = Host()
    host.send(10_000, LIST)
    host.run(100)
    assert host.kernel.events < 12


def test_two_cards_are_told_if_the_host_wants_two() -> None:
    one, two = card("one"), card("two")
    host = Host()
    host.reader.place(one)
    host.reader.place(two)
    host.reader.place(one)
    assert host.reader.field == (one, two)
    assert host.play(LIST, b"\x4a\x01\x00", b"\x4a\x01\x00" + two.uid, b"\x4a\x01\x00\x88" + two.uid) == [
        listed(one, two), listed(one), listed(two), listed(two),
    ]  # fmt: skip


def test_other_technologies_find_nothing() -> None:
    host = Host()
    host.reader.place(card())
    assert host.play(FINITE, b"\x4a\x01\x01\x00\xff\xff\x00\x00", b"\x4a\x01\x03\x00", b"\x4a\x01\x04") == [
        b"\x33", b"\x4b\x00", b"\x4b\x00", b"\x4b\x00",
    ]  # fmt: skip


def test_after_a_search_in_vain_the_fifo_still_holds_the_request() -> None:
    assert Host().play(FINITE, LIST, b"\x06\x63\x39") == [b"\x33", b"\x4b\x00", b"\x07\x26"]


# -- talking to cards ------------------------------------------------------------------------------


def exchange(apdu: bytes, target: int = 1) -> bytes:
    return b"\x40" + bytes((target,)) + apdu


def test_a_whole_tap() -> None:
    told: list[tuple[bytes, bytes]] = []
    key = CardKey.from_seed(b"driver")
    one = Card(key, on_auth=lambda *seen: told.append(seen))
    host = Host()
    host.reader.place(one)
    answers = host.play(
        LIST, exchange(select_apdu(AID)), exchange(public_key_apdu()),
        exchange(authenticate_apdu(READER.public, CHALLENGE)), b"\x52\x01", exchange(public_key_apdu()),
    )  # fmt: skip
    assert answers[:3] == [listed(one), b"\x41\x00\x90\x00", b"\x41\x00" + key.public + b"\x90\x00"]
    answer = answers[3]
    assert answer is not None and answer[:2] == b"\x41\x00"
    assert check_answer(READER, key.public, CHALLENGE, answer[2:-2])
    assert told == [(READER.public, CHALLENGE)]
    assert answers[4:] == [b"\x53\x00", b"\x41\x27"]


def test_an_answer_takes_the_cards_time() -> None:
    host = Host()
    host.reader.place(card(answer_delay_us=200_000))
    host.send(10_000, LIST)
    host.send(50_000, exchange(select_apdu(AID)))
    host.send(100_000, exchange(authenticate_apdu(READER.public, CHALLENGE)))
    log = host.run()
    assert 200_000 < log[-1][0] - log[-2][0] < 210_000


@pytest.mark.parametrize("back", [False, True])
def test_a_card_torn_away_in_an_exchange_times_out_after_50_ms_and_never_answers(back: bool) -> None:
    told: list[object] = []
    one = Card(CardKey.from_seed(b"driver"), answer_delay_us=30_000, on_auth=lambda *seen: told.append(seen))
    host = Host()
    host.reader.place(one)
    host.send(10_000, LIST)
    host.send(50_000, exchange(select_apdu(AID)))
    host.send(100_000, exchange(authenticate_apdu(READER.public, CHALLENGE)))
    host.kernel.at(120_000, host.reader.remove, one)
    if back:
        host.kernel.at(125_000, host.reader.place, one)
    host.send(300_000, exchange(public_key_apdu()))
    host.kernel.at(150_000, lambda: told.append(host.reader.idle_field))
    host.kernel.at(290_000, lambda: told.append(host.reader.idle_field))
    log = host.run()
    assert log[5] == (170_000 + sending_us(frame(0xD5, b"\x41\x01")), Frame(0xD5, b"\x41\x01"))
    assert log[7][1] == Frame(0xD5, b"\x41\x01")
    assert told == [False, not back]


def test_a_card_that_comes_back_works_after_a_new_search() -> None:
    one = card()
    host = Host()
    host.reader.place(one)
    host.kernel.at(500_000, host.reader.remove, one)
    host.kernel.at(1_100_000, host.reader.place, one)
    assert host.play(LIST, b"\x00\x06", LIST, exchange(select_apdu(AID)), b"\x00\x06") == [
        listed(one), b"\x01\x01", listed(one), b"\x41\x00\x90\x00", b"\x01\x00",
    ]  # fmt: skip


def test_commands_to_no_card_are_out_of_context() -> None:
    one = card()
    host = Host()
    host.reader.place(one)
    first, second = exchange(select_apdu(AID)), exchange(select_apdu(AID), 2)
    assert host.play(first, LIST, second, b"\x32\x01\x00", first, LIST, b"\x44\x01", first) == [
        b"\x41\x27", listed(one), b"\x41\x27", b"\x33", b"\x41\x27", listed(one), b"\x45\x00", b"\x41\x27",
    ]  # fmt: skip


def test_a_command_in_pieces_is_put_together() -> None:
    host = Host()
    host.reader.place(card())
    apdu = select_apdu(AID)
    assert host.play(LIST, b"\x40\x41" + apdu[:4], b"\x40\x01" + apdu[4:])[1:] == [
        b"\x41\x00",
        b"\x41\x00\x90\x00",
    ]


def test_a_host_that_speaks_the_block_protocol_itself() -> None:
    one = card()
    host = Host()
    host.reader.place(one)
    answers = host.play(
        b"\x12\x00", LIST, exchange(select_apdu(AID)), b"\x32\x02\x0a\x0b\x0c", b"\x42\xe0\x80",
        b"\x42\x02" + select_apdu(AID), b"\x42\x03" + public_key_apdu(), b"\x42\xc2", b"\x42\x02\x00",
    )  # fmt: skip
    assert answers == [
        b"\x13", listed(one, ats=False), b"\x41\x27", b"\x33", b"\x43\x00" + ATS,
        b"\x43\x00\x02\x90\x00", b"\x43\x00\x03" + one.key.public + b"\x90\x00", b"\x43\x00\xc2", b"\x43\x01",
    ]  # fmt: skip


def test_raw_communication_waits_as_long_as_it_was_told() -> None:
    host = Host()
    host.send(10_000, b"\x32\x02\x00\x0b\x06")  # 3.2 ms
    host.send(50_000, b"\x42\xe0\x80")
    host.send(100_000, b"\x32\x02\x00\x0b\x00")  # for ever
    host.send(150_000, b"\x42\xe0\x80")
    log = host.run()
    assert log[3][1] == Frame(0xD5, b"\x43\x01")
    assert log[3][0] - sending_us(frame(0xD5, b"\x43\x01")) - (log[2][0] - sending_us(ACK)) == 3200
    assert [event for _, event in log[4:]] == [Ack(), Frame(0xD5, b"\x33"), Ack()]


def test_the_field_is_idle_only_without_cards() -> None:
    host, one = Host(), card()
    assert host.reader.idle_field
    host.reader.place(one)
    assert not host.reader.idle_field
    host.reader.remove(one)
    host.reader.remove(one)
    assert host.reader.idle_field


def test_reset_forgets_what_the_host_has_set() -> None:
    host = Host()
    host.send(10_000, FINITE)
    host.kernel.at(50_000, host.reader.reset)
    host.kernel.at(60_000, host.line.a.write, WAKE_UP + frame(0xD4, LIST))
    assert [event for _, event in host.run()] == [Ack(), Frame(0xD5, b"\x33"), Ack()]
