"""Whether everything that a bench names is there on this machine.

Looks, and opens no port.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import can
import serial

from hardware.bench import AIR, LANE, PTY, Bench, BluetoothSpec, CanSpec, DutSpec, SerialSpec


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check of a bench looked at.

    Attributes:
        port: "can", "reader", "console", "io", "bluetooth" or "dut".
        ok: whether it can be used.
        text: what was found.
        mend: what to do about it; empty if ok.
    """

    port: str
    ok: bool
    text: str
    mend: str = ""


def check_bench(bench: Bench) -> list[Finding]:
    """Looks whether everything that a bench names is there; opens no port.

    Returns:
        A finding for each port, the good ones too.
    """
    if bench.fidelity == "model":
        return [Finding("dut", ok=True, text="emulated ECU in process; needs nothing")]
    if bench.fidelity == "stack":
        dut = Finding("dut", ok=True, text="emulated ECU in process")
        return [dut, _check_cloud(), _check_bluetooth(BluetoothSpec(AIR, AIR))]
    findings = [_check_dut(bench.dut)]
    for lane in range(bench.lanes):
        if bench.can is not None:
            findings.append(_check_can(bench.can, lane))
        findings += [_check_serial(name, line, lane) for name, line in bench.serial_lines.items()]
    if bench.bluetooth is not None:
        findings.append(_check_bluetooth(bench.bluetooth))
    if bench.https:
        findings.append(_check_cloud())
    # Lanes on pseudo-terminals differ in nothing.
    return list(dict.fromkeys(findings))


def _check_dut(dut: DutSpec) -> Finding:
    if dut.kind == "external":
        return Finding("dut", ok=True, text="external; must be powered through the I/O line")
    program = dut.command[0]
    if shutil.which(program) is None:
        return Finding(
            "dut", ok=False, text=f"{program} is not there", mend="mend command in [dut], or install it"
        )
    if dut.memory != "temporary":
        folder = Path(dut.memory).resolve().parent
        if not os.access(folder, os.W_OK):
            return Finding(
                "dut", ok=False, text=f"memory: {folder} cannot be written to", mend="make the folder"
            )
    return Finding("dut", ok=True, text=f"emulated ECU process, started by {' '.join(dut.command)}")


def _check_can(spec: CanSpec, lane: int) -> Finding:
    channel = spec.channel.replace(LANE, str(lane))
    if spec.interface == "slcan":
        if channel == PTY:
            return _check_pty("can")
        return _check_device("can", channel)
    try:
        importlib.import_module(can.interfaces.BACKENDS[spec.interface][0])
    except (ImportError, OSError) as error:
        return Finding(
            "can", ok=False, text=f"interface {spec.interface} cannot be loaded ({error})",
            mend="install its driver, see python-can's page on it",
        )  # fmt: skip
    if spec.interface == "socketcan":
        return _check_socketcan(channel)
    return Finding(
        "can", ok=True, text=f"{spec.interface} {channel}: driver loads (the adapter was not asked)"
    )


def _check_socketcan(channel: str) -> Finding:
    if not sys.platform.startswith("linux"):
        return Finding("can", ok=False, text="SocketCAN exists on Linux alone", mend="use another interface")
    try:
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except OSError:
        return Finding(
            "can", ok=False, text="this system's kernel has no SocketCAN",
            mend="run under `ci/vcan.sh COMMAND`, which brings a kernel that has it, or use --bench emulated",
        )  # fmt: skip
    state = Path("/sys/class/net") / channel / "operstate"
    flags = Path("/sys/class/net") / channel / "flags"
    if not state.exists():
        mend = (
            f"as root: modprobe vcan; ip link add dev {channel} type vcan; ip link set {channel} up; "
            "or run under `ci/vcan.sh COMMAND`"
            if "vcan" in channel
            else "is the adapter plugged in? `ip -details link show type can` lists what is"
        )
        return Finding("can", ok=False, text=f"there is no network interface {channel}", mend=mend)
    if not int(flags.read_text(), 16) & 1:  # IFF_UP
        bitrate = "" if "vcan" in channel else " type can bitrate 500000"
        return Finding(
            "can", ok=False, text=f"{channel} is down", mend=f"as root: ip link set {channel} up{bitrate}"
        )
    return Finding("can", ok=True, text=f"socketcan {channel} is up")


def _check_serial(name: str, line: SerialSpec, lane: int) -> Finding:
    if line.port == PTY:
        return _check_pty(name)
    return _check_device(name, line.port.replace(LANE, str(lane)))


def _check_cloud() -> Finding:
    if importlib.util.find_spec("aiohttp") is None:
        return Finding("cloud", ok=False, text="aiohttp is not installed", mend='pip install "unlock-rig[links]"')
    return Finding("cloud", ok=True, text="HTTPS between phone, server and car, on aiohttp")


def _check_bluetooth(spec: BluetoothSpec) -> Finding:
    if importlib.util.find_spec("bumble") is None:
        return Finding(
            "bluetooth", ok=False, text="Bumble is not installed", mend='pip install "unlock-rig[bluetooth]"'
        )
    if spec.simulated:
        return Finding("bluetooth", ok=True, text="Bumble on the rig's simulated air")
    return Finding("bluetooth", ok=True, text=f"module {spec.module}, phone {spec.phone} (not asked)")


def _check_pty(name: str) -> Finding:
    if sys.platform == "win32" or not Path("/dev/ptmx").exists():
        return Finding(
            name, ok=False, text="this system has no pseudo-terminals",
            mend='use --bench model, or give COM ports or socket:// URLs instead of "pty"',
        )  # fmt: skip
    return Finding(name, ok=True, text="pseudo-terminal, made by the ECU's process")


def _check_device(name: str, port: str) -> Finding:
    if "://" in port:
        try:
            serial.serial_for_url(port, do_not_open=True)
        except (ValueError, serial.SerialException) as error:
            return Finding(
                name,
                ok=False,
                text=f"{port}: {error}",
                mend="pyserial knows socket://, rfc2217://, hwgrep://, spy://",
            )
        return Finding(name, ok=True, text=f"{port} (not asked whether it answers)")
    if sys.platform == "win32":
        return Finding(name, ok=True, text=f"{port} (not looked for)")
    if not Path(port).exists():
        return Finding(
            name, ok=False, text=f"{port} is not there",
            mend="is the adapter plugged in? `python -m serial.tools.list_ports` lists what is",
        )  # fmt: skip
    if not os.access(port, os.R_OK | os.W_OK):
        return Finding(
            name, ok=False, text=f"{port} may not be opened by this user",
            mend='join the group that owns it (often "dialout") and log in again',
        )  # fmt: skip
    return Finding(name, ok=True, text=f"{port} is there")
