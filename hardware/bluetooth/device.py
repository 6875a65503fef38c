"""Bumble devices as the rig uses them: one Bluetooth LE host on a controller, ours or behind a transport.

Knows nothing of services or of the world.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from bumble import core, hci, utils
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.host import Host
from bumble.keys import KeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.snoop import Snooper

from hardware.bluetooth.gatt import make_quiet

NEW_LISTENER = "new_listener"
"""What pyee emits before each listener that it adds."""


class Controller(Protocol):
    """What a host needs of a controller: Bumble's own, or a transport's two ends."""

    def on_packet(self, packet: bytes) -> None: ...

    def set_packet_sink(self, sink: Any) -> None: ...


class QuietHost(Host):
    """Bumble's host without its debugging text, which costs more than the packets that it is about.

    Attributes:
        left: procedures that nobody waits for any more, and that end by themselves or with their link.
    """

    def __init__(self, source: Any, sink: Any) -> None:
        self.left: set[asyncio.Future[Any]] = set()
        self._unanswered: list[hci.HCI_Command] = []
        super().__init__(source, sink)

    def emit(self, event: str, *args: Any, **kwargs: Any) -> bool:
        """Tells listeners; that one has been added is told to nobody, though a device adds ninety of them."""
        return event != NEW_LISTENER and super().emit(event, *args, **kwargs)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """To the controller; to one in the same process as it is, since writing and reading bytes costs most."""
        if self.snooper:
            self.snooper.snoop(bytes(packet), Snooper.Direction.HOST_TO_CONTROLLER)
        if isinstance(packet, hci.HCI_Command):
            self._unanswered.append(packet)
        take = getattr(self.hci_sink, "take", None)
        if take is not None:
            take(packet)
        elif self.hci_sink:
            self.hci_sink.on_packet(bytes(packet))

    def take(self, packet: hci.HCI_Packet) -> None:
        """From a controller in the same process; what comes before the answer to a reset is of an earlier life."""
        if self.ready or (
            isinstance(packet, hci.HCI_Command_Complete_Event) and packet.command_opcode == hci.HCI_RESET_COMMAND
        ):
            self.on_hci_packet(packet)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """From the controller."""
        if self.snooper:
            self.snooper.snoop(bytes(packet), Snooper.Direction.CONTROLLER_TO_HOST)
        if isinstance(packet, hci.HCI_Event):
            self.on_hci_event_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)

    def on_transport_lost(self) -> None:
        """The controller is gone; a command that was given up meanwhile cannot fail any more."""
        if self.pending_response is None or not self.pending_response.done():
            super().on_transport_lost()  # type: ignore[no-untyped-call]  # Bumble's has no annotations

    def on_command_processed(
        self, event: hci.HCI_Command_Complete_Event[Any] | hci.HCI_Command_Status_Event
    ) -> None:
        """A command is answered; if its sender has given up, Bumble would take the answer for the next one's."""
        for place, command in enumerate(self._unanswered):
            if command.op_code == event.command_opcode:
                del self._unanswered[place]
                waits = self.pending_response is not None and not self.pending_response.done()
                if command is self.pending_command and waits:
                    super().on_command_processed(event)
                return
        super().on_command_processed(event)

    def put_away(self) -> None:
        """Ends procedures that nobody waits for."""
        for task in list(self.left):
            task.cancel()

    def on_hci_le_long_term_key_request_event(self, event: hci.HCI_LE_Long_Term_Key_Request_Event) -> None:
        """Answers with the key, or that there is none; the link may be gone by then, which is no error here."""
        if event.connection_handle in self.connections:
            utils.AsyncRunner.spawn(self._answer_key_request(event))  # type: ignore[no-untyped-call]

    async def _answer_key_request(self, event: hci.HCI_LE_Long_Term_Key_Request_Event) -> None:
        handle = event.connection_handle
        key = None
        if self.long_term_key_provider is not None:
            key = await self.long_term_key_provider(handle, event.random_number, event.encryption_diversifier)
        command: Any = hci.HCI_LE_Long_Term_Key_Request_Negative_Reply_Command(connection_handle=handle)
        if key is not None:
            command = hci.HCI_LE_Long_Term_Key_Request_Reply_Command(connection_handle=handle, long_term_key=key)
        await self.send_command(command)


class LinkGone(Exception):
    """The connection is gone, or could not be made."""


def make_device(name: str, address: hci.Address, irk: bytes, bonds: KeyStore, source: Any, sink: Any) -> Device:
    """A Bluetooth LE host, not powered on.

    Args:
        name: for its debugging.
        address: its static random address, which is its identity too.
        irk: its identity resolving key.
        bonds: its key store.
        source: where packets from the controller come from.
        sink: where packets to the controller go.
    """
    config = DeviceConfiguration(
        name=name,
        address=address,
        irk=irk,
        # Without this a bond is kept under the public address, and not found again.
        identity_address_type=int(hci.Address.RANDOM_DEVICE_ADDRESS),
        gap_service_enabled=False,
        gatt_service_enabled=False,
    )
    device = Device(config=config, host=QuietHost(source, sink))
    make_quiet(device)
    device.keystore = bonds
    device.pairing_config_factory = just_works
    return device


def just_works(_connection: Connection) -> PairingConfig:
    """LE Secure Connections without a display or keys on either side, with bonding."""
    return PairingConfig(
        sc=True,
        mitm=False,
        bonding=True,
        delegate=PairingDelegate(PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT),
        identity_address_type=PairingConfig.AddressType.RANDOM,
    )


async def guarded(connection: Connection, work: Any) -> Any:
    """Awaits something that needs a connection, and no longer than it lives.

    A disconnection cancels what Bumble awaits, which must not look like a cancellation of our own; and what Bumble
    asks on a connection that is gone already would wait for 30 s, the later requests of a procedure too.

    Raises:
        LinkGone: the connection is gone, or a request was not answered.
    """
    if connection.device.connections.get(connection.handle) is not connection:
        work.close()
        raise LinkGone("the connection is gone")
    task = asyncio.ensure_future(work)
    # Whether the link was lost, once that or the end of the work is known.
    over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def ended(_reason: int) -> None:
        if not over.done():
            over.set_result(True)

    def done(_task: object) -> None:
        if not over.done():
            over.set_result(False)

    task.add_done_callback(done)
    connection.on(connection.EVENT_DISCONNECTION, ended)
    try:
        await over
        if not task.done() or task.cancelled():
            raise LinkGone("the connection was lost")
        return task.result()
    except core.TimeoutError as error:
        raise LinkGone(str(error)) from error
    finally:
        connection.remove_listener(connection.EVENT_DISCONNECTION, ended)
        if not task.done():
            _leave(connection, task, lost=over.done() and not over.cancelled() and over.result())


def _leave(connection: Connection, task: asyncio.Future[Any], *, lost: bool) -> None:
    """Nobody waits for a procedure any more.

    It goes on as long as its link stands, since Bumble trips over answers to what was cancelled; then it is
    cancelled, for it may not notice: Python 3.11's wait_for swallows a cancellation that comes with an answer.
    """
    task.add_done_callback(_forget)
    if lost:
        task.cancel()
        return
    host = connection.device.host
    assert isinstance(host, QuietHost)
    host.left.add(task)
    task.add_done_callback(host.left.discard)
    connection.once(connection.EVENT_DISCONNECTION, lambda _reason: task.cancel())


def _forget(task: asyncio.Future[Any]) -> None:
    """Nobody asks any more what became of it."""
    if not task.cancelled():
        task.exception()
