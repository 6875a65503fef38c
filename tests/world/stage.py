"""A stage for tests of the rig's own actors: one world on simulated lines, with or without an ECU behind them.

What happens is told by the test as a coroutine that runs beside the world's own actors.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hardware.model import model_edges
from hardware.vehicle import body_codecs, rig_keys, rig_provision
from rig.kernel import Kernel
from rig.ports import Edges
from rig.protocol import vcp
from rig.scenario import Scenario
from rig.sim.canbus import SimBus
from rig.sim.textline import SimText, TextEnd
from rig.sim.uart import SimUart, UartEnd
from rig.trace import Event as TraceEvent
from rig.trace import Trace, number, octets, word
from rig.world.isotpport import IsoTpPort
from rig.world.world import World

UNTIL_S = 1000.0
LOCK_STATUS = 0x1A0
VEHICLE = vcp.Identity.from_seed(b"scripted vehicle")
EPOCH = bytes(range(16))


class BareEdges:
    """Simulated lines with nobody behind them (implements `rig.ports.Edges`)."""

    def __init__(self, kernel: Kernel, trace: Trace) -> None:
        self._bus = SimBus(kernel, on_frame=_log(trace))
        self.uart, self.io_line, self._console = SimUart(kernel), SimText(kernel), SimText(kernel)

    @property
    def bus(self) -> SimBus:
        return self._bus

    @property
    def reader(self) -> UartEnd:
        return self.uart.a

    @property
    def io(self) -> TextEnd:
        return self.io_line.a

    @property
    def console(self) -> TextEnd:
        return self._console.a

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({"can.bus_off", "can.flood", "power.reset", "power.dip"})

    def watch_memory(self, told: Callable[[], bool]) -> None:
        raise AssertionError("there is no memory here")

    def set_random_stuck(self, stuck: bool) -> None:
        raise AssertionError("there is no randomness here")

    def dut_quiet_until(self) -> int | None:
        return None

    def dut_idle_at(self, us: int) -> bool:
        return False

    def dut_skip(self, delta_us: int) -> None:
        raise AssertionError("nothing is skipped here")


def _log(trace: Trace) -> Callable[[int, int, bytes, str], None]:
    return lambda at, can_id, data, sender: trace.events.append((at, "can", can_id, data, sender))


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame on the bus."""

    at_us: int
    can_id: int
    data: bytes
    sender: str


@dataclass(frozen=True, slots=True)
class Hand:
    """A payload that a carrier began to send."""

    at_us: int
    channel: str
    digest: str
    origin: str


class Stage:
    """One world; `play` runs a test's own story in it."""

    def __init__(self, scenario: Scenario | None = None, *, ecu: bool = True, collapse: bool = True) -> None:
        self.kernel = Kernel()
        self.trace = Trace()
        self.scenario = scenario or Scenario()
        self.bare: BareEdges | None = None
        edges: Edges
        if ecu:
            edges = model_edges(
                self.kernel,
                defect=None,
                seed=self.scenario.seed,
                identities=rig_provision(),
                on_frame=_log(self.trace),
                collapse=collapse,
            )
        else:
            self.bare = edges = BareEdges(self.kernel, self.trace)
        self.world = World(self.kernel, edges, self.scenario, rig_keys(), body_codecs(), self.trace)

    def play(self, act: Callable[[], Coroutine[object, Any, None]], *, story: bool = False) -> None:
        """Runs a test's coroutine.

        Args:
            act: begins with everything started; without `story` the supply has been on for 3 s.
            story: the world's own story, with the scenario's timeline, runs beside it.
        """

        async def main() -> None:
            world = self.world
            if story:
                self.kernel.spawn(world.story(), name="story", keep=True)
            else:
                world.plant.set_latches("L")
                world.gateway.start()
                world.tcu.start()
                world.air.module.start()
                world.apply_supply()
                await self.kernel.sleep(3.0)
            await act()

        self.kernel.run(main(), until=UNTIL_S)
        assert self.kernel.notes == []

    # -- what the trace says -----------------------------------------------------------------------

    def of(self, kind: str, since_us: int = 0) -> list[TraceEvent]:
        """Events of one kind from an instant on."""
        return [e for e in self.trace.events if e[1] == kind and e[0] >= since_us]

    def frames(self, since_us: int = 0, can_id: int | None = None) -> list[Frame]:
        """Frames on the bus from an instant on."""
        found = [Frame(e[0], number(e, 2), octets(e, 3), word(e, 4)) for e in self.of("can", since_us)]
        return [f for f in found if can_id in (None, f.can_id)]

    def hands(self, since_us: int = 0, origin: str | None = None) -> list[Hand]:
        """Payloads that a carrier began to send to the DUT, from an instant on."""
        found = [Hand(e[0], word(e, 2), word(e, 3), word(e, 4)) for e in self.of("hand", since_us)]
        return [h for h in found if origin in (None, h.origin)]

    def told(self) -> list[tuple[int, str, str]]:
        """What the driver was told, when, and with which detail."""
        return [(e[0], word(e, 3), word(e, 4)) for e in self.of("told")]

    def values(self, kind: str, since_us: int = 0) -> list[tuple[object, ...]]:
        """Events of one kind without that, their times first."""
        return [(e[0], *e[2:]) for e in self.of(kind, since_us)]


