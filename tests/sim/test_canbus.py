"""The simulated bus: frame times, arbitration against a plain oracle, bus-off, floods collapsed exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from rig.kernel import Kernel
from rig.ports import CanBus, CanNode
from rig.sim.canbus import FLOOD_ID, FLOOD_SENDER, SimBus, SimNode, frame_bits

FLOOD_US = 270
Send = tuple[int, int, int, int]
"""Time, node, identifier, length."""


def run(kernel: Kernel, seconds: float) -> None:
    async def main() -> None:
        await kernel.sleep(seconds)

    kernel.run(main(), until=seconds + 1)


@dataclass
class Tape:
    """What happened on a bus with four nodes, one of which is the DUT and answers frames."""

    kernel: Kernel
    bus: SimBus
    nodes: list[SimNode]
    frames: list[tuple[int, int, bytes, str]]
    heard: list[list[tuple[int, int, bytes]]] = field(default_factory=list)
    states: list[tuple[int, bool]] = field(default_factory=list)
    floods: list[tuple[int, int | None]] = field(default_factory=list)


def tape(collapse: bool = True, answers: bool = False) -> Tape:
    kernel, frames = Kernel(), list[tuple[int, int, bytes, str]]()
    bus = SimBus(kernel, on_frame=lambda *frame: frames.append(frame), collapse_flood=collapse)
    out = Tape(kernel, bus, [], frames)

    def add(index: int, name: str) -> None:
        log: list[tuple[int, int, bytes]] = []
        out.heard.append(log)

        def receive(can_id: int, data: bytes) -> None:
            log.append((kernel.now, can_id, data))
            if answers and index == 0 and can_id != 0x1A0 and not FLOOD_ID <= can_id < 0x510:
                out.nodes[0].send(0x1A0, data[:3])

        node = out.bus.node(
            name,
            receive,
            None,
            on_state=lambda off: out.states.append((kernel.now, off)),
            on_flood=lambda us: out.floods.append((kernel.now, us)) if index == 0 else None,
        )
        out.nodes.append(node)

    for index, name in enumerate(("ecu", "tcu", "module", "tester")):
        add(index, name)
    return out


def is_a_port(bus: SimBus, node: SimNode) -> tuple[CanBus, CanNode]:
    """For mypy: the simulated bus is what the world plugs into."""
    return bus, node


@pytest.mark.parametrize(("length", "bits"), [(0, 55), (1, 65), (2, 75), (8, 135)])
def test_frame_bits_are_those_of_the_published_table(length: int, bits: int) -> None:
    # Davis et al. 2007, equation 2: 55 + 10 n bits.
    assert frame_bits(length) == bits == 55 + 10 * length


def test_a_full_frame_takes_270_us_and_is_heard_by_everybody_else() -> None:
    t = tape()
    t.nodes[1].send(0x2A0, b"12345678")
    assert not t.bus.quiet
    run(t.kernel, 0.001)
    assert t.frames == [(270, 0x2A0, b"12345678", "tcu")]
    assert [len(log) for log in t.heard] == [1, 0, 1, 1]
    assert t.heard[0] == [(270, 0x2A0, b"12345678")]
    assert t.bus.quiet


def test_filters_and_other_bit_rates() -> None:
    kernel = Kernel()
    bus = SimBus(kernel, bitrate=125_000)
    heard: list[int] = []
    bus.node("a", lambda can_id, _: heard.append(can_id), frozenset({0x100, 0x200}))
    bus.node("b", lambda can_id, _: pytest.fail(f"heard {can_id}"), frozenset())
    sender = bus.node("c", lambda _i, _d: None, None)
    for can_id in (0x100, 0x150, 0x200):
        sender.send(can_id, b"")
    run(kernel, 0.01)
    assert heard == [0x100, 0x200]
    assert bus._times[8] == 1080


def test_lowest_identifier_wins_among_frames_of_the_same_microsecond_in_any_order() -> None:
    for order in ((0x300, 0x100, 0x200), (0x100, 0x200, 0x300), (0x300, 0x200, 0x100)):
        t = tape()
        for node, can_id in enumerate(order):
            t.kernel.at(50, t.nodes[node].send, can_id, b"")
        run(t.kernel, 0.01)
        assert [(f[0], f[1]) for f in t.frames] == [(160, 0x100), (270, 0x200), (380, 0x300)]


def test_a_frame_under_way_is_not_interrupted() -> None:
    t = tape()
    t.nodes[0].send(0x300, b"")
    t.kernel.at(1, t.nodes[1].send, 0x100, b"")
    run(t.kernel, 0.01)
    assert [f[1] for f in t.frames] == [0x300, 0x100]


def test_equal_identifiers_go_first_come() -> None:
    t = tape()
    for node in (2, 1, 3):
        t.nodes[node].send(0x100, bytes((node,)))
    run(t.kernel, 0.01)
    assert [f[3] for f in t.frames] == ["module", "tcu", "tester"]


def test_an_answer_sent_at_delivery_takes_part_in_the_next_arbitration() -> None:
    t = tape(answers=True)
    for can_id in (0x100, 0x200):
        t.nodes[1].send(can_id, b"")
    run(t.kernel, 0.01)
    assert [f[1] for f in t.frames] == [0x100, 0x1A0, 0x200, 0x1A0]
    assert [f[0] for f in t.frames] == [110, 220, 330, 440]


@pytest.mark.parametrize(("can_id", "data"), [(0x800, b""), (-1, b""), (0x100, bytes(9))])
def test_what_is_no_classic_frame_is_refused(can_id: int, data: bytes) -> None:
    t = tape()
    with pytest.raises(ValueError, match="not a classic frame"):
        t.nodes[0].send(can_id, data)


ids = st.one_of(
    st.sampled_from((0x1A0, 0x1B0, 0x2A0, 0x2B0, 0x4FF, 0x500, 0x505, 0x50F, 0x510, 0x7A0)),
    st.integers(0x4FE, 0x512),
    st.integers(0, 0x7FF),
)
times = st.one_of(
    st.integers(0, 3000),
    # Instants at which frames tend to end.
    st.builds(lambda a, b, c: a * 270 + b * 110 + c * 150, *(st.integers(0, 6),) * 3),
)
sends = st.lists(st.tuples(times, st.integers(0, 3), ids, st.integers(0, 8)), max_size=25)


def oracle(frames: list[Send]) -> list[tuple[int, int, int]]:
    """Delivery time, identifier and index of each frame, the slow and plain way."""
    left = sorted(enumerate(frames), key=lambda f: (f[1][0], f[0]))
    now, out = 0, []
    while left:
        now = max(now, min(f[1][0] for f in left))
        ready = [f for f in left if f[1][0] <= now]
        best = min(ready, key=lambda f: (f[1][2], f[1][0], f[0]))
        left.remove(best)
        index, (_, _, can_id, length) = best
        now += 2 * (55 + 10 * length)
        out.append((now, can_id, index))
    return out


@given(frames=sends)
def test_arbitration_is_that_of_a_plain_oracle(frames: list[Send]) -> None:
    t = tape()
    for index, (us, node, can_id, length) in enumerate(frames):
        t.kernel.at(us, t.nodes[node].send, can_id, bytes((index,)) * length)
    run(t.kernel, 0.1)
    expected = oracle(frames)
    assert [(f[0], f[1]) for f in t.frames] == [(at, can_id) for at, can_id, _ in expected]
    assert [f[2] for f in t.frames] == [bytes((index,)) * frames[index][3] for _, _, index in expected]
    assert t.bus.quiet


@given(frames=st.lists(st.tuples(times, st.integers(0, 3), st.integers(0, 0x7FF), st.just(8)), max_size=20))
def test_one_event_a_frame_unless_a_lower_identifier_comes_in_the_same_microsecond(
    frames: list[Send],
) -> None:
    frames = list({frame[0]: frame for frame in frames}.values())
    t = tape()
    for us, node, can_id, length in frames:
        t.kernel.at(us, t.nodes[node].send, can_id, bytes(length))
    run(t.kernel, 0.1)
    # One event a frame for its sending and one for its end; two of the main actor.
    assert t.kernel.events <= 2 * len(frames) + 2


# -- bus-off ---------------------------------------------------------------------------------------


def test_bus_off_drops_what_is_pending_and_neither_sends_nor_hears() -> None:
    t = tape()
    for can_id in (0x100, 0x200):
        t.nodes[0].send(can_id, b"")
    t.kernel.at(120, t.bus.set_dut_bus_off, True)
    t.kernel.at(121, t.nodes[1].send, 0x300, b"")
    t.kernel.at(600, t.nodes[0].send, 0x101, b"")
    t.kernel.at(1000, t.bus.set_dut_bus_off, False)
    t.kernel.at(1001, t.nodes[1].send, 0x301, b"")
    t.kernel.at(1500, t.nodes[0].send, 0x102, b"")
    run(t.kernel, 0.01)
    # 0x200 breaks off at 120 µs; the error frame takes 46 µs.
    assert [(f[0], f[1]) for f in t.frames] == [(110, 0x100), (276, 0x300), (1111, 0x301), (1610, 0x102)]
    assert [h[1] for h in t.heard[0]] == [0x301]
    assert t.states == [(120, True), (1000, False)]
    assert [h[1] for h in t.heard[3]] == [0x100, 0x300, 0x301, 0x102]


def test_a_frame_that_has_not_begun_is_dropped_without_a_trace() -> None:
    t = tape()
    t.nodes[0].send(0x100, b"")
    t.bus.set_dut_bus_off(True)
    t.nodes[1].send(0x200, b"")
    run(t.kernel, 0.01)
    assert [(f[0], f[1]) for f in t.frames] == [(110, 0x200)]


def test_bus_off_can_be_set_before_the_node_is_made_and_twice() -> None:
    kernel = Kernel()
    bus = SimBus(kernel)
    bus.set_dut_bus_off(True)
    bus.set_dut_bus_off(True)
    states: list[bool] = []
    node = bus.node("ecu", lambda _i, _d: None, None, on_state=states.append)
    assert node.bus_off
    bus.set_dut_bus_off(False)
    assert not node.bus_off
    assert states == [False]


# -- floods ----------------------------------------------------------------------------------------


def test_a_channel_frame_in_a_flood_waits_for_one_boundary_at_most() -> None:
    t = tape()
    t.kernel.at(100, t.bus.set_flood, True)
    t.kernel.at(500, t.nodes[1].send, 0x2A0, bytes(8))
    t.kernel.at(640, t.nodes[1].send, 0x2A0, bytes(8))
    t.kernel.at(3000, t.nodes[1].send, 0x7A0, b"")
    t.kernel.at(5000, t.bus.set_flood, False)
    run(t.kernel, 0.01)
    # Boundaries at 100 + 270 n. Diagnostics starve until the flood ends.
    assert [(f[0], f[1]) for f in t.frames] == [(910, 0x2A0), (1180, 0x2A0), (5230 + 110, 0x7A0)]
    assert t.floods == [(100, 270), (5000, None)]
    assert t.bus.quiet


def test_a_collapsed_flood_costs_no_events() -> None:
    t = tape()
    t.bus.set_flood(True)
    run(t.kernel, 100)
    assert t.kernel.events <= 2
    assert t.bus.quiet  # idle cycles may be skipped in a flood that costs nothing


def test_an_expanded_flood_sends_every_frame_and_everybody_hears_it() -> None:
    t = tape(collapse=False)
    t.bus.set_flood(True)
    t.kernel.at(20 * FLOOD_US - 1, t.bus.set_flood, False)
    run(t.kernel, 0.1)
    assert [f[0] for f in t.frames] == [FLOOD_US * n for n in range(1, 21)]
    assert [f[1] for f in t.frames] == [FLOOD_ID + n % 16 for n in range(20)]
    assert {f[3] for f in t.frames} == {FLOOD_SENDER}
    assert len(t.heard[0]) == 20
    assert t.floods == []


def test_a_node_that_is_bus_off_does_not_hear_the_flood() -> None:
    t = tape()
    t.bus.set_flood(True)
    t.kernel.at(10, t.bus.set_dut_bus_off, True)
    t.kernel.at(20, t.bus.set_dut_bus_off, False)
    t.kernel.at(30, t.bus.set_flood, False)
    run(t.kernel, 0.01)
    assert t.floods == [(0, 270), (10, None), (20, 270), (30, None)]


Op = tuple[int, str, int, int, int]
moves = st.one_of(
    st.tuples(times, st.just("send"), st.integers(0, 3), ids, st.integers(0, 8)),
    st.tuples(times, st.just("flood"), st.integers(0, 1), st.just(0), st.just(0)),
    st.tuples(times, st.just("off"), st.integers(0, 1), st.sampled_from((0, 0, 2)), st.just(0)),
)
ops = st.lists(moves, max_size=30)


def play(script: list[Op], collapse: bool, late: bool = False) -> Tape:
    """Late: at each instant the script's moves come after the bus's own events, else before them."""
    t = tape(collapse, answers=True)

    def move(index: int) -> None:
        _, what, a, b, c = script[index]
        if what == "send":
            # The DUT's answers have an identifier of their own: which of two equal ones in one microsecond
            # comes first is the order of events, and no matter of the bus.
            t.nodes[a].send(b if b != 0x1A0 else 0x1A1, bytes((index,)) * c)
        elif what == "flood":
            t.bus.set_flood(bool(a))
        else:
            t.bus.set_bus_off(("ecu", "", "module")[b], bool(a))

    def then(index: int) -> None:
        t.kernel.after(0, move, index)

    for index, (us, *_) in enumerate(script):
        t.kernel.at(us, then if late else move, index)
    t.kernel.at(50_000, t.bus.set_flood, False)
    run(t.kernel, 0.1)
    return t


def real(frames: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Without the expanded flood's frames, whose payload is zero."""
    return [f for f in frames if not (FLOOD_ID <= f[1] < 0x510 and f[2] == bytes(8))]


