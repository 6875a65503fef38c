"""A vehicle that drives, crashes, is used from inside or left alone: who may open it then, and who may drive."""

from __future__ import annotations

import pytest

from fixtures.prover import Prover
from rig.judge import Outcome
from rig.model import Result
from rig.scenario import Carry, Entry, Fault, Intent, Scenario, Session, Via

S = 1_000_000
PHONE: tuple[Via, ...] = ("bluetooth", "cloud")
PATHS: tuple[Via, ...] = ("bluetooth", "cloud", "card")
OUTSIDE = ("server.500", "network.car_offline", "bluetooth.radio_off")
"""Failures far away from what a crash or the inside switch needs."""


OF_PATH = {"bluetooth": "AVL-2", "cloud": "AVL-3", "card": "AVL-4"}


def asked(result: Result, requirement: str) -> None:
    """The scenario was worth its name: it put something to the requirement."""
    assert result.judgement.verdicts[requirement].outcome is not Outcome.VACUOUS, f"{requirement} was not asked"


def speed(kmh: int) -> tuple[tuple[str, int], ...]:
    """The parameter of how fast the vehicle drives."""
    return (("speed_kmh", kmh),)


@pytest.mark.requirement("SAF-1", coverage="partial")
@pytest.mark.parametrize("session", ["warm", "cold"])
@pytest.mark.parametrize("mode", ["driving", "contradictory"])
@pytest.mark.parametrize("kmh", [6, 50, 250])
@pytest.mark.parametrize("via", PHONE)
def test_a_driving_vehicle_is_not_opened_from_afar(
    prove: Prover, via: Via, kmh: int, mode: str, session: Session
) -> None:
    """Just above 5 km/h and fast; also if only every other frame says so."""
    drive = Fault(f"vehicle.{mode}", 0, 12 * S, speed(kmh))
    asked(prove(Scenario(carry=Carry(session=session), timeline=(drive, Intent("unlock", 1 * S, via)))), "SAF-1")


@pytest.mark.requirement("SAF-1", coverage="partial")
@pytest.mark.parametrize("kmh", [6, 250])
def test_a_driving_vehicle_is_opened_from_inside_and_by_the_card(prove: Prover, kmh: int) -> None:
    """Both ignore speed."""
    drive = Fault("vehicle.driving", 0, 12 * S, speed(kmh))
    asked(prove(Scenario(timeline=(drive, Fault("vehicle.interior_unlock", 3 * S, None)))), "SAF-1")
    prove(Scenario(timeline=(drive, Intent("unlock", 3 * S, "card"))))


@pytest.mark.requirement("AVL-2", "AVL-3", coverage="partial")
@pytest.mark.parametrize("via", PHONE)
def test_a_vehicle_that_has_stopped_is_opened(prove: Prover, via: Via) -> None:
    """A moment after the last frame that said so."""
    prove(Scenario(timeline=(Fault("vehicle.driving", 0, 5 * S), Intent("unlock", 6_500_000, via))))


@pytest.mark.requirement("AVL-7", coverage="partial")
@pytest.mark.parametrize("session", ["warm", "cold"])
@pytest.mark.parametrize("via", PHONE)
def test_an_old_speed_keeps_nobody_out(prove: Prover, via: Via, session: Session) -> None:
    """The gateway falls silent while the vehicle drives; after 60 s that no longer counts."""
    silent = Fault("vehicle.speed_then_silent", 0, 90 * S, (("drive_ms", 1000), ("speed_kmh", 50)))
    for at_us in (63 * S, 75 * S):
        scenario = Scenario(carry=Carry(session=session), timeline=(silent, Intent("unlock", at_us, via)))
        result = prove(scenario)
        asked(result, OF_PATH[via])
        asked(result, "AVL-7")


@pytest.mark.requirement("SAF-2", coverage="partial")
@pytest.mark.parametrize("frames", [2, 3, 20])
def test_a_crash_unlocks(prove: Prover, frames: int) -> None:
    """Standing, driving, and at a low supply."""
    crash = Fault("vehicle.crash", 3 * S, 7 * S, (("frames", frames),))
    before: tuple[tuple[Entry, ...], ...] = (
        (),
        (Fault("vehicle.driving", 0, 4 * S),),
        (Fault("power.dip", 2 * S, 6 * S, (("mv", 8000),)),),
        (Fault("power.dip", 2 * S, 6 * S, (("mv", 7000),)),),
    )
    for entries in before:
        asked(prove(Scenario(timeline=(*entries, crash))), "SAF-2")


@pytest.mark.requirement("SAF-2", coverage="partial")
@pytest.mark.parametrize("mode", OUTSIDE)
def test_a_crash_unlocks_whatever_fails_elsewhere(prove: Prover, mode: str) -> None:
    """And in the middle of a wish."""
    crash = Fault("vehicle.crash", 3 * S, 6 * S)
    asked(prove(Scenario(timeline=(Fault(mode, 0, 20 * S), crash))), "SAF-2")
    for via in PATHS:
        prove(Scenario(timeline=(Fault(mode, 0, 20 * S), crash, Intent("unlock", 3_050_000, via))))


