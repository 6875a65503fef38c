"""The vehicle-command protocol: the published page's vectors, round trips, forgeries, arbitrary bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from tesla_protocol.command import universal_message_pb2

from rig.protocol import vcp
from rig.protocol.vcp import (
    ENCRYPT_RESPONSE,
    Fault,
    Identity,
    Seal,
    SessionInfo,
    VcpError,
    VehicleStatus,
    WhitelistChange,
)

# ---------------------------------------------------------------- vectors of the published page

CLIENT = Identity(0x2538CDC29A97C19C1E99A637D6CF4F8C970C118B56EDE1E6323E6D162C4B30DB)
VEHICLE = Identity(0x344EE5B466A7CF1EEB12B6F50331DB2E5EC5834EF5F4BEFCFD8CBE55C2528D70)
CLIENT_PUBLIC = bytes.fromhex(
    "04b2b6bc68c2da0665ce656815594996c62394edd8bea905fe781a754fe6a845a7"
    "14330902f225e9269d466e05b349981fda9d85cc23c6fb444aa73b629105dc6e"
)
VEHICLE_PUBLIC = bytes.fromhex(
    "04c7a1f47138486aa4729971494878d33b1a24e39571f748a6e16c5955b3d877d3"
    "a6aaa0e955166474af5d32c410f439a2234137ad1bb085fd4e8813c958f11d97"
)
K = bytes.fromhex("1b2fce19967b79db696f909cff89ea9a")
VIN = "5YJ30123456789ABC"
UUID = bytes.fromhex("1588d5a30eabc6f8fc9a951b11f6fd11")
ROUTING = bytes.fromhex("2c907bd76c640d360b3027dc7404efde")
EPOCH = bytes.fromhex("4c463f9cc0d3d26906e982ed224adde6")
INFO = bytes.fromhex(
    "0806124104c7a1f47138486aa4729971494878d33b1a24e39571f748a6e16c5955b3d877d3a6aaa0e955166474af5d32c410"
    "f439a2234137ad1bb085fd4e8813c958f11d971a104c463f9cc0d3d26906e982ed224adde6255a0a0000"
)
INFO_TAG = bytes.fromhex("996c1fe38331be138f8039c194b14db2198846ed7d8251e6749284d7b32ea002")
INFOTAINMENT = 3


def test_page_keys() -> None:
    assert CLIENT.public == CLIENT_PUBLIC
    assert VEHICLE.public == VEHICLE_PUBLIC
    assert vcp.shared_key(CLIENT, VEHICLE_PUBLIC) == K
    assert vcp.shared_key(VEHICLE, CLIENT_PUBLIC) == K


def test_page_metadata_examples() -> None:
    assert vcp.metadata({vcp.TAG_COUNTER: 100, vcp.TAG_PERSONALIZATION: b"abc"}).hex() == (
        "0203616263050400000064ff"
    )
    assert (
        vcp.metadata(
            {
                vcp.TAG_SIGNATURE_TYPE: vcp.TYPE_HMAC_SESSION,
                vcp.TAG_PERSONALIZATION: VIN.encode(),
                vcp.TAG_CHALLENGE: UUID,
            }
        ).hex()
        == "000106021135594a333031323334353637383941424306101588d5a30eabc6f8fc9a951b11f6fd11ff"
    )


def test_page_command_metadata() -> None:
    expected = (
        "000105010103021135594a333031323334353637383941424303104c463f9cc0d3d26906e982ed224adde6"
        "040400000a5f050400000007ff"
    )
    arguments: dict[str, Any] = {
        "vin": VIN, "domain": INFOTAINMENT, "epoch": EPOCH, "expires_at": 2655, "counter": 7
    }  # fmt: skip
    assert vcp.command_metadata(vcp.TYPE_GCM, flags=0, **arguments).hex() == expected
    with_flags = vcp.command_metadata(vcp.TYPE_GCM, flags=2, **arguments).hex()
    assert with_flags == expected[:-2] + "070400000002ff"


def test_page_session_info() -> None:
    assert vcp.hmac_key(K, vcp.LABEL_SESSION).hex() == (
        "fceb679ee7bca756fcd441bf238bf2f338629b41d9eb9c67be1b32c9672ce300"
    )
    assert vcp.session_info_tag(K, VIN, UUID, INFO) == INFO_TAG
    info = SessionInfo(counter=6, public=VEHICLE_PUBLIC, epoch=EPOCH, clock_s=2650)
    assert vcp.parse_session_info(INFO) == info
    assert info.encode() == INFO


def test_page_aes_gcm_example() -> None:
    arguments: dict[str, Any] = {
        "vin": VIN, "domain": INFOTAINMENT, "epoch": EPOCH, "expires_at": 2655, "counter": 7, "flags": 0,
        "nonce": bytes.fromhex("dbf79447fa156674dae1caed"),
    }  # fmt: skip
    plaintext = bytes.fromhex("120452020801")
    ciphertext, tag = vcp.sign_gcm(K, plaintext=plaintext, **arguments)
    assert ciphertext.hex() == "38038e8c0f2e"
    assert tag.hex() == "8e128da165f162f4d7d2c8da866cf82a"
    assert vcp.open_gcm(K, ciphertext=ciphertext, tag=tag, **arguments) == plaintext


def test_page_handshake_request() -> None:
    theirs = universal_message_pb2.RoutableMessage(
        to_destination=universal_message_pb2.Destination(
            domain=universal_message_pb2.DOMAIN_VEHICLE_SECURITY
        ),
        from_destination=universal_message_pb2.Destination(routing_address=ROUTING),
        session_info_request=universal_message_pb2.SessionInfoRequest(public_key=CLIENT_PUBLIC),
        uuid=UUID,
    )
    ours = vcp.parse(vcp.build_handshake(CLIENT, ROUTING, UUID))
    assert ours == theirs
    assert vcp.handshake_key(ours) == CLIENT_PUBLIC


def test_page_handshake_response() -> None:
    message = universal_message_pb2.RoutableMessage()
    message.to_destination.routing_address = ROUTING
    message.from_destination.domain = universal_message_pb2.DOMAIN_INFOTAINMENT
    message.signature_data.session_info_tag.tag = INFO_TAG
    message.session_info = INFO
    message.request_uuid = UUID
    info = vcp.read_session_info(CLIENT, VIN, UUID, message, VEHICLE_PUBLIC)
    assert info == SessionInfo(6, VEHICLE_PUBLIC, EPOCH, 2650)
    ours = vcp.parse(vcp.build_session_info(K, vin=VIN, info=info, routing=ROUTING, uuid=UUID))
    ours.from_destination.domain = universal_message_pb2.DOMAIN_INFOTAINMENT
    assert ours == message


def test_page_bluetooth_name() -> None:
    assert vcp.ble_local_name("5YJS0000000000000") == "S1a87a5a75f3df858C"


def test_page_debug_line() -> None:
    data = bytes.fromhex(
        "320208023a1212100a7962c10d38b61dd2a7722780a4f0969a031005514f57616bcc81a8ce0f9d7b48322952040a020805"
    )
    assert vcp.return_address(data, of_answer=False).hex() == "0a7962c10d38b61dd2a7722780a4f096"
    assert not vcp.is_command(data)
    message = vcp.parse(data)
    assert message.to_destination.domain == vcp.DOMAIN
    assert vcp.parse_payload(message.protobuf_message_as_bytes) is None, (
        "an InformationRequest is no command here"
    )


# ---------------------------------------------------------------- names and keys


def test_faults_are_those_of_the_protobuf() -> None:
    theirs = {
        name.removeprefix("MESSAGEFAULT_ERROR_"): number
        for name, number in universal_message_pb2.MessageFault_E.items()
    }
    assert {fault.name: int(fault) for fault in Fault} == theirs
    assert vcp.fault_name(3) == "UNKNOWN_KEY_ID"
    assert vcp.fault_name(0) == "NONE"
    assert vcp.fault_name(77) == "FAULT_77"


def test_numbers_of_the_protobuf() -> None:
    assert (vcp.TYPE_GCM, vcp.TYPE_HMAC_SESSION, vcp.TYPE_HMAC, vcp.TYPE_RESPONSE) == (5, 6, 8, 9)
    assert (vcp.UNLOCK, vcp.LOCK, vcp.REMOTE_DRIVE) == (0, 1, 20)
    assert (vcp.DOMAIN, vcp.BROADCAST, vcp.ENCRYPT_RESPONSE) == (2, 0, 2)


def test_test_keys() -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    scalar = int.from_bytes(hashlib.sha256(b"phone").digest(), "big") % (order - 1) + 1
    one = Identity.from_seed(b"phone")
    assert one == Identity(scalar)
    assert hash(one) == hash(Identity(scalar))
    assert one != Identity.from_seed(b"other")
    assert f"{scalar:x}"[:8] not in repr(one)
    for wrong in (0, order):
        with pytest.raises(ValueError, match="P-256"):
            Identity(wrong)


@given(st.binary(max_size=70) | st.binary(min_size=64, max_size=64).map(lambda tail: b"\x04" + tail))
def test_what_is_no_point_has_no_shared_key(public: bytes) -> None:
    with pytest.raises(VcpError) as raised:
        vcp.shared_key(CLIENT, public)
    assert raised.value.fault is Fault.UNKNOWN_KEY_ID


def test_compressed_points_are_refused() -> None:
    with pytest.raises(VcpError):
        vcp.shared_key(CLIENT, bytes((2 + VEHICLE_PUBLIC[-1] % 2,)) + VEHICLE_PUBLIC[1:33])


@pytest.mark.parametrize(
    "items", [{vcp.TAG_COUNTER: 1 << 32}, {vcp.TAG_DOMAIN: 256}, {vcp.TAG_EPOCH: bytes(256)}]
)
def test_metadata_that_does_not_fit(items: dict[int, int | bytes]) -> None:
    with pytest.raises(VcpError):
        vcp.metadata(items)


# ---------------------------------------------------------------- commands

UINT32 = st.integers(0, 2**32 - 1)
CHANNELS = st.sampled_from(["bluetooth", "cloud"])
FIXED: dict[str, Any] = {
    "identity": CLIENT, "vehicle_public": VEHICLE_PUBLIC, "vin": VIN, "epoch": EPOCH,
    "routing": ROUTING, "uuid": UUID, "nonce": bytes(12),
}  # fmt: skip


@given(CHANNELS, UINT32, UINT32, st.integers(0, 7), st.binary(max_size=200))
def test_commands_round_trip(channel: str, counter: int, expires_at: int, flags: int, payload: bytes) -> None:
    command = vcp.build_command(
        channel=channel, counter=counter, expires_at=expires_at, flags=flags, payload=payload, **FIXED
    )
    assert vcp.is_command(command.message)
    assert vcp.return_address(command.message, of_answer=False) == ROUTING
    signed = vcp.signed(vcp.parse(command.message))
    assert signed is not None
    assert signed.sig_type == (vcp.TYPE_GCM if channel == "bluetooth" else vcp.TYPE_HMAC)
    assert (signed.counter, signed.expires_at, signed.flags) == (counter, expires_at, flags)
    assert (signed.public, signed.epoch, signed.domain) == (CLIENT_PUBLIC, EPOCH, vcp.DOMAIN)
    assert (signed.routing, signed.uuid) == (ROUTING, UUID)
    assert signed.wants_sealed == bool(flags & ENCRYPT_RESPONSE)
    assert command.shared == K
    assert vcp.open_command(K, VIN, EPOCH, signed) == payload
    assert len(command.request_hash) == 17
    assert signed.request_hash == command.request_hash


def test_hmac_by_the_page_in_longhand() -> None:
    command = vcp.build_command(channel="cloud", counter=9, expires_at=100, action=vcp.UNLOCK, **FIXED)
    key = hmac.new(K, b"authenticated command", hashlib.sha256).digest()
    text = (
        b"\x00\x01\x08\x01\x01\x02\x02\x11" + VIN.encode() + b"\x03\x10" + EPOCH
        + b"\x04\x04" + (100).to_bytes(4, "big") + b"\x05\x04" + (9).to_bytes(4, "big")
        + b"\x07\x04" + (2).to_bytes(4, "big") + b"\xff" + b"\x10\x00"
    )  # fmt: skip
    tag = hmac.new(key, text, hashlib.sha256).digest()
    assert vcp.parse(command.message).signature_data.HMAC_Personalized_data.tag == tag
    assert command.request_hash == b"\x08" + tag[:16]


CHANGES: list[tuple[str, Any]] = [
    ("counter", 8), ("expires_at", 101), ("flags", 0), ("domain", 3), ("domain", 258), ("epoch", bytes(16)),
    ("payload", b"\x10\x01"), ("payload", b""), ("tag", bytes(16)), ("tag", b""),
]  # fmt: skip
NONCES: list[tuple[str, Any]] = [("nonce", bytes(11)), ("nonce", b"n" * 12)]
CHANGED = [("bluetooth", *change) for change in CHANGES + NONCES] + [("cloud", *change) for change in CHANGES]


@pytest.mark.parametrize(("channel", "field", "value"), CHANGED)
def test_a_changed_command_does_not_authenticate(channel: str, field: str, value: Any) -> None:
    command = vcp.build_command(channel=channel, counter=7, expires_at=100, action=vcp.UNLOCK, **FIXED)
    signed = vcp.signed(vcp.parse(command.message))
    assert signed is not None
    epoch = EPOCH
    if field == "epoch":
        epoch = value
    else:
        signed = dataclasses.replace(signed, **{field: value})
    with pytest.raises(VcpError) as raised:
        vcp.open_command(K, VIN, epoch, signed)
    assert raised.value.fault is {
        ("nonce", bytes(11)): Fault.IV_INCORRECT_LENGTH, ("domain", 258): Fault.BAD_PARAMETER
    }.get((field, value), Fault.INVALID_SIGNATURE)  # fmt: skip
    with pytest.raises(VcpError):
        vcp.open_command(K, VIN[:-1] + "X", EPOCH, signed)


@pytest.mark.parametrize("channel", ["bluetooth", "cloud"])
def test_forgeries_do_not_authenticate(channel: str) -> None:
    stranger = FIXED | {"identity": Identity.from_seed(b"attacker")}
    for forged in (
        vcp.build_command(
            channel=channel,
            counter=1,
            expires_at=9,
            action=vcp.UNLOCK,
            claimed_public=CLIENT_PUBLIC,
            **stranger,
        ),
        vcp.build_command(
            channel=channel, counter=1, expires_at=9, action=vcp.UNLOCK, tag=bytes(16), **FIXED
        ),
    ):
        signed = vcp.signed(vcp.parse(forged.message))
        assert signed is not None
        assert signed.public == CLIENT_PUBLIC
        with pytest.raises(VcpError):
            vcp.open_command(vcp.shared_key(VEHICLE, signed.public), VIN, EPOCH, signed)
    unsigned = vcp.unsigned_command(vcp.UNLOCK, ROUTING, UUID)
    assert vcp.signed(vcp.parse(unsigned)) is None
    assert not vcp.is_command(unsigned)


def test_there_are_two_channels() -> None:
    with pytest.raises(ValueError, match="no channel 'pigeon'"):
        vcp.build_command(channel="pigeon", counter=1, expires_at=9, action=vcp.UNLOCK, **FIXED)


# ---------------------------------------------------------------- payloads


def test_unlock_is_present_and_nothing_else_is_unlock() -> None:
    assert vcp.action_payload(vcp.UNLOCK) == b"\x10\x00"
    assert vcp.parse_payload(b"\x10\x00") == vcp.UNLOCK
    assert vcp.parse_payload(b"") is None
    assert vcp.parse_payload(b"\x98\x06\x00") is None, "an unknown field"


@pytest.mark.parametrize("action", [vcp.UNLOCK, vcp.LOCK, vcp.REMOTE_DRIVE, 29, 99])
def test_actions_round_trip(action: int) -> None:
    assert vcp.parse_payload(vcp.action_payload(action)) == action


@pytest.mark.parametrize(
    "change",
    [
        WhitelistChange("add", CLIENT_PUBLIC, vcp.Role.ROLE_DRIVER),
        WhitelistChange("change", CLIENT_PUBLIC, vcp.Role.ROLE_GUEST),
        WhitelistChange("remove", CLIENT_PUBLIC),
    ],
)
def test_key_operations_round_trip(change: WhitelistChange) -> None:
    assert vcp.parse_payload(vcp.whitelist_payload(change)) == change


# ---------------------------------------------------------------- answers


def test_session_info_with_a_fault_resynchronises() -> None:
    info = SessionInfo(12, VEHICLE_PUBLIC, EPOCH, 77, vcp.STATUS_NOT_ENROLLED)
    data = vcp.build_session_info(
        K, vin=VIN, info=info, routing=ROUTING, uuid=UUID, fault=Fault.INCORRECT_EPOCH
    )
    assert vcp.return_address(data, of_answer=True) == ROUTING
    message = vcp.parse(data)
    assert vcp.read_session_info(CLIENT, VIN, UUID, message) == info
    assert vcp.read_response(K, VIN, b"", message) == vcp.Answer(False, Fault.INCORRECT_EPOCH, 0, None)


@pytest.mark.parametrize("wrong", ["challenge", "vin", "client", "info", "tag", "vehicle"])
def test_session_info_that_does_not_authenticate(wrong: str) -> None:
    info = SessionInfo(12, VEHICLE_PUBLIC, EPOCH, 77)
    message = vcp.parse(vcp.build_session_info(K, vin=VIN, info=info, routing=ROUTING, uuid=UUID))
    if wrong == "info":
        message.session_info = SessionInfo(11, VEHICLE_PUBLIC, EPOCH, 77).encode()
    if wrong == "tag":
        message.signature_data.session_info_tag.tag = b""
    with pytest.raises(VcpError) as raised:
        vcp.read_session_info(
            Identity.from_seed(b"x") if wrong == "client" else CLIENT,
            "X" * 17 if wrong == "vin" else VIN,
            bytes(16) if wrong == "challenge" else UUID,
            message,
            CLIENT_PUBLIC if wrong == "vehicle" else None,
        )
    assert raised.value.fault is Fault.INVALID_SIGNATURE


def test_other_messages_carry_no_session_info() -> None:
    message = vcp.parse(vcp.build_push(vcp.status_payload(VehicleStatus(vcp.LOCKED))))
    assert vcp.read_session_info(CLIENT, VIN, UUID, message) is None
    assert vcp.handshake_key(message) is None


def test_response_metadata_in_longhand() -> None:
    of_request = b"\x05" + bytes(range(16))
    text = (
        b"\x00\x01\x09\x01\x01\x02\x02\x11" + VIN.encode() + b"\x05\x04\x00\x00\x00\x03"
        b"\x07\x04\x00\x00\x00\x00\x08\x11" + of_request + b"\x09\x04\x00\x00\x00\x07\xff"
    )  # fmt: skip
    sealed = AESGCM(K).encrypt(b"n" * 12, b"hello", hashlib.sha256(text).digest())
    assert vcp.seal_response(
        K, vin=VIN, of_request=of_request, counter=3, plaintext=b"hello", nonce=b"n" * 12, fault=7
    ) == (sealed[:-16], sealed[-16:])


FAULTS = st.sampled_from(list(Fault))


@given(UINT32, st.none() | st.binary(max_size=100), FAULTS, st.binary(min_size=12, max_size=12))
def test_sealed_answers_round_trip(counter: int, payload: bytes | None, fault: Fault, nonce: bytes) -> None:
    of_request = vcp.request_hash(vcp.TYPE_HMAC, bytes(range(32)))
    seal = Seal(K, VIN, of_request, counter, nonce)
    data = vcp.build_response(routing=ROUTING, uuid=UUID, payload=payload, fault=fault, seal=seal)
    message = vcp.parse(data)
    assert vcp.read_response(K, VIN, of_request, message) == vcp.Answer(True, fault, counter, payload or b"")
    with pytest.raises(VcpError):
        vcp.read_response(K, VIN, vcp.request_hash(vcp.TYPE_GCM, bytes(range(16))), message)
    message.signedMessageStatus.signed_message_fault = (fault + 1) % len(Fault)  # type: ignore[assignment]
    with pytest.raises(VcpError):
        vcp.read_response(K, VIN, of_request, message)


@pytest.mark.parametrize("payload", [None, b"", b"\x0a\x00"])
def test_plain_answers_round_trip(payload: bytes | None) -> None:
    data = vcp.build_response(routing=ROUTING, uuid=UUID, payload=payload, fault=Fault.BUSY)
    assert vcp.read_response(K, VIN, b"", vcp.parse(data)) == vcp.Answer(False, Fault.BUSY, 0, payload)


def test_an_answer_says_error_only_with_a_fault() -> None:
    good = vcp.parse(vcp.build_response(routing=ROUTING, uuid=UUID))
    bad = vcp.parse(vcp.build_response(routing=ROUTING, uuid=UUID, fault=Fault.BUSY, payload=None))
    assert not good.HasField("signedMessageStatus")
    assert bad.signedMessageStatus.operation_status == vcp.OPERATION_ERROR
    assert vcp.parse_from_vcsec(good.protobuf_message_as_bytes).WhichOneof("sub_message") is None


@given(
    st.sampled_from([vcp.LOCKED, vcp.UNLOCKED, vcp.SELECTIVE_UNLOCKED]),
    st.tuples(*[st.booleans()] * 4),
    st.booleans(),
)
def test_vehicle_status_round_trips(lock: int, ajar: tuple[bool, bool, bool, bool], asleep: bool) -> None:
    status = VehicleStatus(lock, ajar, asleep)
    data = vcp.build_push(vcp.status_payload(status))
    message = vcp.parse(data)
    assert vcp.is_push(message)
    assert vcp.return_address(data, of_answer=True) == b""
    assert vcp.parse_status(message.protobuf_message_as_bytes) == status


def test_an_empty_status_says_nothing() -> None:
    assert vcp.parse_status(b"") is None
    assert vcp.parse_status(b"\x0a\x00") is None
    assert not vcp.is_push(vcp.parse(vcp.build_response(routing=ROUTING, uuid=UUID)))
    assert not vcp.is_push(vcp.parse(b""))


@pytest.mark.parametrize(
    ("latches", "state"),
    [
        ("LLLL", vcp.LOCKED),
        ("UUUU", vcp.UNLOCKED),
        ("LLLU", vcp.SELECTIVE_UNLOCKED),
        ("XLLL", vcp.SELECTIVE_UNLOCKED),
    ],
)
def test_lock_state(latches: str, state: int) -> None:
    assert vcp.lock_state(latches) == state


def test_other_payloads() -> None:
    wait = vcp.parse_from_vcsec(vcp.wait_payload())
    assert wait.commandStatus.operationStatus == vcp.OPERATION_WAIT
    done = vcp.parse_from_vcsec(vcp.whitelist_status_payload(0))
    assert done.commandStatus.WhichOneof("sub_message") == "whitelistOperationStatus"
    failed = vcp.parse_from_vcsec(vcp.whitelist_status_payload(4, vcp.OPERATION_ERROR))
    assert failed.commandStatus.whitelistOperationStatus.whitelistOperationInformation == 4
    error = vcp.parse_from_vcsec(vcp.nominal_error_payload(2))
    assert error.nominalError.genericError == 2


# ---------------------------------------------------------------- arbitrary bytes


def _read_as_everybody_would(data: bytes) -> None:
    vcp.is_command(data)
    for read in (vcp.parse_payload, vcp.parse_session_info, vcp.parse_status):
        try:
            read(data)
        except VcpError:
            pass
    try:
        message = vcp.parse(data)
    except VcpError:
        return
    vcp.return_address(data, of_answer=True)
    vcp.handshake_key(message)
    vcp.is_push(message)
    for check in (
        lambda: vcp.read_session_info(CLIENT, VIN, UUID, message),
        lambda: vcp.read_response(K, VIN, b"\x05" + bytes(16), message),
    ):
        try:
            check()
        except VcpError:
            pass
    signed = vcp.signed(message)
    if signed is not None:
        try:
            vcp.open_command(vcp.shared_key(VEHICLE, signed.public), VIN, EPOCH, signed)
        except VcpError:
            pass


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    _read_as_everybody_would(data)


SAMPLES = [
    vcp.build_handshake(CLIENT, ROUTING, UUID),
    vcp.build_command(channel="bluetooth", counter=7, expires_at=100, action=vcp.UNLOCK, **FIXED).message,
    vcp.build_command(channel="cloud", counter=7, expires_at=100, action=vcp.UNLOCK, **FIXED).message,
    vcp.build_session_info(
        K, vin=VIN, info=SessionInfo(1, VEHICLE_PUBLIC, EPOCH, 5), routing=ROUTING, uuid=UUID
    ),
    vcp.build_response(
        routing=ROUTING, uuid=UUID, fault=1, seal=Seal(K, VIN, b"\x05" + bytes(16), 1, bytes(12))
    ),
    vcp.build_push(vcp.status_payload(VehicleStatus(vcp.UNLOCKED))),
    INFO,
]


@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_messages_raise_nothing_else(sample: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    _read_as_everybody_would(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


def test_a_message_has_1024_bytes_at_most() -> None:
    with pytest.raises(VcpError) as raised:
        vcp.parse(bytes(1025))
    assert raised.value.fault is Fault.REQUEST_MTU_EXCEEDED


def test_a_tag_cannot_be_shifted_into_the_ciphertext() -> None:
    arguments: dict[str, Any] = {
        "vin": VIN, "epoch": EPOCH, "expires_at": 1, "counter": 1, "flags": 0, "nonce": bytes(12)
    }  # fmt: skip
    ciphertext, tag = vcp.sign_gcm(K, plaintext=b"\x10\x00", **arguments)
    for shift in (1, 15, 16):
        with pytest.raises(VcpError):
            vcp.open_gcm(K, ciphertext=ciphertext + tag[:shift], tag=tag[shift:], **arguments)


@pytest.mark.parametrize("field", ["flags", "domain", "payload", "counter"])
def test_a_changed_answer_does_not_authenticate(field: str) -> None:
    of_request = vcp.request_hash(vcp.TYPE_GCM, bytes(16))
    data = vcp.build_response(
        routing=ROUTING, uuid=UUID, payload=b"abc", seal=Seal(K, VIN, of_request, 1, bytes(12))
    )
    message = vcp.parse(data)
    if field == "flags":
        message.flags = 2
    elif field == "domain":
        message.from_destination.domain = universal_message_pb2.DOMAIN_INFOTAINMENT
    elif field == "payload":
        message.protobuf_message_as_bytes = b"abd"
    else:
        message.signature_data.AES_GCM_Response_data.counter = 2
    with pytest.raises(VcpError):
        vcp.read_response(K, VIN, of_request, message)


@pytest.mark.parametrize("first", [0x00, 0x02, 0x03, 0x05, 0x06, 0x07])
def test_only_the_uncompressed_form_of_a_point_is_taken(first: int) -> None:
    with pytest.raises(VcpError):
        vcp.shared_key(CLIENT, bytes((first,)) + VEHICLE_PUBLIC[1:])
