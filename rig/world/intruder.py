"""What an attacker does: captures, sends again, holds back, damages, forges, floods, taps.

Never has an enrolled key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from rig.protocol import vcp
from rig.protocol.e2e import protect
from rig.scenario import Attack
from rig.world import forgery
from rig.world.tapper import Tapper

if TYPE_CHECKING:
    from rig.world.world import World

LINGER_US = 1_000_000
"""How long the attacker's own Bluetooth connection stays after a move."""
WATCHED_US = 1_000_000
"""How long a run goes on after the attacker's last message."""
BETWEEN_US = 40_000
"""Between two messages of one move: enough for the DUT's answer to the first."""
LIFETIME_S = 10
FRAME_US = 1_000
CLOSE_US = 30_000
"""Between two messages of a move that makes many: not faster, since a full bus keeps out whoever comes after it."""
GARBAGE_US = 110_000
"""The same for messages of up to 900 bytes, each of which takes a third of that."""
DROP_US = 15_000
"""How long a connection stands that is dropped at once."""
SLOTS = 3

Damage = Callable[[bytes], Iterable[bytes]]
"""What is sent in place of a command."""


@dataclass(frozen=True, slots=True)
class _Trap:
    """Lies in wait for the next command on a channel: delivers it late, or sends damaged copies in its place."""

    index: int
    kind: str
    channel: str
    delay_us: int
    damage: Damage | None = None


