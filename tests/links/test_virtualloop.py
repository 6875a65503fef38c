"""The loop in virtual time: order, jumps, deadlock, failures, and what it refuses."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hardware.bridge import Bridge
from hardware.virtualloop import VirtualLoop
from rig.kernel import ActorError, Deadlock, Event, Horizon, Kernel, Livelock, Outside, Timeout


def test_timers_of_one_instant_fire_in_the_order_they_were_set() -> None:
    kernel, order = Kernel(), []
    with VirtualLoop(kernel) as loop:

        async def story() -> None:
            for number in range(50):
                loop.call_later(0.5, order.append, number)
            await kernel.sleep(1.0)

        loop.play(story(), 10)
    assert order == list(range(50))


def test_at_equal_times_the_kernel_runs_before_asyncio() -> None:
    kernel, order = Kernel(), []
    with VirtualLoop(kernel) as loop:

        async def story() -> None:
            loop.call_later(0.5, order.append, "asyncio")
            kernel.after(500_000, order.append, "kernel")
            await kernel.sleep(1.0)

        loop.play(story(), 10)
    assert order == ["kernel", "asyncio"]


def test_time_is_whole_microseconds_and_jumps() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:
        bridge = Bridge(kernel, loop)

        async def sleeper() -> int:
            for _ in range(200):
                await asyncio.sleep(0.005)
            return kernel.now

        async def story() -> int:
            return await bridge.task(sleeper(), "sleeper")

        assert loop.play(story(), 10) == 1_000_000


def test_a_timer_that_was_called_finds_that_it_is_time() -> None:
    kernel = Kernel()
    when, called = 3787.7184310000002, []  # 3,787,718,431 us, and a little more than that in seconds
    assert when > 3787718431 / 1e6
    with VirtualLoop(kernel) as loop:

        def close() -> None:
            called.append(kernel.now)
            if loop.time() < when:
                loop.call_at(when, close)

        async def story() -> None:
            loop.call_at(when, close)
            await kernel.sleep(4000.0)

        loop.play(story(), 5000)
    assert called == [3_787_718_431]


def test_time_never_goes_back() -> None:
    kernel, times = Kernel(), []
    with VirtualLoop(kernel) as loop:

        async def story() -> None:
            loop.call_at(0.0000107, lambda: times.append(loop.time()))
            loop.call_at(0.0000111, lambda: times.append(loop.time()))
            loop.call_at(0.0000118, lambda: times.append(loop.time()))
            await kernel.sleep(1.0)
            times.append(loop.time())

        loop.play(story(), 10)
    assert times == [0.0000111, 0.0000111, 0.000012, 1.0]


@pytest.mark.parametrize("again", ["soon", "timer"])
def test_turns_without_time_are_a_livelock(again: str) -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:

        def once_more() -> None:
            if again == "soon":
                loop.call_soon(once_more)
            else:
                loop.call_at(0.5, once_more)

        async def story() -> None:
            loop.call_later(0.5, once_more)
            await kernel.sleep(1.0)

        with pytest.raises(Livelock, match=r"more than 200000 turns of the loop at 500000 us\n"):
            loop.play(story(), 10)


def test_many_turns_in_many_instants_are_no_livelock() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:
        bridge = Bridge(kernel, loop)

        async def busy() -> int:
            for _ in range(3):
                for _ in range(100_000):
                    await asyncio.sleep(0)
                await asyncio.sleep(0.001)
            return kernel.now

        async def story() -> int:
            return await bridge.task(busy(), "busy")

        assert loop.play(story(), 10) == 3000


def test_task_and_actor_wait_for_each_other() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:
        bridge = Bridge(kernel, loop)

        async def double(number: int) -> int:
            await kernel.sleep(1.0)
            return 2 * number

        async def ask() -> int:
            return await bridge.actor(double(21), "double")

        async def story() -> int:
            return await bridge.task(ask(), "ask")

        assert loop.play(story(), 10) == 42
    assert kernel.now == 1_000_000


def test_failures_cross_the_bridge() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:
        bridge = Bridge(kernel, loop)

        async def bad() -> None:
            raise ValueError("bad")

        async def ask() -> None:
            await bridge.actor(bad(), "bad")

        async def story() -> str:
            try:
                await bridge.task(ask(), "ask")
            except ValueError as error:
                return str(error)
            return ""

        assert loop.play(story(), 10) == "bad"


def test_who_gives_up_cancels_the_task() -> None:
    kernel = Kernel()
    ended = []
    with VirtualLoop(kernel) as loop:
        bridge = Bridge(kernel, loop)

        async def endless() -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append(kernel.now)

        async def story() -> None:
            with pytest.raises(Timeout), kernel.timeout(2.0):
                await bridge.task(endless(), "endless")
            await kernel.sleep(1.0)

        loop.play(story(), 10)
    assert ended == [2_000_000]


def test_a_deadlock_across_both_is_told_at_once() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:

        async def story() -> None:
            await Event[int](kernel, "what never comes").wait()

        with pytest.raises(Deadlock, match="what never comes"):
            loop.play(story(), 10)


def test_the_bound_on_time_holds_for_asyncio_too() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:
        bridge = Bridge(kernel, loop)

        async def story() -> None:
            await bridge.task(asyncio.sleep(100), "long")

        with pytest.raises(Horizon):
            loop.play(story(), 10)


def test_a_failed_callback_fails_the_run() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:

        def bad() -> None:
            raise ValueError("bad callback")

        async def story() -> None:
            loop.call_later(1.0, bad)
            await kernel.sleep(2.0)

        with pytest.raises(ActorError, match="bad callback"):
            loop.play(story(), 10)


def test_the_kernel_is_touched_from_tasks_only_by_post() -> None:
    kernel = Kernel()
    with VirtualLoop(kernel) as loop:

        async def trespass() -> None:
            kernel.after(1, print)

        async def story() -> None:
            await Bridge(kernel, loop).task(trespass(), "trespass")

        with pytest.raises(Outside):
            loop.play(story(), 10)


def test_sockets_threads_and_executors_are_refused() -> None:
    with VirtualLoop(Kernel()) as loop:

        async def try_all() -> None:
            with pytest.raises(RuntimeError, match="virtual time"):
                await loop.run_in_executor(None, print)
            with pytest.raises(RuntimeError, match="virtual time"):
                await loop.create_connection(asyncio.Protocol, "localhost", 1)
            with pytest.raises(RuntimeError, match="virtual time"):
                await loop.create_server(asyncio.Protocol, "localhost", 1)
            errors = []

            def elsewhere() -> None:
                try:
                    loop.call_soon_threadsafe(print)
                except RuntimeError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            assert len(errors) == 1 and "another thread" in errors[0]

        loop.run_until_complete(try_all())


def test_what_is_left_ends_without_time_passing() -> None:
    kernel = Kernel()
    ended = []
    loop = VirtualLoop(kernel)

    async def endless() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def story() -> None:
        kernel.after(0, lambda: loop.create_task(endless()))
        await kernel.sleep(1.0)

    loop.play(story(), 10)
    loop.shutdown()
    assert ended == [True] and loop.is_closed()
    assert kernel.now == 1_000_000


@pytest.mark.parametrize("debug", [False, True])
def test_callbacks_run_in_order_and_a_closed_loop_takes_none(debug: bool) -> None:
    """With asyncio's debugging as without."""
    seen: list[int] = []
    loop = VirtualLoop(Kernel())
    loop.set_debug(debug)

    async def story() -> None:
        for number in range(3):
            loop.call_soon(seen.append, number)
        loop.call_soon(seen.append, 3).cancel()
        await asyncio.sleep(0)

    with loop:
        loop.run_until_complete(story())
    assert seen == [0, 1, 2]
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(seen.append, 4)


def test_a_failure_is_noticed_though_something_is_always_ready() -> None:
    """The loop looks for it before each turn, not only before it waits."""
    with VirtualLoop(Kernel()) as loop:

        def again() -> None:
            loop.call_soon(again)

        async def story() -> None:
            again()
            loop.call_soon(lambda: 1 // 0)
            await loop.kernel.sleep(1.0)

        with pytest.raises(ActorError, match="ZeroDivisionError|division"):
            loop.play(story(), until=2.0)


def test_what_asyncio_has_ready_is_work_of_this_instant() -> None:
    """Idle time must not be left out before callbacks that are ready have said what they wait for."""
    kernel, found = Kernel(), []
    with VirtualLoop(kernel) as loop:

        def ready() -> None:
            loop.call_later(0.2, found.append, "later")

        async def story() -> None:
            kernel.after(1_000_000, found.append, "far")
            kernel.post(loop.call_soon, ready)
            kernel.after(0, lambda: found.append(kernel.next_work()))
            await kernel.sleep(0.1)
            found.append(kernel.next_work())
            await kernel.sleep(0.3)

        loop.play(story(), 10)
    assert found == [0, 200_000, "later"]
