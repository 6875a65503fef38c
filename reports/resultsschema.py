"""The published JSON schema of results.json, made of the dataclasses that read and write it."""

from __future__ import annotations

from typing import Any

from reports.fromjson import schema
from reports.results import FORMAT, Results

IDENTITY = "urn:unlock-rig:results:2"


def results_schema() -> dict[str, Any]:
    """JSON Schema, 2020-12."""
    return schema(Results, IDENTITY, "Results of a campaign of unlock-rig", {"format": {"const": FORMAT}})
