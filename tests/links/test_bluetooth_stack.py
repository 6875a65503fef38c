"""The Bluetooth stack in virtual time: advertising, slots, pairing, MTU, write styles, pushes, and that it repeats."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")

from bumble import hci
from bumble.core import AdvertisingData
from bumble.snoop import Snooper

from hardware.bluetooth import profile
from hardware.bluetooth.air import BumbleAir, bumble_air
from hardware.bluetooth.bonds import Bonds, static_address
from hardware.bluetooth.central import Central, Refused
from hardware.bluetooth.controller import RigController
from hardware.bluetooth.profile import Style
from hardware.stack import emulated_stack
from hardware.vehicle import emulated_model
from rig.agreement import outcome_of
from rig.faults import CATALOGUE
from rig.model import healthy
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.world.btlink import SUPERVISION_US, LinkError
from rig.world.links import Links
from tests.links.bluestage import BlueStage
from tests.randomscenarios import scenario as random_scenario

ENABLE = "HCI_LE_SET_ADVERTISING_ENABLE_COMMAND"
WRITE_REQUEST, PREPARE_WRITE, WRITE_COMMAND, NOTIFICATION = 0x12, 0x16, 0x52, 0x1B
LONGEST_REQUEST = 119
"""A request for session info, framed."""


def test_the_name_is_in_the_scan_response_and_the_service_in_the_advertisement() -> None:
    async def story(stage: BlueStage) -> None:
        radio = stage.air.module.radio
        advertisement = radio.advertisement()
        first = AdvertisingData.from_bytes(advertisement.data)
        second = AdvertisingData.from_bytes(advertisement.scan_response)
        services = first.get(AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS)
        assert services == [profile.SERVICE]
        assert first.get(AdvertisingData.COMPLETE_LOCAL_NAME) is None
        name = second.get(AdvertisingData.COMPLETE_LOCAL_NAME)
        assert name == profile.local_name(stage.world.vin)
        assert len(name) == 18 and name[0] == "S" and name[-1] == "C"
        assert advertisement.address.is_resolvable

    BlueStage().play(story)


def test_three_connections_and_no_fourth_until_one_has_gone() -> None:
    async def story(stage: BlueStage) -> None:
        links = [await stage.connect()] + [await stage.connect(always=True) for _ in range(2)]
        assert sorted(link.handle for link in links) == [0, 1, 2]
        with pytest.raises(LinkError):
            await stage.connect(always=True)
        gone = links.pop(1)
        gone.close()
        await stage.kernel.sleep(0.2)
        again = await stage.connect(always=True)
        assert again.handle == gone.handle
        for link in (*links, again):
            assert await stage.talk(link)

    BlueStage().play(story)


class Commands(Snooper):
    """Names of the commands that a host sends."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def snoop(self, hci_packet: bytes, direction: Snooper.Direction) -> None:
        """A packet between host and controller."""
        packet = hci.HCI_Packet.from_bytes(hci_packet)
        if direction is Snooper.Direction.HOST_TO_CONTROLLER and isinstance(packet, hci.HCI_Command):
            self.names.append(packet.name)


def test_after_a_connection_the_module_only_switches_advertising_on_again() -> None:
    """What it advertises and how stays with its controller; a host of a new life says all of it anew."""

    async def story(stage: BlueStage) -> None:
        module = stage.air.module
        first = module.radio.advertisement()
        commands = Commands()
        stage.air.peripheral.device.host.snooper = commands
        for _ in range(2):
            await stage.connect(always=True)
            await stage.kernel.sleep(0.2)
            assert module.radio.advertises and module.radio.advertisement() == first
        assert [one for one in commands.names if "ADVERTISING" in one] == [ENABLE, ENABLE]
        off = CATALOGUE["bluetooth.controller_reset"].begin(stage.world, Fault("bluetooth.controller_reset", 0))
        await stage.kernel.sleep(0.5)
        off()
        await stage.kernel.sleep(3.0)
        again = module.radio.advertisement()
        assert (again.data, again.scan_response) == (first.data, first.scan_response)
        assert await stage.talk(await stage.connect())

    BlueStage().play(story)


