"""HTML and PDF of one document: both say the same, need nothing else, and are the same every time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from reports.document import (
    Callout,
    Code,
    Column,
    Cover,
    Document,
    Facts,
    Figure,
    Gap,
    Items,
    Listing,
    Para,
    Quiet,
    Section,
    Strong,
    Table,
    To,
    Word,
)
from reports.views.html import as_html
from reports.views.pdf import PdfError, as_pdf

pytestmark = pytest.mark.xdist_group("views")  # they share what takes long to make

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 40"><defs><pattern id="p" width="4" height="4" '
    'patternUnits="userSpaceOnUse"><path d="M0 0V4" stroke="#000"/></pattern></defs>'
    '<rect width="20" height="20" fill="url(#p)"/><text x="30" y="20" font-family="Inter">drawn words</text></svg>'
)


def document(**change: object) -> Document:
    known: dict[str, object] = {
        "number": "R-0042",
        "revision": 2,
        "title": "Test report",
        "by": 'Lab "A" <& Söhne>',
        "at": "2026-11-23T04:07:22+00:00",
        "cover": Cover(
            "Test report", "Can the driver get in?", "door-lock ECU", "fail", "1 requirement failed", "not issued",
            (("customer", Gap("not stated")), ("firmware", Code("ab" * 32))), ("Relates only to the item tested.",),
        ),
        "sections": (
            Section(
                "first", "First things",
                (
                    Para(("plain, ", Strong("strong"), ", ", Quiet("quiet"), ", see ", To("deep")), "lead"),
                    Callout("bad", "Beware <b>", "of the dog"),
                    Facts((("label", ("said ", Word("pass"))),)),
                    Items(("one item", (Code("rig verify"), " another item"))),
                    Listing("line one\n  line two", "what it said"),
                    Figure(SVG, "a caption", "what is drawn"),
                    Figure(SVG, "a wide caption", "what is drawn", wide=True),
                ),
                (Section("deep", "Deeper things", (Para("deep words", "note"),)),),
            ),
            Section(
                "second", "Second things",
                (
                    Table((Column("id"), Column("verdict"), Column("ms", "right")),
                          [(f"row-{n}", Word("fail" if n == 7 else "pass"), f"{n}.5") for n in range(120)],
                          "many rows"),
                    Table((Column("verdict", chars=14), Column("name", chars=30)),
                          [(Word("inconclusive" if n == 9 else "pass"), f"dense-{n}") for n in range(300)],
                          "dense rows", dense=True),
                ),
                fresh=True,
            ),
        ),
        "end": "End of test report R-0042",
    }  # fmt: skip
    return Document(**{**known, **change})  # type: ignore[arg-type]  # the test's own keys


class Reader(HTMLParser):
    """The words of a page, and what is wrong with its tags."""

    VOID = frozenset({"meta", "link", "br", "img", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.refs: list[str] = []
        self.tags: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} has {name}"
            if name == "id":
                self.ids.append(value or "")
            if name == "href" and (value or "").startswith("#"):
                self.refs.append((value or "")[1:])
            elif name in ("src", "href"):
                self.loads.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if "style" not in self.open:
            self.words.append(text)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def words_of_pdf(content: bytes) -> str:
    """The PDF's text, with the blanks of line ends taken out."""
    pdfium = pytest.importorskip("pypdfium2", reason="reading PDFs back needs pypdfium2")
    pdf = pdfium.PdfDocument(content)
    return "".join(page.get_textpage().get_text_bounded() for page in pdf)


def dense(text: str) -> str:
    """Letters alone: how lines are broken is the renderer's business."""
    return re.sub(r"[\s\u00a0\u00ad\ufffe\x02-]+", "", text)


SAID = (
    "Can the driver get in?", "door-lock ECU", "1 requirement failed", "not issued", "not stated", "ab" * 32,
    "Relates only to the item tested.", "First things", "plain, strong, quiet, see section 1.1", "Beware <b>",
    "of the dog", "said ✓ pass", "one item", "rig verify another item", "line one", "line two", "what it said",
    "Figure 1", "a caption", "a wide caption", "drawn words", "Deeper things", "deep words", "Second things",
    "many rows", "row-0", "row-119", "✗ fail", "119.5", "dense rows", "dense-299", "? inconclusive",
    "End of test report R-0042", "R-0042",
)  # fmt: skip


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = as_html(document())
    reader = read(page)
    assert reader.open == []
    assert reader.loads == []
    assert not reader.tags & {"script", "link", "iframe", "img", "object", "embed", "form"}
    assert len(reader.ids) == len(set(reader.ids))
    assert set(reader.refs) <= set(reader.ids)
    assert not re.search(r"url\((?!data:font/woff2;base64,|#)", page)
    assert "@import" not in page


def test_the_page_says_it_all() -> None:
    text = dense("".join(read(as_html(document())).words))
    for said in SAID:
        assert dense(said) in text, said


