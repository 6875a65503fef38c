"""`rig vehicle` from outside: its HTTPS port, its control endpoint, its commands, its end."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from hardware.bench import load_bench
from hardware.live.commands import CommandError, execute
from hardware.live.control import Control
from hardware.live.holding import live
from hardware.live.vehicle import LiveOptions, LiveVehicle
from hardware.vehicle import rig_keys
from hardware.wire import LaneError
from rig.faults import CATALOGUE
from rig.ports import Unsupported
from rig.pump import realtime_loop
from rig.scenario import ScenarioError

ROOT = Path(__file__).resolve().parents[2]
EMPTY_S = 0.7
Act = Callable[[LiveVehicle], Awaitable[None]]


def held_up(act: Act, options: LiveOptions | None = None) -> None:
    """A vehicle in this process while a test's coroutine runs."""

    async def main() -> None:
        console: list[str] = []
        async with live(options or LiveOptions(seed=1), console=console.append) as vehicle:
            await until(lambda: vehicle.world.tcu.known_online and "reader ready" in console)
            # A card that comes within 500 ms of the reader's start counts as one that lay there.
            await asyncio.sleep(EMPTY_S)
            await act(vehicle)

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        runner.run(main())


def boots(vehicle: LiveVehicle) -> int:
    """How often the ECU has said that it is ready."""
    return sum(event[1] == "boot" for event in vehicle.tail)


async def until(done: Callable[[], bool], seconds: float = 8.0) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)


def test_phone_and_card_open_it_while_the_server_fails() -> None:
    async def act(vehicle: LiveVehicle) -> None:
        assert vehicle.locked == "locked"
        await vehicle.fail("server.500")
        assert "opened" not in await asyncio.wait_for(execute(vehicle, "state"), 1)
        assert "unlocked" in await execute(vehicle, "tap")
        assert vehicle.locked == "unlocked"
        assert await vehicle.heal() == ["server.500"]
        assert "locked" in await execute(vehicle, "lock cloud")
        assert vehicle.locked == "locked"
        assert "opened" in await execute(vehicle, "unlock cloud")

    held_up(act)


def test_a_reset_boots_it_and_moves_nothing() -> None:
    async def act(vehicle: LiveVehicle) -> None:
        before = boots(vehicle)
        await execute(vehicle, "reset")
        await until(lambda: boots(vehicle) == before + 1)
        assert vehicle.locked == "locked"

    held_up(act)


def test_wrong_commands_are_told_in_words() -> None:
    async def act(vehicle: LiveVehicle) -> None:
        for line, said in (
            ("sesame", "no command 'sesame'"),
            ("fault server.501", "server.50"),
            ("fault server.slow ms=1", "ms is from 100 to 20000"),
            ("fault server.slow s=1", "no parameter 's'"),
            ("fault server.slow ms", "no PARAM=VALUE"),
            ("fault", "which failure"),
            ("heal server.500", "does not hold"),
            ("modes nothing", "no domain"),
            ("tap mine", "no card 'mine'"),
            ("unlock window", "is no way"),
        ):
            with pytest.raises(CommandError, match=re.escape(said)):
                await execute(vehicle, line)
        assert "server.slow ms=3000" in await execute(vehicle, "modes server")

    held_up(act)


def test_every_mode_can_be_switched_or_says_why_not() -> None:
    async def act(vehicle: LiveVehicle) -> None:
        refused = []
        for mode in CATALOGUE:
            try:
                await vehicle.fail(mode)
                await vehicle.heal(mode)
            except Unsupported as error:
                refused.append(str(error))
        assert not vehicle.faults
        assert all("lacks" in reason for reason in refused)

    held_up(act)


