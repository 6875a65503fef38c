"""The body CAN as a DBC file, shipped with the package.

Only hands out the text; `rig.protocol.dbc` compiles it, cantools reads it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final

BODY_DBC: Final = "body.dbc"


@lru_cache(maxsize=1)
def body_dbc_text() -> str:
    """The text of the body CAN's DBC file."""
    return files(__name__).joinpath(BODY_DBC).read_text(encoding="utf-8")
