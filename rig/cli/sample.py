"""`rig sample`: independent draws from an operational profile; bounds of probabilities, quantiles of latencies."""

from __future__ import annotations

import argparse
import math
import os
import secrets
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixtures.campaign import Campaign
from hardware.bench import load_bench
from hardware.vehicle import emulated_model
from reports import statistics
from reports.build import BuildError
from reports.journal import NAME, JournalError
from reports.results import Results, SamplingResult, Verdict
from rig.cli import defects
from rig.cli.cutsets import jobs
from rig.cli.words import (
    PASS,
    UNDECIDED,
    USAGE,
    add_command,
    add_defect,
    add_overwrite,
    complain,
    console,
    seed,
)
from rig.sampling import DEFAULT, Drawn, Profile, ProfileError, load_profile, parse_profile, sample

if TYPE_CHECKING:
    from rig.cli.words import Commands

DESCRIPTION = """\
Draws scenarios independently from an operational profile (how often people do what, how often what fails), runs them
against the emulated ECU in virtual time, and says what follows from it: how often a requirement fails at most (exact
binomial bounds), and how late a door opens at most (quantiles with order-statistic intervals). The number of draws is
fixed before the first one and printed. What `rig search` finds says nothing of frequencies and is never mixed in."""
EPILOG = """\
examples:
  rig sample --n 3000                     no failure in 3000 draws: at most 1 in 1000, with 95 % confidence
  rig sample --print > mine.toml          the profile, to be changed
  rig sample --profile mine.toml --n 30000 --out out/mine

exit codes: 0 no failure in all draws, 1 failures, 2 stopped before the end or the rig failed, 3 wrong usage"""
DRAWS = 3_000
EVERY_S = 5.0


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "sample", "how often does it fail? independent draws from a profile",
                          DESCRIPTION, EPILOG)  # fmt: skip
    command.add_argument(
        "--profile", default=DEFAULT, metavar="NAME", help=f"profile, or a .toml file (default: {DEFAULT})"
    )
    command.add_argument(
        "--n", type=_draws, default=DRAWS, metavar="N", help=f"draws, fixed beforehand (default: {DRAWS:,})"
    )
    command.add_argument(
        "--confidence", type=_confidence, default=statistics.CONFIDENCE, metavar="C",
        help=f"of bounds and intervals (default: {statistics.CONFIDENCE})",
    )  # fmt: skip
    command.add_argument("--seed", type=seed, default=None, metavar="S", help="of every choice (default: a fresh one)")
    cores = os.cpu_count() or 1
    command.add_argument("--jobs", type=jobs, default=cores, metavar="J", help=f"processes (default: {cores})")
    command.add_argument(
        "--out", type=Path, default=Path("out/sample"), metavar="DIR",
        help="where journal and results go (default: out/sample)",
    )  # fmt: skip
    command.add_argument("--print", action="store_true", dest="show", help="print the profile and end")
    add_overwrite(command)
    add_defect(command)
    command.set_defaults(run=run)