def test_report_id_and_pages_are_on_every_printed_page() -> None:
    page = as_html(document())
    assert '"R-0042 · revision 2"' in page.replace("\\2d ", "-")
    assert 'content:"page " counter(page) " of " counter(pages)' in page


def test_names_cannot_end_the_style_or_begin_a_tag() -> None:
    page = as_html(document(by='"}</style><script>alert(1)</script>'))
    assert "<script" not in page
    assert read(page).open == []


def test_drawings_keep_their_names_apart() -> None:
    page = as_html(document())
    assert 'id="f1-p"' in page
    assert "url(#f2-p)" in page
    assert "url(#p)" not in page


@pytest.fixture(scope="module")
def content() -> bytes:
    pytest.importorskip("typst", reason="the PDF needs typst: the extra `report`")
    return as_pdf(document(), {"results.json": (b'{"a": 1}', "what the report is made from")})


class TestPdf:
    def test_it_says_the_same(self, content: bytes) -> None:
        text = dense(words_of_pdf(content))
        for said in SAID:
            assert dense(said) in text, said

    def test_every_page_has_the_report_id_and_its_number_of_all(self, content: bytes) -> None:
        pdfium = pytest.importorskip("pypdfium2", reason="reading PDFs back needs pypdfium2")
        pdf = pdfium.PdfDocument(content)
        assert len(pdf) > 5
        for number, page in enumerate(pdf, start=1):
            text = page.get_textpage().get_text_bounded()
            assert "R-0042 · revision 2" in text
            assert f"page {number} of {len(pdf)}" in text

    def test_heads_are_repeated_where_tables_break(self, content: bytes) -> None:
        pdfium = pytest.importorskip("pypdfium2", reason="reading PDFs back needs pypdfium2")
        pages = [page.get_textpage().get_text_bounded() for page in pdfium.PdfDocument(content)]
        rows = [text for text in pages if "row-" in text]
        assert len(rows) > 1
        assert all("verdict" in text for text in rows)

    def test_the_results_are_inside_and_it_is_an_archive(self, content: bytes) -> None:
        pdfium = pytest.importorskip("pypdfium2", reason="reading PDFs back needs pypdfium2")
        pdf = pdfium.PdfDocument(content)
        assert pdf.count_attachments() == 1
        inside = pdf.get_attachment(0)
        assert inside.get_name() == "results.json"
        assert bytes(inside.get_data()) == b'{"a": 1}'
        assert b"<pdfaid:part>3</pdfaid:part>" in content
        assert b"<pdfaid:conformance>B</pdfaid:conformance>" in content

    def test_it_is_the_same_every_time(self, content: bytes) -> None:
        again = as_pdf(document(), {"results.json": (b'{"a": 1}', "what the report is made from")})
        assert again == content

    def test_other_results_give_another(self, content: bytes) -> None:
        assert as_pdf(document(), {"results.json": (b'{"a": 2}', "what the report is made from")}) != content

    def test_a_script_that_no_face_has_is_said(self) -> None:
        pytest.importorskip("typst", reason="the PDF needs typst: the extra `report`")
        with pytest.raises(PdfError, match=r"have no glyphs for “試”.*--fonts DIR"):
            as_pdf(document(by="試験所"), {})

    def test_a_folder_of_fonts_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        pytest.importorskip("typst", reason="the PDF needs typst: the extra `report`")
        with pytest.raises(PdfError, match="no such folder"):
            as_pdf(document(), {}, fonts=[tmp_path / "none"])


def test_without_typst_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    with pytest.raises(PdfError, match=r"pip install 'unlock-rig\[report\]'"):
        as_pdf(document(), {})


def test_a_drawing_higher_than_a_page_goes_on_over_pages() -> None:
    pytest.importorskip("typst", reason="the PDF needs typst: the extra `report`")
    pdfium = pytest.importorskip("pypdfium2", reason="reading PDFs back needs pypdfium2")
    lines = "".join(f'<text x="20" y="{y}" font-size="11">line {y}.</text>' for y in range(25, 2300, 25))
    tall = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1300 2300" font-family="sans-serif">{lines}</svg>'
    section = Section("deep", "Pictures", (Figure(tall, "a tall one", "lines", wide=True),))
    pages = [p.get_textpage() for p in pdfium.PdfDocument(as_pdf(document(sections=(section,)), {}))]
    shown = [text for p in pages if "line " in (text := p.get_text_bounded(left=50, bottom=110, right=800, top=530))]
    assert len(shown) == 4
    assert "line 25." in shown[0]
    assert "line 2275." in shown[-1]
    for above, below in pairwise(shown):
        last = max(int(n) for n in re.findall(r"line (\d+)\.", above))
        assert f"line {last}." in below, "bands overlap, so that no line is cut on both pages"
    whole = "".join(p.get_text_bounded() for p in pages)
    assert "a tall one (1 of 4)" in whole
    assert "continued (4 of 4)" in whole