class Intruder:
    """Captures genuine commands, sends them again, holds them back, or forges."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._armed = bool(world.scenario.attacks)
        self._captured: list[bytes] = []
        self._holds: list[_Trap] = []
        self._tapper = Tapper(world)
        if self._armed:
            self._tapper.listen()
        self._interior = world.codecs["InteriorSwitch"]
        self._node = world.edges.bus.node("attacker", lambda _i, _d: None, frozenset())
        self._rng = world.rng("attacker")

    def takes(self, channel: str, handle: int, message: bytes) -> bool:
        """A carrier asks: is this message held back? Captures commands on the way."""
        if not self._armed or not vcp.is_command(message):
            return False
        self._captured.append(message)
        for place, trap in enumerate(self._holds):
            if trap.channel == channel:
                del self._holds[place]
                self._world.log("attack", trap.index, trap.kind, "took a command")
                if trap.damage is not None:
                    self._send_on(channel, handle, list(trap.damage(message)), "forge", CLOSE_US)
                    return True
                self._world.kernel.after(trap.delay_us, self._deliver, trap.index, channel, handle, message)
                self._world.outlast(trap.delay_us + WATCHED_US)
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

    def value(self, attack: Attack, name: str) -> int:
        """A parameter of a move, or its default."""
        raise NotImplementedError

    def replay(self, _index: int, _attack: Attack, channel: str) -> str:
        """Sends all captured commands again, in their order: who listens cannot tell which one opens."""
        if not self._captured:
            return "nothing was captured"
        return self._send(channel, list(self._captured), "replay")

    def hold(self, index: int, attack: Attack, channel: str) -> str:
        """Will take the next command on a channel and deliver it later."""
        delay_us = self.value(attack, "delay_ms") * 1000
        self._holds.append(_Trap(index, "hold" if attack.kind.startswith("hold") else attack.kind, channel, delay_us))
        return "waits for a command"

    def _damages(self, index: int, attack: Attack, channel: str, damage: Damage) -> str:
        self._holds.append(_Trap(index, attack.kind, channel, 0, damage))
        return "waits for a command"

    def truncate(self, index: int, attack: Attack, channel: str) -> str:
        """Will take the next command and send copies with their MAC cut short in its place."""
        return self._damages(index, attack, channel, forgery.truncated)

    def zero(self, index: int, attack: Attack, channel: str) -> str:
        """Will take the next command and send a copy with zeros for its MAC in its place."""
        return self._damages(index, attack, channel, forgery.zeroed)

    def corrupt(self, index: int, attack: Attack, channel: str) -> str:
        """Will take the next command and send copies of which the MAC's first, or last, byte alone is right."""
        return self._damages(
            index, attack, channel, lambda m: chain(forgery.all_but_first(m), forgery.all_but_last(m))
        )  # fmt: skip

    def alter(self, index: int, attack: Attack, channel: str) -> str:
        """Will take the next command and send copies with one bit of their payload changed in its place."""
        return self._damages(index, attack, channel, forgery.payload_changed)

    def enumerate_byte(self, index: int, attack: Attack, channel: str) -> str:
        """Will take the next command and send copies with each value of one byte of a MAC that is else wrong."""
        place = self.value(attack, "byte")
        return self._damages(index, attack, channel, lambda m: forgery.enumerated(m, place))

    def brute_force(self, _index: int, attack: Attack, channel: str) -> str:
        """Many unlock commands in the driver's name, each with another made-up MAC."""
        count = self.value(attack, "count")
        length = 16 if channel == "bluetooth" else 32
        messages = [self._command(channel, self._bytes(length)) for _ in range(count)]
        return self._send(channel, messages, "forge", CLOSE_US)

    def flood(self, _index: int, attack: Attack, channel: str) -> str:
        """Many messages of garbage."""
        count = self.value(attack, "count")
        # Not what a genuine MAC still protects: with another return address it would be as good as the original.
        spoilt = [damaged for message in self._captured for damaged in forgery.all_but_first(message)]
        likes = [*spoilt, self._command(channel, self._bytes(16)), self._request()]
        messages = [forgery.malformed(self._rng, likes[i % len(likes)]) for i in range(count)]
        return self._send(channel, messages, "malformed", GARBAGE_US)

    def garbage_frames(self, _index: int, attack: Attack, channel: str) -> str:
        """Frames on the channel's identifiers that no ISO-TP sender makes: any control byte, any length."""
        count = self.value(attack, "count")
        identifier = 0x2A0 if channel == "cloud" else 0x2B0
        for place in range(count):
            self._world.kernel.after(place * FRAME_US, self._node.send, identifier, forgery.garbage_frame(self._rng))
        self._world.outlast(count * FRAME_US + WATCHED_US)
        return "sent"

    def garbage_serial(self, _index: int, attack: Attack, _channel: str) -> str:
        """Bytes on the reader's line that no reader sends, some of them beginning like a frame."""
        count = self.value(attack, "count")
        for place in range(count):
            head = (b"", b"\x00\x00\xff", b"\x00\x00\xff\xff\xff")[self._rng.randrange(3)]
            burst = head + self._bytes(self._rng.randrange(1, 40))
            self._world.kernel.after(place * BETWEEN_US, self._world.edges.reader.write, burst)
        self._world.outlast(count * BETWEEN_US + WATCHED_US)
        return "sent"

    def hog_slots(self, _index: int, attack: Attack, _channel: str) -> str:
        """Takes every Bluetooth connection that is free, and keeps it a while without a word."""
        world = self._world
        held_us = self.value(attack, "ms") * 1000
        handles = [h for h in (world.air.module.opened() for _ in range(SLOTS)) if h is not None]
        for handle in handles:
            world.kernel.after(held_us, world.air.module.closed, handle)
        world.outlast(held_us + WATCHED_US)
        return f"took {len(handles)} connections"

    def half_open(self, _index: int, attack: Attack, _channel: str) -> str:
        """Opens connections and drops them at once, some after a request for session info, again and again."""
        count = self.value(attack, "count")
        for place in range(count):
            self._world.kernel.after(place * BETWEEN_US, self._open_and_drop, place % 2 == 1)
        self._world.outlast(count * BETWEEN_US + WATCHED_US)
        return "sent"

    def _open_and_drop(self, asks: bool) -> None:
        module = self._world.air.module
        handle = module.opened()
        if handle is None:
            return
        if asks:
            module.hand(handle, self._request(), "forge")
        self._world.kernel.after(DROP_US, module.closed, handle)

    def _request(self) -> bytes:
        return vcp.build_handshake(vcp.Identity.from_seed(b"attacker"), self._bytes(16), self._bytes(16))

    def forge_op(self, _index: int, _attack: Attack, channel: str) -> str:
        """Asks to put the attacker's key on the list: in the driver's name with a made-up MAC, and signed by itself."""
        own = vcp.Identity.from_seed(b"attacker").public
        payload = vcp.whitelist_payload(vcp.WhitelistChange("add", own, int(vcp.Role.Value("ROLE_OWNER"))))
        messages = [self._command(channel, tag, payload) for tag in (self._bytes(16), b"")]
        return self._send(channel, [*messages, self._command(channel, b"")], "forge")

    def restbus(self, _index: int, attack: Attack, _channel: str) -> str:
        """Valid frames of telematics unit and Bluetooth module that say anything: E2E is not authentication."""
        count = self.value(attack, "count")
        for name, signals in (
            ("TelematicsState", {"Online": 0, "Signal": 0, "UtcSeconds": 0xFFFF_FFFF}),
            ("BluetoothState", {"Connections": 3}),
        ):
            codec = self._world.codecs[name]
            for place in range(count):
                frame = protect(codec.can_id, codec.encode(signals), place % 15)
                self._world.kernel.after(place * BETWEEN_US, self._node.send, codec.can_id, frame)
        self._world.outlast(count * BETWEEN_US + WATCHED_US)
        return "sent"

    def plain_crash(self, _index: int, _attack: Attack, _channel: str) -> str:
        """Frames of the gateway that say crash, without a valid CRC."""
        codec = self._world.codecs["VehicleState"]
        said = {"PowerMode": 0, "Speed": 0, "Crash": 1, "Supply_mV": 12_600}
        for repeat in range(4):
            payload = bytearray(codec.encode(said))
            payload[1] = (payload[1] & 0xF0) | repeat
            payload[0] = protect(codec.can_id, bytes(payload), repeat)[0] ^ 0x5A
            self._world.kernel.after(20_000 * repeat, self._node.send, codec.can_id, bytes(payload))
        return "sent"

    def tap(self, index: int, attack: Attack, _channel: str) -> str:
        """Holds a card to the reader that must be refused."""
        return self._tapper.tap(index, attack.kind.partition("_")[2])

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

    def _command(self, channel: str, tag: bytes, payload: bytes = b"") -> bytes:
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
            action=None if payload else vcp.UNLOCK,
            payload=payload,
            epoch=epoch,
            counter=1000 + self._rng.randrange(1000),
            expires_at=int(clock_s) + LIFETIME_S,
            routing=self._bytes(16),
            uuid=self._bytes(16),
            nonce=self._bytes(12),
            tag=tag or None,
        ).message

    def _send(self, channel: str, messages: list[bytes], origin: str, gap_us: int = BETWEEN_US) -> str:
        """Sends messages on a channel; over Bluetooth on a connection of the attacker's own."""
        world = self._world
        if channel == "cloud":
            self._send_on(channel, 0, messages, origin, gap_us)
            return "sent"
        handle = world.air.module.opened()
        if handle is None:
            return "no connection slot was free"
        self._send_on(channel, handle, messages, origin, gap_us)
        world.kernel.after(LINGER_US + len(messages) * gap_us, world.air.module.closed, handle)
        return "sent"

    def _send_on(self, channel: str, handle: int, messages: Iterable[bytes], origin: str, gap_us: int) -> None:
        world, place = self._world, 0
        for place, message in enumerate(messages):
            if channel == "cloud":
                world.kernel.after(place * gap_us, world.tcu.hand, message, origin)
            else:
                world.kernel.after(place * gap_us, world.air.module.hand, handle, message, origin)
        world.outlast((place + 1) * gap_us + WATCHED_US)

    def _bytes(self, count: int) -> bytes:
        return self._rng.randbytes(count)
