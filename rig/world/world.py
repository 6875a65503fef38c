"""The world around one DUT: builds every actor, plays one scenario, leaves a trace.

Runs on a kernel and plugs into the lines of a bench; knows nothing of the DUT behind them, nor whether time
is virtual or real.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from rig.faults import CATALOGUE
from rig.kernel import Event, Kernel, Timeout
from rig.ports import Edges
from rig.protocol.dbc import Codecs
from rig.protocol.keycard import CardKey
from rig.protocol.vcp import Identity
from rig.scenario import Fault, Scenario
from rig.sim.plant import PULSE_US, Plant
from rig.sim.reader import Card, Pn532Reader
from rig.sim.readerline import ReaderLine
from rig.trace import Field, Trace
from rig.world.attacker import WATCHED_US, Attacker
from rig.world.bluetooth import Air
from rig.world.canline import CanLine
from rig.world.closing import close
from rig.world.cuts import WriteCuts
from rig.world.digest import digest
from rig.world.driver import Driver
from rig.world.gates import Gate
from rig.world.gateway import Gateway
from rig.world.internet import Internet
from rig.world.links import MODELS, Links
from rig.world.phone import Phone
from rig.world.readerfaults import ReaderFaults
from rig.world.server import Server
from rig.world.tcu import Tcu
from rig.world.valet import Valet

NOMINAL_MV = 12_600
POWER_ON_US = 50_000
WARM_UP_US = 1_300_000
"""After power-on (at most 1.0 s until ready) the phone makes its session, if it is to have one."""
ORIGIN_US = 3_000_000
"""When the scenario's own time begins: everything up and settled."""
RELOCK_WATCH_US = 32_000_000
"""How long doors that stay unlocked are watched: 25 s for *opened*, 30 s + 1 s for the relock."""
PULSE_SLACK_US = 10_000
"""In real time both ends of a drive come with jitter; a drive that is shorter by so little still flips a latch."""
SKIP_FROM = 2
"""Skipping fewer periods than this costs more than it saves."""
STILL_US = 2_100_000
"""After what is cyclic has changed nothing is skipped for this long: two of the longest cycles."""
SETTLE_US = 600_000
"""Quiet time after the last event before a run is over."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Who is enrolled on the DUT, and the vehicle's name.

    Attributes:
        vin: the vehicle's name.
        phone: the driver's phone, an owner.
        valet: a second phone, a driver.
        card: the driver's card.
        guest: the guest's phone, a driver.
        guest_card: the guest's card, enrolled.
        more: other keys by what they are: keeper (a second owner), service, fm, monitor, disabled (a driver's, enrolled
            and disabled), and spare (not enrolled).
        foreign_card: a genuine card of another car, not enrolled.
    """

    vin: str
    phone: Identity
    valet: Identity
    card: CardKey
    guest: Identity = field(default_factory=lambda: Identity.from_seed(b"unlock-rig guest phone"))
    guest_card: CardKey = field(default_factory=lambda: CardKey.from_seed(b"unlock-rig guest card"))
    more: Mapping[str, Identity] = field(default_factory=dict)
    foreign_card: CardKey = field(default_factory=lambda: CardKey.from_seed(b"another car's card"))


@dataclass(frozen=True, slots=True)
class Watch:
    """How long outcomes are watched, in µs.

    Attributes:
        opened_us: a door counts as opened if it stays so for this long (25 s; at `wire` 5 s).
        relock_us: how long unlocked doors are watched for the relock; 0 to not wait for it.
        closing: at the end everything is healed, and every path is asked once more (AVL-6).
        note_steps: log every protocol step that is reached.
    """

    opened_us: int = 25_000_000
    relock_us: int = RELOCK_WATCH_US
    closing: bool = False
    note_steps: bool = False


@dataclass(slots=True, eq=False)
class _Armed:
    """A fault that waits for its step."""

    index: int
    fault: Fault
    origin: int
    left: int


