"""What many scenes do: power cycles, key operations, days without anything, damaged messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rig.protocol import vcp
from rig.protocol.vcp import Command, Identity, VcpError, WhitelistChange

TENTH_US = 100_000
GARBAGE = b"\x00" + b"\xff" * 20
"""A payload of the Bluetooth channel that is no message."""


async def power_cycle(car: Any) -> None:
    """Off and on again, until ready."""
    car.power(0)
    await car.run(0.5)
    car.power()
    await car.run(1)


async def ready_phone(car: Any, name: str = "driver", latches: str = "L") -> Any:
    """Boots, and a phone has a session."""
    await car.boot(latches)
    phone = car.phone(name)
    await phone.handshake()
    return phone


async def change(phone: Any, kind: Any, key: Identity, role: int = 0) -> Any:
    """Sends a key operation; gives its answer."""
    payload = vcp.whitelist_payload(WhitelistChange(kind, key.public, role))
    return await phone.send(None, payload=payload)


async def days(car: Any, count: float) -> None:
    """Lets days pass in which nothing happens, by skipping idle cycles."""
    end_us = car.kernel.now + round(count * 86_400_000_000)
    while car.kernel.now < end_us:
        quiet_us = car.edges.dut_quiet_until()
        gap_us = 0
        if quiet_us is not None and car.edges.bus.quiet and car.reader.idle_field:
            gap_us = (min(quiet_us, end_us) - car.kernel.now) // TENTH_US * TENTH_US
            while gap_us > 0 and not car.edges.dut_idle_at(car.kernel.now + gap_us):
                gap_us -= TENTH_US
        if gap_us > 0:
            car.kernel.shift_cyclic(gap_us)
            car.edges.dut_skip(gap_us)
            await car.run(gap_us / 1e6)
        else:
            await car.run(0.013)


def damaged(command: Command, channel: str) -> Command:
    """The same command with nothing right of its tag but the first byte."""
    message = vcp.parse(command.message)
    kind = "AES_GCM_Personalized_data" if channel == "bluetooth" else "HMAC_Personalized_data"
    signature = getattr(message.signature_data, kind)
    signature.tag = signature.tag[:1] + bytes(b ^ 0x55 for b in signature.tag[1:])
    return Command(message.SerializeToString(), command.request_hash, command.shared)


async def unanswered(phone: Any, handle: int = 0) -> bool:
    """Whether a handshake gets no answer."""
    try:
        await phone.handshake(handle=handle)
    except AssertionError:
        return True
    return False


@contextmanager
def forgery() -> Iterator[list[VcpError]]:
    """Gathers what an answer that does not authenticate raises."""
    found: list[VcpError] = []
    try:
        yield found
    except VcpError as error:
        found.append(error)
