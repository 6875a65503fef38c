"""The attacker's moves, as they show on the wire; and that it never has a key."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise

import pytest

from rig.protocol import vcp
from rig.protocol.e2e import check_crc
from rig.scenario import Attack, Fault, Intent, Scenario, ScenarioError, Via
from rig.trace import word
from rig.world import attacker, forgery, intruder
from rig.world.attacker import KINDS, check_attacks
from rig.world.digest import digest
from tests.world.stage import ScriptedVehicle, Stage

ORIGIN_US = 3_000_000
CHANNELS: tuple[Via, ...] = ("bluetooth", "cloud")


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def played(*timeline: Attack | Intent | Fault, ecu: bool = True, doors_locked: bool = True) -> Stage:
    """Plays a whole scenario; without an ECU a scripted vehicle executes every command."""
    stage = Stage(Scenario(timeline=timeline, doors="locked" if doors_locked else "unlocked"), ecu=ecu)

    async def act() -> None:
        while not stage.of("end"):
            await stage.kernel.sleep(0.1)

    stage.play(act, story=True)
    return stage


def genuine_commands(stage: Stage) -> list[str]:
    """Digests of the driver's commands in the order in which they were signed."""
    return [word(e, 2) for e in stage.of("sign")]


# -- replay ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", CHANNELS)
@pytest.mark.parametrize("first", CHANNELS)
def test_replay_sends_all_captured_commands_once_more_in_their_order(first: Via, again: str) -> None:
    stage = played(
        Intent("unlock", us(0), first), Intent("lock", us(4), first), Attack(f"replay_{again}", us(8))
    )
    commands = genuine_commands(stage)
    assert len(commands) == 2
    replays = stage.hands(origin="replay")
    assert [(h.channel, h.digest) for h in replays] == [(again, d) for d in commands]
    assert replays[0].at_us == ORIGIN_US + us(8)
    assert replays[1].at_us - replays[0].at_us == 40_000


def test_handshakes_are_not_captured() -> None:
    stage = played(Intent("unlock", 0, "bluetooth"), Attack("replay_bluetooth", us(3)))
    signed = set(genuine_commands(stage))
    assert {h.digest for h in stage.hands(origin="replay")} == signed
    assert any(h.digest not in signed for h in stage.hands(origin="genuine"))


def test_a_replay_before_anything_was_captured_sends_nothing() -> None:
    stage = played(Attack("replay_bluetooth", us(1)))
    assert stage.hands() == []
    assert [word(e, 4) for e in stage.of("attack")] == ["nothing was captured"]


# -- hold ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [1.0, 13.0, 40.0])
@pytest.mark.parametrize("taken_s", [0.2, 5.0, 9.0])
@pytest.mark.parametrize("channel", CHANNELS)
def test_hold_takes_the_next_command_and_delivers_it_late_and_once(
    channel: Via, taken_s: float, delay_s: float
) -> None:
    """However late the command came: the run does not end before its delivery, and the DUT's answer."""
    stage = played(
        Attack(f"hold_{channel}", 0, (("delay_ms", round(delay_s * 1000)),)),
        Intent("unlock", us(taken_s), channel),
    )
    commands = genuine_commands(stage)
    late = stage.hands(origin="late")
    assert [h.digest for h in late] == commands[:1]
    took = next(e for e in stage.of("attack") if word(e, 4) == "took a command")
    assert late[0].at_us - took[0] == us(delay_s)
    genuine = [h.digest for h in stage.hands(origin="genuine")]
    assert commands[0] not in genuine
    assert stage.trace.end_us >= late[0].at_us + 1_000_000


def test_hold_takes_one_command_and_lets_the_next_pass() -> None:
    stage = played(Attack("hold_bluetooth", 0, (("delay_ms", 20_000),)), Intent("unlock", us(1), "bluetooth"))
    commands = genuine_commands(stage)
    assert len(commands) >= 2
    assert commands[1] in [h.digest for h in stage.hands(origin="genuine")]


def test_hold_on_one_channel_leaves_the_other_alone() -> None:
    stage = played(Attack("hold_cloud", 0), Intent("unlock", us(1), "bluetooth"))
    assert stage.hands(origin="late") == []
    assert genuine_commands(stage)[0] in [h.digest for h in stage.hands(origin="genuine")]


