"""The Bluetooth module and the air: slots, framing, signals, notifications, and how links are lost."""

from __future__ import annotations

import pytest

from rig.kernel import Timeout
from rig.protocol import vcp
from rig.world.bluetooth import MTU, SUPERVISION_US, Connection, LinkError, Step
from tests.world.stage import ScriptedVehicle, Stage

MESSAGE = bytes(range(200))
OPENED, CLOSED = 0x80, 0xC0


class Yard:
    """A module, the air, and a scripted vehicle on the bus."""

    def __init__(self) -> None:
        self.stage = Stage(ecu=False)
        self.vehicle = ScriptedVehicle(self.stage)
        self.air = self.stage.world.air
        self.module = self.air.module
        self.kernel = self.stage.kernel

    def received(self) -> list[tuple[int, bytes]]:
        """Handles and payloads that reached the vehicle on the Bluetooth channel."""
        return [(handle, raw) for _, channel, handle, raw in self.vehicle.messages if channel == "bluetooth"]

    def signals(self) -> list[int]:
        """One-byte payloads that reached the vehicle."""
        return [byte for _, byte in self.vehicle.signals]


# -- slots and signals -----------------------------------------------------------------------------------


def test_three_connections_and_not_one_more() -> None:
    yard = Yard()

    async def act() -> None:
        links = [await yard.air.connect(cached=True) for _ in range(3)]
        assert [link.handle for link in links] == [0, 1, 2]
        with pytest.raises(LinkError, match="no connection slot"):
            await yard.air.connect(cached=True)
        links[1].close()
        await yard.kernel.sleep(0.05)
        assert (await yard.air.connect(cached=True)).handle == 1
        await yard.kernel.sleep(0.05)

    yard.stage.play(act)
    assert yard.signals() == [OPENED | 0, OPENED | 1, OPENED | 2, CLOSED | 1, OPENED | 1]


def test_closing_twice_frees_one_slot_once() -> None:
    yard = Yard()

    async def act() -> None:
        link = await yard.air.connect(cached=True)
        link.close()
        link.close()
        await yard.kernel.sleep(0.1)
        again = await yard.air.connect(cached=True)
        await yard.kernel.sleep(1.0)
        assert again.up and again.handle == 0

    yard.stage.play(act)
    assert yard.signals() == [OPENED, CLOSED, OPENED]


def test_a_link_that_is_lost_and_closed_is_closed_once() -> None:
    """The module notices by its supervision time-out, and that must not close the new link on the next slot."""
    yard = Yard()

    async def act() -> None:
        link = await yard.air.connect(cached=True)
        release = yard.air.out_of_range.hold()
        await yard.kernel.sleep(0.2)
        link.close()
        release()
        await yard.kernel.sleep(0.05)
        again = await yard.air.connect(cached=True, always=True)
        await yard.kernel.sleep(2 * SUPERVISION_US / 1e6)
        assert again.up and again.handle == 1

    yard.stage.play(act)
    assert yard.signals() == [OPENED, OPENED | 1, CLOSED]


def test_a_phone_that_comes_back_before_the_module_missed_it_has_one_link() -> None:
    yard = Yard()

    async def act() -> None:
        link = await yard.air.connect(cached=True)
        other = await yard.air.connect(cached=True)
        release = yard.air.out_of_range.hold()
        link.close()
        release()
        again = await yard.air.connect(cached=True)
        assert (again.handle, again.radio) == (link.handle, link.radio) != (other.handle, other.radio)
        await yard.kernel.sleep(2 * SUPERVISION_US / 1e6)
        assert again.up

    yard.stage.play(act)
    assert yard.signals() == [OPENED, OPENED | 1, CLOSED, OPENED, CLOSED | 1]


def test_bluetooth_state_tells_how_many_are_connected() -> None:
    yard = Yard()
    codec = yard.stage.world.codecs["BluetoothState"]

    async def act() -> None:
        links: list[Connection] = []
        for expected in range(4):
            since = yard.kernel.now
            await yard.kernel.sleep(0.9)
            await yard.kernel.sleep(0.9)
            said = [codec.decode(f.data)["Connections"] for f in yard.stage.frames(since, codec.can_id)]
            assert said
            assert set(said) == {expected}
            if expected < 3:
                links.append(await yard.air.connect(cached=True))

    yard.stage.play(act)


