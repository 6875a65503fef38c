"""The looks at what befalls Bluetooth; and what a single look does not tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rig.faults import CATALOGUE, STEPS
from rig.kernel import Timeout
from rig.protocol import vcp
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.trace import number, word
from rig.world.bluetooth import SMALL_MTU, Connection, LinkError, Step
from rig.world.digest import digest
from tests.world.look import Look
from tests.world.stage import Stage

ORIGIN_US = 3_000_000
LINK_S = 3.2
FALLEN_S = 3.2
AGAIN_US = 4_000_000
LONG = b"\xff" * 1000
"""A message of several chunks; what is left of it when it was mangled begins with a length that never comes."""
HEALTHY_WRITE_US = 182_500
"""Six chunks of 182 bytes, 30 ms each."""


async def link(stage: Stage) -> str:
    """Connects as the driver's phone does and writes a command: how far that comes."""
    world, kernel = stage.world, stage.kernel
    since = kernel.now
    rng = world.rng(f"look {since}")
    command = vcp.unsigned_command(vcp.UNLOCK, rng.randbytes(16), rng.randbytes(16))
    handshake = vcp.build_handshake(world.phone.identity, rng.randbytes(16), rng.randbytes(16))

    async def talk(one: Connection) -> str:
        await one.write(handshake, Step.HANDSHAKE)
        await one.write(command, Step.COMMAND)
        return "written"

    heard = await _connected(stage, talk)
    names = [h.digest for h in stage.hands(since)]
    return f"{heard}; handshake {digest(handshake) in names}, command {digest(command) in names}"


async def carried(stage: Stage) -> tuple[object, object]:
    """Writes a long message: what of it the module hands on, and whether its chunks took their usual time."""
    kernel = stage.kernel
    since = kernel.now
    long = LONG[:-4] + (since % (1 << 32)).to_bytes(4, "big")

    async def talk(one: Connection) -> str:
        began = kernel.now
        await one.write(long, Step.COMMAND)
        return "late" if kernel.now - began > HEALTHY_WRITE_US else "in time"

    when = await _connected(stage, talk)
    handed = [h.digest for h in stage.hands(since)]
    return ("whole" if digest(long) in handed else "mangled" if handed else "nothing"), when


async def faded(stage: Stage) -> tuple[object, object]:
    """The same, when a signal has had time to fall; of connections some fail then, and are tried again."""
    kernel = stage.kernel
    await kernel.sleep(FALLEN_S)
    since = kernel.now
    while True:
        found = await carried(stage)
        if found[1] != "connection failed to be established" or kernel.now - since > AGAIN_US:
            return found


async def dialogue(stage: Stage) -> object:
    """Asks for session info and for an unsigned command: what comes, pushes counted."""
    world = stage.world
    rng = world.rng(f"look {stage.kernel.now}")
    messages = (
        (vcp.build_handshake(world.phone.identity, rng.randbytes(16), rng.randbytes(16)), Step.HANDSHAKE),
        (vcp.unsigned_command(vcp.UNLOCK, rng.randbytes(16), rng.randbytes(16)), Step.COMMAND),
    )
    came: list[tuple[int, bool]] = []

    async def talk(one: Connection) -> object:
        for message, step in messages:
            await one.write(message, step)
            pushes, answered = 0, False
            while not answered:
                try:
                    heard = vcp.parse(await one.receive(0.4))
                except Timeout:
                    break
                answered = not vcp.is_push(heard)
                pushes += not answered
            came.append((pushes, answered))
        return tuple(came)

    return await _connected(stage, talk)


async def longest_chunk(stage: Stage) -> object:
    """How many bytes the longest chunk of a long message has."""
    module = stage.world.air.module
    written, sizes = module.written, [0]

    def spy(handle: int, chunk: bytes) -> None:
        sizes.append(len(chunk))
        written(handle, chunk)

    module.written = spy  # type: ignore[method-assign]

    async def talk(one: Connection) -> int:
        await one.write(LONG, Step.HANDSHAKE)
        return max(sizes)

    try:
        return await _connected(stage, talk)
    finally:
        module.written = written  # type: ignore[method-assign]


