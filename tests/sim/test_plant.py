"""The plant: when latches flip, what breaks a drive, what the DUT is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.kernel import Kernel
from rig.sim.plant import DOORS, DriveEffect, Plant
from rig.sim.textline import SimText

Seen = tuple[int | str, ...]


class Bench:
    """A plant with a DUT's end of the I/O line in the test's hands."""

    def __init__(self, supply_mv: int = 12_600, pulse_us: int = 150_000) -> None:
        self.kernel = Kernel()
        self.io = SimText(self.kernel, delay_us=0)
        self.events: list[Seen] = []
        self.told: list[tuple[int, str]] = []
        self.io.b.on_line(lambda line: self.told.append((self.kernel.now, line)))
        self.plant = Plant(self.kernel, self.io.a, self._event, pulse_us=pulse_us)
        self.plant.set_supply(supply_mv)

    def _event(self, kind: str, *fields: int | str) -> None:
        self.events.append((self.kernel.now, kind, *fields))

    def drive(self, us: int, line: str) -> None:
        self.kernel.at(us, self.io.b.write, line)

    def run(self, seconds: float = 1.0) -> None:
        async def main() -> None:
            await self.kernel.sleep(seconds)

        self.kernel.run(main(), until=seconds + 1)

    def of(self, kind: str) -> list[Seen]:
        return [seen for seen in self.events if seen[1] == kind]

    def lines(self, start: str) -> list[tuple[int, str]]:
        return [(us, line) for us, line in self.told if us and line.startswith(start)]


def test_a_latch_flips_at_the_end_of_an_unbroken_150_ms_drive() -> None:
    bench = Bench()
    bench.drive(1000, "M FL U 1")
    bench.drive(160_000, "M FL U 0")
    bench.run()
    assert bench.of("motor") == [(1000, "motor", "FL", "U", 1), (160_000, "motor", "FL", "U", 0)]
    assert bench.of("latch") == [(151_000, "latch", "FL", "U")]
    assert bench.lines("F") == [(21_000, "F FL X"), (151_000, "F FL U")]
    assert [seen for seen in bench.of("feedback") if seen[0]] == [
        (21_000, "feedback", "FL", "X"),
        (151_000, "feedback", "FL", "U"),
    ]
    assert bench.plant.latches == {"FL": "U", "FR": "L", "RL": "L", "RR": "L"}


@pytest.mark.parametrize("broken_us", [10_000, 149_999])
def test_a_shorter_drive_leaves_the_latch(broken_us: int) -> None:
    bench = Bench()
    bench.drive(1000, "M FL U 1")
    bench.drive(1000 + broken_us, "M FL U 0")
    bench.drive(300_000, "M FL U 1")
    bench.drive(300_000 + 149_999, "M FL U 0")
    bench.run()
    assert bench.of("latch") == []
    assert bench.plant.latches["FL"] == "L"
    moves = 2 if broken_us > 20_000 else 1
    assert [line for _, line in bench.lines("F")] == ["F FL X", "F FL L"] * moves


@pytest.mark.parametrize("by_message", [True, False])
def test_an_exact_150_ms_pulse_suffices_whichever_event_comes_first(by_message: bool) -> None:
    bench = Bench()
    bench.drive(1000, "M FL U 1")
    if by_message:
        bench.drive(151_000, "M FL U 0")
    else:
        # Set before the flip is, so fired before it.
        bench.kernel.at(151_000, bench.plant.set_supply, 0)
    bench.run()
    assert bench.plant.latches["FL"] == "U"
    assert bench.of("latch") == [(151_000, "latch", "FL", "U")]
    assert [line for _, line in bench.lines("F FL")] == ["F FL X", "F FL U"]


def test_a_plant_in_real_time_can_be_content_with_shorter_pulses() -> None:
    bench = Bench(pulse_us=140_000)
    bench.drive(1000, "M FL U 1")
    bench.drive(149_000, "M FL U 0")
    bench.run()
    assert bench.of("latch") == [(141_000, "latch", "FL", "U")]


def test_a_repeated_message_neither_restarts_nor_breaks_a_drive() -> None:
    bench = Bench()
    bench.drive(1000, "M FL U 1")
    bench.drive(100_000, "M FL U 1")
    bench.drive(100_000, "M FL L 0")
    bench.run()
    assert bench.of("latch") == [(151_000, "latch", "FL", "U")]
    assert len(bench.of("motor")) == 1


def test_driving_both_ways_moves_nothing_and_the_rest_begins_anew() -> None:
    bench = Bench()
    bench.drive(1000, "M FL U 1")
    bench.drive(100_000, "M FL L 1")
    bench.drive(101_000, "M FL L 0")
    bench.run()
    assert bench.of("latch") == [(251_000, "latch", "FL", "U")]
    assert bench.plant.driven["FL"] == "U"


def test_a_drive_to_where_the_latch_is_moves_nothing() -> None:
    bench = Bench()
    bench.drive(1000, "M FL L 1")
    bench.run()
    assert bench.of("latch") == []
    assert bench.lines("F") == []
    assert len(bench.of("motor")) == 1


def test_a_stuck_motor_moves_nothing() -> None:
    bench = Bench()
    bench.plant.drive_effect = lambda door, _: DriveEffect.STUCK if door == "FL" else DriveEffect.MOVES
    for door in DOORS:
        bench.drive(1000, f"M {door} U 1")
    bench.run()
    assert bench.plant.latches == {"FL": "L", "FR": "U", "RL": "U", "RR": "U"}
    assert len(bench.of("motor")) == 4


def test_supply_below_6500_mv_breaks_every_drive_and_all_drives_are_off() -> None:
    bench = Bench()
    for door in DOORS:
        bench.drive(1000, f"M {door} U 1")
    bench.kernel.at(100_000, bench.plant.set_supply, 6_499)
    bench.drive(100_500, "M FL U 1")
    bench.kernel.at(110_000, bench.plant.set_supply, 12_600)
    bench.run()
    assert set(bench.plant.latches.values()) == {"L"}
    assert set(bench.plant.driven.values()) == {""}
    assert [seen[2] for seen in bench.of("motor") if seen[0] == 100_000] == list(DOORS)
    assert [seen[2] for seen in bench.of("supply")] == [12_600, 6_499, 12_600]


def test_supply_of_6500_mv_breaks_none() -> None:
    bench = Bench()
    bench.drive(1000, "M FL U 1")
    bench.kernel.at(100_000, bench.plant.set_supply, 6_500)
    bench.run()
    assert bench.plant.latches["FL"] == "U"


def test_a_dut_that_boots_is_told_every_level_after_the_supply() -> None:
    bench = Bench()
    bench.kernel.at(1000, bench.plant.set_ajar, "RR", True)
    bench.kernel.at(2000, bench.plant.set_supply, 0)
    bench.kernel.at(3000, bench.plant.set_supply, 7_000)
    bench.kernel.at(4000, bench.plant.set_supply, 9_299)
    bench.kernel.at(5000, bench.plant.set_supply, 9_300)
    bench.kernel.at(6000, bench.plant.set_supply, 8_000)
    bench.kernel.at(7000, bench.plant.set_supply, 12_000)
    bench.run()
    levels = [line for door in DOORS for line in (f"F {door} L", f"A {door} {int(door == 'RR')}")]
    at = {us: [line for when, line in bench.told if when == us] for us in range(1000, 8000, 1000)}
    assert at[1000] == ["A RR 1"]
    assert at[2000] == ["V 0"]
    assert at[3000] == ["V 7000", *levels]
    assert at[4000] == ["V 9299"]
    assert at[5000] == ["V 9300", *levels]
    assert at[6000] == ["V 8000"]
    assert at[7000] == ["V 12000"]


def test_latches_moved_by_hand_are_seen_and_handles_are_told() -> None:
    bench = Bench()
    bench.kernel.at(10, bench.plant.set_latches, "U")
    bench.kernel.at(20, bench.plant.set_latches, "U")
    bench.kernel.at(30, bench.plant.pull_handle, "FL", True)
    bench.run()
    assert [line for _, line in bench.lines("F")] == [f"F {door} U" for door in DOORS]
    assert len(bench.of("latch")) == 4
    assert bench.lines("H") == [(30, "H FL 1")]


def test_what_the_rig_asks_wrongly_is_refused() -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="not 'X'"):
        bench.plant.set_latches("X")
    with pytest.raises(ValueError, match="no door 'XX'"):
        bench.plant.pull_handle("XX", True)
    with pytest.raises(ValueError, match="-1 mV"):
        bench.plant.set_supply(-1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "M",
        "M FL U",
        "M FL U 2",
        "M XX U 1",
        "M FL X 1",
        "M FL U 1 ",
        "F FL U",
        "m FL U 1",
        "\x00",
        "M  U 1",
    ],
)
def test_lines_that_say_nothing_are_counted(line: str) -> None:
    bench = Bench()
    bench.drive(10, line)
    bench.run()
    assert bench.plant.malformed == 1
    assert bench.of("motor") == []


@given(lines=st.lists(st.text(max_size=12), max_size=10))
def test_no_line_of_the_dut_raises(lines: list[str]) -> None:
    bench = Bench()
    for us, line in enumerate(lines):
        bench.drive(us, line)
    bench.run()


Move = tuple[int, str, str, int]
motor_moves = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 900_000), st.integers(0, 9).map(lambda n: n * 75_000)),
        st.sampled_from(("FL", "RR")),
        st.sampled_from("UL"),
        st.integers(0, 1),
    ),
    max_size=14,
)


@given(
    moves=motor_moves,
    dips=st.lists(st.tuples(st.integers(0, 900_000), st.sampled_from((0, 6_499, 6_500, 12_000)))),
)
def test_a_latch_changes_only_by_150_ms_of_drive_in_one_direction(
    moves: list[Move], dips: list[tuple[int, int]]
) -> None:
    bench = Bench()
    for us, door, direction, on in moves:
        bench.drive(us, f"M {door} {direction} {on}")
    for us, mv in dips:
        bench.kernel.at(us, bench.plant.set_supply, mv)
    bench.run(2.0)
    since: dict[tuple[str, str], int] = {}
    latch = dict.fromkeys(DOORS, "L")
    for at, fields in ((int(seen[0]), [str(one) for one in seen[1:]]) for seen in bench.events):
        kind, door, *rest = fields
        if kind == "motor":
            direction, switched = rest
            if switched == "1":
                since[door, direction] = at
            else:
                del since[door, direction]
        elif kind == "latch":
            (state,) = rest
            assert state != latch[door]
            assert at - since[door, state] >= 150_000
            assert (door, "UL"[state == "U"]) not in since
            latch[door] = state
    assert bench.plant.latches == latch
    # What the DUT was told last is how things are, unless they are on their way.
    shown = {line.split()[1]: line.split()[2] for _, line in bench.told if line.startswith("F")}
    for door, state in shown.items():
        assert state == latch[door]
