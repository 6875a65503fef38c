"""tesla_fleet_api, unmodified, over Bluetooth: it unlocks, is refused, recovers; what it says is what the lock did."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("tesla_fleet_api", reason="needs the extra interop")
pytest.importorskip("bumble", reason="needs the extra bluetooth")

from hardware.vehicle import rig_keys  # what these import may not be there
from tests.interop import bluetooth_table, table
from tests.interop.bluetooth_table import said
from tests.interop.bluetoothcar import Car, drive

VEHICLE_SECURITY = 2
"""DOMAIN_VEHICLE_SECURITY."""
REFUSALS = ("TeslaFleetMessageFaultUnknownKeyId", "NotOnWhitelistFault", "TeslaFleetMessageFaultInactiveKey")


def test_it_finds_the_vehicle_pairs_unlocks_and_locks() -> None:
    async def story(car: Car) -> None:
        client = car.client()
        device = await client.find_vehicle()
        assert device.name == client.ble_name
        assert await said(client.door_unlock()) == "success"
        assert car.open
        assert await said(client.door_lock()) == "success"
        assert not car.open
        await client.disconnect()

    for bonded in (True, False):
        assert drive(story, bonded=bonded).motions == ["U", "L"]


def test_a_revoked_key_is_refused_and_moves_nothing() -> None:
    async def story(car: Car) -> None:
        client = car.client(rig_keys().guest)
        await client.find_vehicle()
        assert await said(client.door_unlock()) == "success"
        assert await said(client.door_lock()) == "success"
        await car.wish("revoke")
        assert await said(client.door_unlock()) in REFUSALS
        assert not car.open
        fresh = car.client(rig_keys().guest)
        await client.disconnect()
        await fresh.find_vehicle()
        assert await said(fresh.door_unlock()) in REFUSALS
        assert not car.open

    assert drive(story).motions == ["U", "L"]


def test_a_key_that_was_never_enrolled_is_refused() -> None:
    async def story(car: Car) -> None:
        client = car.client(rig_keys().more["spare"])
        await client.find_vehicle()
        assert await said(client.door_unlock()) in REFUSALS

    assert drive(story).motions == []


def test_it_recovers_after_the_ecu_was_reset() -> None:
    """A new epoch: the first command is refused, the library takes the new session and sends another."""

    async def story(car: Car) -> None:
        client = car.client()
        await client.find_vehicle()
        assert await said(client.door_unlock()) == "success"
        assert await said(client.door_lock()) == "success"
        epoch = client._sessions[VEHICLE_SECURITY].epoch
        await car.begin("power.reset")
        await asyncio.sleep(0.2)
        await car.end("power.reset")
        await asyncio.sleep(2.0)
        assert await said(client.door_unlock()) == "success"
        assert car.open
        assert client._sessions[VEHICLE_SECURITY].epoch != epoch

    assert drive(story).motions == ["U", "L", "U"]


@pytest.mark.parametrize("jump", [1000, -1])
def test_it_recovers_from_a_counter_that_jumped(jump: int) -> None:
    """Ahead: gaps are fine. Behind, as after a restored backup: refused once, then it takes the vehicle's counter."""

    async def story(car: Car) -> None:
        client = car.client()
        await client.find_vehicle()
        assert await said(client.door_unlock()) == "success"
        client._sessions[VEHICLE_SECURITY].counter += jump
        assert await said(client.door_lock()) == "success"
        assert not car.open

    assert drive(story).motions == ["U", "L"]


@pytest.mark.parametrize("offset_s", [3600, -45])
def test_a_clock_that_jumps_costs_it_one_command(offset_s: int) -> None:
    """The vehicle refuses the command and says what time it is; the library reports it, and the next one works."""

    async def story(car: Car) -> None:
        await asyncio.sleep(60.0)  # the vehicle's clock begins with it, and the library has no times before that
        client = car.client()
        await client.find_vehicle()
        assert await said(client.door_unlock()) == "success"
        car.wall_clock_s += offset_s
        refused = await said(client.door_lock())
        assert refused in ("TeslaFleetMessageFaultTimeExpired", "TeslaFleetMessageFaultTimeToLiveTooLong")
        assert car.open
        assert await said(client.door_lock()) == "success"
        assert not car.open

    assert drive(story).motions == ["U", "L"]


@pytest.mark.parametrize("want", [23, 64, 185, 517])
def test_any_mtu_will_do(want: int) -> None:
    async def story(car: Car) -> None:
        peripheral = car.air.peripheral
        assert peripheral is not None
        peripheral.agree(want)
        client = car.client()
        await client.find_vehicle()
        assert await said(client.door_unlock()) == "success"
        assert client.client is not None
        assert client.client.mtu_size == want

    assert drive(story).motions == ["U"]


def test_the_table_in_the_document_is_what_happens() -> None:
    found = bluetooth_table.rows()
    assert len(found) == 2 * len(bluetooth_table.MODES)
    table.check("bluetooth", table.filled(bluetooth_table.HEAD, [bluetooth_table.cells(row) for row in found]))
    # Whatever the client believes, it can be used again.
    assert all(row.again == "success" for row in found)
    # The one thing it must never say; that it reports errors of commands that were executed is its own affair.
    assert not [row for row in found if row.said == "success" and not row.opened]