async def addresses(stage: Stage) -> object:
    """Whether the module still has the address that it had two seconds ago."""

    async def address(one: Connection) -> str:
        return one.address

    first = await _connected(stage, address)
    await stage.kernel.sleep(2.0)
    second = await _connected(stage, address)
    if ":" not in str(first) or ":" not in str(second):
        return first, second
    return "kept" if first == second else "changed"


async def state_frames(stage: Stage) -> tuple[bool, object]:
    """Whether BluetoothState is on the bus, and whether the module can be connected to."""

    async def talk(_one: Connection) -> str:
        return "connected"

    since = stage.kernel.now
    for _ in range(16):
        # In small steps: an idle world skips tenths of a second of cyclic frames.
        await stage.kernel.sleep(0.15)
    frames = stage.frames(since, stage.world.codecs["BluetoothState"].can_id)
    return bool(frames), await _connected(stage, talk)


async def _connected(stage: Stage, talk: Callable[[Connection], Awaitable[object]]) -> object:
    """Connects as the driver's phone does and talks: what that comes to."""
    kernel = stage.kernel
    one: Connection | None = None
    try:
        with kernel.timeout(3.0):
            one = await stage.world.air.connect(cached=True)
            return await talk(one)
    except Timeout:
        return "nobody answers"
    except LinkError as error:
        return str(error)
    finally:
        if one is not None:
            one.close()
            await kernel.sleep(0.1)


OK = "written; handshake True, command True"


def _link(heard: str, *, handshake: bool = False, command: bool = False) -> Look:
    return Look(link, OK, f"{heard}; handshake {handshake}, command {command}", LINK_S)


WHOLE = ("whole", "in time")
TALK = ((0, True), (0, True))

LOOKS: dict[str, Look] = {
    "bluetooth.radio_off": _link("radio is off"),
    "bluetooth.car_radio_off": _link("nobody answers"),
    "bluetooth.out_of_range": _link("nobody answers"),
    "bluetooth.weak_signal": Look(faded, WHOLE, ("whole", "late"), takes_s=12.0),
    "bluetooth.connect_fails": _link("connection failed to be established"),
    "bluetooth.lost_before_write": _link("link lost before the write", handshake=True),
    "bluetooth.lost_after_write": _link("link lost after the write", handshake=True, command=True),
    "bluetooth.link_lost": _link("lost while connecting"),
    "bluetooth.answer_lost": Look(dialogue, TALK, ((0, True), (0, False)), LINK_S),
    "bluetooth.write_failed_executed": _link("write failed", handshake=True, command=True),
    "bluetooth.bond_lost_phone": _link("not paired: the phone has lost its bond"),
    "bluetooth.bond_lost_car": _link("not paired: the car has lost its bond"),
    "bluetooth.wrong_key": _link("not paired: the keys of the two ends differ"),
    "bluetooth.slots_taken": _link("no connection slot is free"),
    "bluetooth.mtu_23": Look(longest_chunk, 182, SMALL_MTU - 3, LINK_S),
    "bluetooth.chunk_lost": Look(carried, WHOLE, ("nothing", "in time"), LINK_S),
    "bluetooth.chunk_late": Look(carried, WHOLE, ("whole", "late"), LINK_S),
    "bluetooth.chunk_duplicated": Look(carried, WHOLE, ("mangled", "in time"), LINK_S),
    "bluetooth.stack_stuck": _link("nobody answers"),
    "bluetooth.controller_reset": _link("nobody answers"),
    "bluetooth.address_rotates": Look(addresses, "kept", "changed", takes_s=8.5),
    "bluetooth.interference": Look(carried, WHOLE, ("whole", "late"), LINK_S),
    "bluetooth.pushes": Look(dialogue, TALK, ((2, True), (2, True)), LINK_S),
    "bluetooth.module_dead": Look(state_frames, (True, "connected"), (False, "nobody answers"), takes_s=5.7),
}


