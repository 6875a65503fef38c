"""`rig faults`: the catalogue of failure modes, the steps they can be placed at, and which benches can make them."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from hardware.model import CAPABILITIES as MODEL_CAN
from hardware.wire import CAPABILITIES as WIRE_CAN
from rig.cli.words import PASS, USAGE, add_command, complain, console
from rig.faults import CATALOGUE, DOMAINS, NEEDS, PATHS, STEPS, Mode, Param, modes

if TYPE_CHECKING:
    from rich.console import Console

    from rig.cli.words import Commands

DESCRIPTION = """\
Lists what can be made to fail: each mode with its domain, its parameters, what it breaks and on which benches it can
be made: `model` (virtual time), `emulated` (the ECU process behind slcan and pseudo-terminals), `wire` (any other real
lines). `rig faults NAME` tells all of one mode."""
EPILOG = """\
examples:
  rig faults
  rig faults --domain bluetooth
  rig faults server.429
  rig faults --steps
  rig faults --json"""
FORMAT = "unlock-rig/faults/1"

BENCHES = ("model", "emulated", "wire")
"""Kinds of benches that differ in what they can make fail: virtual time; the ECU process on pseudo-terminals and slcan,
which can leave the bus; any other real lines, such as vcan or a lab's."""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "faults", "the failure modes that can be made", DESCRIPTION, EPILOG)
    command.add_argument("name", nargs="?", metavar="NAME", help="a mode, to see it in full")
    command.add_argument("--domain", metavar="D", help=f"only the modes of {', '.join(DOMAINS)}")
    command.add_argument("--json", action="store_true", help="print a JSON document")
    command.add_argument("--steps", action="store_true", help="list the steps that faults can be placed at")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the list, or one mode."""
    if options.domain is not None and options.domain not in DOMAINS:
        complain(f"--domain {options.domain}: there is no such domain; known are {', '.join(DOMAINS)}")
        return USAGE
    if options.name is not None and options.name not in CATALOGUE:
        complain(f"there is no mode {options.name!r}{_near(options.name)}; `rig faults` lists them all")
        return USAGE
    chosen = [m for m in CATALOGUE.values() if options.domain in (None, m.domain) and options.name in (None, m.name)]
    out = console()
    if options.json:
        # Not through rich, which would fold long lines of a terminal.
        print(json.dumps(document(chosen), indent=1, ensure_ascii=False))
    elif options.steps:
        _print_steps(out)
    elif options.name is not None:
        _print_mode(out, chosen[0])
    elif out.is_terminal:
        _print_table(out, chosen)
    else:
        for mode in chosen:
            out.print(_line(mode), markup=False)
    return PASS


def fidelities(mode: Mode) -> tuple[str, ...]:
    """The kinds of benches that can make a mode, from what their lines say they can do."""
    able = {
        "model": MODEL_CAN,
        "emulated": WIRE_CAN | {"can.bus_off"},
        "wire": WIRE_CAN,
    }
    return tuple(bench for bench in BENCHES if not mode.capability or mode.capability in able[bench])


def document(chosen: list[Mode]) -> dict[str, object]:
    """The catalogue as a document of format `unlock-rig/faults/1`."""
    return {
        "format": FORMAT,
        "modes": [
            {
                "name": mode.name,
                "domain": mode.domain,
                "text": mode.text,
                "breaks": sorted(mode.breaks),
                "paths": [path for path in PATHS if mode.breaks_path(path)],
                "kind": kind(mode),
                "parameters": [
                    {"name": p.name, "unit": p.unit, "default": p.default, "low": p.low, "high": p.high}
                    for p in mode.params
                ],
                "capability": mode.capability,
                "fidelities": list(fidelities(mode)),
            }
            for mode in chosen
        ],
        "needs": {path: sorted(NEEDS[path]) for path in PATHS},
        "steps": dict(STEPS),
    }


def kind(mode: Mode) -> str:
    """failure, harmless, degraded, state or condition."""
    if mode.state:
        return "state"
    if mode.condition:
        return "condition"
    if not mode.breaks:
        return "harmless"
    return "degraded" if mode.degrades else "failure"


_KINDS = {
    "failure": "a failure: while it lasts, what it breaks is dead",
    "harmless": "a disturbance that must harm nobody",
    "degraded": "degraded: what it breaks is slow or lossy; it may be got through, and recovery is promised",
    "state": "a state: nothing heals it by itself, so no recovery is asked for",
    "condition": "a condition: a state of the vehicle or a legitimate act, no failure",
}


def _parameter(p: Param) -> str:
    if p.unit[:1].isdigit():
        # The unit tells what each number stands for.
        return f"{p.name} = {p.default} ({p.unit})"
    if not p.unit:
        return f"{p.name} = {p.default} ({p.low} to {p.high})"
    return f"{p.name} = {p.default} {p.unit} ({p.low} to {p.high})"


def _breaks(mode: Mode) -> str:
    return ", ".join(sorted(mode.breaks)) or "nothing"


def _line(mode: Mode) -> str:
    parts = [f"{mode.name}: {mode.text}", f"breaks {_breaks(mode)}"]
    if kind(mode) != "failure":
        parts.append(kind(mode))
    parts += [_parameter(p) for p in mode.params]
    parts.append(f"at {', '.join(fidelities(mode))}")
    return "; ".join(parts)


def _print_table(out: Console, chosen: list[Mode]) -> None:
    table = Table("mode", "what happens", "breaks", "kind", "parameters", "at")
    for place, mode in enumerate(chosen):
        table.add_row(
            f"[bold]{mode.name}[/bold]",
            escape(mode.text),
            _breaks(mode),
            kind(mode),
            "\n".join(_parameter(p) for p in mode.params),
            "all" if len(fidelities(mode)) == len(BENCHES) else ", ".join(fidelities(mode)),
            end_section=place + 1 == len(chosen) or chosen[place + 1].domain != mode.domain,
        )
    out.print(table)
    end = "`rig faults NAME` tells more of one, `rig faults --steps` lists the steps"
    out.print(f"{len(chosen)} modes; {end}", markup=False)


def _print_mode(out: Console, mode: Mode) -> None:
    lines = [f"{mode.name}: {mode.text}", "", f"  kind      {_KINDS[kind(mode)]}", f"  breaks    {_breaks(mode)}"]
    for path in PATHS:
        touched = f"needs {', '.join(sorted(mode.breaks & NEEDS[path]))}"
        lines.append(f"  {path:<9} {touched if mode.breaks_path(path) else 'must work all the same'}")
    for p in mode.params:
        lines.append(f"  parameter {_parameter(p)}")
    lines.append(f"  can be made at {', '.join(fidelities(mode)) or 'no bench'}")
    if mode.capability:
        lines.append(f"            (elsewhere the bench lacks {mode.capability})")
    entry = {"fault": mode.name, "from_ms": 0, "to_ms": 20000, **{p.name: p.default for p in mode.params}}
    if mode.state:
        del entry["to_ms"]
    steps = [s for s in STEPS if s.partition(".")[0] in _step_domains(mode)]
    lines += ["", "  in a scenario:", f"    {json.dumps(entry)}"]
    if steps:
        at_step = {**entry, "step": steps[0]}
        lines += ["  at a protocol step instead of a time:", f"    {json.dumps(at_step)}"]
        lines += [f"    steps of its domain: {', '.join(steps)}"]
    out.print("\n".join(lines), markup=False)


def _step_domains(mode: Mode) -> tuple[str, ...]:
    """The domains of steps at which a mode's own line is spoken on."""
    lines = {
        "server": ("cloud",), "network": ("cloud",), "bluetooth": ("bluetooth",), "phone": ("bluetooth", "cloud"),
        "can": ("can",), "serial": ("serial",), "power": ("memory", "motor"), "actuator": ("motor",),
    }  # fmt: skip
    return lines.get(mode.domain, ())


def _print_steps(out: Console) -> None:
    if not out.is_terminal:
        for name, text in STEPS.items():
            out.print(f"{name}: {text}", markup=False)
        return
    table = Table("step", "when it is reached")
    for place, (name, text) in enumerate(STEPS.items()):
        following = list(STEPS)[place + 1 : place + 2]
        last = not following or following[0].partition(".")[0] != name.partition(".")[0]
        table.add_row(name, text, end_section=last)
    out.print(table)
    out.print(
        'A fault with "step": NAME is armed at its start and begins when the step is next reached '
        '("nth": N: when it is reached for the N-th time).',
        markup=False,
    )


def _near(name: str) -> str:
    """Modes that were perhaps meant."""
    tail = name.rpartition(".")[2]
    close = modes(name) or tuple(m for m in CATALOGUE if tail and tail in m)
    return f"; perhaps {', '.join(close)}" if close else ""
