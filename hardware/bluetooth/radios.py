"""Real Bluetooth controllers behind Bumble transports: opened, watched, and tapped where faults must bite.

The one place left with a dongle is between host and transport. What only the air could do is `Unsupported` here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bumble import hci
from bumble.transport import open_transport
from bumble.transport.common import Transport

from rig.ports import Unsupported

OPEN_S = 5.0
"""How long a dongle may take to be opened."""
_AIR = "the air between real radios cannot be changed from here: it needs a shielded box and an attenuator"
CANNOT = MappingProxyType(
    {
        "bluetooth.out_of_range": _AIR,
        "bluetooth.weak_signal": _AIR,
        "bluetooth.connect_fails": _AIR,
        "bluetooth.link_lost": _AIR,
        "bluetooth.lost_before_write": _AIR,
        "bluetooth.lost_after_write": _AIR,
        "bluetooth.interference": _AIR,
        "bluetooth.slots_taken": "it needs a radio for each connection that is taken",
        "bluetooth.address_rotates": "a real controller's private addresses are its own affair",
    }
)
"""Modes that real radios cannot make, and why."""


def require_radios(modes: list[str]) -> None:
    """Checks that real radios can make these modes.

    Raises:
        Unsupported: one cannot be made; says why.
    """
    for mode in modes:
        if mode in CANNOT:
            raise Unsupported(f"{mode} cannot be made with real radios: {CANNOT[mode]}")


class RadioError(Exception):
    """A radio cannot be opened: a bench fault."""


@dataclass(eq=False)
class Tap:
    """Between a host and its controller: source and sink of the host, and a place to cut.

    Attributes:
        spec: the transport's text.
        transport: the way to the controller.
        stuck: the controller seems to accept everything and to do nothing.
    """

    spec: str
    transport: Transport
    stuck: bool = False
    _host: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.transport.source.set_packet_sink(_Upwards(self))

    def set_packet_sink(self, sink: Any) -> None:
        """The host that hears the controller from now on."""
        self._host = sink

    def on_packet(self, packet: bytes) -> None:
        """From the host to the controller."""
        if not self.stuck:
            self.transport.sink.on_packet(packet)
        elif packet[0] == hci.HCI_ACL_DATA_PACKET:
            # Taken, and never sent: without its credit the host would wait instead of writing on.
            self.up(_credit(int.from_bytes(packet[1:3], "little") & 0x0FFF), through=True)

    def lose(self) -> None:
        """The controller is gone: whatever the host waits for fails."""
        if self._host is not None:
            self._host.on_transport_lost()

    async def close(self) -> None:
        """Lets go of the controller."""
        self.lose()
        await self.transport.close()

    def up(self, packet: bytes, *, through: bool = False) -> None:
        """From the controller to the host."""
        if self._host is not None and (through or not self.stuck):
            self._host.on_packet(packet)

    @property
    def lost(self) -> asyncio.Future[Any]:
        """Done when the transport is gone: the dongle was pulled, or the line closed."""
        ended: asyncio.Future[Any] = self.transport.source.terminated
        return ended


class _Upwards:
    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def on_packet(self, packet: bytes) -> None:
        self._tap.up(packet)

    def on_transport_lost(self) -> None:
        self._tap.lose()


def _credit(handle: int) -> bytes:
    return bytes(
        hci.HCI_Number_Of_Completed_Packets_Event(connection_handles=[handle], num_completed_packets=[1])
    )


@dataclass(slots=True)
class Radios:
    """The two radios of a bench, for one run.

    Attributes:
        module_spec, phone_spec: Bumble transport strings.
        module, phone: open taps.
    """

    module_spec: str
    phone_spec: str
    module: Tap = field(init=False)
    phone: Tap = field(init=False)

    async def open(self) -> None:
        """Opens both.

        Raises:
            RadioError: one cannot be opened.
        """
        self.module = await open_radio("module", self.module_spec)
        try:
            self.phone = await open_radio("phone", self.phone_spec)
        except RadioError:
            await self.module.close()
            raise

    async def close(self) -> None:
        """Closes both."""
        for tap in (self.phone, self.module):
            await tap.close()

    async def wait_lost(self) -> str:
        """Waits until a radio is gone; which."""
        taps = {"module": self.module, "phone": self.phone}
        await asyncio.wait({tap.lost for tap in taps.values()}, return_when=asyncio.FIRST_COMPLETED)
        gone = [f"the {name}'s radio {tap.spec} is gone" for name, tap in taps.items() if tap.lost.done()]
        return "; ".join(gone)


async def open_radio(whose: str, spec: str) -> Tap:
    """Opens the radio behind a Bumble transport string; `whose` names it in an error.

    Raises:
        RadioError: it cannot be opened.
    """
    try:
        async with asyncio.timeout(OPEN_S):
            return Tap(spec, await open_transport(spec))
    except Exception as error:
        raise RadioError(f"the {whose}'s radio {spec} cannot be opened: {type(error).__name__} {error}") from error