def test_a_push_reaches_all_connections() -> None:
    async def story(stage: BlueStage) -> None:
        links = [await stage.connect()] + [await stage.connect(always=True) for _ in range(2)]
        stage.world.plant.set_latches("U")
        for link in links:
            assert await link.receive(2.0)

    BlueStage().play(story)


@pytest.mark.parametrize("most", [23, 24, 50, 185, 247, 512, 517])
@pytest.mark.parametrize("style", Style)
def test_messages_pass_both_ways_at_any_mtu_in_every_style(most: int, style: Style) -> None:
    async def story(stage: BlueStage) -> None:
        assert stage.air.peripheral is not None
        stage.air.peripheral.agree(most)
        link = await stage.connect()
        for _ in range(2):
            assert await stage.talk(link)

    stage = BlueStage(style=style, mtu=517).play(story)
    agreed = most
    fits = agreed - 3 >= LONGEST_REQUEST
    if style is Style.SHORT or (style is Style.CHUNKS and agreed == 23):
        used = WRITE_COMMAND  # at the smallest MTU phones wait for no acknowledgements, as at `model`
    else:
        used = WRITE_REQUEST if style is Style.CHUNKS or fits else PREPARE_WRITE
    longest = min(agreed, profile.SHORT_CHUNK + 3) if style is Style.SHORT else agreed
    assert max(len(pdu) // 2 for pdu in stage.pdus(used)) <= longest
    assert max(len(pdu) // 2 for pdu in stage.pdus(NOTIFICATION)) <= agreed
    others = {WRITE_REQUEST, PREPARE_WRITE, WRITE_COMMAND} - {used}
    # What else was written is the subscription.
    assert all(len(pdu) // 2 == 5 for pdu in stage.pdus(*others))


def test_a_phone_without_a_bond_pairs_and_is_bonded_from_then_on() -> None:
    """LE Secure Connections, Just Works; the second connection is encrypted with the key of the first."""

    async def story(stage: BlueStage) -> None:
        bridge, phone = stage.air.bridge, stage.air.own_phone(bonded=False)
        name = stage.air.name

        async def first() -> None:
            connection = await phone.central.connect(name)
            await phone.central.discover(connection)
            with pytest.raises(Refused):
                await phone.central.subscribe(connection, 185, lambda _data: None)
            await phone.central.pair(connection)
            assert connection.encryption and connection.sc
            assert await phone.central.subscribe(connection, 185, lambda _data: None) == 185
            await phone.central.disconnect(connection)

        async def second() -> None:
            connection = await phone.central.connect(name)
            assert await phone.central.subscribe(connection, 185, lambda _data: None) == 185
            assert connection.encryption
            await phone.central.disconnect(connection)

        await bridge.task(first(), "first")
        await stage.kernel.sleep(0.5)
        await bridge.task(second(), "second")

    BlueStage().play(story)


def test_a_vanished_link_is_missed_on_both_sides_after_the_supervision_time_out() -> None:
    async def story(stage: BlueStage) -> None:
        link = await stage.connect()
        began = stage.kernel.now
        stage.air.vanish(link)
        await link.over.wait()
        assert stage.kernel.now - began == SUPERVISION_US
        await stage.kernel.sleep(0.01)
        assert stage.air.module.links == {}

    BlueStage().play(story)


def test_a_private_address_that_changes_touches_neither_links_nor_new_connections() -> None:
    async def story(stage: BlueStage) -> None:
        link = await stage.connect()
        release = CATALOGUE["bluetooth.address_rotates"].begin(stage.world, Fault("bluetooth.address_rotates", 0))
        seen = {link.address}
        for _ in range(4):
            await stage.kernel.sleep(1.0)
            assert await stage.talk(link)
            link.close()
            await stage.kernel.sleep(0.1)
            link = await stage.connect(cached=True)
            seen.add(link.address)
        release()
        assert len(seen) == 5

    BlueStage().play(story)


def test_two_wishes_at_once_are_two_links() -> None:
    async def story(stage: BlueStage) -> None:
        one, two = await stage.connect(), await stage.connect()
        assert {one.handle, two.handle} == {0, 1}
        assert await stage.talk(one) and await stage.talk(two)

    BlueStage().play(story)


# -- that it repeats -------------------------------------------------------------------------------------


def pdu_hashes() -> list[str]:
    """SHA-256 of the PDUs of some runs: healthy ones, and random ones."""
    airs: list[BumbleAir] = []

    def links(loop: object) -> Links:
        make = bumble_air(loop)  # type: ignore[arg-type]

        def air(world: object) -> BumbleAir:
            one = make(world)  # type: ignore[arg-type]
            assert isinstance(one, BumbleAir)
            airs.append(one)
            return one

        return Links(air=air)  # type: ignore[arg-type]

    stack = emulated_stack(links)
    traces = [stack.run(healthy("bluetooth", "unlock", warm, 0)) for warm in (True, False)]
    traces += [stack.run(random_scenario(seed)) for seed in range(24)]
    for air, trace in zip(airs, traces, strict=True):
        assert [event[2:] for event in trace.of("pdus")] == [(air.ether.trace.count, air.ether.trace.sha256)]
        assert air.ether.trace.count
    return [f"{air.ether.trace.sha256} {trace.hash()}" for air, trace in zip(airs, traces, strict=True)]


def test_equal_seeds_give_equal_pdus_to_the_byte_in_other_processes_too() -> None:
    """Hash seeds and memory addresses differ there."""
    here = pdu_hashes()
    assert len(set(here)) == len(here)
    assert pdu_hashes() == here
    program = "from tests.links.test_bluetooth_stack import pdu_hashes; print(*pdu_hashes(), sep='\\n')"
    for hash_seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert told.stdout.split("\n")[:-1] == here


def test_another_seed_gives_other_addresses_and_keys() -> None:
    async def story(stage: BlueStage) -> None:
        link = await stage.connect()
        assert await stage.talk(link)

    hashes = {BlueStage(seed=seed).play(story).air.ether.trace.sha256 for seed in (1, 2)}
    assert len(hashes) == 2


def test_faults_of_the_drivers_phone_befall_a_host_outside_too() -> None:
    """Whoever uses a controller of the vehicle's air from outside: out of range, its link vanishes."""

    async def story(stage: BlueStage) -> None:
        rng = random.Random(5)
        radio = RigController("outside", stage.air.ether, static_address(rng), rng)
        radio.outside = True
        outside = Central.make("outside", radio.public_address, rng.randbytes(16), Bonds(), radio, radio)

        async def connects() -> bool:
            connection = await outside.connect(stage.air.name)
            await outside.discover(connection)
            await outside.pair(connection)
            await outside.subscribe(connection, 185, lambda _data: None)
            return outside.lives(connection)

        assert await stage.air.bridge.task(connects(), "outside")
        assert list(stage.air.module.links) == [0]
        release = CATALOGUE["bluetooth.out_of_range"].begin(stage.world, Fault("bluetooth.out_of_range", 0))
        await stage.kernel.sleep(1.0)
        assert not outside.device.connections and not stage.air.module.links
        release()
        assert await stage.air.bridge.task(connects(), "outside again")

    BlueStage().play(story)


def test_a_module_that_dies_while_it_begins_to_advertise_is_no_failure_of_the_rig() -> None:
    """Its host waits for an answer that its controller will never give; a new host comes with the new life."""
    dies = Fault("bluetooth.module_dead", 0, step="can.request_first")
    scenario = Scenario(carry=Carry(session="cold"), timeline=(dies, Intent("revoke", 0, "bluetooth")))
    stack = emulated_stack(lambda loop: Links(air=bumble_air(loop)))
    assert outcome_of(stack.judge(scenario)) == outcome_of(emulated_model().judge(scenario))
