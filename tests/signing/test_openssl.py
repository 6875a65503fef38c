"""VERIFY.txt: its commands, typed off as they stand there, with a shell and the openssl program and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.signing.dsse import Envelope
from reports.signing.keys import key_id
from reports.signing.manifest import FILES_ENVELOPE, RESULT_ENVELOPE
from tests.signing import made
from tests.signing.conftest import Keys, sign

SHELLS = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]
GOOD = "Signature Verified Successfully"


def typed_off(folder: Path, keys: Keys, shell: str = "sh", approver: str = "approver.pub") -> str:
    """What the commands of a folder's VERIFY.txt say, without the last one, which is the rig's own."""
    text = (folder / "VERIFY.txt").read_text(encoding="utf-8")
    lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
    commands = "\n".join(line for line in lines if not line.startswith("rig "))
    commands = re.sub(r"^AUTHOR=\S+", f"AUTHOR={keys.folder / 'author.pub'}", commands, flags=re.MULTILINE)
    commands = re.sub(r"^APPROVER=\S+", f"APPROVER={keys.folder / approver}", commands, flags=re.MULTILINE)
    run = subprocess.run([shell], input=commands, cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_good_evidence(evidence: Path, keys: Keys, shell: str) -> None:
    (evidence / "failures" / "Über sämtliche Läufe (1).txt").write_text("x", encoding="utf-8")
    shutil.rmtree(evidence / "signatures")
    sign(evidence, keys.author, keys.approver)
    said = typed_off(evidence, keys, shell)
    assert said.count(GOOD) == 4, said
    assert "all files as signed" in said
    for key in (keys.author, keys.approver):
        assert key_id(key.public_key()) in said
    assert f"\n{made.SHA256}\n" in said
    assert '"result": "FAILED"' in said
    assert '"verdict": "fail"' in said


def test_files_changed_missing_and_added(evidence: Path, keys: Keys) -> None:
    with (evidence / "results.json").open("a", encoding="utf-8") as out:
        out.write(" ")
    (evidence / "pytest.log").unlink()
    (evidence / "failures" / "more.txt").write_text("x", encoding="utf-8")
    (evidence / "signatures" / "more.txt").write_text("x", encoding="utf-8")
    said = typed_off(evidence, keys)
    assert said.count(GOOD) == 4
    assert "CHANGED OR MISSING: results.json" in said
    assert "CHANGED OR MISSING: pytest.log" in said
    assert "NOT SIGNED: failures/more.txt" in said
    assert "NOT SIGNED: signatures/more.txt" in said
    assert "all files as signed" not in said


def test_another_key(evidence: Path, keys: Keys) -> None:
    said = typed_off(evidence, keys, approver="foreign.pub")
    assert said.count(GOOD) == 2


@pytest.mark.parametrize("name", [RESULT_ENVELOPE, FILES_ENVELOPE])
def test_a_payload_edited(evidence: Path, keys: Keys, name: str) -> None:
    file = evidence / "signatures" / name
    envelope = Envelope.load(file)
    edited = envelope.payload.replace(b"pytest.log", b"pytest.lag").replace(b'"FAILED"', b'"PASSED"')
    file.write_text(Envelope(envelope.payload_type, edited, envelope.signatures).to_json(), encoding="utf-8")
    assert typed_off(evidence, keys).count(GOOD) == 2


def test_a_type_edited(evidence: Path, keys: Keys) -> None:
    file = evidence / "signatures" / FILES_ENVELOPE
    envelope = Envelope.load(file)
    file.write_text(Envelope("text/plain", envelope.payload, envelope.signatures).to_json(), encoding="utf-8")
    assert typed_off(evidence, keys).count(GOOD) == 2


def test_no_signature(evidence: Path, keys: Keys) -> None:
    shutil.rmtree(evidence / "signatures")
    said = typed_off(evidence, keys)
    assert GOOD not in said
    assert "all files as signed" not in said
