"""Something that happens again and again."""

from __future__ import annotations

from collections.abc import Callable

from rig.kernel import Handle, Kernel


def repeat(kernel: Kernel, every_us: int, act: Callable[[], None]) -> Callable[[], None]:
    """Does something now and every `every_us`, until the function returned is called."""
    timers: list[Handle] = []

    def again() -> None:
        timers[:] = [kernel.after(every_us, again)]
        act()

    again()
    return lambda: kernel.cancel(timers[0])
