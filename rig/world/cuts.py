"""The DUT's supply is cut exactly before a write to its non-volatile memory.

Only an in-process DUT tells of its writes; knows nothing of what is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.ports import Unsupported

if TYPE_CHECKING:
    from rig.world.world import World

CAPABILITY = "memory.step"


class _Cut:
    """One cut that waits, and its hold of the supply once it came."""

    __slots__ = ("left", "release")

    def __init__(self, left: int) -> None:
        self.left = left
        self.release: Callable[[], None] | None = None


class WriteCuts:
    """Told of every write, by the DUT's edges, once somebody wants to know."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cuts: list[_Cut] = []
        self._watching = False

    def watch(self) -> bool:
        """Has every write told from now on; False: these edges cannot."""
        if not self._watching and CAPABILITY in self._world.edges.capabilities:
            self._world.edges.watch_memory(self._write)
            self._watching = True
        return self._watching

    def wait(self, writes: int) -> Callable[[], None]:
        """Cuts the supply before the next write but `writes`, until the function returned is called.

        Raises:
            Unsupported: these edges do not tell of writes.
        """
        if not self.watch():
            raise Unsupported("the supply can be cut between two writes only where the DUT runs in this process")
        cut = _Cut(writes)
        self._cuts.append(cut)

        def end() -> None:
            if cut in self._cuts:
                self._cuts.remove(cut)
            if cut.release is not None:
                cut.release()
                cut.release = None
                self._world.apply_supply()

        return end

    def _write(self) -> bool:
        """A write is about to happen; True: it does not."""
        self._world.step("memory.write")
        came = False
        for cut in list(self._cuts):
            if cut.left:
                cut.left -= 1
                continue
            self._cuts.remove(cut)
            cut.release = self._world.supply.hold(0)
            came = True
        if came:
            self._world.apply_supply()
        return came
