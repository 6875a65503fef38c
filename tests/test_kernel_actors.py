"""Actors: time-outs, cancellation, children, channels, events, and what they must not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from rig.kernel import (
    ActorError,
    Cancelled,
    Channel,
    ChannelClosed,
    Deadlock,
    Event,
    Kernel,
    Task,
    Timeout,
)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


# Channels and events


def test_channel_is_first_in_first_out_and_serves_the_longest_waiting_first(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")
    got: list[tuple[str, int]] = []

    async def receiver(name: str) -> None:
        for _ in range(2):
            got.append((name, await channel.recv()))

    async def main() -> None:
        tasks = [kernel.spawn(receiver(name)) for name in "ab"]
        await kernel.sleep(1)
        for number in range(4):
            channel.put(number)
        for task in tasks:
            await task.join()

    kernel.run(main())
    assert got == [("a", 0), ("a", 2), ("b", 1), ("b", 3)]


def test_closed_channel_gives_what_is_left_and_wakes_who_waits(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")

    async def waits(on: Channel[int]) -> str:
        try:
            await on.recv(timeout=5)
        except ChannelClosed as error:
            return f"{error} at {kernel.now}"
        return "value"

    async def main() -> None:
        other: Channel[int] = Channel(kernel, "d")
        task = kernel.spawn(waits(other))
        channel.put(1)
        channel.close()
        assert channel.closed and await channel.recv() == 1
        with pytest.raises(ChannelClosed):
            await channel.recv()
        with pytest.raises(ChannelClosed):
            channel.put(2)
        with pytest.raises(ChannelClosed):
            await kernel.first_of(channel)
        await kernel.sleep(1)
        other.close()
        await task.join()
        assert task.outcome() == "d is closed at 1000000"

    kernel.run(main())


def test_event_happens_once_and_stays(kernel: Kernel) -> None:
    event: Event[str] = Event(kernel, "opened")

    async def main() -> None:
        kernel.after(1000, event.set, "FL")
        assert not event.is_set
        assert await event.wait(timeout=1) == "FL"
        assert await event.wait() == "FL"
        assert kernel.now == 1000 and event.is_set
        with pytest.raises(RuntimeError, match="opened is set already"):
            event.set("FR")

    kernel.run(main())


def test_first_of_takes_the_leftmost_that_is_ready(kernel: Kernel) -> None:
    left: Channel[str] = Channel(kernel, "left")
    right: Channel[str] = Channel(kernel, "right")

    async def main() -> None:
        right.put("r")
        left.put("l")
        assert await kernel.first_of(left, right) == (0, "l")
        assert await kernel.first_of(left, right) == (1, "r")

    kernel.run(main())


def test_first_of_loses_nothing(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")
    event: Event[str] = Event(kernel, "e")

    async def worker() -> str:
        await kernel.sleep(2)
        return "done"

    async def main() -> None:
        task = kernel.spawn(worker())

        def both() -> None:
            channel.put(1)
            channel.put(2)
            event.set("set")

        kernel.at(1_000_000, both)
        assert await kernel.first_of(event, channel, task) == (1, 1)
        assert await kernel.first_of(event, channel, task) == (0, "set")
        assert await kernel.first_of(channel, task, channel) == (0, 2)
        assert await kernel.first_of(channel, task) == (1, "done")
        with pytest.raises(Timeout):
            await kernel.first_of(channel, timeout=0.5)
        assert kernel.now == 2_500_000
        channel.put(3)
        assert len(channel) == 1

    kernel.run(main())


def test_first_of_takes_objects_not_coroutines(kernel: Kernel) -> None:
    other = Kernel()

    async def main() -> None:
        for wrong in (Channel[int](kernel, "c").recv(), Channel[int](other, "foreign"), 3):
            with pytest.raises(TypeError, match="takes this kernel's channels"):
                await kernel.first_of(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="something to wait for"):
            await kernel.first_of()

    kernel.run(main())


# Time-outs


def test_each_wait_has_its_time_out(kernel: Kernel) -> None:
    async def long() -> None:
        await kernel.sleep(100)

    async def main() -> None:
        task = kernel.spawn(long())
        waits: list[Callable[[], Awaitable[object]]] = [
            lambda: Channel[int](kernel, "c").recv(timeout=1),
            lambda: Event[int](kernel, "e").wait(timeout=1),
            lambda: task.join(timeout=1),
            lambda: kernel.first_of(task, timeout=1),
        ]
        for number, wait in enumerate(waits):
            with pytest.raises(Timeout, match="in vain"):
                await wait()
            assert kernel.now == (number + 1) * 1_000_000

    kernel.run(main())


def test_a_time_out_that_was_not_needed_does_not_strike_later(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")

    async def main() -> None:
        kernel.after(500_000, channel.put, 1)
        await channel.recv(timeout=1)
        with kernel.timeout(1) as scope:
            await kernel.sleep(0.2)
        await kernel.sleep(5)
        assert not scope.expired

    kernel.run(main())
    assert kernel.now == 5_700_000


@pytest.mark.parametrize(("outer", "inner", "wins"), [(2, 1, "inner"), (1, 2, "outer"), (1, 1, "outer")])
def test_nested_time_outs(kernel: Kernel, outer: float, inner: float, wins: str) -> None:
    async def main() -> str:
        out = kernel.timeout(outer)
        try:
            with out:
                try:
                    with kernel.timeout(inner):
                        await Event[None](kernel, "never").wait(timeout=1 if wins == "outer" else 9)
                except Timeout:
                    return "inner"
        except Timeout:
            assert out.expired
            return "outer"
        return "none"

    assert kernel.run(main()) == wins
    assert kernel.now == 1_000_000 and kernel.notes == []


def test_an_outer_time_out_is_not_taken_for_an_inner_one(kernel: Kernel) -> None:
    """A retry loop that answers each of its own time-outs must not answer the one around it."""
    tries = 0

    async def main() -> None:
        nonlocal tries
        with kernel.timeout(3.5):
            while True:
                tries += 1
                try:
                    await Channel[int](kernel, "c").recv(timeout=1)
                except Timeout:
                    continue

    with pytest.raises(ActorError, match="main failed at 3500000 us: Timeout: main: 3.5 s are over"):
        kernel.run(main())
    assert tries == 4


def test_value_and_time_out_at_the_same_instant_the_value_wins(kernel: Kernel) -> None:
    """Also when the value takes several steps to come through, all at that instant."""
    first: Channel[int] = Channel(kernel, "first")
    second: Channel[int] = Channel(kernel, "second")

    async def relay() -> None:
        while True:
            value = await first.recv()
            await kernel.sleep(0)
            second.put(value)

    async def main() -> None:
        kernel.spawn(relay())
        kernel.after(1_000_000, first.put, 1)
        assert await second.recv(timeout=1) == 1
        kernel.after(1_000_000, first.put, 2)
        with kernel.timeout(1) as scope:
            assert await second.recv() == 2
        assert not scope.expired

    kernel.run(main())
    assert kernel.now == 2_000_000


def test_after_the_value_the_expiry_comes_at_the_next_await(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")

    async def main() -> None:
        kernel.after(1_000_000, channel.put, 1)
        with pytest.raises(Timeout), kernel.timeout(1):
            assert await channel.recv() == 1
            await kernel.sleep(1)
            raise AssertionError("not reached")
        assert kernel.now == 1_000_000

    kernel.run(main())


def test_a_beaten_time_out_does_not_strike_the_next_wait_of_the_same_instant(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")

    async def main() -> None:
        kernel.spawn(sender())
        assert await channel.recv(timeout=1) == 1
        with pytest.raises(Timeout):
            await channel.recv(timeout=5)
        assert kernel.now == 6_000_000

    async def sender() -> None:
        await kernel.sleep(1)
        channel.put(1)

    kernel.run(main())


def test_time_out_bounds_its_own_task_not_children(kernel: Kernel) -> None:
    async def child() -> int:
        await kernel.sleep(5)
        return kernel.now

    async def main() -> int:
        with pytest.raises(Timeout), kernel.timeout(1):
            task = kernel.spawn(child())
            await task.join()
        await task.join()
        return task.outcome()

    assert kernel.run(main()) == 5_000_000


def test_awaiting_in_finally_takes_time_and_the_time_out_comes_after(kernel: Kernel) -> None:
    async def main() -> None:
        with pytest.raises(Timeout), kernel.timeout(1):
            try:
                await kernel.sleep(10)
            finally:
                await kernel.sleep(2)
        assert kernel.now == 3_000_000

    kernel.run(main())
    assert kernel.notes == []


def test_an_outer_time_out_ends_the_clean_up_of_an_inner_one(kernel: Kernel) -> None:
    async def main() -> None:
        with pytest.raises(Timeout, match="2 s are over"), kernel.timeout(2), kernel.timeout(1):
            try:
                await kernel.sleep(10)
            finally:
                await kernel.sleep(10)
        assert kernel.now == 2_000_000

    kernel.run(main())


def test_an_inner_time_out_during_the_clean_up_of_an_outer_one(kernel: Kernel) -> None:
    async def main() -> None:
        with pytest.raises(Timeout, match="1 s are over"), kernel.timeout(1):
            try:
                await kernel.sleep(10)
            finally:
                with kernel.timeout(2):
                    await kernel.sleep(10)
        assert kernel.now == 3_000_000

    kernel.run(main())


def test_zero_time_outs(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")

    async def main() -> None:
        with pytest.raises(Timeout):
            await channel.recv(timeout=0)
        kernel.after(0, channel.put, 1)
        assert await channel.recv(timeout=0) == 1
        with kernel.timeout(0):
            channel.put(2)
            assert await channel.recv() == 2
        with pytest.raises(Timeout), kernel.timeout(0):
            await kernel.sleep(1)
        assert kernel.now == 0

    kernel.run(main())


def test_a_scope_is_entered_once(kernel: Kernel) -> None:
    async def main() -> None:
        scope = kernel.timeout(1)
        with scope:
            pass
        with pytest.raises(RuntimeError, match="entered once"), scope:
            pass

    kernel.run(main())


# Cancellation, children


def test_cancel_runs_finally_and_takes_the_task_out_of_what_it_waits_for(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")
    log: list[object] = []

    async def child() -> None:
        try:
            await kernel.first_of(channel, Event[int](kernel, "e"), timeout=9)
        finally:
            await kernel.sleep(1)
            log.append(kernel.now)

    async def main() -> None:
        task = kernel.spawn(child())
        await kernel.sleep(1)
        task.cancel()
        task.cancel()
        await task.join()
        with pytest.raises(Cancelled):
            task.outcome()
        channel.put(1)
        assert await channel.recv() == 1
        assert task.done and task.cancelled

    kernel.run(main())
    assert log == [2_000_000] and kernel.now == 2_000_000


def test_cancel_does_not_lose_a_value_under_way(kernel: Kernel) -> None:
    channel: Channel[int] = Channel(kernel, "c")
    got: list[int] = []

    async def child() -> None:
        while True:
            got.append(await channel.recv())

    async def main() -> None:
        task = kernel.spawn(child())
        await kernel.sleep(1)
        channel.put(1)
        task.cancel()
        await task.join()

    kernel.run(main())
    assert got == [1] and kernel.notes == []


def test_cancelling_oneself_works_at_the_next_await(kernel: Kernel) -> None:
    log: list[str] = []

    async def child(me: list[Task[None]]) -> None:
        await kernel.sleep(1)
        me[0].cancel()
        log.append("goes on")
        await kernel.sleep(1)
        log.append("never")

    async def main() -> None:
        me: list[Task[None]] = []
        me.append(kernel.spawn(child(me)))
        await me[0].join()

    kernel.run(main())
    assert log == ["goes on"] and kernel.now == 1_000_000


def test_a_task_never_started_is_cancelled_without_running(kernel: Kernel) -> None:
    async def child() -> None:
        raise AssertionError("never runs")

    async def main() -> None:
        task = kernel.spawn(child())
        task.cancel()
        await task.join()
        with pytest.raises(Cancelled):
            task.outcome()

    kernel.run(main())


def test_a_parent_that_ends_with_a_child_never_started_completes_once(kernel: Kernel) -> None:
    ends: list[str] = []

    async def grandchild() -> None: ...

    async def child() -> str:
        kernel.spawn(grandchild(), name="grandchild")
        return "child"

    async def joiner(task: Task[str]) -> None:
        await task.join()
        ends.append(task.outcome())

    async def main() -> None:
        task = kernel.spawn(child())
        joiners = [kernel.spawn(joiner(task)) for _ in range(2)]
        for one in joiners:
            await one.join()
        await kernel.sleep(1)

    kernel.run(main())
    assert ends == ["child", "child"] and kernel.notes == []


def test_the_end_of_a_parent_cancels_its_children_and_waits_for_them(kernel: Kernel) -> None:
    log: list[tuple[int, str]] = []

    async def grandchild() -> None:
        try:
            await kernel.sleep(100)
        finally:
            await kernel.sleep(2)
            log.append((kernel.now, "grandchild"))

    async def child() -> None:
        kernel.spawn(grandchild(), name="grandchild")
        try:
            await kernel.sleep(100)
        finally:
            await kernel.sleep(1)
            log.append((kernel.now, "child"))

    async def parent() -> str:
        kernel.spawn(child(), name="child")
        await kernel.sleep(1)
        return "result"

    async def main() -> str:
        task = kernel.spawn(parent(), name="parent")
        kernel.at(3_500_000, lambda: log.append((kernel.now, kernel.report().splitlines()[1])))
        await task.join()
        log.append((kernel.now, "parent"))
        return task.outcome()

    assert kernel.run(main()) == "result"
    assert log == [
        (2_000_000, "child"),
        (3_500_000, "parent: has ended, waits for its children child, since 1000000 us"),
        (4_000_000, "grandchild"),
        (4_000_000, "parent"),
    ]


def test_main_ends_after_its_children_also_those_spawned_by_callbacks_and_before_the_run(
    kernel: Kernel,
) -> None:
    log: list[tuple[int, str]] = []

    async def child(name: str, clean_up_s: float) -> None:
        try:
            await kernel.sleep(100)
        finally:
            await kernel.sleep(clean_up_s)
            log.append((kernel.now, name))

    kernel.spawn(child("early", 1))
    kernel.at(10, lambda: kernel.spawn(child("by callback", 2)))

    async def main() -> None:
        await kernel.sleep(1)

    kernel.run(main())
    assert log == [(2_000_000, "early"), (3_000_000, "by callback")] and kernel.notes == []


def test_a_kept_child_outlives_its_parent_and_ends_with_the_run(kernel: Kernel) -> None:
    log: list[tuple[int, str]] = []

    async def kept() -> None:
        try:
            while True:
                await kernel.sleep(1)
                log.append((kernel.now, "tick"))
        finally:
            log.append((kernel.now, "end"))

    async def parent() -> None:
        kernel.spawn(kept(), keep=True)

    async def main() -> None:
        await kernel.spawn(parent()).join()
        await kernel.sleep(2.5)

    kernel.run(main())
    assert log == [(1_000_000, "tick"), (2_000_000, "tick"), (2_500_000, "end")]


def test_awaiting_in_the_final_close_is_forbidden_and_noted(kernel: Kernel) -> None:
    async def kept() -> None:
        try:
            await kernel.sleep(100)
        finally:
            await kernel.sleep(1)

    async def broken() -> None:
        try:
            await kernel.sleep(100)
        finally:
            raise OSError("gone")

    async def main() -> None:
        kernel.spawn(kept(), name="kept", keep=True)
        kernel.spawn(broken(), name="broken", keep=True)
        await kernel.sleep(1)

    kernel.run(main())
    assert kernel.now == 1_000_000
    broken_note, kept_note = kernel.notes
    assert kept_note.startswith("kept awaited in the final close, at ")
    assert broken_note == "broken failed in the final close: OSError: gone"


def test_a_joined_failure_goes_to_the_joiner(kernel: Kernel) -> None:
    async def child() -> None:
        await kernel.sleep(1)
        raise ValueError("no")

    async def main() -> None:
        task = kernel.spawn(child())
        with pytest.raises(ValueError, match="no"):
            await task.join()
        with pytest.raises(ValueError, match="no"):
            task.outcome()
        task = kernel.spawn(child())
        with pytest.raises(ValueError, match="no"):
            await kernel.first_of(task, timeout=9)

    kernel.run(main())


def test_a_joiner_that_gave_up_does_not_count(kernel: Kernel) -> None:
    async def child() -> None:
        await kernel.sleep(2)
        raise ValueError("no")

    async def main() -> None:
        task = kernel.spawn(child(), name="child")
        with pytest.raises(Timeout):
            await task.join(timeout=1)
        await kernel.sleep(10)

    with pytest.raises(ActorError, match="child failed at 2000000 us"):
        kernel.run(main())


def test_outcome_before_the_end_is_an_error(kernel: Kernel) -> None:
    async def child() -> None: ...

    async def main() -> None:
        task = kernel.spawn(child(), name="child")
        with pytest.raises(RuntimeError, match="child has not ended"):
            task.outcome()

    kernel.run(main())


# What actors must not do


def test_foreign_awaitables_are_rejected_by_name(kernel: Kernel) -> None:
    async def main() -> None:
        loop = asyncio.new_event_loop()
        try:
            with pytest.raises(TypeError, match=r"main awaited a _asyncio\.Future, at .*actors await only"):
                await loop.create_future()
        finally:
            loop.close()
        with pytest.raises(TypeError, match=r"bare yield, as of asyncio\.sleep\(0\)"):
            await asyncio.sleep(0)
        await kernel.sleep(1)

    kernel.run(main())
    assert kernel.now == 1_000_000


def test_another_kernels_objects_are_rejected(kernel: Kernel) -> None:
    other = Kernel()

    async def main() -> None:
        await Channel[int](other, "theirs").recv()

    with pytest.raises(ActorError, match="receive from theirs: no actor of this kernel is running"):
        kernel.run(main())


def test_async_generators_are_rejected_by_name(kernel: Kernel) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        async for _ in numbers():
            pass

    with pytest.raises(ActorError, match=r"must not use async generators \(.*numbers\)"):
        kernel.run(main())


def test_swallowed_cancels_and_time_outs_are_noted(kernel: Kernel) -> None:
    async def stubborn() -> str:
        try:
            await kernel.sleep(100)
        except:  # noqa: E722
            return "ended all the same"
        return "not cancelled"

    async def main() -> None:
        task = kernel.spawn(stubborn(), name="stubborn")
        await kernel.sleep(1)
        task.cancel()
        await task.join()
        assert task.outcome() == "ended all the same"
        with pytest.raises(Timeout), kernel.timeout(1):
            await stubborn()

    kernel.run(main())
    assert kernel.notes == [
        "stubborn swallowed its cancellation, ended at 1000000 us",
        "main swallowed a time-out, its block ended at 2000000 us",
    ]


def test_a_kernel_cannot_be_closed_from_inside(kernel: Kernel) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="cannot close its own kernel"):
            kernel.close()

    kernel.run(main())


def test_a_kernel_runs_inside_an_actor_of_another(kernel: Kernel) -> None:
    async def inner(own: Kernel) -> None:
        await Event[None](own, "never").wait()

    async def main() -> int:
        await kernel.sleep(1)
        own = Kernel()
        with pytest.raises(Deadlock):
            own.run(inner(own))
        await kernel.sleep(1)
        return kernel.now

    assert kernel.run(main()) == 2_000_000
