"""How a pytest of its own is started with the rig's plugin, installed or not."""

from __future__ import annotations

from importlib.metadata import entry_points


def plugin() -> list[str]:
    """Arguments that load the plugin where no entry point does."""
    installed = any(entry.value == "fixtures.plugin" for entry in entry_points(group="pytest11"))
    return [] if installed else ["-p", "fixtures.plugin"]
