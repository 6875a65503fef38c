"""The kernel: a discrete-event scheduler with exact integer time, for callbacks and for actors.

Orders everything by (deadline, first come). Knows nothing of wall clocks, loops, threads or the vehicle:
a host drives it, `Kernel.run` in virtual time, `rig.pump` in real time.
"""

from __future__ import annotations

import gc
import types
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from typing import Any, Protocol, TypeVar, TypeVarTuple

from rig.tasks import (
    ActorError,
    Cancelled,
    Channel,
    ChannelClosed,
    Deadlock,
    Event,
    Finished,
    Handle,
    Horizon,
    KernelError,
    Livelock,
    Outside,
    Scope,
    Task,
    Timeout,
    Waitable,
    end_now,
    start,
    step,
    throw,
    unlink,
)

__all__ = [
    "ActorError", "Cancelled", "Channel", "ChannelClosed", "Deadlock", "Event", "Handle", "Horizon", "Kernel",
    "KernelError", "Livelock", "Outside", "Scope", "Task", "Timeout", "Waitable", "collector_paused",
]  # fmt: skip

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LIVELOCK_EVENTS = 200_000
"""Events in one instant after which time is held to stand still."""

_FAR = 1 << 62


class Host(Protocol):
    """What drives a kernel from outside its own events."""

    def arrive(self, entry: list[Any]) -> None:
        """Something was posted from outside."""

    def wake(self) -> None:
        """Look at the kernel again."""


