"""A gate: something in the world that faults hold shut, several at once and overlapping.

Knows nothing of which faults there are.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.kernel import Event, Kernel


class Gate:
    """Active while at least one holder has it; the value is the last holder's."""

    __slots__ = ("_holders", "_waiting", "_watchers")

    def __init__(self) -> None:
        self._holders: list[list[int]] = []
        self._watchers: list[Callable[[bool], None]] = []
        self._waiting: list[Event[bool]] = []

    def __bool__(self) -> bool:
        return bool(self._holders)

    @property
    def value(self) -> int:
        """The value of who took hold last; 0 if nobody has."""
        return self._holders[-1][0] if self._holders else 0

    def lowest(self, healthy: int) -> int:
        """The lowest value that holders have, or `healthy` if nobody holds."""
        return min((holder[0] for holder in self._holders), default=healthy)

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Has `changed(active)` called whenever the gate begins or ceases to be held."""
        self._watchers.append(changed)

    async def cleared(self, kernel: Kernel, unless: Event[None] | None = None) -> None:
        """Waits until nobody holds it, or until something else happens."""
        while self._holders and not (unless is not None and unless.is_set):
            event: Event[bool] = Event(kernel, "gate")
            self._waiting.append(event)
            try:
                if unless is None:
                    await event.wait()
                else:
                    await kernel.first_of(event, unless)
            finally:
                self._waiting.remove(event)

    def hold(self, value: int = 0) -> Callable[[], None]:
        """Takes hold; the function returned lets go (and does so once)."""
        holder = [value]
        self._holders.append(holder)
        if len(self._holders) == 1:
            for watcher in self._watchers:
                watcher(True)

        def release() -> None:
            for place, other in enumerate(self._holders):
                if other is holder:
                    del self._holders[place]
                    break
            else:
                return
            if not self._holders:
                for watcher in self._watchers:
                    watcher(False)
                for event in self._waiting:
                    event.set(True)

        return release
