"""What every serial and text line of a bench must do, simulated or real."""

from __future__ import annotations

from rig.channels import Channel
from tests.hardware.conftest import RunSerial, SerialBench

EVERY_BYTE = bytes(range(256)) * 20
"""5 KiB: more than a pseudo-terminal's buffer; and every value, for a terminal that is not raw eats some."""


async def gather(arrived: Channel[bytes], count: int) -> bytes:
    got = b""
    while len(got) < count:
        got += await arrived.recv(5)
    return got


def test_every_byte_value_arrives_in_order_both_ways(run_serial: RunSerial) -> None:
    async def story(bench: SerialBench) -> None:
        for here, there in ((bench.bytes_a, bench.bytes_b), (bench.bytes_b, bench.bytes_a)):
            arrived: Channel[bytes] = Channel(bench.kernel, "bytes")
            there.on_bytes(arrived.put)
            here.write(EVERY_BYTE)
            here.write(b"end")
            assert await gather(arrived, len(EVERY_BYTE) + 3) == EVERY_BYTE + b"end"

    run_serial(story)


def test_nothing_is_echoed(run_serial: RunSerial) -> None:
    async def story(bench: SerialBench) -> None:
        arrived: Channel[bytes] = Channel(bench.kernel, "bytes")
        echoed: list[bytes] = []
        bench.bytes_b.on_bytes(arrived.put)
        bench.bytes_a.on_bytes(echoed.append)
        bench.bytes_a.write(b"\r\nM FL U 1\r\n")
        assert await gather(arrived, 12) == b"\r\nM FL U 1\r\n"
        await bench.kernel.sleep(0.02)
        assert echoed == []

    run_serial(story)


def test_text_lines_arrive_whole_and_in_order_both_ways(run_serial: RunSerial) -> None:
    async def story(bench: SerialBench) -> None:
        for here, there in ((bench.text_a, bench.text_b), (bench.text_b, bench.text_a)):
            arrived: Channel[str] = Channel(bench.kernel, "lines")
            there.on_line(arrived.put)
            sent = [f"V {mv}" for mv in range(0, 12_600, 100)]
            for line in sent:
                here.write(line)
            assert [await arrived.recv(2) for _ in sent] == sent

    run_serial(story)