class Kernel:
    """One world's clock and queue.

    Attributes:
        now: the deadline of the running event in µs; 0 at the start.
        events: how many events have fired (brought up to date at every instant).
        edges: how many open edges may still post; while there are any, a pumped kernel never deadlocks.
        notes: what actors did that is forbidden but was survived; tests assert that it is empty.
    """

    __slots__ = (
        "now", "events", "edges", "notes", "_heap", "_cyclic", "_jobs", "_expiries", "_seq", "_dead",
        "_current", "_root", "_tasks", "_early", "_outside", "_host", "_closed", "_misuse", "__weakref__",
    )  # fmt: skip

    def __init__(self) -> None:
        self.now = 0
        self.events = 0
        self.edges = 0
        self.notes: list[str] = []
        self._heap: list[list[Any]] = []
        self._cyclic: list[list[Any]] = []
        # What was set at the present instant. An entry of a heap was always set earlier, so at each instant
        # heaps first, then jobs, is exactly "first come"; and zero delay never costs a heap operation.
        self._jobs: deque[list[Any]] = deque()
        # Time-outs that are due; delivered when nothing else is left at the instant, so that a value wins.
        self._expiries: deque[Any] = deque()
        self._seq = 0
        self._dead = 0
        self._current: Task[Any] | None = None
        self._root: Task[Any] | None = None
        self._tasks: dict[Task[Any], None] = {}
        # Spawned before the main actor, whose children they become.
        self._early: list[Task[Any]] = []
        self._outside = False
        self._host: Host | None = None
        self._closed = False
        self._misuse: Outside | None = None

    # Callbacks

    def at(self, us: int, fn: Callable[[*Ts], object], *args: *Ts) -> Handle:
        """Calls `fn(*args)` at `us`; a time that is past means now, after all that is set already."""
        entry: list[Any]
        if us > self.now:
            self._seq = seq = self._seq + 1
            entry = [us, seq, fn, args]
            heappush(self._heap, entry)
        else:
            entry = [self.now, 0, fn, args]
            self._jobs.append(entry)
        if self._outside:
            raise self._trespass("set a callback")
        return entry

    def after(self, us: int, fn: Callable[[*Ts], object], *args: *Ts) -> Handle:
        """Calls `fn(*args)` `us` µs from now."""
        entry: list[Any]
        if us > 0:
            self._seq = seq = self._seq + 1
            entry = [self.now + us, seq, fn, args]
            heappush(self._heap, entry)
        else:
            entry = [self.now, 0, fn, args]
            self._jobs.append(entry)
        if self._outside:
            raise self._trespass("set a callback")
        return entry

    def cyclic(self, us: int, fn: Callable[[*Ts], object], *args: *Ts) -> Handle:
        """Like `at`, for idle work: not counted by `next_work`, moved by `shift_cyclic`."""
        entry: list[Any]
        if us > self.now:
            self._seq = seq = self._seq + 1
            entry = [us, seq, fn, args]
            heappush(self._cyclic, entry)
        else:
            entry = [self.now, 0, fn, args]
            self._jobs.append(entry)
        if self._outside:
            raise self._trespass("set a callback")
        return entry

    def cancel(self, handle: Handle) -> None:
        """Makes a pending callback not happen; does nothing if it has happened or is cancelled."""
        if handle[2] is not None:
            self._drop(handle)

    def _drop(self, entry: list[Any]) -> None:
        entry[2] = None
        entry[3] = ()
        self._dead = dead = self._dead + 1
        # Cancelled entries stay until they come up; long time-outs of short waits must not pile up.
        if dead > 512 and dead > len(self._heap) >> 1:
            self._dead = 0
            for heap in (self._heap, self._cyclic):
                heap[:] = [one for one in heap if one[2] is not None]
                heapify(heap)

    def post(self, fn: Callable[[*Ts], object], *args: *Ts) -> None:
        """Calls `fn(*args)` inside the kernel as soon as can be: the only door from edges.

        Other threads use `loop.call_soon_threadsafe(kernel.post, ...)`. Ignored after the end of the run.
        """
        if self._closed:
            return
        entry: list[Any] = [self.now, 0, fn, args]
        if self._outside and self._host is not None:
            self._host.arrive(entry)
        else:
            self._jobs.append(entry)

    # Idle work

    def next_work(self) -> int | None:
        """Deadline of the earliest pending event that is not cyclic; 0 if some can run now, None if none is."""
        if self._jobs or self._expiries:
            return 0
        heap = self._heap
        while heap:
            entry = heap[0]
            if entry[2] is not None:
                return int(entry[0])
            heappop(heap)
        return None

    def next_event(self) -> int | None:
        """Deadline of the earliest pending event of all; 0 if some can run now, None if there is none."""
        work = self.next_work()
        cyclic = self._cyclic
        while cyclic and cyclic[0][2] is None:
            heappop(cyclic)
        if not cyclic:
            return work
        due = int(cyclic[0][0])
        return due if work is None or due < work else work

    def shift_cyclic(self, delta_us: int) -> None:
        """Moves every pending cyclic event later by whole hyper-periods, as if its cycles had run.

        Had they run, each would have been set again after everything that is pending now; so among equal
        deadlines they come after it, and keep their order among each other.
        """
        for entry in sorted(self._cyclic, key=_sequence):
            entry[0] += delta_us
            self._seq = entry[1] = self._seq + 1

    # Actors

    def spawn(self, coro: Coroutine[object, Any, T], name: str | None = None, keep: bool = False) -> Task[T]:
        """Starts an actor, as a child of the current one (from a callback: of the main actor).

        Args:
            coro: its coroutine.
            name: for reports; the function's name by default.
            keep: it outlives its parent and lives until the end of the run.
        """
        if not isinstance(coro, Coroutine):
            raise TypeError(f"spawn takes a coroutine, not {type(coro).__name__}")
        name = name or str(getattr(coro, "__qualname__", "actor"))
        if self._outside:
            coro.close()
            raise self._trespass(f"spawn {name}")
        if self._closed:
            coro.close()
            raise RuntimeError(f"cannot spawn {name}: the run is over; make a new kernel")
        parent = None if keep else (self._current or self._root)
        task = Task(self, coro, name, parent)
        self._tasks[task] = None
        if parent is not None:
            parent.children[task] = None
        elif not keep:
            self._early.append(task)
        task.waiting = entry = [self.now, 0, start, (task,)]
        self._jobs.append(entry)
        return task

    @types.coroutine
    def sleep(self, seconds: float) -> Generator[object, Any, None]:
        """Awaits `seconds` of the kernel's time, rounded to whole µs."""
        task = self._current
        if task is None:
            raise self._nobody("sleep")
        now = self.now
        us = int(seconds * 1e6 + 0.5)
        if us > 0:
            self._seq = seq = self._seq + 1
            task.waiting = entry = [now + us, seq, step, (task, None)]
            task.since = now
            heappush(self._heap, entry)
        else:
            task.waiting = entry = [now, 0, step, (task, None)]
            task.since = now
            self._jobs.append(entry)
        yield self

    def timeout(self, seconds: float) -> Scope:
        """`with kernel.timeout(s):` raises `Timeout` out of a block that takes longer.

        It bounds the awaits of its own task, not of children; nested, the outermost that has expired wins.
        """
        return Scope(self, seconds)

    @types.coroutine
    def first_of(
        self, *objects: Waitable[Any], timeout: float | None = None
    ) -> Generator[object, Any, tuple[int, Any]]:
        """Awaits the first of several channels, events and tasks; returns (its index, its value).

        The others lose nothing. If several are ready the leftmost wins.

        Raises:
            Timeout: none was ready within `timeout` seconds.
        """
        for index, one in enumerate(objects):
            if not isinstance(one, Waitable) or one.kernel is not self:
                if isinstance(one, Coroutine):
                    one.close()
                raise TypeError(f"first_of takes this kernel's channels, events and tasks, not {one!r}")
            if one._ready():
                return index, one._take()
        if not objects:
            raise TypeError("first_of needs something to wait for")
        task = self._current
        if task is None:
            raise self._nobody("wait for the first of several")
        for one in objects:
            if task not in one._waiters:
                one._waiters.append(task)
        task.waiting = objects
        task.since = self.now
        if timeout is not None:
            self._arm(task, timeout)
        won: tuple[int, Any] = yield self
        return won

    def _arm(self, task: Task[Any], seconds: float) -> None:
        """Sets the time-out of one wait; the sequence number tells it from those of later waits."""
        now = self.now
        us = int(seconds * 1e6 + 0.5)
        self._seq = seq = self._seq + 1
        task.timer = entry = [now + us, seq, self._expiries.append, ((task, seq),)]
        if us > 0:
            heappush(self._heap, entry)
        else:
            self._jobs.append(entry)

    def _expire(self, item: Any) -> None:
        """Delivers one due time-out, unless what it bounds is over."""
        if type(item) is tuple:
            task, seq = item
            if task.timer is None or task.timer[1] != seq:
                return
        elif item.active and not item.delivered:
            task = item.task
        else:
            return
        if task.coro is None or task.waiting is None:
            return
        for scope in task.scopes:
            if scope.deadline_us <= self.now and not scope.delivered:
                scope.delivered = True
                unlink(task)
                throw(task, Cancelled(scope))
                return
        waited = task._state()
        unlink(task)
        throw(task, Timeout(f"{task.name} {waited}, in vain"))

    # Running

    def run(self, coro: Coroutine[object, Any, T], until: float = 3600.0) -> T:
        """Runs the main actor in virtual time to its end, then closes the kernel.

        Args:
            coro: the main actor.
            until: bound on simulated time in seconds. Always give it: cyclic senders hide every deadlock.

        Raises:
            Deadlock: nothing is left to do and somebody waits.
            Horizon: `until` was reached.
            Livelock: 200,000 events at one instant.
            ActorError: an actor or callback failed.
        """
        root = self._begin(coro)
        until_us = int(until * 1e6 + 0.5)
        try:
            self._loop(until_us)
            raise self._stuck(until_us, until)
        except Finished:
            return root.outcome()
        finally:
            self.close()

    def close(self) -> None:
        """Ends all actors that are left, latest first; their finally-blocks must not await (it is noted)."""
        if self._closed:
            return
        if self._current is not None:
            raise RuntimeError(f"{self._current.name} cannot close its own kernel; let the main actor end")
        self._closed = True
        self._outside = False
        for task in reversed(list(self._tasks)):
            end_now(task)
        self._tasks.clear()
        self._early.clear()
        self._jobs.clear()
        self._expiries.clear()
        self._heap.clear()
        self._cyclic.clear()
        self._root = None
        self._host = None

    def report(self) -> str:
        """Who waits for what, since when and where: one line an actor, in the order they were spawned."""
        return "\n".join(task.describe() for task in self._tasks) or "no actors"

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed and self._tasks:
            warnings.warn("a kernel with actors was dropped; run or close it", ResourceWarning, stacklevel=1)

    def _begin(self, coro: Coroutine[object, Any, T]) -> Task[T]:
        if self._root is not None or self._closed:
            coro.close()
            raise RuntimeError("a kernel runs once; make a new one")
        root = self.spawn(coro, name="main", keep=True)
        self._root = root
        for task in self._early:
            if not task.done:
                task.parent = root
                root.children[task] = None
        self._early.clear()
        return root

    def _loop(self, until_us: int) -> None:
        """Fires everything up to `until_us`; returns when nothing is left before it."""
        heap, cyclic, jobs, expiries = self._heap, self._cyclic, self._jobs, self._expiries
        pop, pop_job = heappop, jobs.popleft
        count = self.events
        limit = count + LIVELOCK_EVENTS
        fn: Any = None
        try:
            while True:
                while jobs:
                    _, _, fn, args = pop_job()
                    if fn is not None:
                        count += 1
                        if count > limit:
                            raise Livelock(self._say(f"more than {LIVELOCK_EVENTS} events at {self.now} us"))
                        fn(*args)
                if expiries:
                    fn = self._expire
                    fn(expiries.popleft())
                    continue
                if cyclic and (not heap or cyclic[0] < heap[0]):
                    source = cyclic
                elif heap:
                    source = heap
                else:
                    return
                now, _, fn, args = source[0]
                if fn is None:
                    pop(source)
                    continue
                if now > until_us:
                    return
                self.now = now
                self.events = count
                limit = count + LIVELOCK_EVENTS
                while True:
                    pop(source)
                    if fn is not None:
                        count += 1
                        fn(*args)
                    if heap and heap[0][0] == now:
                        source = cyclic if cyclic and cyclic[0] < heap[0] else heap
                    elif cyclic and cyclic[0][0] == now:
                        source = cyclic
                    else:
                        break
                    _, _, fn, args = source[0]
        except KernelError:
            raise
        except Exception as error:
            name = getattr(fn, "__qualname__", repr(fn))
            raise ActorError(name, self.now, error) from error
        finally:
            self.events = count

    def _stuck(self, until_us: int, until: float) -> KernelError:
        """Why nothing more can be fired."""
        if self.next_event() is None:
            return Deadlock(self._say(f"deadlock at {self.now} us: nothing is left to do, somebody waits"))
        return self._stuck_at(until_us, until)

    def _stuck_at(self, until_us: int, until: float) -> Horizon:
        self.now = until_us
        return Horizon(self._say(f"the run is not over after {until} s"))

    def _say(self, what: str) -> str:
        lines = "\n  ".join(self.report().splitlines())
        return f"{what}\n  {lines}"

    def _nobody(self, what: str) -> RuntimeError:
        return RuntimeError(f"cannot {what}: no actor of this kernel is running; only actors wait, spawn one")

    def _trespass(self, what: str) -> Outside:
        """Notes the misuse, so that the run fails even if the caller's loop only logs it."""
        self._misuse = Outside(f"cannot {what} from outside the kernel while it is driven; use kernel.post")
        if self._host is not None:
            self._host.wake()
        return self._misuse


def _sequence(entry: list[Any]) -> int:
    return int(entry[1])


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keeps the garbage collector off inside, and as it was afterwards; collect between batches of runs."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
