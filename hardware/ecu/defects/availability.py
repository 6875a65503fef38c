"""Defects that keep a driver out: paths that lean on what they do not need, limits, and things that stay broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hardware.ecu.actions import Actions, Done, Permit
from hardware.ecu.admission import Admission
from hardware.ecu.build import Build
from hardware.ecu.channels import Channel
from hardware.ecu.config import CLOUD_REQUEST, CREDENTIALS, SECOND_US, Reason, Source
from hardware.ecu.connections import MOST, Connection, Connections
from hardware.ecu.core import Core
from hardware.ecu.cpu import CAN, UART, WIRE, Cpu, Item
from hardware.ecu.freshness import Freshness
from hardware.ecu.memory import KeyRecord
from hardware.ecu.report import Report
from hardware.ecu.restbus import FRESH_US, Speed
from hardware.ecu.status import Status
from hardware.ecu.supply import Supply
from rig.protocol import vcp
from rig.protocol.keycard import Refusal
from rig.protocol.vcp import Fault


def no(source: Source) -> Reason:
    """A refusal that fits who asked."""
    return Refusal.CARD_UNKNOWN if source is Source.CARD else Fault.INTERNAL


class Shut(Admission):
    """Refuses every credential; other defects put it in the healthy one's place for a while."""

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        return no(source) if source in CREDENTIALS else super().refuses(source, opens)


class OnlineCheck(Admission):
    """Asks for the server before it honours a key."""

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        if source in CREDENTIALS and self.core.slow_frames.online is False:
            return no(source)
        return super().refuses(source, opens)


class BusOffBlocksCard(Admission):
    """Takes a lost bus for a reason to refuse a card."""

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        if source is Source.CARD and self.core.bus_off:
            return no(source)
        return super().refuses(source, opens)


class RefusesAfterTwoResets(Admission):
    """Takes its third life for a sign of tampering."""

    def refuses(self, source: Source, opens: bool) -> Reason | None:
        if source in CREDENTIALS and self.core.store.image.boot_count > 2:
            return no(source)
        return super().refuses(source, opens)


class BlockingReport(Report):
    """Serves nothing but the cloud channel until the server took the report, for up to 8 s."""

    WAIT_US = 8_000_000

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._waiting = False
        self._held: list[tuple[Callable[[Item], None], Item]] = []
        self._timer_wait = core.timers.timer(self.taken)
        for source in (CAN, UART, WIRE):
            self._hold_back(source)

    def _hold_back(self, source: int) -> None:
        cpu = self.core.cpu

        def handler(item: Item) -> None:
            if self._waiting and not (isinstance(item, tuple) and item[0] == CLOUD_REQUEST):
                self._held.append((healthy, item))
            else:
                healthy(item)

        healthy = cpu.connect(source, handler)

    def send(self, message: bytes) -> None:
        super().send(message)
        self._waiting = True
        self.core.timers.set(self._timer_wait, self.core.cpu.now + self.WAIT_US)

    def taken(self) -> None:
        self._waiting = False
        self.core.timers.cancel(self._timer_wait)
        held, self._held = self._held, []
        for handler, item in held:
            handler(item)


class FloodStarves(Cpu):
    """Takes 300 µs for a frame, and looks at nothing else while there is one."""

    FRAME_US = (300, 40, 40)

    def _choose(self, timer_due: bool) -> int:
        return CAN if self._queues[CAN] else super()._choose(timer_due)


class SlowAfterFlood(Cpu):
    """Stores the log frames that it saw, and is slow on the serial line for 30 s meanwhile."""

    SLOW_US = (40, 90_000, 40)
    LASTS_US = 30 * SECOND_US
    _until = 0

    def input(self, source: int, now_us: int, item: Item) -> None:
        if source == CAN and isinstance(item, tuple) and 0x500 <= item[0] <= 0x50F:
            self._until = now_us + self.LASTS_US
        self._cost = self.SLOW_US if now_us < self._until else self.FRAME_US
        super().input(source, now_us, item)

    def flood(self, now_us: int, period_us: int | None) -> None:
        super().flood(now_us, period_us)
        self._until = now_us + self.LASTS_US


class StrictNextCounter(Freshness):
    """Takes a gap in the counter for an attack."""

    def counter(self, key: KeyRecord, counter: int) -> Fault | None:
        return super().counter(key, counter) if counter == key.counter + 1 else Fault.INVALID_TOKEN_OR_COUNTER


class LockoutAll(Status):
    """Counts what looks hostile where refusals are noted, whoever sent it."""

    MOST = 5
    LASTS_US = 60 * SECOND_US
    HOSTILE = frozenset({Fault.INVALID_SIGNATURE, Refusal.CARD_UNKNOWN, Refusal.CARD_WRONG_ANSWER})

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._bad = 0
        self._healthy = core.admission
        self._over = core.timers.timer(self._end)

    def refused(self, fault: Reason) -> None:
        super().refused(fault)
        if fault in self.HOSTILE and self.core.admission is self._healthy:
            self._bad += 1
            if self._bad == self.MOST:
                self.core.admission = Shut(self.core)
                self.core.timers.set(self._over, self.core.cpu.now + self.LASTS_US)

    def _end(self) -> None:
        self._bad = 0
        self.core.admission = self._healthy


class UndervoltageLatches(Supply):
    """Once low, always low."""

    def changed(self, supply_mv: int) -> None:
        if not self.low:
            super().changed(supply_mv)


