"""Scenarios: readable JSON, equal bytes for equal scenarios, and clear words for what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.faults import CATALOGUE, check_faults
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, ScenarioError
from rig.world.attacker import KINDS, check_attacks
from tests.randomscenarios import scenario

TIMES = st.integers(0, 3_600_000_000)
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(Fault, st.sampled_from(list(CATALOGUE)), TIMES, st.none()),
    st.builds(
        Intent,
        st.sampled_from(["unlock", "lock"]),
        TIMES,
        st.sampled_from(["ladder", "bluetooth", "cloud", "card"]),
    ),
    st.builds(Attack, st.sampled_from(list(KINDS)), TIMES, st.just((("delay_ms", 7),))),
)
SCENARIOS = st.builds(
    Scenario,
    seed=st.integers(0, (1 << 64) - 1),
    carry=st.builds(Carry, st.sampled_from(["warm", "cold"]), st.booleans()),
    doors=st.sampled_from(["locked", "unlocked"]),
    phase_us=st.integers(0, 999_999),
    timeline=st.lists(ENTRIES, max_size=6).map(tuple),
)


@given(SCENARIOS)
def test_json_keeps_every_microsecond(one: Scenario) -> None:
    again = Scenario.from_json(one.to_json())
    assert again == one
    assert again.to_json() == one.to_json()


@pytest.mark.parametrize("seed", range(12))
def test_generated_scenarios_survive_json(seed: int) -> None:
    one = scenario(seed)
    check_faults(one)
    check_attacks(one)
    assert Scenario.from_json(one.to_json()) == one


def changed(**keys: object) -> str:
    raw = json.loads(Scenario(timeline=(Intent("unlock", 0),)).to_json())
    raw.update(keys)
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["lock.json:1:2", "not JSON"]),
        ("[" * 100_000, ["lock.json", "nested too deeply"]),
        ("[]", ["top", "not an object"]),
        ("{}", ["format", "this version reads"]),
        (changed(speed=3), ["speed", "known are"]),
        (changed(seed=-1), ["seed", "whole number"]),
        (changed(seed=True), ["seed"]),
        (changed(card="yes"), ["card", "true or false"]),
        (changed(phase_ms=1000), ["phase_ms", "less than one second"]),
        (changed(timeline={}), ["timeline", "list"]),
        (changed(timeline=[3]), ["timeline[0]", "not an object"]),
        (changed(timeline=[{"at_ms": 3}]), ["timeline[0]", "exactly one of"]),
        (changed(timeline=[{"intent": "open", "at_ms": 3}]), ["timeline[0].intent", "unlock, lock"]),
        (changed(timeline=[{"intent": "lock", "at_ms": "3"}]), ["timeline[0].at_ms", "number"]),
        (changed(timeline=[{"intent": "lock", "at_ms": 1e300}]), ["timeline[0].at_ms", "40 days"]),
        (changed(timeline=[{"intent": "lock"}]), ["timeline[0].at_ms"]),
        (changed(timeline=[{"intent": "lock", "at_ms": 3, "when": 4}]), ["timeline[0].when", "known are"]),
        (
            changed(timeline=[{"fault": "server.500", "from_ms": 5, "to_ms": 3}]),
            ["timeline[0].to_ms", "before"],
        ),
        (
            changed(timeline=[{"fault": "power.dip", "from_ms": 5, "mv": 3.5}]),
            ["timeline[0].mv", "whole numbers"],
        ),
        (changed(timeline=[{"fault": 7, "from_ms": 5}]), ["timeline[0].fault", "name"]),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place_and_mend(text: str, words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_json(text, "lock.json")
    for word in ["lock.json", *words]:
        assert word in str(caught.value)


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_gives_a_scenario_or_its_error(text: str) -> None:
    try:
        Scenario.from_json(text)
    except ScenarioError:
        return
    raise AssertionError("random text is no scenario")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such file"):
        Scenario.load(tmp_path / "Ünlock me.json")
    with pytest.raises(ScenarioError, match="folder"):
        Scenario.load(tmp_path)
    odd = tmp_path / "odd file.json"
    odd.write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="byte 0 is not UTF-8"):
        Scenario.load(odd)


def test_unknown_modes_parameters_and_attacks_are_named() -> None:
    with pytest.raises(ScenarioError, match=r"no mode 'server\.418'"):
        check_faults(Scenario(timeline=(Fault("server.418", 0),)))
    with pytest.raises(ScenarioError, match="has no parameter 'volts'"):
        check_faults(Scenario(timeline=(Fault("power.dip", 0, 1, (("volts", 3),)),)))
    with pytest.raises(ScenarioError, match="give 0 to"):
        check_faults(Scenario(timeline=(Fault("power.dip", 0, 1, (("mv", 99_000),)),)))
    with pytest.raises(ScenarioError, match="no kind 'bribe'"):
        check_attacks(Scenario(timeline=(Attack("bribe", 0),)))