# -- faults at steps -------------------------------------------------------------------------------------


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def wish(*faults: Fault, session: str = "cold", want: str = "unlock", watch_s: float = 16.0) -> Stage:
    """One wish over Bluetooth at 1 s, with these faults."""
    intent = Intent("drive" if want == "drive" else "unlock", us(1), "bluetooth")
    carry = Carry(session="warm" if session == "warm" else "cold")
    stage = Stage(Scenario(carry=carry, timeline=(*faults, intent)))

    async def act() -> None:
        await stage.kernel.sleep((ORIGIN_US - stage.kernel.now) / 1e6 + watch_s)

    stage.play(act, story=True)
    return stage


def at(mode: str, step: str, nth: int = 1, for_s: float = 0.0) -> Fault:
    """A fault at a step of the wish, and until so long after the wish began."""
    return Fault(f"bluetooth.{mode}", us(1), us(1 + for_s) if for_s else us(1), step=f"bluetooth.{step}", nth=nth)


def commands(stage: Stage) -> list[int]:
    """When commands were handed to the DUT."""
    signed = {word(e, 2) for e in stage.of("sign", ORIGIN_US)}
    return [h.at_us for h in stage.hands(ORIGIN_US, "genuine") if h.digest in signed]


BLUETOOTH_STEPS = [s.partition(".")[2] for s in STEPS if s.startswith("bluetooth.")]


@pytest.mark.parametrize("step", BLUETOOTH_STEPS)
def test_every_step_is_reached_once_or_more_and_a_link_lost_there_takes_effect_there(step: str) -> None:
    """What reached the DUT before the link went, and what did not; later the wish comes true all the same."""
    stage = wish(Fault("bluetooth.link_lost", 0, us(9), (), f"bluetooth.{step}"))
    begun = [e[0] for e in stage.of("fault") if number(e, 4)]
    assert len(begun) == 1
    signed = stage.of("sign", ORIGIN_US)
    before = [t for t in commands(stage) if t <= begun[0]]
    moved = stage.of("motor", ORIGIN_US)
    if step in ("connect", "discover", "subscribe", "handshake_request", "handshake_answer"):
        assert signed == []
        assert not before
    elif step in ("command_write", "command_chunk"):
        assert len(signed) == 1
        assert not before
    else:
        assert len(before) == 1
    assert bool(moved) == (step in ("acknowledgement", "command_answer", "status_push"))
    # The driver is told the truth: nothing was sent, or what came of it is not known.
    told = [what for _, what, _ in stage.told()]
    assert told == ["refused" if not signed else "unknown"]


def test_a_link_lost_at_the_second_chunk_leaves_half_a_command() -> None:
    """Nothing is handed on; the next try, on a new connection, is not hurt by the half."""
    stage = wish(Fault("bluetooth.link_lost", 0, us(2.0), (), "bluetooth.command_chunk", 2))
    signed = [word(e, 2) for e in stage.of("sign", ORIGIN_US)]
    handed = [h.digest for h in stage.hands(ORIGIN_US)]
    assert len(signed) == 2
    assert signed[0] not in handed and signed[1] in handed
    assert [what for _, what, _ in stage.told()] == ["opened"]


def test_a_fault_at_a_step_that_is_over_at_once_costs_one_link() -> None:
    for step in ("connect", "discover", "subscribe", "handshake_request", "command_write"):
        stage = wish(Fault("bluetooth.link_lost", us(1), us(1), (), f"bluetooth.{step}"))
        assert [what for _, what, _ in stage.told()] == ["opened"], step


def test_an_answer_that_was_lost_means_executed_and_not_known_and_the_next_command_is_answered() -> None:
    stage = wish(Fault("bluetooth.answer_lost", 0, us(2.5), (), "bluetooth.command_answer"))
    first_told = stage.told()[0]
    assert first_told[1] == "opened"
    moved = min(e[0] for e in stage.of("motor", ORIGIN_US))
    assert len(commands(stage)) == 2
    assert commands(stage)[0] < moved < commands(stage)[1] < first_told[0]


