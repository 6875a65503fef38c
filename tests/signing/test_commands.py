"""`rig keys`, `rig sign`, `rig verify`, `rig amend`: the whole way of a report, from keys to a second revision."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from reports.journal import NAME as JOURNAL
from reports.journal import read
from reports.signing import recompute
from reports.signing.amend import next_folder
from rig.cli import main
from tests.signing import made
from tests.signing.conftest import Keys
from tests.signing.test_tampering import in_results, rechained, records


def sign_as(role: str, folder: Path, keys: Keys, *more: str, key: str = "") -> int:
    arguments = ["sign", str(folder), "--role", role, "--key", str(keys.folder / f"{key or role}.key")]
    if role == "approver" and "--author" not in more:
        arguments += ["--author", str(keys.folder / "author.pub")]
    return main([*arguments, "--passphrase-file", str(keys.folder / "phrase"), *more])


def verify(folder: Path, keys: Keys, *more: str) -> int:
    roles = [f"--{role}={keys.folder / f'{role}.pub'}" for role in ("author", "approver")]
    return main(["verify", str(folder), *roles, *more])


def test_the_whole_way(unsigned: Path, keys: Keys, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["verify", str(unsigned)]) == 2
    said = capsys.readouterr().out
    assert "not checked: whether the approver has signed" in said
    assert "nothing is wrong, but not everything could be checked" in said

    assert sign_as("author", unsigned, keys) == 0
    assert verify(unsigned, keys) == 1
    assert "WRONG: signatures/files.dsse.json: the approver" in capsys.readouterr().out

    assert sign_as("approver", unsigned, keys) == 0
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(made.FIRMWARE)
    assert verify(unsigned, keys, "--firmware", str(firmware)) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "this evidence holds"
    assert f"firmware 1.4.2, SHA-256 {made.SHA256}" in said

    firmware.write_bytes(b"another one")
    assert verify(unsigned, keys, "--firmware", str(firmware)) == 1


def test_keys_are_made_where_nobody_else_looks(tmp_path: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    name = tmp_path / "new" / "r.moore"
    assert main(["keys", "new", str(name), "--passphrase-file", str(keys.folder / "phrase")]) == 0
    assert stat.S_IMODE(name.parent.stat().st_mode) == 0o700
    told = capsys.readouterr().out.splitlines()[-1].removeprefix("its id: ")
    assert main(["keys", "id", f"{name}.pub"]) == 0
    assert capsys.readouterr().out.strip() == told
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", f"{name}.pub", "-outform", "DER"], capture_output=True, check=True
    ).stdout
    run = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der, capture_output=True, check=True)
    assert run.stdout.decode().startswith(told)


def test_no_key_goes_into_evidence(unsigned: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    phrase = str(keys.folder / "phrase")
    assert main(["keys", "new", str(unsigned / "new" / "key"), "--passphrase-file", phrase]) == 3
    assert "holds evidence" in capsys.readouterr().err
    assert not (unsigned / "new").exists()
    shutil.copyfile(keys.folder / "author.key", unsigned / "failures" / "x.pem")
    assert sign_as("author", unsigned, keys) == 3
    assert "is a private key and lies in evidence" in capsys.readouterr().err
    assert not (unsigned / "signatures").exists()


def test_passphrases_are_asked_for_or_kept_from_others(
    tmp_path: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n", encoding="utf-8")
    phrase.chmod(0o644)
    assert main(["keys", "new", str(tmp_path / "a"), "--passphrase-file", str(phrase)]) == 3
    assert "others may read it" in capsys.readouterr().err
    # Standard input of a test is no terminal.
    assert main(["keys", "new", str(tmp_path / "a")]) == 3
    assert "--passphrase-file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [phrase]


def test_nobody_signs_what_does_not_hold(unsigned: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    in_results(unsigned, lambda raw: raw.update(verdict="pass"))
    assert sign_as("author", unsigned, keys) == 1
    said = capsys.readouterr().err
    assert 'verdict says "pass", it should say "fail"' in said
    assert "nothing was signed" in said
    assert not (unsigned / "signatures").exists()


def test_the_approver_checks_what_the_author_signed(
    unsigned: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign_as("approver", unsigned, keys) == 1
    assert "nobody has signed this evidence" in capsys.readouterr().err
    assert sign_as("author", unsigned, keys) == 0
    (unsigned / "pytest.log").write_text("6 tests\n", encoding="utf-8")
    assert sign_as("approver", unsigned, keys) == 1
    assert "pytest.log was changed" in capsys.readouterr().err
    (unsigned / "pytest.log").write_text("5 tests\n", encoding="utf-8")
    # The author does not approve what the author has made.
    assert sign_as("approver", unsigned, keys, key="author") == 3
    assert "signed this before; two people sign with two keys" in capsys.readouterr().err
    assert sign_as("approver", unsigned, keys, "--author", str(keys.folder / "foreign.pub")) == 1
    assert sign_as("approver", unsigned, keys) == 0
    assert sign_as("author", unsigned, keys) == 3
    assert "is signed already" in capsys.readouterr().err


def test_the_firmware_must_be_known(
    tmp_path: Path, keys: Keys, capsys: pytest.CaptureFixture[str], unsigned: Path
) -> None:
    nameless = tmp_path / "nameless"
    made.make(nameless, firmware=False)
    assert sign_as("author", nameless, keys) == 3
    assert "name the file: --firmware FILE" in capsys.readouterr().err
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(b"something else")
    assert sign_as("author", unsigned, keys, "--firmware", str(firmware)) == 3
    assert f"and the evidence is about {made.SHA256}" in capsys.readouterr().err
    firmware.write_bytes(made.FIRMWARE)
    assert sign_as("author", nameless, keys, "--firmware", str(firmware)) == 0
    assert sign_as("approver", nameless, keys) == 0
    assert verify(nameless, keys, "--firmware", made.SHA256) == 0
    assert "firmware firmware.bin, SHA-256" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "nowhere"], "is no folder"),
        (["verify", ".", "--author", "nowhere.pub"], "nowhere.pub: cannot be read"),
        (["sign", ".", "--role", "author", "--key", "nowhere.key"], "nowhere.key: cannot be read"),
        (["sign", ".", "--role", "approver", "--key", "x.key"], "--author is what an approver names"),
        (["sign", ".", "--role", "approver", "--key", "x", "--author", "y", "--firmware", "z"], "the author says"),
        (["keys", "id", "nowhere.pub"], "cannot be read"),
        (["amend", ".", "--reason", " ", "--by", "R. Moore"], "an amendment says why"),
        (["amend", ".", "--reason", "x", "--by", " "], "has the name"),
        (["amend", ".", "--reason", "x", "--by", "R. Moore"], "results.json"),
    ],
)
def test_wrong_usage_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 3
    assert says in capsys.readouterr().err


def test_evidence_of_nothing(tmp_path: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path, keys) == 1
    assert "results.json: cannot be read" in capsys.readouterr().out


# -- amendments --------------------------------------------------------------------------------------


def amend(folder: Path, reason: str = "serial number was misspelled", *more: str) -> int:
    return main(["amend", str(folder), "--reason", reason, "--by", "R. Moore", *more])


def test_an_amendment_is_a_new_revision_beside_the_old_one(
    evidence: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {f: f.read_bytes() for f in evidence.rglob("*") if f.is_file()}
    assert amend(evidence) == 0
    assert {f: f.read_bytes() for f in evidence.rglob("*") if f.is_file()} == before
    assert verify(evidence, keys) == 0

    second = evidence.with_name("evidence-r2")
    results = json.loads((second / "results.json").read_text(encoding="utf-8"))
    old = json.loads((evidence / "results.json").read_text(encoding="utf-8"))
    (amended,) = results["amendments"]
    assert (amended["revision"], amended["reason"], amended["by"]) == (2, "serial number was misspelled", "R. Moore")
    assert amended["replaces"]["report"] == f"{old['report_id']}, revision 1"
    # The campaign is not a moment longer for it, nor does anything else change.
    assert {k: v for k, v in results.items() if v != old[k]}.keys() == {"amendments", "journals"}
    assert [r.kind for r in read(second / JOURNAL)][-2:] == ["end", "amend"]
    html = (second / "report.html").read_text(encoding="utf-8")
    assert "serial number was misspelled" in html
    assert "revision 2" in html
    # It is not signed with the old one's signatures.
    assert not (second / "signatures").exists()
    assert verify(second, keys) == 1

    assert sign_as("author", second, keys) == 0
    assert sign_as("approver", second, keys) == 0
    capsys.readouterr()
    # What is signed stays as it is.
    assert main(["report", str(second)]) == 3
    assert "is signed, and a signed report is not written again" in capsys.readouterr().err
    assert verify(second, keys) == 0
    assert f"report {old['report_id']}, revision 2" in capsys.readouterr().out
    assert amend(second, "and so was the customer's name") == 0
    third = evidence.with_name("evidence-r3")
    assert len(json.loads((third / "results.json").read_text(encoding="utf-8"))["amendments"]) == 2
    assert main(["verify", str(third)]) == 2


def test_what_an_amendment_replaces_cannot_be_exchanged(
    evidence: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert amend(evidence) == 0
    second = evidence.with_name("evidence-r2")
    kept = second / "replaced" / "r1" / "files.dsse.json"
    kept.write_bytes(kept.read_bytes() + b" ")
    assert main(["verify", str(second)]) == 1
    assert "amendment to revision 2: replaced/r1/files.dsse.json is not the envelope" in capsys.readouterr().out
    kept.unlink()
    assert main(["verify", str(second)]) == 1


def test_nothing_rests_on_what_does_not_hold(
    evidence: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    in_results(evidence, lambda raw: raw.update(verdict="pass"))
    assert amend(evidence) == 1
    assert "no revision was made" in capsys.readouterr().err
    assert not evidence.with_name("evidence-r2").exists()


def test_no_folder_is_overwritten(evidence: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    assert amend(evidence, "x", "--out", str(evidence)) == 3
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "new"), [("certify", "certify-r2"), ("certify-r2", "certify-r3"), ("a-r9", "a-r10")])
def test_names_of_revisions(tmp_path: Path, name: str, new: str) -> None:
    assert next_folder(tmp_path / name) == tmp_path / new


# -- played again ------------------------------------------------------------------------------------


def test_failures_are_played_again(evidence: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(evidence, keys, "--replay") == 0
    assert "failures played again leave the same traces: 1 of 1" in capsys.readouterr().out


def test_a_failure_that_never_was(unsigned: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario that nobody failed, put in the place of the one that failed; everything else made to fit."""
    changed = records(unsigned)
    body = next(r["body"] for r in changed if r["kind"] == "failure")
    file = unsigned / body["scenario_file"]
    file.write_text(made.TESTS[0][2].to_json(), encoding="utf-8")
    body["files"][body["scenario_file"]] = hashlib.sha256(file.read_bytes()).hexdigest()
    rechained(unsigned, changed)
    made.remake(unsigned)
    assert main(["verify", str(unsigned)]) == 2
    assert main(["verify", str(unsigned), "--replay"]) == 1
    assert "failures/AVL-4-model.json: played again, it leaves trace" in capsys.readouterr().out


