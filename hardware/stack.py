"""The `stack` fidelity: real protocol stacks on the outer links, in virtual time.

The same scenarios, world, DUT and judge as at `model`; libraries written for asyncio run on a loop whose clock is the
kernel's. Knows nothing of sockets and radios.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardware.vehicle import emulated_model
from hardware.virtualloop import VirtualLoop
from rig.kernel import Kernel
from rig.model import LONGEST_S, Model
from rig.world.links import Links
from rig.world.world import World


@dataclass(slots=True)
class Stack(Model):
    """Scenarios with real stacks on the links that `links` gives; the rest as `rig.model.Model`."""

    links: Callable[[VirtualLoop], Links] = lambda _loop: Links()

    def play(self, kernel: Kernel, world: Callable[[Links], World]) -> None:
        """As at `model`, on a loop in virtual time."""
        with VirtualLoop(kernel) as loop:
            loop.play(world(self.links(loop)).story(), until=LONGEST_S)


def emulated_stack(links: Callable[[VirtualLoop], Links], defect: str | None = None) -> Stack:
    """Scenarios against the emulated ECU in process, with real stacks on the outer links.

    Args:
        links: makes them on a loop; what it leaves out stays a model.
        defect: name of a planted defect, or None for the healthy ECU.
    """
    model = emulated_model(defect)
    return Stack(model.keys, model.codecs, model.edges, fidelity="stack", links=links)
