"""The serial line to the card reader, the reader, and cards that behave badly.

All of it happens at the rig's end of the line, so any bench can make it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault
from rig.sim.readerline import BOTH, FROM_DUT, TO_DUT, Trouble
from rig.world.repeating import repeat

if TYPE_CHECKING:
    from rig.world.world import World

WAY = Param("way", "0 both, 1 reader to ECU, 2 ECU to reader", BOTH, BOTH, FROM_DUT)
EVERY = Param("every", "bytes of a burst", 3, 1, 8)
BITS = Param("bits", "mask", 0x10, 1, 255)
LOST = Param("bytes", "bytes", 2, 1, 20)
STALL = Param("ms", "ms", 30, 5, 2000)
REBOOT = Param("every_ms", "ms", 400, 100, 2000)
SLOW = Param("ms", "ms", 200, 31, 200)
TOO_SLOW = Param("ms", "ms", 600, 201, 5000)
LINE, READER = frozenset({"serial"}), frozenset({"reader"})


def _line(name: str, text: str, kind: str, *params: Param, way: int = BOTH, degrades: bool = False) -> Mode:
    """A trouble on the line; its first parameter besides the direction is its value."""

    def begin(world: World, fault: Fault) -> Release:
        value = fault.param(params[0].name, params[0].default) if params else 0
        trouble = Trouble(kind, fault.param("way", way), value, fault.param("bits", BITS.default))
        return world.reader_line.trouble(trouble)

    known = (*params, WAY) if way == BOTH and kind != "cut" else params
    return Mode(f"serial.{name}", text, LINE, begin, known, degrades=degrades)


def _fails(name: str, text: str, how: str) -> Mode:
    def begin(world: World, _fault: Fault) -> Release:
        return world.reader_faults.fails(how)

    return Mode(f"serial.{name}", text, READER, begin)


def _reboots(world: World, fault: Fault) -> Release:
    def again() -> None:
        world.reader.reset()
        world.unsettled()

    return repeat(world.kernel, fault.param("every_ms", REBOOT.default) * 1000, again)


def _slow(world: World, fault: Fault) -> Release:
    return world.reader_faults.slow(fault.param("ms", SLOW.default))


def _too_slow(world: World, fault: Fault) -> Release:
    return world.reader_faults.slow(fault.param("ms", TOO_SLOW.default))


MODES: tuple[Mode, ...] = (
    _line("cut", "the line to the reader is cut", "cut"),
    _line("rx_cut", "what the reader sends does not arrive", "cut", way=TO_DUT),
    _line("tx_cut", "what the ECU sends does not reach the reader", "cut", way=FROM_DUT),
    _line("garbled", "some bits of each so-and-so-manieth byte are turned", "garble", EVERY, BITS, degrades=True),
    _line("truncated", "each burst loses its last bytes", "truncate", LOST, degrades=True),
    _line("stalled", "each burst stops half-way for a while", "stall", STALL, degrades=True),
    _line("duplicated", "each burst arrives twice", "double", degrades=True),
    _line("baud_wrong", "the reader's bit rate is another: nothing is understood", "baud"),
    _fails("reader_dead", "the reader has no power", "dead"),
    _fails("reader_nack", "the reader answers every command with NACK, which a PN532 never does", "nack"),
    _fails("reader_error_frames", "the reader answers every command with its error frame", "error"),
    Mode(
        "serial.reader_reboots",
        "the reader starts anew, again and again",
        READER,
        _reboots,
        (REBOOT,),
        degrades=True,
    ),
    Mode(
        "serial.card_torn",
        "cards leave the field half-way through an exchange",
        READER,
        lambda w, f: w.reader_faults.torn.hold(),
    ),
    Mode(
        "serial.card_two",
        "a second card is held to the reader with every other",
        READER,
        lambda w, f: w.reader_faults.two.hold(),
    ),
    Mode("serial.card_slow", "cards need up to 200 ms for their answer, which is healthy", frozenset(), _slow, (SLOW,)),
    Mode("serial.card_too_slow", "cards need longer for their answer", READER, _too_slow, (TOO_SLOW,), degrades=True),
)
