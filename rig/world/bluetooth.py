"""Bluetooth between the phones and the car at `model` fidelity: connecting, and what can befall the driver's links.

There is no radio physics beyond `rig.world.radio`, no pairing and no controller; a link is in `rig.world.btlink`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.world.btlink import CONNECTION_EVENT_US, MTU, SMALL_MTU, SUPERVISION_US, Connection, LinkError, Step
from rig.world.btmodule import Module
from rig.world.gates import Gate
from rig.world.radio import Radio

if TYPE_CHECKING:
    from rig.world.world import World

__all__ = ["MTU", "SMALL_MTU", "SUPERVISION_US", "Air", "Connection", "LinkError", "Step"]

ADVERTISING_US = 100_000
"""Advertising interval of the module (Bluetooth Core, vol 6 part B 4.4.2.2 allows 20 ms .. 10 s)."""
CONNECT_EVENTS = 3
"""Connection indication, feature and version exchange until the first ATT request."""
FAIL_EVENTS = 6
"""A connection that is not answered for so many events has failed to be established (Core, vol 6 part B 4.5.2)."""
DISCOVERY_EVENTS = 5
"""Service (2), characteristics (2), descriptor (1); skipped with a cached database."""
SETUP_EVENTS = 2
"""MTU exchange and subscription."""
ADDRESS_LIFE_US = 900_000_000
"""A resolvable private address is renewed after 15 min (Core, vol 3 part C appendix A: T_GAP(private_addr_int))."""


class Air:
    """The Bluetooth links between phones and module, and what can happen to the driver's.

    Attributes:
        radio_off: the phone's is off, and it knows.
        out_of_range: phone and car do not hear each other.
        connect_fails: advertisements are heard, connections are not answered.
        link_lost: links are lost at once, and none holds.
        lost_before_write, lost_after_write: the link is lost when a command is written.
        answer_lost: answers to commands never come.
        write_failed: a command's write is reported as failed, though it was done.
        bond_lost_phone, bond_lost_car, wrong_key: why the car refuses the phone's subscription.
        small_mtu: the MTU exchange comes to no more than 23.
        chunk_lost, chunk_duplicated: held with every how many chunks one is.
        chunk_late: held with the ms that each chunk comes late.
        rotating: held with the seconds after which the module's private address changes.
        radio: how well phone and car hear each other.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.module: Module = self.make_module(world)
        self.radio: Radio = Radio(world.rng("air"))
        self.radio_off: Gate = Gate()
        self.out_of_range: Gate = Gate()
        self.connect_fails: Gate = Gate()
        self.link_lost: Gate = Gate()
        self.lost_before_write: Gate = Gate()
        self.lost_after_write: Gate = Gate()
        self.answer_lost: Gate = Gate()
        self.write_failed: Gate = Gate()
        self.bond_lost_phone: Gate = Gate()
        self.bond_lost_car: Gate = Gate()
        self.wrong_key: Gate = Gate()
        self.small_mtu: Gate = Gate()
        self.chunk_lost: Gate = Gate()
        self.chunk_late: Gate = Gate()
        self.chunk_duplicated: Gate = Gate()
        self.rotating: Gate = Gate()
        self._chunk = 0
        self._links: list[Connection] = []
        self.radio_off.watch(self._radio)
        self.out_of_range.watch(self._unheard)
        self.link_lost.watch(self._unheard)

    def make_module(self, world: World) -> Module:
        """The car's module; where links are not models, another."""
        return Module(world)

    def sign_off(self) -> None:
        """The run is about to end: what identifies its links goes into the trace; a model's are in it already."""

    def close(self) -> None:
        """The run is over; a model has nothing to put away."""

    # -- connecting --------------------------------------------------------------------------------

    async def connect(self, cached: bool, always: bool = False) -> Connection:
        """Scans, connects, discovers (unless `cached`) and subscribes.

        Args:
            cached: the central knows the attribute database from an earlier connection.
            always: for centrals that are not the driver's phone: its faults do not touch them.

        Raises:
            LinkError: radio off, lost while connecting, refused, or no slot free.
        """
        fails = not always and self._set_out()
        await self._scan(always)
        link = await self._establish(always, fails)
        try:
            if not cached:
                await self._stage(link, always, "bluetooth.discover", DISCOVERY_EVENTS)
            await self._stage(link, always, "bluetooth.subscribe", SETUP_EVENTS)
        except BaseException:
            link.close()
            raise
        return link

    def _set_out(self) -> bool:
        """The driver's phone begins to connect; whether a fault will have that fail.

        Raises:
            LinkError: its radio is off, or lost the link at this very step.
        """
        if self.radio_off:
            raise LinkError("radio is off")
        held = bool(self.link_lost)
        self.world.step("bluetooth.connect")
        if self.radio_off or (self.link_lost and not held):
            raise LinkError("lost while connecting")
        return bool(self.connect_fails)

    async def _scan(self, always: bool) -> None:
        """Until an advertisement is heard; the module's clock is not the phone's."""
        kernel, module = self.world.kernel, self.module
        while True:
            for gate in (module.radio_off, module.resetting, module.dead):
                await gate.cleared(kernel)
            if not module.advertises:
                await module.stuck.cleared(kernel)
            if not always:
                await self.out_of_range.cleared(kernel)
            await kernel.sleep((ADVERTISING_US - kernel.now % ADVERTISING_US) / 1e6)
            if not module.advertises or (not always and self.out_of_range):
                continue
            if always or not self.radio.misses(kernel.now):
                return

    async def _establish(self, always: bool, fails: bool) -> Connection:
        kernel = self.world.kernel
        bad = self.radio.bad and not always
        if bad:
            # To find the module takes one advertisement, to connect another.
            await self._scan(always)
        if fails or (self.connect_fails and not always):
            await kernel.sleep(FAIL_EVENTS * CONNECTION_EVENT_US / 1e6)
            raise LinkError("connection failed to be established")
        self.module.approached()
        if bad:
            await self._first_packets()
        else:
            await kernel.sleep(CONNECT_EVENTS * CONNECTION_EVENT_US / 1e6)
        if not self.module.on_air or ((self.radio_off or self.out_of_range) and not always):
            raise LinkError("lost while connecting")
        handle = self.module.opened()
        if handle is None:
            raise LinkError("no connection slot is free")
        link = Connection(self, handle, drivers=not always)
        if not always:
            self._links.append(link)
        # What opening it has set off at this instant meets it too.
        if self.module.on_air:
            self.module.links[handle] = link
        else:
            link.fade()
        if not always and self.radio_off:
            self.phone_off()
        elif not always and (self.link_lost or self.out_of_range):
            self.vanish(link)
        return link

    async def _first_packets(self) -> None:
        """Of a bad signal: until one of the first packets is heard.

        Raises:
            LinkError: none was.
        """
        kernel = self.world.kernel
        for _ in range(FAIL_EVENTS):
            if not self.radio.misses(kernel.now):
                return
            await kernel.sleep(CONNECTION_EVENT_US / 1e6)
        raise LinkError("connection failed to be established")

    async def _stage(self, link: Connection, always: bool, step: str, events: int) -> None:
        """One exchange before the link can be used."""
        kernel = self.world.kernel
        if not always:
            self.world.step(step)
        refused, small = self._refusal(), bool(self.small_mtu)
        if self.radio.bad and not always:
            # Each packet has luck of its own. One event more: features and encryption have no time before it here.
            for _ in range(events + 1):
                await kernel.sleep((CONNECTION_EVENT_US + link.late_us()) / 1e6)
                if link.deaf:
                    break
        else:
            await kernel.sleep((events * CONNECTION_EVENT_US + link.late_us()) / 1e6)
        if link.deaf:
            await link.gone()
            raise LinkError("lost while connecting")
        await link.answered()
        if always or step != "bluetooth.subscribe":
            return
        refused = refused or self._refusal()
        if refused:
            if self.wrong_key:
                # Both ends drop a link whose first encrypted packet does not authenticate.
                self.module.closed(link.handle, link)
            raise LinkError(refused)
        if small or self.small_mtu:
            link.shrink()

    def _refusal(self) -> str:
        """Why the car refuses the driver's phone: a subscription needs an encrypted link."""
        if self.bond_lost_phone:
            return "not paired: the phone has lost its bond"
        if self.bond_lost_car:
            return "not paired: the car has lost its bond"
        return "not paired: the keys of the two ends differ" if self.wrong_key else ""

    # -- links that go -----------------------------------------------------------------------------

    async def lose(self, link: Connection) -> None:
        """The link vanishes, and its central is told when it notices."""
        self.vanish(link)
        await self.world.kernel.sleep(SUPERVISION_US / 1e6)

    def vanish(self, link: Connection) -> None:
        """Nothing passes from now on, and both sides notice after the supervision time-out."""
        if link.deaf:
            return
        link.deaf = True

        def gone() -> None:
            link.down()
            self.module.closed(link.handle, link)

        self.world.kernel.after(SUPERVISION_US, gone)

    def forget(self, link: Connection) -> None:
        """The central is done with a link."""
        if link in self._links:
            self._links.remove(link)

    def phone_off(self) -> None:
        """The phone has no radio any more: it knows at once, the module when it misses it."""
        for link in list(self._links):
            link.down()
            self.world.kernel.after(SUPERVISION_US, self.module.closed, link.handle, link)

    def phone_closes(self) -> None:
        """The phone closes its links, in order."""
        for link in list(self._links):
            link.close()

    def _radio(self, off: bool) -> None:
        if off:
            self.phone_off()

    def _unheard(self, lost: bool) -> None:
        if lost:
            for link in list(self._links):
                self.vanish(link)

    # -- chunks and addresses ----------------------------------------------------------------------

    @property
    def chunks_disturbed(self) -> bool:
        """Whether chunks may be lost, late or doubled."""
        return bool(self.chunk_lost or self.chunk_late or self.chunk_duplicated)

    def disturb(self, gate: Gate, every: int) -> Callable[[], None]:
        """Has the next chunk, and then one of each `every`, lost or doubled; the function returned ends it."""
        self._chunk = 0
        return gate.hold(every)

    def copies(self) -> int:
        """How often the chunk that is passed now arrives."""
        place, self._chunk = self._chunk, self._chunk + 1
        if self.chunk_lost and place % self.chunk_lost.value == 0:
            return 0
        return 2 if self.chunk_duplicated and place % self.chunk_duplicated.value == 0 else 1

    def address_turn(self) -> tuple[int, int]:
        """Which private address the module has now: a new one after each lifetime."""
        life_us = self.rotating.value * 1_000_000 or ADDRESS_LIFE_US
        return life_us, self.world.kernel.now // life_us
