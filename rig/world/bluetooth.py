"""Bluetooth between the phones and the car at `model` fidelity: connecting, and what can befall the driver's links.

There is no radio physics beyond `rig.world.radio`, no pairing and no controller; a link is in `rig.world.btlink`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.world.btlink import (
    ANSWERS_AFTER_US,
    CONNECTION_EVENT_US,
    MTU,
    SMALL_MTU,
    SUPERVISION_US,
    Connection,
    LinkError,
    Step,
)
from rig.world.btmodule import Module
from rig.world.gates import Gate
from rig.world.radio import Radio

if TYPE_CHECKING:
    from rig.world.world import World

__all__ = ["MTU", "SMALL_MTU", "SUPERVISION_US", "Air", "Connection", "LinkError", "Step"]

ADVERTISING_US = 100_000
"""Advertising interval of the module (Bluetooth Core, vol 6 part B 4.4.2.2 allows 20 ms .. 10 s)."""
FAIL_EVENTS = 6
"""A connection that is not answered for so many events has failed to be established (Core, vol 6 part B 4.5.2)."""
DISCOVERY_EVENTS = 6
"""Service (2), characteristics (3), descriptor (1); skipped with a cached database."""
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
        """The driver's phone's."""
        self._wanted: list[Connection] = []
        """Those, and those that it tries to make."""
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
        link = Connection(self, drivers=not always)
        if not always:
            link.radio = self._free_radio()
            self._wanted.append(link)
        try:
            # To find the module takes one advertisement, to connect another.
            await self._scan(link, always)
            await self._scan(link, always)
            await self._establish(link, always, fails)
            await link.begin()
            if not cached:
                self._step("bluetooth.discover", link, always)
                for _ in range(DISCOVERY_EVENTS):
                    await link.ask()
            await self._subscribe(link, always)
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

    async def _scan(self, link: Connection, always: bool) -> None:
        """Until an advertisement is heard; the module's clock is not the phone's.

        Raises:
            LinkError: the phone's radio is off before.
        """
        kernel, module = self.world.kernel, self.module
        while True:
            for gate in (module.radio_off, module.resetting, module.dead):
                await gate.cleared(kernel, link.over)
            if not module.advertises:
                await module.stuck.cleared(kernel, link.over)
            if not always:
                await self.out_of_range.cleared(kernel, link.over)
            await link.rest(ADVERTISING_US - kernel.now % ADVERTISING_US)
            if not link.up:
                raise LinkError("radio is off")
            if not module.advertises or (not always and self.out_of_range):
                continue
            if always or not self.radio.misses(kernel.now):
                return

    async def _establish(self, link: Connection, always: bool, fails: bool) -> None:
        kernel = self.world.kernel
        if fails or (self.connect_fails and not always):
            await link.rest(FAIL_EVENTS * CONNECTION_EVENT_US)
            raise LinkError("connection failed to be established")
        self.module.approached()
        # A central has its link from here on; the module, from the first event.
        link.indicated()
        if not always:
            self._links.append(link)
            if self.link_lost:
                self.vanish(link)
        await kernel.sleep(CONNECTION_EVENT_US / 1e6)
        await self._meet(link, always)

    def _free_radio(self) -> int:
        """Two wishes at once have a link each, of which the module must not think that it is the other."""
        taken = {link.radio for link in self._wanted}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    async def _meet(self, link: Connection, always: bool) -> None:
        """The first event of a link: the module gives it a slot.

        Raises:
            LinkError: there is none, or the link has failed already.
        """
        kernel, module = self.world.kernel, self.module
        there = module.on_air
        if not always:
            for stale in [one for one in module.links.values() if one.radio == link.radio]:
                # The same central has come back before the module missed it.
                module.closed(stale.handle, stale)
        handle = module.opened()
        if handle is not None:
            link.handle = handle
            # What opening it has set off at this instant meets it too.
            if module.on_air:
                module.links[handle] = link
            else:
                link.fade()
        elif there:
            await kernel.sleep(ANSWERS_AFTER_US / 1e6)
            raise LinkError("no connection slot is free")
        for number in range(FAIL_EVENTS):
            if number:
                await link.rest(CONNECTION_EVENT_US)
            if link.deaf:
                await link.over.wait()
                raise LinkError("lost while connecting")
            if there and (always or not (self.out_of_range or self.radio.misses(kernel.now))):
                return
        # So many packets of which none is heard end it at once.
        module.closed(link.handle, link)
        link.down()
        raise LinkError("connection failed to be established")

    async def _subscribe(self, link: Connection, always: bool) -> None:
        """Encrypts with the keys of the bond, agrees on the MTU, and subscribes, which needs an encrypted link.

        Raises:
            LinkError: the link is gone, or the two ends have no keys in common.
        """
        self._step("bluetooth.subscribe", link, always)
        small, bonded = bool(self.small_mtu), not self.bond_lost_phone
        if bonded or always:
            await link.event()
            refusal = "" if always else self._refusal()
            if refusal and not self.bond_lost_car and not self.module.stuck:
                # Both ends drop a link whose first encrypted packet does not authenticate.
                self.module.closed(link.handle, link)
            await link.answered()
            if refusal:
                raise LinkError(refusal)
        await link.ask()
        if small and not always:
            link.shrink()
        await link.ask()
        if not always and not bonded:
            raise LinkError("not paired: the phone has lost its bond")
        link.subscribed = True

    def _refusal(self) -> str:
        """Why the car refuses the keys of the driver's phone; empty if it does not."""
        if self.bond_lost_car:
            return "not paired: the car has lost its bond"
        return "not paired: the keys of the two ends differ" if self.wrong_key else ""

    def _step(self, name: str, link: Connection, always: bool) -> None:
        if not always:
            self.world.step(name)
        if not link.up:
            raise LinkError("lost while connecting")

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
            self.missed(link)

        self.world.kernel.after(SUPERVISION_US, gone)

    def missed(self, link: Connection) -> None:
        """The module knows that a link is gone."""
        self.module.closed(link.handle, link)

    def forget(self, link: Connection) -> None:
        """The central is done with a link."""
        for links in (self._links, self._wanted):
            if link in links:
                links.remove(link)

    def phone_off(self) -> None:
        """The phone has no radio any more: it knows at once, the module when it misses it."""
        for link in list(self._links):
            self.world.kernel.after(SUPERVISION_US, self.missed, link)
        for link in list(self._wanted):
            link.down()

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
