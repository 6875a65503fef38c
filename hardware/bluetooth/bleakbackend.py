"""A Bleak backend on the rig's own phone radio: clients written for Bleak reach the module without an OS's Bluetooth.

    client, scanner = bleak_backends(air.own_phone())
    monkeypatch.setattr(bleak, "get_platform_client_backend_type", lambda: (client, "bumble"))

`bleak_on("tcp-client:127.0.0.1:9001")` does it for a radio behind any Bumble transport, such as one that
`rig vehicle --hci` hands out. Does what BlueZ does: it pairs when the module asks for encryption, and writes what is
longer than a packet as one long write. Needs the extra `interop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from unittest import mock

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakBluetoothNotAvailableError, BleakError
from bleak.exc import BleakBluetoothNotAvailableReason as NotAvailable
from bumble import att, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import Advertisement, Connection
from bumble.gatt_client import CharacteristicProxy

from hardware.bluetooth.bonds import Bonds, static_address
from hardware.bluetooth.central import Central, Refused
from hardware.bluetooth.device import LinkGone, guarded
from hardware.bluetooth.phone import PhoneRadio
from hardware.bluetooth.profile import ATT_OVERHEAD, CCCD, MOST_MTU
from hardware.bluetooth.radios import open_radio

NEEDS_PAIRING = (att.ATT_INSUFFICIENT_ENCRYPTION_ERROR, att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)


class BumbleBleakClient(BaseBleakClient):
    """Bleak's client on a phone radio; subclasses say on which.

    Attributes:
        radio: whose it is.
    """

    radio: ClassVar[PhoneRadio]

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        self._name = getattr(address_or_ble_device, "name", None) or self.address
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """As the device was advertised."""
        return self._name

    @property
    def mtu_size(self) -> int:
        """What was agreed on."""
        return self._link.att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the host still has the connection."""
        return self._connection is not None and self.radio.central.lives(self._connection)

    @property
    def _link(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connects, agrees on the MTU and discovers everything; encrypts if there is a bond."""
        address = hci.Address(self.address, hci.Address.RANDOM_DEVICE_ADDRESS)
        central = self.radio.central
        _must_be_on(self.radio)
        async with asyncio.timeout(kwargs.get("timeout", self._timeout)):
            try:
                self._connection = connection = await central.reach(address)
                connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)
                await guarded(connection, connection.gatt_client.request_mtu(MOST_MTU))
                if await central.bonds.get(str(connection.peer_address)) is not None:
                    await central.encrypt(connection)
                elif pair:
                    await central.pair(connection)
                self.services = await guarded(connection, self._discover(connection))
            except (LinkGone, Refused) as error:
                raise BleakError(f"failed to connect: {error}") from error

    def _disconnected(self, _reason: int) -> None:
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _discover(self, connection: Connection) -> BleakGATTServiceCollection:
        client = connection.gatt_client
        found = BleakGATTServiceCollection()
        for service in await client.discover_services():
            own = BleakGATTService(service, service.handle, _text(service.uuid))
            found.add_service(own)
            for characteristic in await client.discover_characteristics((), service):
                found.add_characteristic(
                    BleakGATTCharacteristic(
                        characteristic, characteristic.handle, _text(characteristic.uuid),
                        _properties(characteristic), lambda: connection.att_mtu - ATT_OVERHEAD, own,
                    )
                )  # fmt: skip
        return found

    async def disconnect(self) -> None:
        """Ends the connection, if there is one."""
        if self._connection is not None:
            await self.radio.central.disconnect(self._connection)

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """LE Secure Connections, Just Works."""
        await self.radio.central.pair(self._link)

    async def unpair(self) -> None:
        """Forgets the bond."""
        await self.radio.central.bonds.delete(str(self._link.peer_address))

    async def _do(self, make: Any) -> Any:
        """Does something that may need encryption: pairs and does it again, as an operating system would."""
        connection = self._link
        try:
            try:
                return await guarded(connection, make())
            except att.ATT_Error as error:
                if error.error_code not in NEEDS_PAIRING or connection.encryption:
                    raise
            await self.radio.central.pair(connection)
            return await guarded(connection, make())
        except (LinkGone, Refused, att.ATT_Error) as error:
            raise BleakError(str(error)) from error

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Reads, long if need be."""
        return bytearray(await self._do(lambda: self._link.gatt_client.read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Reads a descriptor."""
        return bytearray(await self._do(lambda: self._link.gatt_client.read_value(descriptor.handle)))

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        """Writes; with a response and longer than MTU - 3, as one long write."""
        value = bytes(data)
        await self._do(
            lambda: self._link.gatt_client.write_value(characteristic.handle, value, with_response=response)
        )

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Writes a descriptor."""
        value = bytes(data)
        await self._do(lambda: self._link.gatt_client.write_value(descriptor.handle, value, with_response=True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Subscribes."""
        proxy = characteristic.obj
        assert isinstance(proxy, CharacteristicProxy)
        client = self._link.gatt_client
        descriptors = await self._do(lambda: client.discover_descriptors(proxy))
        cccd = next((one for one in descriptors if one.type == CCCD), None)
        if cccd is None:
            raise BleakError("the characteristic cannot be subscribed to")
        heard = client.notification_subscribers.setdefault(proxy.handle, set())
        heard.add(lambda value: callback(bytearray(value)))
        await self._do(lambda: client.write_value(cccd, b"\x01\x00", with_response=True))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribes."""
        await self._do(lambda: self._link.gatt_client.unsubscribe(characteristic.obj))


class BumbleBleakScanner(BaseBleakScanner):
    """Bleak's scanner on a phone radio; subclasses say on which.

    Attributes:
        radio: whose it is.
    """

    radio: ClassVar[PhoneRadio]

    def __init__(
        self, detection_callback: Any, service_uuids: list[str] | None, scanning_mode: str, **kwargs: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Begins to listen."""
        central = self.radio.central
        _must_be_on(self.radio)
        await central.ready()
        self.seen_devices = {}
        central.device.on(central.device.EVENT_ADVERTISEMENT, self._heard)
        await central.device.start_scanning(active=self._active)

    async def stop(self) -> None:
        """Ends it."""
        device = self.radio.central.device
        device.remove_listener(device.EVENT_ADVERTISEMENT, self._heard)
        await device.stop_scanning()

    def _heard(self, advertisement: Advertisement) -> None:
        told = advertisement.data
        services = told.get(AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS) or []
        uuids = [_text(one) for one in services if isinstance(one, UUID)]
        name = told.get(AdvertisingData.COMPLETE_LOCAL_NAME)
        data = AdvertisementData(
            local_name=name if isinstance(name, str) else None,
            manufacturer_data={},
            service_data={},
            service_uuids=uuids,
            tx_power=None,
            rssi=advertisement.rssi,
            platform_data=(advertisement,),
        )
        if self.is_allowed_uuid(uuids):
            address = advertisement.address.to_string(with_type_qualifier=False)
            device = self.create_or_update_device(address, address, data.local_name, advertisement, data)
            self.call_detection_callbacks(device, data)


def bleak_backends(radio: PhoneRadio) -> tuple[type[BumbleBleakClient], type[BumbleBleakScanner]]:
    """Bleak's two backends on one radio."""
    client = type("BumbleClient", (BumbleBleakClient,), {"radio": radio})
    scanner = type("BumbleScanner", (BumbleBleakScanner,), {"radio": radio})
    return client, scanner


@contextlib.asynccontextmanager
async def bleak_on(transport: str) -> AsyncIterator[None]:
    """While it lasts, programs written for Bleak use the radio behind a Bumble transport.

    Args:
        transport: in Bumble's notation: "tcp-client:127.0.0.1:9001", "usb:0", "serial:/dev/ttyACM0", …

    Raises:
        RadioError: it cannot be opened.
    """
    tap = await open_radio("client", transport)
    chance = random.Random()  # an address, no key
    address = static_address(chance)
    host = Central.make("phone", address, chance.randbytes(16), Bonds(), tap, tap)
    client, scanner = bleak_backends(PhoneRadio(host, None, address, drivers=True))
    # What Bleak asks for the operating system's Bluetooth; it has no setting for it.
    ours: dict[str, Any] = {
        "get_platform_client_backend_type": lambda: (client, "bumble"),
        "get_platform_scanner_backend_type": lambda: (scanner, "bumble"),
    }
    try:
        with mock.patch.multiple("bleak", **ours):
            yield
    finally:
        await tap.close()


def _must_be_on(radio: PhoneRadio) -> None:
    if radio.switched_off():
        raise BleakBluetoothNotAvailableError("Bluetooth is switched off", NotAvailable.POWERED_OFF)


def _text(uuid: UUID) -> str:
    """A UUID in Bleak's notation: 128 bits, in small letters."""
    digits = uuid.to_hex_str("-")
    return (digits if len(uuid.uuid_bytes) == 16 else f"{digits:0>8}-0000-1000-8000-00805f9b34fb").lower()


def _properties(characteristic: CharacteristicProxy[bytes]) -> Any:
    names = {0x02: "read", 0x04: "write-without-response", 0x08: "write", 0x10: "notify", 0x20: "indicate"}
    return [name for bit, name in names.items() if characteristic.properties & bit]
