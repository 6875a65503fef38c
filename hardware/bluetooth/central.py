"""A phone's Bluetooth side: finds the module by its name, connects, encrypts, subscribes and writes.

Knows nothing of the app, and nothing of what the messages say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bumble import att, core, hci
from bumble.device import Advertisement, Connection, Device
from bumble.gatt_client import Client
from bumble.transport.common import TransportLostError

from hardware.bluetooth import profile
from hardware.bluetooth.bonds import Bonds
from hardware.bluetooth.device import LinkGone, QuietHost, guarded, make_device
from hardware.bluetooth.peripheral import Database

MTU = 185
"""The ATT MTU that iOS asks for."""


class Refused(Exception):
    """The module does not let this phone in."""


@dataclass(slots=True)
class Central:
    """One phone's host.

    Attributes:
        device: Bumble's.
        bonds: its keys.
        database: the module's attributes, once they are known.
    """

    device: Device
    bonds: Bonds
    database: Database | None = None
    _powered: bool = field(default=False, init=False)
    _attempt: asyncio.Future[Any] | None = field(default=None, init=False)
    _scans: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _giving_up: asyncio.Task[None] | None = field(default=None, init=False)

    @classmethod
    def make(cls, name: str, address: hci.Address, irk: bytes, bonds: Bonds, source: Any, sink: Any) -> Central:
        """A phone's host on a controller; it powers itself on when it is first used."""
        return cls(make_device(name, address, irk, bonds, source, sink), bonds)

    def abandon(self, why: str) -> None:
        """The radio has gone while it looks for the module: what waits for it fails now."""
        if self._attempt is not None and not self._attempt.done():
            self._attempt.set_exception(LinkGone(why))

    async def restart(self) -> None:
        """Resets the controller: all links are gone, without a word to the other ends."""
        await self.device.power_on()
        self._powered = True

    async def connect(self, name: str) -> Connection:
        """Scans for a name, and connects to whoever has it.

        Raises:
            LinkGone: it failed.
        """
        await self.ready()
        async with self._scans:
            # An earlier scan that was given up may still be on its way to its end.
            address = await self._find(name)
        return await self.reach(address)

    async def ready(self) -> None:
        """Powers the host on at its first use, and waits until an earlier attempt is over."""
        if self._giving_up is not None:
            await asyncio.shield(self._giving_up)
        if not self._powered:
            await self.device.power_on()
            self._powered = True

    async def reach(self, address: hci.Address) -> Connection:
        """Connects to an address, as soon as it advertises; whoever has enough of waiting cancels.

        Raises:
            LinkGone: it failed.
        """
        await self.ready()
        work = asyncio.ensure_future(self.device.connect(address, timeout=None))
        try:
            connection = await self._first(work)
        except core.ConnectionError as error:
            raise LinkGone(str(error)) from error
        finally:
            if not work.done():
                # Not cancelled: Bumble would leave the controller initiating, and trip over what comes of it.
                self._giving_up = asyncio.get_running_loop().create_task(self._give_up(work))
        assert isinstance(connection, Connection)
        return connection

    async def _give_up(self, work: asyncio.Future[Connection]) -> None:
        """Takes back a connection that is being made; one that is made all the same is ended."""
        try:
            await self.device.host.send_command(hci.HCI_LE_Create_Connection_Cancel_Command())
            connection = await work
            await self.disconnect(connection)
        except (core.ConnectionError, LinkGone, TransportLostError):
            pass
        finally:
            self._giving_up = None

    async def _find(self, name: str) -> hci.Address:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[hci.Address] = loop.create_future()

        def heard(advertisement: Advertisement) -> None:
            told = advertisement.data.get(core.AdvertisingData.COMPLETE_LOCAL_NAME)
            if told == name and not found.done():
                found.set_result(advertisement.address)

        device = self.device
        device.on(device.EVENT_ADVERTISEMENT, heard)
        try:
            await device.start_scanning(filter_duplicates=False)
            address = await self._first(found)
        finally:
            device.remove_listener(device.EVENT_ADVERTISEMENT, heard)
            await asyncio.shield(self._stop_scanning())
        assert isinstance(address, hci.Address)
        return address

    async def _stop_scanning(self) -> None:
        """Runs to its end even if nobody waits any more: else the controller would go on."""
        try:
            await self.device.stop_scanning()
        except (hci.HCI_Error, TransportLostError):
            pass

    async def _first(self, work: asyncio.Future[Any]) -> Any:
        """The result of `work`, unless the attempt is abandoned before."""
        self._attempt = attempt = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({work, attempt}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else attempt.result()
        finally:
            if not attempt.done():
                attempt.cancel()
            elif not attempt.cancelled():
                attempt.exception()  # who waited may have been cancelled at the same instant
            self._attempt = None

    async def greet(self, connection: Connection) -> None:
        """Asks for the other end's features, as phones' hosts do before their apps hear of a connection.

        A central has a connection as soon as it has asked for it; from here on the other end has it too.

        Raises:
            LinkGone: the connection is gone.
        """
        await guarded(connection, connection.get_remote_le_features())

    async def discover(self, connection: Connection) -> None:
        """Finds the service and its attributes.

        Raises:
            LinkGone, Refused: it failed.
        """
        client = connection.gatt_client
        services = await guarded(connection, client.discover_service(profile.SERVICE))
        if not services:
            raise Refused("the module has no such service")
        service = services[0]
        found = await guarded(connection, client.discover_characteristics((), service))
        by_uuid = {one.uuid: one for one in found}
        notify = by_uuid[profile.NOTIFY]
        descriptors = await guarded(connection, client.discover_descriptors(notify))
        cccd = next(one for one in descriptors if one.type == profile.CCCD)
        self.database = Database(by_uuid[profile.WRITE].handle, notify.handle, cccd.handle)

    async def subscribe(self, connection: Connection, mtu: int, told: Callable[[bytes], None]) -> int:
        """Encrypts, agrees on the MTU, subscribes; the MTU agreed on.

        Raises:
            LinkGone: the connection is gone.
            Refused: the two ends have no keys in common.
        """
        database = self.database
        assert database is not None
        client: Client = connection.gatt_client
        if await self.bonds.get(str(connection.peer_address)) is not None:
            await self.encrypt(connection)
        agreed = int(await guarded(connection, client.request_mtu(mtu)))
        client.notification_subscribers.setdefault(database.notify, set()).add(told)
        try:
            await guarded(connection, client.write_value(database.cccd, b"\x01\x00", with_response=True))
        except att.ATT_Error as error:
            raise Refused(f"the module refuses a subscription: {error}") from error
        return agreed

    async def encrypt(self, connection: Connection) -> None:
        """Encrypts with the keys of the bond.

        Raises:
            LinkGone: the connection is gone.
            Refused: the other end has no keys.
        """
        try:
            await guarded(connection, self.device.encrypt(connection))
        except hci.HCI_Error as error:
            raise Refused(f"the module has no key: {error}") from error

    async def pair(self, connection: Connection) -> None:
        """LE Secure Connections pairing, Just Works; the keys are kept as a bond.

        Raises:
            LinkGone: the connection is gone.
            Refused: pairing failed.
        """
        try:
            await guarded(connection, self.device.pair(connection))
        except core.ProtocolError as error:
            raise Refused(f"pairing failed: {error}") from error

    async def write(self, connection: Connection, data: bytes, *, acknowledged: bool) -> None:
        """Writes one chunk; a longer one than MTU - 3 as one long write.

        Raises:
            LinkGone: the connection was lost before it was acknowledged.
            Refused: the module reported an error.
        """
        assert self.database is not None
        work = connection.gatt_client.write_value(self.database.write, data, with_response=acknowledged)
        try:
            await guarded(connection, work)
        except att.ATT_Error as error:
            raise Refused(f"write failed: {error}") from error

    async def drained(self, connection: Connection) -> None:
        """Waits until everything written has been sent.

        Raises:
            LinkGone: the connection is gone.
        """
        queue = self.device.host.get_data_packet_queue(connection.handle)
        if queue is not None and queue.pending:
            await guarded(connection, queue.drain(connection.handle))
        if not self.lives(connection):
            raise LinkGone("the connection was lost")

    async def disconnect(self, connection: Connection) -> None:
        """Ends a connection; does nothing if it is gone."""
        if self.lives(connection):
            reason = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)
            await self.device.disconnect(connection, reason)

    def put_away(self) -> None:
        """The run is over: what nobody waits for any more ends."""
        host = self.device.host
        assert isinstance(host, QuietHost)
        host.put_away()
        if self._giving_up is not None:
            self._giving_up.cancel()

    def lives(self, connection: Connection) -> bool:
        """Whether the host still has a connection."""
        return self.device.connections.get(connection.handle) is connection
