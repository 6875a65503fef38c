"""Defects that bad input brings out: frames and messages that are not what they should be."""

from __future__ import annotations

from dataclasses import replace

from hardware.ecu.access import Access, Link
from hardware.ecu.build import Build
from hardware.ecu.config import SECOND_US
from hardware.ecu.core import Restart
from hardware.ecu.restbus import InteriorSwitch
from rig.protocol.vcp import VcpError


class PlainFrameOpens(InteriorSwitch):
    """Takes the inside switch's frames unchecked."""

    def valid(self, data: bytes) -> bool:
        return len(data) == self._codec.length


class ParseErrorOpens(Access):
    """Fails open."""

    def unreadable(self, link: Link, error: VcpError) -> None:
        super().unreadable(link, error)
        self.core.actions.unlock(link.source, lambda: None, self.core.actions.ignored)


class CrashRebootsOnGarbage(Access):
    """Runs into its own trap."""

    def unreadable(self, link: Link, error: VcpError) -> None:
        raise Restart


class HangsOnGarbage(Access):
    """Looks for the end of the message, and finds it after 2 s."""

    def unreadable(self, link: Link, error: VcpError) -> None:
        super().unreadable(link, error)
        self.core.cpu.charge(2 * SECOND_US)


ALL = (
    Build(
        "open_on_plain_frame",
        "takes frames of the inside switch that fail E2E",
        ("SEC-1",),
        lambda p: replace(p, interior=PlainFrameOpens),
    ),
    Build(
        "parse_error_opens",
        "unlocks when a message cannot be read",
        ("SEC-10", "SEC-12"),
        lambda p: replace(p, access=ParseErrorOpens),
    ),
    Build(
        "crash_reboots_on_garbage",
        "starts anew when a message cannot be read",
        ("SEC-12",),
        lambda p: replace(p, access=CrashRebootsOnGarbage),
    ),
    Build(
        "hangs_on_garbage",
        "does nothing for 2 s when a message cannot be read",
        ("SEC-12",),
        lambda p: replace(p, access=HangsOnGarbage),
    ),
)
