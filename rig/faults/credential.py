"""Keys that ask for what they may not have, and keys that have changed.

Other people's clients err here, on links of their own: the vehicle must refuse them, and the driver's ways in stay as
they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.faults.mode import Mode, Param, Release
from rig.scenario import Fault

if TYPE_CHECKING:
    from rig.world.world import World

CHANNEL = Param("cloud", "0 Bluetooth, 1 cloud", 0, 0, 1)
SECONDS = Param("seconds", "s", 40, 34, 3600)
WHO = Param("fleet", "0 service, 1 fleet manager", 0, 0, 1)
GAP = Param("gap", "counters", 1000, 1, 100_000)


def _errs(name: str, text: str, manner: str, *params: Param) -> Mode:
    """A client that errs in one manner."""

    def begin(world: World, fault: Fault) -> Release:
        return world.valet.misbehave(manner, fault.param("cloud", 0), fault.param("seconds", SECONDS.default))

    return Mode(f"credential.{name}", text, frozenset(), begin, (CHANNEL, *params))


def _loses(name: str, text: str, what: str) -> Mode:
    """A key that the second owner takes rights from while it has a session; it goes on trying."""

    def begin(world: World, fault: Fault) -> Release:
        return world.valet.lose_rights(what, fault.param("cloud", 0))

    return Mode(f"credential.{name}", text, frozenset(), begin, (CHANNEL,))


MODES: tuple[Mode, ...] = (
    _errs("lifetime_zero", "another enrolled key signs commands that expire at 0", "zero"),
    _errs("lifetime_past", "another enrolled key signs commands that expired 10 s ago", "past"),
    _errs("lifetime_long", "another enrolled key signs commands that live longer than 31 s", "long", SECONDS),
    _errs("other_car", "another enrolled key signs commands for another car", "other_vin"),
    _errs("other_domain", "another enrolled key signs commands for another domain", "other_domain"),
    _errs("wrong_role", "a key that may only watch signs commands", "monitor"),
    Mode(
        "credential.cloud_only",
        "a service or fleet key, which may use the cloud alone, signs commands over Bluetooth",
        frozenset(),
        lambda w, f: w.valet.misbehave("cloud_only", 0, f.param("fleet", 0)),
        (WHO,),
    ),
    Mode(
        "credential.service_drives",
        "a service key, which may unlock and lock, asks to drive over the cloud",
        frozenset(),
        lambda w, f: w.valet.misbehave("service_drives", 1),
    ),
    _errs("disabled", "a key that is enrolled and disabled signs commands", "disabled"),
    _errs("not_owner", "a driver's key tries to change the key list, and the key it tried to add is used", "not_owner"),
    _errs("counter_zero", "another enrolled key signs commands with counter 0", "counter_zero"),
    _errs("counter_behind", "another enrolled key signs new commands with its last counter", "counter_behind"),
    _errs("counter_rolled_back", "another enrolled key has an older counter back", "counter_rolled_back"),
    Mode(
        "credential.counter_ahead",
        "the driver's phone leaves out counters before each command, as after commands that were lost",
        frozenset(),
        lambda w, f: w.phone.client.skips.hold(f.param("gap", GAP.default)),
        (GAP,),
    ),
    _errs("epoch_old", "another enrolled key signs commands with an epoch that is not the vehicle's", "epoch_old"),
    _loses("revoked", "the second owner revokes a key in its session; it goes on trying", "revoke"),
    _loses("disabled_midway", "the second owner disables a key in its session; it goes on trying", "disable"),
    _loses("demoted", "the second owner takes a key's role in its session; it goes on trying", "demote"),
    _loses("rotated", "a phone has got a new key, enrolled by the second owner; the old key goes on trying", "rotate"),
    Mode(
        "credential.store_full",
        "the key store is full: the second owner enrols keys until the vehicle takes no more",
        frozenset(),
        lambda w, f: w.valet.fill_the_store(),
    ),
)  # fmt: skip
