"""What the records of a journal say: kinds and fields, the first record, and how a campaign's record goes on.

| kind | says |
|---|---|
| `start` | format, run (32 hex digits), what (suite, search, sample, merge), command, bench, item, seed, versions,
  requirements that are judged, capabilities, again |
| `plan` | tests: name, pairs of requirement and coverage, reason for none; deselected: the same of tests that were
  collected and left out; complete: the whole suite was chosen |
| `begin` | test: it was begun |
| `run` | a judged run that counts, as `rig.brief` has it; by: the test; or search: strategy, seed, number; or
  sample: profile, seed, number; or row: name, run; u: uncertainty in µs, at `wire`; fidelity, unless model; cells:
  path to modes, new ones |
| `played` | a run at `wire` as it ended: row, run, seconds, log with its hash, hash of the trace |
| `row` | the same judged: outcome, text, counts |
| `test` | test, outcome, reason, seconds |
| `search`, `batch`, `searched` | begin of a search (strategy, seed, wanted); progress (next number, cells, errors);
  end (exhausted) |
| `sampling`, `drawn`, `sampled` | profile, text, sha256, seed, planned, confidence; progress (next number, errors);
  end (complete) |
| `failure` | a failed requirement, shrunk: the fields of `FailureResult` |
| `error`, `note`, `operator` | the rig failed (by, text); something to be told; what a person did |
| `attach` | a document of another command: name, file, sha256, content |
| `shard` | another journal that belongs to this: file, records, head, bench, worker |
| `amend` | an amendment, as `rig amend` writes it |
| `resume` | the record broke off: broken_at, torn, text, versions, environment |
| `end` | complete: the suite ran to its end; interrupted |
"""

from __future__ import annotations

from typing import Any

FORMAT = "unlock-rig/journal/1"
LASTING = frozenset({"start", "plan", "test", "batch", "drawn", "failure", "attach", "shard", "amend",
                     "searched", "sampled", "operator", "resume", "end"})  # fmt: skip
"""Kinds that are on the disk before the campaign goes on; the others go with the next of these. `played` is not among
them: it is written while real lines are being served, which must not wait for a disk; `Campaign.settle` waits."""
Body = dict[str, Any]


class RecordsError(ValueError):
    """Records that cannot be: of another format, twice the same, or without a beginning."""
