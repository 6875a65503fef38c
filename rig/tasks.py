"""What actors are made of: tasks, time-out scopes, channels, events, and the errors of a run.

Knows the kernel's queues and nothing of hosts, devices or the vehicle; import from `rig.kernel`.
"""

from __future__ import annotations

import os
import types
from collections import deque
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from rig.kernel import Kernel

T = TypeVar("T")

Handle = list[object]
"""What `at`, `after` and `cyclic` return and `cancel` takes; opaque.

Inside: [deadline, sequence, function, arguments]; a plain list compares and unpacks fastest.
"""


class KernelError(Exception):
    """A run that could not go on. Every kind prints who waits for what."""


class Deadlock(KernelError):
    """Nothing is left to do and somebody still waits."""


class Horizon(KernelError):
    """The run reached its bound on simulated time."""


class Livelock(KernelError):
    """Too many events at one instant: time does not go on."""


class Outside(KernelError):
    """Somebody outside the kernel's own events touched it by another door than `post`."""


class ActorError(KernelError):
    """An actor or a callback failed and nobody joined it; the failure is `__cause__`.

    Attributes:
        actor: the name of the task, or of the function for a callback.
        at_us: when it failed.
    """

    def __init__(self, actor: str, at_us: int, cause: BaseException) -> None:
        super().__init__(f"{actor} failed at {at_us} us: {type(cause).__name__}: {cause}")
        self.actor = actor
        self.at_us = at_us
        self.cause = cause


class Timeout(Exception):
    """The time-out of a wait or of a `timeout` block ran out (the builtin one is an OSError)."""


class ChannelClosed(Exception):
    """The channel is closed, and nothing that was put before is left."""


class Cancelled(BaseException):
    """Thrown into a task at its await when it is cancelled or a time-out block around it expires."""

    def __init__(self, scope: Scope | None = None) -> None:
        super().__init__()
        self.scope = scope


class Finished(BaseException):
    """Ends the kernel's loop when the main actor and its children have ended (internal)."""


class Waitable(Generic[T]):
    """What `first_of` takes: a channel, an event or a task."""

    __slots__ = ("kernel", "name", "_waiters")

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.name = name
        self._waiters: list[Task[Any]] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def _label(self) -> str:
        return self.name

    def _ready(self) -> bool:
        raise NotImplementedError

    def _take(self) -> T:
        raise NotImplementedError

    def _wait(self, timeout_s: float | None) -> Generator[object, Any, Any]:
        """Registers the current task and suspends it; whoever resumes it has unlinked it."""
        kernel = self.kernel
        task = kernel._current
        if task is None:
            raise kernel._nobody(f"wait for {self.name}")
        self._waiters.append(task)
        task.waiting = self
        task.since = kernel.now
        if timeout_s is not None:
            kernel._arm(task, timeout_s)
        return (yield kernel)


class Channel(Waitable[T]):
    """An unbounded queue, first in first out; each value goes to exactly one receiver."""

    __slots__ = ("_items", "_closed")

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.name = name
        self._waiters = []
        self._items: deque[T] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, value: T) -> None:
        """Appends one value; never waits.

        Raises:
            ChannelClosed: after `close`.
            Outside: called from outside the kernel while a host drives it; post it.
        """
        if self.kernel._outside:
            raise self.kernel._trespass(f"put into {self.name}")
        if self._closed:
            raise ChannelClosed(f"{self.name} is closed; nothing can be put")
        if self._waiters:
            wake(self._waiters.pop(0), self, value)
        else:
            self._items.append(value)

    @types.coroutine
    def recv(self, timeout: float | None = None) -> Generator[object, Any, T]:
        """Awaits and takes the next value.

        Raises:
            Timeout: none came within `timeout` seconds; one that comes at that very instant wins.
            ChannelClosed: the channel is closed and empty.
        """
        if self._items:
            return self._items.popleft()
        if self._closed:
            raise ChannelClosed(f"{self.name} is closed")
        # The body of _wait, spelt out: this is the hot path of every actor.
        kernel = self.kernel
        task = kernel._current
        if task is None:
            raise kernel._nobody(f"receive from {self.name}")
        self._waiters.append(task)
        task.waiting = self
        task.since = kernel.now
        if timeout is not None:
            kernel._arm(task, timeout)
        value: T = yield kernel
        return value

    def close(self) -> None:
        """Wakes all who wait with `ChannelClosed`; values put before can still be received."""
        if self.kernel._outside:
            raise self.kernel._trespass(f"close {self.name}")
        self._closed = True
        while self._waiters:
            fail(self._waiters[0], ChannelClosed(f"{self.name} is closed"))

    def _ready(self) -> bool:
        return bool(self._items) or self._closed

    def _take(self) -> T:
        if self._items:
            return self._items.popleft()
        raise ChannelClosed(f"{self.name} is closed")


