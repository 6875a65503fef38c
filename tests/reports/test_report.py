"""The whole report of a folder: everything that is asked for is in it, in HTML and in the PDF; and `rig report`."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from reports.campaign import load_campaign, template
from reports.content import front, latency, qualification
from reports.content.clauses import CLAUSES
from reports.content.evidence import Evidence
from reports.document import Document
from reports.report import document_of, html_of, missing, write_html, write_pdf
from reports.results import ResultsError
from rig.cli import main
from tests.reports.madeup import CAMPAIGN, FAILED, made_up, write_folder
from tests.reports.test_views import dense, read, words_of_pdf

pytestmark = pytest.mark.xdist_group("report")  # they share what takes long to make

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = (
    "scope", "item", "bench", "conformity", "trace", "results", "coverage", "latency", "cutsets", "qualification",
    "failures", "open", "reproduction", "files", "amendments", "clauses",
)  # fmt: skip
ISSUED = load_campaign(CAMPAIGN).report.issued
SAID = (
    # cover
    "Test report, revision 2", "Fail", "1 requirement failed: AVL-4.", "Example Laboratory for Vehicle Access",
    "Musterweg 1, 12345 Musterstadt", "room 2.14", "Example Motors", "PO 4500123456", ISSUED, "A. Author",
    "B. Approver, head of laboratory", "2026-11-23 04:07:22 UTC to 2026-11-23 04:08:35 UTC", "EL-2026-0117, revision 1",
    front.ONLY_THE_ITEM, front.NOT_A_CERTIFICATE, front.WHOLE, front.EMULATED,
    # scope, item, bench
    "8,992 judged runs", "20.8 h of vehicle time", "bench lacks can.flood", "No result is stated to have been provided",

    "(stated by the customer)", "firmware version", "1.4.2", "not determined", "bus_off_blocks_card planted on purpose",
    "slcan over a pseudo-terminal", "expanded uncertainty U = 20 ms", "Bench file, SHA-256", "no climate acts on it",
    # conformity
    "Not met", "AVL-4", "Pass at or below limit − U, fail above limit + U", "ILAC-G8:09/2019", "411.0 ms",
    "agreed in the order",
    # trace, results, coverage, latency
    "test_cells.py::test_path_works", "(a part)", "57 pass, 1 fail, 1 inconclusive, 1 not run", "40 judged runs",
    FAILED, "ECU process late by 31 ms", "card × can.log_flood", "server.500 + can.bus_off + power.reset",
    "309,999 more",
    "95.0 %", "n = 620, limit 1,000 ms", "0 % to 0.123 %", "≤ 0.0998 %", "640.0 ms to 690.0 ms, 95 %", "3,000 draws",
    "via = { card = 1.0 }",
    # cut sets, qualification
    "{reader}", "As declared", "The rig is not fit", "sleeps_too_long", "deaf_judge",
    # failures
    "rig replay failures/AVL-4-model.json --bench model --defect bus_off_blocks_card", "SAID IN THE PICTURE",
    "LockStatus DriveAuthorised yes", '"format": "unlock-rig/scenario/1"',
    # what was not decided
    "serial line: adapter gone", "the rig stumbled: KeyError", "17 torn bytes were cut off",
    "pressed the emergency stop",
    # end
    "rig certify --bench emulated --seed 7", "rig verify DIR", "failures/AVL-4-model.bus.txt", "ef" * 32,
    "serial number corrected", "Amendment to report EL-2026-0117", "End of test report EL-2026-0117, revision 2",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evidence")
    write_folder(made)
    return made


@pytest.fixture(scope="module")
def document(folder: Path) -> Document:
    return document_of(Evidence.read(folder))


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return html_of(folder)


@pytest.fixture(scope="module")
def pdf(folder: Path) -> bytes:
    pytest.importorskip("typst", reason="the PDF needs typst: the extra `report`")
    return write_pdf(Evidence.read(folder)).read_bytes()


def test_all_sections_are_there_in_order(document: Document) -> None:
    assert tuple(s.anchor for s in document.sections) == SECTIONS
    anchors = [s.anchor for _number, s, _depth in document.numbered()]
    assert len(anchors) == len(set(anchors))


@pytest.mark.parametrize("said", SAID)
def test_the_page_says_it(page: str, said: str) -> None:
    assert dense(said) in dense("".join(read(page).words))


def test_the_pdf_says_it_too(pdf: bytes) -> None:
    # The kind of document is set in capitals.
    text = dense(words_of_pdf(pdf)).lower()
    assert [said for said in SAID if dense(said).lower() not in text] == []


def test_every_picture_is_there(page: str) -> None:
    for caption in ("Combinations of failures, by family", "Measured times", "Fault tree of", "Planted defects",
                    "AVL-4: who told whom what", "AVL-4: what happened when"):  # fmt: skip
        assert re.search(rf"<figcaption><b>Figure \d+</b> {caption}", page), caption
    assert page.count("<svg") == page.count("<figcaption")


def test_the_page_is_whole_and_loads_nothing(page: str) -> None:
    reader = read(page)
    assert reader.open == []
    assert reader.loads == []
    assert not reader.tags & {"script", "link", "iframe", "img", "object"}
    assert set(reader.refs) <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_it_never_calls_itself_a_certificate(page: str) -> None:
    text = "".join(read(page).words)
    assert front.NOT_A_CERTIFICATE in text
    without = text.replace(front.NOT_A_CERTIFICATE, "").replace("calibrateddue" + "certificate", "")
    assert "certificate" not in without
    assert "certified" not in without


MARKS = {"cover": '<header class="cover">', "end": '<p class="end">End of'}


class TestClauses:
    """docs/iso17025.md, the report's own table, and what is really there."""

    def rows(self) -> dict[str, tuple[str, str]]:
        text = (ROOT / "docs" / "iso17025.md").read_text(encoding="utf-8")
        found = re.findall(r"^\| (7\.8[^|]*?) \| ([^|]*?) \| ([^|]*?) \| [^|]* \|$", text, re.MULTILINE)
        return {clause: (demand, where) for clause, demand, where in found}

    def test_the_page_in_docs_has_every_clause(self) -> None:
        assert list(self.rows()) == [c.clause for c in CLAUSES]
        letters = {c.clause for c in CLAUSES}
        assert {f"7.8.2.1 {x}" for x in "abcdefghijklmnop"} <= letters
        assert {f"7.8.3.1 {x}" for x in "abcde"} <= letters
        assert {"7.8.2.2", "7.8.3.2", "7.8.6.1", "7.8.6.2 a", "7.8.6.2 b", "7.8.6.2 c"} <= letters
        assert {"7.8.8.1", "7.8.8.2", "7.8.8.3"} <= letters

    @pytest.mark.parametrize("clause", CLAUSES, ids=lambda c: c.clause)
    def test_each_points_to_sections_that_are_there(self, clause: object, document: Document, page: str) -> None:
        assert isinstance(clause, type(CLAUSES[0]))
        titles = {s.anchor: s.title for _n, s, _d in document.numbered()} | {"cover": "cover", "end": "end mark"}
        demand, where = self.rows()[clause.clause]
        assert demand == clause.demand
        assert where.split("; ") == [titles[anchor] for anchor in clause.sections]
        for anchor in clause.sections:
            assert MARKS.get(anchor, f'id="{anchor}"') in page

    def test_the_pdf_has_the_sections_too(self, document: Document, pdf: bytes) -> None:
        text = dense(words_of_pdf(pdf))
        for number, section, _depth in document.numbered():
            assert dense(f"{number} {section.title}") in text


