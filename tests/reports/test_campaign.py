"""campaign.toml: what it may say, what it must say, and how it complains."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reports.campaign import CampaignError, Particulars, load_campaign

WHOLE = """
[report]
number = "EL-2026-0117"
issued = 2026-11-24

[laboratory]
name = "Example Lab"
address = "Teststraße 1, 12345 Musterstadt"
place = "the laboratory's permanent premises"

[customer]
name = "Example Motors"
address = "Carway 2"
states = ["item.hardware", "sampling"]

[item]
description = "door-lock ECU"
part_number = "DL-4711"
serial_number = "0042"
firmware_sha256 = "FIRMWARE"
received = 2026-11-20

[sampling]
by = "the customer"
plan = "one item of the first production lot, chosen by the customer"

[conditions]
temperature = "23 °C ± 2 °C"

[[equipment]]
name = "CAN adapter"
serial_number = "A-1"

[[person]]
name = "A. Author"
role = "author"

[[person]]
name = "B. Boss"
role = "approver"
function = "head of laboratory"
""".replace("FIRMWARE", "0" * 64)


def write(folder: Path, text: str) -> Path:
    file = folder / "campaign.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_whole_file_misses_nothing_and_is_named_by_its_hash(tmp_path: Path) -> None:
    read = load_campaign(write(tmp_path, WHOLE))
    assert read.missing(emulated=False) == []
    assert read.sha256 == hashlib.sha256(WHOLE.encode()).hexdigest()
    assert read.item.received == "2026-11-20"
    assert read.equipment[0].name == "CAN adapter"
    assert [p.role for p in read.person] == ["author", "approver"]


def test_what_the_customer_said_is_known_by_key_and_by_table(tmp_path: Path) -> None:
    read = load_campaign(write(tmp_path, WHOLE))
    assert read.by_customer("item.hardware")
    assert read.by_customer("sampling.plan")
    assert not read.by_customer("item.part_number")


def test_nothing_said_misses_all_that_the_standard_asks_for() -> None:
    keys = {m.key for m in Particulars().missing(emulated=False)}
    assert {
        "report.issued", "laboratory.name", "laboratory.address", "laboratory.place", "customer.name",
        "customer.address", "item.description", "item.part_number", "item.serial_number", "item.firmware_sha256",
        "item.received", "sampling.by", "sampling.plan", "conditions.temperature", "person",
    } == keys  # fmt: skip
    assert all("7.8." in str(m) and m.clause for m in Particulars().missing(emulated=False))


def test_an_emulated_ecu_was_neither_received_nor_sampled_nor_warm() -> None:
    keys = {m.key for m in Particulars().missing(emulated=True)}
    assert keys == {
        "report.issued", "laboratory.name", "laboratory.address", "laboratory.place", "customer.name",
        "customer.address", "person",
    }  # fmt: skip


@pytest.mark.parametrize("needed", ["name", "address", "place"])
def test_each_line_left_out_is_missed(tmp_path: Path, needed: str) -> None:
    begin = WHOLE.index("[laboratory]")
    at = WHOLE.index(f"{needed} =", begin)
    without = WHOLE[:at] + WHOLE[WHOLE.index("\n", at) + 1 :]
    assert [m.key for m in load_campaign(write(tmp_path, without)).missing(emulated=False)] == [f"laboratory.{needed}"]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('name = "Example Lab"', 'nmae = "Example Lab"', 7, r"\[laboratory\] has no nmae; did you mean name\?"),
        ("[customer]", "[custmer]", 11, r"\[custmer\] is not known; did you mean customer\?"),
        ("received = 2026-11-20", 'received = "yesterday"', 21, "received is a date without quotes"),
        ('name = "Example Lab"', "name = 7", 7, "name is a text in quotes"),
        ('states = ["item.hardware", "sampling"]', 'states = "all"', 14, "states is a list of texts"),
        ('states = ["item.hardware", "sampling"]', 'states = ["item.hardwar"]', 14, 'did you mean "item.hardware"'),
        ('role = "approver"', 'role = "boss"', 40, '"boss" is no role; a person\'s role is "author" or "approver"'),
        ("0" * 64, "0" * 63, 20, "is no SHA-256; sha256sum prints one"),
        ("[[equipment]]", "[equipment]", 30, r"write \[\[equipment\]\]"),
        ('name = "CAN adapter"\n', "", 30, r"\[\[equipment\]\] has no name; give it one"),
    ],
)
def test_every_complaint_names_file_line_and_mend(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in WHOLE
    file = write(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(CampaignError, match=says) as error:
        load_campaign(file)
    assert str(error.value).startswith(f"{file}, line {line}: ")


@pytest.mark.parametrize(("content", "says"), [(b"x = ", "not TOML"), (b"\xff", "is not UTF-8 text")])
def test_what_is_no_toml_is_said_so(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "campaign.toml"
    file.write_bytes(content)
    with pytest.raises(CampaignError, match=says):
        load_campaign(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"campaign\.toml: cannot be read .*is the path right"):
        load_campaign(tmp_path / "campaign.toml")
