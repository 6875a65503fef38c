"""Bluetooth between phone and car."""

from __future__ import annotations

from rig.faults.mode import Mode

_BLUETOOTH = frozenset({"bluetooth"})

MODES: tuple[Mode, ...] = (
    Mode(
        "bluetooth.radio_off",
        "the phone's Bluetooth is switched off",
        _BLUETOOTH,
        lambda w, f: w.air.radio_off.hold(),
    ),
    Mode(
        "bluetooth.out_of_range",
        "phone and car do not hear each other",
        _BLUETOOTH,
        lambda w, f: w.air.out_of_range.hold(),
    ),
    Mode(
        "bluetooth.lost_before_write",
        "the link is lost just before a command is written",
        _BLUETOOTH,
        lambda w, f: w.air.lost_before_write.hold(),
    ),
    Mode(
        "bluetooth.lost_after_write",
        "the link is lost after a command was written, before its answer",
        _BLUETOOTH,
        lambda w, f: w.air.lost_after_write.hold(),
    ),
)
