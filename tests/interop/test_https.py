"""`tesla_fleet_api` over HTTPS, unmodified: what it reports against what the lock did, under every failure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import pytest

from hardware.ownphone import Access, Report
from hardware.pumped import Pumped, in_time
from hardware.vehicle import emulated_model
from rig.faults import CATALOGUE, modes
from rig.judge.judge import judge
from rig.judge.verdicts import Outcome
from rig.pump import realtime_loop
from rig.scenario import Carry, Entry, Fault, Intent, Scenario
from rig.trace import Trace, number, word
from rig.world.world import Watch
from tests.interop import table
from tests.interop.fleetclient import FleetClient

pytestmark = pytest.mark.xdist_group("https")  # they share what takes long to make

VEHICLE_SECURITY = 2
"""The domain whose session the library keeps under this number."""
BEGIN_US, TRY_US, END_US, AGAIN_US = 3_000_000, 3_500_000, 14_500_000, 26_000_000
WATCH = Watch(relock_us=0, opened_us=500_000)
MODES = (*modes("server"), *modes("network"))


class Spoilt(FleetClient):
    """The library with its session changed before the third wish, as by a lost memory or a wrong clock."""

    counter = 0
    clock_s = 0

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._wishes = 0

    async def act(self, want: str, via: str) -> Report:
        """As the library does, after the change."""
        self._wishes += 1
        if self._wishes == 3:
            session = self.vehicle._sessions[VEHICLE_SECURITY]
            session.counter = max(0, session.counter + self.counter)
            session.delta = (session.delta or 0) + self.clock_s
        return await super().act(want, via)


class CounterAhead(Spoilt):
    counter = 1000


class CounterBehind(Spoilt):
    counter = -1000


class ClockFast(Spoilt):
    clock_s = -60


class ClockSlow(Spoilt):
    clock_s = 12


@dataclass(frozen=True, slots=True)
class Story:
    """One row: what happens, to whom, and with which client."""

    name: str
    scenario: Scenario
    client: type[FleetClient] = FleetClient
    who: str = "phone"


def story(name: str, *events: Entry, client: type[FleetClient] = FleetClient) -> Story:
    """A session is made by an unlock and a lock; then what happens, a try in it, and one after it."""
    timeline = (
        Intent("unlock", 0, "cloud"), Intent("lock", 1_500_000, "cloud"), *events,
        Intent("unlock", TRY_US, "cloud"), Intent("unlock", AGAIN_US, "cloud"),
    )  # fmt: skip
    return Story(name, Scenario(7, Carry(session="cold"), timeline=timeline), client)


def revoked() -> Story:
    """The guest uses the library; the owner revokes the guest's key in between."""
    timeline = (
        Intent("unlock", 0, "cloud", "guest"), Intent("lock", 1_500_000, "cloud", "guest"),
        Intent("revoke", 2_200_000, "cloud"),
        Intent("unlock", TRY_US, "cloud", "guest"), Intent("unlock", AGAIN_US, "cloud", "guest"),
    )  # fmt: skip
    return Story("the owner has revoked its key", Scenario(7, Carry(session="cold"), timeline=timeline), who="guest")


