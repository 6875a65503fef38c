"""Random schedules: two runs equal, pumped equal to virtual, nothing lost or doubled."""

from __future__ import annotations

import asyncio
import hashlib
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.kernel import Channel, Event, Handle, Kernel, Task, Timeout, Waitable
from rig.pump import Pump, realtime_loop

Line = tuple[int, str, str]


class RandomWorld:
    """Actors that sleep, send, receive, nest time-outs, spawn, join and cancel each other at random.

    Attributes:
        log: what happened, in order: (µs, actor, what).
        sent, got: each value put into a channel, and each that came out.
    """

    def __init__(self, seed: int, length_s: float = 0.06, actors: int = 6, acts: int = 40) -> None:
        self.kernel = Kernel()
        self.log: list[Line] = []
        self.sent: list[int] = []
        self.got: list[int] = []
        self.channels: list[Channel[int]] = [Channel(self.kernel, f"channel {i}") for i in range(3)]
        self.events: list[Event[int]] = [Event(self.kernel, f"event {i}") for i in range(40)]
        self.tasks: list[Task[Any]] = []
        self.handles: list[Handle] = []
        self._seed = seed
        self._length_s = length_s
        self._actors = actors
        self._acts = acts
        self._fired: list[int] = []
        self._set: list[int] = []

    async def main(self) -> None:
        for number in range(self._actors):
            self._spawn(f"{number}", 0, keep=False)
        await self.kernel.sleep(self._length_s)
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            await task.join()
            assert task.done
        for channel in self.channels:
            while len(channel):
                self._receive("main", await channel.recv())

    def check(self) -> None:
        """Nothing lost, nothing doubled, time never back, no end doubled, nothing swallowed."""
        assert sorted(self.got) == self.sent
        times = [us for us, _, _ in self.log]
        assert times == sorted(times)
        ends = [actor for _, actor, what in self.log if what == "end"]
        starts = [actor for _, actor, what in self.log if what == "start"]
        assert sorted(ends) == sorted(starts)
        assert len(set(ends)) == len(ends)
        assert len(set(self._fired)) == len(self._fired)
        assert self.kernel.notes == []

    def _note(self, name: str, what: str) -> None:
        self.log.append((self.kernel.now, name, what))

    def _spawn(self, name: str, depth: int, keep: bool) -> None:
        rng = random.Random(f"{self._seed} {name}")
        self.tasks.append(self.kernel.spawn(self._actor(name, depth, rng), name=name, keep=keep))

    def _send(self, name: str, channel: Channel[int]) -> None:
        self.sent.append(len(self.sent))
        self._note(name, f"puts {self.sent[-1]} into {channel.name}")
        channel.put(self.sent[-1])

    def _receive(self, name: str, value: int) -> None:
        self._note(name, f"got {value}")
        self.got.append(value)

    def _fire(self, number: int, channel: Channel[int]) -> None:
        self._fired.append(number)
        self._send(f"callback {number}", channel)

    def _seconds(self, rng: random.Random) -> float:
        return rng.choice((0, 0.001, 0.001, 0.002, 0.002, 0.003, 0.005, 0.0007))

    async def _actor(self, name: str, depth: int, rng: random.Random) -> None:
        self._note(name, "start")
        try:
            for number in range(rng.randint(2, self._acts)):
                try:
                    await self._act(f"{name}.{number}", name, depth, rng)
                except Timeout:
                    self._note(name, "time-out")
        finally:
            try:
                if rng.random() < 0.2:
                    await self.kernel.sleep(self._seconds(rng))
            finally:
                self._note(name, "end")

    async def _act(self, label: str, name: str, depth: int, rng: random.Random) -> None:
        kernel = self.kernel
        channel = rng.choice(self.channels)
        event = rng.choice(self.events)
        kind = rng.randrange(16)
        limit = self._seconds(rng) if rng.random() < 0.95 else None
        if kind <= 1:
            await kernel.sleep(self._seconds(rng))
        elif kind <= 3:
            self._send(name, channel)
        elif kind <= 5:
            self._receive(name, await channel.recv(timeout=limit))
        elif kind == 6:
            objects: list[Waitable[Any]] = [channel, event, rng.choice(self.tasks), rng.choice(self.channels)]
            rng.shuffle(objects)
            index, value = await kernel.first_of(*objects, timeout=limit)
            self._note(name, f"first: {objects[index].name}")
            if isinstance(objects[index], Channel):
                assert isinstance(value, int)
                self._receive(name, value)
        elif kind == 7:
            if not event.is_set:
                event.set(kernel.now)
        elif kind == 8:
            self._note(name, f"event of {await event.wait(timeout=limit)}")
        elif kind <= 11:
            with kernel.timeout(self._seconds(rng)):
                for number in range(rng.randint(1, 3)):
                    if rng.random() < 0.5:
                        await self._act(f"{label}.{number}", name, depth, rng)
                    else:
                        try:
                            await self._act(f"{label}.{number}", name, depth, rng)
                        except Timeout:
                            self._note(name, "inner time-out")
        elif kind == 12 and depth < 3:
            self._spawn(f"{label}", depth + 1, keep=rng.random() < 0.3)
        elif kind == 13:
            if rng.random() < 0.4:
                rng.choice(self.tasks).cancel()
        elif kind == 14:
            await rng.choice(self.tasks).join(timeout=limit)
        else:
            self._set.append(len(self._set))
            self.handles.append(kernel.after(rng.randrange(3) * 1000, self._fire, self._set[-1], channel))
            if rng.random() < 0.4:
                kernel.cancel(rng.choice(self.handles))


def play(seed: int, length_s: float = 0.06, actors: int = 6, acts: int = 40) -> tuple[list[Line], int]:
    """Runs one random world in virtual time; its log and how many events fired."""
    world = RandomWorld(seed, length_s, actors, acts)
    world.kernel.run(world.main(), until=10)
    world.check()
    return world.log, world.kernel.events


def test_random_worlds_lose_and_double_nothing_and_run_the_same_twice() -> None:
    lines = 0
    seen: set[str] = set()
    for seed in range(150):
        first, second = play(seed), play(seed)
        assert first == second, seed
        lines += len(first[0])
        seen.update(what.split()[0] for _, _, what in first[0])
    assert lines > 10_000
    assert seen >= {"start", "end", "puts", "got", "time-out", "inner", "first:", "event"}


@pytest.mark.parametrize("seed", range(8))
def test_pumped_equals_virtual_to_the_microsecond(seed: int) -> None:
    world = RandomWorld(seed)
    Pump(world.kernel).run(world.main(), until=30)
    world.check()
    assert (world.log, world.kernel.events) == play(seed)


def test_many_pumps_in_one_loop() -> None:
    async def main() -> None:
        worlds = [RandomWorld(seed) for seed in range(6)]
        await asyncio.gather(*(Pump(world.kernel).drive(world.main(), 30) for world in worlds))
        for seed, world in enumerate(worlds):
            world.check()
            assert (world.log, world.kernel.events) == play(seed)

    with asyncio.Runner(loop_factory=realtime_loop) as runner:
        runner.run(main())


def long_digest() -> str:
    log, events = play(7, length_s=2, actors=60, acts=200)
    assert events > 10_000
    return hashlib.sha256(repr((log, events)).encode()).hexdigest()


def test_a_long_random_schedule_is_the_same_in_another_process() -> None:
    """Hash seeds and addresses differ there."""
    root = Path(__file__).parent.parent
    code = f"import runpy; print(runpy.run_path({__file__!r})['long_digest']())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert there.stdout.strip() == long_digest()
