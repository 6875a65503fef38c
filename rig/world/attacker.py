"""The attacker: hears and writes everything the carriers carry, and never has key material of an enrolled key.

Each kind of move is one entry of `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.protocol import vcp
from rig.protocol.e2e import protect
from rig.scenario import Attack, Scenario, ScenarioError

if TYPE_CHECKING:
    from rig.world.world import World

LINGER_US = 1_000_000
"""How long the attacker's own Bluetooth connection stays after a move."""
WATCHED_US = 1_000_000
"""How long a run goes on after the attacker's last message."""
BETWEEN_US = 40_000
"""Between two messages of one move: enough for the DUT's answer to the first."""
LIFETIME_S = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of move: what it does, and on which channel ("" for none)."""

    text: str
    channel: str
    move: Callable[[Attacker, int, Attack, str], str]


class Attacker:
    """Captures genuine commands, sends them again, holds them back, or forges."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._armed = bool(world.scenario.attacks)
        self._captured: list[bytes] = []
        self._holds: list[tuple[int, str, int]] = []
        self._interior = world.codecs["InteriorSwitch"]
        self._node = world.edges.bus.node("attacker", lambda _i, _d: None, frozenset())
        self._rng = world.rng("attacker")

    def takes(self, channel: str, handle: int, message: bytes) -> bool:
        """A carrier asks: is this message held back? Captures commands on the way."""
        if not self._armed or not vcp.is_command(message):
            return False
        self._captured.append(message)
        for place, (index, where, delay_us) in enumerate(self._holds):
            if where == channel:
                del self._holds[place]
                self._world.log("attack", index, "hold", "took a command")
                self._world.kernel.after(delay_us, self._deliver, index, channel, handle, message)
                self._world.outlast(delay_us + WATCHED_US)
                return True
        return False

    def leave(self) -> None:
        """The attacker goes home: whoever lay in wait for a command does so no longer."""
        self._holds.clear()

    def _deliver(self, index: int, channel: str, handle: int, message: bytes) -> None:
        self._world.log("attack", index, "hold", "delivers late")
        if channel == "cloud":
            self._world.tcu.hand(message, "late")
        else:
            self._world.air.module.hand(handle, message, "late")

    def move(self, index: int, attack: Attack) -> None:
        """Makes one move of the scenario."""
        kind = KINDS[attack.kind]
        self._world.log("attack", index, attack.kind, kind.move(self, index, attack, kind.channel))

    def replay(self, _index: int, _attack: Attack, channel: str) -> str:
        """Sends all captured commands again, in their order: who listens cannot tell which one opens."""
        if not self._captured:
            return "nothing was captured"
        return self._send(channel, list(self._captured), "replay")

    def hold(self, index: int, attack: Attack, channel: str) -> str:
        """Will take the next command on a channel and deliver it later."""
        self._holds.append((index, channel, attack.param("delay_ms", 15_000) * 1000))
        return "waits for a command"

    def forge_unsigned(self, _index: int, _attack: Attack, channel: str) -> str:
        """An unlock command without a signature."""
        message = vcp.unsigned_command(vcp.UNLOCK, self._bytes(16), self._bytes(16))
        return self._send(channel, [message], "forge")

    def forge_tag(self, _index: int, _attack: Attack, channel: str) -> str:
        """An unlock command in the name of the driver's key, with a made-up MAC."""
        return self._send(channel, [self._command(channel, self._bytes(16))], "forge")

    def forge_key(self, _index: int, _attack: Attack, channel: str) -> str:
        """An unlock command properly signed by a key that nobody enrolled."""
        return self._send(channel, [self._command(channel, b"")], "forge")

    def plain_interior(self, _index: int, _attack: Attack, _channel: str) -> str:
        """Inside-switch frames asking to unlock, without a valid CRC."""
        payload = bytearray(self._interior.encode({"Request": 2}))
        for repeat in range(3):
            payload[1] = (payload[1] & 0xF0) | repeat
            payload[0] = self._wrong_crc(bytes(payload))
            self._world.kernel.after(20_000 * repeat, self._node.send, self._interior.can_id, bytes(payload))
        return "sent"

    def _wrong_crc(self, payload: bytes) -> int:
        return protect(self._interior.can_id, payload, payload[1] & 0x0F)[0] ^ 0x5A

    def _command(self, channel: str, tag: bytes) -> bytes:
        session = self._world.phone.session
        epoch = session.epoch if session is not None else self._bytes(16)
        clock_s = session.clock_at(self._world.kernel.now) if session is not None else 1
        victim = self._world.phone.identity.public
        own = vcp.Identity.from_seed(b"attacker")
        vehicle = session.vehicle_public if session is not None else own.public
        return vcp.build_command(
            identity=own,
            vehicle_public=vehicle,
            claimed_public=victim if tag else own.public,
            vin=self._world.vin,
            channel=channel,
            action=vcp.UNLOCK,
            epoch=epoch,
            counter=1000 + self._rng.randrange(1000),
            expires_at=int(clock_s) + LIFETIME_S,
            routing=self._bytes(16),
            uuid=self._bytes(16),
            nonce=self._bytes(12),
            tag=tag or None,
        ).message

    def _send(self, channel: str, messages: list[bytes], origin: str) -> str:
        world = self._world
        world.outlast(len(messages) * BETWEEN_US + WATCHED_US)
        if channel == "cloud":
            for place, message in enumerate(messages):
                world.kernel.after(place * BETWEEN_US, world.tcu.hand, message, origin)
            return "sent"
        handle = world.air.module.opened()
        if handle is None:
            return "no connection slot was free"
        for place, message in enumerate(messages):
            world.kernel.after(place * BETWEEN_US, world.air.module.hand, handle, message, origin)
        world.kernel.after(LINGER_US + len(messages) * BETWEEN_US, world.air.module.closed, handle)
        return "sent"

    def _bytes(self, count: int) -> bytes:
        return self._rng.randbytes(count)


