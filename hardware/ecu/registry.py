"""All builds of the emulated ECU by name, those that users bring in files of their own among them.

Knows where to look for a build; nothing of what it changes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from hardware.ecu.build import Build
from hardware.ecu.config import EcuConfig
from hardware.ecu.core import Parts
from hardware.ecu.defects import DEFECTS
from hardware.ecu.ecu import Ecu
from hardware.ecu.memory import MemoryPort
from hardware.ecu.variants import VARIANTS

BUILDS: Mapping[str, Build] = {**DEFECTS, **VARIANTS}
"""Ours; users' files come on top (`find_build`)."""

_FILE = ".py:"


class BuildError(ValueError):
    """There is no such build; the text says where it was looked for, and what to do."""


def find_build(name: str) -> Build:
    """A build by its name, or by `path/to/file.py:NAME`, where NAME is a `Build` in a file of the user's.

    The file is run as Python: name only files that you trust.

    Raises:
        BuildError: there is none; the text says why.
    """
    known = BUILDS.get(name)
    if known is not None:
        return known
    if _FILE in name:
        file, _, attribute = name.rpartition(":")
        return _from_file(Path(file).resolve(), attribute)
    near = get_close_matches(name, BUILDS, 3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise BuildError(f"{name}: there is no such defect or variant; {hint}`rig defects` lists them")


@lru_cache(maxsize=16)
def _from_file(file: Path, attribute: str) -> Build:
    spec = importlib.util.spec_from_file_location(f"users_defects_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise BuildError(f"{file}: there is no such file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BuildError(f"{file}: {type(error).__name__} when it was loaded: {error}") from error
    build = getattr(module, attribute, None)
    if not isinstance(build, Build):
        named = [key for key, value in vars(module).items() if isinstance(value, Build)]
        those = (
            f"it has {', '.join(named)}" if named else "it has none: make one with hardware.ecu.build.Build"
        )
        raise BuildError(f"{file}: {attribute!r} is no Build; {those}")
    return build


def build_ecu(config: EcuConfig, memory: MemoryPort, random: Callable[[int], bytes], name: str | None) -> Ecu:
    """An ECU.

    Args:
        config: VIN and identity.
        memory: what survives power-off.
        random: gives so many fresh random bytes.
        name: of a defect or variant, as `find_build` takes it; None: healthy.

    Raises:
        BuildError: there is no such build.
    """
    parts = Parts() if name is None else find_build(name).build(Parts())
    return Ecu(config, memory, random, parts)
