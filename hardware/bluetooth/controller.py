"""A Bluetooth LE controller between a Bumble host and the simulated air: Bumble's, with what it leaves out.

Mended against bumble 0.0.236: cancelling a connection, RSSI, supervision, Reset, addresses that change under a
connection, scan responses of their own, credits when packets are through. `tests/links/test_bumble_gaps.py` shows each.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bumble import controller as stock
from bumble import hci, ll
from bumble.core import PhysicalTransport

from hardware.bluetooth.bonds import resolves
from hardware.bluetooth.ether import HEARD_DBM, Channel, Ether
from rig.world.btlink import CONNECTION_EVENT_US, SUPERVISION_US

SLOT_US = 625
INTERVAL_UNIT_US = 1_250
TIMEOUT_UNIT_US = 10_000
ACL_BYTES = 251
"""The largest data PDU of Bluetooth 4.2 and later (Core, vol 6 part B 2.4)."""
CREDITS = 16

COMMANDS = {
    hci.HCI_DISCONNECT_COMMAND,
    hci.HCI_SET_EVENT_MASK_COMMAND,
    hci.HCI_RESET_COMMAND,
    hci.HCI_READ_BD_ADDR_COMMAND,
    hci.HCI_READ_RSSI_COMMAND,
    hci.HCI_LE_SET_EVENT_MASK_COMMAND,
    hci.HCI_LE_READ_BUFFER_SIZE_COMMAND,
    hci.HCI_LE_READ_LOCAL_SUPPORTED_FEATURES_COMMAND,
    hci.HCI_LE_SET_RANDOM_ADDRESS_COMMAND,
    hci.HCI_LE_SET_ADVERTISING_PARAMETERS_COMMAND,
    hci.HCI_LE_SET_ADVERTISING_DATA_COMMAND,
    hci.HCI_LE_SET_SCAN_RESPONSE_DATA_COMMAND,
    hci.HCI_LE_SET_ADVERTISING_ENABLE_COMMAND,
    hci.HCI_LE_SET_SCAN_PARAMETERS_COMMAND,
    hci.HCI_LE_SET_SCAN_ENABLE_COMMAND,
    hci.HCI_LE_CREATE_CONNECTION_COMMAND,
    hci.HCI_LE_CREATE_CONNECTION_CANCEL_COMMAND,
    hci.HCI_LE_READ_REMOTE_FEATURES_COMMAND,
    hci.HCI_LE_RAND_COMMAND,
    hci.HCI_LE_ENABLE_ENCRYPTION_COMMAND,
    hci.HCI_LE_LONG_TERM_KEY_REQUEST_REPLY_COMMAND,
    hci.HCI_LE_LONG_TERM_KEY_REQUEST_NEGATIVE_REPLY_COMMAND,
}
"""What a small Bluetooth LE controller of version 5.0 without extended advertising knows."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What an advertiser sends, and answers to a scan request."""

    address: hci.Address
    data: bytes
    scan_response: bytes


class RigConnection(stock.Connection):
    """One end of a link, as its controller knows it.

    Attributes:
        rig: its controller.
        channel: the link; None until it is there.
    """

    rig: RigController
    channel: Channel | None

    def __post_init__(self) -> None:
        super().__post_init__()
        assert isinstance(self.controller, RigController)
        self.rig = self.controller
        self.channel = None

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """From the host; its credit comes back when the packet is through."""
        self.assembler.feed_packet(packet)

    def on_acl_pdu(self, pdu: bytes) -> None:
        """A whole L2CAP packet from the host."""
        if self.channel is not None:
            self.channel.send(self, "acl", pdu)

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        """To the other end's controller."""
        if self.channel is not None:
            self.channel.send(self, "ll", packet)

    @property
    def known(self) -> bool:
        """Whether its controller still has it."""
        return self.rig.le_connections.get(self.peer_address) is self

    def on_air_data(self, pdu: bytes) -> None:
        """A whole L2CAP packet from the air."""
        if not self.known:
            return
        for start in range(0, len(pdu), ACL_BYTES):
            part = pdu[start : start + ACL_BYTES]
            self.rig.send_hci_packet(hci.HCI_AclDataPacket(self.handle, 1 if start else 2, 0, len(part), part))

    def on_air_control(self, pdu: ll.ControlPdu) -> None:
        """A control PDU from the air."""
        if self.known:
            self.rig.on_ll_control_pdu(self.peer_address, pdu)

    def sent(self) -> None:
        """A packet of this end has arrived: its host may send another."""
        if self.known:
            self.rig.send_hci_packet(
                hci.HCI_Number_Of_Completed_Packets_Event(
                    connection_handles=[self.handle], num_completed_packets=[1]
                )
            )

    def lost(self, reason: int) -> None:
        """The controller has missed the other end for too long."""
        if self.known:
            self.rig.on_le_disconnected(self, reason)