@dataclass(slots=True)
class Command:
    """A signed command that reached the scripted vehicle."""

    at_us: int
    channel: str
    handle: int
    signed: vcp.Signed


@dataclass(slots=True)
class ScriptedVehicle:
    """Stands in for the ECU on the bus of a stage without one, and answers as the test says.

    Attributes:
        stage: without an ECU.
        reply: asked for each command: the messages to answer with, each after so many seconds.
        commands: those that came, in order.
        signals: one-byte payloads of the module, with their times.
        clock_s: whole seconds that session info tells.
        counter: that session info tells.
        handshakes: how many came; `deaf` ones are not answered.
    """

    stage: Stage
    reply: Callable[[Command], list[tuple[float, bytes]]] = lambda _command: []
    commands: list[Command] = field(default_factory=list)
    signals: list[tuple[int, int]] = field(default_factory=list)
    messages: list[tuple[int, str, int, bytes]] = field(default_factory=list)
    clock_s: int = 100
    counter: int = 0
    epoch: bytes = EPOCH
    handshakes: int = 0
    deaf: bool = False
    sealed: int = 0
    ports: dict[str, IsoTpPort] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.stage.bare is not None, "the scripted vehicle needs a stage without an ECU"
        bus = self.stage.bare.bus
        for channel, tx, rx in (("cloud", 0x2A8, 0x2A0), ("bluetooth", 0x2B8, 0x2B0)):
            self.ports[channel] = IsoTpPort(
                self.stage.kernel,
                bus,
                f"vehicle {channel}",
                tx,
                rx,
                lambda payload, c=channel: self._payload(c, payload),  # type: ignore[misc]
            )

    def say(self, channel: str, handle: int, message: bytes) -> None:
        """Sends one message."""
        self.ports[channel].send(bytes((handle,)) + message)

    def _payload(self, channel: str, payload: bytes) -> None:
        now = self.stage.kernel.now
        if len(payload) == 1:
            self.signals.append((now, payload[0]))
            return
        handle, raw = payload[0], payload[1:]
        self.messages.append((now, channel, handle, raw))
        try:
            message = vcp.parse(raw)
        except vcp.VcpError:
            return
        public = vcp.handshake_key(message)
        if public is not None:
            self.handshakes += 1
            if not self.deaf:
                info = self.session_info(public, message.from_destination.routing_address, message.uuid)
                self.say(channel, handle, info)
            return
        signed = vcp.signed(message)
        if signed is None:
            return
        command = Command(now, channel, handle, signed)
        self.commands.append(command)
        for after_s, answer in self.reply(command):
            self.stage.kernel.after(round(after_s * 1e6), self.say, channel, handle, answer)

    # -- messages it can say -----------------------------------------------------------------------

    def shared(self, public: bytes) -> bytes:
        """K with a client."""
        return vcp.shared_key(VEHICLE, public)

    def session_info(self, public: bytes, routing: bytes, uuid: bytes, fault: int = 0) -> bytes:
        """Authentic session info."""
        info = vcp.SessionInfo(self.counter, VEHICLE.public, self.epoch, self.clock_s)
        return vcp.build_session_info(
            self.shared(public),
            vin=self.stage.world.vin,
            info=info,
            routing=routing,
            uuid=uuid,
            fault=fault,
        )

    def resync(self, command: Command, fault: int) -> bytes:
        """A fault, with fresh session info."""
        return self.session_info(command.signed.public, command.signed.routing, command.signed.uuid, fault)

    def plain(self, command: Command, fault: int = 0) -> bytes:
        """A plain answer: success, or the fault alone."""
        return vcp.build_response(
            routing=command.signed.routing,
            uuid=command.signed.uuid,
            payload=None if fault else vcp.EXECUTED,
            fault=fault,
        )

    def seal(self, command: Command, *, counter: int | None = None, of_request: bytes | None = None) -> bytes:
        """A sealed success."""
        self.sealed += 1
        return vcp.build_response(
            routing=command.signed.routing,
            uuid=command.signed.uuid,
            seal=vcp.Seal(
                self.shared(command.signed.public),
                self.stage.world.vin,
                command.signed.request_hash if of_request is None else of_request,
                self.sealed if counter is None else counter,
                self.sealed.to_bytes(12, "big"),
            ),
        )
