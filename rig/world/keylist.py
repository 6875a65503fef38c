"""The key list as its owners change it: which operation a wish comes to, and what the vehicle's answer means.

Knows nothing of links; who sends an operation, and how, is a client's business.
"""

from __future__ import annotations

from tesla_protocol.command import vcsec_pb2

from rig.protocol import vcp
from rig.protocol.vcp import WhitelistChange

KEYOPS = ("revoke", "disable", "demote", "enrol")
"""Remove a key, disable it, give it a role without rights, put it (back) on the list as a driver's."""

_INFO = vcsec_pb2.WhitelistOperation_information_E
DONE = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_NONE"))
FULL = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_WHITELIST_FULL"))
_KNOWN = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_ATTEMPTING_TO_ADD_KEY_THAT_IS_ALREADY_ON_THE_WHITELIST"))
_UNKNOWN = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_PUBLIC_KEY_NOT_ON_WHITELIST"))

DRIVER = int(vcp.Role.Value("ROLE_DRIVER"))
OWNER = int(vcp.Role.Value("ROLE_OWNER"))
MONITOR = int(vcp.Role.Value("ROLE_VEHICLE_MONITOR"))


class KeyChange:
    """One wish on one key, until the vehicle has answered it for good."""

    def __init__(self, what: str, public: bytes) -> None:
        self.what = what
        self._public = public
        self._known = False

    @property
    def change(self) -> WhitelistChange:
        """The operation to send next."""
        if self.what == "revoke":
            return WhitelistChange("remove", self._public)
        if self.what == "disable":
            return WhitelistChange("change", self._public, 0)
        if self.what == "demote":
            return WhitelistChange("change", self._public, MONITOR)
        return WhitelistChange("change" if self._known else "add", self._public, DRIVER)

    @property
    def payload(self) -> bytes:
        """`change`, serialised for a command."""
        return vcp.whitelist_payload(self.change)

    def answered(self, information: int) -> int | None:
        """What an answer comes to: 0 for done, else why not; None: another operation is to be tried."""
        if self.what == "enrol" and information == _KNOWN and not self._known:
            # It is on the list, disabled or with another role.
            self._known = True
            return None
        if self.what == "revoke" and information == _UNKNOWN:
            # An earlier message of this wish did it, and its answer was lost.
            return DONE
        return information