class TestMissing:
    """What nobody has stated is printed as missing, or refused."""

    @pytest.fixture
    def bare(self, tmp_path: Path) -> Path:
        write_folder(tmp_path, campaign=False)
        return tmp_path

    def test_it_is_a_draft_that_names_what_is_missing(self, bare: Path) -> None:
        text = " ".join("".join(read(html_of(bare)).words).split())
        assert "Draft. ISO/IEC 17025:2017 asks for 7 things that nobody has stated: report.issued" in text
        assert "not stated: laboratory.place" in text

    def test_the_command_names_it_and_still_writes(self, bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["report", str(bare), "--html"]) == 0
        said = capsys.readouterr().out
        assert "not stated: laboratory.name (laboratory; ISO/IEC 17025:2017, 7.8.2.1 b)" in said
        assert f"report: {bare / 'report.html'}" in said
        assert not (bare / "report.pdf").exists()

    def test_strict_refuses(self, bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["report", str(bare), "--strict"]) == 1
        assert "no report: 7 things are missing" in capsys.readouterr().err
        assert not (bare / "report.html").exists()

    def test_a_campaign_file_mends_it_and_is_kept(self, bare: Path) -> None:
        given = ROOT / "docs" / "example" / "campaign.toml"
        assert main(["report", str(bare), "--strict", "--html", "--campaign", str(given)]) == 0
        assert (bare / "campaign.toml").read_bytes() == given.read_bytes()
        assert missing(Evidence.read(bare)) == []
        assert "Draft." not in (bare / "report.html").read_text("utf-8")

    def test_a_broken_campaign_file_is_named_and_not_kept(
        self, bare: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = tmp_path_factory.mktemp("other") / "campaign.toml"
        given.write_text('[laboratory]\nnmae = "x"\n', encoding="utf-8")
        assert main(["report", str(bare), "--campaign", str(given)]) == 3
        assert f"{given}, line 2: [laboratory] has no nmae; did you mean name?" in capsys.readouterr().err
        assert not (bare / "campaign.toml").exists()

    def test_a_real_ecu_must_have_been_received(self, bare: Path) -> None:
        results = (bare / "results.json").read_text("utf-8")
        (bare / "results.json").write_text(results.replace('"kind": "emulated"', '"kind": "external"'), "utf-8")
        keys = {m.key for m in missing(Evidence.read(bare))}
        assert {"item.received", "item.serial_number", "sampling.plan", "conditions.temperature"} <= keys

    def test_the_template_is_a_campaign_that_says_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "campaign.toml"
        file.write_text(template(), "utf-8")
        assert len(load_campaign(file).missing(emulated=False)) == 15

    def test_the_template_filled_in_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "campaign.toml"
        lines = template().splitlines()
        filled = [line.removeprefix("# ") if re.match(r"# (\[\[|\w+ = )", line) else line for line in lines]
        text = "\n".join(filled).replace('["…"]', "[]")
        text = text.replace('firmware_sha256 = "…"', f'firmware_sha256 = "{"0" * 64}"')
        file.write_text(text, "utf-8")
        assert load_campaign(file).missing(emulated=False) == []


def test_what_was_read_against_what_was_stated(tmp_path: Path) -> None:
    write_folder(tmp_path)
    campaign = (tmp_path / "campaign.toml").read_text("utf-8")
    stated = campaign.replace("[item]\n", '[item]\nfirmware = "1.4.3"\n')
    (tmp_path / "campaign.toml").write_text(stated, "utf-8")
    page = html_of(tmp_path)
    assert "What was stated is not what was read" in page
    assert "firmware version: stated “1.4.3”, read “1.4.2”" in page


@pytest.mark.parametrize("lost", ["failures/AVL-4-model.sequence.svg", "failures/AVL-4-model.bus.txt"])
def test_a_lost_file_of_a_failure_is_said(tmp_path: Path, lost: str) -> None:
    write_folder(tmp_path)
    (tmp_path / lost).unlink()
    assert f"not the file that the results name by hash: {lost}" in html_of(tmp_path)


def test_swapped_runs_are_not_believed(tmp_path: Path) -> None:
    write_folder(tmp_path)
    runs = (tmp_path / "results.jsonl").read_text("utf-8").replace('"outcome": "fail"', '"outcome": "pass"')
    (tmp_path / "results.jsonl").write_text(runs, "utf-8")
    assert "results.jsonl is not in the folder, or not the file" in html_of(tmp_path)


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    write_folder(inside)
    (tmp_path / "secret.txt").write_text("SECRET", "utf-8")
    evidence = Evidence.read(inside)
    assert evidence.text_of("../secret.txt") is None
    assert evidence.text_of("results.json") is not None


def test_the_same_folder_gives_the_same_bytes(folder: Path, page: str) -> None:
    written = write_html(Evidence.read(folder)).read_text("utf-8")
    assert written == page, "the report lists no file that itself changes"


def test_the_pdf_is_the_same_every_time(folder: Path, pdf: bytes) -> None:
    assert write_pdf(Evidence.read(folder)).read_bytes() == pdf


def test_the_results_and_the_campaign_are_inside_the_pdf(folder: Path, pdf: bytes) -> None:
    pdfium = pytest.importorskip("pypdfium2", reason="reading PDFs back needs pypdfium2")
    read_back = pdfium.PdfDocument(pdf)
    inside = {a.get_name(): bytes(a.get_data()) for a in map(read_back.get_attachment, range(2))}
    assert inside == {name: (folder / name).read_bytes() for name in ("results.json", "campaign.toml")}


def test_a_folder_without_results_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ResultsError, match=r"results\.json: cannot be read"):
        Evidence.read(tmp_path)
    assert main(["report", str(tmp_path)]) == 3
    assert "results.json: cannot be read" in capsys.readouterr().err