class HalfOpenSession(Connections):
    """Gives a session to whoever connects, and none of them up."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._given = 0
        self._without: set[int] = set()

    def opened(self, handle: int) -> Connection:
        if self._given == MOST:
            self._without.add(handle)
            return Connection(handle, self.core.cpu.now)
        self._given += 1
        return super().opened(handle)

    def closed(self, handle: int) -> None:
        pass

    def of(self, handle: int) -> Connection | None:
        return None if handle in self._without else super().of(handle)


class OneConnection(Connections):
    """Knows of one phone at a time."""

    def of(self, handle: int) -> Connection | None:
        return super().of(handle) if handle == 0 else None


class DeafAfterBusOff(Channel):
    """Has its controller back, but not its transport."""

    _deaf = False

    def reset(self) -> None:
        super().reset()
        self._deaf = True

    def frame(self, data: bytes) -> None:
        if not self._deaf:
            super().frame(data)


class BusyForever(Channel):
    """Thinks that the answer which nobody took is still on its way."""

    def __init__(self, core: Core, tx_id: int, rx_id: int, payload: Callable[[bytes], None]) -> None:
        super().__init__(core, tx_id, rx_id, self._received)
        self._healthy = payload
        self._stuck = False

    def _tick(self) -> None:
        endpoint = self._endpoint
        errors, only_sending = endpoint.errors, endpoint.sending and not endpoint.receiving
        super()._tick()
        if only_sending and endpoint.errors > errors:
            self._stuck = True

    def _received(self, payload: bytes) -> None:
        if not (self._stuck and vcp.is_command(payload[1:])):
            self._healthy(payload)
            return
        message = vcp.parse(payload[1:])
        routing = message.from_destination.routing_address
        answer = vcp.build_response(routing=routing, uuid=message.uuid, payload=None, fault=int(Fault.BUSY))
        self.send(payload[:1] + answer)


class StaleSpeed(Speed):
    """Believes the last speed until it hears of another."""

    def highest(self, now_us: int) -> int:
        fresh = [speed for speed, at in self._recent if at >= now_us - FRESH_US]
        return max(fresh) if fresh else self._last[0]


class LockIgnored(Actions):
    """Says yes to a lock command and does nothing."""

    def lock(self, source: Source, permit: Permit, done: Done) -> None:
        done(None)


class MuteWhenUnlocked(Actions):
    """Has nothing to do, and nothing to say."""

    def unlock(self, source: Source, permit: Permit, done: Done) -> None:
        if not self.core.locks.all_are("U"):
            super().unlock(source, permit, done)


ALL = (
    Build(
        "online_check",
        "honours no key while TelematicsState says offline",
        ("AVL-1", "AVL-2", "AVL-4"),
        lambda p: replace(p, admission=OnlineCheck),
    ),
    Build(
        "blocking_report",
        "waits up to 8 s for the server to take the report after each movement, before anything else",
        ("AVL-5",),
        lambda p: replace(p, report=BlockingReport),
    ),
    Build(
        "bus_off_blocks_card",
        "refuses cards while the CAN controller is off the bus",
        ("AVL-4",),
        lambda p: replace(p, admission=BusOffBlocksCard),
    ),
    Build(
        "strict_next_counter",
        "takes only the next counter: after one lost command a key is dead until the next reset",
        ("AVL-12",),
        lambda p: replace(p, freshness=StrictNextCounter),
    ),
    Build(
        "lockout_all",
        "honours no key at all for 60 s after five bad signatures or unknown cards",
        ("AVL-11",),
        lambda p: replace(p, status=LockoutAll),
    ),
    Build(
        "undervoltage_latches",
        "refuses everything after a low supply, until the next reset",
        ("AVL-8",),
        lambda p: replace(p, supply=UndervoltageLatches),
    ),
    Build(
        "flood_starves",
        "takes 300 µs for a CAN frame and empties CAN before it looks at anything else",
        ("AVL-5", "AVL-4"),
        lambda p: replace(p, cpu=FloodStarves),
    ),
    Build(
        "slow_after_flood",
        "needs 90 ms for each answer of the reader until 30 s after log frames",
        ("AVL-4", "AVL-5", "AVL-6"),
        lambda p: replace(p, cpu=SlowAfterFlood),
    ),
    Build(
        "half_open_session",
        "does not notice that Bluetooth connections close, and ignores the fourth",
        ("AVL-6",),
        lambda p: replace(p, connections=HalfOpenSession),
    ),
    Build(
        "one_connection",
        "hears only the first of several phones that are connected",
        ("AVL-2",),
        lambda p: replace(p, connections=OneConnection),
    ),
    Build(
        "deaf_after_bus_off",
        "takes no message any more after the CAN controller was off the bus",
        ("AVL-6",),
        lambda p: replace(p, channel=DeafAfterBusOff),
    ),
    Build("slow_boot", "needs 4 s until ready", ("AVL-8",), lambda p: replace(p, boot_us=4_000_000)),
    Build(
        "refuses_after_two_resets",
        "honours no key from its third life on",
        ("AVL-8",),
        lambda p: replace(p, admission=RefusesAfterTwoResets),
    ),
    Build(
        "busy_forever",
        "answers every command BUSY after an answer whose flow control timed out",
        ("AVL-12",),
        lambda p: replace(p, channel=BusyForever),
    ),
    Build(
        "mute_when_unlocked",
        "does not answer an unlock command when all doors are unlocked",
        ("AVL-12", "AVL-10"),
        lambda p: replace(p, actions=MuteWhenUnlocked),
    ),
    Build(
        "stale_speed",
        "goes on believing the last speed when no frame tells one any more",
        ("AVL-7",),
        lambda p: replace(p, speed=StaleSpeed),
    ),
    Build(
        "lock_ignored",
        "answers a lock command and does nothing",
        ("AVL-13",),
        lambda p: replace(p, actions=LockIgnored),
    ),
)
