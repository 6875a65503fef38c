"""The bench `stack`: scenarios replay there with every outer link real, and come to what `model` came to."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hardware.fullstack import full_stack
from hardware.vehicle import emulated_model
from rig.agreement import outcome_of
from rig.cli import main
from rig.judge.verdicts import Outcome
from rig.kernel import Kernel
from rig.model import Model
from rig.scenario import Fault, Intent, Scenario

NIGHT = Scenario(
    5,
    timeline=(
        Fault("server.500", 0, 20_000_000), Fault("bluetooth.mtu_23", 0), Intent("unlock", 500_000),
        Intent("lock", 25_000_000, "cloud"),
    ),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "night.json"
    path.write_text(NIGHT.to_json(), encoding="utf-8")
    return path


def test_replays_there_and_leaves_the_same_trace_twice(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashes = []
    for _ in range(2):
        assert main(["replay", str(file), "--bench", "stack"]) == 0
        said = capsys.readouterr().out
        assert "AVL-1" in said and "verdict: pass (bench stack)" in said
        found = re.search(r"trace (\w{64})", said)
        assert found is not None
        hashes.append(found[1])
    assert hashes[0] == hashes[1]


def test_all_links_real_at_once_come_to_the_models_outcome() -> None:
    assert outcome_of(full_stack().judge(NIGHT)) == outcome_of(emulated_model().judge(NIGHT))
    trace = full_stack().run(NIGHT)
    assert trace.fidelity == "stack" and any(trace.of("http"))


def test_the_first_bluetooth_connection_after_a_session_from_the_server_is_no_failure() -> None:
    """It discovers services and takes two advertisements: slower than a phone's that was connected before."""
    result = full_stack().judge(
        Scenario(
            423,
            phase_us=338_708,
            timeline=(
                Fault("credential.counter_zero", 10_451_000, 22_063_000), Intent("unlock", 12_000_000, "cloud"),
                Intent("lock", 14_796_000, "bluetooth"),
            ),
        )
    )  # fmt: skip
    assert "first" in next(result.trace.of("session"))
    verdict = result.judgement.verdicts["AVL-5"]
    assert verdict.outcome is Outcome.PASS, verdict.text


@pytest.mark.parametrize("make", [emulated_model, full_stack])
def test_the_collectors_first_turn_after_a_run_finds_nothing_that_holds_its_world(make: Callable[[], Model]) -> None:
    """Else it goes through all of it in vain, and again when it is an older generation's turn."""
    model = make()
    model.run(NIGHT)
    kernels: list[weakref.ref[Kernel]] = []
    edges = model.edges

    def watched(kernel: Kernel, *rest: object) -> object:
        kernels.append(weakref.ref(kernel))
        return edges(kernel, *rest)  # type: ignore[arg-type]  # whatever they are

    model.edges = watched  # type: ignore[assignment]
    gone: list[bool] = []

    def turn(phase: str, _found: Mapping[str, int]) -> None:
        if phase == "stop" and kernels:
            gone.append(kernels[0]() is None)

    gc.callbacks.append(turn)
    try:
        model.run(NIGHT)
    finally:
        gc.callbacks.remove(turn)
    assert gone and gone[0]
