"""The schedule: order, time, cancellation, idle work, and how a run ends when it cannot go on."""

from __future__ import annotations

import gc
import pickle
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from rig.kernel import (
    ActorError,
    Channel,
    Deadlock,
    Event,
    Handle,
    Horizon,
    Kernel,
    Livelock,
    Timeout,
    collector_paused,
)


def run_until(kernel: Kernel, seconds: float) -> None:
    async def main() -> None:
        await kernel.sleep(seconds)

    kernel.run(main(), until=seconds + 1)


def test_callbacks_fire_in_the_order_of_their_deadlines() -> None:
    kernel, log = Kernel(), list[tuple[int, str]]()
    for us in (30, 10, 20):
        kernel.at(us, lambda: log.append((kernel.now, "x")))
    run_until(kernel, 1)
    assert log == [(10, "x"), (20, "x"), (30, "x")]


def test_equal_deadlines_fire_first_come_first_served_whichever_door_they_came_by() -> None:
    kernel, log = Kernel(), list[str]()

    async def sleeper(name: str) -> None:
        await kernel.sleep(0.0001)
        log.append(name)

    kernel.at(100, log.append, "at")
    kernel.spawn(sleeper("early actor"))
    kernel.after(100, log.append, "after")
    kernel.cyclic(100, log.append, "cyclic")
    kernel.at(100, log.append, "at again")
    kernel.at(50, lambda: kernel.after(50, log.append, "later set"))
    run_until(kernel, 1)
    # The actor's sleep is set when it first runs, after the callbacks that were set before the run.
    assert log == ["at", "after", "cyclic", "at again", "early actor", "later set"]


def test_zero_delay_goes_behind_what_is_already_set_for_now() -> None:
    kernel, log = Kernel(), list[str]()

    def first() -> None:
        log.append("first")
        kernel.after(0, log.append, "zero 1")
        kernel.post(log.append, "posted")
        kernel.at(0, log.append, "past")
        kernel.after(0, log.append, "zero 2")

    kernel.at(10, first)
    kernel.at(10, log.append, "second")
    kernel.cyclic(10, log.append, "third")
    run_until(kernel, 1)
    assert log == ["first", "second", "third", "zero 1", "posted", "past", "zero 2"]


def test_now_is_the_deadline_and_does_not_drift() -> None:
    kernel, times = Kernel(), list[int]()

    async def main() -> None:
        for _ in range(200):
            await kernel.sleep(0.005)
            times.append(kernel.now)

    kernel.run(main())
    assert times == [5000 * (i + 1) for i in range(200)]


def test_cancelled_callbacks_do_not_happen() -> None:
    kernel, log = Kernel(), list[str]()
    one = kernel.at(10, log.append, "one")
    kernel.at(10, log.append, "two")
    three = kernel.after(10, log.append, "three")
    four = kernel.after(0, log.append, "four")
    kernel.at(5, kernel.cancel, three)
    kernel.cancel(one)
    kernel.cancel(one)
    kernel.cancel(four)
    run_until(kernel, 1)
    kernel.cancel(three)
    assert log == ["two"]


def test_a_callback_can_cancel_another_of_the_same_instant() -> None:
    kernel, log = Kernel(), list[str]()
    handles: list[Handle] = []
    kernel.at(10, lambda: kernel.cancel(handles[0]))
    handles.append(kernel.at(10, log.append, "not to be"))
    run_until(kernel, 1)
    assert log == []


def test_a_cancelled_callback_does_not_move_the_clock() -> None:
    kernel = Kernel()
    kernel.cancel(kernel.at(500, print))

    async def main() -> None:
        await Event[None](kernel, "never").wait()

    with pytest.raises(Deadlock, match="deadlock at 0 us"):
        kernel.run(main())


def test_cancelled_time_outs_do_not_pile_up() -> None:
    kernel = Kernel()
    channel: Channel[int] = Channel(kernel, "c")
    longest = 0

    async def main() -> None:
        nonlocal longest
        for number in range(20_000):
            kernel.after(1, channel.put, number)
            assert await channel.recv(timeout=1000) == number
            longest = max(longest, len(kernel._heap))

    kernel.run(main())
    assert longest < 2000


def test_events_counts_what_fired() -> None:
    kernel = Kernel()
    for us in range(10):
        kernel.at(us, lambda: None)
    kernel.cancel(kernel.at(3, print))
    run_until(kernel, 1)
    assert kernel.events == 10 + 2  # and the main actor's start and its one sleep


# Idle work


def test_next_work_sees_no_cyclic_and_no_cancelled_events() -> None:
    kernel = Kernel()
    assert kernel.next_work() is None
    kernel.cyclic(10, print)
    assert kernel.next_work() is None and kernel.next_event() == 10
    handle = kernel.at(20, print)
    kernel.at(30, print)
    assert kernel.next_work() == 20
    kernel.cancel(handle)
    assert kernel.next_work() == 30
    kernel.post(print)
    assert kernel.next_work() == 0
    kernel.close()


