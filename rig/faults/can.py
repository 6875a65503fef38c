"""The body CAN: controllers, frames, senders.

What befalls frames befalls those of the rig's own nodes, so any bench can make it. Frames of the restbus have modes
of their own: without them a standing vehicle opens as ever (AVL-7), without the channels it cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault
from rig.world.canline import ANSWERS, BLUETOOTH, CHANNELS, CLOUD, INTERIOR_SWITCH, RESTBUS, SENDERS, Tamper

if TYPE_CHECKING:
    from rig.world.world import World

FRAMES = Param("frames", "0 all of the rig, 1 cloud channel, 2 Bluetooth channel, 3 the DUT's answers", 0, 0, 3)
EVERY = Param("every", "frames", 1, 1, 20)
DELAY = Param("ms", "ms", 20, 1, 2000)
LATE = Param("ms", "ms", 20, 1, 500)
LENGTH = Param("bytes", "bytes", 7, 0, 7)
SENDER = Param("sender", "0 gateway, 1 telematics unit, 2 Bluetooth module", 0, 0, 2)
WHOSE = (RESTBUS | CHANNELS, CLOUD, BLUETOOTH, ANSWERS)


def _bus_off(world: World, _fault: Fault) -> Release:
    return world.bus_off.hold()


def _flood(world: World, _fault: Fault) -> Release:
    return world.flood.hold()


def _babble(world: World, _fault: Fault) -> Release:
    return world.babble.hold()


def _value(fault: Fault, param: Param | None) -> int:
    return fault.param(param.name, param.default) if param is not None else 0


def _frames(name: str, text: str, kind: str, param: Param | None = None) -> Mode:
    """Something befalls frames of the channels, of one direction or of all."""

    def begin(world: World, fault: Fault) -> Release:
        whose = fault.param("frames", FRAMES.default)
        start = world.rng(f"can {fault.start_us}").randrange(64)
        tamper = Tamper(kind, WHOSE[whose], fault.param("every", 1), _value(fault, param), start)
        return world.can.tamper(tamper, answers=WHOSE[whose] is ANSWERS)

    params = (FRAMES, EVERY) if param is None else (FRAMES, EVERY, param)
    return Mode(f"can.frames_{name}", text, frozenset({"can"}), begin, params, degrades=True)


def _restbus(name: str, text: str, kind: str, param: Param | None = None) -> Mode:
    """The same, of the restbus alone."""

    def begin(world: World, fault: Fault) -> Release:
        start = world.rng(f"restbus {fault.start_us}").randrange(64)
        tamper = Tamper(kind, RESTBUS, fault.param("every", 1), _value(fault, param), start)
        return world.can.tamper(tamper)

    params = (EVERY,) if param is None else (EVERY, param)
    return Mode(f"can.restbus_{name}", text, frozenset(), begin, params, restbus=True)


def _sender(name: str, text: str, kind: str) -> Mode:
    """Something is wrong with one sender of the restbus."""

    def begin(world: World, fault: Fault) -> Release:
        return world.can.tamper(Tamper(kind, SENDERS[fault.param("sender", SENDER.default)]))

    return Mode(f"can.{name}", text, frozenset(), begin, (SENDER,), restbus=True)


def _wake_lost(world: World, _fault: Fault) -> Release:
    return world.can.tamper(Tamper("wake", CHANNELS | {INTERIOR_SWITCH}))


MODES: tuple[Mode, ...] = (
    Mode(
        "can.bus_off",
        "the ECU's CAN controller is off the bus",
        frozenset({"can"}),
        _bus_off,
        capability="can.bus_off",
    ),
    Mode(
        "can.log_flood",
        "the telematics unit floods the bus with log frames 0x500..0x50F",
        frozenset(),
        _flood,
        capability="can.flood",
    ),
    _frames("dropped", "each so-and-so-manieth frame is lost", "drop"),
    _frames("duplicated", "each so-and-so-manieth frame comes twice", "double"),
    _frames("delayed", "each so-and-so-manieth frame comes late", "delay", DELAY),
    _frames("corrupted", "each so-and-so-manieth frame has a wrong bit", "corrupt"),
    _frames("wrong_dlc", "each so-and-so-manieth frame is too short", "cut", LENGTH),
    _restbus("dropped", "each so-and-so-manieth frame of the restbus is lost", "drop"),
    _restbus("duplicated", "each so-and-so-manieth frame of the restbus comes twice", "double"),
    _restbus("delayed", "each so-and-so-manieth frame of the restbus comes late", "delay", LATE),
    _restbus("corrupted", "each so-and-so-manieth frame of the restbus has a wrong bit", "corrupt"),
    _restbus("wrong_dlc", "each so-and-so-manieth frame of the restbus is too short", "cut", LENGTH),
    _sender("sender_silent", "a sender of the restbus falls silent: what it said grows stale", "drop"),
    _sender("counter_stuck", "a sender's alive counter stands still", "stick"),
    Mode(
        "can.babbling",
        "a node fills the bus with an identifier below all others: nobody else gets a frame through",
        frozenset({"can"}),
        _babble,
        capability="can.babble",
        restbus=True,
    ),
    Mode(
        "can.wake_lost",
        "the frame that should wake a sleeping ECU is lost, and repeated once after 150 ms",
        frozenset(),
        _wake_lost,
    ),
)