# -- framing ---------------------------------------------------------------------------------------------


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize("size", [1, 2, 18, 20, MTU - 3, 244, 4096])
def test_any_chunking_gives_the_same_messages(size: int) -> None:
    yard = Yard()
    stream = framed(MESSAGE) + framed(b"") + framed(b"second") + framed(MESSAGE)

    async def act() -> None:
        handle = yard.module.opened()
        assert handle is not None
        for start in range(0, len(stream), size):
            yard.module.written(handle, stream[start : start + size])
        await yard.kernel.sleep(0.5)

    yard.stage.play(act)
    assert [raw for _, raw in yard.received() if raw] == [MESSAGE, b"second", MESSAGE]


@pytest.mark.parametrize(("gap_s", "arrives"), [(0.5, True), (1.0, True), (1.000_001, False), (5.0, False)])
def test_a_gap_of_more_than_1_s_drops_what_was_begun(gap_s: float, arrives: bool) -> None:
    yard = Yard()

    async def act() -> None:
        handle = yard.module.opened()
        assert handle is not None
        yard.module.written(handle, framed(MESSAGE)[:50])
        await yard.kernel.sleep(gap_s)
        if arrives:
            yard.module.written(handle, framed(MESSAGE)[50:])
        else:
            yard.module.written(handle, framed(b"a new one"))
        await yard.kernel.sleep(0.5)

    yard.stage.play(act)
    assert [raw for _, raw in yard.received()] == [MESSAGE if arrives else b"a new one"]


def test_the_gap_counts_from_the_last_chunk_not_from_the_first() -> None:
    yard = Yard()

    async def act() -> None:
        handle = yard.module.opened()
        assert handle is not None
        for start in range(0, len(framed(MESSAGE)), 50):
            yard.module.written(handle, framed(MESSAGE)[start : start + 50])
            await yard.kernel.sleep(0.9)

    yard.stage.play(act)
    assert [raw for _, raw in yard.received()] == [MESSAGE]


def test_what_a_connection_left_half_said_does_not_begin_the_next() -> None:
    yard = Yard()

    async def act() -> None:
        handle = yard.module.opened()
        assert handle is not None
        yard.module.written(handle, framed(MESSAGE)[:50])
        yard.module.closed(handle)
        again = yard.module.opened()
        assert again == handle
        yard.module.written(again, framed(b"fresh"))
        await yard.kernel.sleep(0.3)

    yard.stage.play(act)
    assert yard.received() == [(0, b"fresh")]


def test_connections_do_not_mix() -> None:
    yard = Yard()

    async def act() -> None:
        one, two = yard.module.opened(), yard.module.opened()
        assert one is not None and two is not None
        stream = framed(MESSAGE)
        for start in range(0, len(stream), 50):
            yard.module.written(one, stream[start : start + 50])
            yard.module.written(two, stream[start : start + 50])
        await yard.kernel.sleep(0.5)

    yard.stage.play(act)
    assert yard.received() == [(0, MESSAGE), (1, MESSAGE)]


@pytest.mark.parametrize("size", [1025, 4094, 4095, 0xFFFF])
def test_a_message_longer_than_1024_bytes_is_dropped_and_the_next_one_is_carried(size: int) -> None:
    """No client of the protocol sends one; a hostile one may."""
    yard = Yard()

    async def act() -> None:
        handle = yard.module.opened()
        assert handle is not None
        yard.module.written(handle, framed(bytes(size)))
        yard.module.written(handle, framed(b"next"))
        await yard.kernel.sleep(3.0)

    yard.stage.play(act)
    assert yard.received() == [(0, b"next")]


# -- what the vehicle says -------------------------------------------------------------------------------


async def heard(link: Connection) -> bytes | None:
    try:
        return await link.receive(0.5)
    except Timeout:
        return None


def test_answers_go_to_their_connection_and_pushes_to_all() -> None:
    yard = Yard()

    async def act() -> None:
        links = [await yard.air.connect(cached=True) for _ in range(3)]
        yard.vehicle.say("bluetooth", 1, b"to the second")
        assert [await heard(link) for link in links] == [None, b"to the second", None]
        yard.vehicle.say("bluetooth", 0xFF, b"to all")
        assert [await heard(link) for link in links] == [b"to all"] * 3
        links[0].close()
        await yard.kernel.sleep(0.1)
        yard.vehicle.say("bluetooth", 0, b"to nobody")
        yard.vehicle.say("bluetooth", 0xFF, b"to two")
        assert [await heard(link) for link in links[1:]] == [b"to two"] * 2

    yard.stage.play(act)


