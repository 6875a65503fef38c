"""The looks at the reader's line, the reader and its cards; and what a single look does not tell."""

from __future__ import annotations

import pytest

from rig.protocol import pn532
from rig.scenario import Fault, Intent, Scenario
from rig.sim.uart import SimUart
from tests.world.look import Look
from tests.world.stage import Stage

ORIGIN_US = 3_000_000
PROBE = b"\x55\x66\x77\x88\x99\xaa"
"""Nothing that a PN532 or its host would take for a frame."""
FIRMWARE = pn532.frame(pn532.HOST_TO_READER, bytes((pn532.GET_FIRMWARE_VERSION,)))
Bursts = tuple[tuple[int, str], ...]


def line_of(stage: Stage) -> SimUart:
    """The line itself, which shows what is really on it."""
    uart = stage.world.edges._uart  # type: ignore[attr-defined]  # simulated lines
    assert isinstance(uart, SimUart)
    return uart


async def line(stage: Stage) -> tuple[Bursts, Bursts]:
    """What becomes of a burst in either direction, in ms and hex."""
    world, kernel, uart = stage.world, stage.kernel, line_of(stage)
    out: list[tuple[int, bytes]] = []
    back: list[tuple[int, bytes]] = []
    # The DUT's own polls must not be mixed up with the probe.
    uart.b.tamper = lambda data: data if data == PROBE else b""
    await kernel.sleep(0.15)
    began = kernel.now

    def spy(data: bytes) -> bytes:
        out.append((kernel.now - began, data))
        return b""

    uart.a.tamper = spy
    world.reader_line.on_bytes(lambda data: back.append((kernel.now - began, data)))
    world.reader_line.write(PROBE)
    uart.b.write(PROBE)
    await kernel.sleep(0.06)
    uart.a.tamper = uart.b.tamper = None
    world.reader_line.on_bytes(world.reader._bytes)
    await kernel.sleep(0.3)
    return tuple((t // 1000, d.hex()) for t, d in out), tuple((t // 1000, d.hex()) for t, d in back)


async def reader(stage: Stage) -> str:
    """What the reader answers to a command, and whether it ever is as after power-on meanwhile."""
    world, kernel, uart = stage.world, stage.kernel, line_of(stage)
    said = b""
    slept = False
    for _ in range(12):
        await kernel.sleep(0.05)
        slept = slept or world.reader._asleep

    def spy(data: bytes) -> bytes:
        nonlocal said
        said += data
        return b""

    # The DUT's own commands must not be mixed up with this one.
    uart.b.tamper = lambda _data: b""
    await kernel.sleep(0.06)
    uart.a.tamper = spy
    world.reader._bytes(pn532.WAKE_UP + FIRMWARE)
    await kernel.sleep(0.01)
    uart.a.tamper = uart.b.tamper = None
    names = {
        b"": "nothing",
        pn532.NACK: "NACK",
        pn532.ERROR: "error frame",
        pn532.ACK + pn532.frame(pn532.READER_TO_HOST, bytes.fromhex("0332010607")): "its version",
    }
    await kernel.sleep(0.3)
    return names.get(said, said.hex()) + (", asleep" if slept else "")


async def card(stage: Stage) -> tuple[int, int]:
    """How many cards are in the field when one was brought, and after how many ms it answers; -1: it does not."""
    world, kernel = stage.world, stage.kernel
    began, asked = kernel.now, [0]
    world.reader.on_step = lambda name: asked.append(kernel.now) if name == "serial.ack" else None
    world.reader.place(world.card)
    await kernel.sleep(1.4)
    world.reader.on_step = None
    in_field = len(world.reader.field)
    world.reader.remove(world.card)
    await kernel.sleep(0.8)
    answers = [e[0] for e in stage.of("auth", began)]
    if not answers:
        return in_field, -1
    return in_field, (answers[0] - max(t for t in asked if t <= answers[0])) // 1000


HALF, REST = PROBE[:3].hex(), PROBE[3:].hex()
STALLED: Bursts = ((0, HALF), (30, REST))
WHOLE: Bursts = ((0, PROBE.hex()),)
LINE_OK = (WHOLE, WHOLE)


def lost(out: Bursts, back: Bursts) -> Look:
    return Look(line, LINE_OK, (out, back), takes_s=0.6)


def both(*bursts: tuple[int, str]) -> Look:
    return lost(bursts, bursts)


LOOKS: dict[str, Look] = {
    "serial.cut": lost((), ()),
    "serial.rx_cut": lost((), WHOLE),
    "serial.tx_cut": lost(WHOLE, ()),
    "serial.garbled": both((0, "5566678899ba")),
    "serial.truncated": both((0, PROBE[:-2].hex())),
    "serial.stalled": Look(line, LINE_OK, (STALLED, STALLED), takes_s=0.6, lag_s=0.2),
    "serial.duplicated": both((0, PROBE.hex()), (0, PROBE.hex())),
    "serial.baud_wrong": both((0, "90eac4")),
    "serial.reader_dead": Look(reader, "its version", "nothing, asleep", takes_s=1.1, lag_s=1.0),
    "serial.reader_nack": Look(reader, "its version", "NACK", takes_s=1.1),
    "serial.reader_error_frames": Look(reader, "its version", "error frame", takes_s=1.1),
    "serial.reader_reboots": Look(reader, "its version", "its version, asleep", takes_s=1.1, lag_s=1.0),
    "serial.card_torn": Look(card, (1, 30), (0, -1), takes_s=2.3, lag_s=0.8),
    "serial.card_two": Look(card, (1, 30), (2, -1), takes_s=2.3, lag_s=0.8),
    "serial.card_slow": Look(card, (1, 30), (1, 200), takes_s=2.3, lag_s=0.8),
    "serial.card_too_slow": Look(card, (1, 30), (1, -1), takes_s=2.3, lag_s=0.8),
}


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def opened(*faults: Fault, at_s: float = 1.0) -> int | None:
    """How many µs after the tap the doors are open; None: not in time."""
    stage = Stage(Scenario(timeline=(*faults, Intent("unlock", us(at_s), "card"))))

    async def act() -> None:
        await stage.kernel.sleep(ORIGIN_US / 1e6 + at_s + 7)

    stage.play(act, story=True)
    tap = stage.of("tap")[0][0]
    latches = stage.of("latch", tap)
    return latches[-1][0] - tap if latches and latches[-1][0] - tap < us(1) else None


@pytest.mark.parametrize("step", ["serial.command", "serial.ack", "serial.response"])
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_line_cut_at_a_step_keeps_the_driver_out_until_it_ends(step: str, nth: int) -> None:
    assert opened(Fault("serial.cut", us(1), us(9), (), step, nth)) is None
    assert opened(Fault("serial.cut", us(1), us(5), (), step, nth), at_s=8.0) is not None


@pytest.mark.parametrize("mode", [m for m in LOOKS if m != "serial.card_slow"])
def test_the_reader_works_again_when_all_is_over(mode: str) -> None:
    latency = opened(Fault(mode, 0, us(3)), at_s=4.0)
    assert latency is not None
    assert latency < us(1)


@pytest.mark.parametrize("ms", [31, 100, 200])
def test_a_card_that_is_slow_within_its_time_opens(ms: int) -> None:
    fast, slow = opened(), opened(Fault("serial.card_slow", 0, None, (("ms", ms),)))
    assert fast is not None
    assert slow is not None
    assert abs(slow - fast - (ms - 30) * 1000) < 1000