class RigController(stock.Controller):
    """A controller on the simulated air.

    Attributes:
        stuck: it accepts everything and does nothing.
        rssi_dbm: what it measures of whatever it hears.
        private: gives the private address that it advertises under now; None: it has no privacy.
        irks: of the peers whose private addresses it resolves.
        outside: its host is somebody's outside the rig.
    """

    supported_commands = COMMANDS
    le_features = hci.LeFeatureMask.LE_ENCRYPTION | hci.LeFeatureMask.LE_DATA_PACKET_LENGTH_EXTENSION
    le_acl_data_packet_length = ACL_BYTES
    total_num_le_acl_data_packets = CREDITS

    def __init__(self, name: str, ether: Ether, address: hci.Address, rng: random.Random) -> None:
        super().__init__(name, link=ether, public_address=address)
        self.ether = ether
        self.stuck = False
        self.rssi_dbm = HEARD_DBM
        self.private: Callable[[], hci.Address] | None = None
        self.irks: tuple[bytes, ...] = ()
        self.outside = False
        self._rng = rng

    # -- the host's side ---------------------------------------------------------------------------

    def on_packet(self, packet: bytes) -> None:
        """From the host."""
        if not self.stuck:
            self.on_hci_packet(hci.HCI_Packet.from_bytes(packet))

    def take(self, packet: hci.HCI_Packet) -> None:
        """From a host in the same process, as it is."""
        if not self.stuck:
            self.on_hci_packet(packet)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """From the host; without the base's debugging text, which costs more than the packet."""
        if isinstance(packet, hci.HCI_Command):
            self.on_hci_command_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            connection = self.find_le_connection_by_handle(packet.connection_handle)
            if connection is not None:
                connection.on_hci_acl_data_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """To the host."""
        if self.hci_sink is None or self.stuck:
            return
        take = getattr(self.hci_sink, "take", None)
        if take is not None:
            self.ether.loop.call_soon(take, packet)
        else:
            self.ether.loop.call_soon(self.hci_sink.on_packet, bytes(packet))

    def on_hci_reset_command(self, _command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """Everything is forgotten; the other ends of its links notice when they miss it."""
        self.forget_links()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.stop_advertising()
        self.le_legacy_advertiser = stock.LegacyAdvertiser(self)
        self._random_address = hci.Address("00:00:00:00:00:00")
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_rand_command(self, _command: hci.HCI_LE_Rand_Command) -> Any:
        """From the run's seed."""
        return hci.HCI_LE_Rand_ReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, random_number=struct.pack("<Q", self._rng.getrandbits(64))
        )

    def on_hci_read_rssi_command(self, command: hci.HCI_Read_RSSI_Command) -> Any:
        """How strong the other end is."""
        return hci.HCI_Read_RSSI_ReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, handle=command.handle, rssi=self.rssi_dbm
        )

    # -- advertising and scanning ------------------------------------------------------------------

    @property
    def own_address(self) -> hci.Address:
        """That it advertises under."""
        one = self.le_legacy_advertiser
        if self.private is not None and one.own_address_type == hci.OwnAddressType.RESOLVABLE_OR_RANDOM:
            return self.private()
        return one.address

    @property
    def advertises(self) -> bool:
        """Whether it does."""
        return self.le_legacy_advertiser.enabled

    @property
    def advertising_interval_us(self) -> int:
        """As the host set it, in slots of 625 µs."""
        return max(32, self.le_legacy_advertiser.advertising_interval_min) * SLOT_US

    @property
    def listening(self) -> bool:
        """Whether it scans or initiates."""
        return self.le_scan_enable or self.pending_le_connection is not None

    def stop_advertising(self) -> None:
        """It has been connected to, or reset."""
        self.le_legacy_advertiser.enabled = False

    def advertisement(self) -> Advertisement:
        """What it sends."""
        one = self.le_legacy_advertiser
        return Advertisement(self.own_address, one.advertising_data, one.scan_response_data)

    def on_hci_le_set_advertising_enable_command(
        self, command: hci.HCI_LE_Set_Advertising_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Begins or ends advertising; the air keeps its times."""
        self.le_legacy_advertiser.enabled = bool(command.advertising_enable)
        self.ether.look()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Begins or ends scanning."""
        result = super().on_hci_le_set_scan_enable_command(command)
        self.ether.turned(self)
        return result

    def heard(self, advertisement: Advertisement) -> None:
        """An advertisement has come."""
        if self.le_scan_enable:
            kinds = hci.HCI_LE_Advertising_Report_Event.EventType
            self._report(kinds.ADV_IND, advertisement.address, advertisement.data)
            if self.le_scan_type:
                self._report(kinds.SCAN_RSP, advertisement.address, advertisement.scan_response)
        request = self.pending_le_connection
        if request is not None and self._same(request.peer_address, advertisement.address):
            self.pending_le_connection = None
            self.ether.connect(self, advertisement.address, request)

    def _same(self, wanted: hci.Address, heard: hci.Address) -> bool:
        """Whether two addresses are of one peer, one of them perhaps changed since."""
        if wanted == heard:
            return True
        return any(resolves(irk, wanted) and resolves(irk, heard) for irk in self.irks)

    def _report(self, kind: int, address: hci.Address, data: bytes) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind, address_type=address.address_type, address=address, data=data, rssi=self.rssi_dbm
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    # -- connections -------------------------------------------------------------------------------

    def on_hci_le_create_connection_command(self, command: hci.HCI_LE_Create_Connection_Command) -> None:
        """Initiates: the connection comes with the next advertisement that is heard."""
        super().on_hci_le_create_connection_command(command)
        self.ether.turned(self)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Gives an initiation up; the host is told so by an event (Core, vol 4 part E 7.8.13)."""
        request, self.pending_le_connection = self.pending_le_connection, None
        if request is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.ether.loop.call_soon(self._not_connected, request.peer_address)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def begin(self, to: hci.Address, request: Any) -> RigConnection:
        """As central: the connection indication is sent, and the host is told at once."""
        own = self.random_address
        if request.own_address_type == hci.OwnAddressType.PUBLIC:
            own = self.public_address
        connection = self.born(hci.Role.CENTRAL, own, to)
        self._complete(hci.HCI_ErrorCode.SUCCESS, connection)
        return connection

    def prepare(self, central: hci.Address, own: hci.Address) -> RigConnection:
        """As peripheral: a connection indication was heard."""
        return self._unborn(hci.Role.PERIPHERAL, own, central)

    def accept(self, connection: RigConnection) -> None:
        """As peripheral: the first packet has come."""
        stale = self.le_connections.get(connection.peer_address)
        if isinstance(stale, RigConnection):
            # The same central has come back before this end missed it.
            self.on_le_disconnected(stale, int(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR))
        connection.handle = self.allocate_connection_handle()
        self.le_connections[connection.peer_address] = connection
        self._complete(hci.HCI_ErrorCode.SUCCESS, connection)

    def born(self, role: hci.Role, own: hci.Address, peer: hci.Address) -> RigConnection:
        """A connection with a handle of its own."""
        connection = self._unborn(role, own, peer)
        connection.handle = self.allocate_connection_handle()
        self.le_connections[peer] = connection
        return connection

    def _unborn(self, role: hci.Role, own: hci.Address, peer: hci.Address) -> RigConnection:
        """A connection that has no handle yet."""
        return RigConnection(
            controller=self,
            handle=0,
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.ether,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )

    def _complete(self, status: int, connection: RigConnection) -> None:
        role, own, peer = connection.role, connection.self_address, connection.peer_address
        nobody = hci.Address.ANY_RANDOM
        self.send_hci_packet(
            hci.HCI_LE_Enhanced_Connection_Complete_Event(
                status=status,
                connection_handle=connection.handle,
                role=role,
                peer_address_type=peer.address_type,
                peer_address=peer,
                local_resolvable_private_address=own if own.is_resolvable else nobody,
                peer_resolvable_private_address=nobody,
                connection_interval=CONNECTION_EVENT_US // INTERVAL_UNIT_US,
                peripheral_latency=0,
                supervision_timeout=SUPERVISION_US // TIMEOUT_UNIT_US,
                central_clock_accuracy=0,
            )
        )

    def _not_connected(self, peer: hci.Address) -> None:
        """An initiation that was given up ends with an event too."""
        unknown = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
        self._complete(unknown, self._unborn(hci.Role.CENTRAL, self.random_address, peer))

    def forget_links(self, tell_host: int | None = None) -> None:
        """All links are gone on this side at once, without a word to the others.

        Args:
            tell_host: the reason that this controller's own host is told; None: it is not.
        """
        for connection in list(self.le_connections.values()):
            assert isinstance(connection, RigConnection)
            if connection.channel is not None and not connection.channel.cut:
                connection.channel.drop(connection)
            if tell_host is None:
                del self.le_connections[connection.peer_address]
            else:
                self.on_le_disconnected(connection, tell_host)

    def power_off(self) -> None:
        """It is gone, without a word to anybody."""
        self.forget_links()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.stop_advertising()
        self.hci_sink = None
        if self in self.ether.controllers:
            self.ether.remove_controller(self)