KINDS: Mapping[str, Kind] = {
    "replay_bluetooth": Kind(
        "sends all captured commands again over Bluetooth", "bluetooth", Attacker.replay
    ),
    "replay_cloud": Kind(
        "sends all captured commands again over the cloud channel", "cloud", Attacker.replay
    ),
    "hold_bluetooth": Kind(
        "holds the next Bluetooth command back and delivers it late", "bluetooth", Attacker.hold
    ),
    "hold_cloud": Kind("holds the next cloud command back and delivers it late", "cloud", Attacker.hold),
    "forge_unsigned_bluetooth": Kind("unlock without signature", "bluetooth", Attacker.forge_unsigned),
    "forge_unsigned_cloud": Kind("unlock without signature", "cloud", Attacker.forge_unsigned),
    "forge_tag_bluetooth": Kind("unlock with a made-up MAC", "bluetooth", Attacker.forge_tag),
    "forge_tag_cloud": Kind("unlock with a made-up MAC", "cloud", Attacker.forge_tag),
    "forge_key_bluetooth": Kind("unlock signed by a key nobody enrolled", "bluetooth", Attacker.forge_key),
    "forge_key_cloud": Kind("unlock signed by a key nobody enrolled", "cloud", Attacker.forge_key),
    "plain_interior": Kind("inside-switch unlock frames with a wrong CRC", "", Attacker.plain_interior),
}


def check_attacks(scenario: Scenario, source: str = "scenario") -> None:
    """Checks that every attack is of a known kind.

    Raises:
        ScenarioError: naming the entry and the mend.
    """
    for place, attack in enumerate(scenario.attacks):
        if attack.kind not in KINDS:
            raise ScenarioError(
                f"{source}: attack {place}: there is no kind {attack.kind!r}; known are {', '.join(KINDS)}"
            )
        for name, value in attack.params:
            if name != "delay_ms" or not 0 <= value <= 3_600_000:
                raise ScenarioError(
                    f"{source}: attack {place}: {name} = {value} is not known; delay_ms takes 0 to 3600000"
                )
