"""Tampering: each is found, and named in words. Clumsy hands change a file; skilled ones make everything fit again that
needs no key."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.build import BuildError, write_results
from reports.journal import NAME as JOURNAL
from reports.signing.dsse import Envelope
from reports.signing.envelopes import check_envelopes
from reports.signing.manifest import ENVELOPES, FILES_ENVELOPE, RESULT_ENVELOPE
from reports.signing.verify import Verification
from tests.signing import made
from tests.signing.conftest import Keys, sign

Records = list[dict[str, Any]]


def records(folder: Path) -> Records:
    return [json.loads(line) for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines()]


def write(folder: Path, changed: Records) -> None:
    """The journal with its sums as they are."""
    lines = [json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in changed]
    (folder / JOURNAL).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def rechained(folder: Path, changed: Records) -> None:
    """The journal with a chain that fits again."""
    prev = "0" * 64
    for number, record in enumerate(changed):
        record |= {"n": number, "prev": prev}
        del record["sum"]
        front = json.dumps(record, ensure_ascii=False, separators=(",", ":"))[:-1]
        prev = record["sum"] = hashlib.sha256(front.encode()).hexdigest()
    write(folder, changed)


def in_results(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "results.json"
    raw = json.loads(file.read_text(encoding="utf-8"))
    change(raw)
    file.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def named(found: Verification, *words: str) -> None:
    """Each of these stands in a finding."""
    assert not found.holds
    for word in words:
        assert any(word in finding for finding in found.findings), (word, found.findings)


def entry(raw: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return next(r for r in raw[kind] if name in (r.get("id"), r.get("name"), r.get("requirement")))


def test_what_nobody_touched_holds(evidence: Path, keys: Keys) -> None:
    found = keys.check(evidence, made.SHA256)
    assert found.holds, found.findings + found.left
    assert re.fullmatch(r"UR-\d{8}-[0-9A-F]{8}, revision 1", found.report)
    assert found.verdict.startswith("fail, ")
    assert found.firmware is not None
    assert found.firmware.sha256 == made.SHA256
    assert len(found.checked) == 10


# -- verdicts ----------------------------------------------------------------------------------------


def test_a_verdict_edited_in_the_results(evidence: Path, keys: Keys) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["verdict"], raw["why"] = "pass", "all requirements hold"
        entry(raw, "requirements", "AVL-4")["verdict"] = "pass"

    in_results(evidence, change)
    named(
        keys.check(evidence), 'results.json: verdict says "pass", it should say "fail"',
        'results.json: requirements[AVL-4].verdict says "pass", it should say "fail"', "results.json was changed",
    )  # fmt: skip


def failing(changed: Records) -> dict[str, Any]:
    """The record of the run that fails."""
    return next(r for r in changed if r["kind"] == "run" and any(v[1] == "fail" for v in r["body"]["verdicts"]))


def test_a_verdict_edited_in_the_journal(evidence: Path, keys: Keys) -> None:
    changed = records(evidence)
    run = failing(changed)
    for verdict in run["body"]["verdicts"]:
        verdict[1] = "pass"
    write(evidence, changed)
    named(
        keys.check(evidence), f"journal.jsonl, line {run['n'] + 1}: record {run['n']} does not fit its sum",
        "journal.jsonl was changed",
    )  # fmt: skip


def test_a_verdict_edited_in_the_journal_and_everything_made_to_fit(evidence: Path, keys: Keys) -> None:
    """Chain, results and report are in order again; the signatures are not, and nobody without keys can mend that."""
    changed = records(evidence)
    for verdict in failing(changed)["body"]["verdicts"]:
        verdict[1] = "pass"
    test = next(r for r in changed if r["kind"] == "test" and r["body"]["outcome"] == "fail")
    test["body"] |= {"outcome": "pass", "reason": ""}
    rechained(evidence, [r for r in changed if r["kind"] != "failure"])
    made.remake(evidence)
    found = keys.check(evidence)
    named(
        found, "journal.jsonl was changed", "results.json was changed", "report.html was changed",
        'test-result.dsse.json: predicate.failedTests[0] should not be there',
    )  # fmt: skip
    assert json.loads((evidence / "results.json").read_text(encoding="utf-8"))["verdict"] == "pass"


def test_a_measured_value_that_its_verdict_does_not_fit(unsigned: Path, keys: Keys) -> None:
    """Even if nothing is signed: a time over the limit is no pass, whatever the journal calls it."""
    changed = records(unsigned)
    verdict = next(v for r in changed if r["kind"] == "run" for v in r["body"]["verdicts"] if v[0] == "AVL-4")
    assert verdict[1] == "pass"
    verdict[3] = 1_000_001
    rechained(unsigned, changed)
    made.remake(unsigned)
    named(keys.check(unsigned), "AVL-4 is a pass, and 1000 ms against 1000 ms is a fail")


# -- failures and logs -------------------------------------------------------------------------------


def test_a_failure_removed_from_the_results(evidence: Path, keys: Keys) -> None:
    in_results(evidence, lambda raw: raw.update(failures=[]))
    named(keys.check(evidence), "results.json: failures[AVL-4] was removed")


def test_a_failing_run_removed_from_the_lines(evidence: Path, keys: Keys) -> None:
    file = evidence / "results.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if '"fail"' not in line), encoding="utf-8")
    found = keys.check(evidence)
    named(found, "results.jsonl, line 5: is missing", "results.jsonl: is not the file that the run left")


@pytest.mark.parametrize("name", ["AVL-4-model.trace.txt", "AVL-4-model.bus.txt", "AVL-4-model.json"])
def test_a_log_swapped(evidence: Path, keys: Keys, name: str) -> None:
    shutil.copyfile(evidence / "pytest.log", evidence / "failures" / name)
    found = keys.check(evidence)
    named(
        found, f"failures/{name}: is not the file that the run left", f"failures/{name} was changed: SHA-256",
    )  # fmt: skip
    # Without any key as well.
    assert any("is not the file that the run left" in f for f in verify_unsigned(evidence).findings)


def verify_unsigned(folder: Path) -> Verification:
    from reports.signing.verify import verify

    return verify(folder, {})


# -- statistics --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda raw: entry(raw, "requirements", "AVL-4").update(asked=4000),
            "requirements[AVL-4].asked says 4000, it should say 3",
        ),
        (lambda raw: entry(raw, "requirements", "AVL-4").update(tightest_ms=999.0), "tightest_ms says 999.0"),
        (lambda raw: raw["latencies"][0].update(max_ms=1.0), ".max_ms says 1.0"),
        (lambda raw: raw["latencies"][0]["quantiles"][3].update(value_ms=1.0), ".value_ms says 1.0"),
        (lambda raw: raw["coverage"][1].update(seen=10_000), "coverage[2].seen says 10000"),
        (lambda raw: raw.update(runs=100_000), "runs says 100000, it should say 5"),
        (lambda raw: raw["rule"].update(uncertainty_ms=500.0), "rule.uncertainty_ms says 500.0"),
        (lambda raw: entry(raw, "requirements", "AVL-4").update(limit="10 s"), 'limit says "10 s"'),
        (lambda raw: raw["tests"].pop(), "tests[test_lab.py::test_card_without_server] was removed"),
    ],
)  # fmt: skip
def test_a_statistic_changed(
    evidence: Path, keys: Keys, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    in_results(evidence, change)
    named(keys.check(evidence), words, "results.json was changed")


# -- records -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(1, 18))
def test_a_record_dropped(evidence: Path, keys: Keys, place: int) -> None:
    changed = records(evidence)
    del changed[place]
    write(evidence, changed)
    named(keys.check(evidence), f"record {place + 1} stands where record {place} should be: records were dropped")


def test_the_last_records_dropped(evidence: Path, keys: Keys) -> None:
    """What is left is a whole chain; but not the one that the results rest on."""
    write(evidence, records(evidence)[:-3])
    found = keys.check(evidence)
    named(found, "journal.jsonl: has 16 records, results.json rests on 19: some were dropped")
    # Nor without the signatures.
    named(verify_unsigned(evidence), "some were dropped")


def test_the_last_record_cut_in_half(evidence: Path, keys: Keys) -> None:
    file = evidence / JOURNAL
    file.write_bytes(file.read_bytes()[:-20])
    named(keys.check(evidence), "journal.jsonl: ends in half a record")


@pytest.mark.parametrize(("one", "two"), [(3, 4), (2, 9), (17, 18)])
def test_records_in_another_order(evidence: Path, keys: Keys, one: int, two: int) -> None:
    changed = records(evidence)
    changed[one], changed[two] = changed[two], changed[one]
    write(evidence, changed)
    named(keys.check(evidence), f"record {two} stands where record {one} should be", "put in another order")


def test_records_in_another_order_and_numbered_anew(evidence: Path, keys: Keys) -> None:
    changed = records(evidence)
    changed[4], changed[7] = changed[7], changed[4]
    rechained(evidence, changed)
    found = keys.check(evidence)
    named(found, "journal.jsonl: is not the journal that results.json rests on", "journal.jsonl was changed")


def test_a_journal_of_another_run(evidence: Path, keys: Keys, tmp_path: Path) -> None:
    made.make(tmp_path / "other")
    shutil.copyfile(tmp_path / "other" / JOURNAL, evidence / JOURNAL)
    named(keys.check(evidence), "journal.jsonl: is not the journal that results.json rests on")


def test_no_journal_at_all(evidence: Path, keys: Keys) -> None:
    (evidence / JOURNAL).unlink()
    named(keys.check(evidence), "journal.jsonl is missing; it was signed", "journal.jsonl: cannot be read")


# -- keys --------------------------------------------------------------------------------------------


def test_signed_by_a_foreign_key(unsigned: Path, keys: Keys) -> None:
    sign(unsigned, keys.author, keys.foreign)
    named(keys.check(unsigned), "a foreign key has signed", "the approver", "has not signed")


def test_a_third_signature(evidence: Path, keys: Keys) -> None:
    file = evidence / "signatures" / RESULT_ENVELOPE
    file.write_text(Envelope.load(file).signed(keys.foreign).to_json(), encoding="utf-8")
    named(keys.check(evidence), "test-result.dsse.json: a foreign key has signed")


@pytest.mark.parametrize("role", ["author", "approver"])
def test_a_foreign_signature_under_a_known_id(evidence: Path, keys: Keys, role: str) -> None:
    """Key ids are copied easily."""
    place = 0 if role == "author" else 1
    for name in ENVELOPES:
        file = evidence / "signatures" / name
        raw = json.loads(file.read_text(encoding="utf-8"))
        forged = json.loads(Envelope(raw["payloadType"], Envelope.load(file).payload).signed(keys.foreign).to_json())
        raw["signatures"][place]["sig"] = forged["signatures"][0]["sig"]
        file.write_text(json.dumps(raw), encoding="utf-8")
    found = keys.check(evidence)
    named(found, f"test-result.dsse.json: the signature of the {role}", f"files.dsse.json: the signature of the {role}")


def test_the_approver_is_missing(unsigned: Path, keys: Keys) -> None:
    sign(unsigned, keys.author, None)
    found = keys.check(unsigned)
    named(found, "test-result.dsse.json: the approver", "files.dsse.json: the approver")
    assert all("the author" not in f for f in found.findings)


def test_the_approver_has_signed_one_of_two(evidence: Path, keys: Keys) -> None:
    file = evidence / "signatures" / FILES_ENVELOPE
    envelope = Envelope.load(file)
    file.write_text(Envelope(envelope.payload_type, envelope.payload).signed(keys.author).to_json(), encoding="utf-8")
    found = keys.check(evidence)
    assert all("has not signed" in f for f in found.findings)
    named(found, "files.dsse.json: the approver")


def test_one_person_in_both_roles(evidence: Path, keys: Keys) -> None:
    public = keys.author.public_key()
    found = check_envelopes(evidence, {"author": public, "approver": public})
    assert any("one and the same key" in f for f in found.findings)


def test_roles_exchanged_still_are_two_people(evidence: Path, keys: Keys) -> None:
    """Who is whom, the keys say; that two have signed is what the evidence shows."""
    exchanged = {"author": keys.approver.public_key(), "approver": keys.author.public_key()}
    assert check_envelopes(evidence, exchanged).findings == ()


def test_nobody_has_signed(unsigned: Path, keys: Keys) -> None:
    named(keys.check(unsigned), "signatures/test-result.dsse.json is missing", "signatures/files.dsse.json is missing")


# -- envelopes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_payload_edited(evidence: Path, keys: Keys, name: str) -> None:
    file = evidence / "signatures" / name
    envelope = Envelope.load(file)
    edited = envelope.payload.replace(made.SHA256[:8].encode(), b"00000000").replace(b'"report', b'"reporT', 1)
    assert edited != envelope.payload
    file.write_text(Envelope(envelope.payload_type, edited, envelope.signatures).to_json(), encoding="utf-8")
    named(
        keys.check(evidence), f"{name}: the signature of the author", f"{name}: the signature of the approver",
        "what was signed was changed",
    )  # fmt: skip


def test_the_result_of_another_campaign_with_good_signatures(evidence: Path, keys: Keys, tmp_path: Path) -> None:
    """Both people did sign it; but not of this."""
    other = tmp_path / "other"
    made.make(other)
    changed = [r for r in records(other) if r["kind"] in ("start", "end")]
    changed[0]["body"]["run"] = "fedcba9876543210" * 2
    rechained(other, changed)
    made.remake(other)
    sign(other, keys.author, keys.approver)
    shutil.copyfile(other / "signatures" / RESULT_ENVELOPE, evidence / "signatures" / RESULT_ENVELOPE)
    named(keys.check(evidence), "test-result.dsse.json: predicate.unlockRig.report says", 'it should say "UR-')


@pytest.mark.parametrize("first", ENVELOPES)
def test_one_statement_in_place_of_the_other(evidence: Path, keys: Keys, first: str) -> None:
    (second,) = set(ENVELOPES) - {first}
    shutil.copyfile(evidence / "signatures" / first, evidence / "signatures" / second)
    named(keys.check(evidence), f"{second}: predicate ")


def test_another_firmware(evidence: Path, keys: Keys) -> None:
    other = hashlib.sha256(b"door-lock firmware 1.4.3").hexdigest()
    named(keys.check(evidence, other), f"is about firmware {made.SHA256}, and not about {other}")


def test_the_firmware_renamed_in_what_was_stated(evidence: Path, keys: Keys) -> None:
    file = evidence / "campaign.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(made.SHA256, "00" * 32), encoding="utf-8")
    named(keys.check(evidence), "campaign.toml was changed", f"and the evidence about {'00' * 32}")


# -- files -------------------------------------------------------------------------------------------


def test_the_report_edited(evidence: Path, keys: Keys) -> None:
    file = evidence / "report.html"
    text = file.read_text(encoding="utf-8")
    assert "Testhaus GmbH" in text
    file.write_text(text.replace("Testhaus GmbH", "Prüfhaus AG"), encoding="utf-8")
    named(keys.check(evidence), "report.html was changed", "report.html was edited", "Prüfhaus")
    named(verify_unsigned(evidence), "report.html was edited")


def test_the_trace_matrix_edited(evidence: Path, keys: Keys) -> None:
    file = evidence / "trace.csv"
    content = file.read_bytes()
    assert b",fail," in content
    file.write_bytes(content.replace(b",fail,", b",pass,"))
    named(keys.check(evidence), "trace.csv was changed", "trace.csv was edited: line")


def test_files_added_and_taken_away(evidence: Path, keys: Keys) -> None:
    (evidence / "failures" / "note.txt").write_text("not so bad", encoding="utf-8")
    (evidence / "pytest.log").unlink()
    found = keys.check(evidence)
    named(
        found, "failures/note.txt was not there when the evidence was signed",
        "pytest.log is missing; it was signed with SHA-256",
    )  # fmt: skip


def test_something_hidden_among_the_signatures(evidence: Path, keys: Keys) -> None:
    (evidence / "signatures" / "note.txt").write_text("x", encoding="utf-8")
    named(keys.check(evidence), "signatures/note.txt lies among the signatures")


def test_a_link_in_place_of_a_file(evidence: Path, keys: Keys, tmp_path: Path) -> None:
    (evidence / "pytest.log").rename(tmp_path / "elsewhere.log")
    (evidence / "pytest.log").symlink_to(tmp_path / "elsewhere.log")
    named(keys.check(evidence), "is a link")


def test_a_private_key_in_the_evidence(evidence: Path, keys: Keys) -> None:
    shutil.copyfile(keys.folder / "author.key", evidence / "failures" / "author.key")
    named(keys.check(evidence), "failures/author.key is a private key")


def test_the_pdf_edited(unsigned: Path) -> None:
    pytest.importorskip("typst", reason="the PDF needs typst")
    from reports.content.evidence import Evidence
    from reports.report import write_pdf

    file = write_pdf(Evidence.read(unsigned))
    found = verify_unsigned(unsigned)
    assert found.findings == ()
    assert "report.pdf says what results.json gives, to the byte" in found.checked
    content = file.read_bytes()
    file.write_bytes(content.replace(b"/Title", b"/title"))
    named(verify_unsigned(unsigned), "report.pdf was edited: it is not what results.json gives, set by Typst")
    # Another program that set it may have set it otherwise; then it is said that this cannot be told.
    file.write_bytes(re.sub(rb"/Creator ?\(Typst [\d.]+\)", b"/Creator(Typst 9.9)", content))
    found = verify_unsigned(unsigned)
    assert found.findings == ()
    assert any("it was set by Typst 9.9, and here is Typst" in words for words in found.left)


# -- merged evidence ---------------------------------------------------------------------------------


def test_the_journal_of_one_of_several_parts(tmp_path: Path) -> None:
    """The main journal is chained to the heads of the others: nobody exchanges one of them alone."""
    from rig.cli import main

    made.make(tmp_path / "one")
    changed = records(tmp_path / "one")
    changed[0]["body"]["run"] = "fedcba9876543210" * 2
    (tmp_path / "two").mkdir()
    rechained(tmp_path / "two", changed)
    shutil.copytree(tmp_path / "one" / "failures", tmp_path / "two" / "failures")
    merged = tmp_path / "merged"
    assert main(["merge", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(merged)]) in (0, 1)
    assert verify_unsigned(merged).findings == ()
    part = merged / "parts" / "two"
    changed = records(part)
    failing(changed)["body"]["verdicts"] = []
    rechained(part, changed)
    named(verify_unsigned(merged), "parts/two/journal.jsonl: is not the journal that results.json rests on")
    with pytest.raises(BuildError, match="it was exchanged, cut, or written on"):
        write_results(merged)


def test_documents_of_parts_are_merged_with_them(tmp_path: Path) -> None:
    """Cut sets and the like lie beside the journal that names them, there and after merging."""
    from reports.build import attach
    from rig.cli import main

    for name, run in (("one", "0123456789abcdef"), ("two", "fedcba9876543210")):
        made.make(tmp_path / name)
        changed = records(tmp_path / name)
        changed[0]["body"]["run"] = run * 2
        rechained(tmp_path / name, changed)
        made.remake(tmp_path / name)
    document = {"ways": {}, "runs": 1}
    (tmp_path / "one" / "more.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    attach(tmp_path / "one", "more", "more.json", document)
    write_results(tmp_path / "one")
    merged = tmp_path / "merged"
    assert main(["merge", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(merged)]) in (0, 1)
    assert (merged / "parts" / "one" / "more.json").is_file()
    assert verify_unsigned(merged).findings == ()
    (merged / "parts" / "one" / "more.json").write_text("{}", encoding="utf-8")
    named(verify_unsigned(merged), "parts/one/more.json: is not the file that the run left")


# -- by people without keys, and outside of the folder -------------------------------------------------


def test_journal_and_results_edited_alike_by_somebody_without_keys(unsigned: Path, keys: Keys) -> None:
    """It agrees with itself, so that only signatures find it: which they do, file by file."""
    sign(unsigned, keys.author, keys.approver)
    changed = records(unsigned)
    run = next(r for r in changed if r["kind"] == "run" and any(v[0] == "AVL-4" for v in r["body"]["verdicts"]))
    verdict = next(v for v in run["body"]["verdicts"] if v[0] == "AVL-4")
    assert verdict[3] is not None
    verdict[3] -= 1_000
    rechained(unsigned, changed)
    made.remake(unsigned)
    assert verify_unsigned(unsigned).findings == (), "without keys nothing is found"
    named(
        keys.check(unsigned), "journal.jsonl was changed: SHA-256", "results.json was changed: SHA-256",
        "report.html was changed: SHA-256",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", "a/../../x", "failures//x", "./x", "C:/x", "..\\x"])
def test_a_list_that_names_a_file_outside_is_refused(unsigned: Path, keys: Keys, tmp_path: Path, name: str) -> None:
    """Even if both have signed it."""
    (tmp_path / "x").write_text("x", encoding="utf-8")
    sign(unsigned, keys.author, keys.approver)
    file = unsigned / "signatures" / FILES_ENVELOPE
    envelope = Envelope.load(file)
    statement = json.loads(envelope.payload)
    statement["subject"].append({"name": name, "digest": {"sha256": hashlib.sha256(b"x").hexdigest()}})
    forged = Envelope(envelope.payload_type, json.dumps(statement).encode()).signed(keys.author).signed(keys.approver)
    file.write_text(forged.to_json(), encoding="utf-8")
    named(keys.check(unsigned), f"files.dsse.json: lists {name!r}, which lies outside of the evidence; it is not read")


def test_results_that_name_a_file_outside_are_refused(unsigned: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x", encoding="utf-8")
    digest = hashlib.sha256(b"x").hexdigest()
    changed = records(unsigned)
    failure = next(r for r in changed if r["kind"] == "failure")
    failure["body"]["files"]["../x"] = digest
    rechained(unsigned, changed)
    made.remake(unsigned)
    named(verify_unsigned(unsigned), "../x: lies outside of the evidence")


def test_a_folder_that_is_a_link(evidence: Path, keys: Keys, tmp_path: Path) -> None:
    (evidence / "failures").rename(tmp_path / "elsewhere")
    (evidence / "failures").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    named(keys.check(evidence), "failures: is a link")
