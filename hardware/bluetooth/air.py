"""Bluetooth between phones and module on Bumble, in the place of `rig.world.bluetooth.Air`.

The same interface and gates; what they hold shut is shut in the stack: at the air, a controller, a key store or a
GATT server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from bumble import hci, ll
from bumble.device import Connection as BumbleConnection
from bumble.transport.common import TransportLostError

from hardware.bluetooth import profile
from hardware.bluetooth.bonds import Bonds, private_address, static_address
from hardware.bluetooth.central import MTU as PHONE_MTU
from hardware.bluetooth.central import Central, Refused
from hardware.bluetooth.controller import RigConnection, RigController
from hardware.bluetooth.device import LinkGone
from hardware.bluetooth.ether import Ether
from hardware.bluetooth.link import BumbleLink
from hardware.bluetooth.module import BumbleModule
from hardware.bluetooth.peripheral import MTU as MOST_MTU
from hardware.bluetooth.peripheral import Peripheral
from hardware.bluetooth.phone import PhoneRadio
from hardware.bluetooth.radios import Radios
from hardware.bridge import Bridge
from rig.world.bluetooth import Air, Connection
from rig.world.btlink import CONNECTION_EVENT_US, SMALL_MTU, LinkError

if TYPE_CHECKING:
    from rig.world.world import World

T = TypeVar("T")
ENDED = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)


class BumbleAir(Air):
    """The Bluetooth links of one run.

    Attributes:
        ether: the simulated air.
        style: how phones write messages.
        mtu: what phones ask for.
        name: the module's.
    """

    def __init__(
        self,
        world: World,
        loop: asyncio.AbstractEventLoop,
        style: profile.Style = profile.Style.CHUNKS,
        radios: Radios | None = None,
        mtu: int = PHONE_MTU,
    ) -> None:
        """Makes the links of a world.

        Args:
            world: whose they are.
            loop: the running loop, in virtual or in real time.
            style: how phones write messages.
            radios: real ones, in the place of the simulated air.
            mtu: the ATT MTU that phones ask for, 23 to 517.
        """
        self.loop = loop
        self.mtu = mtu
        self._radios = radios
        self._tasks: set[asyncio.Task[Any]] = set()
        self.style = style
        self.bridge = Bridge(world.kernel, loop)
        self.ether = Ether(loop, self)
        self.name = profile.local_name(world.vin)
        rng = world.rng("bluetooth")
        self._irk = rng.randbytes(16)
        self._module_address = static_address(rng)
        self._module_bonds = Bonds()
        self._phones: list[PhoneRadio] = []
        self._rng = rng
        self._fails = False
        self._turned: tuple[tuple[int, int], hci.Address] | None = None
        super().__init__(world)
        self.small_mtu.watch(self._own_phones_mtu)
        for gate in (self.bond_lost_phone, self.bond_lost_car, self.wrong_key):
            gate.watch(self._bonds_change)

    def make_module(self, world: World) -> BumbleModule:
        """The car's module, on Bumble."""
        return BumbleModule(world, self)

    @property
    def _car(self) -> BumbleModule:
        assert isinstance(self.module, BumbleModule)
        return self.module

    @property
    def peripheral(self) -> Peripheral | None:
        """The module's Bluetooth host, while it has one."""
        return self._car.peripheral

    # -- between kernel and loop -------------------------------------------------------------------

    async def ask(self, work: Coroutine[Any, Any, T], what: str) -> T:
        """For actors: the result of something on the loop.

        Raises:
            LinkError: the link is gone, or the module refuses.
        """
        try:
            return await self.bridge.task(work, what)
        except (LinkGone, Refused, TransportLostError) as error:
            raise LinkError(str(error)) from None

    def spawn(self, work: Coroutine[Any, Any, object], what: str) -> None:
        """Runs something on the loop that nobody waits for; links that are gone do not matter to it."""
        task = self.loop.create_task(work, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_taken)

    def sign_off(self) -> None:
        """Logs how many PDUs there were, and their SHA-256: equal for equal runs in virtual time."""
        if self._radios is None:
            self.world.log("pdus", self.ether.trace.count, self.ether.trace.sha256)

    def close(self) -> None:
        """Ends what still runs on the loop; in real time it would go on after the run."""
        for task in list(self._tasks):
            task.cancel()
        for phone in self._phones:
            if phone.host is not None:
                phone.host.put_away()
        for controller in list(self.ether.controllers):
            controller.power_off()

    # -- the stacks --------------------------------------------------------------------------------

    def make_peripheral(self, module: BumbleModule, life: int) -> tuple[RigController | None, Peripheral]:
        """The module's controller (None: a real one) and host for one of its lives."""
        told = _Told(module)
        if self._radios is not None:
            tap = self._radios.module
            peripheral = Peripheral.make(
                self.world.vin, self._module_address, self._irk, self._module_bonds, tap, tap, told
            )
            peripheral.private = False
            return None, peripheral
        radio = RigController(f"module {life}", self.ether, self._module_address, self.world.rng(f"module {life}"))
        radio.private = self._private_address
        peripheral = Peripheral.make(
            self.world.vin, self._module_address, self._irk, self._module_bonds, radio, radio, told
        )
        return radio, peripheral

    def stick(self, radio: RigController | None, stuck: bool) -> None:
        """The module's controller accepts everything and does nothing, or works again."""
        if radio is not None:
            radio.stuck = stuck
        elif self._radios is not None:
            self._radios.module.stuck = stuck

    def _private_address(self) -> hci.Address:
        turn = self.address_turn()
        if self._turned is None or self._turned[0] != turn:
            self._turned = turn, private_address(self._irk, self.world.rng(f"address {turn}"))
        return self._turned[1]

    def own_phone(self, *, bonded: bool = True) -> PhoneRadio:
        """The radio of a phone of the user's own, which faults befall as they do the rig's.

        Args:
            bonded: it has been paired with the module before.
        """
        phone = self._make_phone(drivers=True, bonded=bonded)
        phone.own = True
        phone.switched_off = lambda: bool(self.radio_off)
        self._phones.append(phone)
        return phone

    def _phone(self, drivers: bool) -> PhoneRadio:
        """A radio of the driver's phone, or of another, that has no link.

        Two wishes at once have a link each, as at `model`, and so a radio each.
        """
        for phone in self._phones:
            if (phone.drivers == drivers or self._radios is not None) and not phone.busy:
                return phone
        if self._radios is not None and self._phones:
            raise LinkError("the bench has one radio for phones, and it is in use")
        phone = self._make_phone(drivers)
        self._phones.append(phone)
        return phone

    def _make_phone(self, drivers: bool, *, bonded: bool = True) -> PhoneRadio:
        number = sum(phone.drivers == drivers for phone in self._phones)
        name = f"{'phone' if drivers else 'other phone'} {number}"
        rng = self.world.rng(f"radio of {name}")
        address, irk, ltk = static_address(rng), rng.randbytes(16), rng.randbytes(16)
        bonds = Bonds()
        if bonded:
            bonds.add(self._module_address, ltk, self._irk)
            self._module_bonds.add(address, ltk, irk)
        radio: RigController | None = None
        if self._radios is not None:
            tap = self._radios.phone
            central = Central.make(name, address, irk, bonds, tap, tap)
        else:
            radio = RigController(name, self.ether, address, rng)
            radio.irks = (self._irk,)
            central = Central.make(name, address, irk, bonds, radio, radio)
        phone = PhoneRadio(central, radio, address, drivers)
        if drivers:
            self._spoil(phone)
        return phone

    # -- connecting --------------------------------------------------------------------------------

    async def connect(self, cached: bool, always: bool = False) -> Connection:
        """Scans, connects, discovers (unless `cached`), encrypts and subscribes.

        Args:
            cached: the central knows the attribute database from an earlier connection.
            always: for centrals that are not the driver's phone: its faults do not touch them.

        Raises:
            LinkError: radio off, lost while connecting, refused, or no slot free.
        """
        if not always:
            self._fails = self._set_out()
        phone = self._phone(not always)
        link = phone.link = BumbleLink(self, phone, drivers=not always)
        try:
            await self._reach(link, phone)
            await self._prepare(link, phone, cached, always)
        except BaseException:
            link.close()
            raise
        return link

    async def _reach(self, link: BumbleLink, phone: PhoneRadio) -> None:
        connection = await self.ask(phone.establish(self.name), "connect")
        link.connection = connection
        kernel = self.world.kernel
        if not phone.central.lives(connection):
            raise LinkError("lost while connecting")
        connection.on(BumbleConnection.EVENT_DISCONNECTION, lambda _reason: kernel.post(link.down))
        if link.of_driver:
            if self.radio_off:
                raise LinkError("lost while connecting")
            self._links.append(link)
            if self.link_lost:
                self.vanish(link)
        await self.ask(phone.central.greet(connection), "greet")

    async def _prepare(self, link: BumbleLink, phone: PhoneRadio, cached: bool, always: bool) -> None:
        connection = link.connection
        assert connection is not None
        central = phone.central
        if not cached:
            self._step("bluetooth.discover", link, always)
            await self.ask(central.discover(connection), "discover")
        elif central.database is None:
            # Known from an earlier life.
            peripheral = self._car.peripheral
            if peripheral is None:
                raise LinkError("lost while connecting")
            central.database = peripheral.database
        self._step("bluetooth.subscribe", link, always)
        mtu = SMALL_MTU if self.small_mtu and not always else self.mtu
        kernel = self.world.kernel

        def told(message: bytes) -> None:
            kernel.post(link.arrived, message)

        link.agreed(await self.ask(phone.subscribe(connection, mtu, told), "subscribe"))
        if not link.up:
            raise LinkError("lost while connecting")

    # -- links -------------------------------------------------------------------------------------

    def link_of(self, connection: BumbleConnection) -> BumbleLink | None:
        """The link of the phone that is at the other end of one of the module's connections."""
        for phone in self._phones:
            if phone.address == connection.peer_address:
                return phone.link
        return None

    def outsider(self, connection: BumbleConnection) -> BumbleLink:
        """A new link of a central that the rig does not play: the user's own phone, or nobody known."""
        for phone in self._phones:
            if phone.own and phone.address == connection.peer_address:
                phone.link = BumbleLink(self, phone, drivers=True)
                self._links.append(phone.link)
                if self.link_lost:
                    self.vanish(phone.link)
                return phone.link
        radio = self._radio_of(connection)
        if radio is None or not radio.outside:
            return BumbleLink(self, None, drivers=False)
        # Somebody's outside: a phone of the user's own too, whose host the rig cannot see.
        self._phones = [one for one in self._phones if one.host is not None or one.radio in self.ether.controllers]
        self._phones.append(PhoneRadio(None, radio, connection.peer_address, drivers=True, own=True))
        self._spoil(self._phones[-1])
        return self.outsider(connection)

    def _radio_of(self, connection: BumbleConnection) -> RigController | None:
        """The controller at the other end of one of the module's connections, if it is on the simulated air."""
        radio = self._car.radio
        end = radio.find_le_connection_by_handle(connection.handle) if radio is not None else None
        if isinstance(end, RigConnection) and end.channel is not None:
            return end.channel.central.rig
        return None

    def vanish(self, link: Connection) -> None:
        """Nothing passes from now on, and both sides notice after the supervision time-out."""
        if link.deaf:
            return
        link.deaf = True
        if isinstance(link, BumbleLink) and link.phone is not None:
            link.phone.vanish()

    def written(self, link: BumbleLink) -> None:
        """The module has a chunk of a command of the user's own phone."""
        if self.lost_after_write:
            self.vanish(link)

    def phone_off(self) -> None:
        """The phone has no radio any more: it knows at once, the module when it misses it."""
        for phone in self._phones:
            if phone.drivers:
                phone.off()
                if phone.radio is None and phone.host is not None:
                    self.spawn(phone.restart(), "phone's controller is reset")
        for link in list(self._links):
            link.down()

    def _own_phones_mtu(self, small: bool) -> None:
        """The rig's phone asks for a small MTU itself; of others', the module takes no more."""
        if self._car.peripheral is not None and any(phone.own for phone in self._phones):
            self._car.peripheral.agree(SMALL_MTU if small else MOST_MTU)

    # -- bonds -------------------------------------------------------------------------------------

    def _bonds_change(self, _changed: bool) -> None:
        for phone in self._phones:
            if phone.drivers:
                self._spoil(phone)

    def _spoil(self, phone: PhoneRadio) -> None:
        """Has both ends find the keys that faults leave them."""
        if phone.host is not None:
            _mark(phone.host.bonds.lost, str(self._module_address), bool(self.bond_lost_phone))
        _mark(self._module_bonds.lost, str(phone.address), bool(self.bond_lost_car))
        _mark(self._module_bonds.wrong, str(phone.address), bool(self.wrong_key))

    # -- the weather -------------------------------------------------------------------------------

    def _drivers(self, central: RigController) -> bool:
        return central.outside or any(phone.drivers and phone.radio is central for phone in self._phones)

    def hears(self, central: RigController) -> bool:
        """Whether a central hears an advertisement sent now."""
        if not self._drivers(central):
            return True
        if self.radio_off or self.out_of_range:
            return False
        return not self.radio.misses(self.world.kernel.now)

    def answers(self, central: RigController) -> bool:
        """Whether the module answers a connection indication."""
        return not (self._drivers(central) and (self._fails or self.connect_fails))

    def late_us(self, central: RigController) -> int | None:
        """What a bad signal adds to a connection event."""
        if not self._drivers(central) or not self.radio.bad:
            return 0
        return self.radio.late_us(self.world.kernel.now, CONNECTION_EVENT_US)

    # -- a foreign central -------------------------------------------------------------------------

    def seize(self, module: RigController) -> RigConnection:
        """A central that is nobody's takes a connection of the module's controller, at once."""
        rng = self._rng
        foreign = RigController("foreign", self.ether, static_address(rng), rng)
        foreign.random_address = foreign.public_address
        return self.ether.seize(foreign, module)

    def release(self, connection: RigConnection) -> None:
        """It leaves."""
        connection.send_ll_control_pdu(ll.TerminateInd(ENDED))
        connection.rig.le_connections.clear()


class _Told:
    """Passes on to the module what its centrals do."""

    def __init__(self, module: BumbleModule) -> None:
        self._module = module

    def opened(self, connection: BumbleConnection) -> None:
        self._module.came(connection)

    def closed(self, connection: BumbleConnection, _reason: int) -> None:
        self._module.went(connection)

    def written(self, connection: BumbleConnection, data: bytes) -> None:
        self._module.wrote(connection, data)


def _mark(marks: set[str], name: str, on: bool) -> None:
    if on:
        marks.add(name)
    else:
        marks.discard(name)


def _taken(task: asyncio.Task[Any]) -> None:
    """A link that is gone is no failure; anything else is."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, (LinkGone, Refused, TransportLostError)):
        raise error


def bumble_air(
    loop: asyncio.AbstractEventLoop,
    style: profile.Style = profile.Style.CHUNKS,
    radios: Radios | None = None,
    mtu: int = PHONE_MTU,
) -> Callable[[World], Air]:
    """Makes the Bluetooth links of worlds on a loop; see `BumbleAir`."""
    return lambda world: BumbleAir(world, loop, style, radios, mtu)