def test_a_hold_that_finds_no_command_ends() -> None:
    stage = played(Attack("hold_bluetooth", 0))
    assert stage.hands() == []


# -- forge -----------------------------------------------------------------------------------------------


def forged(kind: str, *, warm: bool) -> tuple[Stage, list[vcp.RoutableMessage], ScriptedVehicle]:
    """One move against a scripted vehicle: what it got."""
    stage = Stage(Scenario(timeline=(Attack(kind, 0),)), ecu=False)
    vehicle = ScriptedVehicle(stage)

    async def act() -> None:
        if warm:
            await stage.world.phone.warm_up(stage.kernel.now + 2_000_000)
            await stage.kernel.sleep(0.2)
            vehicle.messages.clear()
        stage.world.attacker.move(0, stage.scenario.attacks[0])
        await stage.kernel.sleep(2.0)

    stage.play(act)
    channel = KINDS[kind].channel
    return stage, [vcp.parse(raw) for _, c, _, raw in vehicle.messages if c == channel], vehicle


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("warm", [False, True])
def test_forged_without_a_signature(channel: str, warm: bool) -> None:
    _, messages, _ = forged(f"forge_unsigned_{channel}", warm=warm)
    assert len(messages) == 1
    assert vcp.signed(messages[0]) is None
    assert vcp.parse_payload(messages[0].protobuf_message_as_bytes) == vcp.UNLOCK


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("warm", [False, True])
def test_forged_mac_in_the_drivers_name(channel: str, warm: bool) -> None:
    stage, messages, vehicle = forged(f"forge_tag_{channel}", warm=warm)
    signed = vcp.signed(messages[0])
    assert signed is not None
    assert signed.public == stage.world.phone.identity.public
    with pytest.raises(vcp.VcpError) as caught:
        vcp.open_command(vehicle.shared(signed.public), stage.world.vin, signed.epoch, signed)
    assert caught.value.fault is vcp.Fault.INVALID_SIGNATURE
    if warm:
        # All else is as good as an eavesdropper can make it.
        assert signed.epoch == vehicle.epoch
        assert signed.expires_at > vehicle.clock_s


@pytest.mark.parametrize("channel", CHANNELS)
def test_properly_signed_by_a_key_nobody_enrolled(channel: str) -> None:
    stage, messages, vehicle = forged(f"forge_key_{channel}", warm=True)
    signed = vcp.signed(messages[0])
    assert signed is not None
    keys = stage.world.phone.identity.public, stage.world.valet.client("valet").identity.public
    assert signed.public not in keys
    plain = vcp.open_command(vehicle.shared(signed.public), stage.world.vin, signed.epoch, signed)
    assert vcp.parse_payload(plain) == vcp.UNLOCK


def test_inside_switch_frames_are_never_valid() -> None:
    stage, _, _ = forged("plain_interior", warm=False)
    frames = stage.frames(can_id=0x1E0)
    assert [f.sender for f in frames] == ["attacker"] * 3
    assert not any(check_crc(0x1E0, f.data) for f in frames)
    codec = stage.world.codecs["InteriorSwitch"]
    assert [codec.decode(f.data)["Request"] for f in frames] == [2, 2, 2]
    assert [codec.decode(f.data)["Counter"] for f in frames] == [0, 1, 2]
    assert all(19_000 < b.at_us - a.at_us < 21_000 for a, b in pairwise(frames))


def test_a_bluetooth_move_takes_a_slot_and_gives_it_back() -> None:
    _, _, vehicle = forged("forge_unsigned_bluetooth", warm=False)
    assert [byte for _, byte in vehicle.signals] == [0x80, 0xC0]


def test_a_bluetooth_move_needs_a_slot() -> None:
    stage = Stage(Scenario(timeline=(Attack("forge_unsigned_bluetooth", 0),)), ecu=False)

    async def act() -> None:
        for _ in range(3):
            stage.world.air.module.opened()
        stage.world.attacker.move(0, stage.scenario.attacks[0])
        await stage.kernel.sleep(0.5)

    stage.play(act)
    assert stage.hands() == []
    assert [word(e, 4) for e in stage.of("attack")] == ["no connection slot was free"]


