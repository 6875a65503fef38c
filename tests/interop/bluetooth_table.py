"""What tesla_fleet_api says over Bluetooth, and what the lock did, for each failure: rows of docs/interop.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from tesla_fleet_api.exceptions import TeslaFleetError

from rig.faults import CATALOGUE
from tests.interop.bluetoothcar import Car, drive

HEAD = ("what happens", "the client is", "the library reports", "after", "the lock", "the report is", "after it")
PATIENCE_S = 60.0
"""A driver who waits for longer than this has given up; a first connection may take its time."""
NOTHING = f"nothing within {PATIENCE_S:.0f} s"
SETTLE_S = 1.0
"""A command that was executed has moved the locks by then."""
AGAIN_S = 3.0
"""How long after a failure's end the client is asked again."""
SKIPPED = ("bluetooth.module_dead",)
"""The same to a client as a radio that is off."""
MODES = [name for name in CATALOGUE if name.startswith("bluetooth.") and name not in SKIPPED]


@dataclass(frozen=True, slots=True)
class Row:
    """One failure.

    Attributes:
        mode: of the catalogue.
        connected: the client was connected and had a session when it began.
        said: "success", or the error's class.
        took_s: how long that took.
        opened: the doors were open when it had said so.
        again: what it said when it was asked again after the failure, and whether the doors were open then.
    """

    mode: str
    connected: bool
    said: str
    took_s: float
    opened: bool
    again: str

    @property
    def verdict(self) -> str:
        """In words."""
        if self.said == "success":
            return "true" if self.opened else "**false success**"
        return "**false error**" if self.opened else "true"


async def ask(car: Car, client: Any) -> str:
    """Asks the client to find the vehicle, if it has not, and to unlock it; what it says."""

    async def unlock() -> Any:
        if client.get_device() is None:
            await client.find_vehicle()
        return await client.door_unlock()

    return await said(unlock())


async def said(answer: Awaitable[Any]) -> str:
    """What the client makes of a command: success, no and why, the error that it raises, or nothing."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            result = await answer
    except TimeoutError as error:
        return NOTHING if error.__cause__ is not None else type(error).__name__
    except (Exception, TeslaFleetError) as error:  # whatever it raises is what it says; not all are Exceptions
        return type(error).__name__
    response = result["response"]
    return "success" if response["result"] is True else f"no: {response['reason']}"


def play(mode: str, connected: bool) -> Row:
    """One row."""
    found: list[Row] = []

    async def story(car: Car) -> None:
        client = car.client()
        await client.find_vehicle()
        if connected:
            await client.door_lock()
        await car.begin(mode)
        since = car.world.kernel.now
        says = await ask(car, client)
        took_s = (car.world.kernel.now - since) / 1e6
        await asyncio.sleep(SETTLE_S)
        opened = car.open
        await car.end(mode)
        await asyncio.sleep(AGAIN_S)
        again = await ask(car, client)
        again += "" if (again == "success") == car.open else (", open" if car.open else ", shut")
        found.append(Row(mode, connected, says, took_s, opened, again))

    drive(story)
    return found[0]


def rows() -> list[Row]:
    """All rows."""
    return [play(mode, connected) for mode in MODES for connected in (True, False)]


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    mode = CATALOGUE[row.mode]
    state = "connected" if row.connected else "not connected"
    lock = "opened" if row.opened else "stayed locked"
    return f"`{row.mode}`: {mode.text}", state, row.said, f"{row.took_s:.1f} s", lock, row.verdict, row.again
