"""A simulated classic CAN bus: arbitration, frame times, bus-off and a collapsible flood.

Implements `rig.ports.CanBus` on a kernel; knows nothing of what the frames mean, nor of who hears them.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from rig.kernel import Handle, Kernel
from rig.ports import CanReceiver

FrameListener = Callable[[int, int, bytes, str], None]
"""Called with (time in µs, CAN identifier, payload, sender's name) when a frame is complete."""

DUT = "ecu"
"""Name of the node that belongs to the device under test."""

FLOOD_ID, FLOOD_IDS = 0x500, 16
"""The flood's frames run through 0x500..0x50F (vehicle.md section 1, TelematicsLog), lowest first."""
FLOOD_SENDER = "flood"
BABBLE_ID = 0x100
BABBLE_SENDER = "babbler"
"""A node gone mad: below every identifier of the body CAN (faults.md), back to back."""

ERROR_BITS = 6 + 6 + 8 + 3
"""A broken frame costs two superposed error flags, delimiter and intermission (ISO 11898-1:2015, 10.4)."""

_IDLE = 0
"""Barrier while no later frame could still take part in the arbitration: no identifier is below it."""


def frame_bits(length: int) -> int:
    """Bit times of a classic frame with an 11-bit identifier, worst-case stuffing, intermission included.

    34 + 8n bits are subject to stuffing, of which every fourth can at worst cause a stuff bit; 13 are not:
    47 + 8n + floor((34 + 8n - 1) / 4). Source: Davis, Burns, Bril, Lukkien, "Controller Area Network (CAN)
    schedulability analysis: Refuted, revisited and revised", Real-Time Systems 35 (2007), equation 1.

    Args:
        length: payload bytes, 0..8.
    """
    return 47 + 8 * length + (34 + 8 * length - 1) // 4


class SimNode:
    """One node of a `SimBus`; made by `SimBus.node`."""

    __slots__ = ("name", "_bus", "_receive", "_ids", "_on_state", "_on_flood", "_off", "_routes", "_flood_us")

    def __init__(
        self,
        bus: SimBus,
        name: str,
        receive: CanReceiver,
        ids: frozenset[int] | None,
        on_state: Callable[[bool], None] | None,
        on_flood: Callable[[int | None], None] | None,
    ) -> None:
        self.name = name
        self._bus = bus
        self._receive = receive
        self._ids = ids
        self._on_state = on_state
        self._on_flood = on_flood
        self._off = False
        # Who hears this node's frames, by identifier; rebuilt after every change of the bus.
        self._routes: dict[int, tuple[CanReceiver, ...]] = {}
        self._flood_us: int | None = None

    @property
    def bus_off(self) -> bool:
        """True while the node neither sends nor hears."""
        return self._off

    def send(self, can_id: int, data: bytes) -> None:
        """Queues one frame; a node that is bus-off drops it.

        Args:
            can_id: 0..0x7FF.
            data: at most 8 bytes.

        Raises:
            ValueError: the identifier or the length is out of range.
        """
        if self._off:
            return
        bus = self._bus
        if not 0 <= can_id <= 0x7FF or len(data) > 8:
            raise ValueError(f"{self.name}: not a classic frame: identifier 0x{can_id:X}, {len(data)} bytes")
        bus._seq = seq = bus._seq + 1
        frame = (can_id, seq, self, data)
        if bus._busy:
            if can_id < bus._barrier and bus._kernel.now <= bus._start_us:
                bus._withdraw()
                heappush(bus._pending, frame)
                bus._arbitrate()
            else:
                heappush(bus._pending, frame)
        elif bus._flooding:
            heappush(bus._pending, frame)
            bus._arbitrate()
        else:
            # The common case: nobody else wants the bus. Start of frame is now; whoever comes with a lower
            # identifier within this microsecond still takes part in the arbitration (see above).
            kernel = bus._kernel
            start = kernel.now
            if start < bus._free_us:  # noqa: PLR1730 (max() is a call)
                start = bus._free_us
            bus._busy = True
            bus._frame = frame
            bus._barrier = can_id
            bus._start_us = start
            bus._end_us = end = start + bus._times[len(data)]
            bus._handle = kernel.at(end, bus._finish)


_Frame = tuple[int, int, SimNode, bytes]
"""Identifier, order of arrival, sender, payload: sorts as arbitration does."""


class SimBus:
    """A bus with one frame at a time; the lowest pending identifier of all nodes wins when it becomes free.

    All frames queued in the microsecond in which the bus is free take part in the same arbitration, in
    whatever order their events run; equal identifiers go first come, first served. A frame is heard by every
    other node at its end, intermission included, and costs one kernel event. Errors are not modelled, but for
    bus-off; there are always other nodes to acknowledge.

    The flood is a sender that always has one more log frame. Collapsed, its frames cost nothing: they follow
    each other on a grid of one frame time from the instant the bus became free, so the boundary at which a
    real frame gets its turn can be computed.

    Args:
        kernel: the clock and queue.
        bitrate: bit/s.
        on_frame: is told of every complete frame (of the flood's only if it is not collapsed).
        collapse_flood: False sends every flood frame really.
    """

    def __init__(
        self,
        kernel: Kernel,
        bitrate: int = 500_000,
        on_frame: FrameListener | None = None,
        collapse_flood: bool = True,
    ) -> None:
        self._kernel = kernel
        self._on_frame = on_frame
        self._collapse = collapse_flood
        self._times = tuple(-(-frame_bits(n) * 1_000_000 // bitrate) for n in range(9))
        self._flood_us = self._times[8]
        self._error_us = -(-ERROR_BITS * 1_000_000 // bitrate)
        self._nodes: list[SimNode] = []
        self._off: set[str] = set()
        self._seq = 0
        self._pending: list[_Frame] = []
        # A frame has been chosen (and may begin only in the future), or one is being delivered.
        self._busy = False
        self._frame: _Frame | None = None
        self._barrier = _IDLE
        self._start_us = 0
        self._end_us = 0
        self._handle: Handle | None = None
        # Since when the bus is free of real frames and errors: the origin of the collapsed flood's grid.
        self._free_us = 0
        self._flooding = False
        self._flood_count = 0
        self._flooder = SimNode(self, FLOOD_SENDER, _deaf, frozenset(), None, None)
        self._babbler = SimNode(self, BABBLE_SENDER, _deaf, frozenset(), None, None)
        self._babbling = False
        self._flood_wanted = False

    # -- the port ----------------------------------------------------------------------------------

    def node(
        self,
        name: str,
        receive: CanReceiver,
        ids: frozenset[int] | None,
        *,
        on_state: Callable[[bool], None] | None = None,
        on_flood: Callable[[int | None], None] | None = None,
    ) -> SimNode:
        """Adds a node.

        Args:
            name: for the trace and for bus-off; several nodes may share one controller's name.
            receive: told of each frame of another node that `ids` accepts.
            ids: identifiers that it hears; None: all.
            on_state: told True when the node goes bus-off, False when it is back.
            on_flood: told the period in µs when a collapsed flood begins, None when it ends.
        """
        made = SimNode(self, name, receive, ids, on_state, on_flood)
        made._off = name in self._off or self._babbling
        self._nodes.append(made)
        self._reroute()
        self._tell_flood()
        return made

    def set_dut_bus_off(self, off: bool) -> None:
        """Takes the node named "ecu" off the bus, or lets it back on."""
        self.set_bus_off(DUT, off)

    def set_bus_off(self, name: str, off: bool) -> None:
        """Takes the nodes of that name off the bus, or lets them back on (also before they are made).

        Their pending frames are dropped. One that is under way breaks off; the bus is free again after an
        error frame.
        """
        self._settle()
        if (name in self._off) == off:
            return
        if off:
            self._off.add(name)
        else:
            self._off.discard(name)
        changed = [node for node in self._nodes if node.name == name]
        for node in changed:
            node._off = off or self._babbling
        self._reroute()
        if off:
            self._drop_frames(name)
        for node in changed:
            if node._on_state is not None:
                node._on_state(off)
        self._tell_flood()

    def set_babble(self, on: bool) -> None:
        """Begins or ends back-to-back frames of the lowest identifier: nobody else gets a frame through.

        Senders give up at once what they cannot send; the frame under way is completed.
        """
        self._settle()
        if on == self._babbling:
            return
        if on:
            self._flood(False)
            self._pending.clear()
            if self._busy and self._frame is not None and self._start_us >= self._kernel.now:
                self._withdraw()
                self._pending.clear()
        self._babbling = on
        for node in self._nodes:
            node._off = on or node.name in self._off
        self._reroute()
        if not on:
            self._flood(self._flood_wanted)
        if not self._busy:
            self._arbitrate()
        self._tell_flood()

    def set_flood(self, on: bool) -> None:
        """Begins or ends a flood of back-to-back frames 0x500..0x50F; the one under way is completed."""
        self._flood_wanted = on
        if not self._babbling:
            self._flood(on)

    def _flood(self, on: bool) -> None:
        self._settle()
        if on == self._flooding:
            return
        delivering = self._busy and self._frame is None
        now = self._kernel.now
        under_way = self._busy and not delivering and self._start_us < now
        if self._busy and not delivering and not under_way:
            self._withdraw()
        if on:
            self._flooding = True
            if under_way:
                self._free_us = self._start_us
            elif self._free_us < now:
                self._free_us = now
        else:
            if self._collapse:
                if under_way:
                    self._count_flood(self._start_us)
                elif not delivering:
                    passed = self._frames_until(now)
                    self._flood_count += passed
                    self._free_us += passed * self._flood_us
            self._flooding = False
        if not self._busy:
            self._arbitrate()
        self._tell_flood()

    @property
    def quiet(self) -> bool:
        """True if no frame is pending or under way, but for those of a collapsed flood.

        Idle cycles skipped in a collapsed flood leave its grid where it was: frames after the gap may be off by
        up to one frame time, as they are by any other phase of the flood.
        """
        if (self._flooding or self._babbling) and not self._collapse:
            return False
        return not (self._busy or self._kernel.now < self._free_us)

    # -- arbitration -------------------------------------------------------------------------------

    def _arbitrate(self) -> None:
        """Chooses the next frame and the instant it begins; the bus must not be busy."""
        pending = self._pending
        start = max(self._kernel.now, self._free_us)
        if self._babbling:
            if not self._collapse:
                self._begin((BABBLE_ID, 0, self._babbler, bytes(8)), start, BABBLE_ID)
            return
        if self._flooding:
            head = FLOOD_ID + self._flood_count % FLOOD_IDS
            if not self._collapse:
                if not pending or pending[0][0] > head:
                    self._begin((head, 0, self._flooder, bytes(8)), start, head + 1)
                    return
            elif not pending or pending[0][0] >= FLOOD_ID + FLOOD_IDS:
                return
            else:
                start = self._turn_us(pending[0][0])
        if pending:
            frame = heappop(pending)
            self._begin(frame, start, frame[0])

    def _begin(self, frame: _Frame, start: int, barrier: int) -> None:
        self._busy = True
        self._frame = frame
        self._barrier = barrier
        self._start_us = start
        self._end_us = end = start + self._times[len(frame[3])]
        self._handle = self._kernel.at(end, self._finish)

    def _withdraw(self) -> None:
        """Takes back a chosen frame that has not begun; it competes again."""
        frame = self._frame
        assert frame is not None and self._handle is not None
        self._kernel.cancel(self._handle)
        self._busy = False
        self._frame = None
        if frame[2] is not self._flooder:
            heappush(self._pending, frame)

    def _finish(self, settling: bool = False) -> None:
        """The frame under way is complete: everybody hears it, then the next is chosen.

        If nothing else is to happen until that one is complete, the kernel goes on at once: the frames of a
        transfer that has the bus for itself share one event.

        Args:
            settling: called in the middle of another event, so time must not go on.
        """
        kernel = self._kernel
        while True:
            frame = self._frame
            assert frame is not None
            now = kernel.now
            can_id, _, sender, data = frame
            if self._flooding:
                self._count_flood(self._start_us)
            if sender is self._flooder:
                self._flood_count += 1
            self._free_us = now
            self._frame = None
            # Still busy: what hearers send in answer competes in the arbitration below.
            self._barrier = _IDLE
            if self._on_frame is not None:
                self._on_frame(now, can_id, data, sender.name)
            routes = sender._routes
            hearers = routes.get(can_id)
            if hearers is None:
                routes[can_id] = hearers = self._hearers(sender, can_id)
            for receive in hearers:
                receive(can_id, data)
            if self._flooding or self._babbling:
                self._busy = False
                self._arbitrate()
                return
            if not self._pending:
                self._busy = False
                return
            self._frame = frame = heappop(self._pending)
            self._barrier = frame[0]
            self._start_us = now
            self._end_us = end = now + self._times[len(frame[3])]
            if settling or not kernel.advance(end):
                self._handle = kernel.at(end, self._finish)
                return

    def _settle(self) -> None:
        """A frame that ends in this very microsecond is complete before the bus changes under it.

        Makes the outcome independent of the order of events within the microsecond.
        """
        if self._frame is not None and self._end_us == self._kernel.now:
            assert self._handle is not None
            self._kernel.cancel(self._handle)
            self._finish(settling=True)

    # -- bus-off -----------------------------------------------------------------------------------

    def _drop_frames(self, name: str) -> None:
        self._pending[:] = [frame for frame in self._pending if frame[2].name != name]
        heapify(self._pending)
        frame = self._frame
        if frame is None or frame[2].name != name:
            return
        assert self._handle is not None
        self._kernel.cancel(self._handle)
        self._busy = False
        self._frame = None
        now = self._kernel.now
        if self._start_us < now:
            if self._flooding:
                self._count_flood(self._start_us)
            self._free_us = now + self._error_us
        self._arbitrate()

    def _reroute(self) -> None:
        self._flooder._routes.clear()
        self._babbler._routes.clear()
        for node in self._nodes:
            node._routes.clear()

    def _hearers(self, sender: SimNode, can_id: int) -> tuple[CanReceiver, ...]:
        return tuple(
            node._receive
            for node in self._nodes
            if node is not sender and not node._off and (node._ids is None or can_id in node._ids)
        )

    # -- the collapsed flood -----------------------------------------------------------------------

    def _frames_until(self, us: int) -> int:
        """How many flood frames have begun before `us`, since the bus became free."""
        return max(0, -(-(us - self._free_us) // self._flood_us))

    def _turn_us(self, can_id: int) -> int:
        """The first boundary, now or later, at which the flood's next frame does not win against `can_id`."""
        passed = self._frames_until(self._kernel.now)
        head = (self._flood_count + passed) % FLOOD_IDS
        return self._free_us + (passed + max(0, can_id - FLOOD_ID - head)) * self._flood_us

    def _count_flood(self, until_us: int) -> None:
        """Counts the collapsed frames between the last real frame and one that began at `until_us`."""
        if self._collapse:
            self._flood_count += (until_us - self._free_us) // self._flood_us

    def _tell_flood(self) -> None:
        for node in self._nodes:
            told = self._flood_us if self._flooding and self._collapse and not node._off else None
            if told != node._flood_us:
                node._flood_us = told
                if node._on_flood is not None:
                    node._on_flood(told)


def _deaf(_can_id: int, _data: bytes) -> None:
    """The flood's sender hears nothing."""
