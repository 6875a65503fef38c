"""The oracle: which path is viable when, from the scenario and the declared needs alone.

Shares nothing with the DUT: it looks at no answer and no frame of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rig.faults import CATALOGUE, PATHS, Mode
from rig.judge.facts import FAR_US, Facts
from rig.world.attacker import KINDS

RECOVERY_US = 10_000_000
"""AVL-6: this long after a failure ended, every path works again."""
READY_US = 1_000_000
"""AVL-8: this long after the supply is back, the ECU is ready."""
ATTACK_MARGIN_US = 1_000_000
"""Writing on a channel's identifiers breaks it from 1 s before to 1 s after (faults.md, attacker)."""
CLOCK_EDGE_US = 1_000_000
"""Within this of an edge of a clock of whole seconds nothing is judged (requirements: edges)."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One fault of the scenario, on the trace's clock."""

    mode: Mode
    start_us: int
    end_us: int
    retry_after_us: int

    def covers(self, start_us: int, end_us: int) -> bool:
        """Holds from before `start_us` until after `end_us`."""
        return self.start_us <= start_us and self.end_us >= end_us


@dataclass(frozen=True, slots=True)
class Breach:
    """A channel that an attacker wrote on, or swallowed messages of."""

    path: str
    start_us: int
    end_us: int


class Oracle:
    """What must be possible at which time in one scenario."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        origin = facts.origin_us
        self.spells: list[Spell] = []
        for fault in facts.scenario.faults:
            mode = CATALOGUE[fault.mode]
            end = FAR_US if fault.end_us is None else origin + fault.end_us
            wait = mode.value(fault, "retry_after_s") * 1_000_000 if fault.mode == "server.429" else 0
            self.spells.append(Spell(mode, origin + fault.start_us, end, wait))
        self.breaches: list[Breach] = []
        for attack in facts.scenario.attacks:
            kind = KINDS[attack.kind]
            if kind.channel:
                at = origin + attack.at_us
                # A command is held from when it comes, which may be any time after the move.
                last = FAR_US if attack.kind.startswith("hold") else at
                self.breaches.append(Breach(kind.channel, at - ATTACK_MARGIN_US, last + ATTACK_MARGIN_US))

    def viable(self, path: str, start_us: int, end_us: int, power_recovery_us: int = RECOVERY_US) -> bool:
        """Whether all that a path needs is healthy, and long enough recovered, throughout an interval."""
        for spell in self.spells:
            if not spell.mode.breaks_path(path):
                continue
            recovery = power_recovery_us if spell.mode.domain == "power" else RECOVERY_US
            if spell.start_us <= end_us and spell.end_us + recovery + spell.retry_after_us > start_us:
                return False
        for breach in self.breaches:
            if breach.path == path and breach.start_us <= end_us and breach.end_us >= start_us:
                return False
        return True

    def foreign(self, path: str, start_us: int, end_us: int) -> list[Spell]:
        """Faults outside a path's needs that touch an interval."""
        return [
            s
            for s in self.spells
            if not s.mode.breaks_path(path) and s.start_us <= end_us and s.end_us >= start_us
        ]

    def radio_known_off(self, start_us: int, end_us: int) -> bool:
        """Whether the phone's Bluetooth is off, and the phone knows it, throughout an interval."""
        return any(s.mode.name == "bluetooth.radio_off" and s.covers(start_us, end_us) for s in self.spells)

    def power_returned(self, at_us: int) -> int | None:
        """When the last power fault before an instant ended; None if there was none, or one lasts."""
        ends = [s.end_us for s in self.spells if s.mode.domain == "power" and s.start_us < at_us]
        if not ends or max(ends) > at_us:
            return None
        return max(ends)

    def reset_between(self, start_us: int, end_us: int) -> bool:
        """Whether the supply fell so low that the ECU forgot its sessions (below 6.5 V) in an interval."""
        return any(start_us <= at <= end_us and mv < 6500 for at, mv in self._facts.supplies)

    def undisturbed(self, index: int, start_us: int, end_us: int) -> bool:
        """Whether no other intent was under way in an interval."""
        for wish in self._facts.wishes:
            if wish.index == index:
                continue
            if wish.at_us <= end_us and max(wish.last_us, wish.at_us) >= start_us:
                return False
        return True

    def cells_while(self, path: str, start_us: int, end_us: int) -> list[tuple[str, str]]:
        """Foreign modes that held throughout an interval."""
        return [
            (path, s.mode.name)
            for s in self.spells
            if not s.mode.breaks_path(path) and s.covers(start_us, end_us)
        ]

    def cells_after(self, path: str, start_us: int) -> list[tuple[str, str]]:
        """Modes inside a path's needs that had ended before an instant."""
        return [(path, s.mode.name) for s in self.spells if s.mode.breaks_path(path) and s.end_us < start_us]


def required_cells(capabilities: frozenset[str]) -> frozenset[tuple[str, str]]:
    """All (path, mode) pairs that evidence must cover, on edges with these capabilities.

    States that nothing heals form no cell for the paths that need what they break.
    """
    return frozenset(
        (path, mode.name)
        for path in PATHS
        for mode in CATALOGUE.values()
        if (not mode.capability or mode.capability in capabilities)
        and not (mode.state and mode.breaks_path(path))
    )
