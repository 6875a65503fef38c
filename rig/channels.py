"""What actors wait for: channels and events.

Knows the kernel's queues and nothing of hosts, devices or the vehicle; import from `rig.kernel`.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rig.kernel_errors import ChannelClosed

if TYPE_CHECKING:
    from rig.kernel import Kernel
    from rig.tasks import Task

T = TypeVar("T")


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
        task._waiting = self
        task._since = kernel.now
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
            self._waiters.pop(0).wake(self, value)
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
        task._waiting = self
        task._since = kernel.now
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
            self._waiters[0].fail(ChannelClosed(f"{self.name} is closed"))

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
            task.wake(self, value)

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
