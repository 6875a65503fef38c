"""The rig's own nodes on the body CAN, restbus and carriers, and what befalls their frames.

While nothing is wrong frames pass straight through; what tampers with them is put in place only while it lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rig.kernel import Kernel
from rig.ports import CanBus, CanNode, CanReceiver
from rig.protocol.e2e import protect

VEHICLE_STATE, TELEMATICS_STATE, BLUETOOTH_STATE, INTERIOR_SWITCH = 0x1B0, 0x1C0, 0x1D0, 0x1E0
LOCK_STATUS = 0x1A0
RESTBUS = frozenset({VEHICLE_STATE, TELEMATICS_STATE, BLUETOOTH_STATE, INTERIOR_SWITCH})
CLOUD, BLUETOOTH = frozenset({0x2A0}), frozenset({0x2B0})
ANSWERS = frozenset({0x2A8, 0x2B8})
CHANNELS = CLOUD | BLUETOOTH
SENDERS = (frozenset({VEHICLE_STATE, INTERIOR_SWITCH}), frozenset({TELEMATICS_STATE}), frozenset({BLUETOOTH_STATE}))
"""What gateway, TCU and Bluetooth module say of themselves."""
CYCLES_US = {VEHICLE_STATE: 100_000, TELEMATICS_STATE: 1_000_000, BLUETOOTH_STATE: 1_000_000}
REPEAT_US = 150_000
"""A waking frame that is lost is repeated once after this (vehicle.md section 5)."""
ASLEEP_US = 300_000
"""A DUT that sent no LockStatus for so long may be asleep: three cycles."""
AWAKE_US = 1_000_000
"""So long after a waking frame nothing more is lost."""

OUT_STEPS = {0: "can.request_first", 1: "can.request_first", 2: "can.request_consecutive", 3: "can.answer_flow_control"}
IN_STEPS = {0: "can.answer_first", 1: "can.answer_first", 2: "can.answer_consecutive", 3: "can.request_flow_control"}
"""Protocol steps by an ISO-TP frame's type (ISO 15765-2:2016, table 8)."""

Pieces = list[tuple[int, bytes]]
"""What becomes of a frame: payloads, each after so many µs."""


@dataclass(slots=True, eq=False)
class Tamper:
    """One thing that befalls frames.

    Attributes:
        kind: drop, double, delay, corrupt, cut, stick (the alive counter), wake (what should wake is lost).
        ids: whose frames.
        every: each so-and-so-many-th frame of an identifier.
        value: ms of a delay, bytes that a cut leaves.
        start: which bit is hit first.
    """

    kind: str
    ids: frozenset[int]
    every: int = 1
    value: int = 0
    start: int = 0
    counts: dict[int, int] = field(default_factory=dict)

    def number(self, can_id: int, now_us: int) -> int:
        """The frame's number. Of a cyclic frame it is its turn: the same, whether idle cycles are skipped or not."""
        cycle = CYCLES_US.get(can_id)
        if cycle is not None:
            return now_us // cycle
        number = self.counts[can_id] = self.counts.get(can_id, 0) + 1
        return number

    def apply(self, can_id: int, data: bytes, number: int) -> Pieces:
        """What becomes of a frame that is hit."""
        match self.kind:
            case "double":
                return [(0, data), (0, data)]
            case "delay":
                return [(self.value * 1000, data)]
            case "corrupt" if data:
                # A single byte: the CRC finds it for sure.
                bit = self.start + number * 13
                place = bit // 8 % len(data)
                return [(0, data[:place] + bytes((data[place] ^ 1 << bit % 8,)) + data[place + 1 :])]
            case "cut":
                return [(0, data[: self.value])]
            case "stick" if len(data) == 8:
                counter = self.counts.setdefault(can_id, data[1] & 0x0F)
                return [(0, protect(can_id, data, counter))]
            case "corrupt" | "stick":
                return [(0, data)]
            case _:
                return []


class RigNode:
    """One of the rig's nodes; `send` and `hear` are the plain ones while nothing is wrong."""

    __slots__ = ("hear", "node", "receive", "send")

    def __init__(self, receive: CanReceiver) -> None:
        self.receive = receive
        self.hear = receive
        self.node: CanNode | None = None
        self.send: Callable[[int, bytes], None] = receive


