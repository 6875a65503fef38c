"""The schedule: callbacks at exact integer times, ordered by (deadline, first come).

The half of the kernel that devices use. Knows nothing of actors, wall clocks, loops or threads.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection
from heapq import heapify, heappop, heappush
from operator import itemgetter
from typing import Any, Protocol, TypeVarTuple

from rig.kernel_errors import ActorError, KernelError, Livelock, Outside

Ts = TypeVarTuple("Ts")

Handle = list[object]
"""What `at`, `after` and `cyclic` return and `cancel` takes; opaque.

Inside: [deadline, sequence, function, arguments]; a plain list compares and unpacks fastest.
"""

_SEQUENCE = itemgetter(1)

LIVELOCK_EVENTS = 200_000
"""Events in one instant after which time is held to stand still."""


class Host(Protocol):
    """What drives a kernel from outside its own events."""

    def arrive(self, entry: list[Any]) -> None:
        """Something was posted from outside."""

    def wake(self) -> None:
        """Look at the kernel again."""


class Schedule:
    """Pending callbacks, and the loop that fires them.

    Attributes:
        now: the deadline of the running event in µs; 0 at the start.
        events: how many events have fired (brought up to date at every instant).
    """

    __slots__ = (
        "now", "events", "_heap", "_cyclic", "_jobs", "_expiries", "_seq", "_dead", "_outside", "_host",
        "_closed", "_misuse", "_until_us", "_guest",
    )  # fmt: skip

    def __init__(self) -> None:
        self.now = 0
        self.events = 0
        self._heap: list[list[Any]] = []
        self._cyclic: list[list[Any]] = []
        # What was set at the present instant. An entry of a heap was always set earlier, so at each instant
        # heaps first, then jobs, is exactly "first come"; and zero delay never costs a heap operation.
        self._jobs: deque[list[Any]] = deque()
        # Time-outs that are due; delivered when nothing else is left at the instant, so that a value wins.
        self._expiries: deque[Any] = deque()
        self._seq = 0
        self._dead = 0
        self._outside = False
        self._host: Host | None = None
        self._closed = False
        # How far the loop may go at present; nothing runs outside it.
        self._until_us = -1
        self._misuse: Outside | None = None
        # What a host has ready to run besides; while there is something, time does not go on.
        self._guest: Collection[object] = ()

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

    def advance(self, us: int) -> bool:
        """Goes on to `us` at once if nothing is to happen until then, that instant included; False: it stays.

        Saves an event to a callback that would only set itself again: as the last thing it does, it may go on
        as if it had been called at `us`.
        """
        if self._jobs or self._expiries or self._guest or us > self._until_us:
            return False
        heap, cyclic = self._heap, self._cyclic
        if (heap and heap[0][0] <= us) or (cyclic and cyclic[0][0] <= us):
            return False
        self.now = us
        return True

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
        """Deadline of the earliest pending event that is not cyclic; 0: some can run now, None: none."""
        if self._jobs or self._expiries or self._guest:
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
        # What is cancelled does not come along, or it would be moved on and on.
        cyclic = [entry for entry in self._cyclic if entry[2] is not None]
        cyclic.sort(key=_SEQUENCE)
        for entry in cyclic:
            entry[0] += delta_us
            self._seq = entry[1] = self._seq + 1
        self._cyclic[:] = cyclic
        heapify(self._cyclic)

    # For hosts

    def _loop(self, until_us: int) -> None:
        """Fires everything up to `until_us`; returns when nothing is left, or the host has something ready."""
        heap, cyclic, jobs, expiries = self._heap, self._cyclic, self._jobs, self._expiries
        pop, pop_job, guest = heappop, jobs.popleft, self._guest
        count = self.events
        limit = count + LIVELOCK_EVENTS
        fn: Any = None
        self._until_us = until_us
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(_no_asyncgen, None)
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
                if guest:
                    return
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
            self._until_us = -1
            sys.set_asyncgen_hooks(*hooks)

    def _expire(self, item: Any) -> None:
        """Delivers one due time-out."""
        raise NotImplementedError

    def _say(self, what: str) -> str:
        """The text of an error, with a report."""
        return what

    def _trespass(self, what: str) -> Outside:
        """Notes the misuse, so that the run fails even if the caller's loop only logs it."""
        self._misuse = Outside(f"cannot {what} from outside the kernel while it is driven; use kernel.post")
        if self._host is not None:
            self._host.wake()
        return self._misuse


def _no_asyncgen(made: AsyncGenerator[Any, Any]) -> None:
    """An async generator that is dropped half-way runs its finally-blocks at a random time."""
    name = getattr(made, "__qualname__", "?")
    raise TypeError(f"actors must not use async generators ({name}); use a channel")