def test_without_a_folder_it_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 3
    assert "rig report DIR" in capsys.readouterr().err


def test_without_typst_the_html_is_made_and_the_way_to_the_pdf_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    assert main(["report", str(tmp_path)]) == 0
    assert "no PDF: the PDF needs typst, which is not installed; pip install" in capsys.readouterr().out
    assert (tmp_path / "report.html").exists()
    assert main(["report", str(tmp_path), "--pdf"]) == 3


def test_a_clean_campaign_says_so_everywhere(tmp_path: Path) -> None:
    write_folder(
        tmp_path, verdict="pass", why="all requirements hold", defect=None, failures=[], rows=[], skipped=[],
        undecided=[], rig_errors=[], notes=[], breaks=[], operator=[], amendments=[], cutsets=None, qualification=None,
        sampling=[],
        latencies=[], coverage=[], heat_map=None, searches=[], cells_missing=[], retries=0,
    )  # fmt: skip
    text = " ".join("".join(read(html_of(tmp_path)).words).split())
    for said in (
        "No requirement failed in any judged run.", "Every test that was collected was executed and decided.",
        "No run was repeated.", "The record was written without a break.", "it replaces no other",
        "Not determined in this campaign. rig cutsets", "Not determined in this campaign. rig qualify",
        "No sampling campaign belongs to this evidence", "No distribution of times was recorded",
        "Which combinations came up was not determined",
    ):  # fmt: skip
        assert said in text, said


