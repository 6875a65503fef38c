"""What stays after a failure or an attack: nothing. Recovery, half-way failures, clumsy attempts, long absence,
a silent restbus, motors that stick.
"""

from __future__ import annotations

import pytest

from fixtures.prover import Prover
from rig.faults import CATALOGUE
from rig.scenario import Attack, Carry, Fault, Intent, Scenario, Session, Via
from rig.world.attacker import KINDS

PATHS: tuple[Via, ...] = ("bluetooth", "cloud", "card")
MONTH_US = 30 * 24 * 3_600_000_000
CONNECTIONS = 5
"""More than the module has slots for at a time."""


@pytest.mark.requirement("AVL-6")
@pytest.mark.parametrize("mode", CATALOGUE)
def test_everything_works_when_a_failure_is_over(prove: Prover, mode: str) -> None:
    """A failure in the middle of a wish; the closing phase asks every path."""
    for via in PATHS:
        prove(Scenario(timeline=(Intent("unlock", 500_000, via), Fault(mode, 700_000, 4_000_000))))


@pytest.mark.requirement("AVL-6", coverage="partial")
def test_connections_do_not_wear_out(prove: Prover) -> None:
    """One wish after the other, each on a connection of its own."""
    wishes = [
        Intent("unlock" if number % 2 == 0 else "lock", number * 3_000_000, "bluetooth")
        for number in range(CONNECTIONS)
    ]
    prove(Scenario(timeline=tuple(wishes)))


@pytest.mark.requirement("AVL-9")
@pytest.mark.parametrize("mode", ["server.500", "network.car_offline", "network.phone_offline"])
@pytest.mark.parametrize("via", ["bluetooth", "card"])
def test_a_month_without_the_server(prove: Prover, via: Via, mode: str) -> None:
    """After 30 days the keys work as on the first."""
    for session in ("warm", "cold"):
        prove(
            Scenario(
                carry=Carry(session=session),
                timeline=(
                    Fault(mode, 0),
                    Intent("unlock", 1_000_000, via),
                    Intent("unlock", MONTH_US + 1_000_000, via),
                ),
            )
        )


@pytest.mark.requirement("AVL-11")
@pytest.mark.parametrize("via", PATHS)
@pytest.mark.parametrize("kind", [k for k in KINDS if k.startswith("forge")])
def test_hostile_attempts_keep_nobody_out(prove: Prover, kind: str, via: Via) -> None:
    """Six bad attempts in a row, then the driver."""
    for session in ("warm", "cold"):
        attacks = [Attack(kind, 500_000 * number) for number in range(6)]
        prove(Scenario(carry=Carry(session=session), timeline=(*attacks, Intent("unlock", 6_000_000, via))))


@pytest.mark.requirement("AVL-12")
@pytest.mark.parametrize("session", ["warm", "cold"])
@pytest.mark.parametrize("again", PATHS)
@pytest.mark.parametrize("mode", ["bluetooth.lost_before_write", "bluetooth.lost_after_write", "server.hang"])
def test_the_next_try_succeeds(prove: Prover, mode: str, again: Via, session: Session) -> None:
    """A wish that fails half-way, and one more when the failure is over."""
    via: Via = "cloud" if mode.startswith("server") else "bluetooth"
    prove(
        Scenario(
            carry=Carry(session=session),
            timeline=(
                Fault(mode, 0, 8_000_000),
                Intent("unlock", 1_000_000, via),
                Intent("unlock", 48_000_000, again),
            ),
        )
    )


@pytest.mark.requirement("AVL-7")
@pytest.mark.parametrize("session", ["warm", "cold"])
@pytest.mark.parametrize("via", PATHS)
@pytest.mark.parametrize("mode", [m.name for m in CATALOGUE.values() if m.restbus and not m.condition])
def test_a_restbus_that_fails_stops_nobody(prove: Prover, mode: str, via: Via, session: Session) -> None:
    """Frames of gateway, telematics unit and module are missing, stale or corrupt from the beginning on."""
    prove(Scenario(carry=Carry(session=session), timeline=(Fault(mode, 0), Intent("unlock", 2_000_000, via))))


@pytest.mark.requirement("AVL-7", coverage="partial")
@pytest.mark.parametrize("via", PATHS)
def test_a_speed_that_was_heard_last_counts_for_a_minute(prove: Prover, via: Via) -> None:
    """The vehicle drove, then its gateway fell silent; more than 60 s later the driver comes back."""
    silent = Fault("vehicle.speed_then_silent", 0, 90_000_000)
    prove(Scenario(timeline=(silent, Intent("unlock", 70_000_000, via))))


@pytest.mark.requirement("ACT-1")
@pytest.mark.parametrize("session", ["warm", "cold"])
@pytest.mark.parametrize("via", PATHS)
@pytest.mark.parametrize("pulses", [1, 2])
def test_a_motor_that_sticks_is_pushed_again(prove: Prover, pulses: int, via: Via, session: Session) -> None:
    """At all doors, and at one."""
    for door in range(5):
        sticks = Fault("actuator.pulses_stuck", 0, None, (("door", door), ("pulses", pulses)))
        prove(Scenario(carry=Carry(session=session), timeline=(sticks, Intent("unlock", 1_000_000, via))))
