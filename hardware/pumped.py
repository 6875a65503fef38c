"""Scenarios in real time on one process: the outer links at `wire`, the DUT and its lines simulated but in real time.

For what is asked of the outer links alone: many runs overlap on one loop. The DUT's own lines at `wire` are
`hardware.wirerun`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hardware.cloud.wire import WireCloud
from hardware.ownphone import MakeClient, OwnPhone, own_phone
from rig.faults import check_faults
from rig.kernel import Kernel
from rig.model import Model
from rig.pump import Pump
from rig.scenario import Scenario
from rig.trace import Trace
from rig.world.attacker import check_attacks
from rig.world.world import Watch, World

LONGEST_S = 3600.0
MOST_LATE_S = 0.2
"""Runs overlap on one core: nothing in these scenarios is decided within so little time but by a tie."""
TURNS = 4
FEWER = 3
"""How often a run is played in which the machine was late, and by what the overlap is divided each time."""

Play = Callable[[], Awaitable["Played"]]


@dataclass(frozen=True, slots=True)
class Played:
    """One run.

    Attributes:
        trace: what happened.
        stalls: how often it was late by more than `MOST_LATE_S`; then what it came to may be the machine's doing.
    """

    trace: Trace
    stalls: int


@dataclass(slots=True)
class Pumped:
    """Real-time runs of one kind of DUT.

    Attributes:
        model: whose DUT, keys and codecs it is.
        client: a phone client in the place of somebody's phone; None: the rig's own phones.
        who: in whose place: "phone" is the driver's, "guest" the guest's.
        bluetooth: the Bluetooth link is Bumble's on simulated air; False: a model.
    """

    model: Model
    client: MakeClient | None = None
    who: str = "phone"
    bluetooth: bool = False

    async def run(self, scenario: Scenario, watch: Watch) -> Trace:
        """Plays one scenario; several may run at once."""
        return (await self.play(scenario, watch)).trace

    async def play(self, scenario: Scenario, watch: Watch) -> Played:
        """As `run`, and says whether the machine kept up."""
        check_faults(scenario)
        check_attacks(scenario)
        kernel = Kernel()
        kernel.edges += 1
        trace = Trace(fidelity="wire")
        events = trace.events

        def frame(at_us: int, can_id: int, data: bytes, sender: str) -> None:
            events.append((at_us, "can", can_id, data, sender))

        model = self.model
        edges = model.edges(kernel, scenario, frame)
        cloud = WireCloud(kernel)
        links = cloud.links()
        if self.bluetooth:
            from hardware.bluetooth.air import bumble_air  # noqa: PLC0415  # an optional dependency

            links = replace(links, air=bumble_air(asyncio.get_running_loop()))
        if self.client is not None:
            phone = own_phone(cloud.bridge, cloud.trust.client, self.client, self.who)
            links = replace(links, phone=phone)
        world = World(kernel, edges, scenario, model.keys, model.codecs, trace, watch, links)
        await cloud.start()
        pump = Pump(kernel, max_late=MOST_LATE_S)
        try:
            await pump.drive(world.story(), until=LONGEST_S)
        finally:
            for person in (world.phone, world.guest):
                if isinstance(person, OwnPhone):
                    await person.close()
            world.air.close()
            await cloud.close()
        return Played(trace, len(pump.stalls))

    async def run_all(self, scenarios: list[Scenario], watch: Watch, at_once: int) -> list[Trace]:
        """Plays scenarios, so many at once; traces in the order of the scenarios."""
        return [played.trace for played in await overlapped(self._plays(scenarios, watch), at_once)]

    async def departures(
        self, scenarios: list[Scenario], watch: Watch, at_once: int, differs: Callable[[Scenario, Trace], str]
    ) -> list[tuple[Scenario, str]]:
        """Plays scenarios, so many at once, and says which of them come to something else than they should.

        One that does so in a run in which the machine was late is played again, fewer at once: it may have been the
        machine. One that does so in a run that was in time is not.

        Args:
            differs: in what a trace departs from what is wanted, in words; empty if in nothing.
        """
        found: list[tuple[Scenario, str]] = []
        left = scenarios
        for turn in range(1, TURNS + 1):
            late: list[Scenario] = []
            all_played = await overlapped(self._plays(left, watch), at_once)
            for scenario, played in zip(left, all_played, strict=True):
                what = differs(scenario, played.trace)
                if what and played.stalls and turn < TURNS:
                    late.append(scenario)
                elif what:
                    found.append((scenario, what + (f" (late {played.stalls} times)" if played.stalls else "")))
            if not late:
                break
            left, at_once = late, max(1, at_once // FEWER)
        return found

    def _plays(self, scenarios: list[Scenario], watch: Watch) -> list[Play]:
        return [partial(self.play, scenario, watch) for scenario in scenarios]


async def overlapped(plays: Sequence[Play], at_once: int) -> list[Played]:
    """Plays so many at once; what they came to, in order."""
    turn = asyncio.Semaphore(at_once)

    async def one(play: Play) -> Played:
        async with turn:
            return await play()

    return list(await asyncio.gather(*(one(play) for play in plays)))


async def in_time(
    plays: Sequence[Play], at_once: int, doubtful: Callable[[int, Trace], bool] = lambda _place, _trace: True
) -> list[Played]:
    """As `overlapped`; those in which the machine was late are played again, fewer at once, a few times at most.

    Args:
        doubtful: whether what a late run came to may be the machine's doing; if not, it is left as it is.
    """
    played = await overlapped(plays, at_once)
    for _ in range(TURNS - 1):
        late = [place for place, one in enumerate(played) if one.stalls and doubtful(place, one.trace)]
        if not late:
            break
        at_once = max(1, at_once // FEWER)
        for place, one in zip(late, await overlapped([plays[place] for place in late], at_once), strict=True):
            played[place] = one
    return played
