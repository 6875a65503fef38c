"""What bumble 0.0.236's emulation leaves out, and that ours has it.

Each gap is shown in the stock version too. When one of those tests fails after an upgrade, Bumble has mended it, and
what mends it in `hardware.bluetooth` may go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")

from bumble import att, core, hci
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, Service
from bumble.gatt_client import Client
from bumble.gatt_server import Server
from bumble.link import LocalLink

from hardware.bluetooth import profile
from hardware.bluetooth.ether import Ether
from tests.links.bumblepair import INTERVAL_MS, NAME, Kind, Pair, play

SUPERVISED_S = 5.0
SOON_S = 3.0
GONE = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR


async def cancels(pair: Pair) -> bool:
    """A connection that nobody answers is given up when its time is over."""
    nobody = hci.Address("F0:F1:F2:F3:F4:F5")
    work = asyncio.ensure_future(pair.central.connect(nobody, timeout=0.5))
    await asyncio.wait({work}, timeout=SOON_S)
    ended = work.done()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return ended


async def measures(pair: Pair) -> bool:
    """A host can ask how strong the other end is."""
    connection, _ = await pair.connect()
    try:
        answer = await pair.central.send_sync_command(hci.HCI_Read_RSSI_Command(handle=connection.handle))
    except hci.HCI_Error:
        return False
    return answer.rssi < 0


async def supervises(pair: Pair) -> bool:
    """Both ends notice a link that has vanished."""
    reasons: list[int] = []
    for end in await pair.connect():
        end.on(Connection.EVENT_DISCONNECTION, reasons.append)
    pair.vanish()
    await pair.sleep(SUPERVISED_S)
    return reasons == [GONE, GONE]


async def resets(pair: Pair) -> bool:
    """A controller that was reset has no links, and its peer notices."""
    _, far = await pair.connect()
    reasons: list[int] = []
    far.on(Connection.EVENT_DISCONNECTION, reasons.append)
    await pair.central.host.send_sync_command(hci.HCI_Reset_Command())
    forgotten = not pair.near.le_connections
    await pair.sleep(SUPERVISED_S)
    return forgotten and reasons == [GONE]


async def survives_a_new_address(pair: Pair) -> bool:
    """A private address that changes does not touch the links that stand."""
    connection, _ = await pair.connect()
    new = hci.HCI_LE_Set_Random_Address_Command(random_address=hci.Address("C0:01:02:03:04:05"))
    await pair.central.send_sync_command(new)
    try:
        async with asyncio.timeout(SOON_S):
            return await connection.gatt_client.request_mtu(100) == 100
    except TimeoutError:
        return False


async def answers_scans(pair: Pair) -> bool:
    """What is in the scan response alone is heard."""
    names: list[object] = []
    central = pair.central
    central.on(
        Device.EVENT_ADVERTISEMENT,
        lambda heard: names.append(heard.data.get(core.AdvertisingData.COMPLETE_LOCAL_NAME)),
    )
    await pair.advertise()
    await central.start_scanning()
    await pair.sleep(1.0)
    await central.stop_scanning()
    return NAME in names


async def keeps_its_interval(pair: Pair) -> bool:
    """Advertising events come as often as the host has asked."""
    count = 0

    def heard(_report: object) -> None:
        nonlocal count
        count += 1

    pair.central.host.on("advertising_report", heard)
    await pair.advertise()
    await pair.central.start_scanning(active=False)
    await pair.sleep(10.0)
    await pair.central.stop_scanning()
    reports_each = 1 if pair.kind == "ours" else 2  # the stock version answers passive scanners too
    return abs(count / reports_each - 10_000 / INTERVAL_MS) <= 2


async def holds_credits(pair: Pair) -> bool:
    """A packet that has not got through has not been completed."""
    connection, _ = await pair.connect()
    pair.vanish()
    await connection.gatt_client.write_value(1, b"into the void", with_response=False)
    await pair.sleep(0.1)
    queue = pair.central.host.get_data_packet_queue(connection.handle)
    assert queue is not None
    return queue.pending == 1


GAPS: dict[str, Callable[[Pair], Awaitable[bool]]] = {
    "cancelling a connection": cancels,
    "signal strength": measures,
    "supervision of links": supervises,
    "reset": resets,
    "addresses that change": survives_a_new_address,
    "scan responses": answers_scans,
    "the advertising interval's unit": keeps_its_interval,
    "credits only for what got through": holds_credits,
}


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("kind", ["stock", "ours"])
def test_the_gap_is_there_and_mended(kind: Kind, gap: str) -> None:
    assert play(kind, GAPS[gap]) == (kind == "ours")


def test_controllers_are_heard_in_the_order_in_which_they_came() -> None:
    """Bumble keeps them in a set, whose order is that of memory addresses: another one each run."""
    assert isinstance(LocalLink().controllers, set)
    loop = asyncio.new_event_loop()
    try:
        assert isinstance(Ether(loop).controllers, list)
    finally:
        loop.close()


def test_the_stock_server_lets_anybody_subscribe() -> None:
    """The descriptor that Bumble adds asks for no encryption, so ours brings its own."""

    async def subscribes(pair: Pair) -> bool:
        notify = Characteristic(profile.NOTIFY, Characteristic.Properties.NOTIFY, att.Attribute.READABLE, b"")
        pair.peripheral.gatt_server.add_service(Service(profile.SERVICE, [notify]))
        connection, _ = await pair.connect()
        client = connection.gatt_client
        service = (await client.discover_service(profile.SERVICE))[0]
        (found,) = await client.discover_characteristics((), service)
        await client.subscribe(found)
        return True

    assert play("ours", subscribes)


def stock_client(connection: Connection) -> Client:
    """Bumble's own client in the place of ours."""
    connection.gatt_client = Client(connection)
    return connection.gatt_client


