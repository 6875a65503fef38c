"""Who plays the outer links: phone to server, server to telematics unit, phone to Bluetooth module.

The world's own models by default; benches put real stacks in their place. Knows nothing of how those work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.protocol.vcp import Identity
from rig.world.bluetooth import Air
from rig.world.internet import Internet
from rig.world.phone import Phone
from rig.world.tcu import Tcu

if TYPE_CHECKING:
    from rig.world.world import World


@dataclass(frozen=True, slots=True)
class Links:
    """Makers of each link, called with the world that is being built, in this order.

    Attributes:
        internet: phone to server.
        tcu: the telematics unit, with its connection to the server.
        air: phone to Bluetooth module, with the module.
        phone: the app of a person called "phone" (the driver) or "guest", with that person's key.
    """

    internet: Callable[[World], Internet] = Internet
    tcu: Callable[[World], Tcu] = Tcu
    air: Callable[[World], Air] = Air
    phone: Callable[[World, Identity, str], Phone] = Phone


MODELS = Links()
"""All of them as models."""