@pytest.mark.requirement("SAF-2", coverage="partial")
@pytest.mark.parametrize("late_ms", [0, 30, 60, 90])
def test_a_crash_unlocks_a_sleeping_vehicle(prove: Prover, late_ms: int) -> None:
    """After more than a minute in which nothing happened."""
    asked(prove(Scenario(timeline=(Fault("vehicle.crash", 75 * S + 1000 * late_ms, 80 * S),))), "SAF-2")


@pytest.mark.requirement("SEC-5", coverage="partial")
def test_one_crash_frame_is_no_crash(prove: Prover) -> None:
    """The doors stay locked until the driver taps."""
    one = Fault("vehicle.crash", 1 * S, 4 * S, (("frames", 1),))
    prove(Scenario(timeline=(one, Intent("unlock", 5 * S, "card"))))


@pytest.mark.requirement("AVL-13", coverage="partial")
@pytest.mark.parametrize("via", PHONE)
def test_after_a_crash_the_doors_stay_open_until_they_are_locked(prove: Prover, via: Via) -> None:
    """No relock, not after a reset, a dip or a tap either; a wish to lock is heard."""
    crash = Fault("vehicle.crash", 3 * S, 6 * S)
    opened = Intent("unlock", 0, "card")
    between: tuple[tuple[Entry, ...], ...] = (
        (),
        (Fault("power.reset", 10 * S, 10_500_000),),
        (Fault("power.dip", 10 * S, 12 * S, (("mv", 8000),)),),
        (Intent("unlock", 10 * S, "bluetooth"),),
    )
    for entries in between:
        prove(Scenario(timeline=(opened, crash, *entries, Intent("lock", 50 * S, via))))


@pytest.mark.requirement("SAF-3", coverage="partial")
@pytest.mark.parametrize("via", PATHS)
def test_a_relock_is_for_whom_a_credential_let_in(prove: Prover, via: Via) -> None:
    """The second of two unlocks counts; a door that was open before does not."""
    prove(Scenario(timeline=(Fault("vehicle.door_ajar", 0, 2 * S), Intent("unlock", 5 * S, via))))
    prove(Scenario(timeline=(Intent("unlock", 1 * S, via), Fault("vehicle.power_on", 2 * S, 20 * S))))


@pytest.mark.requirement("AVL-13", coverage="partial")
@pytest.mark.parametrize("door", [0, 3])
@pytest.mark.parametrize("via", PHONE)
def test_all_but_the_open_door_are_locked(prove: Prover, via: Via, door: int) -> None:
    """A lock that closes on an open door bars it from shutting."""
    ajar = Fault("vehicle.door_ajar", 1 * S, 30 * S, (("door", door),))
    prove(Scenario(doors="unlocked", timeline=(ajar, Intent("lock", 3 * S, via))))


@pytest.mark.requirement("DRV-1")
@pytest.mark.requirement("AVL-10", coverage="partial")
@pytest.mark.parametrize("mode", ["", "server.500", "network.car_offline", "network.phone_offline"])
def test_driving_needs_neither_server_nor_network(prove: Prover, mode: str) -> None:
    """By a command in a session, and by a tap; awake and after a sleep."""
    faults = (Fault(mode, 0, None),) if mode else ()
    for at_us in (1 * S, 75 * S):
        warm = Carry(session="warm")
        asked(prove(Scenario(carry=warm, timeline=(*faults, Intent("drive", at_us, "bluetooth")))), "DRV-1")
        asked(prove(Scenario(timeline=(*faults, Intent("unlock", at_us, "card")))), "DRV-1")


@pytest.mark.requirement("DRV-2", coverage="partial")
@pytest.mark.parametrize("via", PATHS)
def test_authority_to_drive_lapses(prove: Prover, via: Via) -> None:
    """A long while after it was given, or when the connection closes."""
    wish = Intent("unlock" if via == "card" else "drive", 1 * S, via)
    stays = Fault("vehicle.power_on", 0, 140 * S)
    asked(prove(Scenario(carry=Carry(session="warm"), timeline=(stays, wish))), "DRV-2")


@pytest.mark.requirement("DRV-2", coverage="partial")
def test_authority_to_drive_ends_with_the_key(prove: Prover) -> None:
    """The guest may drive, then the owner takes the guest's key off the list."""
    prove(
        Scenario(
            carry=Carry(session="warm"),
            timeline=(
                Intent("drive", 1 * S, "cloud", "guest"),
                Intent("revoke", 13 * S, "bluetooth"),
                Fault("vehicle.power_on", 0, 60 * S),
            ),
        )
    )