def test_more_tests_than_can_be_listed_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.content.tested.LISTED", 50)
    write_folder(tmp_path, tests=60)
    page = html_of(tmp_path)
    assert "Of 60 tests the 3 that did not pass are listed" in page
    assert "<td>7-card-server.500</td>" in page
    assert "<td>8-card-server.500</td>" not in page


def test_nothing_stands_in_the_margin(folder: Path, pdf: bytes) -> None:
    """Names and hashes find places to break, and copy without signs that were not in them."""
    pdfium = pytest.importorskip("pypdfium2", reason="reading PDFs back needs pypdfium2")
    margin = 20 / 25.4 * 72
    for number, page in enumerate(pdfium.PdfDocument(pdf), start=1):
        text = page.get_textpage()
        rights = [text.get_charbox(k)[2] for k in range(text.count_chars())]
        most = page.get_width() - margin + 1.5
        over = "".join(text.get_text_range(k, 1) for k, right in enumerate(rights) if right > most)
        assert not over.strip(), f"page {number}: {over}"
        assert "\u200b" not in text.get_text_range()


def test_the_example_in_docs_is_of_this_version_and_small(document: Document) -> None:
    """`docs/report.md` says how to make it again."""
    example = ROOT / "docs" / "example"
    page = (example / "report.html").read_text("utf-8")
    found = re.findall(r'<section id="([\w-]+)"(?: class="fresh")?>\n<h2><b>\d+</b>([^<]*)</h2>', page)
    assert found == [(s.anchor, s.title) for s in document.sections]
    assert front.NOT_A_CERTIFICATE in page
    assert (example / "report.pdf").read_bytes().startswith(b"%PDF-1.7")
    files = [file for file in example.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 2_000_000
    assert (example / "failing.pdf").read_bytes().startswith(b"%PDF-1.7")
    assert not [file.name for file in files if b"PRIVATE KEY" in file.read_bytes()]
    signed = base64.b64decode(json.loads((example / "signatures" / "files.dsse.json").read_text("utf-8"))["payload"])
    for name in ("report.html", "report.pdf", "campaign.toml"):
        assert hashlib.sha256((example / name).read_bytes()).hexdigest().encode() in signed, name


def said_by(folder: Path) -> str:
    return " ".join("".join(read(html_of(folder)).words).split())


def test_what_was_not_tested_stands_on_the_cover_and_by_the_verdict(tmp_path: Path) -> None:
    known = made_up().requirements
    never = replace(known[-1], outcomes={"vacuous": 1500}, verdict="not run")
    write_folder(tmp_path, requirements=[*known[:-2], never])
    evidence = Evidence.read(tmp_path)
    assert evidence.untested() == [known[-2].id, known[-1].id]
    text = said_by(tmp_path)
    assert f"Not tested{known[-2].id}, {known[-1].id}: no judged run asked for them" in text.split("Contents1")[0]
    assert f"{known[-1].id}: no judged run asked for them, so nothing is said of them" in text
    assert "1 of 60 tests not executed" in text


def test_a_conditional_pass_is_told_from_a_pass(tmp_path: Path) -> None:
    known = made_up().requirements
    write_folder(tmp_path, requirements=[replace(known[0], verdict="conditional pass"), *known[1:]])
    text = said_by(tmp_path)
    assert f"Only conditionally met{known[0].id}: a time was nearer to its limit than U" in text
    assert f"Of these conditionally{known[0].id}" in text


def test_runs_on_real_lines_are_told_from_those_in_virtual_time(tmp_path: Path) -> None:
    write_folder(tmp_path)
    assert "1 run on its lines, in real time; all others in virtual time" in said_by(tmp_path)


def test_the_planted_defect_stands_on_the_cover_whatever_people_call_the_item(folder: Path) -> None:
    assert "with the planted defect bus_off_blocks_card" in said_by(folder).split("Contents1")[0]


def test_a_quantile_is_told_only_where_there_are_values_enough() -> None:
    one = made_up().latencies[0]
    assert [latency._quantile(replace(one, n=n), 0.99) == "–" for n in (1, 99, 100, 620)] == [True, True, False, False]
    assert latency._quantile(replace(one, n=1), 0.5) == "–"


def test_opinions_need_somebody_and_grounds(tmp_path: Path) -> None:
    write_folder(tmp_path)
    file = tmp_path / "campaign.toml"
    stated = file.read_text("utf-8")
    file.write_text(stated.replace("[report]\n", '[report]\nopinions = "It will do."\n'), "utf-8")
    assert [m.key for m in missing(Evidence.read(tmp_path))] == ["report.opinions_by", "report.opinions_basis"]
    assert "not stated: report.opinions_by" in said_by(tmp_path)
    more = '[report]\nopinions = "It will do."\nopinions_by = "C. Expert"\nopinions_basis = "section 4"\n'
    file.write_text(stated.replace("[report]\n", more), "utf-8")
    assert missing(Evidence.read(tmp_path)) == []
    assert "not results: It will do." in said_by(tmp_path)
    assert "Given by C. Expert; resting on section 4." in said_by(tmp_path)


def test_an_issue_before_the_tests_ended_is_marked(tmp_path: Path) -> None:
    write_folder(tmp_path, ended="2099-01-01T00:00:00+00:00")
    assert "before the last test ended" in said_by(tmp_path)


def test_a_large_qualification_is_drawn_in_parts_that_fit_a_page(tmp_path: Path) -> None:
    strategies = ["default", "swarm"]
    hunts = [{"defect": f"d{n}", "strategy": s, "caught_by": "AVL-4", "scenarios": 3, "seconds": 1.0}
             for n in range(78) for s in strategies]  # fmt: skip
    found = {"format": "unlock-rig/qualification/1", "fit": False, "reasons": ["AVL-1 is never found"], "hunts": hunts,
             "variants": [], "false_alarms": [], "mutants": [], "rig": "0.0.1",
             "made": "2026-11-23T01:00:00+00:00"}  # fmt: skip
    write_folder(tmp_path, qualification=found)
    page, text = html_of(tmp_path), said_by(tmp_path)
    assert page.count("</b> Planted defects (rows)") == 2
    assert "78 of 78 planted defects found" in text
    assert "AVL-1 is never found." in text
    assert "unlock-rig 0.0.1, 2026-11-23 01:00:00 UTC: NOT the version of this campaign" in text
    assert qualification._drawn(["d1"], ["default"], {}) == []


def test_the_page_can_be_walked_by_keyboard_and_heard(page: str) -> None:
    """Landmarks, column heads, names of what scrolls, and headings without a gap."""
    assert page.count('<main>') == 1
    assert 'aria-label="Contents of the report"' in page
    assert "<th>" not in page
    assert page.count('role="region" aria-label="Table') == page.count("<table>")
    depths = [int(d) for d in re.findall(r"<h([1-6])", page)]
    assert depths.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(depths))
    assert page.count('role="img" aria-label="') == page.count("<figcaption>")


def test_cut_sets_of_another_version_are_told_without_a_tree(tmp_path: Path) -> None:
    write_folder(tmp_path)
    results = (tmp_path / "results.json").read_text("utf-8")
    mode = re.search(r'"modes": \{\s*"reader": "([^"]+)"', results)
    assert mode is not None
    (tmp_path / "results.json").write_text(results.replace(mode[1], "serial.of_old"), "utf-8")
    page = html_of(tmp_path)
    assert "The fault tree is not drawn" in page
    assert "{reader}" in page
