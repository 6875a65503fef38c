"""The kernel: a discrete-event scheduler with exact integer time, for callbacks and for actors.

Orders everything by (deadline, first come). Knows nothing of wall clocks, loops, threads or the vehicle:
a host drives it, `Kernel.run` in virtual time, `rig.pump` in real time.
"""

from __future__ import annotations

import gc
import types
import warnings
from collections.abc import Awaitable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from heapq import heappush
from typing import Any, TypeVar, overload

from rig.channels import Channel, Event, Waitable
from rig.kernel_errors import (
    ActorError,
    Cancelled,
    ChannelClosed,
    Deadlock,
    Finished,
    Horizon,
    KernelError,
    Livelock,
    Outside,
    Timeout,
)
from rig.schedule import Handle, Schedule
from rig.tasks import Scope, Task

__all__ = [
    "ActorError", "Cancelled", "Channel", "ChannelClosed", "Deadlock", "Event", "Handle", "Horizon", "Kernel",
    "KernelError", "Livelock", "Outside", "Scope", "Task", "Timeout", "Waitable", "collector_paused",
]  # fmt: skip

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


class Kernel(Schedule):
    """One world's clock and queue: callbacks (see `Schedule`) and actors.

    Attributes:
        edges: how many open edges may still post; while there are any, a pumped kernel never deadlocks.
        notes: what actors did that is forbidden but was survived; tests assert that it is empty.
    """

    __slots__ = ("edges", "notes", "_current", "_root", "_tasks", "_early", "__weakref__")

    def __init__(self) -> None:
        super().__init__()
        self.edges = 0
        self.notes: list[str] = []
        self._current: Task[Any] | None = None
        self._root: Task[Any] | None = None
        self._tasks: dict[Task[Any], None] = {}
        # Spawned before the main actor, whose children they become.
        self._early: list[Task[Any]] = []

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
            parent._children[task] = None
        elif not keep:
            self._early.append(task)
        task._waiting = entry = [self.now, 0, task._start, ()]
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
            task._waiting = entry = [now + us, seq, task._step, (None,)]
            task._since = now
            heappush(self._heap, entry)
        else:
            task._waiting = entry = [now, 0, task._step, (None,)]
            task._since = now
            self._jobs.append(entry)
        yield self

    def timeout(self, seconds: float) -> Scope:
        """`with kernel.timeout(s):` raises `Timeout` out of a block that takes longer.

        It bounds the awaits of its own task, not of children; nested, the outermost that has expired wins.
        """
        return Scope(self, seconds)

    @overload
    def first_of(self, a: Waitable[A], /, *, timeout: float | None = None) -> Awaitable[tuple[int, A]]: ...

    @overload
    def first_of(
        self, a: Waitable[A], b: Waitable[B], /, *, timeout: float | None = None
    ) -> Awaitable[tuple[int, A | B]]: ...

    @overload
    def first_of(
        self, a: Waitable[A], b: Waitable[B], c: Waitable[C], /, *, timeout: float | None = None
    ) -> Awaitable[tuple[int, A | B | C]]: ...

    @overload
    def first_of(
        self, *objects: Waitable[Any], timeout: float | None = None
    ) -> Awaitable[tuple[int, object]]: ...

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
        task._waiting = objects
        task._since = self.now
        if timeout is not None:
            self._arm(task, timeout)
        won: tuple[int, Any] = yield self
        return won

    def _arm(self, task: Task[Any], seconds: float) -> None:
        """Sets the time-out of one wait; the sequence number tells it from those of later waits."""
        now = self.now
        us = int(seconds * 1e6 + 0.5)
        self._seq = seq = self._seq + 1
        task._timer = entry = [now + us, seq, self._expiries.append, ((task, seq),)]
        if us > 0:
            heappush(self._heap, entry)
        else:
            self._jobs.append(entry)

    def _expire(self, item: Any) -> None:
        """Delivers one due time-out, unless what it bounds is over."""
        if type(item) is tuple:
            task, seq = item
            if task._timer is None or task._timer[1] != seq:
                return
        elif item._active and not item.expired:
            task = item._task
        else:
            return
        if task._coro is None or task._waiting is None:
            return
        for scope in task._scopes:
            if scope.deadline_us <= self.now and not scope.expired:
                scope.expired = True
                task._expire(Cancelled(scope))
                return
        task._expire(Timeout(f"{task.name} {task._state()}, in vain"))

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
            self._current = None  # an interrupt may have come between two steps
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
            task._end_now()
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
                task._parent = root
                root._children[task] = None
        self._early.clear()
        return root

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
