"""The scenarios of the suite's enumerated tests, without running them: a recorder stands in for the prover."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from rig.scenario import Scenario


class Recorder:
    """Keeps what a test would prove."""

    def __init__(self) -> None:
        self.scenarios: list[Scenario] = []

    def __call__(self, scenario: Scenario) -> None:
        """Takes one."""
        self.scenarios.append(scenario)


def scenarios_of(*modules: ModuleType) -> list[Scenario]:
    """Every scenario of every parametrized test of some modules, in their order."""
    prove = Recorder()
    for module in modules:
        for name, function in vars(module).items():
            if name.startswith("test_"):
                for arguments in _arguments(function):
                    function(prove, **arguments)
    return prove.scenarios


def _arguments(function: object) -> Iterator[dict[str, object]]:
    """What pytest would call a parametrized test with."""
    choices: list[dict[str, object]] = [{}]
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            name, values = mark.args[0], mark.args[1]
            choices = [{**known, name: value} for known in choices for value in values]
    yield from choices