def test_a_closed_link_can_neither_write_nor_hear() -> None:
    yard = Yard()

    async def act() -> None:
        link = await yard.air.connect(cached=True)
        link.close()
        with pytest.raises(LinkError):
            await link.write(b"late", Step.HANDSHAKE)
        with pytest.raises(LinkError):
            await link.receive(1.0)

    yard.stage.play(act)
    assert yard.received() == []


# -- times -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [True, False])
def test_connecting_costs_its_round_trips(cached: bool) -> None:
    """An advertisement every 100 ms, of which it takes two; 4 connection events with a cached database, 10 without."""
    yard = Yard()

    async def act() -> None:
        began = yard.kernel.now
        await yard.air.connect(cached=cached)
        took = yard.kernel.now - began
        events_us = (4 if cached else 10) * 30_000 + 2_500
        assert 100_000 + events_us < took <= 200_000 + events_us

    yard.stage.play(act)


def test_a_chunk_costs_a_connection_event_and_a_notified_one_a_quarter() -> None:
    yard = Yard()

    async def act() -> None:
        link = await yard.air.connect(cached=True)
        began = yard.kernel.now
        await link.write(bytes(2 * (MTU - 3)), Step.HANDSHAKE)
        assert yard.kernel.now - began == 3 * 30_000
        began = yard.kernel.now
        link.notify(bytes(3 * (MTU - 3) - 2))
        link.notify(b"beside it")
        link.notify(b"behind it")
        first = await link.receive(1.0)
        assert (len(first), yard.kernel.now - began) == (3 * (MTU - 3) - 2, 30_000)
        assert await link.receive(1.0) == b"beside it"
        assert yard.kernel.now - began == 30_000
        assert await link.receive(1.0) == b"behind it"
        assert yard.kernel.now - began == 60_000

    yard.stage.play(act)


def test_an_advertisement_is_answered_by_one_central() -> None:
    yard = Yard()

    async def act() -> None:
        met: list[int] = []

        async def connect() -> None:
            await yard.air.connect(cached=True)
            met.append(yard.kernel.now)

        tasks = [yard.kernel.spawn(connect(), name=f"phone {number}") for number in range(3)]
        for task in tasks:
            await task.join()
        assert [later - met[0] for later in met] == [0, 100_000, 200_000]

    yard.stage.play(act)


def test_nobody_is_notified_who_has_not_subscribed() -> None:
    yard = Yard()

    async def act() -> None:
        link = await yard.air.connect(cached=True)
        link.subscribed = False
        link.notify(b"for nobody")
        with pytest.raises(Timeout):
            await link.receive(1.0)

    yard.stage.play(act)


def test_a_phone_out_of_range_connects_when_it_is_back() -> None:
    yard = Yard()

    async def act() -> None:
        release = yard.air.out_of_range.hold()
        yard.kernel.after(4_000_000, release)
        began = yard.kernel.now
        await yard.air.connect(cached=True)
        assert 4_222_500 < yard.kernel.now - began <= 4_322_500

    yard.stage.play(act)


@pytest.mark.parametrize(
    ("off_us", "error", "signals"),
    [(120_000, "radio is off", []), (215_000, "lost while connecting", [OPENED, CLOSED])],
)
def test_radio_off_while_connecting_loses_the_link(off_us: int, error: str, signals: list[int]) -> None:
    """A phone that has asked for a connection already leaves the module with one that it misses later."""
    yard = Yard()

    async def act() -> None:
        yard.kernel.after(off_us, yard.air.radio_off.hold)
        with pytest.raises(LinkError, match=error):
            await yard.air.connect(cached=True)
        await yard.kernel.sleep(1.0)

    yard.stage.play(act)
    assert yard.signals() == signals


def test_another_central_is_not_touched_by_the_faults_of_the_drivers_phone() -> None:
    yard = Yard()

    async def act() -> None:
        for gate in (yard.air.radio_off, yard.air.out_of_range):
            gate.hold()
        link = await yard.air.connect(cached=True, always=True)
        message = vcp.unsigned_command(vcp.UNLOCK, b"r" * 16, b"u" * 16)
        await link.write(message, Step.HANDSHAKE)
        await yard.kernel.sleep(0.2)
        assert link.up
        assert yard.received() == [(0, message)]

    yard.stage.play(act)
