"""The protocol steps that a fault can be placed at, instead of a time.

A fault with a step is armed from its start on and begins when that step is next reached (or the n-th time), before
the step has any effect; it ends when it says, as others do.
"""

from __future__ import annotations

from collections.abc import Mapping

STEPS: Mapping[str, str] = {
    "bluetooth.connect": "the phone asks for a connection",
    "bluetooth.discover": "the phone discovers services",
    "bluetooth.subscribe": "the phone subscribes to notifications",
    "bluetooth.handshake_request": "the phone is about to write its request for session info",
    "bluetooth.handshake_answer": "the module is about to notify session info",
    "bluetooth.command_write": "the phone is about to write a command",
    "bluetooth.command_chunk": "a chunk of a command is about to reach the module",
    "bluetooth.acknowledgement": "the command's last chunk was taken by the module, its acknowledgement is due",
    "bluetooth.command_answer": "the module is about to notify the answer to a command",
    "bluetooth.status_push": "the module is about to notify a status push",
    "cloud.dns": "the phone looks up the server's name",
    "cloud.tcp": "the phone opens a TCP connection",
    "cloud.tls": "the phone begins TLS",
    "cloud.request": "the phone sends a request",
    "cloud.handled": "the server has the request and begins its work",
    "cloud.car_request": "the server passes a message on to the car",
    "cloud.car_answer": "the car's answer is on its way to the server",
    "cloud.headers": "the server sends the answer's headers",
    "cloud.body": "the server sends the answer's body",
    "cloud.after_body": "the phone has the whole answer",
    "can.request_first": "a carrier sends the first frame of a payload to the DUT",
    "can.request_flow_control": "the DUT's flow control is on its way",
    "can.request_consecutive": "a carrier sends a consecutive frame",
    "can.answer_first": "the DUT sends the first frame of an answer",
    "can.answer_flow_control": "a carrier sends flow control for an answer",
    "can.answer_consecutive": "the DUT sends a consecutive frame",
    "serial.command": "the reader has a command frame of the DUT",
    "serial.ack": "the reader is about to acknowledge",
    "serial.response": "the reader is about to answer",
    "memory.write": "the DUT is about to write to non-volatile memory",
    "motor.on": "a motor's drive was switched on",
    "motor.off": "a motor's drive was switched off",
    "motor.feedback": "a latch is about to report that it has moved",
}
