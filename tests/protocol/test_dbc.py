"""Codecs against cantools, and what the body CAN's file says."""

from __future__ import annotations

import cantools.database
import pytest
from cantools.database.can import Database
from hypothesis import given
from hypothesis import strategies as st
from tesla_protocol.command import universal_message_pb2

from hardware.dbc import body_dbc_text
from rig.protocol.dbc import DbcError, MessageCodec, load_codecs
from rig.protocol.keycard import Refusal

ODD_DBC = """VERSION ""
NS_ :
BS_:
BU_: A
BO_ 100 Mixed: 8 A
 SG_ LittleSigned : 3|11@1- (0.5,-3) [0|0] "" A
 SG_ BigUnsigned : 23|10@0+ (1,0) [0|0] "" A
 SG_ BigSigned : 45|12@0- (1,0) [0|0] "" A
 SG_ Little : 56|8@1+ (1,0) [0|0] "" A
BO_ 101 Short: 3 A
 SG_ Big : 7|17@0+ (1,0) [0|0] "" A
 SG_ Bit : 22|1@1+ (1,0) [0|0] "" A
BO_ 102 Nothing: 0 A
"""

BODY = load_codecs(body_dbc_text(), "body.dbc")
ODD = load_codecs(ODD_DBC, "odd.dbc")


def _database(text: str) -> Database:
    database = cantools.database.load_string(text, "dbc", strict=True)
    assert isinstance(database, Database)
    return database


CASES = [
    pytest.param(codecs[name], database, id=name)
    for codecs, database in ((BODY, _database(body_dbc_text())), (ODD, _database(ODD_DBC)))
    for name in codecs
]


def _edges(minimum: int, maximum: int) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted({minimum, 0, 1, maximum})) | st.integers(minimum, maximum)


@pytest.mark.parametrize(("codec", "database"), CASES)
@given(data=st.data())
def test_encodes_and_decodes_as_cantools(
    codec: MessageCodec, database: Database, data: st.DataObject
) -> None:
    values = data.draw(
        st.fixed_dictionaries(
            {signal.name: _edges(signal.minimum, signal.maximum) for signal in codec.signals}
        )
    )
    theirs = database.encode_message(codec.name, values, scaling=False, strict=False)
    assert codec.encode(values) == theirs
    assert codec.decode(theirs) == values


@pytest.mark.parametrize(("codec", "database"), CASES)
@given(data=st.data())
def test_decodes_any_payload_as_cantools(
    codec: MessageCodec, database: Database, data: st.DataObject
) -> None:
    payload = data.draw(st.binary(min_size=codec.length, max_size=codec.length))
    theirs = database.decode_message(codec.name, payload, decode_choices=False, scaling=False)
    assert codec.decode(payload) == theirs


@pytest.mark.parametrize(("codec", "database"), CASES)
def test_scaling_is_cantools_scaling(codec: MessageCodec, database: Database) -> None:
    message = database.get_message_by_name(codec.name)
    for signal in codec.signals:
        assert message.get_signal_by_name(signal.name).raw_to_scaled(signal.maximum, False) == pytest.approx(
            signal.maximum * signal.scale + signal.offset
        )


def test_body_has_the_messages_of_the_vehicle() -> None:
    expected = {
        "LockStatus": 0x1A0,
        "VehicleState": 0x1B0,
        "TelematicsState": 0x1C0,
        "BluetoothState": 0x1D0,
        "InteriorSwitch": 0x1E0,
        "CloudRequest": 0x2A0,
        "CloudResponse": 0x2A8,
        "BluetoothRequest": 0x2B0,
        "BluetoothResponse": 0x2B8,
        "DiagRequest": 0x7A0,
        "DiagResponse": 0x7A8,
        "DiagFunctional": 0x7DF,
    } | {f"TelematicsLog_{number:X}": 0x500 + number for number in range(16)}
    assert {codec.name: codec.can_id for codec in BODY.values()} == expected
    assert all(codec.length == 8 for codec in BODY.values())
    assert {codec.name: codec.cycle_ms for codec in BODY.values() if codec.cycle_ms} == {
        "LockStatus": 100,
        "VehicleState": 100,
        "TelematicsState": 1000,
        "BluetoothState": 1000,
    }
    assert BODY.by_id(0x1A0) is BODY["LockStatus"]
    assert BODY.by_id(0x123) is None


