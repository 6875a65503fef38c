"""Each requirement: a trace that passes, one that fails, and one that asks nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hardware.vehicle import emulated_model
from rig.judge import judge
from rig.judge.judge import REQUIREMENTS
from rig.judge.verdicts import Outcome, Verdict
from rig.scenario import Attack, Fault, Intent
from tests.judge import security_cases, vehicle_cases
from tests.judge.tape import CLOCK_S, DOORS, Tape, edited

S = 1_000_000
Case = Callable[[], Verdict]


def opened_by_bluetooth(at_s: float, *faults: Fault | Attack, warm: bool = True) -> Tape:
    """A wish by Bluetooth whose doors are all unlocked `at_s` after it."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), *faults).knows_the_clock(-0.1)
    tape.acts(0, "bluetooth", warm=warm).sends(min(0.1, at_s - 0.2), "u")
    return tape.moves(at_s - 0.15, "U")


def opened_by_cloud(at_s: float, *faults: Fault) -> Tape:
    tape = Tape(Intent("unlock", 0, "cloud"), *faults).knows_the_clock(-0.1)
    return tape.acts(0, "cloud").sends(0.1, "u", channel="cloud", expires=30).moves(at_s - 0.15, "U")


def opened_by_card(at_s: float, *faults: Fault, tap_s: float = 0.0) -> Tape:
    tape = Tape(Intent("unlock", round(tap_s * S), "card"), *faults)
    return tape.taps(tap_s).moves(tap_s + at_s - 0.15, "U")


GATEWAY_MUTE = Fault("can.sender_silent", 0, None, (("sender", 0),))
STICKS = Fault("actuator.pulses_stuck", 0)
MONTH_S = 30 * 24 * 3600


def after_a_month(at_s: float, failed_us: int) -> Tape:
    """A tap 30 days on; the month of LockStatus is left out."""
    return _without_cycle(opened_by_card(at_s, Fault("server.500", failed_us), tap_s=MONTH_S))


def healed(at_s: float | None) -> Tape:
    """Nothing but a failure that the closing phase ends; 10 s later a tap, and the doors are open `at_s` after it."""
    tape = Tape(Fault("can.bus_off", 0)).add(1.0, "healed").add(11.0, "intent", 0, "unlock", "card").taps(11.0)
    return tape if at_s is None else tape.moves(11.0 + at_s - 0.15, "U")


def once_more(at_s: float, answered: bool) -> Tape:
    """A first wish whose command moved nothing, then a second one that opens `at_s` after it."""
    tape = Tape(Intent("unlock", 0, "bluetooth"), Intent("unlock", 20 * S, "bluetooth")).knows_the_clock(-0.1)
    tape.acts(0, "bluetooth", warm=True).sends(0.1, "u", handed=False).told(10.0, "unknown")
    if answered:
        tape.answers(0.3, "u", fault=1)
    tape.acts(20, "bluetooth", index=1, warm=True).sends(20.1, "v", index=1, expires=CLOCK_S + 29)
    return tape.moves(20 + at_s - 0.15, "U")


def shut(*timeline: Intent | Fault | Attack) -> Tape:
    """Nothing moves."""
    return Tape(*timeline)


def ladder(opened_s: float | None, *faults: Fault, card: bool = True) -> Tape:
    tape = Tape(Intent("unlock", 0, "ladder"), *faults, card=card).acts(0, "bluetooth", warm=False)
    tape.told(10.0, "refused").add(10.5, "handle", 0, 0).taps(10.5)
    return tape if opened_s is None else tape.moves(opened_s - 0.15, "U")


def locked_by_bluetooth(at_s: float | None, *faults: Fault) -> Tape:
    tape = Tape(Intent("lock", 0, "bluetooth"), *faults, doors="unlocked").knows_the_clock(-0.1)
    tape.acts(0, "bluetooth", warm=True).sends(0.1, "l", command="lock")
    return tape if at_s is None else tape.moves(at_s - 0.15, "L")


def late(at_s: float, moved: bool) -> Tape:
    """A command that was held back; its expiry is reached 9 to 10 s after the origin."""
    tape = Tape(Attack("hold_bluetooth", 0), Intent("unlock", 0, "bluetooth")).knows_the_clock()
    tape.acts(0, "bluetooth", warm=True).sends(0.1, "u", handed=False).hands(at_s, "u", origin="late")
    tape.told(10.0, "unknown")
    return tape.moves(at_s + 0.1, "U") if moved else tape