class Event(Waitable[T]):
    """Something that happens once; its value stays for all who wait, now or later."""

    __slots__ = ("_set", "_value")

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.name = name
        self._waiters = []
        self._set = False
        self._value: T = None  # type: ignore[assignment]  # read only once set

    @property
    def is_set(self) -> bool:
        return self._set

    def set(self, value: T = None) -> None:  # type: ignore[assignment]  # for Event[None]
        """Lets it happen.

        Raises:
            RuntimeError: it has happened before.
            Outside: called from outside the kernel while a host drives it; post it.
        """
        if self.kernel._outside:
            raise self.kernel._trespass(f"set {self.name}")
        if self._set:
            raise RuntimeError(f"{self.name} is set already; an event happens once, use a channel for more")
        self._set = True
        self._value = value
        waiters, self._waiters = self._waiters, []
        for task in waiters:
            wake(task, self, value)

    @types.coroutine
    def wait(self, timeout: float | None = None) -> Generator[object, Any, T]:
        """Awaits it and returns its value.

        Raises:
            Timeout: it did not happen within `timeout` seconds.
        """
        if self._set:
            return self._value
        value: T = yield from self._wait(timeout)
        return value

    def _ready(self) -> bool:
        return self._set

    def _take(self) -> T:
        return self._value


class Task(Waitable[T]):
    """One running actor; made by `Kernel.spawn`."""

    __slots__ = (
        "coro", "send", "parent", "children", "scopes", "waiting", "since", "timer", "fresh",
        "pending", "cancelled", "ending", "done", "result", "error", "failed_us",
    )  # fmt: skip

    def __init__(
        self, kernel: Kernel, coro: Coroutine[object, Any, T], name: str, parent: Task[Any] | None
    ) -> None:
        self.kernel = kernel
        self.name = name
        self._waiters = []
        self.coro: Coroutine[object, Any, T] | None = coro
        self.send: Any = coro.send
        self.parent = parent
        self.children: dict[Task[Any], None] = {}
        self.scopes: list[Scope] = []
        self.waiting: Any = None
        """A Waitable, several, a timer (sleep, first start); None: running, or woken and not yet run."""
        self.since = kernel.now
        self.timer: list[Any] | None = None
        self.fresh = True
        self.pending = False
        self.cancelled = False
        self.ending = False
        self.done = False
        self.result: T | None = None
        self.error: BaseException | None = None
        self.failed_us = 0

    def cancel(self) -> None:
        """Throws `Cancelled` into the task at its await; a value it was already given comes first."""
        if self.done or self.cancelled or self.coro is None:
            return
        kernel = self.kernel
        if kernel._outside:
            raise kernel._trespass(f"cancel {self.name}")
        self.cancelled = True
        if self.fresh:
            unlink(self)
            self.coro.close()
            self.error = Cancelled()
            finish(self)
        elif self.waiting is None or kernel._current is self:
            self.pending = True
        else:
            unlink(self)
            kernel._jobs.append([0, 0, throw, (self, Cancelled())])

    @types.coroutine
    def join(self, timeout: float | None = None) -> Generator[object, Any, None]:
        """Awaits the end of the task and of its children; how it ended tells `outcome`.

        Raises:
            Exception: the task's own failure, which then does not stop the run.
            Timeout: it did not end within `timeout` seconds.
        """
        if self.done:
            self._take()
        else:
            yield from self._wait(timeout)

    def outcome(self) -> T:
        """The task's result.

        Raises:
            Exception: the task's own failure.
            Cancelled: it was cancelled.
            RuntimeError: it has not ended.
        """
        if not self.done:
            raise RuntimeError(f"{self.name} has not ended; await task.join() first")
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # set when error is None

    def _ready(self) -> bool:
        return self.done

    def _take(self) -> T:
        if self.error is not None and not isinstance(self.error, Cancelled):
            raise self.error
        return self.result  # type: ignore[return-value]  # None for a cancelled task

    def describe(self) -> str:
        """One line of `Kernel.report`."""
        return f"{self.name}: {self._state()}, since {self.since} us{self._place()}"

    def _state(self) -> str:
        waiting = self.waiting
        if self.ending:
            return "ended, waits for its children " + ", ".join(child.name for child in self.children)
        if self.fresh:
            return "not started"
        if waiting is None:
            return "running"
        if isinstance(waiting, list):
            text = f"sleeps until {waiting[0]} us"
        elif isinstance(waiting, tuple):
            text = "waits for the first of " + ", ".join(one._label() for one in waiting)
        else:
            text = f"waits for {waiting._label()}"
        if self.timer is not None:
            text += f" until {self.timer[0]} us"
        bounds = [str(scope.deadline_us) for scope in self.scopes]
        return text + (f" (time-out at {', '.join(bounds)} us)" if bounds else "")

    def _label(self) -> str:
        return f"the end of {self.name}"

    def _place(self) -> str:
        """Where the innermost frame that is not the kernel's own stands."""
        place = ""
        at: Any = self.coro
        while at is not None:
            frame = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None)
            if frame is not None and frame.f_code.co_filename not in _OWN_FILES:
                place = f", at {_short(frame.f_code.co_filename)}:{frame.f_lineno}"
            at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None)
        return place