def test_a_write_that_is_reported_failed_is_executed_all_the_same() -> None:
    stage = wish(Fault("bluetooth.write_failed_executed", 0, None), session="warm")
    assert [what for _, what, _ in stage.told()] == ["unknown"]
    assert stage.of("motor", ORIGIN_US)
    assert len(commands(stage)) > 2


def test_slots_that_a_foreign_central_takes_are_told_to_the_dut_and_freed_at_the_end() -> None:
    stage = Stage()
    kernel = stage.kernel

    async def act() -> None:
        mine = await stage.world.air.connect(cached=True)
        since = kernel.now
        release = CATALOGUE["bluetooth.slots_taken"].begin(stage.world, Fault("bluetooth.slots_taken", 0))
        await kernel.sleep(0.1)
        assert _signals(stage, since) == [0x81, 0x82]
        mine.close()
        await kernel.sleep(0.1)
        assert _signals(stage, since) == [0x81, 0x82, 0xC0, 0x80]
        release()
        await kernel.sleep(0.1)
        assert _signals(stage, since)[4:] == [0xC0, 0xC1, 0xC2]
        assert (await stage.world.air.connect(cached=True)).up

    stage.play(act)


def _signals(stage: Stage, since_us: int) -> list[int]:
    return [f.data[1] for f in stage.frames(since_us, 0x2B0) if f.data[0] == 1]


@pytest.mark.parametrize(
    ("mode", "during", "after"),
    [
        ("car_radio_off", [0xC0], []),
        ("controller_reset", [], [0xC0]),
        ("stack_stuck", [], [0xC0]),
        ("module_dead", [], [0xC0, 0xC1, 0xC2]),
    ],
)
def test_when_the_dut_learns_that_the_module_lost_its_connections(
    mode: str, during: list[int], after: list[int]
) -> None:
    """The host of the module tells what it knows when it can; a phone notices by its supervision time-out."""
    stage = Stage()
    kernel = stage.kernel

    async def act() -> None:
        mine = await stage.world.air.connect(cached=True)
        since = kernel.now
        release = CATALOGUE[f"bluetooth.{mode}"].begin(stage.world, Fault(f"bluetooth.{mode}", 0))
        await kernel.sleep(1.0)
        assert _signals(stage, since) == during
        assert mine.up == (mode == "stack_stuck")
        ended = kernel.now
        release()
        await kernel.sleep(1.0)
        assert _signals(stage, ended) == after
        assert not mine.up

    stage.play(act)


def test_a_dead_module_neither_sends_frames_nor_takes_any() -> None:
    """Not even flow control: the DUT's push is left alone."""
    stage = Stage()
    kernel = stage.kernel

    async def act() -> None:
        await stage.world.air.connect(cached=True)
        await kernel.sleep(0.1)
        since = kernel.now
        CATALOGUE["bluetooth.module_dead"].begin(stage.world, Fault("bluetooth.module_dead", 0))
        stage.world.reader.place(stage.world.card)
        await kernel.sleep(2.5)
        assert stage.of("motor", since)
        assert stage.frames(since, 0x2B8)
        assert [f for f in stage.frames(since) if f.sender == "module"] == []

    stage.play(act)


def test_no_idle_cycle_is_left_out_while_the_dut_has_yet_to_miss_a_dead_module() -> None:
    """Else what was skipped would count as frames that came."""
    stage = Stage(Scenario(timeline=(Fault("bluetooth.module_dead", us(5), us(20)), Intent("lock", us(40), "card"))))

    async def act() -> None:
        await stage.kernel.sleep(30.0)

    stage.play(act, story=True)
    edges = [e[0] for e in stage.of("fault")]
    assert len(edges) == 2
    skips = [e[0] for e in stage.of("skip", ORIGIN_US)]
    assert skips
    assert not [at for at in skips for edge in edges if edge <= at < edge + us(2)]


