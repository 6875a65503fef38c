"""Nobody else gets in: forged, replayed, held-back and ill-lived commands, and supplies that fail."""

from __future__ import annotations

import pytest

from fixtures.prover import Prover
from rig.scenario import Attack, Carry, Doors, Fault, Intent, Scenario, Session, Via
from rig.world.attacker import KINDS

FORGERIES = [k for k in KINDS if k.startswith(("forge", "plain", "brute"))]
DAMAGES = ("truncate", "zero", "corrupt", "alter", "enumerate")
GARBAGE = [k for k in KINDS if k.startswith(("flood", "garbage"))]
CARDS = [k for k in KINDS if k.startswith("tap")]
CHANNELS: tuple[Via, ...] = ("bluetooth", "cloud")


@pytest.mark.requirement("SEC-1")
@pytest.mark.parametrize("session", ["cold", "warm"])
@pytest.mark.parametrize("kind", FORGERIES)
def test_forged_message_moves_nothing(prove: Prover, kind: str, session: Session) -> None:
    """Without and with a session that the attacker could overhear."""
    prove(Scenario(carry=Carry(session=session), timeline=(Attack(kind, 1_000_000),)))


@pytest.mark.requirement("SEC-1", coverage="partial")
@pytest.mark.parametrize("session", ["cold", "warm"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_message_moves_nothing(prove: Prover, damage: str, channel: Via, session: Session) -> None:
    """A genuine command that never arrived otherwise."""
    prove(
        Scenario(
            carry=Carry(session=session),
            timeline=(
                Attack(f"{damage}_{channel}", 0),
                Intent("unlock", 1_000_000, channel),
                Fault("bluetooth.radio_off", 2_500_000),
                Fault("server.500", 2_500_000),
            ),
        )
    )


@pytest.mark.requirement("SEC-12")
@pytest.mark.parametrize("doors", ["locked", "unlocked"])
@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_moves_and_stops_nothing(prove: Prover, kind: str, doors: Doors) -> None:
    """Messages, frames and bytes, some made like a genuine one; a wish on another way after them."""
    after: Via = "card" if KINDS[kind].channel != "card" else "bluetooth"
    first = Intent("lock" if doors == "unlocked" else "unlock", 0, "bluetooth")
    prove(
        Scenario(
            doors=doors,
            timeline=(first, Attack(kind, 11_000_000), Intent("unlock", 60_000_000, after)),
        )
    )


@pytest.mark.requirement("SEC-13")
@pytest.mark.parametrize("kind", CARDS)
def test_bad_card_is_refused_and_the_next_good_tap_works(prove: Prover, kind: str) -> None:
    """After a good tap that could be recorded, and a lock; the driver's own tap 2 s after the bad one."""
    prove(
        Scenario(
            timeline=(
                Intent("unlock", 0, "card"),
                Intent("lock", 12_000_000, "bluetooth"),
                Attack(kind, 24_000_000),
                Intent("unlock", 27_000_000, "card"),
            )
        )
    )
    prove(Scenario(timeline=(Attack(kind, 1_000_000), Attack(kind, 3_000_000), Intent("unlock", 6_000_000, "card"))))


@pytest.mark.requirement("AVL-11", coverage="partial")
@pytest.mark.parametrize("via", ["card", "cloud"])
@pytest.mark.parametrize("kind", ["hog_slots", "half_open", "brute_bluetooth", "restbus"])
def test_clumsy_neighbours_keep_nobody_out(prove: Prover, kind: str, via: Via) -> None:
    prove(Scenario(timeline=(Attack(kind, 1_000_000), Intent("unlock", 1_500_000, via))))


@pytest.mark.requirement("SEC-2")
@pytest.mark.parametrize("again", CHANNELS)
@pytest.mark.parametrize("first", CHANNELS)
def test_replay_moves_nothing(prove: Prover, first: Via, again: str) -> None:
    """A genuine unlock, then a lock, then the unlock once more, on the same and on the other channel."""
    for gap_us in (1_500_000, 2_000_000, 3_000_000, 5_000_000):
        prove(
            Scenario(
                timeline=(
                    Intent("unlock", 0, first),
                    Intent("lock", 2_000_000, first),
                    Attack(f"replay_{again}", 2_000_000 + gap_us),
                )
            )
        )


@pytest.mark.requirement("SEC-2", coverage="partial")
@pytest.mark.parametrize("channel", CHANNELS)
def test_replay_into_a_new_epoch_moves_nothing(prove: Prover, channel: Via) -> None:
    """A reset between the genuine command and its replay; the relock has closed the doors."""
    prove(
        Scenario(
            timeline=(
                Intent("unlock", 0, channel),
                Intent("lock", 2_000_000, channel),
                Fault("power.reset", 5_000_000, 5_300_000),
                Attack(f"replay_{channel}", 7_000_000),
            )
        )
    )


@pytest.mark.requirement("SEC-3")
@pytest.mark.parametrize("lifetime", ["zero", "past", "long"])
def test_bad_lifetime_moves_nothing(prove: Prover, lifetime: str) -> None:
    """Another enrolled key signs commands that must not be accepted."""
    prove(Scenario(timeline=(Fault(f"credential.lifetime_{lifetime}", 0, 10_000_000),)))


@pytest.mark.requirement("SEC-4")
@pytest.mark.parametrize("session", ["cold", "warm"])
@pytest.mark.parametrize("delay_ms", [12_500, 15_000, 20_000, 35_000])
@pytest.mark.parametrize("channel", CHANNELS)
def test_command_delivered_late_moves_nothing(
    prove: Prover, channel: Via, delay_ms: int, session: Session
) -> None:
    """The only command of an intent is held back until it has expired."""
    prove(
        Scenario(
            carry=Carry(session=session),
            timeline=(
                Attack(f"hold_{channel}", 0, (("delay_ms", delay_ms),)),
                Intent("unlock", 1_000_000, channel),
                Fault("bluetooth.radio_off", 2_500_000, None),
                Fault("server.500", 2_500_000, None),
            ),
        )
    )


@pytest.mark.requirement("SEC-10", coverage="partial")
@pytest.mark.parametrize("mv", [7000, 8000])
@pytest.mark.parametrize("channel", CHANNELS)
def test_what_was_refused_at_low_supply_is_not_done_later(prove: Prover, channel: Via, mv: int) -> None:
    """A wish below 9 V; the supply comes back before the wish is over, just after, and long after."""
    for back_us in (6_000_000, 11_500_000, 14_000_000, 25_000_000):
        dip = Fault("power.dip", 1_000_000, back_us, (("mv", mv),))
        prove(Scenario(timeline=(dip, Intent("unlock", 2_000_000, channel))))


@pytest.mark.requirement("SEC-5", coverage="partial")
@pytest.mark.parametrize("second", ["bluetooth", "cloud"])
def test_unlock_while_unlocked_moves_nothing(prove: Prover, second: Via) -> None:
    """A second wish finds the doors open."""
    prove(Scenario(timeline=(Intent("unlock", 0, "bluetooth"), Intent("unlock", 12_000_000, second))))


@pytest.mark.requirement("SEC-10")
@pytest.mark.requirement("AVL-8", coverage="partial")
@pytest.mark.parametrize("doors", ["locked", "unlocked"])
@pytest.mark.parametrize("mv", [0, 3000, 6000, 7000, 8000])
def test_supply_failure_moves_nothing(prove: Prover, mv: int, doors: str) -> None:
    """A cut, and dips of several depths; 1.2 s after it a card still opens."""
    fault = Fault("power.dip", 1_000_000, 1_400_000, (("mv", mv),))
    scenario = Scenario(doors="locked" if doors == "locked" else "unlocked", timeline=(fault,))
    prove(scenario)
    prove(scenario.with_timeline(fault, Intent("unlock", 2_600_000, "card")))


@pytest.mark.requirement("AVL-8")
@pytest.mark.parametrize("session", ["cold", "warm"])
@pytest.mark.parametrize("via", ["bluetooth", "cloud", "card"])
def test_keys_work_after_two_resets(prove: Prover, via: Via, session: Session) -> None:
    """The second reset comes while the ECU may still be booting from the first, or after it."""
    for second_us in (1_500_000, 3_000_000):
        prove(
            Scenario(
                carry=Carry(session=session),
                timeline=(
                    Fault("power.reset", 1_000_000, 1_200_000),
                    Fault("power.reset", second_us, second_us + 200_000),
                    Intent("unlock", second_us + 1_400_000, via),
                ),
            )
        )


@pytest.mark.requirement("SAF-3")
@pytest.mark.parametrize("via", ["bluetooth", "cloud", "card"])
def test_relock(prove: Prover, via: Via) -> None:
    """Doors that nobody opens lock again; also after a reset meanwhile."""
    unlock = Intent("unlock", 0, via)
    prove(Scenario(timeline=(unlock,)))
    prove(Scenario(timeline=(unlock, Fault("power.reset", 10_000_000, 10_500_000))))
