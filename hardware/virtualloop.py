"""An asyncio event loop whose clock is a kernel's: libraries written for asyncio run in virtual time, in exact order.

Its timers are the kernel's own events, so that both have one queue, one clock and one deadlock. Knows nothing of what
runs on it; sockets, threads and executors are refused by name.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import base_events, events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from rig.kernel import Kernel
from rig.kernel_errors import ActorError, Finished, Livelock
from rig.schedule import LIVELOCK_EVENTS, Handle

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FAR_US = 1 << 62
SWEEPS = 1000
"""How many turns of the loop the tasks that are left get to end, once they were cancelled."""


class _Timer(events.TimerHandle):
    """A timer that knows its place in the kernel's queue."""

    __slots__ = ("entry",)
    entry: Handle


class VirtualLoop(base_events.BaseEventLoop):
    """Time stands still while anything can run, then jumps to the kernel's next event.

    At equal times the kernel's events run first, all of them, then what they and asyncio's timers made ready, in
    the order in which it was set.

        with VirtualLoop(kernel) as loop:
            loop.run_until_complete(set_up())   # may take simulated time, before the kernel's own run
            loop.play(story(), until=60.0)      # as Kernel.run
    """

    _ready: deque[events.Handle]
    _stopping: bool
    _debug: bool
    _closed: bool

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self._until_us: int | None = None
        self._failure: BaseException | None = None
        self._over = False
        self._reached = 0.0
        self._closers: list[Callable[[], Coroutine[Any, Any, object]]] = []
        # BaseEventLoop asks a selector what to wait for; there is nothing but the kernel to wait for.
        self._selector = self
        kernel._guest = self._ready
        self.set_exception_handler(self._alarm)

    def time(self) -> float:
        """The kernel's time in seconds; never before that of a timer that was called.

        A timer's time is rounded to the kernel's whole µs. Whoever is called and finds that it is not yet time sets
        the timer again, as aiohttp does: for the same instant, and so for ever.
        """
        now = self.kernel.now / 1e6
        return now if now > self._reached else self._reached

    # -- running -----------------------------------------------------------------------------------

    def play(self, coro: Coroutine[object, Any, T], until: float = 3600.0) -> T:
        """Runs the kernel's main actor to its end, with asyncio's tasks beside it; then closes the kernel.

        Args:
            coro: the main actor.
            until: bound on simulated time in seconds.

        Raises:
            Deadlock, Horizon, Livelock, ActorError: as `Kernel.run`; a failed callback or task of the loop too.
            Outside: a task touched the kernel by another door than `post`.
        """
        kernel = self.kernel
        root = kernel._begin(coro)
        kernel._host = self
        self._until_us = int(until * 1e6 + 0.5)
        try:
            self.run_forever()
            raise AssertionError("the loop was stopped from inside a run")
        except Finished:
            return root.outcome()
        finally:
            self._until_us = None
            kernel._current = None  # an interrupt may have come between two steps
            kernel.close()

    def at_end(self, closer: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Has a coroutine function called and awaited at `shutdown`, the last first."""
        self._closers.append(closer)

    def __enter__(self) -> VirtualLoop:
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()

    def shutdown(self) -> None:
        """Ends what is left: closers, then all tasks are cancelled; the run's time does not go on. Closes the loop.

        Raises:
            RuntimeError: a task did not end when it was cancelled.
        """
        if self.is_closed():
            return
        self._set_aside()
        try:
            while self._closers:
                self.run_until_complete(self._closers.pop()())
            left = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
            for task in left:
                task.cancel()
            for _ in range(SWEEPS):
                if not self._ready and all(task.done() for task in left):
                    break
                self.run_until_complete(self._turn())
            stuck = [task.get_name() for task in left if not task.done()]
            if stuck:
                raise RuntimeError(f"tasks that do not end when they are cancelled: {', '.join(stuck)}")
        finally:
            self.close()

    def _set_aside(self) -> None:
        """From now on timers go to a kernel of their own: the run's is over, and nothing waits for time any more."""
        aside = Kernel()
        aside.now = self.kernel.now
        aside._guest = self._ready
        self.kernel = aside
        self._over = True

    async def _turn(self) -> None:
        await asyncio.sleep(0)

    def _run_once(self) -> None:
        """Turns, until the loop is stopped; timers are in the kernel's queue: the base's own is empty."""
        ready, kernel = self._ready, self.kernel
        instant, turns = kernel.now, 0
        while True:
            turns += 1
            if kernel.now != instant:
                instant, turns = kernel.now, 0
            elif turns > LIVELOCK_EVENTS:
                raise Livelock(kernel._say(f"more than {LIVELOCK_EVENTS} turns of the loop at {instant} us"))
            # While something is ready and the kernel has nothing to do at this instant, there is nothing to look for.
            if (
                not ready
                or kernel._jobs
                or kernel._expiries
                or kernel._misuse is not None
                or self._failure is not None
            ):
                self.select(0 if ready or self._stopping else None)
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
            if self._stopping:
                return

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As the base's, in one step less: stacks call it a few hundred times a scenario."""
        if self._debug or self._closed:
            return super().call_soon(callback, *args, context=context)
        handle = events.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    # -- the loop's clock and selector -------------------------------------------------------------

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> events.TimerHandle:
        """Calls back at a time of the kernel's, after the kernel's own events of that instant."""
        self._check_closed()  # type: ignore[attr-defined]  # typeshed leaves it out
        timer = _Timer(when, callback, args, self, context)
        kernel = self.kernel
        # The kernel takes nothing from outside its own events, but this is the loop that drives it.
        outside, kernel._outside = kernel._outside, False
        try:
            timer.entry = kernel.at(int(when * 1e6 + 0.5), self._due, timer)
        finally:
            kernel._outside = outside
        return timer

    def _due(self, timer: _Timer) -> None:
        self._ready.append(timer)
        self._reached = max(self._reached, timer.when())

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        if isinstance(handle, _Timer):
            self.kernel.cancel(handle.entry)

    def select(self, timeout: float | None) -> list[Any]:
        """The loop's wait: runs the kernel until something of asyncio's is ready."""
        kernel = self.kernel
        playing = self._until_us is not None
        kernel._outside = False
        try:
            self._check_run(kernel)
            if kernel._jobs or kernel._expiries:
                kernel._loop(kernel.now)
            if timeout == 0 or self._ready:
                return []
            until_us = FAR_US if self._until_us is None else self._until_us
            # Runs on until something of asyncio's is ready: the kernel looks after each instant.
            kernel._loop(until_us)
            if not self._ready:
                raise self._end_of_time(kernel)
            return []
        finally:
            kernel._outside = playing

    def _check_run(self, kernel: Kernel) -> None:
        if kernel._misuse is not None:
            raise kernel._misuse
        if self._failure is not None and not self._over:
            failure, self._failure = self._failure, None
            raise ActorError("a callback of the loop", kernel.now, failure) from failure

    def _end_of_time(self, kernel: Kernel) -> Exception:
        if self._until_us is None:
            return RuntimeError("deadlock: nothing is left to do, and a task of the loop still waits")
        return kernel._stuck(self._until_us, self._until_us / 1e6)

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none: nothing comes from outside."""

    def _alarm(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Exception):
            error = RuntimeError(str(context.get("message", "a callback failed")))
        self._failure = self._failure or error

    # -- the kernel's host -------------------------------------------------------------------------

    def arrive(self, entry: list[Any]) -> None:
        """Something was posted by a task: it happens at this instant."""
        entry[0] = self.kernel.now
        self.kernel._jobs.append(entry)

    def wake(self) -> None:
        """Nothing to wake: the loop looks at the kernel before it waits."""

    # -- what has no place in virtual time ---------------------------------------------------------

    def _write_to_self(self) -> None:
        """There is no selector to wake."""

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As `call_soon`; refused to other threads."""
        running = getattr(self, "_thread_id", None)
        if running is not None and running != threading.get_ident():
            self._refuse("call back from another thread")
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]  # it never gives a future
        self, executor: Any, func: Any, *args: Any
    ) -> NoReturn:
        """Refused."""
        self._refuse(f"run {getattr(func, '__qualname__', func)} in an executor")

    def _make_socket_transport(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused; names are looked up in an executor and refused there."""
        self._refuse("use a socket")

    def _refuse(self, what: str) -> NoReturn:
        raise RuntimeError(f"cannot {what} in virtual time: its outcome would depend on the machine")
