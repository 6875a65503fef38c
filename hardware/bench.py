"""A bench: where each line of one DUT is, who plays the DUT, and how exactly time is known there.

Loads bench files; opens nothing and knows nothing of scenarios.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

import can

from hardware.benchfile import BenchError, Scalar, Table
from hardware.slcan import BITRATE_CODES

__all__ = [
    "Bench",
    "BenchError",
    "BluetoothSpec",
    "CanSpec",
    "DutSpec",
    "SerialSpec",
    "list_benches",
    "load_bench",
]

Fidelity = Literal["model", "stack", "wire"]
PTY = "pty"
"""In place of a port: the emulated ECU's process makes a pseudo-terminal."""
LANE = "{lane}"
"""In a channel or port: replaced by the number of the lane, 0 to lanes - 1."""
AIR = "air"
"""In place of a radio: the rig's simulated air."""
TRANSPORTS = ("serial", "usb", "pyusb", "tcp-client", "unix", "unix-client", "pty", "hci-socket", "ws-client")
"""Those of Bumble's that reach a controller."""
MAX_LANES = 64
BAUDRATE = 115_200
"""vehicle.md: reader and console are 115200 baud, 8N1."""
OWN_BENCHES = Path("benches")
"""Folder below the current one where a lab keeps its bench files."""


@dataclass(frozen=True, slots=True)
class CanSpec:
    """Where the body CAN is.

    Attributes:
        interface: "slcan" (the rig's own, over any port) or any other python-can interface.
        channel: what that interface calls it, or "pty".
        bitrate: bits a second.
        options: what else the interface wants.
    """

    interface: str
    channel: str
    bitrate: int
    options: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SerialSpec:
    """Where a serial or text line is.

    Attributes:
        port: a device, any pyserial URL, or "pty".
        baudrate: bits a second, 8N1.
    """

    port: str
    baudrate: int = BAUDRATE


@dataclass(frozen=True, slots=True)
class BluetoothSpec:
    """Which radios the Bluetooth link has.

    Attributes:
        module: "air" (the rig's simulated one) or a Bumble transport: serial:, usb:, tcp-client:, unix: …
        phone: the same for the phone; both or neither are on the simulated air.
    """

    module: str
    phone: str

    @property
    def simulated(self) -> bool:
        """Whether the air is the rig's own."""
        return self.module == AIR


@dataclass(frozen=True, slots=True)
class DutSpec:
    """Who plays the DUT.

    Attributes:
        kind: "emulated" (this project's ECU) or "external" (a part on the bench).
        command: how the ECU's process is started; its own options are added.
        memory: path of its non-volatile memory, or "temporary".
    """

    kind: Literal["emulated", "external"]
    command: tuple[str, ...]
    memory: str


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench file.

    Attributes:
        name: short name.
        text: one line on what it is.
        fidelity: "model" (in process, virtual time), "stack" (the same with real stacks on the outer links) or "wire"
            (real time, real lines).
        dut: who plays the DUT.
        uncertainty_ms: what a measured time may be off by; verdicts nearer to a limit are conditional.
        stall_ms: from this lateness of rig or ECU process on, a run is inconclusive.
        lanes: how many DUTs may be used at once.
        can, reader, console, io: where the lines are; None in virtual time.
        path: the file it came from.
        bluetooth: the radios; None: the link stays a model, in real time too.
        https: phone, server and car speak HTTPS on loopback; False: that link stays a model, in real time too.
    """

    name: str
    text: str
    fidelity: Fidelity
    dut: DutSpec
    uncertainty_ms: int
    stall_ms: int
    lanes: int
    can: CanSpec | None
    reader: SerialSpec | None
    console: SerialSpec | None
    io: SerialSpec | None
    path: Path
    bluetooth: BluetoothSpec | None = None
    https: bool = False

    @property
    def serial_lines(self) -> dict[str, SerialSpec]:
        """The serial and text lines by name."""
        lines = {"reader": self.reader, "console": self.console, "io": self.io}
        return {name: line for name, line in lines.items() if line is not None}

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of all that two rigs could fight over; empty if everything is made afresh for each."""
        ports = [f"serial {line.port}" for line in self.serial_lines.values() if line.port != PTY]
        if self.can is not None and self.can.channel != PTY:
            ports.insert(0, f"can {self.can.interface} {self.can.channel}")
        if self.dut.kind == "emulated" and self.fidelity == "wire" and self.dut.memory != "temporary":
            ports.append(f"memory {self.dut.memory}")
        if self.bluetooth is not None and not self.bluetooth.simulated:
            ports += [f"bluetooth {self.bluetooth.module}", f"bluetooth {self.bluetooth.phone}"]
        lanes = range(self.lanes)
        return tuple(dict.fromkeys(port.replace(LANE, str(lane)) for lane in lanes for port in ports))


