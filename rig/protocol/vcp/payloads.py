"""What commands and answers say inside: UnsignedMessage and FromVCSECMessage.

Knows nothing of signatures or routing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from google.protobuf.message import DecodeError
from tesla_protocol.command import errors_pb2, vcsec_pb2

from rig.protocol.vcp.numbers import (
    LOCKED,
    OPERATION_OK,
    SELECTIVE_UNLOCKED,
    UNLOCKED,
    FromVCSECMessage,
    UnsignedMessage,
    VcpError,
)


@dataclass(frozen=True, slots=True)
class WhitelistChange:
    """One key operation: add, remove, or change the role of the key `public`."""

    kind: Literal["add", "remove", "change"]
    public: bytes
    role: int = 0


@lru_cache(maxsize=256)
def action_payload(action: int) -> bytes:
    """Serialised UnsignedMessage with an RKEAction; UNLOCK (0) is present too, since a oneof has presence."""
    message = UnsignedMessage()
    message.RKEAction = action  # type: ignore[assignment]
    return message.SerializeToString()


def whitelist_payload(change: WhitelistChange) -> bytes:
    """Serialised UnsignedMessage with a WhitelistOperation."""
    key = vcsec_pb2.PublicKey(PublicKeyRaw=change.public)
    operation = vcsec_pb2.WhitelistOperation()
    if change.kind == "remove":
        operation.removePublicKeyFromWhitelist.CopyFrom(key)
    else:
        permission = (
            operation.addKeyToWhitelistAndAddPermissions
            if change.kind == "add"
            else operation.updateKeyAndPermissions
        )
        permission.key.CopyFrom(key)
        permission.keyRole = change.role  # type: ignore[assignment]
    return UnsignedMessage(WhitelistOperation=operation).SerializeToString()


@lru_cache(maxsize=4096)
def _unsigned(data: bytes) -> tuple[int | None, WhitelistChange | None]:
    try:
        message = UnsignedMessage.FromString(data)
    except DecodeError:
        raise VcpError("no UnsignedMessage") from None
    kind = message.WhichOneof("sub_message")
    if kind == "RKEAction":
        return int(message.RKEAction), None
    if kind != "WhitelistOperation":
        return None, None
    operation = message.WhitelistOperation
    which = operation.WhichOneof("sub_message")
    if which == "addPublicKeyToWhitelist":
        return None, WhitelistChange("add", operation.addPublicKeyToWhitelist.PublicKeyRaw)
    if which == "removePublicKeyFromWhitelist":
        return None, WhitelistChange("remove", operation.removePublicKeyFromWhitelist.PublicKeyRaw)
    if which == "addKeyToWhitelistAndAddPermissions":
        change = operation.addKeyToWhitelistAndAddPermissions
        return None, WhitelistChange("add", change.key.PublicKeyRaw, int(change.keyRole))
    if which == "updateKeyAndPermissions":
        change = operation.updateKeyAndPermissions
        return None, WhitelistChange("change", change.key.PublicKeyRaw, int(change.keyRole))
    return None, None


def parse_payload(data: bytes) -> int | WhitelistChange | None:
    """What a command asks for: the number of an RKEAction, a key operation, or None for anything else.

    An empty message is None, never UNLOCK.

    Raises:
        VcpError: no UnsignedMessage.
    """
    action, change = _unsigned(data)
    return change if action is None else action


def lock_state(latches: Iterable[str]) -> int:
    """LOCKED if all latches are "L", UNLOCKED if all are "U", else SELECTIVE_UNLOCKED.

    Source: vehicle.md section 2.
    """
    states = set(latches)
    if states == {"L"}:
        return LOCKED
    return UNLOCKED if states == {"U"} else SELECTIVE_UNLOCKED


@dataclass(frozen=True, slots=True)
class VehicleStatus:
    """A VehicleStatus: state of the locks, doors ajar in the order FL, FR, RL, RR, asleep or not."""

    lock: int
    ajar: tuple[bool, bool, bool, bool] = (False, False, False, False)
    asleep: bool = False


@lru_cache(maxsize=1024)
def status_payload(status: VehicleStatus) -> bytes:
    """Serialised FromVCSECMessage with a VehicleStatus; never empty, since an empty one reads as unlocked."""
    shut, ajar = vcsec_pb2.CLOSURESTATE_CLOSED, vcsec_pb2.CLOSURESTATE_AJAR
    front_left, front_right, rear_left, rear_right = (ajar if door else shut for door in status.ajar)
    return FromVCSECMessage(
        vehicleStatus=vcsec_pb2.VehicleStatus(
            closureStatuses=vcsec_pb2.ClosureStatuses(
                frontDriverDoor=front_left,
                frontPassengerDoor=front_right,
                rearDriverDoor=rear_left,
                rearPassengerDoor=rear_right,
            ),
            vehicleLockState=status.lock,  # type: ignore[arg-type]
            vehicleSleepStatus=(
                vcsec_pb2.VEHICLE_SLEEP_STATUS_ASLEEP
                if status.asleep
                else vcsec_pb2.VEHICLE_SLEEP_STATUS_AWAKE
            ),
        )
    ).SerializeToString()


def parse_from_vcsec(payload: bytes) -> FromVCSECMessage:
    """Reads a FromVCSECMessage.

    Raises:
        VcpError: no such message.
    """
    try:
        return FromVCSECMessage.FromString(payload)
    except DecodeError:
        raise VcpError("no FromVCSECMessage") from None


def parse_status(payload: bytes) -> VehicleStatus | None:
    """The VehicleStatus in a payload; None if it carries none, or one without its sleep status.

    The ECU always says whether it sleeps; a status without it is empty or cut, and would read as unlocked.

    Raises:
        VcpError: no FromVCSECMessage.
    """
    message = parse_from_vcsec(payload)
    if message.WhichOneof("sub_message") != "vehicleStatus":
        return None
    status = message.vehicleStatus
    if status.vehicleSleepStatus == vcsec_pb2.VEHICLE_SLEEP_STATUS_UNKNOWN:
        return None
    doors = status.closureStatuses
    shut = vcsec_pb2.CLOSURESTATE_CLOSED
    return VehicleStatus(
        int(status.vehicleLockState),
        (
            doors.frontDriverDoor != shut,
            doors.frontPassengerDoor != shut,
            doors.rearDriverDoor != shut,
            doors.rearPassengerDoor != shut,
        ),
        status.vehicleSleepStatus == vcsec_pb2.VEHICLE_SLEEP_STATUS_ASLEEP,
    )


def wait_payload() -> bytes:
    """Serialised FromVCSECMessage: busy with another request, try again.

    Source: page, "VCSEC application-layer responses".
    """
    return FromVCSECMessage(
        commandStatus=vcsec_pb2.CommandStatus(operationStatus=vcsec_pb2.OPERATIONSTATUS_WAIT)
    ).SerializeToString()


def whitelist_status_payload(information: int, operation_status: int = OPERATION_OK) -> bytes:
    """Serialised FromVCSECMessage that ends a key operation; information 0 is success."""
    return FromVCSECMessage(
        commandStatus=vcsec_pb2.CommandStatus(
            operationStatus=operation_status,  # type: ignore[arg-type]
            whitelistOperationStatus=vcsec_pb2.WhitelistOperation_status(
                whitelistOperationInformation=information,  # type: ignore[arg-type]
                operationStatus=operation_status,  # type: ignore[arg-type]
            ),
        )
    ).SerializeToString()


def nominal_error_payload(error: int) -> bytes:
    """Serialised FromVCSECMessage with a GenericError_E: the action could not be executed."""
    return FromVCSECMessage(
        nominalError=errors_pb2.NominalError(genericError=error)  # type: ignore[arg-type]
    ).SerializeToString()
