"""The module's Bluetooth side: a GATT server that advertises under the vehicle's name and carries messages.

Knows nothing of the body CAN, and nothing of what the messages say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from bumble import att, hci
from bumble.core import AdvertisingData
from bumble.device import Connection, Device, LegacyAdvertiser
from bumble.gatt import Characteristic, CharacteristicValue, Descriptor, Service

from hardware.bluetooth import profile
from hardware.bluetooth.bonds import Bonds
from hardware.bluetooth.device import make_device

ADVERTISING_MS = 100.0
MTU = 517
REFUSED = int(hci.HCI_ErrorCode.REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_LOW_RESOURCES_ERROR)
ENCRYPTED_WRITE = att.Attribute.WRITEABLE | att.Attribute.WRITE_REQUIRES_ENCRYPTION


class Served(Protocol):
    """Who is told of what centrals do, on the loop."""

    def opened(self, connection: Connection) -> None:
        """A central has connected."""

    def closed(self, connection: Connection, reason: int) -> None:
        """Its connection is gone."""

    def written(self, connection: Connection, data: bytes) -> None:
        """Bytes were written.

        Raises:
            bumble.att.ATT_Error: to tell the central that it failed.
        """


@dataclass(slots=True)
class Database:
    """Handles of the attributes, as a client knows them after discovery."""

    write: int
    notify: int
    cccd: int


@dataclass(slots=True)
class Peripheral:
    """One life of the module's Bluetooth host, from its start to its reset.

    Attributes:
        device: Bumble's.
        serves: told of what centrals do.
        most_mtu: what it agrees to.
        private: it advertises under private addresses, which its controller makes.
        database: its attributes' handles.
    """

    device: Device
    serves: Served
    most_mtu: int = MTU
    private: bool = True
    _notify: Any = field(default=None, init=False)
    _write: Any = field(default=None, init=False)
    _cccd: Any = field(default=None, init=False)
    _advertiser: LegacyAdvertiser | None = field(default=None, init=False)

    @classmethod
    def make(
        cls, vin: str, address: hci.Address, irk: bytes, bonds: Bonds, source: Any, sink: Any, serves: Served
    ) -> Peripheral:
        """A module's host on a controller; `start` powers it on."""
        one = cls(make_device("module", address, irk, bonds, source, sink), serves)
        one._offer()
        device = one.device
        device.advertising_interval_min = device.advertising_interval_max = ADVERTISING_MS
        device.advertising_data = bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, b"\x06"),
                    (
                        AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
                        profile.SERVICE.to_pdu_bytes(),
                    ),
                ]
            )
        )
        name = profile.local_name(vin).encode()
        device.scan_response_data = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, name)]))
        device.on(device.EVENT_CONNECTION, one._connected)
        return one

    def _offer(self) -> None:
        server = self.device.gatt_server
        server.max_mtu = self.most_mtu
        self._write = Characteristic(
            profile.WRITE,
            Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            ENCRYPTED_WRITE,
            CharacteristicValue(write=self._written),
        )
        # Of its own, since the one that Bumble adds lets anybody subscribe.
        self._cccd = Descriptor(profile.CCCD, att.Attribute.READABLE | ENCRYPTED_WRITE)
        self._notify = Characteristic(
            profile.NOTIFY, Characteristic.Properties.NOTIFY, Characteristic.Permissions(0), b"", [self._cccd]
        )
        self._cccd.value = server.make_descriptor_value(self._notify)
        server.add_service(Service(profile.SERVICE, [self._write, self._notify]))

    @property
    def database(self) -> Database:
        """What a client finds."""
        return Database(self._write.handle, self._notify.handle, self._cccd.handle)

    async def start(self) -> None:
        """Powers the host on and advertises."""
        await self.device.power_on()
        await self.advertise()

    async def advertise(self) -> None:
        """Advertises; a connection ends it, so it is begun anew after each."""
        device = self.device
        if self._advertiser is not None and device.legacy_advertiser is None:
            # Parameters and data stay with the controller until it is reset (Core, vol 4 part E 7.8.5 to 7.8.9).
            device.legacy_advertiser = self._advertiser
            await device.send_sync_command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
            return
        kinds = hci.OwnAddressType
        own = kinds.RESOLVABLE_OR_RANDOM if self.private else kinds.RANDOM
        await device.start_advertising(own_address_type=own)
        self._advertiser = device.legacy_advertiser

    async def silence(self) -> None:
        """Resets a real controller: it neither advertises nor holds connections, and says so to nobody."""
        await self.device.host.send_command(hci.HCI_Reset_Command())

    def agree(self, most_mtu: int) -> None:
        """Exchanges of the MTU come to no more than this from now on."""
        self.device.gatt_server.max_mtu = most_mtu

    async def send(self, connection: Connection, message: bytes) -> None:
        """Notifies a message, in chunks of MTU - 3."""
        server = self.device.gatt_server
        for piece in profile.pieces(profile.framed(message), connection.att_mtu - profile.ATT_OVERHEAD):
            if self.device.connections.get(connection.handle) is not connection:
                return
            await server.notify_subscriber(connection, self._notify, piece)

    async def refuse(self, connection: Connection) -> None:
        """Ends a connection for which there is no slot."""
        if self.device.connections.get(connection.handle) is connection:
            await self.device.disconnect(connection, REFUSED)

    def _connected(self, connection: Connection) -> None:
        connection.on(Connection.EVENT_DISCONNECTION, lambda reason: self.serves.closed(connection, reason))
        self.serves.opened(connection)

    def _written(self, connection: Connection, data: bytes) -> None:
        self.serves.written(connection, bytes(data))
