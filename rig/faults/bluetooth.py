"""Bluetooth between phone and car, and the car's Bluetooth module.

What befalls the phone's radio touches the driver's phone alone; what befalls the module touches everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.bluetooth import Air
    from rig.world.gates import Gate
    from rig.world.world import World

FLOOR = Param("floor_dbm", "dBm", -95, -100, -60)
RAMP = Param("ramp_ms", "ms", 3000, 0, 60_000)
EVERY = Param("every", "chunks", 2, 1, 20)
CHUNK_LATE = Param("ms", "ms", 400, 0, 5000)
PACKET_LATE = Param("ms", "ms", 300, 1, 2000)
LIFE = Param("life_s", "s", 1, 1, 3600)
PUSHES = Param("count", "pushes", 2, 1, 2)

_BLUETOOTH = frozenset({"bluetooth"})


def _gate(
    name: str,
    text: str,
    gate: Callable[[Air], Gate],
    breaks: frozenset[str] = _BLUETOOTH,
    param: Param | None = None,
    *,
    degrades: bool = False,
    state: bool = False,
    restbus: bool = False,
) -> Mode:
    """A mode that holds one gate of the air or the module, with its parameter's value."""

    def begin(world: World, fault: Fault) -> Release:
        return gate(world.air).hold(fault.param(param.name, param.default) if param else 0)

    return Mode(
        f"bluetooth.{name}", text, breaks, begin, (param,) if param else (),
        degrades=degrades, state=state, restbus=restbus,
    )  # fmt: skip


def _weak(world: World, fault: Fault) -> Release:
    floor_dbm, ramp_ms = fault.param("floor_dbm", FLOOR.default), fault.param("ramp_ms", RAMP.default)
    return world.air.radio.fade(world.kernel.now, floor_dbm, ramp_ms * 1000)


def _lost(world: World, fault: Fault) -> Release:
    return world.air.disturb(world.air.chunk_lost, fault.param("every", EVERY.default))


def _duplicated(world: World, fault: Fault) -> Release:
    return world.air.disturb(world.air.chunk_duplicated, fault.param("every", EVERY.default))


MODES: tuple[Mode, ...] = (
    _gate("radio_off", "the phone's Bluetooth is switched off, and it knows", lambda a: a.radio_off),
    _gate("car_radio_off", "the module's radio is off: no advertisements, no links", lambda a: a.module.radio_off),
    _gate("out_of_range", "phone and car do not hear each other", lambda a: a.out_of_range),
    Mode(
        "bluetooth.weak_signal",
        "the signal falls to a floor: packets are repeated, links may be lost",
        _BLUETOOTH, _weak, (FLOOR, RAMP), degrades=True,
    ),
    _gate("connect_fails", "advertisements are heard, connections are not answered", lambda a: a.connect_fails),
    _gate(
        "lost_before_write", "the link is lost just before a command is written", lambda a: a.lost_before_write
    ),
    _gate(
        "lost_after_write", "the link is lost after a command was written, before its answer",
        lambda a: a.lost_after_write, degrades=True,
    ),
    _gate("link_lost", "the link is lost at once, and none holds", lambda a: a.link_lost),
    _gate(
        "answer_lost", "commands are executed, and the notification of their answer never comes",
        lambda a: a.answer_lost, degrades=True,
    ),
    _gate(
        "write_failed_executed", "a command's write is reported as failed, and yet it is executed",
        lambda a: a.write_failed, degrades=True,
    ),
    _gate("bond_lost_phone", "the phone has lost its bond with the car", lambda a: a.bond_lost_phone, state=True),
    _gate("bond_lost_car", "the car has lost its bond with the phone", lambda a: a.bond_lost_car, state=True),
    _gate("wrong_key", "phone and car have different link keys", lambda a: a.wrong_key, state=True),
    _gate("slots_taken", "a foreign central holds all three connections", lambda a: a.module.slots_taken),
    _gate("mtu_23", "the link carries no more than 20 bytes a packet", lambda a: a.small_mtu, frozenset()),
    Mode(
        "bluetooth.chunk_lost", "one of each so many chunks that the phone writes is lost",
        _BLUETOOTH, _lost, (EVERY,), degrades=True,
    ),
    _gate(
        "chunk_late", "each chunk that the phone writes comes late", lambda a: a.chunk_late, param=CHUNK_LATE,
        degrades=True,
    ),
    Mode(
        "bluetooth.chunk_duplicated", "one of each so many chunks that the phone writes comes twice",
        _BLUETOOTH, _duplicated, (EVERY,), degrades=True,
    ),
    _gate("stack_stuck", "the module's controller accepts everything and does nothing", lambda a: a.module.stuck),
    _gate(
        "controller_reset", "the module's controller is away: all links are gone; then it is back",
        lambda a: a.module.resetting,
    ),
    _gate(
        "address_rotates", "the module's private address changes again and again", lambda a: a.rotating,
        frozenset(), LIFE,
    ),
    _gate(
        "interference", "packets are repeated and come late, by up to so many ms", lambda a: a.radio.interference,
        param=PACKET_LATE, degrades=True,
    ),
    _gate(
        "pushes", "status pushes come between question and answer", lambda a: a.module.pushes, frozenset(), PUSHES
    ),
    _gate(
        "module_dead", "the Bluetooth module is dead: no frames, no radio", lambda a: a.module.dead,
        frozenset({"module"}), restbus=True,
    ),
)  # fmt: skip