def test_control_endpoint() -> None:
    async def act(vehicle: LiveVehicle) -> None:
        async with Control(vehicle) as control, aiohttp.ClientSession(control.url) as http:
            async with http.get("/state") as answer:
                state = await answer.json()
            assert state["state"] == "locked" and state["doors"]["FL"] == "locked" and state["online"]
            async with http.post("/faults/network.latency", json={"ms": 400}) as answer:
                assert await answer.json() == {"network.latency": {"ms": 400}}
            assert vehicle.world.internet.latency.value == 400
            async with http.post("/faults/network.latency", data="[1]") as answer:
                assert answer.status == 422
            async with http.post("/faults/nothing") as answer:
                assert answer.status == 422 and "no failure mode" in await answer.text()
            async with http.delete("/faults") as answer:
                assert await answer.json() == {}
            async with http.post("/command", data="tap") as answer:
                assert "unlocked" in await answer.text()
            async with http.get("/events", params={"since": "0"}) as answer:
                events = await answer.json()
            assert any(event[1] == "tap" for event in events["events"]) and events["next"] > 10
            async with http.get("/ca.pem") as answer:
                assert await answer.read() == vehicle.trust.ca_pem
            async with http.get("/modes") as answer:
                assert set(await answer.json()) == set(CATALOGUE)
            async with http.get("/state", headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403

    held_up(act)


def test_a_client_meets_real_faults_at_the_port() -> None:
    """One that knows nothing of the rig: sockets, TLS and HTTP of the system's."""

    async def act(vehicle: LiveVehicle) -> None:
        token = vehicle.world.server.sign_in()[0]
        tls = ssl.create_default_context(cadata=vehicle.trust.ca_pem.decode())
        url = f"{vehicle.places.server}/api/1/vehicles/{vehicle.world.vin}"

        async def ask() -> str:
            """A fresh connection each time."""
            timeout = aiohttp.ClientTimeout(total=1.0)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), timeout=timeout) as http:
                try:
                    async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                        return f"{answer.status} {await answer.text()}"
                except (aiohttp.ClientError, TimeoutError) as error:
                    return type(error).__name__

        assert '"state": "online"' in await ask()
        for mode, expected in (
            ("server.502", "502 <html>"),
            ("server.cert_expired", "ClientConnectorCertificateError"),
            ("server.cert_foreign", "ClientConnectorCertificateError"),
            ("server.cert_wrong_host", "ClientConnectorCertificateError"),
            ("server.refused", "ClientConnectorError"),
            ("server.hang", "TimeoutError"),
            ("server.truncated", "ClientPayloadError"),
            ("server.malformed", "200 <html>"),
            ("network.reset", "ClientOSError"),
            ("network.partition", "TimeoutError"),
        ):
            await vehicle.fail(mode)
            said = await ask()
            assert expected in said or (mode == "network.reset" and "Disconnected" in said), f"{mode}: {said}"
            await vehicle.heal(mode)
        await asyncio.sleep(0.05)
        assert '"state": "online"' in await ask()

    held_up(act)


def test_params_out_of_range_are_refused() -> None:
    async def act(vehicle: LiveVehicle) -> None:
        with pytest.raises(ScenarioError, match="ms is from"):
            await vehicle.fail("network.latency", {"ms": 1_000_000})
        assert not vehicle.faults

    held_up(act)


def test_bluetooth_opens_it_while_the_server_fails_and_the_card_while_both_do() -> None:
    pytest.importorskip("bumble", reason="needs the extra bluetooth")

    async def act(vehicle: LiveVehicle) -> None:
        await vehicle.fail("server.500")
        assert "opened" in await execute(vehicle, "unlock bluetooth")
        assert "locked" in await execute(vehicle, "lock bluetooth")
        await vehicle.fail("bluetooth.car_radio_off")
        assert "unlocked" in await execute(vehicle, "tap")

    held_up(act, LiveOptions(seed=1, bluetooth=True))


def test_a_bluetooth_host_outside_gets_a_controller() -> None:
    pytest.importorskip("bumble", reason="needs the extra bluetooth")

    async def act(vehicle: LiveVehicle) -> None:
        (spec,) = vehicle.places.hci
        _, host, port = spec.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(bytes.fromhex("01030c00"))
        # Command complete of HCI_Reset with status 0 (Core Specification, Vol 4, Part E, 7.3.2).
        assert await asyncio.wait_for(reader.readexactly(7), 2) == bytes.fromhex("040e0401030c00")
        writer.close()
        await writer.wait_closed()

    held_up(act, LiveOptions(seed=1, hci_ports=(0,)))


