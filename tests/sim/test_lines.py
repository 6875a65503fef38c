"""Serial and text lines: byte times, order, tampering."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rig.kernel import Kernel
from rig.ports import SerialLine, TextLine
from rig.sim.textline import DELAY_US, SimText, TextEnd
from rig.sim.uart import SimUart, UartEnd


def run(kernel: Kernel, seconds: float) -> None:
    async def main() -> None:
        await kernel.sleep(seconds)

    kernel.run(main(), until=seconds + 1)


def are_ports(uart: UartEnd, text: TextEnd) -> tuple[SerialLine, TextLine]:
    """For mypy: the simulated ends are what the world plugs into."""
    return uart, text


def test_a_burst_arrives_whole_with_its_last_byte() -> None:
    kernel, log = Kernel(), list[tuple[int, bytes]]()
    line = SimUart(kernel)
    line.b.on_bytes(lambda data: log.append((kernel.now, data)))
    line.a.write(b"123456")
    assert not line.idle
    run(kernel, 0.01)
    # 60 bits at 115,200 bit/s are 520.8 µs.
    assert log == [(521, b"123456")]
    assert line.idle


def test_writes_queue_behind_each_other_and_directions_do_not() -> None:
    kernel, log = Kernel(), list[tuple[int, str, bytes]]()
    line = SimUart(kernel, baud=1_000_000)
    line.a.on_bytes(lambda data: log.append((kernel.now, "a", data)))
    line.b.on_bytes(lambda data: log.append((kernel.now, "b", data)))
    line.a.write(b"12")
    line.a.write(b"")
    line.a.write(b"3")
    line.b.write(b"x")
    run(kernel, 0.01)
    assert log == [(10, "a", b"x"), (20, "b", b"12"), (30, "b", b"3")]


def test_tampering_changes_one_direction_and_no_time() -> None:
    kernel, log = Kernel(), list[tuple[int, bytes]]()
    line = SimUart(kernel, baud=1_000_000)
    line.a.on_bytes(lambda data: log.append((kernel.now, data)))
    line.b.on_bytes(lambda data: log.append((kernel.now, data)))
    line.a.tamper = lambda data: data[1:]
    for data in (b"12", b"3"):
        line.a.write(data)
    line.b.write(b"12345")
    run(kernel, 0.01)
    assert log == [(20, b"2"), (50, b"12345")]


def test_a_new_rate_holds_for_what_is_written_afterwards() -> None:
    kernel, log = Kernel(), list[int]()
    line = SimUart(kernel, baud=1_000_000)
    line.b.on_bytes(lambda _: log.append(kernel.now))
    line.a.write(b"1")
    line.baud = 100_000
    line.a.write(b"2")
    run(kernel, 0.01)
    assert log == [10, 110]


@given(
    writes=st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=40)), max_size=20),
    baud=st.sampled_from((9_600, 115_200, 921_600)),
)
def test_no_byte_is_lost_reordered_or_early(writes: list[tuple[int, bytes]], baud: int) -> None:
    kernel, log = Kernel(), list[tuple[int, bytes]]()
    line = SimUart(kernel, baud)
    line.b.on_bytes(lambda data: log.append((kernel.now, data)))
    writes.sort(key=lambda write: write[0])
    for us, data in writes:
        kernel.at(us, line.a.write, data)
    run(kernel, 2)
    assert [data for _, data in log] == [data for _, data in writes]
    free = 0.0
    for (at, data), (written, _) in zip(log, writes, strict=True):
        free = max(free, written) + len(data) * 10e6 / baud
        assert free <= at < free + len(log)


def test_text_keeps_the_order_and_is_idle_afterwards() -> None:
    kernel, log = Kernel(), list[tuple[int, str]]()
    line = SimText(kernel)
    line.b.on_line(lambda text: log.append((kernel.now, text)))
    line.a.write("V 12600")
    line.a.write("F FL L")
    line.b.write("M FL U 1")
    assert not line.idle
    run(kernel, 0.01)
    assert log == [(DELAY_US, "V 12600"), (DELAY_US, "F FL L")]
    assert line.idle
