"""The driver's phone and its app."""

from __future__ import annotations

from rig.faults.mode import Mode

_PHONE = frozenset({"phone"})

MODES: tuple[Mode, ...] = (
    Mode(
        "phone.app_killed",
        "the app was ended by the system; its session is lost, its key and counters are not",
        _PHONE,
        lambda w, f: w.phone.killed.hold(),
    ),
    Mode(
        "phone.signed_out",
        "the app is signed out of the account; the key stays on the phone",
        frozenset({"account"}),
        lambda w, f: w.phone.signed_out.hold(),
        state=True,
    ),
    Mode(
        "phone.empty",
        "the phone's battery is empty",
        _PHONE,
        lambda w, f: w.phone.empty.hold(),
        state=True,
    ),
    Mode(
        "phone.locked_after_reboot",
        "the phone has started anew and was not unlocked yet: the key cannot be used",
        _PHONE,
        lambda w, f: w.phone.locked.hold(),
    ),
)