@given(script=ops)
@example(script=[(0, "flood", 1, 0, 0), (270, "send", 1, 0x7A0, 8), (540, "flood", 0, 0, 0)])
@example(script=[(0, "flood", 1, 0, 0), (10, "send", 0, 0x2A0, 8), (300, "off", 1, 0, 0)])
@example(script=[(0, "flood", 1, 0, 0), (0, "send", 0, 0x500, 1), (0, "send", 1, 0x501, 1)])
def test_a_collapsed_flood_is_an_expanded_one(script: list[Op]) -> None:
    script = [op for op in script if op[1] != "send" or op[4] != 8 or not FLOOD_ID <= op[3] < 0x510]
    small, large = play(script, True), play(script, False)
    others = [f for f in large.frames if f[3] != FLOOD_SENDER]
    event(f"flooded: {len(large.frames) > len(others)}")
    event(f"bus-off: {bool(large.states)}")
    assert small.frames == others
    assert small.heard == [real(log) for log in large.heard]
    assert small.states == large.states
    assert small.bus.quiet
    assert large.bus.quiet
    assert small.bus._flood_count == large.bus._flood_count


@given(script=ops, collapse=st.booleans())
@example(script=[(0, "send", 0, 0x100, 0), (110, "off", 1, 0, 0)], collapse=True)
@example(script=[(0, "send", 1, 0x100, 0), (110, "off", 1, 0, 0)], collapse=True)
@example(script=[(0, "send", 1, 0x100, 0), (110, "flood", 1, 0, 0)], collapse=False)
def test_the_order_of_events_within_a_microsecond_is_no_matter_of_the_bus(
    script: list[Op], collapse: bool
) -> None:
    # But for a node's own moves: sending and going bus-off at one instant.
    instants = {us for us, what, *_ in script if what == "off"}
    script = [op for op in script if op[1] != "send" or op[0] not in instants]
    early, late = play(script, collapse), play(script, collapse, late=True)
    assert early.frames == late.frames
    assert early.heard == late.heard
    assert early.bus._flood_count == late.bus._flood_count
