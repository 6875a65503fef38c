"""Between actors of a kernel and tasks of an asyncio loop that host each other, in virtual or in real time.

Knows neither what is asked nor which loop it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from rig.kernel import Cancelled, Event, Kernel

T = TypeVar("T")


class Bridge:
    """Lets an actor await a task, and a task await an actor."""

    def __init__(self, kernel: Kernel, loop: asyncio.AbstractEventLoop) -> None:
        self.kernel = kernel
        self.loop = loop
        self._running: dict[asyncio.Task[Any], None] = {}

    @property
    def over(self) -> bool:
        """Whether the kernel's run has ended."""
        return self.kernel._closed

    async def task(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """For an actor: runs a coroutine of asyncio's as a task and waits for it; whoever gives up cancels it.

        Raises:
            Exception: what the task raised.
        """
        over: Event[bool] = Event(self.kernel, name)
        task = self.loop.create_task(work, name=name)
        task.add_done_callback(lambda _: self.kernel.post(_set, over))
        try:
            await over.wait()
        finally:
            if not task.done():
                task.cancel()
        return task.result()

    def start(self, work: Coroutine[Any, Any, object], name: str) -> None:
        """Runs a coroutine of asyncio's as a task that nobody waits for."""
        task = self.loop.create_task(work, name=name)
        # The loop itself keeps no task alive.
        self._running[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self.loop.call_exception_handler(
                {"message": f"{task.get_name()} failed", "exception": task.exception(), "task": task}
            )

    def actor(self, work: Coroutine[object, Any, T], name: str) -> asyncio.Future[T]:
        """For a task: runs a coroutine as an actor of its own; the future tells how it ended."""
        future: asyncio.Future[T] = self.loop.create_future()
        self.kernel.post(self._spawn, work, name, future)
        return future

    def _spawn(self, work: Coroutine[object, Any, T], name: str, future: asyncio.Future[T]) -> None:
        self.kernel.spawn(_run(work, future), name=name, keep=True)


def _set(event: Event[bool]) -> None:
    if not event.is_set:
        event.set(True)


async def _run(work: Coroutine[object, Any, T], future: asyncio.Future[T]) -> None:
    try:
        result = await work
    except Cancelled:
        future.cancel()
        raise
    except Exception as error:
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)
