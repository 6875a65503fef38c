"""The radio of one phone: its host, its controller, and the link that it has.

Knows nothing of the app.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bumble import hci
from bumble.device import Connection as BumbleConnection

from hardware.bluetooth.central import Central
from hardware.bluetooth.profile import Collector

if TYPE_CHECKING:
    from hardware.bluetooth.controller import RigController
    from hardware.bluetooth.link import BumbleLink

OFF = int(hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)


@dataclass(slots=True, eq=False)
class PhoneRadio:
    """One phone's Bluetooth.

    Attributes:
        host: its host; None: it is outside the rig.
        radio: its controller; None: it is a real one.
        address: its identity.
        drivers: it is the phone that faults befall.
        link: the one it has or makes.
        own: it is a phone of the user's own, in the place of the rig's.
        switched_off: whether its Bluetooth is.
    """

    host: Central | None
    radio: RigController | None
    address: hci.Address
    drivers: bool
    link: BumbleLink | None = None
    own: bool = False
    switched_off: Callable[[], bool] = lambda: False

    @property
    def central(self) -> Central:
        """Its host, which is the rig's."""
        assert self.host is not None, "the host of this phone is outside the rig"
        return self.host

    @property
    def busy(self) -> bool:
        """Whether it has a link, or makes one."""
        return self.own or (self.link is not None and self.link.up)

    def off(self) -> None:
        """Its radio is gone, and it knows; the other side notices when it misses it."""
        if self.radio is not None:
            self.radio.forget_links(OFF)
        if self.host is not None:
            self.host.abandon("the radio is off")

    async def restart(self) -> None:
        """Resets a real controller, which is how its radio goes off without a word."""
        await self.central.restart()

    def vanish(self) -> None:
        """Nothing passes any more on its links; both sides notice later."""
        if self.radio is None:
            return
        for one in self.radio.le_connections.values():
            channel = getattr(one, "channel", None)
            if channel is not None:
                channel.vanish()

    async def establish(self, name: str) -> BumbleConnection:
        """See `Central.connect`."""
        return await self.central.connect(name)

    async def subscribe(self, connection: BumbleConnection, mtu: int, told: Callable[[bytes], None]) -> int:
        """See `Central.subscribe`; whole messages are told."""
        collector = Collector()

        def heard(chunk: bytes) -> None:
            for message in collector.add(bytes(chunk)):
                told(message)

        return await self.central.subscribe(connection, mtu, heard)