# -- all kinds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_no_move_opens_the_healthy_ecu(kind: str) -> None:
    """After a genuine unlock and a lock, so that there is something to send again."""
    stage = played(
        Intent("unlock", 0, "bluetooth"), Intent("lock", us(3), "cloud"), Attack(kind, us(6), ()),
        Fault("bluetooth.radio_off", us(5)),
    )  # fmt: skip
    assert not [e for e in stage.of("motor", ORIGIN_US + us(6)) if word(e, 3) == "U"]


@pytest.mark.parametrize("kind", KINDS)
def test_moves_are_the_same_each_time(kind: str) -> None:
    timeline = (Intent("unlock", us(1), "bluetooth"), Attack(kind, us(0.5)), Attack(kind, us(4)))
    assert played(*timeline).trace.hash() == played(*timeline).trace.hash()


def test_without_attacks_nobody_listens() -> None:
    stage = played(Intent("unlock", 0, "bluetooth"))
    assert stage.world.attacker._captured == []


def test_the_attacker_has_no_key_of_anybody_enrolled() -> None:
    """Of the phone's identity it takes the public half, and it knows of no card and no other key."""
    trees = [ast.parse(inspect.getsource(m)) for m in (attacker, forgery, intruder)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    whole = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    assert {w for w in whole if w.endswith(".identity")} == {"self._world.phone.identity"}
    assert [w for w in whole if w.startswith("self._world.phone.identity.")] == [
        "self._world.phone.identity.public"
    ]
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert not names & {"card", "valet", "client", "private", "handshake", "shared"}


# -- damaged, many, malformed ----------------------------------------------------------------------------


def swallowed(kind: str, *params: tuple[str, int]) -> tuple[vcp.Signed, list[vcp.Signed]]:
    """The driver's first command as it was signed, and what was sent in its place."""
    stage = Stage(Scenario(timeline=(Attack(kind, 0, params), Intent("unlock", us(1), KINDS[kind].channel))), ecu=False)  # type: ignore[arg-type]
    vehicle = ScriptedVehicle(stage)
    captured = stage.world.attacker._captured

    async def act() -> None:
        stage.world.attacker.move(0, stage.scenario.attacks[0])
        intent, now = stage.scenario.intents[0], stage.kernel.now
        await stage.world.driver.pursue(0, intent)
        assert stage.kernel.now > now

    stage.play(act)
    original = vcp.signed(vcp.parse(captured[0]))
    assert original is not None
    assert captured[0] not in [raw for _, _, _, raw in vehicle.messages]
    forged = {h.digest for h in stage.hands(origin="forge")}
    sent = [vcp.signed(vcp.parse(raw)) for _, _, _, raw in vehicle.messages if digest(raw) in forged]
    return original, [s for s in sent if s is not None]


@pytest.mark.parametrize("channel", CHANNELS)
def test_truncated_macs(channel: str) -> None:
    original, sent = swallowed(f"truncate_{channel}")
    assert {len(s.tag) for s in sent} == {0, 1, 4, len(original.tag) // 2, len(original.tag) - 1}
    assert all(original.tag.startswith(s.tag) and s.payload == original.payload for s in sent)


@pytest.mark.parametrize("channel", CHANNELS)
def test_zero_mac(channel: str) -> None:
    original, sent = swallowed(f"zero_{channel}")
    assert [s.tag for s in sent] == [bytes(len(original.tag))]


@pytest.mark.parametrize("channel", CHANNELS)
def test_corrupt_macs_keep_their_first_or_last_byte(channel: str) -> None:
    original, sent = swallowed(f"corrupt_{channel}")
    same = [[a == b for a, b in zip(s.tag, original.tag, strict=True)] for s in sent]
    size = len(original.tag)
    assert same == [[i == 0 for i in range(size)], [i == size - 1 for i in range(size)]]


@pytest.mark.parametrize("byte", [0, 15])
@pytest.mark.parametrize("channel", CHANNELS)
def test_one_byte_is_enumerated(channel: str, byte: int) -> None:
    original, sent = swallowed(f"enumerate_{channel}", ("byte", byte))
    assert [s.tag[byte] for s in sent] == list(range(256))
    assert not any(a == b for s in sent for i, (a, b) in enumerate(zip(s.tag, original.tag, strict=True)) if i != byte)


@pytest.mark.parametrize("channel", CHANNELS)
def test_altered_payloads_keep_their_mac(channel: str) -> None:
    original, sent = swallowed(f"alter_{channel}")
    assert len(sent) == len(original.payload)
    assert all(s.tag == original.tag and s.payload != original.payload for s in sent)


@pytest.mark.parametrize("channel", CHANNELS)
def test_brute_force_tries_as_often_as_it_is_told(channel: str) -> None:
    stage = played(Attack(f"brute_{channel}", us(1), (("count", 40),)))
    assert len(stage.hands(origin="forge")) == 40


def test_a_relayed_command_opens_by_design() -> None:
    stage = played(Attack("relay_bluetooth", 0), Intent("unlock", us(1), "bluetooth"))
    assert len(stage.hands(origin="late")) == 1
    assert [what for _, what, _ in stage.told()] == ["opened"]


def test_hogged_slots_keep_the_phone_out_and_are_given_back() -> None:
    stage = played(Attack("hog_slots", 0, (("ms", 5_000),)), Intent("unlock", us(0.5), "bluetooth"))
    opened = [h.at_us for h in stage.hands(origin="genuine")]
    assert opened and opened[0] > ORIGIN_US + us(5)
    assert [word(e, 4) for e in stage.of("attack")] == ["took 3 connections"]


def test_connections_are_opened_and_dropped() -> None:
    stage = Stage(Scenario(timeline=(Attack("half_open", 0, (("count", 20),)),)), ecu=False)
    vehicle = ScriptedVehicle(stage)

    async def act() -> None:
        stage.world.attacker.move(0, stage.scenario.attacks[0])
        await stage.kernel.sleep(2.0)

    stage.play(act)
    assert [byte for _, byte in vehicle.signals] == [0x80, 0xC0] * 20
    assert vehicle.handshakes == 10


@pytest.mark.parametrize(("kind", "authentic"), [("unknown", 0), ("foreign", 0), ("replay", 0), ("torn", 0)])
def test_bad_cards_are_refused_and_the_next_good_tap_works(kind: str, authentic: int) -> None:
    stage = played(
        Intent("unlock", 0, "card"), Intent("lock", us(12), "bluetooth"), Attack(f"tap_{kind}", us(20)),
        Intent("unlock", us(24), "card"),
    )  # fmt: skip
    taps = [(word(e, 3), e[0] - ORIGIN_US) for e in stage.of("tap")]
    assert (kind, us(20)) in taps
    assert len([e for e in stage.of("auth") if us(20) <= e[0] - ORIGIN_US < us(24)]) == authentic
    moved = [e[0] - ORIGIN_US for e in stage.of("motor") if word(e, 3) == "U"]
    assert not any(us(20) <= at < us(24) for at in moved)
    assert any(us(24) <= at < us(25) for at in moved)


def test_a_replaying_card_says_what_the_drivers_card_said() -> None:
    stage = played(Intent("unlock", 0, "card"), Attack("tap_replay", us(5)))
    assert len(stage.world.attacker._tapper._answers) == 1


@pytest.mark.parametrize("kind", ["plain_crash", "restbus", "garbage_cloud", "garbage_bluetooth"])
def test_frames_of_the_attacker(kind: str) -> None:
    stage = played(Attack(kind, us(1), ()))
    frames = [f for f in stage.frames(ORIGIN_US) if f.sender == "attacker"]
    ids = {"plain_crash": {0x1B0}, "restbus": {0x1C0, 0x1D0}, "garbage_cloud": {0x2A0}, "garbage_bluetooth": {0x2B0}}
    assert {f.can_id for f in frames} == ids[kind]
    assert all(check_crc(f.can_id, f.data) == (kind == "restbus") for f in frames if f.can_id < 0x200)


def test_unknown_parameters_are_refused() -> None:
    for params in ((("count", 5),), (("delay_ms", 4_000_000),)):
        with pytest.raises(ScenarioError):
            check_attacks(Scenario(timeline=(Attack("zero_cloud", 0, params),)))
    check_attacks(Scenario(timeline=(Attack("brute_cloud", 0, (("count", 5),)),)))