def cyclic_world(skip: bool) -> list[tuple[int, str]]:
    """Senders of several periods and some work; with `skip`, idle seconds are skipped."""
    kernel, log = Kernel(), list[tuple[int, str]]()

    def every(period: int, name: str) -> None:
        log.append((kernel.now, name))
        kernel.cyclic(kernel.now + period, every, period, name)

    def work(left: int) -> None:
        log.append((kernel.now, "work"))
        if left:
            kernel.at(kernel.now + 3_250_000, work, left - 1)
            kernel.at(kernel.now + 100_000, log.append, (kernel.now + 100_000, "echo"))

    def idle() -> None:
        nearest = kernel.next_work()
        assert nearest is not None
        whole = (nearest - kernel.now) // 1_000_000
        if skip and whole > 0:
            kernel.shift_cyclic(whole * 1_000_000)

    for period, name in ((100_000, "lock"), (250_000, "poll"), (100_000, "state"), (50_000, "fast")):
        kernel.cyclic(period, every, period, name)
    kernel.at(500_000, work, 4)
    # Just after each work and echo, where a run that skips would look.
    for us in range(600_001, 15_000_000, 3_250_000):
        kernel.at(us, idle)
    run_until(kernel, 14)
    return log


def test_shift_cyclic_leaves_the_rest_as_if_the_cycles_had_run() -> None:
    full, short = cyclic_world(skip=False), cyclic_world(skip=True)
    assert len(short) < len(full) / 3
    assert [one for one in full if one[1] in ("work", "echo")] == [
        one for one in short if one[1] in ("work", "echo")
    ]
    # Whatever did run, ran in the same order at the same times: also among equal deadlines.
    times = {us for us, _ in short}
    assert [one for one in full if one[0] in times] == short


def test_shifted_cyclic_events_come_after_what_was_pending_and_keep_their_order() -> None:
    kernel, log = Kernel(), list[tuple[int, str]]()
    for us, name in ((20, "first"), (20, "second"), (1, "early")):
        kernel.cyclic(us, lambda name: log.append((kernel.now, name)), name)
    kernel.at(1_000_020, lambda: log.append((kernel.now, "work")))
    kernel.shift_cyclic(1_000_000)
    run_until(kernel, 2)
    assert log == [(1_000_001, "early"), (1_000_020, "work"), (1_000_020, "first"), (1_000_020, "second")]


# How a run ends


def test_run_returns_the_result_and_closes() -> None:
    kernel = Kernel()

    async def main() -> int:
        await kernel.sleep(1)
        return 42

    assert kernel.run(main()) == 42
    kernel.post(print, "ignored after the end")

    async def late() -> None: ...

    with pytest.raises(RuntimeError, match="make a new one"):
        kernel.run(late())
    with pytest.raises(RuntimeError, match="make a new kernel"):
        kernel.spawn(late())


async def listen(channel: Channel[bytes]) -> bytes:
    return await channel.recv()


def test_deadlock_names_who_waits_for_what_since_when_and_where() -> None:
    kernel = Kernel()
    frames: Channel[bytes] = Channel(kernel, "can.rx")
    opened: Event[None] = Event(kernel, "opened")

    async def ecu() -> None:
        await kernel.sleep(0.25)
        await listen(frames)

    async def phone() -> None:
        await kernel.first_of(frames, opened)

    async def main() -> None:
        kernel.spawn(ecu(), name="ecu")
        task = kernel.spawn(phone(), name="phone")
        await kernel.sleep(0.1)
        await task.join()

    with pytest.raises(Deadlock) as caught:
        kernel.run(main())
    first = listen.__code__.co_firstlineno
    lines = str(caught.value).splitlines()
    assert lines[0] == "deadlock at 250000 us: nothing is left to do, somebody waits"
    assert lines[1].startswith("  main: waits for the end of phone, since 100000 us, at ")
    assert lines[2].startswith("  ecu: waits for can.rx, since 250000 us, at ")
    assert lines[2].endswith(f"test_kernel.py:{first + 1}")
    assert lines[3].startswith("  phone: waits for the first of can.rx, opened, since 0 us, at ")
    assert len(lines) == 4


def test_horizon_bounds_the_time_and_prints_the_same_report() -> None:
    kernel = Kernel()

    def again() -> None:
        kernel.cyclic(kernel.now + 100_000, again)

    async def main() -> None:
        await Channel[bytes](kernel, "uart").recv(timeout=50)

    again()
    with pytest.raises(Horizon) as caught:
        kernel.run(main(), until=10)
    assert str(caught.value).startswith(
        "the run is not over after 10 s\n  main: waits for uart until 50000000 us"
    )
    assert kernel.now == 10_000_000


