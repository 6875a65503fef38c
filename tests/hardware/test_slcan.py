"""The slcan language: the adapter's answers, strictness, noise, and hosts that others wrote."""

from __future__ import annotations

import asyncio
import contextlib

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.bytestream import PortError, open_pty, open_url
from hardware.canport import SlcanLink
from hardware.ecuprocess import AdapterLink
from hardware.slcan import ACK, MAX_LINE, NAK, SlcanAdapter, SlcanHost, decode_frame, encode_frame
from rig.pump import realtime_loop

ids = st.integers(0, 0x7FF)
payloads = st.binary(max_size=8)


class Adapter:
    """An adapter with what it told."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.states: list[bool] = []
        self.slcan = SlcanAdapter(lambda i, d: self.frames.append((i, d)), self.states.append)

    def say(self, text: str) -> bytes:
        return self.slcan.feed(text.encode())


@pytest.fixture
def adapter() -> Adapter:
    return Adapter()


@pytest.fixture
def opened(adapter: Adapter) -> Adapter:
    assert adapter.say("S6\rO\r") == ACK + ACK
    return adapter


@given(ids, payloads)
def test_a_frame_survives_the_line(can_id: int, data: bytes) -> None:
    line = encode_frame(can_id, data)
    assert line.endswith(b"\r")
    assert decode_frame(line[:-1]) == (can_id, data)


@pytest.mark.parametrize(
    "line",
    [b"", b"t", b"t123", b"t1239" + b"00" * 9, b"t12321", b"t1232112", b"t12g0", b"tFFF0", b"t800",
     b"t123200 1", b"T123", b"t1231-1", b"t1232\xff\xff00"],
)  # fmt: skip
def test_what_is_not_exactly_a_frame_is_none(line: bytes) -> None:
    assert decode_frame(line) is None


def test_identifiers_and_lengths_of_other_buses_are_refused() -> None:
    with pytest.raises(ValueError, match="11 bits"):
        encode_frame(0x800, b"")
    with pytest.raises(ValueError, match="at most 8"):
        encode_frame(1, bytes(9))


def test_the_channel_opens_after_a_bit_rate_only_and_tells_so(adapter: Adapter) -> None:
    assert adapter.say("O\r") == NAK
    assert adapter.say("S6\rO\rO\rS6\rC\rC\r") == ACK + ACK + NAK + NAK + ACK + NAK
    assert adapter.states == [True, False]
    assert adapter.slcan.refused == 4


def test_frames_pass_on_an_open_channel_only(adapter: Adapter) -> None:
    assert adapter.say("t1230\r") == NAK
    assert adapter.slcan.transmit(0x1A0, b"\x01") == b""
    adapter.say("S6\rO\r")
    assert adapter.say("t12321122\r") == b"z\r"
    assert adapter.slcan.transmit(0x1A0, b"\xab") == b"t1A01AB\r"
    assert adapter.frames == [(0x123, b"\x11\x22")]


def test_listen_only_does_not_send(adapter: Adapter) -> None:
    adapter.say("S6\rL\r")
    assert adapter.say("t1230\r") == NAK
    assert adapter.slcan.transmit(1, b"") == b"t0010\r"


def test_frames_of_other_kinds_are_taken_and_nobody_hears_them(opened: Adapter) -> None:
    assert opened.say("T1234567821122\rr1232\rR123456782\r") == b"Z\rz\rZ\r"
    assert opened.say("T1234567821\rr8002\rRFFFFFFFF0\r") == NAK * 3
    assert opened.frames == []
    assert opened.slcan.foreign_frames == 3


def test_questions_are_answered(opened: Adapter) -> None:
    assert opened.say("V\rN\rF\r\r") == b"V1013\rNURIG\rF00\r\r"
    assert opened.say("Q\rVx\rS\r") == NAK * 3


def test_time_stamps_on_demand(opened: Adapter) -> None:
    assert opened.say("Z1\r") == ACK
    line = opened.slcan.transmit(0x123, b"\x01")
    assert line == b"t1231010000\r"
    assert decode_frame(line[:-1]) == (0x123, b"\x01")


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_noise_never_becomes_a_frame_of_its_own_making_nor_fills_memory(chunks: list[bytes]) -> None:
    frames: list[tuple[int, bytes]] = []
    slcan = SlcanAdapter(lambda i, d: frames.append((i, d)), lambda is_open: None)
    slcan.feed(b"S6\rO\r")
    for chunk in chunks:
        slcan.feed(chunk)
    assert len(slcan._buffer) <= MAX_LINE + 80
    lines = b"".join(chunks).split(b"\r")
    assert all(encode_frame(*frame)[1:-1].lower() in b"\r".join(lines).lower() for frame in frames)


@given(st.lists(st.tuples(ids, payloads), max_size=30), st.integers(1, 40))
def test_host_and_adapter_agree_however_the_bytes_are_cut(sent: list[tuple[int, bytes]], size: int) -> None:
    there: list[tuple[int, bytes]] = []
    back: list[tuple[int, bytes]] = []
    adapter = SlcanAdapter(lambda i, d: there.append((i, d)), lambda is_open: None)
    host = SlcanHost(lambda i, d: back.append((i, d)))
    out = host.command("S6") + host.command("O")
    answers = adapter.feed(out)
    for frame in sent:
        answers += adapter.feed(host.frame(*frame)) + adapter.transmit(*frame)
    for at in range(0, len(answers), size):
        host.feed(answers[at : at + size])
    assert there == back == sent
    assert (host.pending, host.refused, host.garbled) == (0, [], 0)
    assert host.acked == len(sent) + 2


def test_the_host_names_what_was_refused() -> None:
    host = SlcanHost(lambda i, d: None)
    host.command("S6")
    host.command("O")
    host.feed(b"\r\a")
    assert host.refused == ["O"]


def test_a_garbled_line_is_counted_and_the_next_frame_is_heard() -> None:
    heard: list[int] = []
    host = SlcanHost(lambda i, d: heard.append(i))
    host.feed(b"t12\rt1239\xff\xfe\rt1230\r" + b"x" * 100 + b"\rt1240\r")
    assert heard == [0x123, 0x124]
    assert host.garbled == 3


def test_stock_python_can_slcan_opens_sends_and_hears() -> None:
    """Its `slcan` is what many low-cost adapters are used with: it must find one in our pseudo-terminal."""
    heard: list[tuple[int, bytes]] = []
    states: list[bool] = []

    def use(path: str) -> list[can.Message]:
        bus = can.Bus(interface="slcan", channel=path, bitrate=500_000, sleep_after_open=0)
        try:
            bus.send(can.Message(arbitration_id=0x1B0, data=b"\x01\x02", is_extended_id=False))
            got: list[can.Message] = []
            for _ in range(100):
                message = bus.recv(0.1)
                if message is not None:
                    got.append(message)
                if len(got) == 2:
                    break
            return got
        finally:
            bus.shutdown()

    async def host() -> list[can.Message]:
        ours, path = open_pty(asyncio.get_running_loop(), "can")
        link = AdapterLink(ours, states.append)

        def answer(can_id: int, data: bytes) -> None:
            heard.append((can_id, data))
            link.send(0x1A0, b"\xaa")
            link.send(0x1A0, bytes(8))

        link.on_frame(answer)
        try:
            got = await asyncio.to_thread(use, path)
            await asyncio.sleep(0.05)
            return got
        finally:
            link.close()

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        got = runner.run(host())
    assert heard == [(0x1B0, b"\x01\x02")]
    assert [(m.arbitration_id, bytes(m.data)) for m in got] == [(0x1A0, b"\xaa"), (0x1A0, bytes(8))]
    assert states[0] is False
    assert states[-1] is True


def _with_pty(answer: bytes | None) -> str:
    """What opening an adapter says that answers every command with `answer`."""

    async def host() -> str:
        loop = asyncio.get_running_loop()
        ours, path = open_pty(loop, "can")
        if answer is not None:
            ours.on_bytes(lambda data: ours.write(answer * data.count(b"\r")))
        link = SlcanLink(open_url(loop, path, 115_200, "can"), 500_000, "can (here)", dut_behind=True)
        try:
            await link.open()
            return "opened"
        except PortError as error:
            return str(error)
        finally:
            link.close()
            ours.close()

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        return runner.run(host())


def test_a_silent_adapter_is_named() -> None:
    assert "can (here): no answer" in _with_pty(None)


def test_a_refusing_adapter_is_named() -> None:
    assert "can (here): the adapter refused S6 and O" in _with_pty(NAK)


def test_a_refused_frame_is_a_lost_port_not_silence() -> None:
    async def host() -> str:
        loop = asyncio.get_running_loop()
        ours, path = open_pty(loop, "can")
        adapter = AdapterLink(ours, lambda off: None)
        link = SlcanLink(open_url(loop, path, 115_200, "can"), 500_000, "can (here)", dut_behind=True)
        lost: asyncio.Future[str] = loop.create_future()
        link.on_lost(lost.set_result)
        with contextlib.closing(adapter), contextlib.closing(link):
            await link.open()
            # The adapter is reset behind our back.
            adapter._adapter.feed(b"C\r")
            link.send(0x1B0, b"")
            return await asyncio.wait_for(lost, 2)

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        assert "can (here): the adapter refused the command 't'" in runner.run(host())
