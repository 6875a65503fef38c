"""Classes of modes of server, network and Bluetooth: those of one class fail alike as far as a driver can tell.

The product of the classes is small enough to be run with every script; that of all modes is for searches.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "server": {
        "error": ("500", "502", "503", "504", "540", "429", "403", "408", "408_other", "412", "421", "422"),
        "silence": ("hang", "answer_lost", "region_down", "everything_down"),
        "no trust": ("refused", "cert_expired", "cert_foreign", "cert_wrong_host"),
        "login": ("token_refused", "token_expired"),
        "slow": ("slow", "trickle", "overload"),
        "nonsense": ("truncated", "malformed", "error_inside", "wrong_vin"),
        "queue": ("queue_late", "queue_twice", "queue_reordered", "cached_online"),
    },
    "network": {
        "phone offline": ("phone_offline",),
        "car offline": ("car_offline", "partition_car_request"),
        "one way": ("partition", "partition_request", "partition_car_answer", "reset", "half_open"),
        "slow": ("latency", "jitter", "rate", "loss"),
        "names": ("dns_none", "dns_hang", "dns_wrong", "captive_portal"),
        "order": ("duplicate", "reorder"),
    },
    "bluetooth": {
        "no radio": ("radio_off", "car_radio_off", "out_of_range"),
        "no connection": ("connect_fails", "slots_taken", "bond_lost_phone", "bond_lost_car", "wrong_key"),
        "lost": (
            "lost_before_write",
            "lost_after_write",
            "link_lost",
            "answer_lost",
            "write_failed_executed",
        ),
        "chunks": ("chunk_lost", "chunk_late", "chunk_duplicated", "mtu_23"),
        "module": ("stack_stuck", "controller_reset", "module_dead"),
        "weak": ("weak_signal", "interference"),
        "harmless": ("address_rotates", "pushes"),
    },
}
"""By domain and class, the modes' names after the dot."""


def members(domain: str, name: str) -> tuple[str, ...]:
    """The full names of a class's modes."""
    return tuple(f"{domain}.{mode}" for mode in CLASSES[domain][name])
