"""Bluetooth in real time: the rig's air and real transports by one string, a dongle that is pulled, what is refused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("bumble", reason="needs the extra bluetooth")

from hardware.bench import Bench, BenchError, BluetoothSpec, load_bench
from hardware.bluetooth.air import bumble_air
from hardware.bluetooth.ether import Ether
from hardware.bluetooth.hciport import HciPort, HciServer, serve
from hardware.bluetooth.radios import CANNOT
from hardware.bytestream import ByteStream, open_pty
from hardware.stack import emulated_stack
from hardware.wire import LaneError, WireLane
from hardware.wirerun import play
from rig.faults import CATALOGUE
from rig.ports import Unsupported
from rig.pump import realtime_loop
from rig.scenario import Carry, Entry, Fault, Intent, Scenario
from rig.trace import Trace
from rig.world.links import Links
from rig.world.world import Watch

WATCH = Watch(relock_us=0, opened_us=0)
MADE = (
    "bluetooth.answer_lost", "bluetooth.write_failed_executed", "bluetooth.bond_lost_phone", "bluetooth.bond_lost_car",
    "bluetooth.wrong_key", "bluetooth.mtu_23", "bluetooth.chunk_lost", "bluetooth.controller_reset",
    "bluetooth.stack_stuck", "bluetooth.car_radio_off", "bluetooth.radio_off",
)  # fmt: skip
WISH = Intent("unlock", 500_000, "bluetooth")


class Wire(asyncio.Transport):
    """A pseudo-terminal as an asyncio transport."""

    def __init__(self, stream: ByteStream) -> None:
        super().__init__()
        self._stream = stream

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._stream.write(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self._stream.close()


def run(story: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        runner.run(_all(story))


async def _all(story: Callable[[], Awaitable[None]]) -> None:
    before = asyncio.all_tasks()
    await story()
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before, "a run left tasks behind"


def bench(module: str, phone: str) -> Bench:
    """The embedded bench with other radios, and slack for a machine that is busy with other tests."""
    return replace(load_bench("emulated"), bluetooth=BluetoothSpec(module, phone), stall_ms=500, uncertainty_ms=500)


async def controllers() -> tuple[HciServer, HciServer]:
    """Two controllers that hear each other, each behind a TCP port of its own."""
    ether, rng = Ether(asyncio.get_running_loop()), random.Random(1)
    return await serve(ether, "127.0.0.1", 0, rng), await serve(ether, "127.0.0.1", 0, rng)


async def plays(where: Bench, *entries: Entry) -> Trace:
    async with WireLane(where) as lane:
        return await play(lane, Scenario(carry=Carry(session="warm"), timeline=entries), WATCH)


def told(trace: Trace) -> list[object]:
    return [event[3] for event in trace.of("told")]


def test_it_unlocks_on_the_rigs_air_and_through_transports_alike() -> None:
    """One string differs, and nothing else; and so with the controller stuck for a while."""

    async def story() -> None:
        module, phone = await controllers()
        stuck = Fault("bluetooth.stack_stuck", 0, 2_000_000)
        runs = await asyncio.gather(
            plays(bench("air", "air"), WISH),
            plays(bench(module.spec, phone.spec), WISH),
            plays(bench("air", "air"), stuck, WISH),
        )
        assert [told(trace) for trace in runs] == [["opened"]] * 3
        module.close()
        phone.close()

    run(story)


def test_unix_sockets_and_serial_lines_are_transports_like_any_other(tmp_path: Path) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        ether, rng = Ether(loop), random.Random(2)
        server = await loop.create_unix_server(lambda: HciPort(ether, rng), tmp_path / "module")
        stream, path = open_pty(loop, "controller")
        controller = HciPort(ether, rng)
        controller.connection_made(Wire(stream))
        stream.on_bytes(controller.data_received)
        trace = await plays(bench(f"unix:{tmp_path / 'module'}", f"serial:{path},115200"), WISH)
        assert told(trace) == ["opened"]
        controller.connection_lost(None)
        stream.close()
        server.close()

    run(story)


def test_real_radios_make_what_they_can() -> None:
    """Each mode does what it does in virtual time; afterwards the next wish works. All at once, to take 20 s."""
    virtual = emulated_stack(lambda loop: Links(air=bumble_air(loop)))
    scenarios = {}
    for mode in MADE:
        spell = Fault(mode, 0, None if CATALOGUE[mode].state else 11_500_000)
        wishes = (WISH,) if CATALOGUE[mode].state else (WISH, Intent("lock", 13_000_000, "bluetooth"))
        scenarios[mode] = Scenario(carry=Carry(session="warm"), timeline=(spell, *wishes))
    expected = {mode: told(virtual.run(scenario, WATCH)) for mode, scenario in scenarios.items()}
    assert all(said[-1] == "locked" for mode, said in expected.items() if not CATALOGUE[mode].state)

    async def one(mode: str) -> tuple[str, list[object]]:
        module, phone = await controllers()
        trace = await plays(bench(module.spec, phone.spec), *scenarios[mode].timeline)
        module.close()
        phone.close()
        return mode, told(trace)

    async def story() -> None:
        assert dict(await asyncio.gather(*(one(mode) for mode in MADE))) == expected

    run(story)


def test_a_dongle_that_is_pulled_makes_the_run_inconclusive_and_is_named() -> None:
    async def story() -> None:
        module, phone = await controllers()
        asyncio.get_running_loop().call_later(2.0, module.pull)
        trace = await plays(bench(module.spec, phone.spec), WISH)
        lost = list(trace.of("lost"))
        assert len(lost) == 1 and "the module's radio" in str(lost[0][2])
        module.close()
        phone.close()

    run(story)


def test_a_radio_that_is_not_there_is_a_fault_of_the_bench() -> None:
    async def story() -> None:
        with pytest.raises(LaneError, match=r"the module's radio tcp-client:127\.0\.0\.1:1 cannot be opened"):
            await plays(bench("tcp-client:127.0.0.1:1", "tcp-client:127.0.0.1:2"), WISH)

    run(story)


@pytest.mark.parametrize("mode", CANNOT)
def test_what_only_the_air_could_do_is_unsupported_with_real_radios(mode: str) -> None:
    async def story() -> None:
        with pytest.raises(Unsupported, match=mode):
            await plays(bench("usb:0", "usb:1"), Fault(mode, 0, 1_000_000), WISH)

    run(story)


# -- bench files -----------------------------------------------------------------------------------------

EMULATED = """
name = "radios"
fidelity = "wire"
uncertainty_ms = 20

