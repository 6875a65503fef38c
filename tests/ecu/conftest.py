"""A car for the ECU's tests: the emulated ECU on simulated lines, and just enough of everybody else.

Actors here are hand-made on purpose, so that these tests do not lean on the rig's world.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hardware.dbc import body_dbc_text
from hardware.ecu.memory import MemoryPort
from hardware.model import ModelEdges, model_edges
from hardware.provision import EnrolledKey, Provision
from rig.kernel import Kernel
from rig.protocol import vcp
from rig.protocol.dbc import Codecs, load_codecs
from rig.protocol.e2e import Sender
from rig.protocol.isotp import Endpoint
from rig.protocol.keycard import CardKey
from rig.protocol.vcp import Identity
from rig.sim.card import Card
from rig.sim.plant import DriveEffect, Plant
from rig.sim.reader import Pn532Reader

OWNER, DRIVER, FM, SERVICE, MONITOR, GUEST = 2, 3, 4, 1, 5, 8
KEYS = {
    name: Identity.from_seed(name.encode())
    for name in ("owner", "driver", "fm", "service", "monitor", "guest", "disabled", "stranger")
}
CARD = CardKey.from_seed(b"card")
PROVISION = Provision(
    identity=Identity.from_seed(b"vehicle"),
    keys=(
        EnrolledKey(KEYS["owner"].public, OWNER),
        EnrolledKey(KEYS["driver"].public, DRIVER),
        EnrolledKey(KEYS["fm"].public, FM),
        EnrolledKey(KEYS["service"].public, SERVICE),
        EnrolledKey(KEYS["monitor"].public, MONITOR),
        EnrolledKey(KEYS["guest"].public, GUEST),
        EnrolledKey(KEYS["disabled"].public, DRIVER, enabled=False),
    ),
    cards=(CARD.public,),
)
READY_US = 1_000_000
CHANNELS = {"bluetooth": (0x2B0, 0x2B8), "cloud": (0x2A0, 0x2A8)}


class Port:
    """One end of an ISO-TP channel."""

    def __init__(self, car: Car, name: str) -> None:
        tx, rx = CHANNELS[name]
        self._kernel = car.kernel
        self._endpoint = Endpoint(tx, rx)
        self._tx = tx
        self._node = car.edges.bus.node(name, self._frame, frozenset({rx}))
        self.received: list[tuple[int, bytes]] = []

    def send(self, payload: bytes) -> None:
        self._endpoint.send(self._kernel.now, payload)
        self._drain()

    def _frame(self, _: int, data: bytes) -> None:
        payload = self._endpoint.receive(self._kernel.now, data)
        self._drain()
        if payload is not None:
            self.received.append((self._kernel.now, payload))

    def _drain(self) -> None:
        for frame in self._endpoint.out:
            self._node.send(self._tx, frame)
        self._endpoint.out.clear()


@dataclass
class Reply:
    """An answer: its fault, its opened payload, whether it was sealed, and session info if it had any."""

    at_us: int
    fault: int
    payload: bytes | None
    sealed: bool
    info: vcp.SessionInfo | None


@dataclass
class Session:
    """What a phone knows of the ECU."""

    epoch: bytes
    counter: int
    clock_s: int
    at_us: int


class Phone:
    """A key, on both channels; counts its own uuids."""

    def __init__(self, car: Car, key: Identity) -> None:
        self.car = car
        self.key = key
        self.session: Session | None = None
        self._number = 0
        self.last = b""

    def _name(self) -> bytes:
        self._number += 1
        return bytes([len(self.key.public) & 0xFF, self.key.public[1], self.key.public[2], self._number]) * 4

    async def handshake(self, channel: str = "bluetooth", handle: int = 0) -> vcp.SessionInfo:
        """Gets session info, checked."""
        uuid = self._name()
        port = self.car.port(channel)
        seen = len(port.received)
        port.send(bytes([handle]) + vcp.build_handshake(self.key, routing=uuid, uuid=uuid))
        await self.car.run(0.5)
        for _, payload in port.received[seen:]:
            message = vcp.parse(payload[1:])
            if message.request_uuid == uuid:
                info = vcp.read_session_info(self.key, PROVISION.vin, uuid, message)
                assert info is not None
                self.session = Session(info.epoch, info.counter, info.clock_s, self.car.kernel.now)
                return info
        raise AssertionError("no answer to the handshake")

    def build(self, action: int | None, channel: str = "bluetooth", **more: object) -> vcp.Command:
        """A command in the current session; `more` overrides what would be right."""
        session = self.session
        assert session is not None
        session.counter += 1
        uuid = self._name()
        clock = session.clock_s + (self.car.kernel.now - session.at_us) // 1_000_000
        values: dict[str, object] = {
            "vin": PROVISION.vin,
            "channel": channel,
            "epoch": session.epoch,
            "counter": session.counter,
            "expires_at": clock + 10,
            "routing": uuid,
            "uuid": uuid,
            "nonce": uuid[:12],
            "action": action,
            "vehicle_public": PROVISION.identity.public,
        }
        values.update(more)
        self.last = values["uuid"]  # type: ignore[assignment]
        return vcp.build_command(identity=self.key, **values)  # type: ignore[arg-type]

    async def send(
        self,
        action: int | None,
        channel: str = "bluetooth",
        wait_s: float = 1.0,
        handle: int = 0,
        **more: object,
    ) -> Reply | None:
        """Sends a command and gives its answer, if one came within `wait_s`."""
        return await self.deliver(self.build(action, channel, **more), channel, wait_s, handle)

    async def deliver(
        self, command: vcp.Command, channel: str = "bluetooth", wait_s: float = 1.0, handle: int = 0
    ) -> Reply | None:
        """Sends a message that was built before."""
        port = self.car.port(channel)
        seen = len(port.received)
        port.send(bytes([handle]) + command.message)
        await self.car.run(wait_s)
        uuid = vcp.parse(command.message).uuid
        for at_us, payload in port.received[seen:]:
            message = vcp.parse(payload[1:])
            if message.request_uuid != uuid:
                continue
            info = vcp.read_session_info(self.key, PROVISION.vin, uuid, message)
            answer = vcp.read_response(command.shared, PROVISION.vin, command.request_hash, message)
            return Reply(at_us, answer.fault, answer.payload, answer.sealed, info)
        return None


@dataclass
class Car:
    """The ECU and its surroundings; time passes only in `run`."""

    defect: str | None = None
    memory: MemoryPort | None = None
    seed: int = 1
    collapse: bool = True
    provision: Provision = PROVISION
    events: list[tuple[int, str, tuple[object, ...]]] = field(default_factory=list)
    frames: list[tuple[int, int, bytes, str]] = field(default_factory=list)
    console: list[tuple[int, str]] = field(default_factory=list)
    stuck: Callable[[str, str], bool] = lambda _door, _direction: False

    def __post_init__(self) -> None:
        self.kernel = Kernel()
        self.edges: ModelEdges = model_edges(
            self.kernel,
            defect=self.defect,
            seed=self.seed,
            identities=self.provision,
            on_frame=lambda *frame: self.frames.append(frame),
            collapse=self.collapse,
            memory=self.memory,
        )
        self.ecu = self.edges.dut.ecu
        self.codecs: Codecs = load_codecs(body_dbc_text(), "body.dbc")
        self.plant = Plant(
            self.kernel,
            self.edges.io,
            lambda kind, *rest: self.events.append((self.kernel.now, kind, rest)),
            lambda door, way: DriveEffect.STUCK if self.stuck(door, way) else DriveEffect.MOVES,
        )
        self.reader = Pn532Reader(self.kernel, self.edges.reader, random.Random(1))
        self.card = Card(CARD)
        self.edges.console.on_line(lambda line: self.console.append((self.kernel.now, line)))
        self._ports: dict[str, Port] = {}
        self._restbus = self.edges.bus.node("restbus", lambda *_: None, frozenset())
        self.senders: dict[str, Sender] = {}
        self.gateway: dict[str, int] | None = None

    def port(self, channel: str) -> Port:
        """The carrier's end of a channel."""
        if channel not in self._ports:
            self._ports[channel] = Port(self, channel)
        return self._ports[channel]

    def phone(self, name: str) -> Phone:
        """A phone with one of KEYS."""
        return Phone(self, KEYS[name])

    async def run(self, seconds: float) -> None:
        """Lets time pass."""
        await self.run_until(self.kernel.now + round(seconds * 1_000_000))

    async def run_until(self, us: int) -> None:
        """Lets time pass until then."""
        await self.kernel.sleep((us - self.kernel.now) / 1_000_000)

    def power(self, mv: int = 12_600) -> None:
        """Sets the supply."""
        self.plant.set_supply(mv)

    async def boot(self, latches: str = "L") -> Car:
        """Powers up and waits until it is ready."""
        self.plant.set_latches(latches)
        self.plant.set_supply(12_600)
        await self.run_until(READY_US)
        assert self.ecu.ready
        return self

    def restbus(self, name: str, **signals: int) -> None:
        """Sends one E2E-protected frame."""
        codec = self.codecs[name]
        sender = self.senders.setdefault(name, Sender(codec.can_id))
        self._restbus.send(codec.can_id, sender.protect(codec.encode(signals)))

    def raw(self, can_id: int, data: bytes) -> None:
        """Sends any frame."""
        self._restbus.send(can_id, data)

    @property
    def latches(self) -> str:
        """The four latches, FL FR RL RR."""
        return "".join(self.plant.latches.values())

    def pulses(self, since_us: int = 0, direction: str | None = None) -> list[tuple[int, str, str]]:
        """(time, door, direction) of every drive switched on."""
        return [
            (at, str(rest[0]), str(rest[1]))
            for at, kind, rest in self.events
            if kind == "motor" and rest[2] == 1 and at >= since_us and direction in (None, rest[1])
        ]

    def status(self) -> dict[str, int]:
        """The last LockStatus, decoded."""
        data = next(d for _, i, d, _ in reversed(self.frames) if i == 0x1A0)
        return self.codecs["LockStatus"].decode(data)

    def said(self, text: str) -> list[int]:
        """When the console said something that contains `text`."""
        return [at for at, line in self.console if text in line]

    async def tap(self, seconds: float = 1.5, card: Card | None = None) -> None:
        """Holds a card (the enrolled one) to the reader for a while, and takes it away again."""
        card = card or self.card
        self.reader.place(card)
        await self.run(seconds)
        self.reader.remove(card)


@pytest.fixture
def make_car() -> type[Car]:
    """Makes cars, for tests that need more than the healthy one."""
    return Car


@pytest.fixture
def car() -> Car:
    """A healthy car, not powered yet."""
    return Car()


LONGEST_S = 4000.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine as the main actor on the kernel of its car."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    one = arguments["car"]
    assert isinstance(one, Car)
    one.kernel.run(pyfuncitem.obj(**arguments), until=LONGEST_S)
    return True
