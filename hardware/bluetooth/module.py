"""The car's Bluetooth module with a real Bluetooth stack: slots and body CAN as at `model`, the radio on Bumble.

Knows the world through its base class, and the air through `hardware.bluetooth.ether`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from bumble import att
from bumble.core import CommandTimeoutError
from bumble.device import Connection as BumbleConnection

from hardware.bluetooth.link import BumbleLink
from hardware.bluetooth.peripheral import Peripheral
from hardware.bluetooth.profile import Collector
from rig.world.btlink import Connection, Step
from rig.world.btmodule import SLOTS, Module

if TYPE_CHECKING:
    from hardware.bluetooth.air import BumbleAir
    from hardware.bluetooth.controller import RigConnection, RigController
    from rig.world.world import World


class BumbleModule(Module):
    """The module; what befalls it befalls its controller and its host.

    Attributes:
        peripheral: its Bluetooth host, while it has one.
        radio: its controller.
    """

    def __init__(self, world: World, air: BumbleAir) -> None:
        super().__init__(world)
        self._air = air
        self.peripheral: Peripheral | None = None
        self.radio: RigController | None = None
        self._here: dict[BumbleConnection, tuple[int, Connection | None]] = {}
        self._collectors: dict[BumbleConnection, Collector] = {}
        self._seized: dict[str, RigConnection] = {}
        self._boots = 0

    def start(self) -> None:
        """Begins the cyclic BluetoothState, and to advertise."""
        super().start()
        self._settle()

    # -- its host's life ---------------------------------------------------------------------------

    def _settle(self) -> None:
        """Starts the host if it should be there and is not."""
        if not self.on_air or self.peripheral is not None:
            return
        self._boots += 1
        self.radio, self.peripheral = self._air.make_peripheral(self, self._boots)
        self._air.stick(self.radio, bool(self.stuck))
        self._air.spawn(self._start(self.peripheral), "module starts")

    async def _start(self, peripheral: Peripheral) -> None:
        """On the loop: powers the host on."""
        await self._until_it_dies(peripheral, peripheral.start())

    async def _until_it_dies(self, peripheral: Peripheral, work: Coroutine[Any, Any, None]) -> None:
        """Something that makes the host be found, unless the controller goes, or gets stuck, in the middle of it."""
        try:
            await work
        except CommandTimeoutError:
            if peripheral is self.peripheral and not self.stuck:
                raise
        else:
            self._world.kernel.post(self._hog)

    def _lose_all(self) -> None:
        super()._lose_all()
        if self.radio is not None:
            self.radio.power_off()
        elif self.peripheral is not None:
            self._air.spawn(self.peripheral.silence(), "module's controller is reset")
        self.radio = self.peripheral = None
        self._here.clear()
        self._collectors.clear()
        self._seized.clear()

    def _radio_changed(self, off: bool) -> None:
        super()._radio_changed(off)
        self._settle()

    def _reset_changed(self, away: bool) -> None:
        super()._reset_changed(away)
        self._settle()

    def _stuck_changed(self, stuck: bool) -> None:
        self._air.stick(self.radio, stuck)
        super()._stuck_changed(stuck)
        self._settle()

    def _dead_changed(self, dead: bool) -> None:
        super()._dead_changed(dead)
        self._settle()

    # -- centrals: on the loop ---------------------------------------------------------------------

    def came(self, connection: BumbleConnection) -> None:
        """On the loop: a central has connected."""
        self._collectors[connection] = Collector()
        self._world.kernel.post(self._came, self.peripheral, connection)

    def went(self, connection: BumbleConnection) -> None:
        """On the loop: a central's connection is gone."""
        self._collectors.pop(connection, None)
        self._world.kernel.post(self._went, connection)

    def wrote(self, connection: BumbleConnection, data: bytes) -> None:
        """On the loop: a central has written.

        Raises:
            ATT_Error: the write is to be reported as failed, though it was done.
        """
        collector = self._collectors.get(connection)
        if collector is None:
            return
        whole = collector.add(data)
        link = self._air.link_of(connection)
        if whole and link is not None and link.of_own_phone:
            link.saw(whole[-1])
            if link.wrote == Step.COMMAND and self._air.lost_before_write:
                self._world.kernel.post(self._air.vanish, link)
                return
        self._world.kernel.post(self._wrote, connection, data)
        if not (whole and self._air.write_failed and link is not None and link.of_driver):
            return
        if link.acknowledged and link.wrote == Step.COMMAND:
            raise att.ATT_Error(error_code=att.ErrorCode.UNLIKELY_ERROR)

    # -- centrals: in the kernel -------------------------------------------------------------------

    def _came(self, peripheral: Peripheral | None, connection: BumbleConnection) -> None:
        if peripheral is None or peripheral is not self.peripheral:
            return
        self._air.spawn(self._advertise(peripheral), "module advertises")
        handle = self.opened()
        if handle is None:
            self._air.spawn(peripheral.refuse(connection), "module refuses")
            return
        peer = str(connection.peer_address)
        if peer in self._seized:
            self._foreign[handle] = self._world.kernel.now
            self._here[connection] = (handle, None)
            return
        link = self._air.link_of(connection)
        if link is None or link.of_own_phone:
            link = self._air.outsider(connection)
        link.served(peripheral, connection, handle)
        self.links[handle] = link
        self._here[connection] = (handle, link)

    async def _advertise(self, peripheral: Peripheral) -> None:
        """On the loop: it can be found again."""
        await self._until_it_dies(peripheral, peripheral.advertise())

    def _went(self, connection: BumbleConnection) -> None:
        here = self._here.pop(connection, None)
        self._seized.pop(str(connection.peer_address), None)
        if here is None:
            return
        handle, link = here
        if isinstance(link, BumbleLink) and link.of_own_phone:
            link.down()
        self.closed(handle, link)

    def _wrote(self, connection: BumbleConnection, data: bytes) -> None:
        here = self._here.get(connection)
        if here is None:
            return
        handle, link = here
        if isinstance(link, BumbleLink) and link.of_own_phone and self._air.chunk_late:
            self._world.kernel.after(self._air.chunk_late.value * 1000, self._hand_on, handle, link, data)
        else:
            self._hand_on(handle, link, data)

    def _hand_on(self, handle: int, link: Connection | None, data: bytes) -> None:
        copies = 1
        if isinstance(link, BumbleLink) and link.of_driver and self._air.chunks_disturbed:
            copies = self._air.copies()
        for _ in range(copies):
            self.written(handle, data)
        if isinstance(link, BumbleLink) and link.of_own_phone and link.wrote == Step.COMMAND:
            self._air.written(link)

    # -- a foreign central -------------------------------------------------------------------------

    def _taken_changed(self, taken: bool) -> None:
        if taken:
            self._hog()
            return
        for connection in self._seized.values():
            self._air.release(connection)

    def _hog(self) -> None:
        """The foreign central takes what is free, over the air, one connection after the other."""
        if not self.slots_taken or self.radio is None or len(self._open) == SLOTS:
            return
        if len(self._seized) == len(self._foreign):
            connection = self._air.seize(self.radio)
            self._seized[str(connection.self_address)] = connection