def replayed(moved: bool) -> Tape:
    tape = Tape(
        Intent("unlock", 0, "bluetooth"),
        Intent("lock", 3 * S, "bluetooth"),
        Attack("replay_bluetooth", 6 * S),
    )
    tape.knows_the_clock().acts(0, "bluetooth", warm=True).sends(0.1, "u").moves(0.3, "U")
    tape.acts(3, "bluetooth", index=1, warm=True).sends(3.1, "l", index=1, command="lock").moves(3.3, "L")
    tape.hands(6.0, "u", origin="replay")
    return tape.moves(6.1, "U") if moved else tape


def ill_lived(expires: int, moved: bool) -> Tape:
    """The other key's command, 5 s after the origin."""
    tape = Tape(Fault("credential.lifetime_zero", 0)).knows_the_clock(5.0, key="valet", seconds=7)
    tape.sends(5.1, "v", index=-1001, key="valet", expires=expires, flaw="lifetime")
    return tape.moves(5.2, "U") if moved else tape


def twice(*, locked_between: bool) -> Tape:
    """Two commands of one intent, and a movement after each."""
    tape = Tape(Intent("unlock", 0, "bluetooth")).knows_the_clock()
    tape.acts(0, "bluetooth", warm=True).sends(0.1, "one").moves(0.3, "U")
    if locked_between:
        tape.moves(1.5, "L")
    else:
        tape.turned_by_hand(1.5, "L")
    return tape.sends(2.0, "two").moves(2.1, "U")