@pytest.mark.parametrize(
    "name", ["LockStatus", "VehicleState", "TelematicsState", "BluetoothState", "InteriorSwitch"]
)
def test_protected_messages_keep_crc_and_counter_where_e2e_wants_them(name: str) -> None:
    crc, counter = BODY[name].signal("CRC"), BODY[name].signal("Counter")
    assert (crc.shift, crc.length, counter.shift, counter.length) == (0, 8, 8, 4)


def test_refusals_are_all_named() -> None:
    choices = BODY["LockStatus"].signal("LastRefusal").choices
    faults = {
        number: name.removeprefix("MESSAGEFAULT_ERROR_")
        for name, number in universal_message_pb2.MessageFault_E.items()
    }
    assert choices == faults | {int(refusal): refusal.name for refusal in Refusal}


def test_value_tables() -> None:
    lock = BODY["LockStatus"]
    assert lock.signal("Door_RR").choices == {0: "locked", 1: "unlocked", 2: "moving", 3: "fault"}
    assert [lock.signal("LastSource").choices[number] for number in range(7)] == [
        "none", "cloud", "bluetooth", "card", "interior", "crash", "relock"
    ]  # fmt: skip
    assert BODY["InteriorSwitch"].signal("Request").choices == {0: "none", 1: "lock", 2: "unlock"}


def test_errors_say_what_there_is() -> None:
    with pytest.raises(DbcError, match=r"body\.dbc: there is no message 'Nope'; it has LockStatus"):
        BODY["Nope"]
    with pytest.raises(DbcError, match="no signal 'Nope'; it has CRC, Counter"):
        BODY["LockStatus"].encode({"Nope": 1})
    with pytest.raises(DbcError, match="no signal 'Nope'; it has CRC, Counter"):
        BODY["LockStatus"].signal("Nope")
    with pytest.raises(DbcError, match="Door_FL = 4 is out of range; it takes 0 to 3"):
        BODY["LockStatus"].encode({"Door_FL": 4})
    with pytest.raises(DbcError, match="has 8 bytes, the payload 7"):
        BODY["LockStatus"].decode(bytes(7))


HEAD = 'VERSION ""\nNS_ :\nBS_:\nBU_: A\n'


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (HEAD + "BO_ 1 M: eight A\n", r"bench\.dbc:5: not a usable DBC"),
        (HEAD + 'BO_ 1 M: 8 A\n SG_ S : 0|70@1+ (1,0) [0|0] "" A\n', "not a usable DBC"),
        (
            HEAD + 'BO_ 1 M: 8 A\n SG_ S : 0|8@1+ (1,0) [0|0] "" A\n SG_ T : 7|8@1+ (1,0) [0|0] "" A\n',
            "not a usable",
        ),
        (HEAD + 'BO_ 2147483649 M: 8 A\n SG_ S : 0|8@1+ (1,0) [0|0] "" A\n', "29-bit identifier"),
        (HEAD + "BO_ 1 M: 64 A\n", "classic CAN carries 8"),
        (
            HEAD + 'BO_ 1 M: 8 A\n SG_ S M : 0|8@1+ (1,0) [0|0] "" A\n SG_ T m0 : 8|8@1+ (1,0) [0|0] "" A\n',
            "multiplexed",
        ),
        (HEAD + 'BO_ 1 M: 8 A\n SG_ S : 0|32@1- (1,0) [0|0] "" A\nSIG_VALTYPE_ 1 S : 1;\n', "is a float"),
    ],
)
def test_unusable_files_are_named_with_their_mend(text: str, match: str) -> None:
    with pytest.raises(DbcError, match=match) as raised:
        load_codecs(text, "bench.dbc")
    assert str(raised.value).startswith("bench.dbc")


@given(st.text(max_size=200))
def test_arbitrary_text_raises_nothing_but_dbc_errors(text: str) -> None:
    try:
        load_codecs(HEAD + text, "bench.dbc")
    except DbcError:
        pass
