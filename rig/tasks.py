"""What actors are: tasks with their children, and time-out scopes around their awaits.

Knows the kernel's queues and nothing of hosts, devices or the vehicle; import from `rig.kernel`.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rig.channels import Waitable
from rig.kernel_errors import ActorError, Cancelled, Finished, Timeout

if TYPE_CHECKING:
    from rig.kernel import Kernel
    from rig.schedule import Handle

T = TypeVar("T")

_OWN_FILES = frozenset(
    str(Path(__file__).with_name(name)) for name in ("kernel.py", "channels.py", "tasks.py")
)


class Task(Waitable[T]):
    """One running actor; made by `Kernel.spawn`.

    Attributes:
        name: for reports.
        done: it has ended, and so have its children.
        cancelled: somebody asked it to end.
    """

    __slots__ = (
        "done", "cancelled", "_coro", "_send", "_parent", "_children", "_scopes", "_waiting", "_since",
        "_timer", "_fresh", "_pending", "_ending", "_result", "_error", "_failed_us",
    )  # fmt: skip

    def __init__(
        self, kernel: Kernel, coro: Coroutine[object, Any, T], name: str, parent: Task[Any] | None
    ) -> None:
        self.kernel = kernel
        self.name = name
        self.done = False
        self.cancelled = False
        self._waiters = []
        self._coro: Coroutine[object, Any, T] | None = coro
        self._send: Any = coro.send
        self._parent = parent
        self._children: dict[Task[Any], None] = {}
        self._scopes: list[Scope] = []
        # A Waitable, several, a timer (sleep, first start), or None: running, or woken and not yet run.
        self._waiting: Any = None
        self._since = kernel.now
        self._timer: list[Any] | None = None
        self._fresh = True
        self._pending = False
        self._ending = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self._failed_us = 0

    # What actors call

    def cancel(self) -> None:
        """Throws `Cancelled` into the task at its await; a value it was already given comes first."""
        coro = self._coro
        if coro is None or self.cancelled:
            return
        kernel = self.kernel
        if kernel._outside:
            raise kernel._trespass(f"cancel {self.name}")
        self.cancelled = True
        if self._fresh:
            self._unlink()
            coro.close()
            self._error = Cancelled()
            self._finish()
        elif self._waiting is None or kernel._current is self:
            self._pending = True
        else:
            self.fail(Cancelled())

    @types.coroutine
    def join(self, timeout: float | None = None) -> Generator[object, Any, None]:
        """Awaits the end of the task and of its children; `outcome` tells how it ended.

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
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set when there is no error

    def _ready(self) -> bool:
        return self.done

    def _take(self) -> T:
        if self._error is not None and not isinstance(self._error, Cancelled):
            raise self._error
        return self._result  # type: ignore[return-value]  # None for a cancelled task

    # Waking and running

    def wake(self, source: Waitable[Any], value: object) -> None:
        """Makes the waiting task run with a value; `source` has dropped it already (for waitables only)."""
        waiting = self._waiting
        if type(waiting) is tuple:
            for one in waiting:
                if self in one._waiters:
                    one._waiters.remove(self)
            value = (waiting.index(source), value)
        self._waiting = None
        kernel = self.kernel
        if self._timer is not None:
            kernel._drop(self._timer)
            self._timer = None
        kernel._jobs.append([0, 0, self._step, (value,)])

    def fail(self, error: BaseException) -> None:
        """Makes the waiting task run with an exception (for waitables only)."""
        self._unlink()
        self.kernel._jobs.append([0, 0, self._throw, (error,)])

    def _unlink(self) -> None:
        """Takes the task out of all it waits for."""
        waiting = self._waiting
        kernel = self.kernel
        if type(waiting) is list:
            kernel._drop(waiting)
        elif type(waiting) is tuple:
            for one in waiting:
                if self in one._waiters:
                    one._waiters.remove(self)
        elif waiting is not None and self in waiting._waiters:
            waiting._waiters.remove(self)
        self._waiting = None
        if self._timer is not None:
            kernel._drop(self._timer)
            self._timer = None

    def _start(self) -> None:
        self._fresh = False
        self._step(None)

    def _step(self, value: object) -> None:
        """Runs the task up to its next await."""
        kernel = self.kernel
        kernel._current = self
        try:
            got = self._send(value)
        except BaseException as error:
            kernel._current = None
            self._over(error)
        else:
            kernel._current = None
            if got is not kernel or self._pending:
                self._check(got)

    def _throw(self, error: BaseException) -> None:
        """Runs the task on with an exception at its await."""
        kernel = self.kernel
        coro = self._coro
        assert coro is not None
        kernel._current = self
        try:
            got = coro.throw(error)
        except BaseException as caught:
            kernel._current = None
            # Its traceback holds this frame: a cycle that would outlive the run where the collector is off.
            del error
            self._over(caught)
        else:
            kernel._current = None
            if got is not kernel or self._pending:
                self._check(got)

    def _check(self, got: object) -> None:
        """At an await: rejects what is not this kernel's, and delivers a cancel that had to wait."""
        if got is not self.kernel:
            kind = type(got)
            what = "nothing (a bare yield, as of asyncio.sleep(0))"
            if got is not None:
                what = f"a {kind.__module__}.{kind.__qualname__}"
            self._throw(
                TypeError(
                    f"{self.name} awaited {what}{self._place()}: actors await only what their own kernel "
                    "gives (sleep, channels, events, tasks); let the host do it and post the result"
                )
            )
        elif self._pending:
            self._pending = False
            self.fail(Cancelled())

    def _expire(self, error: BaseException) -> None:
        """Ends the present wait at once with a due time-out."""
        self._unlink()
        self._throw(error)

    # Ending

    def _over(self, error: BaseException) -> None:
        """The coroutine has ended; `error` says how."""
        kernel = self.kernel
        if isinstance(error, StopIteration):
            self._result = error.value
            if self.cancelled and not self._pending:
                kernel.notes.append(f"{self.name} swallowed its cancellation, ended at {kernel.now} us")
        elif isinstance(error, Cancelled) and self.cancelled:
            # A fresh one: the caught one's traceback would tie the task and the kernel in a cycle.
            self._error = Cancelled()
        elif isinstance(error, (Exception, Cancelled)):
            self._error = error
            self._failed_us = kernel.now
            if not self._waiters:
                self._settle()
                raise ActorError(self.name, kernel.now, error) from error
        else:
            self._settle()
            raise error
        self._finish()

    def _settle(self) -> None:
        """Forgets the coroutine, so that a task that somebody still holds keeps nothing alive."""
        self._coro = None
        self._send = None
        self._waiting = None
        self._fresh = False
        self._pending = False
        self._since = self.kernel.now

    def _finish(self) -> None:
        """The coroutine has ended: cancels the children, and completes when they have ended too."""
        self._settle()
        children = self._children
        if children:
            for child in list(children):
                child.cancel()
        if children:
            self._ending = True
        else:
            self._complete()

    def _complete(self) -> None:
        """Nothing of the task is left: tells those who joined it, and a parent that waits to end."""
        assert not self.done, f"{self.name} completed twice"
        self.done = True
        self._ending = False
        kernel = self.kernel
        kernel._tasks.pop(self, None)
        parent = self._parent
        if parent is not None:
            parent._children.pop(self, None)
            if parent._ending and not parent._children:
                # As a job: this may run inside another actor's call of cancel().
                kernel._jobs.append([0, 0, parent._complete, ()])
        error = self._error
        failed = error is not None and not isinstance(error, Cancelled)
        if self._waiters:
            for waiter in list(self._waiters):
                if failed and error is not None:
                    waiter.fail(error)
                else:
                    self._waiters.remove(waiter)
                    waiter.wake(self, self._result)
        elif failed and error is not None:
            raise ActorError(self.name, self._failed_us, error) from error
        if self is kernel._root:
            raise Finished

    def _end_now(self) -> None:
        """The final close: the finally-blocks run, awaiting in them is forbidden and noted."""
        kernel, coro = self.kernel, self._coro
        if coro is not None and self._fresh:
            coro.close()
        elif coro is not None:
            kernel._current = self
            try:
                coro.throw(Cancelled())
                kernel.notes.append(f"{self.name} awaited in the final close{self._place()}")
                coro.close()
            except (StopIteration, Cancelled):
                pass
            except Exception as error:
                kernel.notes.append(f"{self.name} failed in the final close: {type(error).__name__}: {error}")
            finally:
                kernel._current = None
        self._settle()
        if not self.done:
            self.done = True
            self._error = self._error or Cancelled()
        self._children.clear()
        self._waiters.clear()

    # Reporting

    def describe(self) -> str:
        """One line of `Kernel.report`: what it waits for, since when, where."""
        return f"{self.name}: {self._state()}, since {self._since} us{self._place()}"

    def _state(self) -> str:
        waiting = self._waiting
        if self._ending:
            return "has ended, waits for its children " + ", ".join(child.name for child in self._children)
        if self._fresh:
            return "has not started"
        if waiting is None:
            return "runs"
        if type(waiting) is list:
            text = f"sleeps until {waiting[0]} us"
        elif type(waiting) is tuple:
            text = "waits for the first of " + ", ".join(one._label() for one in waiting)
        else:
            text = f"waits for {waiting._label()}"
        if self._timer is not None:
            text += f" until {self._timer[0]} us"
        bounds = ", ".join(f"{scope.deadline_us} us" for scope in self._scopes)
        return f"{text} (in a time-out until {bounds})" if bounds else text

    def _label(self) -> str:
        return f"the end of {self.name}"

    def _place(self) -> str:
        """Where the innermost frame that is not the kernel's own stands."""
        place = ""
        at: Any = self._coro
        while at is not None:
            frame = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None)
            if frame is not None and frame.f_code.co_filename not in _OWN_FILES:
                place = f", at {_short(frame.f_code.co_filename)}:{frame.f_lineno}"
            at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None)
        return place


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


