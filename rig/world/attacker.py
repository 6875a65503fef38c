"""The attacker: hears and writes everything the carriers carry, and never has key material of an enrolled key.

Each kind of move is one entry of `KINDS`; what the moves do is in `rig.world.intruder`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rig.faults.mode import Param
from rig.scenario import Attack, Scenario, ScenarioError
from rig.world.intruder import BETWEEN_US, CLOSE_US, FRAME_US, GARBAGE_US, WATCHED_US, Intruder
from rig.world.tapper import HELD_US

RELAY_MS = 300
LONGEST_MS = 3_600_000
DELAY = Param("delay_ms", "ms", 15_000, 0, LONGEST_MS)
COUNT = Param("count", "messages", 100, 1, 2_000)
BYTE = Param("byte", "place in the MAC", 0, 0, 31)
HELD = Param("ms", "ms", 10_000, 100, 120_000)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of move.

    Attributes:
        text: what it does, for people.
        channel: the path that it writes on or swallows messages of ("" for none): that path is broken meanwhile.
        move: makes it.
        params: what can be set.
        waits: it lies in wait for a command, until all is healed.
        lasts_us: how long it writes, from its parameters.
    """

    text: str
    channel: str
    move: Callable[[Attacker, int, Attack, str], str]
    params: tuple[Param, ...] = ()
    waits: bool = False
    lasts_us: Callable[[Attack], int] = lambda _attack: 0

    def value(self, attack: Attack, name: str) -> int:
        """A parameter's value in a move, or its default."""
        default = next((p.default for p in self.params if p.name == name), 0)
        return attack.param(name, default)


class Attacker(Intruder):
    """Makes the moves of a scenario."""

    def move(self, index: int, attack: Attack) -> None:
        """Makes one move of the scenario."""
        kind = KINDS[attack.kind]
        self._world.log("attack", index, attack.kind, kind.move(self, index, attack, kind.channel))

    def value(self, attack: Attack, name: str) -> int:
        return KINDS[attack.kind].value(attack, name)


def _each(gap_us: int) -> Callable[[Attack], int]:
    """How long a move that sends `count` messages so far apart lasts."""
    return lambda attack: KINDS[attack.kind].value(attack, "count") * gap_us


def _by_channel() -> dict[str, Kind]:
    """Kinds that there are on both channels."""
    out: dict[str, Kind] = {}
    for channel, name in (("bluetooth", "Bluetooth"), ("cloud", "the cloud channel")):
        out |= {
            f"replay_{channel}": Kind(f"sends all captured commands again over {name}", channel, Attacker.replay),
            f"hold_{channel}": Kind(
                f"holds the next command over {name} back and delivers it late", channel, Attacker.hold, (DELAY,), True
            ),
            f"relay_{channel}": Kind(
                f"carries the next command over {name} from afar; works by design, distance is not measured here",
                channel,
                Attacker.hold,
                (Param("delay_ms", "ms", RELAY_MS, 0, LONGEST_MS),),
                True,
            ),
            f"forge_unsigned_{channel}": Kind("unlock without signature", channel, Attacker.forge_unsigned),
            f"forge_tag_{channel}": Kind("unlock with a made-up MAC", channel, Attacker.forge_tag),
            f"forge_key_{channel}": Kind("unlock signed by a key nobody enrolled", channel, Attacker.forge_key),
            f"forge_op_{channel}": Kind("asks to put its own key on the key list", channel, Attacker.forge_op),
            f"truncate_{channel}": Kind(
                "swallows the next command; sends it with its MAC cut short", channel, Attacker.truncate, (), True
            ),
            f"zero_{channel}": Kind(
                "swallows the next command; sends it with zeros for its MAC", channel, Attacker.zero, (), True
            ),
            f"corrupt_{channel}": Kind(
                "swallows the next command; sends it with all but the first, the last byte of its MAC corrupted",
                channel,
                Attacker.corrupt,
                (),
                True,
            ),
            f"alter_{channel}": Kind(
                "swallows the next command; sends it with its payload changed", channel, Attacker.alter, (), True
            ),
            f"enumerate_{channel}": Kind(
                "swallows the next command; sends it with every value of one byte of a MAC that is else wrong",
                channel,
                Attacker.enumerate_byte,
                (BYTE,),
                True,
            ),
            f"brute_{channel}": Kind(
                "many unlocks with made-up MACs", channel, Attacker.brute_force, (COUNT,), lasts_us=_each(CLOSE_US)
            ),
            f"flood_{channel}": Kind(
                "many malformed messages", channel, Attacker.flood, (COUNT,), lasts_us=_each(GARBAGE_US)
            ),
            f"garbage_{channel}": Kind(
                "frames that no ISO-TP sender makes",
                channel,
                Attacker.garbage_frames,
                (COUNT,),
                lasts_us=_each(FRAME_US),
            ),
        }  # fmt: skip
    return out


KINDS: Mapping[str, Kind] = {
    **_by_channel(),
    "hog_slots": Kind(
        "takes every free Bluetooth connection for a while",
        "bluetooth",
        Attacker.hog_slots,
        (HELD,),
        lasts_us=lambda attack: KINDS[attack.kind].value(attack, "ms") * 1000,
    ),
    "half_open": Kind(
        "opens and drops Bluetooth connections again and again",
        "bluetooth",
        Attacker.half_open,
        (COUNT,),
        lasts_us=_each(BETWEEN_US),
    ),
    "garbage_serial": Kind(
        "bytes on the reader's line that no reader sends",
        "card",
        Attacker.garbage_serial,
        (COUNT,),
        lasts_us=_each(BETWEEN_US),
    ),
    "tap_unknown": Kind("taps a card that nobody enrolled", "card", Attacker.tap, lasts_us=lambda _a: HELD_US),
    "tap_foreign": Kind("taps a genuine card of another car", "card", Attacker.tap, lasts_us=lambda _a: HELD_US),
    "tap_replay": Kind(
        "taps a card that plays a recorded answer of the driver's", "card", Attacker.tap, lasts_us=lambda _a: HELD_US
    ),
    "tap_torn": Kind(
        "taps the driver's card and tears it away before it answers", "card", Attacker.tap, lasts_us=lambda _a: HELD_US
    ),
    "plain_interior": Kind("inside-switch frames with a wrong CRC", "", Attacker.plain_interior),
    "plain_crash": Kind("crash frames with a wrong CRC", "", Attacker.plain_crash),
    "restbus": Kind(
        "valid frames of telematics unit and Bluetooth module that lie", "", Attacker.restbus, (COUNT,)
    ),
}  # fmt: skip


def check_attacks(scenario: Scenario, source: str = "scenario") -> None:
    """Checks that every attack is of a known kind, and its parameters in range.

    Raises:
        ScenarioError: naming the entry and the mend.
    """
    for place, attack in enumerate(scenario.attacks):
        kind = KINDS.get(attack.kind)
        if kind is None:
            raise ScenarioError(
                f"{source}: attack {place}: there is no kind {attack.kind!r}; known are {', '.join(KINDS)}"
            )
        # Every kind takes a delay, which most need not: so one may be changed into another.
        known = {"delay_ms": DELAY} | {p.name: p for p in kind.params}
        for name, value in attack.params:
            param = known.get(name)
            if param is None or not param.low <= value <= param.high:
                takes = "; ".join(f"{p.name} takes {p.low} to {p.high}" for p in known.values())
                raise ScenarioError(f"{source}: attack {place}: {name} = {value} is not known; {takes}")


__all__ = ["KINDS", "WATCHED_US", "Attacker", "Kind", "check_attacks"]