def reset(moved: bool) -> Tape:
    tape = Tape(Fault("power.reset", 0, S // 2))
    return tape.moves(1.4, "U") if moved else tape


def relocked(after_s: float | None) -> Tape:
    """Doors opened by a card, and locked again so long after the movement began."""
    tape = Tape(Intent("unlock", 0, "card")).taps(0).moves(0.2, "U")
    return tape if after_s is None else tape.moves(0.2 + after_s, "L")


OFF = Fault("bluetooth.radio_off", 0)
DOWN = Fault("server.500", 0)
RESET = Fault("power.reset", 0, S // 2)


def healthy_latency(_path: str, _want: str, _warm: bool) -> int:
    return 500_000


CASES: dict[str, dict[str, list[Case]]] = {
    "AVL-1": {
        "pass": [
            lambda: ladder(10.8).verdict("AVL-1", 42),
            lambda: ladder(29.9, DOWN, OFF).verdict("AVL-1", 60),
        ],
        "fail": [
            lambda: ladder(None).verdict("AVL-1", 42),
            lambda: ladder(30.1).verdict("AVL-1", 60),
            # Open for a moment is not in.
            lambda: ladder(10.8).moves(12.0, "L").verdict("AVL-1", 42),
        ],
        "vacuous": [
            lambda: ladder(None, card=False).verdict("AVL-1", 42),
            lambda: ladder(None, Fault("power.dip", 20 * S, 21 * S)).verdict("AVL-1", 42),
            lambda: opened_by_bluetooth(0.5).verdict("AVL-1", 42),
        ],
    },
    "AVL-2": {
        "pass": [
            lambda: opened_by_bluetooth(3.0).verdict("AVL-2", 35),
            lambda: opened_by_bluetooth(5.0, warm=False).verdict("AVL-2", 35),
            lambda: opened_by_bluetooth(0.5, DOWN).verdict("AVL-2", 35),
        ],
        "fail": [
            lambda: opened_by_bluetooth(3.001).verdict("AVL-2", 35),
            lambda: opened_by_bluetooth(5.001, warm=False).verdict("AVL-2", 35),
            lambda: shut(Intent("unlock", 0, "bluetooth")).acts(0, "bluetooth").verdict("AVL-2", 35),
            lambda: opened_by_bluetooth(0.5).moves(2.0, "L").verdict("AVL-2", 35),
        ],
        "vacuous": [
            lambda: opened_by_bluetooth(4.0, OFF).verdict("AVL-2", 35),
            lambda: opened_by_bluetooth(4.0, Fault("can.bus_off", 2 * S, 3 * S)).verdict("AVL-2", 35),
            lambda: opened_by_bluetooth(4.0, Attack("replay_bluetooth", 2 * S)).verdict("AVL-2", 35),
            lambda: opened_by_card(0.5).verdict("AVL-2", 35),
        ],
    },
    "AVL-3": {
        "pass": [
            lambda: opened_by_cloud(10.0).verdict("AVL-3", 45),
            lambda: opened_by_cloud(1.0, OFF).verdict("AVL-3", 45),
        ],
        "fail": [
            lambda: opened_by_cloud(10.001).verdict("AVL-3", 45),
            lambda: shut(Intent("unlock", 0, "cloud")).acts(0, "cloud").verdict("AVL-3", 45),
        ],
        "vacuous": [
            lambda: opened_by_cloud(11.0, DOWN).verdict("AVL-3", 45),
            lambda: opened_by_cloud(11.0, Fault("phone.signed_out", 0)).verdict("AVL-3", 45),
            # The ladder's second way, without knowing that Bluetooth is off, has less time than its limit.
            lambda: ladder(None).acts(5, "cloud").verdict("AVL-3", 45),
        ],
    },
    "AVL-4": {
        "pass": [
            lambda: opened_by_card(1.0).verdict("AVL-4", 35),
            lambda: opened_by_card(0.4, DOWN, OFF, Fault("can.bus_off", 0)).verdict("AVL-4", 35),
        ],
        "fail": [
            lambda: opened_by_card(1.001).verdict("AVL-4", 35),
            lambda: shut(Intent("unlock", 0, "card")).taps(0).verdict("AVL-4", 35),
            lambda: opened_by_card(1.2, Fault("can.bus_off", 0)).verdict("AVL-4", 35),
        ],
        "vacuous": [
            lambda: opened_by_card(3.0, Fault("power.dip", S // 2, S)).verdict("AVL-4", 35),
            lambda: opened_by_bluetooth(0.5).verdict("AVL-4", 35),
        ],
    },
    "AVL-5": {
        "pass": [
            lambda: opened_by_bluetooth(0.7, DOWN).verdict("AVL-5", 35, baseline=healthy_latency),
            lambda: opened_by_card(0.7, Fault("can.log_flood", 0)).verdict(
                "AVL-5", 35, baseline=healthy_latency
            ),
        ],
        "fail": [
            lambda: opened_by_bluetooth(0.701, DOWN).verdict("AVL-5", 35, baseline=healthy_latency),
            lambda: shut(Intent("unlock", 0, "card"), DOWN)
            .taps(0)
            .verdict("AVL-5", 35, baseline=healthy_latency),
        ],
        "vacuous": [
            lambda: opened_by_bluetooth(2.0).verdict("AVL-5", 35, baseline=healthy_latency),
            lambda: opened_by_bluetooth(2.0, DOWN).verdict("AVL-5", 35),
            lambda: opened_by_bluetooth(2.0, Fault("server.500", 3 * S)).verdict(
                "AVL-5", 35, baseline=healthy_latency
            ),
        ],
    },
    "AVL-8": {
        "pass": [lambda: opened_by_card(1.0, RESET, tap_s=1.5).verdict("AVL-8", 35)],
        "fail": [
            lambda: opened_by_card(1.1, RESET, tap_s=1.5).verdict("AVL-8", 35),
            lambda: shut(Intent("unlock", 2 * S, "card"), RESET).taps(2).verdict("AVL-8", 35),
        ],
        "vacuous": [
            lambda: opened_by_card(3.0, RESET, tap_s=1.4).verdict("AVL-8", 35),
            lambda: opened_by_card(1.0).verdict("AVL-8", 35),
        ],
    },
    "AVL-10": {
        "pass": [
            lambda: opened_by_bluetooth(0.5).told(0.6, "opened").verdict("AVL-10", 35),
            lambda: shut(Intent("unlock", 0, "cloud")).told(10.0, "unknown").verdict("AVL-10", 35),
            lambda: shut(Intent("unlock", 0, "cloud"))
            .sends(0.1, "u", channel="cloud")
            .answers(0.2, "u", fault=7)
            .told(0.2, "refused", "INSUFFICIENT_PRIVILEGES")
            .verdict("AVL-10", 35),
            # Open at some instant between sending and report is enough.
            lambda: opened_by_bluetooth(0.5).moves(1.0, "L").told(3.0, "opened").verdict("AVL-10", 35),
            # The answer came after the report.
            lambda: opened_by_bluetooth(0.5).told(10.0, "unknown").answers(10.01, "u").verdict("AVL-10", 35),
        ],
        "fail": [
            lambda: shut(Intent("unlock", 0, "bluetooth"))
            .sends(0.1, "u")
            .told(0.6, "opened")
            .verdict("AVL-10", 35),
            lambda: opened_by_bluetooth(0.5).told(0.6, "refused", "BUSY").verdict("AVL-10", 35),
            lambda: opened_by_bluetooth(0.5).answers(0.6, "u").told(10.0, "unknown").verdict("AVL-10", 35),
            lambda: opened_by_bluetooth(0.5).told(10.2, "opened").verdict("AVL-10", 35),
            lambda: opened_by_bluetooth(0.5).verdict("AVL-10", 35),
            # Open before the command was sent, and shut since.
            lambda: Tape(Intent("unlock", 0, "bluetooth"), doors="unlocked")
            .moves(-0.5, "L")
            .sends(0.1, "u")
            .told(0.6, "opened")
            .verdict("AVL-10", 35),
        ],
        "vacuous": [lambda: opened_by_card(0.5).verdict("AVL-10", 35)],
    },
    "AVL-13": {
        "pass": [
            lambda: locked_by_bluetooth(3.0).verdict("AVL-13", 35),
            lambda: locked_by_bluetooth(0.5).told(0.6, "locked").verdict("AVL-13", 35),
        ],
        "fail": [
            lambda: locked_by_bluetooth(3.001).verdict("AVL-13", 35),
            lambda: locked_by_bluetooth(None).verdict("AVL-13", 35),
            lambda: locked_by_bluetooth(None, OFF).told(0.6, "locked").verdict("AVL-13", 35),
            # One door of four stays open.
            lambda: locked_by_bluetooth(None).moves(0.4, "L", doors=DOORS[:3]).verdict("AVL-13", 35),
        ],
        "vacuous": [
            lambda: opened_by_bluetooth(0.5).verdict("AVL-13", 35),
            lambda: locked_by_bluetooth(None, OFF).told(10, "refused").verdict("AVL-13", 35),
            # A tap locks only 10 s after the last unlock.
            lambda: Tape(Intent("lock", 5 * S, "card"), doors="unlocked").taps(5).verdict("AVL-13", 35),
        ],
    },
    "SEC-1": {
        "pass": [lambda: shut(Attack("forge_tag_cloud", 0)).hands(0, "f", origin="forge").verdict("SEC-1", 5)],
        "fail": [
            lambda: shut().moves(1.0, "U").verdict("SEC-1", 5),
            lambda: shut(Attack("forge_tag_cloud", 0))
            .hands(0, "f", origin="forge")
            .moves(0.1, "U")
            .verdict("SEC-1", 5),
            # A card that did not answer its challenge; one door is enough.
            lambda: shut(Intent("unlock", 0, "card"))
            .taps(0, authentic=False)
            .moves(0.2, "U", doors=("RR",))
            .verdict("SEC-1", 5),
            # Signed for one channel, arrived on the other only.
            lambda: shut(Intent("unlock", 0, "bluetooth"))
            .sends(0.1, "u", handed=False)
            .hands(0.2, "u", channel="cloud")
            .moves(0.3, "U")
            .verdict("SEC-1", 5),
            # Signed, and never delivered.
            lambda: shut(Intent("unlock", 0, "bluetooth"))
            .sends(0.1, "u", handed=False)
            .moves(0.3, "U")
            .verdict("SEC-1", 5),
            # A request to lock opens nothing.
            lambda: shut(Intent("lock", 0, "bluetooth"))
            .sends(0.1, "l", command="lock")
            .moves(0.3, "U")
            .verdict("SEC-1", 5),
        ],
        "vacuous": [lambda: opened_by_bluetooth(0.5).verdict("SEC-1", 35)],
    },
    "SEC-2": {
        "pass": [lambda: replayed(False).verdict("SEC-2", 10)],
        "fail": [lambda: replayed(True).verdict("SEC-2", 10)],
        "vacuous": [lambda: opened_by_bluetooth(0.5).verdict("SEC-2", 35)],
    },
    "SEC-3": {
        "pass": [lambda: ill_lived(0, False).verdict("SEC-3", 8), lambda: ill_lived(70, False).verdict("SEC-3", 8)],
        "fail": [
            lambda: ill_lived(0, True).verdict("SEC-3", 8),
            lambda: ill_lived(2, True).verdict("SEC-3", 8),
            lambda: ill_lived(70, True).verdict("SEC-3", 8),
        ],
        "vacuous": [lambda: opened_by_bluetooth(0.5).verdict("SEC-3", 35)],
    },
    "SEC-4": {
        "pass": [lambda: late(13.0, False).verdict("SEC-4", 15)],
        "fail": [lambda: late(13.0, True).verdict("SEC-4", 15)],
        "vacuous": [
            lambda: opened_by_bluetooth(0.5).verdict("SEC-4", 35),
            # Late, but not too late: the ECU may do it.
            lambda: late(3.0, True).verdict("SEC-4", 35),
            lambda: late(3.0, False).verdict("SEC-4", 35),
        ],
    },
    "SEC-5": {
        "pass": [
            lambda: opened_by_bluetooth(0.5).verdict("SEC-5", 35),
            lambda: twice(locked_between=True).verdict("SEC-5", 8),
        ],
        "fail": [
            lambda: twice(locked_between=False).verdict("SEC-5", 8),
            # A pulse on doors that are open.
            lambda: opened_by_bluetooth(0.5).sends(2.0, "again").moves(2.1, "U").verdict("SEC-5", 8),
        ],
        "vacuous": [lambda: locked_by_bluetooth(0.5).verdict("SEC-5", 35)],
    },
    "AVL-6": {
        "pass": [
            lambda: healed(0.5).verdict("AVL-6", 20),
            lambda: opened_by_card(0.5, Fault("power.reset", 0, 1 * S), tap_s=11.1).verdict("AVL-6", 46),
        ],
        "fail": [
            lambda: healed(1.2).verdict("AVL-6", 20),
            lambda: healed(None).verdict("AVL-6", 20),
            lambda: opened_by_card(1.2, Fault("power.reset", 0, 1 * S), tap_s=11.1).verdict("AVL-6", 46),
        ],
        # Less than 10 s after the end of the failure.
        "vacuous": [lambda: opened_by_card(1.2, Fault("power.reset", 0, 1 * S), tap_s=10.9).verdict("AVL-6", 46)],
    },
    "AVL-7": {
        "pass": [lambda: opened_by_bluetooth(2.9, GATEWAY_MUTE).verdict("AVL-7", 35)],
        "fail": [
            lambda: opened_by_bluetooth(3.1, GATEWAY_MUTE).verdict("AVL-7", 35),
            lambda: opened_by_card(1.1, GATEWAY_MUTE).verdict("AVL-7", 35),
        ],
        "vacuous": [lambda: opened_by_bluetooth(3.1).verdict("AVL-7", 35)],
    },
    "ACT-1": {
        "pass": [lambda: opened_by_card(1.2, STICKS).verdict("ACT-1", 35)],
        "fail": [
            lambda: opened_by_card(1.3, STICKS).verdict("ACT-1", 35),
            lambda: shut(Intent("unlock", 0, "card"), STICKS).taps(0).verdict("ACT-1", 35),
        ],
        "vacuous": [lambda: opened_by_card(1.2).verdict("ACT-1", 35)],
    },
    "AVL-9": {
        "pass": [lambda: after_a_month(0.5, 0).verdict("AVL-9", MONTH_S + 35)],
        "fail": [lambda: after_a_month(1.2, 0).verdict("AVL-9", MONTH_S + 35)],
        "vacuous": [
            lambda: after_a_month(1.2, 1 * S).verdict("AVL-9", MONTH_S + 35),
        ],
    },
    "AVL-11": {
        "pass": [
            lambda: opened_by_bluetooth(4.9, Attack("forge_tag_cloud", 0), warm=True).verdict("AVL-11", 35),
        ],
        "fail": [
            lambda: opened_by_bluetooth(5.1, Attack("forge_tag_cloud", 0), warm=True).verdict("AVL-11", 35),
        ],
        "vacuous": [lambda: opened_by_bluetooth(5.1).verdict("AVL-11", 35)],
    },
    "AVL-12": {
        "pass": [lambda: once_more(0.5, answered=False).verdict("AVL-12", 60)],
        "fail": [lambda: once_more(3.1, answered=False).verdict("AVL-12", 60)],
        "vacuous": [lambda: once_more(3.1, answered=True).verdict("AVL-12", 60)],
    },
    "SEC-10": {
        "pass": [lambda: reset(False).verdict("SEC-10", 5)],
        "fail": [lambda: reset(True).verdict("SEC-10", 5)],
        "vacuous": [lambda: opened_by_bluetooth(0.5).verdict("SEC-10", 35)],
    },
    "SAF-3": {
        "pass": [
            lambda: relocked(29.0).verdict("SAF-3", 40),
            lambda: relocked(30.0).verdict("SAF-3", 40),
            lambda: relocked(31.0).verdict("SAF-3", 40),
        ],
        "fail": [
            lambda: relocked(28.9).verdict("SAF-3", 40),
            lambda: relocked(31.2).verdict("SAF-3", 40),
            lambda: relocked(None).verdict("SAF-3", 40),
        ],
        "vacuous": [
            lambda: shut(Intent("unlock", 0, "card")).taps(0).verdict("SAF-3", 40),
            lambda: relocked(None).verdict("SAF-3", 30),
            # Locked on request.
            lambda: Tape(Intent("unlock", 0, "card"), Intent("lock", 5 * S, "bluetooth"))
            .taps(0)
            .moves(0.2, "U")
            .sends(5.1, "l", index=1, command="lock")
            .moves(5.3, "L")
            .verdict("SAF-3", 40),
        ],
    },
    "STA-1": {
        "pass": [lambda: opened_by_bluetooth(0.5).verdict("STA-1", 35)],
        "fail": [lambda: _without_cycle(opened_by_bluetooth(0.5)).add(
            1.0, "can", 0x1A0, bytes(8), "ecu").verdict("STA-1", 35)],
        "vacuous": [
            lambda: _without_cycle(opened_by_card(0.5, Fault("can.bus_off", 0))).verdict("STA-1", 35),
        ],
    },
}  # fmt: skip


CASES |= security_cases.CASES | vehicle_cases.CASES
for _name, _outcomes in vehicle_cases.MORE.items():
    for _outcome, _more in _outcomes.items():
        CASES[_name][_outcome] += _more


def _without_cycle(tape: Tape) -> Tape:
    tape.cycle = False
    return tape


ROWS = [
    pytest.param(case, Outcome(outcome), id=f"{name}-{outcome}-{number}")
    for name, outcomes in CASES.items()
    for outcome, cases in outcomes.items()
    for number, case in enumerate(cases)
]


@pytest.mark.parametrize(("case", "outcome"), ROWS)
def test_verdict(case: Case, outcome: Outcome) -> None:
    verdict = case()
    assert verdict.outcome is outcome, verdict.text


def test_each_requirement_has_all_three() -> None:
    assert set(CASES) == set(REQUIREMENTS)
    assert all(set(outcomes) == {"pass", "fail", "vacuous"} for outcomes in CASES.values())


def test_a_failing_verdict_names_what_was_measured_and_where_to_look() -> None:
    verdict = opened_by_card(1.25).verdict("AVL-4", 35)
    assert (verdict.value_us, verdict.limit_us, verdict.margin_us) == (1_250_000, 1_000_000, -250_000)
    assert verdict.at_us == 3_000_000
    assert "1.250 s" in verdict.text


@pytest.mark.parametrize("kind", ["motor", "latch"])
def test_a_real_run_whose_locks_did_not_move_fails(kind: str) -> None:
    """The same trace without the plant's events; what the ECU says of itself counts for nothing."""
    model = emulated_model()
    scenario = Tape(Intent("unlock", 0, "card")).scenario
    trace = model.run(scenario)
    assert judge(scenario, trace, model.rules()).verdicts["AVL-4"].outcome is Outcome.PASS
    without = edited(trace, lambda e: None if e[1] in ("latch", kind) else e)
    assert judge(scenario, without, model.rules()).verdicts["AVL-4"].outcome is Outcome.FAIL