def test_a_client_that_others_wrote_unlocks_it_over_that_controller_while_the_server_fails() -> None:
    pytest.importorskip("bumble", reason="needs the extra bluetooth")
    pytest.importorskip("tesla_fleet_api", reason="needs the extra interop")
    from tesla_fleet_api.tesla.bluetooth import TeslaBluetooth
    from tesla_fleet_api.tesla.vehicle.bluetooth import VehicleBluetooth

    from hardware.bluetooth.bleakbackend import bleak_on

    key = rig_keys().phone.private

    async def act(vehicle: LiveVehicle) -> None:
        await vehicle.fail("server.500")
        async with bleak_on(vehicle.places.hci[0]):
            client = VehicleBluetooth(TeslaBluetooth(), vehicle.world.vin, key)
            await client.find_vehicle()
            assert (await client.door_unlock())["response"]["result"] is True
            await client.disconnect()
        assert vehicle.locked == "unlocked"

    held_up(act, LiveOptions(seed=1, hci_ports=(0,)))


def test_real_radios_carry_it_and_say_what_they_cannot() -> None:
    pytest.importorskip("bumble", reason="needs the extra bluetooth")
    from hardware.bluetooth.ether import Ether
    from hardware.bluetooth.hciport import serve

    async def main() -> None:
        ether, chance = Ether(asyncio.get_running_loop()), random.Random(1)
        servers = [await serve(ether, "127.0.0.1", 0, chance) for _ in range(2)]
        specs = [server.spec for server in servers]
        async with live(LiveOptions(seed=1, radios=(specs[0], specs[1]))) as vehicle:
            await until(lambda: boots(vehicle) > 0)
            assert "opened" in await execute(vehicle, "unlock bluetooth")
            with pytest.raises(CommandError, match="shielded box"):
                await execute(vehicle, "fault bluetooth.out_of_range")
        for server in servers:
            server.close()
        with pytest.raises(LaneError, match="cannot be opened"):
            async with live(LiveOptions(seed=1, radios=(specs[0], specs[1]))):
                raise AssertionError("there is no radio")

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        runner.run(main())


def test_the_ecu_of_a_bench_is_held_up_too() -> None:
    async def act(vehicle: LiveVehicle) -> None:
        assert "opened" in await execute(vehicle, "unlock cloud")
        with pytest.raises(CommandError, match="lacks"):
            await execute(vehicle, "fault can.log_flood")

    held_up(act, LiveOptions(seed=1, bench=load_bench("emulated")))


# -- as a process --------------------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`rig vehicle` on free ports; its files in tmp_path."""
    command = [sys.executable, "-m", "rig", "vehicle", "--seed", "1", "--out", str(tmp_path)]
    started = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said = ""
        assert started.stdout is not None
        while "reader ready" not in said:
            line = started.stdout.readline()
            assert line, said
            said += line
        time.sleep(EMPTY_S)
        yield started
    finally:
        started.kill()
        started.wait()


def script() -> str:
    """The ten lines of docs/vehicle.md."""
    page = (ROOT / "docs" / "vehicle.md").read_text(encoding="utf-8")
    found = re.search(r"```text\n(import asyncio, json, ssl\n.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_documented_client_unlocks_it_and_hears_of_a_500(process: subprocess.Popen[str], tmp_path: Path) -> None:
    pytest.importorskip("tesla_fleet_api", reason="needs the extra interop")
    known = json.loads((tmp_path / "vehicle.json").read_text(encoding="utf-8"))
    file = tmp_path / "unlock.py"
    file.write_text(script().replace("out/vehicle/vehicle.json", str(tmp_path / "vehicle.json")), encoding="utf-8")

    def unlock() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, timeout=60)

    done = unlock()
    assert "'result': True" in done.stdout, done.stderr

    async def control(method: str, path: str) -> str:
        async with aiohttp.ClientSession() as http, http.request(method, known["control"] + path) as answer:
            return await answer.text()

    assert '"state": "unlocked"' in asyncio.run(control("GET", "/state"))
    asyncio.run(control("POST", "/faults/server.500"))
    failed = unlock()
    assert failed.returncode != 0 and "InternalServerError" in failed.stderr


def test_ctrl_c_takes_the_supply_away_and_frees_the_port(process: subprocess.Popen[str], tmp_path: Path) -> None:
    known = json.loads((tmp_path / "vehicle.json").read_text(encoding="utf-8"))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert "the ECU's supply is off" in said and process.returncode == 0
    assert "Traceback" not in said
    port = int(known["server"].rpartition(":")[2])
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def test_commands_are_typed(process: subprocess.Popen[str]) -> None:
    said, _ = process.communicate("state\nfault nonsense\ntap\nstop\n", timeout=30)
    assert "failures: none" in said
    assert "no failure mode 'nonsense'" in said
    assert re.search(r"doors: unlocked", said)
    assert process.returncode == 0
