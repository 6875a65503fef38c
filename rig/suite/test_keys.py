"""Keys that may not: revoked, disabled, of the wrong role, for another car; only owners change the list."""

from __future__ import annotations

import pytest

from fixtures.prover import Prover
from rig.scenario import Attack, Carry, Entry, Fault, Intent, Scenario, Session, Via, Want

CHANNELS: tuple[Via, ...] = ("bluetooth", "cloud")
LAST_US = 14_000_000


def erring(mode: str, cloud: int, *more: Entry) -> Scenario:
    """A key that errs, on one of the channels."""
    return Scenario(timeline=(Fault(f"credential.{mode}", 0, LAST_US, (("cloud", cloud),)), *more))


@pytest.mark.requirement("SEC-6")
@pytest.mark.parametrize("tries", CHANNELS)
@pytest.mark.parametrize("asked", CHANNELS)
@pytest.mark.parametrize("what", ["revoke", "disable", "demote"])
def test_a_key_that_lost_its_rights_moves_nothing(prove: Prover, what: Want, asked: Via, tries: Via) -> None:
    """The guest opens and locks, loses the right to, tries again in the session and after a reset; gets it back."""
    prove(
        Scenario(
            timeline=(
                Intent("unlock", 0, tries, "guest"),
                Intent("lock", 3_000_000, tries, "guest"),
                Intent(what, 6_000_000, asked),
                Intent("unlock", 7_500_000, tries, "guest"),
                Fault("power.reset", 18_000_000, 18_300_000),
                Intent("unlock", 20_000_000, tries, "guest"),
                Intent("enrol", 32_000_000, asked),
                Intent("unlock", 36_000_000, tries, "guest"),
            )
        )
    )


@pytest.mark.requirement("SEC-6", coverage="partial")
@pytest.mark.parametrize("what", ["revoke", "disable", "demote"])
def test_rights_are_lost_offline_too(prove: Prover, what: Want) -> None:
    """Nothing of it needs the server."""
    prove(
        Scenario(
            timeline=(
                Fault("server.500", 0),
                Fault("network.car_offline", 0),
                Intent(what, 1_000_000, "bluetooth"),
                Intent("unlock", 4_000_000, "bluetooth", "guest"),
            )
        )
    )


@pytest.mark.requirement("SEC-6", coverage="partial")
@pytest.mark.parametrize("cloud", [0, 1])
@pytest.mark.parametrize("mode", ["revoked", "disabled_midway", "demoted", "rotated", "disabled", "wrong_role"])
def test_keys_without_rights_move_nothing(prove: Prover, mode: str, cloud: int) -> None:
    """A second owner has taken them in the session, or they never were there; with a reset in between."""
    prove(erring(mode, cloud))
    prove(erring(mode, cloud, Fault("power.reset", 5_000_000, 5_200_000)))


@pytest.mark.requirement("SEC-7")
@pytest.mark.parametrize("cloud", [0, 1])
@pytest.mark.parametrize("mode", ["other_car", "other_domain"])
def test_commands_for_others_move_nothing(prove: Prover, mode: str, cloud: int) -> None:
    prove(erring(mode, cloud))


@pytest.mark.requirement("SEC-2", coverage="partial")
@pytest.mark.parametrize("cloud", [0, 1])
@pytest.mark.parametrize("mode", ["counter_zero", "counter_behind", "counter_rolled_back", "epoch_old"])
def test_used_counters_and_other_epochs_move_nothing(prove: Prover, mode: str, cloud: int) -> None:
    prove(erring(mode, cloud))


@pytest.mark.requirement("SEC-3", coverage="partial")
@pytest.mark.parametrize("cloud", [0, 1])
@pytest.mark.parametrize("seconds", [34, 36, 45, 59, 90, 3600])
def test_lifetimes_over_31_s_move_nothing(prove: Prover, seconds: int, cloud: int) -> None:
    params = (("cloud", cloud), ("seconds", seconds))
    prove(Scenario(timeline=(Fault("credential.lifetime_long", 0, LAST_US, params),)))


@pytest.mark.requirement("SEC-9")
@pytest.mark.requirement("SEC-8", coverage="partial")
@pytest.mark.parametrize("via", CHANNELS)
def test_every_boot_has_its_own_epoch(prove: Prover, via: Via) -> None:
    """Sessions before, between and after two resets, and what was captured replayed into each."""
    timeline: list[Entry] = []
    for number in range(3):
        at = number * 16_000_000
        timeline += [
            Intent("unlock", at, via),
            Intent("lock", at + 4_000_000, via),
            Fault("power.reset", at + 9_000_000, at + 9_300_000),
            Attack(f"replay_{via}", at + 12_000_000),
        ]
    prove(Scenario(carry=Carry(session="warm"), timeline=tuple(timeline)))


@pytest.mark.requirement("SEC-8", coverage="partial")
@pytest.mark.parametrize("via", CHANNELS)
def test_nothing_remote_is_done_without_randomness(prove: Prover, via: Via) -> None:
    """The source fails before a command, and over a reset; when it works again, all does (AVL-6)."""
    fails = Fault("random.fails", 1_000_000, 30_000_000)
    prove(Scenario(timeline=(fails, Intent("unlock", 2_000_000, via), Intent("unlock", 14_000_000, via))))
    prove(
        Scenario(
            timeline=(fails, Fault("power.reset", 3_000_000, 3_300_000), Intent("unlock", 6_000_000, via)),
        )
    )


@pytest.mark.requirement("SEC-11", coverage="partial")
@pytest.mark.parametrize("cloud", [0, 1])
def test_a_drivers_key_changes_no_key_list(prove: Prover, cloud: int) -> None:
    prove(erring("not_owner", cloud))
    # Not while everything else fails, either.
    prove(erring("not_owner", cloud, Fault("server.500", 0), Fault("power.dip", 3_000_000, 4_000_000)))


@pytest.mark.requirement("SEC-11", coverage="partial")
@pytest.mark.parametrize("session", ["cold", "warm"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_forged_operation_changes_no_key_list(prove: Prover, channel: str, session: Session) -> None:
    prove(Scenario(carry=Carry(session=session), timeline=(Attack(f"forge_op_{channel}", 1_000_000),)))


@pytest.mark.requirement("SEC-6", coverage="partial")
@pytest.mark.parametrize("fleet", [0, 1])
def test_keys_for_the_cloud_alone_move_nothing_over_bluetooth(prove: Prover, fleet: int) -> None:
    params = (("fleet", fleet),)
    prove(Scenario(timeline=(Fault("credential.cloud_only", 0, LAST_US, params), Fault("server.500", 0))))
    prove(Scenario(timeline=(Fault("credential.service_drives", 0, LAST_US),)))


@pytest.mark.requirement("AVL-10", coverage="partial")
@pytest.mark.parametrize("first", CHANNELS)
@pytest.mark.parametrize("second", CHANNELS)
def test_two_people_at_once(prove: Prover, first: Via, second: Via) -> None:
    """Driver and guest, within milliseconds, for the same and for opposite ends."""
    for gap_us in (0, 1_000, 30_000, 200_000):
        prove(Scenario(timeline=(Intent("unlock", 0, first), Intent("unlock", gap_us, second, "guest"))))
        prove(
            Scenario(
                doors="unlocked",
                timeline=(Intent("lock", 12_000_000, first), Intent("unlock", 12_000_000 + gap_us, second, "guest")),
            )
        )
