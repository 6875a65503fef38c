"""All outer links at `stack` fidelity at once: HTTPS and Bluetooth in virtual time, one loop, one kernel."""

from __future__ import annotations

from hardware.bluetooth.air import bumble_air
from hardware.cloud.stack import StackCloud
from hardware.stack import Stack, emulated_stack
from hardware.virtualloop import VirtualLoop
from rig.world.links import Links


def full_links(loop: VirtualLoop) -> Links:
    """Real HTTP and TLS between phone, server and car, and Bumble between phone and module."""
    cloud = StackCloud(loop)
    return Links(internet=cloud.internet, tcu=cloud.tcu, air=bumble_air(loop))


def full_stack(defect: str | None = None) -> Stack:
    """Scenarios against the emulated ECU with every outer link real, in virtual time.

    Args:
        defect: name of a planted defect, or None for the healthy ECU.
    """
    return emulated_stack(full_links, defect)
