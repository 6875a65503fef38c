"""What a frame costs on the simulated bus, kernel included, the best of five.

`python benchmarks/canbus.py [--quick]` prints µs a frame for bursts, single frames and a flood.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from rig.kernel import Kernel, collector_paused
from rig.sim.canbus import SimBus, SimNode

PAYLOAD = bytes(8)


def _nobody(_can_id: int, _data: bytes) -> None:
    """Hears and does nothing."""


def _bus(kernel: Kernel, log: list[tuple[int, int, bytes, str]]) -> list[SimNode]:
    """Five nodes, two of which hear a frame each, as around the DUT; every frame is kept."""
    bus = SimBus(kernel, on_frame=lambda *frame: log.append(frame))
    heard = frozenset({0x1A0, 0x2A0})
    names = ("ecu", "tcu", "module", "gateway", "tester")
    return [bus.node(name, _nobody, heard if index < 3 else frozenset()) for index, name in enumerate(names)]


def _run(kernel: Kernel, us: int) -> None:
    async def main() -> None:
        await kernel.sleep(us / 1e6)

    kernel.run(main(), until=us / 1e6 + 1)


def burst(count: int) -> None:
    """A long ISO-TP transfer: all frames queued at once."""
    kernel, log = Kernel(), list[tuple[int, int, bytes, str]]()
    tcu = _bus(kernel, log)[1]
    for _ in range(count // 20):
        for _ in range(20):
            tcu.send(0x2A0, PAYLOAD)
    _run(kernel, count * 270 + 1)
    assert len(log) == count


def chain(count: int) -> None:
    """Each frame is sent when the last was heard: an idle bus every time, no other event."""
    kernel, log = Kernel(), list[tuple[int, int, bytes, str]]()
    left = count - 1
    bus = SimBus(kernel, on_frame=lambda *frame: log.append(frame))

    def heard(_can_id: int, _data: bytes) -> None:
        nonlocal left
        if left:
            left -= 1
            answering.send(0x1A0, PAYLOAD)

    answering = bus.node("ecu", _nobody, frozenset())
    bus.node("tcu", heard, frozenset({0x1A0}))
    answering.send(0x1A0, PAYLOAD)
    _run(kernel, count * 270 + 1)
    assert len(log) == count


def flooded(count: int) -> None:
    """A transfer while the bus is flooded (collapsed)."""
    kernel, log = Kernel(), list[tuple[int, int, bytes, str]]()
    nodes = _bus(kernel, log)
    nodes[0]._bus.set_flood(True)
    for _ in range(count):
        nodes[1].send(0x2A0, PAYLOAD)
    _run(kernel, (count + 1) * 270)
    assert len(log) == count


def measure(play: Callable[[int], None], count: int) -> float:
    """Best of five, in µs a frame."""
    best = float("inf")
    for _ in range(5):
        with collector_paused():
            begin = time.perf_counter()
            play(count)
            best = min(best, time.perf_counter() - begin)
    return best / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the frames")
    count = 10_000 if parser.parse_args().quick else 100_000
    for play in (burst, chain, flooded):
        print(f"{play.__name__:10} {measure(play, count):6.2f} us a frame")


if __name__ == "__main__":
    main()
