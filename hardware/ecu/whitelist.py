"""The key list: roles, and the operations that change it.

Knows nothing of how an operation was authenticated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tesla_protocol.command import keys_pb2, vcsec_pb2

from hardware.ecu.config import Source
from hardware.ecu.memory import MAX_KEYS, KeyRecord
from rig.protocol.vcp import LOCK, REMOTE_DRIVE, UNLOCK, VcpError, WhitelistChange, shared_key

if TYPE_CHECKING:
    from hardware.ecu.core import Core

OWNER = int(keys_pb2.ROLE_OWNER)
ROLES = frozenset(int(v.number) for v in keys_pb2.Role.DESCRIPTOR.values) - {int(keys_pb2.ROLE_NONE)}

_ALL = frozenset({UNLOCK, LOCK, REMOTE_DRIVE})
_PERSONS = {OWNER: _ALL, int(keys_pb2.ROLE_DRIVER): _ALL, int(keys_pb2.ROLE_GUEST): _ALL}
RIGHTS: dict[Source, dict[int, frozenset[int]]] = {
    Source.BLUETOOTH: _PERSONS,
    Source.CLOUD: {
        **_PERSONS,
        int(keys_pb2.ROLE_FM): _ALL,
        int(keys_pb2.ROLE_SERVICE): frozenset({UNLOCK, LOCK}),
    },
}
"""Actions by channel and role (vehicle.md section 2); what is not here is INSUFFICIENT_PRIVILEGES."""

_INFO = vcsec_pb2.WhitelistOperation_information_E
DONE = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_NONE"))
_FULL = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_WHITELIST_FULL"))
_NO_POINT = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_INVALID_PUBLIC_KEY"))
_KNOWN = int(
    _INFO.Value("WHITELISTOPERATION_INFORMATION_ATTEMPTING_TO_ADD_KEY_THAT_IS_ALREADY_ON_THE_WHITELIST")
)
_UNKNOWN = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_PUBLIC_KEY_NOT_ON_WHITELIST"))
_ONESELF = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_NO_PERMISSION_TO_REMOVE_ONESELF"))
_OWN_RIGHTS = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_ATTEMPTING_TO_REMOVE_OWN_PERMISSIONS"))
_NO_ROLE = int(_INFO.Value("WHITELISTOPERATION_INFORMATION_ATTEMPTING_TO_ADD_KEY_WITHOUT_ROLE"))


class Whitelist:
    """Changes the list in memory; lasting before anybody is told."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def allows(self, source: Source, role: int, action: int) -> bool:
        """Whether a role may do an action over a channel."""
        return action in RIGHTS[source].get(role, ())

    def may_change(self, role: int) -> bool:
        """Whether a role may change the list."""
        return role == OWNER

    def change(self, signer: KeyRecord, change: WhitelistChange) -> int:
        """Carries out one operation of an owner; gives its whitelistOperationInformation, 0 for done."""
        image = self.core.store.image
        record = image.find(change.public)
        if change.kind == "add":
            refusal = self._add(record, change)
        elif record is None:
            refusal = _UNKNOWN
        elif record is signer:
            # So that the last owner never locks everybody out.
            refusal = _ONESELF if change.kind == "remove" else _OWN_RIGHTS
        elif change.kind == "remove":
            image.keys.remove(record)
            # Should the key come back in this epoch, its old commands must stay used.
            image.counter_floor = max(image.counter_floor, record.counter)
            refusal = DONE
        else:
            refusal = self._set_role(record, change.role)
        if refusal == DONE:
            self.core.store.commit()
            if change.kind != "add":
                self.core.drive.key_revoked(change.public)
        return refusal

    def _add(self, record: KeyRecord | None, change: WhitelistChange) -> int:
        image = self.core.store.image
        if record is not None:
            return _KNOWN
        if change.role not in ROLES:
            return _NO_ROLE
        if len(image.keys) >= MAX_KEYS:
            return _FULL
        try:
            shared_key(self.core.config.identity, change.public)
        except VcpError:
            return _NO_POINT
        image.keys.append(KeyRecord(change.public, change.role, True, image.counter_floor))
        return DONE

    def _set_role(self, record: KeyRecord, role: int) -> int:
        if role == 0:
            record.enabled = False  # ROLE_NONE: stays on the list, INACTIVE_KEY from now on
            return DONE
        if role not in ROLES:
            return _NO_ROLE
        record.role, record.enabled = role, True
        return DONE