def test_what_is_due_at_the_horizon_itself_still_happens() -> None:
    kernel = Kernel()

    async def main() -> str:
        await kernel.sleep(2)
        return "in time"

    assert kernel.run(main(), until=2) == "in time"


def test_livelock_is_found() -> None:
    kernel = Kernel()

    async def main() -> None:
        await kernel.sleep(0.5)
        while True:
            await kernel.sleep(0)

    with pytest.raises(Livelock, match=r"more than 200000 events at 500000 us\n  main: "):
        kernel.run(main())


def test_many_events_in_many_instants_are_no_livelock() -> None:
    kernel = Kernel()

    async def main() -> None:
        for _ in range(3):
            for _ in range(100_000):
                await kernel.sleep(0)
            await kernel.sleep(0.001)

    kernel.run(main())


def fails() -> None:
    raise ValueError("no such door")


async def fails_too() -> None:
    raise ValueError("no such door")


@pytest.mark.parametrize("how", ["callback", "child", "main"])
def test_a_failure_names_actor_and_time(how: str) -> None:
    kernel = Kernel()

    async def main() -> None:
        await kernel.sleep(0.5)
        if how == "callback":
            kernel.after(500_000, fails)
        elif how == "child":
            await kernel.sleep(0.5)
            kernel.spawn(fails_too(), name="tcu")
        else:
            await kernel.sleep(0.5)
            fails()
        await kernel.sleep(10)

    with pytest.raises(ActorError) as caught:
        kernel.run(main())
    name = {"callback": "fails", "child": "tcu", "main": "main"}[how]
    assert str(caught.value) == f"{name} failed at 1000000 us: ValueError: no such door"
    assert (caught.value.actor, caught.value.at_us) == (name, 1_000_000)
    assert isinstance(caught.value.__cause__, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_interrupt_passes_and_closes_the_others() -> None:
    kernel, log = Kernel(), list[str]()

    async def other() -> None:
        try:
            await kernel.sleep(100)
        finally:
            log.append("closed")

    async def main() -> None:
        kernel.spawn(other())
        await kernel.sleep(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kernel.run(main())
    assert log == ["closed"]


def test_waiting_without_an_actor_is_an_error() -> None:
    kernel = Kernel()
    waits: list[Callable[[], Any]] = [
        lambda: kernel.sleep(1),
        lambda: Channel[int](kernel, "c").recv(),
        lambda: Event[int](kernel, "e").wait(),
        lambda: kernel.first_of(Event[int](kernel, "e")),
    ]
    for wait in waits:
        with pytest.raises(RuntimeError, match="no actor of this kernel is running"):
            next(wait())
    with pytest.raises(RuntimeError, match="no actor"), kernel.timeout(1):
        pass


def test_an_unclosed_kernel_warns() -> None:
    kernel = Kernel()
    kernel.spawn(fails_too(), name="left")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del kernel
        gc.collect()
    assert any("run or close it" in str(one.message) for one in caught)


def test_a_closed_kernel_is_freed_without_the_collector() -> None:
    freed = []

    class Canary:
        def __del__(self) -> None:
            freed.append(True)

    async def child(channel: Channel[int], kernel: Kernel) -> None:
        with kernel.timeout(100):
            await channel.recv(timeout=50)

    async def holds(canary: Canary, kernel: Kernel) -> None:
        kernel.spawn(child(Channel(kernel, "c"), kernel))
        await kernel.sleep(1)

    with collector_paused():
        assert not gc.isenabled()
        kernel = Kernel()
        kernel.run(holds(Canary(), kernel))
        watched = weakref.ref(kernel)
        del kernel
        assert freed == [True] and watched() is None
    assert gc.isenabled()


def test_timeout_is_not_the_builtin_one() -> None:
    assert not issubclass(Timeout, OSError)


def test_an_event_goes_on_only_over_time_in_which_nothing_happens() -> None:
    kernel = Kernel()
    went: list[tuple[int, bool]] = []

    def go(us: int) -> None:
        went.append((us, kernel.advance(us)))
        assert (kernel.now == us) == went[-1][1]

    def with_a_job() -> None:
        kernel.after(0, went.append, (kernel.now, True))
        go(150)

    async def main() -> None:
        kernel.at(10, go, 99)
        kernel.at(100, with_a_job)
        kernel.at(200, go, 300)
        kernel.at(300, go, 400)
        kernel.cyclic(450, go, 2_000_000)
        kernel.at(400, go, 450)
        await kernel.sleep(1)

    kernel.run(main(), until=1.5)
    assert not kernel.advance(5_000_000), "nobody drives the kernel"
    assert went == [
        (99, True),
        (150, False),
        (100, True),
        (300, False),
        (400, False),
        (450, False),
        (2_000_000, False),
    ]
