"""The oracle: which path is viable when, from the scenario and the declared needs alone.

Shares nothing with the DUT: it looks at no answer and no frame of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rig.faults import CATALOGUE, NEEDS, PATHS, Mode
from rig.judge.facts import FAR_US, Facts
from rig.scenario import Fault
from rig.world.attacker import KINDS

RECOVERY_US = 10_000_000
"""AVL-6: this long after a failure ended, every path works again."""
READY_US = 1_000_000
"""AVL-8: this long after the supply is back, the ECU is ready."""
POWER = frozenset({"power"})
STANDING = frozenset({"standing"})
THIRTY_DAYS_US = 30 * 24 * 3_600_000_000
CLUMSY_US = 120_000_000
"""AVL-11 looks at attempts up to this long after a hostile or clumsy one: longer than lock-outs usually last."""
PULSE_COST_US = 250_000
"""ACT-1: what each stuck motor pulse may add."""
STUCK_PULSES = "actuator.pulses_stuck"
MOST_STUCK = 2
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
    fault: Fault

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
        for index, fault in enumerate(facts.scenario.faults):
            mode = CATALOGUE[fault.mode]
            start, end = origin + fault.start_us, FAR_US if fault.end_us is None else origin + fault.end_us
            if fault.step:
                if index not in facts.fault_edges:
                    continue  # its step was never reached
                start, end = facts.fault_edges[index]
            if not mode.state:
                end = min(end, max(start, facts.healed_us))
            self.spells.append(Spell(mode, start, end, round(mode.holds_back_s(fault) * 1e6), fault))
        self.breaches: list[Breach] = self._crowds()
        for attack in facts.scenario.attacks:
            kind = KINDS[attack.kind]
            if kind.channel:
                at = origin + attack.at_us
                # A command is held from when it comes, which may be any time after the move.
                # Whoever waits leaves when all is healed.
                last = facts.healed_us if kind.waits else at + kind.lasts_us(attack)
                self.breaches.append(Breach(kind.channel, at - ATTACK_MARGIN_US, last + ATTACK_MARGIN_US))

    def _crowds(self) -> list[Breach]:
        """Floods of one channel that overlap fill the bus, which then is nobody's: arbitration is not the DUT's."""
        out: list[Breach] = []
        for channel in PATHS:
            busy_us, together_us = 0, 0
            for attack in self._facts.scenario.attacks:
                kind = KINDS[attack.kind]
                lasts_us = kind.lasts_us(attack)
                if kind.channel != channel or not lasts_us:
                    continue
                at = self._facts.origin_us + attack.at_us
                together_us = together_us + lasts_us if at <= busy_us + ATTACK_MARGIN_US else lasts_us
                if at <= busy_us + ATTACK_MARGIN_US:
                    # What is queued behind the other takes longer than both alone.
                    end = max(busy_us, at) + 2 * together_us + ATTACK_MARGIN_US
                    out += [Breach(path, at - ATTACK_MARGIN_US, end) for path in ("bluetooth", "cloud")]
                busy_us = max(busy_us, at) + lasts_us
        return out

    def viable(self, path: str, start_us: int, end_us: int, power_recovery_us: int = RECOVERY_US) -> bool:
        """Whether all that a path needs is healthy, and long enough recovered, throughout an interval."""
        for spell in self.spells:
            if not spell.mode.breaks_path(path) or spell.mode.breaks == STANDING:
                continue
            recovery = power_recovery_us if spell.mode.breaks == POWER else RECOVERY_US
            if spell.start_us <= end_us and spell.end_us + recovery + spell.retry_after_us > start_us:
                return False
        # Whether the vehicle stands is judged by what it was told: silence counts for what was said before it.
        if "standing" in NEEDS[path] and not self._facts.vehicle.surely_standing(start_us, end_us):
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

    def recovered(self, path: str, at_us: int) -> bool:
        """Whether something that the path needs had failed, and is over."""
        return any(
            s.mode.breaks_path(path) and not s.mode.state and s.start_us < at_us and s.end_us < at_us
            for s in self.spells
        )

    def restbus_disturbed(self, path: str, start_us: int, end_us: int) -> bool:
        """Whether frames of the restbus are missing, stale or corrupt around an interval, which the path can bear."""
        return any(
            s.mode.restbus and s.start_us <= end_us and s.end_us >= start_us
            for s in self.spells
            if not s.mode.breaks_path(path) or s.mode.breaks == STANDING
        )

    def without_server(self, at_us: int) -> bool:
        """Whether for 30 days there was no way between phone, server and car."""
        return any(
            s.mode.domain in ("server", "network") and s.start_us + THIRTY_DAYS_US <= at_us <= s.end_us
            for s in self.spells
        )

    def clumsy(self, start_us: int) -> list[str]:
        """The paths ("" for none) of hostile or clumsy attempts in the last while."""
        origin = self._facts.origin_us
        return [
            KINDS[a.kind].channel
            for a in self._facts.scenario.attacks
            if origin + a.at_us <= start_us <= origin + a.at_us + CLUMSY_US and not KINDS[a.kind].waits
        ]

    def stuck_pulses(self, start_us: int, end_us: int) -> int:
        """How many motor pulses stick around an interval, at each door; only as many as a DUT must master."""
        counts = [
            s.mode.value(s.fault, "pulses")
            for s in self.spells
            if s.mode.name == STUCK_PULSES and s.start_us <= end_us and s.end_us >= start_us
        ]
        total = sum(counts)
        return min(total, MOST_STUCK)

    def radio_known_off(self, start_us: int, end_us: int) -> bool:
        """Whether the phone's Bluetooth is off, and the phone knows it, throughout an interval."""
        return any(s.mode.name == "bluetooth.radio_off" and s.covers(start_us, end_us) for s in self.spells)

    def power_returned(self, at_us: int) -> int | None:
        """When the last power fault before an instant ended; None if there was none, or one lasts."""
        ends = [s.end_us for s in self.spells if s.mode.breaks == POWER and s.start_us < at_us]
        if not ends or max(ends) > at_us:
            return None
        return max(ends)

    def reset_between(self, start_us: int, end_us: int) -> bool:
        """Whether the supply fell so low that the ECU forgot its sessions (below 6.5 V) in an interval."""
        return any(start_us <= at <= end_us and mv < 6500 for at, mv in self._facts.supplies)

    def undisturbed(self, index: int, start_us: int, end_us: int) -> bool:
        """Whether no other intent was under way in an interval, and nobody pressed the inside switch or crashed."""
        if self._facts.vehicle.acts(start_us, end_us):
            return False
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

    States that nothing heals form no cell for the paths that need what they break; conditions of the vehicle are no
    failures.
    """
    return frozenset(
        (path, mode.name)
        for path in PATHS
        for mode in CATALOGUE.values()
        if (not mode.capability or mode.capability in capabilities)
        and not (mode.state and mode.breaks_path(path))
        and not mode.condition
    )
