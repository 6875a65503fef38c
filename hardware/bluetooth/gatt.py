"""Bumble's GATT client and server without their debugging text, which they make of every PDU whether it is read or not.

What is not of the ordinary is left to the base classes, with their words. Knows nothing of services or of the world.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bumble import att, core, utils
from bumble.device import Connection, Device
from bumble.gatt import GATT_REQUEST_TIMEOUT
from bumble.gatt_client import Client
from bumble.gatt_server import Server


class QuietClient(Client):
    """The client of one connection."""

    async def send_command(self, command: att.ATT_PDU) -> None:
        """Sends what is not answered."""
        self.send_gatt_pdu(bytes(command))

    async def send_request(self, request: att.ATT_PDU) -> Any:
        """Sends a request when none is under way, and waits for its answer.

        Raises:
            bumble.core.TimeoutError: there was none.
        """
        async with self.request_semaphore:
            self.pending_request = request
            self.pending_response = asyncio.get_running_loop().create_future()
            try:
                self.send_gatt_pdu(bytes(request))
                async with asyncio.timeout(GATT_REQUEST_TIMEOUT):
                    return await self.pending_response
            except TimeoutError as error:
                raise core.TimeoutError(f"GATT timeout for {request.name}") from error
            finally:
                self.pending_request = self.pending_response = None

    def on_gatt_pdu(self, att_pdu: att.ATT_PDU) -> None:
        """An answer, or a notification."""
        request, code = self.pending_request, att_pdu.op_code
        # The answer to a request has the opcode that follows the request's (Core, vol 3 part F 3.4.8).
        if request is not None and code in (request.op_code + 1, att.Opcode.ATT_ERROR_RESPONSE):
            assert self.pending_response is not None
            self.pending_response.set_result(att_pdu)
        elif isinstance(att_pdu, att.ATT_Handle_Value_Notification):
            self.on_att_handle_value_notification(att_pdu)
        else:
            super().on_gatt_pdu(att_pdu)


class QuietServer(Server):
    """The server of a device."""

    def send_response(self, bearer: Any, response: att.ATT_PDU) -> None:
        """To a client."""
        self.send_gatt_pdu(bearer, bytes(response))

    async def _notify_single_subscriber(self, bearer: Any, attribute: Any, value: Any, force: bool) -> None:
        if force or value is None:
            await super()._notify_single_subscriber(bearer, attribute, value, force)
            return
        cccd = self.subscribers.get(bearer, {}).get(attribute.handle, b"")
        if len(cccd) == 2 and cccd[0] & 1:
            piece = attribute.encode_value(value)[: bearer.att_mtu - 3]
            notification = att.ATT_Handle_Value_Notification(
                attribute_handle=attribute.handle, attribute_value=piece
            )
            self.send_gatt_pdu(bearer, bytes(notification))

    def on_gatt_pdu(self, bearer: Any, att_pdu: att.ATT_PDU) -> None:
        """From a client."""
        handler = getattr(self, f"on_{att_pdu.name.lower()}", None)
        if handler is None:
            super().on_gatt_pdu(bearer, att_pdu)
            return
        try:
            handler(bearer, att_pdu)
        except att.ATT_Error as error:
            self._refuse(bearer, att_pdu, error.att_handle, error.error_code)
        except Exception:
            self._refuse(bearer, att_pdu, 0, att.ErrorCode.UNLIKELY_ERROR)
            raise

    def _refuse(self, bearer: Any, request: att.ATT_PDU, handle: int, code: int) -> None:
        self.send_response(
            bearer,
            att.ATT_Error_Response(
                request_opcode_in_error=request.op_code, attribute_handle_in_error=handle, error_code=code
            ),
        )


def make_quiet(device: Device) -> None:
    """Gives a device that has no services yet such a server, and each of its connections such a client."""
    device.gatt_server = QuietServer(device)
    utils.setup_event_forwarding(  # type: ignore[no-untyped-call]  # Bumble's has no annotations
        device.gatt_server, device, Server.EVENT_CHARACTERISTIC_SUBSCRIPTION
    )
    # The first to be told: whoever awaits the connection finds the client in its place.
    device.on(device.EVENT_CONNECTION, _change_client)


def _change_client(connection: Connection) -> None:
    connection.remove_listener(connection.EVENT_DISCONNECTION, connection.gatt_client.on_disconnection)
    connection.gatt_client = QuietClient(connection)
