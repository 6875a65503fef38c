"""`tesla_fleet_api` over HTTPS as a phone client: the adapter, and how its answers and errors are told to a driver."""

from __future__ import annotations

import asyncio

from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.exceptions import TeslaFleetError, TeslaFleetMessageFault

from hardware.ownphone import Access, Report, Told

DONE: dict[str, Told] = {"unlock": "opened", "lock": "locked"}
PATIENCE_S = 9.5
"""A driver's app tells something within 10 s; the library itself sets no limit but aiohttp's five minutes."""
SETTLED = (401, 403, 404, 412, 421, 422, 429)
"""HTTP statuses after which the command was not carried; any other error leaves open what the car did."""
UNSETTLED = ("InvalidTokenOrCounter", "TimeExpired", "IncorrectEpoch", "Busy")
"""Faults of the vehicle that may answer a copy."""


class FleetClient:
    """The library's vehicle with signed commands, used as its documentation shows."""

    def __init__(self, access: Access) -> None:
        self.session = access.session
        api = TeslaFleetApi(access.session, access.token, server=access.server)
        api.private_key = access.key
        self.vehicle = api.vehicles.createSigned(access.vin)

    async def act(self, want: str, via: str) -> Report:
        """See `hardware.ownphone.PhoneClient`."""
        act = self.vehicle.door_unlock if want == "unlock" else self.vehicle.door_lock
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await act()
        except TimeoutError:
            return Report("unknown", "nothing within 9.5 s")
        except TeslaFleetError as error:
            return Report(_kind(error), type(error).__name__)
        except Exception as error:  # whatever a client raises is what it reports
            return Report("unknown", type(error).__name__)
        if answer["response"]["result"]:
            return Report(DONE[want], "success")
        return Report("refused", f"result false: {answer['response'].get('reason', '')}")

    async def close(self) -> None:
        """See `hardware.ownphone.PhoneClient`."""
        await self.session.close()


def _kind(error: TeslaFleetError) -> Told:
    if isinstance(error, TeslaFleetMessageFault):
        return "unknown" if any(word in type(error).__name__ for word in UNSETTLED) else "refused"
    return "refused" if getattr(error, "status", None) in SETTLED else "unknown"