class Scope:
    """A block with a time-out around the awaits of one task; nests, and the outermost that expired wins.

    Attributes:
        seconds: how long the block may take.
        deadline_us: when it expires; 0 before the block is entered.
        expired: the block was ended by this time-out.
    """

    __slots__ = ("seconds", "deadline_us", "expired", "_kernel", "_task", "_active", "_timer")

    def __init__(self, kernel: Kernel, seconds: float) -> None:
        self.seconds = seconds
        self.deadline_us = 0
        self.expired = False
        self._kernel = kernel
        self._task: Task[Any] | None = None
        self._active = False
        self._timer: Handle | None = None

    def __enter__(self) -> Scope:
        kernel = self._kernel
        task = kernel._current
        if task is None:
            raise kernel._nobody("open a time-out")
        if self._task is not None:
            raise RuntimeError("a time-out block is entered once; make a new one with kernel.timeout()")
        self._task = task
        self._active = True
        self.deadline_us = kernel.now + int(self.seconds * 1e6 + 0.5)
        task._scopes.append(self)
        self._timer = kernel.at(self.deadline_us, kernel._expiries.append, self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._active = False
        task, kernel = self._task, self._kernel
        assert task is not None and self._timer is not None
        task._scopes.remove(self)
        kernel._drop(self._timer)
        if not self.expired:
            return
        if kind is None:
            kernel.notes.append(f"{task.name} swallowed a time-out, its block ended at {kernel.now} us")
        elif not (isinstance(error, Timeout) or (isinstance(error, Cancelled) and error.scope is self)):
            return
        raise Timeout(f"{task.name}: {self.seconds} s are over at {kernel.now} us") from None
