"""The processor model: cost, order, fairness, and floods that are only counted."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from hardware.ecu.cpu import CAN, QUEUE_LIMIT, UART, WIRE, Cpu, Item, Output
from hardware.ecu.timers import Timers
from rig.protocol import vcp


def processor() -> tuple[Cpu, Timers, list[Output]]:
    out: list[Output] = []
    timers = Timers()
    cpu = Cpu(0, timers, out)
    for source, name in ((CAN, "can"), (UART, "uart"), (WIRE, "wire")):

        def work(item: Item, name: str = name) -> None:
            if item == b"sign":
                cpu.charge(cpu.SIGNATURE_US)
            cpu.emit(("log", name))

        cpu.connect(source, work)
    return cpu, timers, out


def drain(cpu: Cpu, out: list[Output], until_us: int) -> list[tuple[int, str]]:
    """Ticks at every deadline until then; gives when what came out."""
    seen = []
    while True:
        deadline = cpu.alarm()
        if deadline > until_us:
            return seen
        cpu.tick(deadline)
        seen += [(deadline, str(o[1])) for o in out]
        out.clear()


def test_a_result_appears_when_the_work_is_done() -> None:
    cpu, _, out = processor()
    cpu.input(CAN, 1000, (1, b""))
    assert out == []
    assert cpu.alarm() == 1040
    assert drain(cpu, out, 10_000) == [(1040, "can")]
    cpu.input(UART, 2000, b"sign")
    assert drain(cpu, out, 10_000) == [(3040, "uart")]


def test_round_robin_while_busy() -> None:
    cpu, _, out = processor()
    cpu.input(CAN, 0, (1, b""))
    for _ in range(5):
        cpu.input(CAN, 10, (1, b""))
    cpu.input(UART, 11, b"x")
    cpu.input(WIRE, 12, "F FL U")
    order = [name for _, name in drain(cpu, out, 10_000)]
    assert order.index("uart") <= 2
    assert order.index("wire") <= 3
    assert order.count("can") == 6


def test_a_full_queue_drops_and_the_wait_is_bounded() -> None:
    cpu, timers, out = processor()
    fired: list[int] = []
    timer = timers.timer(lambda: fired.append(cpu.now))
    timers.set(timer, 500)
    for n in range(1000):
        cpu.input(CAN, n // 10, (1, b""))
    cpu.input(UART, 100, b"x")
    times = drain(cpu, out, 100_000)
    assert len([t for t in times if t[1] == "can"]) <= QUEUE_LIMIT + 4
    assert next(at for at, name in times if name == "uart") <= 300
    assert fired[0] <= 700


def test_timers_fire_in_the_order_they_were_set() -> None:
    cpu, timers, out = processor()
    order: list[int] = []
    alarms = [timers.timer(lambda n=n: order.append(n)) for n in range(3)]  # type: ignore[misc]
    for n in (2, 0, 1):
        timers.set(alarms[n], 100)
    timers.set(alarms[0], 200)
    timers.set(alarms[0], 100)
    drain(cpu, out, 1000)
    assert order == [2, 1, 0]


@pytest.mark.parametrize("seed", range(20))
def test_a_collapsed_flood_costs_what_real_frames_cost(seed: int) -> None:
    """Frame by frame or counted: everything else comes out at the same instants."""
    rng = random.Random(seed)
    period = rng.randrange(60, 300)
    inputs = sorted((rng.randrange(500, 60_000), rng.choice((UART, WIRE))) for _ in range(60))

    def play(collapsed: bool) -> list[tuple[int, str]]:
        cpu, _, out = processor()
        quiet = cpu.connect(CAN, lambda _: None)
        assert quiet is not None
        if collapsed:
            cpu.flood(0, period)
        events = [(at, 1, source) for at, source in inputs]
        if not collapsed:
            events += [(at, 0, CAN) for at in range(period, 70_000, period)]
        seen = []
        for at, _, source in sorted(events):
            seen += drain(cpu, out, at - 1)
            item: Item = b"sign" if source == UART and at % 3 == 0 else b"x"
            cpu.input(source, at, item)
            seen += [(at, str(o[1])) for o in out]
            out.clear()
        return seen + drain(cpu, out, 100_000)

    real = play(False)
    assert len(real) == 60
    assert play(True) == real


@pytest.mark.parametrize("path", ["card", "bluetooth", "cloud"])
def test_a_flood_slows_nobody_by_more_than_200_ms(make_car: Any, path: str) -> None:
    def latency(flood: bool, collapse: bool) -> int:
        car = make_car(collapse=collapse)

        async def story() -> int:
            await car.boot()
            phone = car.phone("driver")
            if path != "card":
                await phone.handshake(path)
            await car.run_until(2_000_000)
            car.edges.bus.set_flood(flood)
            await car.run(0.1)
            start: int = car.kernel.now
            if path == "card":
                await car.tap(0.9)
            else:
                assert (await phone.send(vcp.UNLOCK, path)).fault == 0
            assert car.latches == "UUUU"
            return max(at for at, kind, _ in car.events if kind == "latch") - start

        result: int = car.kernel.run(story(), until=20)
        return result

    healthy = latency(False, True)
    collapsed, real = latency(True, True), latency(True, False)
    assert healthy <= collapsed <= healthy + 50_000
    assert abs(collapsed - real) < 2_000


def test_a_grid_is_kept_however_late_an_alarm_is() -> None:
    cpu, timers, out = processor()
    fired: list[int] = []

    def cycle() -> None:
        fired.append(cpu.now)
        timers.again(alarm, cpu.now)

    alarm = timers.timer(cycle, 100)
    timers.set(alarm, 100)
    cpu.input(UART, 90, b"sign")  # busy until 1130
    drain(cpu, out, 1500)
    assert fired == [1130, 1200, 1300, 1400, 1500]


def test_cyclic_alarms_pass_a_gap_on_their_own_grids_and_in_their_own_order() -> None:
    _, timers, _ = processor()
    order: list[str] = []
    slow = timers.timer(lambda: order.append("slow"), 250)
    fast = timers.timer(lambda: order.append("fast"), 100)
    once = timers.timer(lambda: order.append("once"))
    timers.set(fast, 300)
    timers.set(slow, 500)
    timers.set(once, 500)
    timers.pass_cyclic(490)
    assert (fast.at, slow.at, once.at) == (500, 500, 500)
    while timers.top() is not None:
        timers.pop().fire()
    # Lived through, slow would have been set at 250, and fast at 400.
    assert order == ["once", "slow", "fast"]
    timers.set(fast, 600)
    timers.set(slow, 750)
    timers.pass_cyclic(1750)
    assert (fast.at, slow.at) == (1800, 1750)


async def test_idle_deadlines_are_cyclic(car: Any) -> None:
    await car.boot()
    await car.run(0.05)
    assert car.ecu.deadline_is_cyclic
    before = car.kernel.next_work()
    assert before is None or before > car.kernel.now
    times = [at for at, can_id, _, _ in car.frames if can_id == 0x1A0]
    assert all(abs(b - a - 100_000) <= 100 for a, b in pairwise(times))
