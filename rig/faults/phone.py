"""The driver's phone and its app."""

from __future__ import annotations

from rig.faults.mode import Mode

MODES: tuple[Mode, ...] = (
    Mode(
        "phone.signed_out",
        "the app is signed out of the account; the key stays on the phone",
        frozenset({"account"}),
        lambda w, f: w.phone.signed_out.hold(),
        state=True,
    ),
)
