"""Reads from a folder of evidence what the gate asks: tests with what they cite and came to, and what was shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports.campaign import NAME as CAMPAIGN
from reports.campaign import CampaignError, load_campaign
from reports.traceability.links import Shown, TracedTest, links


class EvidenceError(ValueError):
    """A folder whose results cannot be held against requirements; names the file and why."""


def read(folder: Path) -> tuple[tuple[TracedTest, ...], Shown]:
    """Tests and what was shown, from a folder's results.json.

    Raises:
        EvidenceError: it cannot be read, or does not say which test cites which requirement.
    """
    file = folder / "results.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        tests, shown = tests_of(raw), shown_by(raw)
        return tests, replace(shown, firmware=shown.firmware or _stated(folder))
    except CampaignError as error:
        raise EvidenceError(str(error)) from None
    except OSError as error:
        raise EvidenceError(
            f"{file}: cannot be read ({error.strerror}); `rig certify --out {folder}` makes it"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            f"{file}: does not say which test cites which requirement ({type(error).__name__}: {error});"
            " run the campaign again with this version"
        ) from None


def _stated(folder: Path) -> str | None:
    """The firmware that the laboratory has stated; what was read from the DUT goes before it."""
    file = folder / CAMPAIGN
    return (load_campaign(file).item.firmware_sha256.lower() or None) if file.exists() else None


def tests_of(raw: Mapping[str, Any]) -> tuple[TracedTest, ...]:
    """The tests of a results document, deselected and skipped ones included."""
    return tuple(
        TracedTest(
            t["name"], links(t["requirements"]), t.get("no_requirement"), t["outcome"], t.get("reason", ""),
        )
        for t in raw["tests"]
    )  # fmt: skip


def shown_by(raw: Mapping[str, Any]) -> Shown:
    """What a results document has shown of requirements, search and sampling apart."""
    item = raw.get("item") or {}
    sampled: Counter[str] = Counter()
    for campaign in raw.get("sampling", ()):
        # A sample that was stopped early holds for no fixed n.
        if campaign["complete"]:
            sampled.update({rate["requirement"]: rate["n"] for rate in campaign["rates"]})
    return Shown(
        asked={r["id"]: r["asked"] for r in raw["requirements"]},
        t_way={c["t"]: c["seen"] / c["of"] if c["of"] else 1.0 for c in raw.get("coverage", ())},
        sampled=dict(sampled),
        firmware=item.get("read", {}).get("firmware_sha256"),
    )