_OWN_FILES = frozenset({__file__, os.path.join(os.path.dirname(__file__), "kernel.py")})


def _short(path: str) -> str:
    here = os.getcwd() + os.sep
    return path[len(here) :] if path.startswith(here) else path


class Scope:
    """A block with a time-out around the awaits of one task; nests, and the outermost that expired wins."""

    __slots__ = ("kernel", "seconds", "task", "deadline_us", "active", "delivered", "_timer")

    def __init__(self, kernel: Kernel, seconds: float) -> None:
        self.kernel = kernel
        self.seconds = seconds
        self.deadline_us = 0
        self.task: Task[Any] | None = None
        self.active = False
        self.delivered = False
        self._timer: Handle | None = None

    @property
    def expired(self) -> bool:
        """True if the block was ended by this time-out."""
        return self.delivered

    def __enter__(self) -> Scope:
        kernel = self.kernel
        task = kernel._current
        if task is None:
            raise kernel._nobody("open a time-out")
        if self.task is not None:
            raise RuntimeError("a time-out block is entered once; make a new one with kernel.timeout()")
        self.task = task
        self.active = True
        self.deadline_us = kernel.now + int(self.seconds * 1e6 + 0.5)
        task.scopes.append(self)
        self._timer = kernel.at(self.deadline_us, kernel._expiries.append, self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.active = False
        task = self.task
        assert task is not None and self._timer is not None
        if self in task.scopes:
            task.scopes.remove(self)
        self.kernel._drop(self._timer)
        if not self.delivered:
            return
        if kind is None:
            self.kernel.notes.append(f"{task.name} swallowed a time-out at {self.kernel.now} us")
        elif not (isinstance(error, Timeout) or (isinstance(error, Cancelled) and error.scope is self)):
            return
        raise Timeout(f"{task.name}: {self.seconds} s are over at {self.kernel.now} us") from None


def wake(task: Task[Any], source: Waitable[Any], value: object) -> None:
    """Makes a waiting task run with a value; `source` has dropped it already."""
    waiting = task.waiting
    if type(waiting) is tuple:
        for one in waiting:
            if one is not source and task in one._waiters:
                one._waiters.remove(task)
        value = (waiting.index(source), value)
    task.waiting = None
    kernel = task.kernel
    if task.timer is not None:
        kernel._drop(task.timer)
        task.timer = None
    kernel._jobs.append([0, 0, step, (task, value)])


def unlink(task: Task[Any]) -> None:
    """Takes a task out of all it waits for."""
    waiting = task.waiting
    kernel = task.kernel
    if type(waiting) is list:
        kernel._drop(waiting)
    elif type(waiting) is tuple:
        for one in waiting:
            if task in one._waiters:
                one._waiters.remove(task)
    elif waiting is not None and task in waiting._waiters:
        waiting._waiters.remove(task)
    task.waiting = None
    if task.timer is not None:
        kernel._drop(task.timer)
        task.timer = None


def fail(task: Task[Any], error: BaseException) -> None:
    """Makes a waiting task run with an exception."""
    unlink(task)
    task.kernel._jobs.append([0, 0, throw, (task, error)])


def start(task: Task[Any]) -> None:
    """First run of a task."""
    task.fresh = False
    step(task, None)


def step(task: Task[Any], value: object) -> None:
    """Runs a task up to its next await."""
    kernel = task.kernel
    kernel._current = task
    try:
        got = task.send(value)
    except BaseException as error:
        kernel._current = None
        over(task, error)
    else:
        kernel._current = None
        if got is not kernel:
            foreign(task, got)
        elif task.pending:
            task.pending = False
            fail(task, Cancelled())


def throw(task: Task[Any], error: BaseException) -> None:
    """Runs a task on with an exception at its await."""
    kernel = task.kernel
    coro = task.coro
    assert coro is not None
    kernel._current = task
    try:
        got = coro.throw(error)
    except BaseException as caught:
        kernel._current = None
        over(task, caught)
    else:
        kernel._current = None
        if got is not kernel:
            foreign(task, got)
        elif task.pending:
            task.pending = False
            fail(task, Cancelled())


def foreign(task: Task[Any], got: object) -> None:
    """Answers an await of something that is not this kernel's."""
    kind = type(got)
    what = f"{kind.__module__}.{kind.__qualname__}" if got is not None else "a bare yield (asyncio.sleep(0)?)"
    place = task._place()
    throw(
        task,
        TypeError(
            f"{task.name} awaited {what}{place}: actors await only what their own kernel gives "
            "(sleep, channels, events, tasks); let the host do it and post the result"
        ),
    )


def over(task: Task[Any], error: BaseException) -> None:
    """The coroutine of a task has ended; `error` says how."""
    kernel = task.kernel
    if isinstance(error, StopIteration):
        task.result = error.value
        if task.cancelled and not task.pending:
            kernel.notes.append(f"{task.name} swallowed its cancellation, ended at {kernel.now} us")
    elif isinstance(error, Cancelled) and task.cancelled:
        task.error = error
    elif isinstance(error, (Exception, Cancelled)):
        task.error = error
        task.failed_us = kernel.now
        if not task._waiters:
            settle(task)
            raise ActorError(task.name, kernel.now, error) from error
    else:
        settle(task)
        raise error
    finish(task)


def settle(task: Task[Any]) -> None:
    """Forgets the coroutine, so that nothing is kept alive by a task that somebody still holds."""
    task.coro = None
    task.send = None
    task.waiting = None
    task.fresh = False
    task.pending = False
    task.since = task.kernel.now


def finish(task: Task[Any]) -> None:
    """The coroutine has ended: cancels the children, and completes when they have ended too."""
    settle(task)
    children = task.children
    if children:
        for child in list(children):
            child.cancel()
    if children:
        task.ending = True
    else:
        complete(task)


def complete(task: Task[Any]) -> None:
    """Nothing of the task is left: tells those who joined it, and a parent that waits to end."""
    if task.done:
        return
    task.done = True
    task.ending = False
    kernel = task.kernel
    kernel._tasks.pop(task, None)
    parent = task.parent
    if parent is not None:
        parent.children.pop(task, None)
        if parent.ending and not parent.children:
            # As a job: this may run inside another actor's call of cancel().
            kernel._jobs.append([0, 0, complete, (parent,)])
    error = task.error
    failed = error is not None and not isinstance(error, Cancelled)
    if task._waiters:
        for waiter in list(task._waiters):
            if failed and error is not None:
                fail(waiter, error)
            else:
                task._waiters.remove(waiter)
                wake(waiter, task, task.result)
    elif failed and error is not None:
        raise ActorError(task.name, task.failed_us, error) from error
    if task is kernel._root:
        raise Finished


def end_now(task: Task[Any]) -> None:
    """The final close of one task: its finally-blocks run, awaiting in them is forbidden and noted."""
    kernel, coro = task.kernel, task.coro
    if coro is None:
        return
    if task.fresh:
        coro.close()
    else:
        kernel._current = task
        try:
            coro.throw(Cancelled())
            kernel.notes.append(f"{task.name} awaited in the final close{task._place()}")
            coro.close()
        except (StopIteration, Cancelled):
            pass
        except Exception as error:
            kernel.notes.append(f"{task.name} failed in the final close: {type(error).__name__}: {error}")
        finally:
            kernel._current = None
    settle(task)
    task.error = task.error or Cancelled()
    task.children.clear()
    task._waiters.clear()
    task.done = True