@pytest.mark.parametrize("session", ["cold", "warm"])
def test_a_small_mtu_and_pushes_cost_less_than_200_ms(session: str) -> None:
    """They must harm nobody (AVL-5)."""

    def opened(*faults: Fault) -> int:
        stage = wish(*faults, session=session, watch_s=6.0)
        return max(e[0] for e in stage.of("latch", ORIGIN_US))

    slow = (Fault("bluetooth.mtu_23", 0), Fault("bluetooth.pushes", 0), Fault("bluetooth.address_rotates", 0))
    assert 0 < opened(*slow) - opened() < 200_000


@pytest.mark.parametrize("ms", [100, 700])
def test_a_late_chunk_is_late_by_that_much(ms: int) -> None:
    stage = Stage()

    async def act() -> None:
        world = stage.world
        one = await world.air.connect(cached=True)
        CATALOGUE["bluetooth.chunk_late"].begin(world, Fault("bluetooth.chunk_late", 0, None, (("ms", ms),)))
        began = stage.kernel.now
        await one.write(bytes(300), Step.HANDSHAKE)
        # Each waits for the connection event that follows.
        assert stage.kernel.now - began == 2 * (ms // 30 + 1) * 30_000

    stage.play(act)


def test_a_signal_that_falls_below_what_can_be_heard_loses_the_link() -> None:
    stage = Stage()

    async def act() -> None:
        world = stage.world
        one = await world.air.connect(cached=True)
        world.air.radio.fade(stage.kernel.now, -100, 0)
        with pytest.raises(LinkError, match="no acknowledgement"):
            await one.write(b"nobody hears this", Step.HANDSHAKE)

    stage.play(act)


@pytest.mark.parametrize("want", ["unlock", "drive"])
def test_the_connection_that_authorised_driving_is_kept_for_20_s_and_no_other(want: str) -> None:
    stage = wish(want=want, watch_s=30.0)
    told = stage.told()[0]
    assert told[1] == ("opened" if want == "unlock" else "driving")
    closed = [e for e in stage.frames(told[0], 0x2B0) if e.data[1] == 0xC0]
    assert len(closed) == 1
    kept_us = closed[0].at_us - told[0]
    assert kept_us < 100_000 if want == "unlock" else 20_000_000 < kept_us < 20_100_000


def test_the_next_wish_closes_the_connection_that_was_kept() -> None:
    timeline = (Intent("drive", us(1), "bluetooth"), Intent("lock", us(6), "bluetooth"))
    stage = Stage(Scenario(timeline=timeline))

    async def act() -> None:
        await stage.kernel.sleep(20.0)

    stage.play(act, story=True)
    assert [what for _, what, _ in stage.told()] == ["driving", "locked"]
    closed = [f.at_us for f in stage.frames(ORIGIN_US, 0x2B0) if f.data[1] == 0xC0]
    assert ORIGIN_US + us(6) < closed[0] < ORIGIN_US + us(6.1)


def test_another_phone_is_not_touched_by_the_faults_of_the_drivers_radio() -> None:
    """But by those of the module it is."""
    for mode in (m for m in CATALOGUE.values() if m.domain == "bluetooth"):
        stage = Stage()
        of_module = mode.name.partition(".")[2] in (
            "car_radio_off", "slots_taken", "stack_stuck", "controller_reset", "module_dead",
        )  # fmt: skip

        async def act(stage: Stage = stage, name: str = mode.name, of_module: bool = of_module) -> None:
            now = stage.kernel.now
            CATALOGUE[name].begin(stage.world, Fault(name, 0))
            await stage.world.guest.pursue(0, Intent("unlock", 0, "bluetooth", "guest"), now, now + us(4))
            assert (stage.told()[0][1] == "refused") == of_module, name

        stage.play(act)
