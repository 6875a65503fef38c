"""What every body CAN of a bench must do, simulated or real."""

from __future__ import annotations

import pytest

from rig.channels import Channel
from rig.kernel_errors import Timeout
from rig.ports import Unsupported
from tests.hardware.conftest import CanBench, RunCan

Frame = tuple[int, bytes]
BURST = [(0x2A0 + i % 16, bytes([i, *range(i % 8)])) for i in range(147)]
"""As long as the longest ISO-TP transfer of the vehicle-command channels."""


def nobody(can_id: int, data: bytes) -> None:
    """A node that only sends."""


def test_every_length_arrives_unchanged_both_ways(run_can: RunCan) -> None:
    async def story(bench: CanBench) -> None:
        at_dut: Channel[Frame] = Channel(bench.kernel, "dut")
        at_rig: Channel[Frame] = Channel(bench.kernel, "rig")
        dut = bench.dut(lambda i, d: at_dut.put((i, d)))
        rig = bench.rig.node("gateway", lambda i, d: at_rig.put((i, d)), None)
        for length in range(9):
            data = bytes(range(0xF0, 0xF0 + length))
            rig.send(0x1B0 + length, data)
            assert await at_dut.recv(2) == (0x1B0 + length, data)
            dut.send(0x7FF - length, data)
            assert await at_rig.recv(2) == (0x7FF - length, data)

    run_can(story)


def test_a_burst_of_one_sender_arrives_complete_and_in_order(run_can: RunCan) -> None:
    async def story(bench: CanBench) -> None:
        heard: Channel[Frame] = Channel(bench.kernel, "heard")
        dut = bench.dut(nobody)
        bench.rig.node("tcu", lambda i, d: heard.put((i, d)), None)
        # One identifier: arbitration must not reorder what one sender says in one channel.
        for _, data in BURST:
            dut.send(0x2A8, data)
        assert [await heard.recv(2) for _ in BURST] == [(0x2A8, data) for _, data in BURST]

    run_can(story)


def test_a_burst_to_the_dut_arrives_complete_and_in_order(run_can: RunCan) -> None:
    async def story(bench: CanBench) -> None:
        heard: Channel[Frame] = Channel(bench.kernel, "heard")
        bench.dut(lambda i, d: heard.put((i, d)))
        rig = bench.rig.node("tcu", nobody, None)
        for _, data in BURST:
            rig.send(0x2A0, data)
        assert [await heard.recv(2) for _ in BURST] == [(0x2A0, data) for _, data in BURST]

    run_can(story)


def test_a_node_hears_only_its_identifiers_and_never_itself(run_can: RunCan) -> None:
    async def story(bench: CanBench) -> None:
        some: list[int] = []
        everything: Channel[int] = Channel(bench.kernel, "all")
        own: list[int] = []
        dut = bench.dut(nobody)
        bench.rig.node("some", lambda i, d: some.append(i), frozenset({0x1A0, 0x1B0}))
        bench.rig.node("all", lambda i, d: everything.put(i), None)
        gateway = bench.rig.node("gateway", lambda i, d: own.append(i), frozenset({0x1B0, 0x1C0}))
        gateway.send(0x1B0, b"")
        assert await everything.recv(2) == 0x1B0
        gateway.send(0x1C0, b"")
        assert await everything.recv(2) == 0x1C0
        for can_id in (0x1A0, 0x1A1, 0x1A2):
            dut.send(can_id, b"\x01")
            assert await everything.recv(2) == can_id
        assert some == [0x1B0, 0x1A0]
        assert own == []

    run_can(story)


def test_the_log_sees_every_frame_with_its_sender(run_can: RunCan) -> None:
    async def story(bench: CanBench) -> None:
        heard: Channel[Frame] = Channel(bench.kernel, "heard")
        dut = bench.dut(lambda i, d: heard.put((i, d)))
        gateway = bench.rig.node("gateway", lambda i, d: heard.put((i, d)), None)
        gateway.send(0x1B0, b"\x01")
        await heard.recv(2)
        dut.send(0x1A0, b"\x02")
        await heard.recv(2)
        assert bench.frames == [(0x1B0, b"\x01", "gateway"), (0x1A0, b"\x02", "ecu")]

    run_can(story)


def test_a_dut_off_the_bus_neither_sends_nor_hears_until_it_is_back(run_can: RunCan) -> None:
    async def story(bench: CanBench) -> None:
        at_dut: Channel[Frame] = Channel(bench.kernel, "dut")
        at_rig: Channel[Frame] = Channel(bench.kernel, "rig")
        dut = bench.dut(lambda i, d: at_dut.put((i, d)))
        rig = bench.rig.node("gateway", lambda i, d: at_rig.put((i, d)), None)
        other: Channel[Frame] = Channel(bench.kernel, "other")
        bench.rig.node("other", lambda i, d: other.put((i, d)), frozenset({0x1B0}))
        bench.rig.set_dut_bus_off(False)
        try:
            bench.rig.set_dut_bus_off(True)
        except Unsupported:
            return
        await bench.kernel.sleep(0.05)
        rig.send(0x1B0, b"lost")
        dut.send(0x1A0, b"lost")
        assert await other.recv(2) == (0x1B0, b"lost")
        with pytest.raises(Timeout):
            await at_dut.recv(0.05)
        assert len(at_rig) == 0
        bench.rig.set_dut_bus_off(False)
        await bench.kernel.sleep(0.05)
        rig.send(0x1B0, b"back")
        assert await at_dut.recv(2) == (0x1B0, b"back")
        dut.send(0x1A0, b"back")
        assert await at_rig.recv(2) == (0x1A0, b"back")

    run_can(story)


def test_a_flood_is_made_or_refused_with_a_reason(run_can: RunCan) -> None:
    async def story(bench: CanBench) -> None:
        bench.dut(nobody)
        bench.rig.set_flood(False)
        try:
            bench.rig.set_flood(True)
        except Unsupported as refusal:
            reason = str(refusal)
        else:
            bench.rig.set_flood(False)
            reason = "no flood was refused"
        assert "flood" in reason

    run_can(story)
