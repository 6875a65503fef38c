"""How fast the kernel is, and asyncio on a time-jumping loop in the same run, so that ratios mean something.

`python benchmarks/kernel.py [--quick]` prints events per second, the best of three.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from rig.kernel import Channel, Kernel, collector_paused
from rig.pump import Pump


class JumpingLoop(asyncio.SelectorEventLoop):
    """asyncio with virtual time: the selector's wait moves the clock instead."""

    def __init__(self) -> None:
        self._at = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._at

    def jump(self, seconds: float) -> None:
        self._at += seconds


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self._loop.jump(timeout)
        return []


def in_asyncio(coro: Coroutine[Any, Any, None]) -> None:
    loop = JumpingLoop()
    try:
        loop.run_until_complete(coro)
    finally:
        loop.close()


def callbacks_kernel(count: int) -> None:
    kernel = Kernel()
    left = count

    def tick() -> None:
        nonlocal left
        left -= 1
        if left:
            kernel.after(10, tick)

    async def main() -> None:
        kernel.after(10, tick)
        await kernel.sleep(count)

    kernel.run(main(), until=count + 1)


def callbacks_asyncio(count: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        left = count

        def tick() -> None:
            nonlocal left
            left -= 1
            if left:
                loop.call_later(1e-5, tick)
            else:
                done.set_result(None)

        tick()
        await done

    in_asyncio(main())


def sleeps_kernel(count: int) -> None:
    kernel = Kernel()

    async def sleeper(seconds: float) -> None:
        for _ in range(count // 10):
            await kernel.sleep(seconds)

    async def main() -> None:
        for task in [kernel.spawn(sleeper(0.001 + number * 1e-5)) for number in range(10)]:
            await task.join()

    kernel.run(main(), until=count)


def sleeps_asyncio(count: int) -> None:
    async def sleeper(seconds: float) -> None:
        for _ in range(count // 10):
            await asyncio.sleep(seconds)

    async def main() -> None:
        await asyncio.gather(*(sleeper(0.001 + number * 1e-5) for number in range(10)))

    in_asyncio(main())


def hand_offs_kernel(count: int) -> None:
    kernel = Kernel()
    there: Channel[int] = Channel(kernel, "there")
    back: Channel[int] = Channel(kernel, "back")

    async def echo() -> None:
        while True:
            back.put(await there.recv(timeout=1))

    async def main() -> None:
        kernel.spawn(echo())
        for number in range(count // 2):
            there.put(number)
            await back.recv(timeout=1)
            if not number % 1000:
                await kernel.sleep(0.001)

    kernel.run(main())


def hand_offs_asyncio(count: int) -> None:
    async def main() -> None:
        there: asyncio.Queue[int] = asyncio.Queue()
        back: asyncio.Queue[int] = asyncio.Queue()

        async def echo() -> None:
            while True:
                async with asyncio.timeout(1):
                    back.put_nowait(await there.get())

        task = asyncio.create_task(echo())
        for number in range(count // 2):
            there.put_nowait(number)
            async with asyncio.timeout(1):
                await back.get()
        task.cancel()

    in_asyncio(main())


def fresh_kernel(count: int) -> None:
    for _ in range(count):
        kernel = Kernel()
        channels: list[Channel[int]] = [Channel(kernel, f"channel {number}") for number in range(10)]

        async def actor(number: int, channels: list[Channel[int]]) -> None:
            channels[(number + 1) % 10].put(await channels[number].recv())

        async def main(kernel: Kernel, channels: list[Channel[int]]) -> None:
            for number in range(10):
                kernel.spawn(actor(number, channels), name=f"actor {number}")
            channels[0].put(1)
            await kernel.sleep(0.001)
            await channels[0].recv()

        kernel.run(main(kernel, channels))


def fresh_asyncio(count: int) -> None:
    for _ in range(count):

        async def actor(number: int, queues: list[asyncio.Queue[int]]) -> None:
            queues[(number + 1) % 10].put_nowait(await queues[number].get())

        async def main() -> None:
            queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(10)]
            async with asyncio.TaskGroup() as group:
                for number in range(10):
                    group.create_task(actor(number, queues))
                queues[0].put_nowait(1)
                await asyncio.sleep(0.001)
                await queues[0].get()

        in_asyncio(main())


def best(work: Callable[[int], None], count: int) -> float:
    """Seconds for one of `count`."""
    taken = []
    with collector_paused():
        for _ in range(3):
            started = time.perf_counter()
            work(count)
            taken.append(time.perf_counter() - started)
    return min(taken) / count


def lateness(seconds: float) -> tuple[int, int, int]:
    """How late the first event of a tick is in real time: p50, p99, largest, in µs."""
    kernel = Kernel()

    async def main() -> None:
        for _ in range(int(seconds / 0.002)):
            await kernel.sleep(0.002)

    pump = Pump(kernel)
    pump.run(main())
    late = sorted(pump.lateness)
    return late[len(late) // 2], late[len(late) * 99 // 100], late[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, less exact")
    count = 20_000 if parser.parse_args().quick else 200_000
    rows = (
        ("callbacks", callbacks_kernel, callbacks_asyncio, count),
        ("coroutine sleeps", sleeps_kernel, sleeps_asyncio, count),
        ("hand-offs with a time-out", hand_offs_kernel, hand_offs_asyncio, count),
    )
    print(f"{'':<42}{'kernel':>12}{'asyncio':>12}{'ratio':>8}")
    for name, kernel_work, asyncio_work, number in rows:
        ours, theirs = best(kernel_work, number), best(asyncio_work, number)
        print(f"{name + ', events/s':<42}{1 / ours:>12,.0f}{1 / theirs:>12,.0f}{theirs / ours:>8.1f}")
    ours, theirs = best(fresh_kernel, count // 100), best(fresh_asyncio, count // 100)
    name = "fresh, 10 actors, 10 channels, close, µs"
    print(f"{name:<42}{ours * 1e6:>12.0f}{theirs * 1e6:>12.0f}{theirs / ours:>8.1f}")
    middle, high, largest = lateness(count / 100_000)
    print(f"real time, lateness of a tick: p50 {middle} µs, p99 {high} µs, largest {largest} µs")


if __name__ == "__main__":
    main()
