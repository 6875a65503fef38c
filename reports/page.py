"""Pieces of HTML for the working view: the verdict and the requirements on top, a picture for each failure.

Made from results and traces alone; self-contained, without scripts.
"""

from __future__ import annotations

from html import escape

from reports.results import FailureResult, RequirementResult, Results

_COLOURS = {
    "pass": "#00614a", "conditional pass": "#00614a", "fail": "#a33c00", "error": "#a33c00",
    "inconclusive": "#7a5200", "conditional fail": "#7a5200", "not run": "#555555", "vacuous": "#555555",
}  # fmt: skip
_MARKS = {"pass": "✔", "conditional pass": "✔", "fail": "✘", "error": "✘", "not run": "–", "vacuous": "–"}

STYLE = """<style>
.rig{font:15px/1.45 system-ui,'Segoe UI',sans-serif;color:#1b1b1b;max-width:75rem}
.rig h2{font-size:1.5rem;margin:.2rem 0}.rig h3{margin:1.4rem 0 .4rem}
.rig table{border-collapse:collapse;width:100%;font-size:.9rem}
.rig td,.rig th{padding:.35rem .6rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
.rig td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.rig .v,.rig b{font-weight:600;white-space:nowrap}.rig code{background:#f2f2f2;padding:.1rem .3rem;border-radius:3px}
.rig .big{font-size:1.15rem;padding:.6rem .9rem;border-left:.4rem solid;background:#f7f7f7;margin:.6rem 0}
.rig .why{color:#555}
</style>"""


def _verdict(word: str) -> str:
    mark = _MARKS.get(word, "?")
    return f'<span class="v" style="color:{_COLOURS.get(word, "#555")}">{mark} {escape(word)}</span>'


def summary_html(results: Results) -> str:
    """Verdict, what was tested, and a table of all requirements."""
    colour = _COLOURS.get(results.verdict, "#555")
    planted = f", with the planted defect <b>{escape(results.defect)}</b>" if results.defect else ""
    head = (
        f'{STYLE}<div class="rig"><div class="big" style="border-color:{colour}">{_verdict(results.verdict)}'
        f" — {escape(results.why)}</div>"
        f"<p>{escape(results.dut)} on bench <b>{escape(results.bench)}</b>{planted}; {results.runs:,} judged runs, "
        f"{results.simulated_s / 3600:.1f} hours of vehicle time in {results.seconds:.0f} s; seed {results.seed}. "
        f"The same again: <code>{escape(results.again)}</code></p>"
    )
    rows = "".join(_requirement_row(r) for r in results.requirements)
    table = (
        "<h3>Requirements</h3><table><tr><th>id</th><th>verdict</th><th>what must hold</th><th>limit</th>"
        "<th>held</th><th>failed</th><th>other</th><th>not asked</th><th>tightest</th></tr>"
        + rows
        + "</table>"
        '<p class="why">Held, failed, other (inconclusive or too near to a limit to say), not asked (vacuous): '
        "how many judged runs came to it. Tightest: the smallest margin to a limit among those that held.</p>"
    )
    cells = (
        f"<p>{results.cells_required - len(results.cells_missing)} of {results.cells_required} pairs of path and "
        "failure mode have evidence: the path works while a foreign mode holds, and again after one of its own."
        + (f" Missing: {escape(', '.join(results.cells_missing))}." if results.cells_missing else "")
        + "</p>"
    )
    return head + table + cells + _failures(results) + _rows(results) + _left_out(results) + "</div>"


def _requirement_row(r: RequirementResult) -> str:
    held = r.outcomes.get("pass", 0) + r.outcomes.get("conditional pass", 0)
    failed, vacuous = r.outcomes.get("fail", 0), r.outcomes.get("vacuous", 0)
    other = sum(r.outcomes.values()) - held - failed - vacuous
    tight = "" if r.tightest_ms is None else f"{r.tightest_ms:,.0f} ms"
    return (
        f"<tr><td><b>{r.id}</b></td><td>{_verdict(r.verdict)}</td><td>{escape(r.text)}</td>"
        f"<td>{escape(r.limit)}</td><td class=n>{held:,}</td><td class=n>{failed:,}</td><td class=n>{other:,}</td>"
        f'<td class=n>{vacuous:,}</td><td class=n title="{escape(r.tightest_text)}">{tight}</td></tr>'
    )


def _failures(results: Results) -> str:
    if not results.failures:
        return ""
    items = "".join(
        f"<tr><td><b>{escape(f.requirement)}</b></td><td>{escape(f.text)}</td><td class=n>{f.entries}</td>"
        f"<td><code>{escape(f.replay)}</code></td></tr>"
        for f in results.failures
    )
    return (
        "<h3>Failures, shrunk to the smallest scenario found</h3><table><tr><th>requirement</th><th>what happened</th>"
        f"<th>entries</th><th>see it again</th></tr>{items}</table>"
    )


def _rows(results: Results) -> str:
    if not results.rows:
        return ""
    again = sum(1 for r in results.rows if r.run > 1)
    items = "".join(
        f"<tr><td>{escape(r.name)}</td><td class=n>{r.run}</td><td>{_verdict(r.outcome)}</td>"
        f"<td>{escape(r.text)}</td><td class=n>{r.seconds:.1f} s</td></tr>"
        for r in results.rows
    )
    return (
        f"<h3>Runs on real lines ({len(results.rows)}, of which {again} repeated)</h3>"
        f"<table><tr><th>row</th><th>run</th><th>came to</th><th>because</th><th>took</th></tr>{items}</table>"
    )


def _left_out(results: Results) -> str:
    left: dict[tuple[str, str], list[str]] = {}
    for kind, some in (("not decided", results.undecided), ("not run", results.skipped)):
        for n in some:
            left.setdefault((kind, n.reason), []).append(n.test)
    if not left:
        return ""
    items = "".join(
        f"<tr><td>{kind}</td><td>{escape(reason)}</td><td>{escape(', '.join(tests))}</td></tr>"
        for (kind, reason), tests in left.items()
    )
    return f"<h3>Not run, not decided</h3><table><tr><th></th><th>reason</th><th>tests</th></tr>{items}</table>"


def failure_html(failure: FailureResult, picture: str, sequence: str = "") -> str:
    """A failure's words, replay command and pictures, for its row of the test table."""
    details = f"<details><summary>Who told whom what</summary>{sequence}</details>" if sequence else ""
    return (
        f'{STYLE}<div class="rig"><p><b>{escape(failure.requirement)}</b>: {escape(failure.demand)}<br>'
        f"{escape(failure.text)}</p><p>See it again: <code>{escape(failure.replay)}</code></p>{picture}{details}</div>"
    )