def _packaged() -> Path:
    return Path(str(files("hardware") / "benches"))


def list_benches() -> list[str]:
    """Names of the benches that come with the rig and of those in ./benches, sorted."""
    names = {path.stem for folder in (_packaged(), OWN_BENCHES) for path in folder.glob("*.toml")}
    return sorted(names)


def load_bench(name_or_path: str | Path) -> Bench:
    """Loads a bench by name (./benches first, then those that come with the rig) or by path.

    Raises:
        BenchError: there is none, or its file has a mistake; names file, line and mend.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or os.sep in text:
        return _read(Path(text))
    for folder in (OWN_BENCHES, _packaged()):
        path = folder / f"{text}.toml"
        if path.is_file():
            return _read(path)
    raise BenchError(
        None,
        None,
        f'there is no bench "{text}"',
        f"there are {', '.join(list_benches())}; or give a path to a .toml file",
    )


def _read(path: Path) -> Bench:
    top = Table.load(path)
    name = top.text("name", default=path.stem)
    text = top.text("text", default=name)
    fidelity = cast(Fidelity, top.text("fidelity", choices=get_args(Fidelity)))
    wire = fidelity == "wire"
    dut = _read_dut(top.table("dut", 'who plays the DUT: kind = "emulated" or "external"'))
    if dut.kind == "external" and not wire:
        raise top.error("fidelity", "an external DUT cannot run in virtual time", 'use fidelity = "wire"')
    uncertainty = top.whole("uncertainty_ms", 1, 1000, None if wire else 1)
    stall = top.whole("stall_ms", 1, 1000, uncertainty)
    if stall > uncertainty:
        raise top.error(
            "stall_ms",
            f"stall_ms ({stall}) is above uncertainty_ms ({uncertainty})",
            "a shorter stall would go unnoticed and still spoil a measured time: lower it",
        )
    lanes = top.whole("lanes", 1, MAX_LANES, 1)
    body = _read_can(top.table("can", "where the body CAN is")) if wire or top.has("can") else None
    lines = {
        key: _read_serial(top.table(key, f"where the {key} line is"))
        for key in ("reader", "console", "io")
        if wire or top.has(key)
    }
    bluetooth = None
    if top.has("bluetooth"):
        if not wire:
            raise top.error("bluetooth", "radios are in real time", 'use fidelity = "wire", or remove the table')
        bluetooth = _read_bluetooth(top.table("bluetooth", "which radios the Bluetooth link has"))
    https = False
    if top.has("cloud"):
        if not wire:
            raise top.error("cloud", "loopback is in real time", 'use fidelity = "wire", or remove the table')
        https = _read_cloud(top.table("cloud", "what phone, server and car speak"))
    top.end()
    bench = Bench(
        name, text, fidelity, dut, uncertainty, stall, lanes,
        body, lines.get("reader"), lines.get("console"), lines.get("io"), path, bluetooth, https,
    )  # fmt: skip
    _check_ports(top, bench)
    return bench


def _read_dut(table: Table) -> DutSpec:
    kind = cast(Literal["emulated", "external"], table.text("kind", choices=("emulated", "external")))
    if kind == "external":
        for key in ("command", "memory"):
            if table.has(key):
                raise table.error(key, f"an external DUT has no {key}", "remove the line")
    command = table.texts("command", (sys.executable, "-m", "hardware.ecuprocess"))
    memory = table.text("memory", "temporary")
    table.end()
    return DutSpec(kind, command, memory)


def _read_can(table: Table) -> CanSpec:
    interfaces = sorted(can.VALID_INTERFACES)
    interface = table.text("interface", choices=interfaces)
    channel = table.text("channel")
    bitrate = table.whole("bitrate", 10_000, 1_000_000, 500_000)
    if interface == "slcan" and bitrate not in BITRATE_CODES:
        raise table.error(
            "bitrate",
            f"slcan has no code for {bitrate} bit/s",
            f"it has {', '.join(map(str, BITRATE_CODES))}",
        )
    if channel == PTY and interface != "slcan":
        raise table.error(
            "channel", f"{interface} cannot run on a pseudo-terminal", 'use interface = "slcan"'
        )
    options = table.scalars("options")
    if "bitrate" in options or "channel" in options or "interface" in options:
        raise table.error("options", "options repeat a key of [can]", "set it in [can] alone")
    if options.get("receive_own_messages"):
        raise table.error(
            "options", "the rig would take its own frames for the DUT's", "remove receive_own_messages"
        )
    table.end()
    return CanSpec(interface, channel, bitrate, MappingProxyType(options))


def _read_serial(table: Table) -> SerialSpec:
    line = SerialSpec(table.text("port"), table.whole("baudrate", 300, 4_000_000, BAUDRATE))
    table.end()
    return line


def _read_bluetooth(table: Table) -> BluetoothSpec | None:
    module = table.text("module", AIR)
    phone = table.text("phone", AIR)
    for key, value in (("module", module), ("phone", phone)):
        kind = value.partition(":")[0]
        if value != AIR and (kind not in TRANSPORTS or ":" not in value):
            raise table.error(
                key,
                f'"{value}" is no radio',
                f'use "{AIR}", or a Bumble transport: {", ".join(f"{name}:" for name in TRANSPORTS)}',
            )
    if (module == AIR) != (phone == AIR):
        raise table.error("phone", "a real radio does not hear the simulated air", "give both a transport, or neither")
    if module == phone and module != AIR:
        raise table.error("phone", "module and phone are the same radio", "each needs one of its own")
    table.end()
    return BluetoothSpec(module, phone)


def _read_cloud(table: Table) -> bool:
    speaks = table.text("server", choices=("https", "model"))
    table.end()
    return speaks == "https"


def _check_ports(top: Table, bench: Bench) -> None:
    """What must hold between the tables of a file."""
    ports = {name: line.port for name, line in bench.serial_lines.items()}
    if bench.can is not None:
        ports["can"] = bench.can.channel
    used: dict[str, str] = {}
    for name, port in ports.items():
        if port == PTY:
            if bench.dut.kind == "external":
                raise top.error(
                    name,
                    f'{name} is "pty", but nobody makes one for an external DUT',
                    "give its device or URL",
                )
            continue
        if port in used:
            raise top.error(
                name, f"{name} and {used[port]} are both {port}", "each line needs a port of its own"
            )
        used[port] = name
        if bench.lanes > 1 and LANE not in port:
            raise top.error(
                name, f"{bench.lanes} lanes would share {port}", f"put {LANE} in its name, or set lanes = 1"
            )
    if bench.lanes > 1 and bench.bluetooth is not None and not bench.bluetooth.simulated:
        raise top.error("lanes", f"{bench.lanes} lanes would share two radios", "set lanes = 1")
    if bench.lanes > 1 and bench.dut.memory != "temporary" and LANE not in bench.dut.memory:
        raise top.error("dut", f"{bench.lanes} lanes would share one memory", f"put {LANE} in its name")