[dut]
kind = "emulated"

[can]
interface = "slcan"
channel = "pty"

[reader]
port = "pty"

[console]
port = "pty"

[io]
port = "pty"
"""


def load(folder: Path, more: str) -> Bench:
    path = folder / "radios.toml"
    path.write_text(EMULATED + more)
    return load_bench(path)


def test_a_bench_without_a_table_keeps_the_model_and_one_with_it_has_radios(tmp_path: Path) -> None:
    assert load(tmp_path, "").bluetooth is None
    simulated = load(tmp_path, "[bluetooth]\n").bluetooth
    assert simulated is not None and simulated.simulated
    real = load(tmp_path, '[bluetooth]\nmodule = "usb:0"\nphone = "serial:/dev/ttyACM3,1000000"\n')
    assert real.bluetooth == BluetoothSpec("usb:0", "serial:/dev/ttyACM3,1000000")
    assert set(real.shared) == {"bluetooth usb:0", "bluetooth serial:/dev/ttyACM3,1000000"}


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ('module = "bluetooth0"\nphone = "usb:1"', "is no radio"),
        ('module = "usb:0"', "does not hear the simulated air"),
        ('module = "usb:0"\nphone = "usb:0"', "the same radio"),
    ],
)
def test_mistakes_are_named_with_their_mend(tmp_path: Path, table: str, what: str) -> None:
    with pytest.raises(BenchError, match=what):
        load(tmp_path, f"[bluetooth]\n{table}\n")


def test_lanes_cannot_share_real_radios(tmp_path: Path) -> None:
    lanes = EMULATED.replace("uncertainty_ms = 20", "uncertainty_ms = 20\nlanes = 2")
    path = tmp_path / "radios.toml"
    path.write_text(lanes + '[bluetooth]\nmodule = "usb:0"\nphone = "usb:1"\n')
    with pytest.raises(BenchError, match="lanes would share two radios"):
        load_bench(path)