class World:
    """All actors of one run; `story` plays the scenario."""

    def __init__(
        self,
        kernel: Kernel,
        edges: Edges,
        scenario: Scenario,
        keys: Keys,
        codecs: Codecs,
        trace: Trace,
        watch: Watch | None = None,
        links: Links = MODELS,
    ) -> None:
        self.kernel = kernel
        self.edges = edges
        self.scenario = scenario
        self.codecs = codecs
        self.vin = keys.vin
        self.trace = trace
        self.watch = watch or Watch()
        self._events = trace.events
        self._still_until_us = 0
        self.witnesses: list[Callable[[str, bytes], None]] = []
        """Told of every message that is handed to the DUT, before it is: channel and message."""
        self.can: CanLine = CanLine(kernel, edges.bus, self.unsettled)
        self.supply: Gate = Gate()
        self.bus_off: Gate = Gate()
        self.flood: Gate = Gate()
        self.babble: Gate = Gate()
        self.random_stuck: Gate = Gate()
        self.bus_off.watch(edges.bus.set_dut_bus_off)
        self.flood.watch(edges.bus.set_flood)
        self.babble.watch(self._babble)
        self.random_stuck.watch(edges.set_random_stuck)
        in_real_time = trace.fidelity == "wire"
        self.plant = Plant(
            kernel,
            edges.io,
            self._plant_event,
            pulse_us=PULSE_US - (PULSE_SLACK_US if in_real_time else 0),
        )
        self.ajar = {door: Gate() for door in self.plant.latches}
        for door, gate in self.ajar.items():
            gate.watch(partial(self.plant.set_ajar, door))
        self.reader_line = ReaderLine(kernel, edges.reader, self.unsettled)
        self.reader = Pn532Reader(kernel, self.reader_line, self.rng("reader"))
        self.card = Card(keys.card, on_auth=lambda *_: self.log("auth", "driver"))
        self.guest_card = Card(keys.guest_card, on_auth=lambda *_: self.log("auth", "guest"))
        self.foreign_card = Card(keys.foreign_card)
        self.reader_faults: ReaderFaults = ReaderFaults(self.reader, (self.card, self.guest_card), self.unsettled)
        edges.console.on_line(self.hear_console)
        self.attacker: Attacker = Attacker(self)
        self.internet: Internet = links.internet(self)
        self.server: Server = Server(self)
        self.tcu: Tcu = links.tcu(self)
        self.air: Air = links.air(self)
        self.gateway: Gateway = Gateway(self)
        self.phone: Phone = links.phone(self, keys.phone, "phone")
        self.guest: Phone = links.phone(self, keys.guest, "guest")
        self.valet: Valet = Valet(self, keys)
        self.driver: Driver = Driver(self)
        self.cuts: WriteCuts = WriteCuts(self)
        self._armed: dict[str, list[_Armed]] = {}
        self._lasting: list[tuple[int, Fault, Callable[[], None]]] = []
        self._busy = 0
        self._idle: Event[bool] | None = None
        self._settling: list[tuple[str, Event[bool]]] = []
        self._last_change_us = 0
        self._skippable = "idle.skip" in edges.capabilities
        self._varied = any(CATALOGUE[f.mode].condition for f in scenario.faults if f.mode in CATALOGUE)
        if self.watch.note_steps or any(fault.step for fault in scenario.faults):
            self.can.note_steps(self.step)
            self.reader.on_step = self.plant.on_step = self.step
            self.cuts.watch()

    # -- what actors share -------------------------------------------------------------------------

    def rng(self, name: str) -> random.Random:
        """A source of randomness of its own for each actor, from the scenario's seed."""
        return random.Random(f"{self.scenario.seed}/{name}")

    def log(self, kind: str, *fields: Field) -> None:
        """Adds one event to the trace."""
        self._events.append((self.kernel.now, kind, *fields))

    def handed(self, channel: str, message: bytes, origin: str) -> None:
        """A carrier begins to send `message` to the DUT."""
        for witness in self.witnesses:
            witness(channel, message)
        self._events.append((self.kernel.now, "hand", channel, digest(message), origin))

    async def plant_settles(self, state: str, until_us: int) -> bool:
        """Waits until all latches are in `state`; False if that is not so by `until_us`."""
        if self._all(state):
            return True
        settled: Event[bool] = Event(self.kernel, f"plant.{state}")
        waiting = (state, settled)
        self._settling.append(waiting)
        try:
            await settled.wait(max(0, until_us - self.kernel.now) / 1e6)
            return True
        except Timeout:
            return False
        finally:
            self._settling.remove(waiting)

    def step(self, name: str) -> None:
        """An actor is about to make a protocol step: faults placed there begin before it has any effect."""
        if self.watch.note_steps:
            self.log("step", name)
        waiting = self._armed.get(name)
        if not waiting:
            return
        for armed in list(waiting):
            armed.left -= 1
            if armed.left == 0:
                waiting.remove(armed)
                self._begin_fault(armed.index, armed.fault, armed.origin)

    def awaits(self, name: str) -> bool:
        """Whether it makes a difference that a protocol step is told."""
        return self.watch.note_steps or bool(self._armed.get(name))

    def unsettled(self) -> None:
        """What is cyclic changes: both sides must have noticed before idle cycles can be skipped."""
        self._still_until_us = self.kernel.now + STILL_US

    def _babble(self, on: bool) -> None:
        self.edges.bus.set_babble(on)
        self.unsettled()

    def outlast(self, us: int) -> None:
        """The run does not end within this time: something is still to come."""
        self._busy += 1
        self.kernel.after(us, self._done)

    def apply_supply(self) -> None:
        """Sets the supply at the DUT's pin to what faults leave of it: the lowest wins."""
        self.plant.set_supply(self.supply.lowest(NOMINAL_MV))

    def skip_idle(self, period_us: int) -> int:
        """If nothing at all but idle cycles happens for a while, skips whole periods; returns how many µs.

        Exact: after `period_us` the fast frames are where they were, but for their counters, which are advanced.
        Longer cycles keep their own grids and count how many of their turns fell into the gap; it does not end
        in the middle of one.
        """
        kernel = self.kernel
        now = kernel.now
        if not self._skippable or now < self._still_until_us or self._uneven:
            return 0
        work = kernel.next_work()
        if work is None or work - now < SKIP_FROM * period_us or not self.edges.bus.quiet or not self.reader.idle_field:
            return 0
        quiet = self.edges.dut_quiet_until()
        if quiet is None:
            return 0
        periods = (min(work, quiet) - now) // period_us
        while periods >= SKIP_FROM and not self.edges.dut_idle_at(now + periods * period_us):
            periods -= 1
        if periods < SKIP_FROM:
            return 0
        delta = periods * period_us
        kernel.shift_cyclic(delta)
        self.edges.dut_skip(delta)
        self.gateway.skip(delta)
        self.can.skip(delta)
        self.tcu.skip(delta)
        self.air.module.skip(delta)
        self._events.append((now, "skip", delta))
        return delta

    @property
    def _uneven(self) -> bool:
        """Whether a cycle that is left out would be missed: it is counted for a fault, or unlike the others."""
        if self._armed and any(step.startswith("serial.") and waiting for step, waiting in self._armed.items()):
            return True
        return self._varied and self.can.irregular

    # -- the story ---------------------------------------------------------------------------------

    async def story(self) -> None:
        """Plays the scenario from power-on to a quiet end."""
        kernel = self.kernel
        self.plant.set_latches("L" if self.scenario.doors == "locked" else "U")
        self.plant.set_supply(0)
        self.gateway.start()
        self.tcu.start()
        self.air.module.start()
        await kernel.sleep(POWER_ON_US / 1e6)
        self.apply_supply()
        if self.scenario.carry.session == "warm":
            await kernel.sleep((WARM_UP_US - kernel.now) / 1e6)
            await self.phone.warm_up(ORIGIN_US - 400_000)
        origin = ORIGIN_US + self.scenario.phase_us
        await kernel.sleep((origin - kernel.now) / 1e6)
        self.log("origin")
        self.trace.origin_us = origin
        self._schedule(origin)
        await self._until_done()
        await self._until_settled()
        while self._busy:
            # Something was held back meanwhile.
            await self._until_done()
            await self._until_settled()
        if self.watch.closing:
            await close(self)
            await kernel.sleep(SETTLE_US / 1e6)
        self.air.sign_off()
        self.log("end")

    def _schedule(self, origin: int) -> None:
        kernel = self.kernel
        for index, fault in enumerate(self.scenario.faults):
            begin = self._arm_fault if fault.step else self._begin_fault
            kernel.at(origin + fault.start_us, begin, index, fault, origin)
            self._busy += 1
        for index, attack in enumerate(self.scenario.attacks):
            self._busy += 1
            kernel.at(origin + attack.at_us, self._attack, index)
        for index, intent in enumerate(self.scenario.intents):
            self._busy += 1
            kernel.at(origin + intent.at_us, self._intend, index)

    def _arm_fault(self, index: int, fault: Fault, origin: int) -> None:
        armed = _Armed(index, fault, origin, fault.nth)
        waiting = self._armed.setdefault(fault.step, [])
        waiting.append(armed)
        if fault.end_us is None:
            self._done()
            return

        def expire() -> None:
            if armed in waiting:
                waiting.remove(armed)
                self._done()

        self.kernel.at(max(origin + fault.end_us, self.kernel.now), expire)

    def _begin_fault(self, index: int, fault: Fault, origin: int) -> None:
        self.log("fault", index, fault.mode, 1)
        release = CATALOGUE[fault.mode].begin(self, fault)
        if fault.end_us is None:
            self._lasting.append((index, fault, release))
            if not fault.step:
                self._done()
            return
        self.kernel.at(
            max(origin + fault.end_us, self.kernel.now), self._end_fault, index, fault.mode, release
        )

    def _end_fault(self, index: int, mode: str, release: Callable[[], None]) -> None:
        release()
        self.log("fault", index, mode, 0)
        self._done()

    def heal(self) -> float:
        """Ends every failure that would last, but not states; returns how many seconds clients may still hold back."""
        self._armed.clear()
        self.attacker.leave()
        waits_s = 0.0
        for index, fault, release in self._lasting:
            mode = CATALOGUE[fault.mode]
            if mode.state:
                continue
            release()
            self.log("fault", index, fault.mode, 0)
        for fault in self.scenario.faults:
            waits_s = max(waits_s, CATALOGUE[fault.mode].holds_back_s(fault))
        self._lasting.clear()
        return waits_s

    def _attack(self, index: int) -> None:
        self.attacker.move(index, self.scenario.attacks[index])
        self.kernel.after(WATCHED_US, self._done)

    def _intend(self, index: int) -> None:
        self.kernel.spawn(self._pursue(index), name=f"intent {index}", keep=True)

    async def _pursue(self, index: int) -> None:
        await self.driver.pursue(index, self.scenario.intents[index])
        self._done()

    def _done(self) -> None:
        self._busy -= 1
        if self._busy == 0 and self._idle is not None:
            self._idle.set(True)
            self._idle = None

    async def _until_done(self) -> None:
        if self._busy:
            self._idle = Event(self.kernel, "all intents, faults and attacks done")
            await self._idle.wait()

    async def _until_settled(self) -> None:
        """Waits out what verdicts still need: *opened* for its time, the relock, a quiet bus."""
        kernel = self.kernel
        await kernel.sleep(SETTLE_US / 1e6)
        while not self._all("L"):
            watch = self.watch.relock_us or self.watch.opened_us + SETTLE_US
            until = self._last_change_us + watch
            if kernel.now >= until or not self._last_change_us:
                # Watched long enough; or the doors stood open from the start, and nobody touched them.
                return
            if await self.plant_settles("L", until):
                await kernel.sleep(SETTLE_US / 1e6)
            await kernel.sleep(0.01)

    # -- what the plant tells ----------------------------------------------------------------------

    def _all(self, state: str) -> bool:
        return all(s == state for s in self.plant.latches.values())

    def hear_console(self, line: str) -> None:
        """The DUT's log: only its boot banner is told, `boot` and how often it has booted."""
        word, _, rest = line.partition(" ")
        if word == "boot":
            count = rest.partition(" ")[0]
            self.log("boot", int(count) if count.isdecimal() else 0)

    def _plant_event(self, kind: str, *fields: Field) -> None:
        now = self.kernel.now
        self._events.append((now, kind, *fields))
        if kind == "latch":
            self._last_change_us = now
            for state, settled in self._settling:
                if not settled.is_set and self._all(state):
                    settled.set(True)
        elif kind == "supply" and self._last_change_us:
            # Return to a working supply restarts the relock time.
            self._last_change_us = now