class CanLine:
    """Where the rig's nodes are made.

    Args:
        kernel: the clock and queue.
        bus: the body CAN.
        unsettled: told when frames begin or cease to be tampered with.
    """

    def __init__(self, kernel: Kernel, bus: CanBus, unsettled: Callable[[], None]) -> None:
        self._kernel = kernel
        self._bus = bus
        self._unsettled = unsettled
        self._nodes: list[RigNode] = []
        self._out: list[Tamper] = []
        self._in: list[Tamper] = []
        self._step: Callable[[str], None] | None = None
        self._heard_us: int | None = None
        self._woken_us = -AWAKE_US

    @property
    def irregular(self) -> bool:
        """Whether what reaches the DUT is not the same from cycle to cycle."""
        return any(tamper.kind == "stick" for tamper in self._out)

    def node(self, name: str, receive: CanReceiver, ids: frozenset[int] | None) -> CanNode:
        """Adds a node of the rig, as `rig.ports.CanBus.node` does."""
        made = RigNode(receive)

        def heard(can_id: int, data: bytes) -> None:
            made.hear(can_id, data)

        node = self._bus.node(name, heard, ids)
        made.node = node
        made.send = node.send
        self._nodes.append(made)
        self._arm()
        return made

    def note_steps(self, step: Callable[[str], None]) -> None:
        """Has every protocol step of the channels told."""
        self._step = step
        self._arm()

    def tamper(self, tamper: Tamper, *, answers: bool = False) -> Callable[[], None]:
        """Begins to tamper with frames to the DUT, or with those that it answers; the function returned ends it."""
        if tamper.kind == "wake" and self._heard_us is None:
            self._heard_us = self._kernel.now
            self._bus.node("transceiver", self._lock_status, frozenset({LOCK_STATUS}))
        tampers = self._in if answers else self._out
        tampers.append(tamper)
        self._arm()
        self._unsettled()

        def end() -> None:
            if tamper in tampers:
                tampers.remove(tamper)
                self._arm()
                self._unsettled()

        return end

    def skip(self, delta_us: int) -> None:
        """Idle cycles were skipped."""
        if self._heard_us is not None and self._kernel.now - self._heard_us < ASLEEP_US:
            self._heard_us += delta_us

    def _lock_status(self, _can_id: int, _data: bytes) -> None:
        self._heard_us = self._kernel.now

    def _arm(self) -> None:
        """Puts the long way in place where it is needed, and only there."""
        for node in self._nodes:
            plain = node.node
            assert plain is not None
            if self._out or self._step is not None:
                node.send = self._sender(plain)
            else:
                node.send = plain.send
            node.hear = self._hearer(node.receive) if self._in or self._step is not None else node.receive

    def _sender(self, node: CanNode) -> Callable[[int, bytes], None]:
        def send(can_id: int, data: bytes) -> None:
            if self._step is not None and can_id in CHANNELS and data:
                self._note(OUT_STEPS, data)
            for after_us, piece in self._pass(self._out, can_id, data):
                if after_us:
                    self._kernel.after(after_us, node.send, can_id, piece)
                else:
                    node.send(can_id, piece)

        return send

    def _hearer(self, receive: CanReceiver) -> CanReceiver:
        def hear(can_id: int, data: bytes) -> None:
            if self._step is not None and can_id in ANSWERS and data:
                self._note(IN_STEPS, data)
            for after_us, piece in self._pass(self._in, can_id, data):
                if after_us:
                    self._kernel.after(after_us, receive, can_id, piece)
                else:
                    receive(can_id, piece)

        return hear

    def _note(self, steps: dict[int, str], data: bytes) -> None:
        name = steps.get(data[0] >> 4)
        if name is not None and self._step is not None:
            self._step(name)

    def _pass(self, tampers: list[Tamper], can_id: int, data: bytes) -> Pieces:
        pieces: Pieces = [(0, data)]
        # Of two spells of one kind the later counts: a bit that is turned twice would be right again.
        for tamper in {t.kind: t for t in tampers if can_id in t.ids}.values():
            if tamper.kind == "wake":
                pieces = self._wake(can_id, pieces)
                continue
            if tamper.kind == "stick":
                pieces = [(t, hit) for t, d in pieces for _, hit in tamper.apply(can_id, d, 0)]
                continue
            number = tamper.number(can_id, self._kernel.now)
            if number % tamper.every == 0:
                pieces = [(t + more, hit) for t, d in pieces for more, hit in tamper.apply(can_id, d, number)]
        return pieces

    def _wake(self, can_id: int, pieces: Pieces) -> Pieces:
        """The transceiver wakes and loses the frame; a carrier repeats it, cyclic and repeated frames come again."""
        now = self._kernel.now
        assert self._heard_us is not None
        if now - self._heard_us < ASLEEP_US or now - self._woken_us < AWAKE_US:
            return pieces
        self._woken_us = now
        return [(t + REPEAT_US, d) for t, d in pieces] if can_id in CHANNELS else []