def _draws(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not a number of draws")
    return value


def _confidence(text: str) -> float:
    value = float(text)
    if not 0.5 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0.5 to below 1")
    return value


def run(options: argparse.Namespace) -> int:
    """Draws, shows progress, says what follows."""
    try:
        profile = load_profile(options.profile)
    except ProfileError as error:
        complain(f"--profile {error}")
        return USAGE
    if options.show:
        sys.stdout.write(profile.text)
        return PASS
    if defects.check(options.defect):
        return USAGE
    out: Path = options.out.resolve()
    number = options.seed if options.seed is not None else secrets.randbelow(1 << 32)
    body = {
        "profile": profile.name, "text": profile.text, "sha256": profile.sha256, "seed": number,
        "planned": options.n, "confidence": options.confidence,
    }  # fmt: skip
    try:
        campaign = _campaign(out, options.defect, number, {"defect": options.defect, "jobs": options.jobs})
        campaign.clear(resumed=False, overwrite=options.overwrite)
        campaign.again = f"rig sample --profile {options.profile} --n {options.n} --seed {number}" + (
            f" --defect {options.defect}" if options.defect else ""
        )
        campaign.write("sampling", body)
    except JournalError as error:
        complain(str(error))
        return USAGE
    return _draw(campaign, profile, body, options.jobs)


def go_on(out: Path, told: Mapping[str, Any]) -> int:
    """Goes on with a sampling that broke off.

    Raises:
        JournalError: its journal cannot be gone on with.
    """
    from reports.journal import read

    first, body = None, None
    for record in read(out / NAME):
        first = first or record
        if record.kind == "sampling":
            body = record.body
    if body is None or first is None:
        complain(f"{out / NAME}: the sampling had not begun; start it again")
        return USAGE
    campaign = _campaign(out, told["defect"], body["seed"], told)
    campaign.clear(resumed=True)
    campaign.go_on()
    return _draw(campaign, parse_profile(body["text"], body["profile"]), body, told["jobs"])


def _campaign(out: Path, defect: str | None, number: int, told: Mapping[str, Any]) -> Campaign:
    bench = load_bench("model")
    return Campaign(
        bench=bench.name, defect=defect, seed=number, out=out, capabilities=frozenset(), keep=True, described=bench,
        what="sample", command=dict(told),
    )  # fmt: skip


def _draw(campaign: Campaign, profile: Profile, body: Mapping[str, Any], processes: int) -> int:
    screen = console()
    number, planned = body["seed"], body["planned"]
    begin = max((s.next for s in campaign.ledger.samplings.values()), default=0)
    screen.print(
        f"profile {profile.name}: {profile.about}\n{planned:,} draws, fixed beforehand; seed {number}"
        + (f"; {begin:,} of them made before the break" if begin else ""),
        markup=False, soft_wrap=True,
    )  # fmt: skip
    shown = time.monotonic()

    def keep(several: list[Drawn]) -> None:
        nonlocal shown
        records: list[tuple[str, dict[str, Any]]] = [
            ("run", {"sample": [profile.name, number, i], **short}) for i, short, _ in several if short is not None
        ]
        errors = [f"draw {i}: {text}" for i, short, text in several if short is None]
        after = several[-1][0] + 1
        drawn = {"profile": profile.name, "seed": number, "next": after, "errors": errors}
        campaign.write_all([*records, ("drawn", drawn)])
        if time.monotonic() - shown >= EVERY_S:
            shown = time.monotonic()
            screen.print(f"{after:,} of {planned:,}", markup=False)
            sys.stdout.flush()

    stopped = False
    try:
        sample(partial(emulated_model, campaign.defect), profile, number, range(begin, planned), keep, processes)
    except KeyboardInterrupt:
        stopped = True
        complain(f"stopped by Ctrl-C; `rig resume {campaign.out}` goes on")
    except JournalError as error:
        complain(str(error))
        return UNDECIDED
    try:
        if not stopped:
            campaign.write("sampled", {"profile": profile.name, "seed": number, "complete": True})
        results = campaign.end(stopped, main=True)
    except (JournalError, BuildError) as error:
        complain(str(error))
        return UNDECIDED
    assert results is not None
    for found in results.sampling:
        _say(found)
    return _verdict(results, campaign.out)


def _say(found: SamplingResult) -> None:
    screen = console()
    percent = f"{found.confidence * 100:g} %"
    for r in found.rates:
        note = f"; {r.remark}" if r.remark else ""
        screen.print(
            f"{r.requirement:<7} failed {r.failures:,} of {r.n:,}: at most {_share(r.upper_one_sided)} ({percent}),"
            f" two-sided {_share(r.lower)} to {_share(r.upper)}{note}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    for t in found.latencies:
        q = next(q for q in t.quantiles if q.p == 0.99)
        bound = f"at most {q.upper_ms:,.1f} ms ({percent})" if q.upper_ms is not None else q.note
        remark = f"; {t.remark}" if t.remark else ""
        screen.print(
            f"{t.requirement:<7} {t.path}: n {t.n:,}, p99 {q.value_ms:,.1f} ms, {bound},"
            f" limit {t.limit_ms:,.0f} ms{remark}",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def _share(p: float) -> str:
    if p == 0:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(p)))
    return f"{p:.{digits}f}" if p >= 1e-4 else f"{p:.1e}"


def _verdict(results: Results, out: Path) -> int:
    screen = console()
    screen.print(f"again: {results.again}", markup=False, soft_wrap=True)
    screen.print(f"verdict: {results.verdict}, {results.why}", markup=False, soft_wrap=True)
    screen.print(f"results: {out / 'results.json'}", markup=False, soft_wrap=True)
    return Verdict(results.verdict).exit_code