@pytest.mark.parametrize("stock", [True, False])
def test_the_stock_client_makes_text_of_every_pdu(stock: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody reads it; why ours are quiet."""
    texts: list[str] = []

    def tell(pdu: att.ATT_PDU) -> str:
        texts.append(pdu.name)
        return pdu.name

    monkeypatch.setattr(att.ATT_PDU, "__str__", tell)

    async def asks(pair: Pair) -> bool:
        connection, _ = await pair.connect()
        client = stock_client(connection) if stock else connection.gatt_client
        with pytest.raises(att.ATT_Error):
            await client.read_value(99)
        return await client.request_mtu(100) == 100

    assert play("ours", asks)
    assert bool(texts) is stock


@pytest.mark.parametrize("stock", [True, False])
def test_a_notification_goes_to_subscribers_alone_and_is_cut_to_the_mtu(
    stock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from Bumble's server, of which ours only leaves out the text."""
    texts: list[str] = []

    def tell(pdu: att.ATT_PDU) -> str:
        texts.append(pdu.name)
        return pdu.name

    monkeypatch.setattr(att.ATT_PDU, "__str__", tell)

    async def notifies(pair: Pair) -> list[bytes]:
        value = Characteristic(profile.NOTIFY, Characteristic.Properties.NOTIFY, att.Attribute.READABLE, b"")
        device = pair.peripheral
        if stock:
            device.gatt_server = Server(device)
        device.gatt_server.add_service(Service(profile.SERVICE, [value]))
        connection, far = await pair.connect()
        told: list[bytes] = []
        connection.gatt_client.notification_subscribers[value.handle] = {told.append}
        for subscribed in (False, True):
            if subscribed:
                device.gatt_server.write_cccd(far, value, b"\x01\x00")
            await device.gatt_server.notify_subscriber(far, value, bytes(30))
            await device.gatt_server.notify_subscriber(far, value, b"short")
        await pair.sleep(1.0)
        return told

    assert play("ours", notifies) == [bytes(20), b"short"]
    assert bool(texts) is stock


def test_the_quiet_client_leaves_what_is_odd_to_the_stock_one(caplog: pytest.LogCaptureFixture) -> None:
    """An answer that nobody asked for is ignored, with Bumble's words."""

    async def answers(pair: Pair) -> bool:
        connection, far = await pair.connect()
        pair.peripheral.gatt_server.send_response(far, att.ATT_Write_Response())
        await pair.sleep(1.0)
        return await connection.gatt_client.request_mtu(100) == 100

    assert play("ours", answers)
    assert "no pending request" in caplog.text


def test_a_write_on_a_dead_connection_waits_for_30_s_in_the_stock_client() -> None:
    """Why `hardware.bluetooth.device.guarded` looks first."""

    async def waits(pair: Pair) -> float:
        connection, _ = await pair.connect()
        pair.vanish()
        await pair.sleep(SUPERVISED_S)
        began = pair.loop.time()
        with pytest.raises(core.TimeoutError):
            await stock_client(connection).write_value(1, b"x", with_response=True)
        return pair.loop.time() - began

    assert play("ours", waits) == pytest.approx(30.0)


def test_a_disconnection_cancels_what_is_awaited_in_the_stock_client() -> None:
    """Why `guarded` tells that from a cancellation of our own."""

    async def cancelled(pair: Pair) -> bool:
        connection, _ = await pair.connect()
        work = asyncio.ensure_future(stock_client(connection).read_value(99))
        pair.vanish()
        await asyncio.wait({work})
        return work.cancelled()

    assert play("ours", cancelled)