def test_another_version_says_that_it_is_one(
    unsigned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another version wrote may look otherwise, which is no edit; what it computed is still held against ours."""
    monkeypatch.setattr(recompute.metadata, "version", lambda _name: "0.1.0")
    changed = records(unsigned)
    changed[0]["body"]["versions"]["unlock-rig"] = "0.0.1"
    rechained(unsigned, changed)
    made.remake(unsigned)
    report = unsigned / "report.html"
    report.write_text(report.read_text(encoding="utf-8").replace("<main", "<main "), encoding="utf-8")
    assert main(["verify", str(unsigned)]) == 2
    assert "not checked: whether report.html says what results.json gives: unlock-rig 0.0.1" in capsys.readouterr().out
    in_results(unsigned, lambda raw: raw.update(runs=6))
    assert main(["verify", str(unsigned)]) == 1
    said = capsys.readouterr().out
    assert "WRONG: results.json: runs says 6, it should say 5" in said
    assert "says that unlock-rig 0.0.1 made it" in said


def test_unsigned_evidence_is_checked_if_somebody_says_so(
    unsigned: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(unsigned)]) == 2, "without the word a missing signature is something left out"
    capsys.readouterr()
    assert main(["verify", str(unsigned), "--unsigned"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "this evidence holds, but for signatures"
    assert said[-2].startswith("UNSIGNED: nobody has signed this evidence")
    assert not any("not checked" in line for line in said)
    for option, value in (("--author", "author.pub"), ("--approver", "approver.pub")):
        assert main(["verify", str(unsigned), "--unsigned", option, str(keys.folder / value)]) == 3
    assert main(["verify", str(unsigned), "--unsigned", "--firmware", made.SHA256]) == 3
    assert "--unsigned: looks for no signatures" in capsys.readouterr().err
    (unsigned / "pytest.log").unlink()
    (unsigned / "pytest.log").symlink_to("/dev/null")
    assert main(["verify", str(unsigned), "--unsigned"]) == 1
    assert "is a link" in capsys.readouterr().out


def test_unsigned_evidence_that_was_edited_does_not_hold(
    unsigned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_results(unsigned, lambda raw: raw.update(verdict="pass"))
    assert main(["verify", str(unsigned), "--unsigned", "--replay"]) == 1
    assert 'WRONG: results.json: verdict says "pass", it should say "fail"' in capsys.readouterr().out


def test_signed_evidence_does_not_pass_as_unsigned(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(evidence), "--unsigned"]) == 3
    assert "there are signatures, so it is not unsigned" in capsys.readouterr().err