STORIES = (
    story("nothing"),
    revoked(),
    story("the ECU was reset: a new epoch", Fault("power.reset", BEGIN_US, BEGIN_US + 100_000)),
    story("its counter jumped ahead by 1000", client=CounterAhead),
    story("its counter fell back", client=CounterBehind),
    story("its clock is a minute fast", client=ClockFast),
    story("its clock is 12 s slow", client=ClockSlow),
    *(story(mode, Fault(mode, BEGIN_US, END_US)) for mode in MODES),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a story."""

    story: Story
    trace: Trace

    def told(self, place: int) -> tuple[int, str, str]:
        """When, what and in which words the wish number `place` of the client's was answered."""
        mine = [e for e in self.trace.of("told") if self.story.scenario.intents[number(e, 2)].want != "revoke"]
        return number(mine[place], 0), word(mine[place], 3), word(mine[place], 4)

    def opened(self, since_us: int, until_us: int) -> bool:
        """Whether the doors were seen to open in a time of the scenario's clock."""
        opened = [number(e, 0) - self.trace.origin_us for e in self.trace.of("latch") if e[2:4] == ("FL", "U")]
        return any(since_us <= at_us < until_us for at_us in opened)

    @property
    def opened_at_once(self) -> bool:
        """Before the next try."""
        return self.opened(TRY_US, AGAIN_US)

    @property
    def verdict(self) -> str:
        """The report against the lock."""
        said = self.told(2)[1] == "opened"
        if said and not self.opened_at_once:
            return "**false success**"
        if not said and self.opened_at_once:
            return "**false error**"
        return "true"

    def cells(self) -> list[str]:
        """For the table."""
        mode = CATALOGUE.get(self.story.name)
        what = f"`{self.story.name}`: {mode.text}" if mode else self.story.name
        again = self.told(3)
        return [
            what,
            _said(*self.told(2)[1:]),
            "opened" if self.opened_at_once else "stayed locked",
            self.verdict,
            _said(*again[1:]),
        ]


def _said(told: str, detail: str) -> str:
    return "success" if told == "opened" else detail


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """All stories, at once, in real time."""
    model = emulated_model(collapse=False)

    page = table.PAGE.read_text(encoding="utf-8").splitlines()

    def doubtful(place: int, trace: Trace) -> bool:
        return table.line(Row(STORIES[place], trace).cells()) not in page

    plays = [partial(Pumped(model, one.client, one.who).play, one.scenario, WATCH) for one in STORIES]
    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        played = runner.run(in_time(plays, len(plays), doubtful))
    return [Row(story, one.trace) for story, one in zip(STORIES, played, strict=True)]


def test_table_is_current(rows: list[Row]) -> None:
    head = ("what happens", "the library reports", "the lock", "the report is", "after it")
    table.check("https", table.filled(head, [row.cells() for row in rows]))


def test_nothing_in_the_way_means_success(rows: list[Row]) -> None:
    for row in rows:
        assert [row.told(n)[1] for n in (0, 1)] == ["opened", "locked"], row.story.name
    assert rows[0].told(2)[1] == rows[0].told(3)[1] == "opened"


def test_a_revoked_key_opens_nothing(rows: list[Row]) -> None:
    revoked = next(row for row in rows if row.story.who == "guest")
    assert [(e[4], e[5]) for e in revoked.trace.of("keyop")] == [("revoke", 0)]
    assert revoked.told(2)[1] == revoked.told(3)[1] == "refused"
    assert not revoked.opened(TRY_US, AGAIN_US + 20_000_000)


@pytest.mark.parametrize("name", ["a new epoch", "ahead", "fell back"])
def test_it_recovers_within_the_same_call(rows: list[Row], name: str) -> None:
    row = next(row for row in rows if name in row.story.name)
    assert row.told(2)[1] == "opened" and row.opened_at_once


def test_after_every_failure_the_next_try_succeeds(rows: list[Row]) -> None:
    wrong = [row.story.name for row in rows if row.story.who == "phone" and row.told(3)[1] != "opened"]
    assert not wrong


def test_judged_as_a_phone(rows: list[Row]) -> None:
    """The client in the place of the rig's phone: what it tells is true (AVL-10), and half-way is resolved (AVL-12)."""
    rules = emulated_model().rules()
    found: dict[str, int] = {"AVL-10": 0, "AVL-12": 0}
    for row in rows:
        verdicts = judge(row.story.scenario, row.trace, rules).verdicts
        for requirement in found:
            verdict = verdicts[requirement]
            assert verdict.outcome is not Outcome.FAIL, f"{row.story.name}: {verdict.text}"
            found[requirement] += verdict.outcome is Outcome.PASS
    assert found["AVL-10"] == len(rows) and found["AVL-12"] >= 5
